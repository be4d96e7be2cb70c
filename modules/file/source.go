package file

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// DirectorySource is a directory of one host that another one copies: what a directory
// task with from_host needs there.
type DirectorySource struct {
	// Absolute path on that host.
	Path string `arg:"path,key,path,required"`
}

// Check refuses a path that isn't absolute.
func (d *DirectorySource) Check(unknown func(string) bool) []modules.ArgError {
	return CheckPath("path", d.Path, unknown)
}

// May is empty: it only reads.
func (d *DirectorySource) May() []host.Effect { return []host.Effect{} }

// sourceOutput is what it tells: all that is in the directory, without the bytes.
type sourceOutput struct {
	Manifest json.RawMessage `json:"manifest"`
}

// Plan tells what is in the directory, as it will be.
func (d *DirectorySource) Plan(_ context.Context, v *host.View) (modules.Plan, error) {
	root, err := v.Place(d.Path, true)
	if err != nil {
		return modules.Plan{}, err
	}
	info, err := v.Lstat(root)
	switch {
	case err != nil:
		return modules.Plan{}, err
	case !info.Exists():
		return modules.Plan{}, fmt.Errorf("there is no directory %s", d.Path)
	case info.Type != host.Directory:
		return modules.Plan{}, fmt.Errorf("%s is a %s, not a directory", d.Path, info.Type)
	}
	var m modules.Manifest
	if err := listTree(v, root, "", &m); err != nil {
		return modules.Plan{}, err
	}
	data, err := m.Encode()
	if err != nil {
		return modules.Plan{}, err
	}
	out, err := host.Marshal(sourceOutput{data})
	return modules.Plan{Output: out}, err
}

