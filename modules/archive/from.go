package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"muster/host"
	"muster/modules/web"
)

// from is an archive that was found, and where it is read.
type from struct {
	id    string // tells one archive from another
	name  string // for people
	stamp string // of a file on the host

	content *host.Content // of the project
	path    string        // on the host, resolved
	source  web.Source    // of a web server
	want    web.Wanted
}

// find finds out which archive it is that is to be unpacked. was is what was unpacked last.
func (a *Archive) find(ctx context.Context, v *host.View, was *note) (*from, error) {
	switch {
	case a.Source != nil:
		return &from{id: "sha256:" + a.Source.Sum, name: fmt.Sprintf("an archive of the project, sha256 %.12s…", a.Source.Sum), content: a.Source}, nil
	case a.URL != "":
		want, err := a.source().Want(ctx, v)
		if err != nil {
			return nil, err
		}
		f := &from{name: a.source().Name(), source: a.source(), want: want}
		if f.id = "sum:" + want.Sum; want.Sum == "" {
			address := sha256.Sum256([]byte(a.URL))
			f.id = fmt.Sprintf("web:%x:%d:%d", address[:8], want.Size, want.Modified.Unix())
		}
		return f, nil
	}
	path, err := v.Place(a.FromPath, true)
	if err != nil {
		return nil, err
	}
	info, err := v.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Exists():
		return nil, fmt.Errorf("there is no archive %s on this host, and no earlier task brings one", a.FromPath)
	case info.Type != host.Regular:
		return nil, fmt.Errorf("%s is a %s, not an archive", a.FromPath, info.Type)
	}
	f := &from{name: a.FromPath, path: path, stamp: info.Stamp()}
	if was != nil && f.stamp != "" && f.stamp == was.Stamp {
		f.id = was.Archive
		return f, nil
	}
	sum, err := v.Sum(path)
	f.id = "sha256:" + sum
	return f, err
}

// read has the archive taken by what take does with its reader, which may be called again.
// The reader fails at its end where the archive isn't the one that was found.
func (f *from) read(ctx context.Context, h *host.Host, take func(r io.Reader) error) error {
	switch {
	case f.content != nil:
		r, err := h.Bodies.Open(ctx, *f.content)
		if err != nil {
			return err
		}
		defer r.Close()
		return take(r)
	case f.path == "":
		return f.source.Fetch(ctx, f.want, func(ctx context.Context, open web.Opener) error {
			r, _, err := open(ctx)
			if err != nil {
				return err
			}
			defer r.Close()
			return take(r)
		})
	}
	dir, name, err := host.OpenParent(f.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	e, err := dir.Entry(name)
	if err != nil {
		return err
	}
	defer e.Close()
	file, err := e.Open()
	if err != nil {
		return err
	}
	defer file.Close()
	return take(&summed{r: file, want: f.id, path: f.path})
}

// summed fails at its end where a file has another sum than it had while planning.
type summed struct {
	r   io.Reader
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
	want, path string
}

func (s *summed) Read(p []byte) (int, error) {
	if s.sum == nil {
		s.sum = sha256.New()
	}
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	if err == io.EOF && "sha256:"+hex.EncodeToString(s.sum.Sum(nil)) != s.want {
		return n, fmt.Errorf("%s: %w", s.path, host.ErrMoved)
	}
	return n, err
}

// item is one thing in an archive.
type item struct {
	name     string
	typ      host.FileType
	mode     host.Mode
	size     int64
	modified time.Time
	target   string // of a link
	hard     bool   // target is the name of a file in the archive
	refused  string // why it can't be unpacked: what it is
	body     func() (io.ReadCloser, error)
}
