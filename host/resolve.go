package host

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const maxLinks = 40 // as Linux has it

// resolveTries is how often a path is resolved again that somebody alters
// meanwhile.
const resolveTries = 3

// Resolve returns path with the links in its parents followed, planned ones
// included, so that two ways to one file are one key.
func (v *View) Resolve(path string) (string, error) { return v.resolve(path, walk{}) }

// Follow returns the path at the end of all links, also path's own.
func (v *View) Follow(path string) (string, error) { return v.resolve(path, walk{last: true}) }

// Place returns the path at which an edit is made, as Resolve does, and with
// last as Follow does. As root it follows links of root's alone: whoever made
// another could lead root anywhere, at any time. What it returns has no link
// on the way; OpenDir and OpenParent open it so.
func (v *View) Place(path string, last bool) (string, error) {
	return v.resolve(path, walk{last: last, strict: IsRoot()})
}

// walk is how a path is resolved.
type walk struct {
	last   bool // the link at its end is followed, too
	strict bool // links that root hasn't made are refused
}

func (v *View) resolve(path string, w walk) (at string, err error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%q is no absolute path", path)
	}
	path = filepath.Clean(path)
	if (v.preview == nil || len(v.preview.exact) == 0) && still(path, w.last) {
		return path, nil
	}
	for range resolveTries {
		if at, err = v.steps(path, w); !errors.Is(err, ErrMoved) {
			break
		}
	}
	return at, err
}

// still reports whether no link is on the way to a path of the host's.
func still(path string, last bool) bool {
	if last {
		fd, err := openStill(unix.AT_FDCWD, path, 0)
		if err == nil {
			var st unix.Stat_t
			err = unix.Fstat(fd, &st)
			_ = unix.Close(fd)
			return err == nil && typeOf(uint32(st.Mode)) != Symlink
		}
		if !errors.Is(err, unix.ENOENT) {
			return false
		}
	}
	fd, err := openStill(unix.AT_FDCWD, filepath.Dir(path), unix.O_DIRECTORY)
	if err != nil {
		return false
	}
	_ = unix.Close(fd)
	return true
}

// steps resolves a path name by name. Each is looked up at a path that has been
// found free of links, and is refused if one has come into it: an answer is
// never about another place than the one that was asked for.
func (v *View) steps(path string, w walk) (string, error) {
	rest := strings.Split(path, "/")[1:]
	at, links := "/", 0
	for i := 0; i < len(rest); i++ {
		if rest[i] == "" || rest[i] == "." {
			continue
		}
		if rest[i] == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, rest[i])
		if i == len(rest)-1 && !w.last {
			return next, nil
		}
		info, err := v.lstat(next)
		if err != nil && !errors.Is(err, ErrNotYet) {
			return "", err
		}
		if !info.Exists() {
			return filepath.Join(append([]string{next}, rest[i+1:]...)...), nil
		}
		if info.Type != Symlink {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "lstat", Path: path, Err: unix.ELOOP}
		}
		if w.strict {
			if err := v.trusted(next, info); err != nil {
				return "", err
			}
		}
		target := info.Target
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(filepath.Clean(target), "/"), rest[i+1:]...)
		i = -1
	}
	return at, nil
}

// trusted returns an error for a link that root doesn't follow: one that
// somebody else made, or a second name that somebody else may have given to
// one of root's.
func (v *View) trusted(path string, link FileInfo) error {
	if link.Owner != "root" {
		return fmt.Errorf("%s is a link that %s made: muster doesn't follow it as root; name the place it leads to (%s), or run the task as %s", path, link.Owner, link.Target, link.Owner)
	}
	if link.links < 2 {
		return nil
	}
	dir, err := v.lstat(filepath.Dir(path))
	if err == nil && dir.Owner != "root" {
		err = fmt.Errorf("%s is a second name of a link of root's, in a directory of %s: muster doesn't follow it as root; name the place it leads to (%s)", path, dir.Owner, link.Target)
	}
	return err
}
