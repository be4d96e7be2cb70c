// Package copies keeps copies of hosts' files in a folder of the project.
//
// A copy is TO/HOST/PATH, and nothing leads out of TO/HOST: no "..", and no link, whoever
// has made it. It is replaced in one step, and only its owner may read it.
package copies

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"muster/host"
)

// Place is where a copy is.
type Place struct {
	Project string // its folder
	To      string // a folder in it, as the task has it
	Host    string // as the inventory has it
	Path    string // absolute, on the host
}

// Name is the copy's path from the project's folder, with slashes.
func (p Place) Name() string { return path.Join(p.To, p.Host, p.Path) }

// open opens the folder that the copy is in, and makes it where make says so.
func (p Place) open(make bool) (dir *os.Root, name string, err error) {
	if p.Project == "" {
		return nil, "", fmt.Errorf("%q is to be a folder of the project, and there is none: make a muster.hcl where it begins", p.To)
	}
	if !filepath.IsLocal(p.Host) || strings.ContainsAny(p.Host, `/\`) || p.Host == "." {
		return nil, "", fmt.Errorf("a host that is called %q can have no folder", p.Host)
	}
	at := strings.TrimPrefix(path.Clean("/"+p.Path), "/")
	if at == "" {
		return nil, "", fmt.Errorf("%q names no file", p.Path)
	}
	if dir, err = os.OpenRoot(p.Project); err != nil {
		return nil, "", err
	}
	for _, sub := range []string{p.To, p.Host, path.Dir(at)} {
		if make {
			err = dir.MkdirAll(sub, 0o700)
		}
		if info, bad := dir.Lstat(sub); sub == p.Host && bad == nil && info.Mode()&fs.ModeSymlink != 0 {
			err = errors.New("it is a link, which may lead to another host's")
		}
		var next *os.Root
		if err == nil {
			next, err = dir.OpenRoot(sub)
		}
		_ = dir.Close()
		if err != nil {
			return nil, "", fmt.Errorf("the folder of the copy %s: %w", p.Name(), err)
		}
		dir = next
	}
	return dir, path.Base(at), nil
}

// Look returns what the copy is, with its data where that is no larger than limit.
func (p Place) Look(limit int64) (host.Copy, error) {
	c := host.Copy{Path: p.Name()}
	dir, name, err := p.open(false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return c, err
	}
	defer dir.Close()
	f, err := p.file(dir, name)
	if f == nil || err != nil {
		return c, err
	}
	defer f.Close()
	head := &prefix{limit: limit}
	sum := sha256.New()
	if c.Size, err = io.Copy(io.MultiWriter(sum, head), f); err != nil {
		return c, fmt.Errorf("reading %s: %w", p.Name(), err)
	}
	c.Sum = hex.EncodeToString(sum.Sum(nil))
	if c.Size <= limit {
		c.Data = head.data
	}
	return c, nil
}

// file opens the copy; nil where there is none. Anything else in its place is an error.
func (p Place) file(dir *os.Root, name string) (*os.File, error) {
	info, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", p.Name(), err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is in the way: it isn't a file", p.Name())
	}
	return dir.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// prefix keeps what is written to it, up to a limit.
type prefix struct {
	limit int64
	data  []byte
}

func (p *prefix) Write(b []byte) (int, error) {
	if room := p.limit - int64(len(p.data)); room > 0 {
		p.data = append(p.data, b[:min(room, int64(len(b)))]...)
	}
	return len(b), nil
}

// New is what is to replace a copy. It is one, or nothing is left of it.
type New struct {
	place Place
	dir   *os.Root
	name  string
	temp  string
	f     *os.File
	sum   hash.Hash
	size  int64
}

// Create begins what is to replace the copy.
func (p Place) Create() (*New, error) {
	dir, name, err := p.open(true)
	if err != nil {
		return nil, err
	}
	old, err := p.file(dir, name) // what is in the way stays
	if old != nil {
		_ = old.Close()
	}
	n := &New{place: p, dir: dir, name: name, sum: sha256.New()}
	if err == nil {
		err = sweep(dir)
	}
	if err == nil {
		err = n.begin()
	}
	if err != nil {
		_ = dir.Close()
		return nil, err
	}
	return n, nil
}

// unfinished is how the names of what is to replace copies begin.
const unfinished = ".muster-"

// begin makes the file. Whoever makes one has it locked, so that it is told from one that was
// left by a muster which was killed.
func (n *New) begin() error {
	for {
		n.temp = unfinished + rand.Text()
		f, err := n.dir.OpenFile(n.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		// Where the file system knows no locks, nobody gets one, and nothing is removed.
		if _, gone := n.dir.Lstat(n.temp); !errors.Is(err, syscall.EWOULDBLOCK) && gone == nil {
			n.f = f
			return nil
		}
		_ = f.Close() // another run has taken it for one that was left
	}
}

// sweep removes what musters that were killed have left in a folder.
func sweep(dir *os.Root) error {
	names, err := fs.ReadDir(dir.FS(), ".")
	for _, e := range names {
		if !strings.HasPrefix(e.Name(), unfinished) || len(e.Name()) != len(unfinished+rand.Text()) || !e.Type().IsRegular() {
			continue
		}
		f, err := dir.OpenFile(e.Name(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue // it has gone meanwhile
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = dir.Remove(e.Name())
		}
		_ = f.Close()
	}
	return err
}

// Write adds to it, up to host.CopyLimit in all.
func (n *New) Write(b []byte) (int, error) {
	if n.size += int64(len(b)); n.size > host.CopyLimit {
		return 0, fmt.Errorf("more than %d MiB", host.CopyLimit>>20)
	}
	n.sum.Write(b)
	return n.f.Write(b)
}

// Keep puts it in the copy's place, if it has the SHA-256 that is told, and ends it.
func (n *New) Keep(sum string) error {
	defer n.Drop()
	if is := hex.EncodeToString(n.sum.Sum(nil)); is != sum {
		return fmt.Errorf("what came for %s has the SHA-256 %.12s, not %.12s", n.place.Name(), is, sum)
	}
	if err := n.f.Sync(); err != nil {
		return err
	}
	if err := n.dir.Rename(n.temp, n.name); err != nil {
		return err
	}
	n.temp = ""
	d, err := n.dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Drop ends it, and leaves the copy as it is. Called again, or after Keep, it does nothing.
func (n *New) Drop() {
	if n.f == nil {
		return
	}
	_ = n.f.Close()
	if n.temp != "" {
		_ = n.dir.Remove(n.temp)
	}
	_ = n.dir.Close()
	n.f = nil
}