// listTree adds what is below a folder of the tree.
func listTree(v *host.View, root, rel string, m *modules.Manifest) error {
	names, err := v.ReadDir(filepath.Join(root, rel))
	if err != nil {
		return err
	}
	for _, name := range names {
		e := modules.Entry{Path: filepath.Join(rel, name)}
		at := filepath.Join(root, e.Path)
		info, err := v.Lstat(at)
		if err != nil {
			return err
		}
		if !info.Exists() || strings.HasPrefix(name, ".muster-") && strings.HasSuffix(name, ".tmp") {
			continue
		}
		e.Type, e.Mode = info.Type, info.Mode&0o777
		switch info.Type {
		case host.Directory:
		case host.Symlink:
			e.Mode, e.Target = 0, info.Target
		case host.Regular:
			e.Size = info.Size
			if e.Sum, err = v.Sum(at); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is a %s: only files, directories and links can be copied", at, info.Type)
		}
		m.Entries = append(m.Entries, e)
		if info.Type == host.Directory {
			if err := listTree(v, root, e.Path, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// sourceRequest asks for files, by their paths in the directory, which are bytes.
type sourceRequest struct {
	Files [][]byte `json:"files"`
}

// Send sends files in the order in which they are asked for: the size of each, eight
// bytes, and its content. No link is followed below the directory, so that nothing else
// is ever sent.
func (d *DirectorySource) Send(ctx context.Context, _ *host.Host, request json.RawMessage, w io.Writer) error {
	var asked sourceRequest
	if err := host.Unmarshal(request, &asked); err != nil {
		return err
	}
	root, err := filepath.EvalSymlinks(d.Path)
	if err != nil {
		return err
	}
	t, err := openTree(root)
	if err != nil {
		return err
	}
	defer t.close()
	for _, name := range asked.Files {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := t.send(string(name), w); err != nil {
			return err
		}
	}
	return nil
}

// send writes one file of the tree.
func (t *tree) send(rel string, w io.Writer) error {
	if !filepath.IsLocal(rel) || filepath.Clean(rel) != rel || rel == "." {
		return fmt.Errorf("%q isn't a path in the directory", rel)
	}
	dir, base, err := t.at(rel)
	if err != nil {
		return err
	}
	e, err := dir.Entry(base)
	if err != nil {
		return err
	}
	defer e.Close()
	if e.Type() != host.Regular {
		return fmt.Errorf("%s is a %s by now", e.Path(), e.Type())
	}
	f, err := e.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := w.Write(binary.BigEndian.AppendUint64(nil, uint64(info.Size()))); err != nil {
		return err
	}
	if n, err := io.CopyN(w, f, info.Size()); errors.Is(err, io.EOF) {
		return fmt.Errorf("%s became shorter while it was sent: %d of %d bytes", e.Path(), n, info.Size())
	} else if err != nil {
		return err
	}
	return nil
}

// Companions is the host that the tree is copied from.
func (d *Directory) Companions() []modules.Companion {
	if d.FromHost == "" && !d.fromUnknown || d.State == "absent" {
		return nil
	}
	return []modules.Companion{{Host: d.FromHost, Arg: "from_host", Kind: "directory_source", Args: map[string]any{"path": d.fromPath()}, Relay: d.Relay}}
}

func (d *Directory) fromPath() string {
	if d.FromPath != "" {
		return d.FromPath
	}
	return d.Path
}

// checkFrom refuses what contradicts from_host.
func (d *Directory) checkFrom(unknown func(string) bool, wrong func(arg, detail string)) (errs []modules.ArgError) {
	d.fromUnknown = unknown("from_host")
	if d.FromHost == "" && !d.fromUnknown {
		if d.FromPath != "" {
			wrong("from_path", `"from_path" is a directory of another host: it needs "from_host".`)
		}
		if d.Relay {
			wrong("relay", `"relay" is about what another host sends: it needs "from_host".`)
		}
		return nil
	}
	if d.Source != nil {
		wrong("source", `A tree is copied from the project ("source") or from another host ("from_host"), not from both.`)
	}
	if d.FromPath != "" {
		return CheckPath("from_path", d.FromPath, unknown)
	}
	return nil
}

// theirs is the manifest of the tree that another host has.
func (d *Directory) theirs(v *host.View) (modules.Manifest, host.Content, error) {
	var said sourceOutput
	if err := v.Companion(d.FromHost, &said); err != nil {
		return modules.Manifest{}, host.Content{}, err
	}
	m, err := modules.DecodeManifest(said.Manifest)
	c := host.ContentOf(said.Manifest, false)
	c.Data = nil
	return m, c, err
}

// received is the bodies of a tree that another host sends, in the order of the items.
type received struct {
	ctx   context.Context
	h     *host.Host
	from  string
	items []TreeItem
	asked int           // items up to this one were asked for
	queue []int         // of those, whose bodies are still to come
	r     io.ReadCloser // nil: nothing was asked for
	body  *io.LimitedReader
	bytes int64 // that came
	total int64
	told  int64
}

// batch is how many files are asked for at a time.
const batch = 4000

func newReceived(ctx context.Context, h *host.Host, from string, items []TreeItem) *received {
	r := &received{ctx: ctx, h: h, from: from, items: items}
	for _, i := range items {
		if i.wantsBody() {
			r.total += i.After.Size
		}
	}
	return r
}

// wantsBody reports whether what the file holds has to be written.
func (i TreeItem) wantsBody() bool {
	return i.After.Type == host.Regular && (i.Before.Type != host.Regular || i.Before.Sum != i.After.Sum)
}

// open returns the body of the n-th item; n only grows.
func (r *received) open(n int) (io.ReadCloser, error) {
	for {
		if err := r.skip(); err != nil {
			return nil, err
		}
		if len(r.queue) == 0 {
			if err := r.ask(n); err != nil {
				return nil, err
			}
		}
		at := r.queue[0]
		r.queue = r.queue[1:]
		var head [8]byte
		if _, err := io.ReadFull(r.r, head[:]); err != nil {
			return nil, err
		}
		size := binary.BigEndian.Uint64(head[:])
		if want := r.items[at].After.Size; size != uint64(want) {
			return nil, fmt.Errorf("it has %d bytes on %s by now, and not %d: %w", size, r.from, want, host.ErrMoved)
		}
		r.body = &io.LimitedReader{R: r.r, N: int64(size)}
		if at == n {
			return host.Verified(io.NopCloser(r), host.Content{Sum: r.items[n].After.Sum, Size: int64(size)}), nil
		}
	}
}

// Read returns bytes of the file in hand.
func (r *received) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if errors.Is(err, io.EOF) && r.body.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	r.bytes += int64(n)
	if r.h.Report != nil && r.bytes-r.told >= 32<<20 {
		r.told = r.bytes
		r.h.Report(fmt.Sprintf("%d of %d MiB from %s", r.bytes>>20, r.total>>20, r.from))
	}
	return n, err
}

// skip reads what is left of the file in hand.
func (r *received) skip() error {
	if r.body == nil {
		return nil
	}
	_, err := io.Copy(io.Discard, r)
	r.body = nil
	return err
}

// ask asks for the files from the n-th item on.
func (r *received) ask(n int) error {
	if err := r.end(); err != nil {
		return err
	}
	var request sourceRequest
	for at := max(n, r.asked); at < len(r.items) && len(r.queue) < batch; at++ {
		r.asked = at + 1
		if r.items[at].wantsBody() {
			r.queue = append(r.queue, at)
			request.Files = append(request.Files, []byte(r.items[at].Path))
		}
	}
	if len(r.queue) == 0 || !slices.Contains(r.queue, n) {
		return fmt.Errorf("a fault of the kind: %q isn't asked for", r.items[n].Path)
	}
	var err error
	r.r, err = r.h.Receive(r.ctx, r.from, request)
	return err
}

// end holds that the sender has sent all that was asked for, and nothing else.
func (r *received) end() error {
	if r.r == nil {
		return nil
	}
	defer r.close()
	if err := r.skip(); err != nil {
		return err
	}
	if len(r.queue) > 0 {
		return nil // the rest isn't wanted any more
	}
	if n, err := r.r.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		if err == nil || errors.Is(err, io.EOF) {
			err = fmt.Errorf("%s sends more than it was asked for", r.from)
		}
		return err
	}
	return nil
}

func (r *received) close() {
	if r.r != nil {
		_ = r.r.Close()
		r.r = nil
	}
}
