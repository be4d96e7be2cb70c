package remote

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// What a worker is told of other users' plans, and what content it may ask for, is
// what its user could read by themselves once those plans are made. A worker is not
// trusted to keep anything from its user.

// told returns effects as a worker may know them. Of a file that its user will be
// able to read, the worker may have the content; of others it learns that they are
// planned. Values of which only their kind knows who may read them are left open.
func (s *server) told(ctx context.Context, d *delegate, effects []host.Effect) []host.Effect {
	if len(effects) == 0 {
		return nil
	}
	id := s.session.identity(ctx, d.user)
	list := make([]host.Effect, len(effects))
	for i, e := range effects {
		list[i] = s.toldOne(d, id, e)
	}
	return list
}

func (s *server) toldOne(d *delegate, id host.Identity, e host.Effect) host.Effect {
	if e.State != host.Present {
		e.Value = nil
		return e
	}
	switch e.Key.Space {
	case host.Users, host.Groups, host.Packages, host.Units:
		return e
	case host.Files:
	default:
		return host.Open(e.Key.Space, e.Key.Name)
	}
	var info host.FileInfo
	if err := host.Unmarshal(e.Value, &info); err != nil {
		return host.Open(e.Key.Space, e.Key.Name)
	}
	if info.Type != host.Regular {
		return e
	}
	switch {
	case !s.session.reads(id, e.Key.Name, info):
		info.Withheld = info.Withheld || info.Sum != ""
		info.Sum, info.Size = "", 0
	case info.Sum != "":
		d.grant(host.Content{Sum: info.Sum, Size: info.Size, Sensitive: info.Sensitive})
	}
	return host.Is(e.Key, info)
}

// tell lets every worker but that of one user know what the others must.
func (s *server) tell(ctx context.Context, except string, lay wire.Lay) {
	for name, d := range s.delegates {
		if name != except && d.worker != nil {
			theirs := lay
			theirs.Effects = s.told(ctx, d, lay.Effects)
			_ = d.worker.conn.Queue(&wire.Message{Lay: &theirs})
		}
	}
}

// keyFor is the key that a user's digests are keyed with: the session's would tell
// what root's stand for.
func (s *server) keyFor(user string) []byte {
	mac := hmac.New(sha256.New, s.session.Key)
	_, _ = io.WriteString(mac, "worker "+user)
	return mac.Sum(nil)
}

// grant lets a user's worker ask for content.
func (d *delegate) grant(c host.Content) {
	if known, ok := d.contents[c.Sum]; !ok || known.Data == nil {
		d.contents[c.Sum] = c
	}
}

// owns lets a user's worker ask for the content that a task of theirs names.
func (s *server) owns(d *delegate, t wire.Task) {
	for _, args := range append([]wire.Args{t.Args}, t.Others...) {
		s.ownsAll(d, t.Kind, args)
	}
}

func (s *server) ownsAll(d *delegate, kind string, args wire.Args) {
	d.grantAll(map[string]any(args))
	module, _ := s.session.Kinds.Decode(kind, args)
	if module == nil {
		return
	}
	for _, c := range s.session.Kinds.Schema(kind).Contents(module) {
		d.grant(c.Content)
		s.session.Host.Bodies.Hold(c.Content)
		if c.Tree {
			d.trees = append(d.trees, c.Content)
		}
	}
}

func (d *delegate) grantAll(value any) {
	switch x := value.(type) {
	case host.Content:
		d.grant(x)
	case []any:
		for _, e := range x {
			d.grantAll(e)
		}
	case map[string]any:
		for _, e := range x {
			d.grantAll(e)
		}
	}
}

// content returns the content of a sum that a user's tasks name, or that they will
// be able to read.
func (s *server) content(d *delegate, sum string) (host.Content, bool) {
	c, ok := d.contents[sum]
	for !ok && len(d.trees) > 0 {
		tree := d.trees[0]
		d.trees = d.trees[1:]
		s.openTree(d, tree)
		c, ok = d.contents[sum]
	}
	return c, ok
}

// openTree lets a user's worker ask for the files of a folder that a task of theirs
// copies. What can't be read here can't be read there.
func (s *server) openTree(d *delegate, tree host.Content) {
	r, err := s.session.Host.Bodies.Open(context.Background(), tree)
	if err != nil {
		return
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, modules.MaxManifest))
	if err != nil {
		return
	}
	m, err := modules.DecodeManifest(data)
	if err != nil {
		return
	}
	for _, e := range m.Entries {
		if e.Type == host.Regular {
			d.grant(host.Content{Sum: e.Sum, Size: e.Size, Sensitive: tree.Sensitive})
		}
	}
}

// feed passes content on to a user's worker.
func (s *server) feed(d *delegate, n *wire.Need) error {
	send := func(c *wire.Chunk) error {
		c.Stream = n.Stream
		return d.worker.conn.Send(&wire.Message{Chunk: c})
	}
	c, ok := s.content(d, n.Sum)
	if !ok {
		return send(&wire.Chunk{Last: true, Error: fmt.Sprintf("no task of %s has content %.12s", d.user, n.Sum)})
	}
	r, err := s.session.Host.Bodies.Open(context.Background(), c)
	if err != nil {
		return send(&wire.Chunk{Last: true, Error: err.Error()})
	}
	defer r.Close()
	for {
		chunk := &wire.Chunk{Data: make([]byte, 256<<10)}
		k, err := r.Read(chunk.Data)
		chunk.Data = chunk.Data[:k]
		switch {
		case err == io.EOF:
			chunk.Last = true
		case err != nil:
			chunk.Last, chunk.Error = true, err.Error()
		}
		if err := send(chunk); err != nil || chunk.Last {
			return err
		}
	}
}
