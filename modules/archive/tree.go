package archive

import (
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"strings"
	"time"

	"muster/host"
)

// tree is a directory that an archive is unpacked in. Nobody but its owner can enter it until
// it is complete, and everything in it is reached from the open directory, without links.
type tree struct {
	root     *host.Dir
	dir      *host.Dir // the directory that was used last
	at       string    // its name
	strip    int
	most     limits
	mode     *host.ModeSpec
	uid, gid int // -1: whoever unpacks

	types map[string]host.FileType // what there is by now
	dirs  map[string]item          // whose permissions and times are set in the end
	size  int64
	named int // things in the archive, also what is stripped off
}

// errNames are names and links that would leave the directory.
var errNames = errors.New("nothing is unpacked of such an archive")

// local is a name in the archive without what is stripped off; "" where nothing is left, and
// "." for the directory itself.
func (t *tree) local(name string) (string, error) {
	switch {
	case strings.ContainsRune(name, 0):
		return "", fmt.Errorf("the name %q has a NUL: %w", name, errNames)
	case strings.HasPrefix(name, "/"):
		return "", fmt.Errorf("the name %q is absolute: %w", name, errNames)
	}
	var parts []string
	for _, part := range strings.Split(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return "", fmt.Errorf("the name %q leads out of a directory: %w", name, errNames)
		default:
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 && t.strip == 0 {
		return ".", nil
	}
	if len(parts) <= t.strip {
		return "", nil
	}
	return strings.Join(parts[t.strip:], "/"), nil
}

// inside refuses a link, of a name in the tree, that leads out of it: where it goes up first
// and no further than the tree's top, what follows are names in the tree, and those of links
// are refused likewise.
func inside(name, target string) error {
	up := strings.Count(name, "/")
	down := false
	for _, part := range strings.Split(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if up--; up < 0 || down {
				return fmt.Errorf("the link %q leads out of the directory, or may: to %q: %w", name, target, errNames)
			}
		default:
			down = true
		}
	}
	if target == "" || strings.HasPrefix(target, "/") {
		return fmt.Errorf("the link %q leads out of the directory: to %q: %w", name, target, errNames)
	}
	return nil
}

// add unpacks one thing.
func (t *tree) add(i item) error {
	if t.named++; t.named > t.most.files {
		return fmt.Errorf("%w than %d things: raise max_files if that is right", errTooMuch, t.most.files)
	}
	name, err := t.local(i.name)
	if err != nil || name == "" {
		return err
	}
	if i.refused != "" {
		return fmt.Errorf("%q is %s: %w", i.name, i.refused, errNames)
	}
	if name == noteName {
		return nil // of a tree that muster had unpacked
	}
	if name == "." {
		if i.typ != host.Directory {
			return fmt.Errorf("%q is no name of a %s: %w", i.name, i.typ, errNames)
		}
		return nil
	}
	if err := t.parents(name); err != nil {
		return err
	}
	dir, base, err := t.open(name)
	if err != nil {
		return err
	}
	if was := t.types[name]; was != host.NoFile {
		if was == host.Directory && i.typ == host.Directory {
			t.dirs[name] = i
			return nil
		}
		if was == host.Directory || i.typ == host.Directory {
			return fmt.Errorf("%q is there twice, as a directory and as something else: %w", name, errNames)
		}
		if err := dir.Remove(base); err != nil { // the last of a name counts, as with tar
			return err
		}
		delete(t.types, name)
	}
	switch {
	case i.typ == host.Directory:
		err = t.makeDir(dir, base, name, i)
	case i.typ == host.Symlink:
		err = t.makeLink(dir, base, name, i)
	case i.hard:
		err = t.makeName(dir, base, name, i)
	default:
		err = t.makeFile(dir, base, i)
	}
	if err != nil {
		return err
	}
	t.types[name] = i.typ
	return nil
}

// parents makes the directories that a name lies in, where the archive hasn't named them.
func (t *tree) parents(name string) error {
	parent := path.Dir(name)
	if parent == "." {
		return nil
	}
	switch t.types[parent] {
	case host.Directory:
		return nil
	case host.NoFile:
	default:
		return fmt.Errorf("%q lies below %q, which is a %s: %w", name, parent, t.types[parent], errNames)
	}
	if err := t.parents(parent); err != nil {
		return err
	}
	dir, base, err := t.open(parent)
	if err != nil {
		return err
	}
	if err := t.makeDir(dir, base, parent, item{typ: host.Directory, mode: 0o755}); err != nil {
		return err
	}
	t.types[parent] = host.Directory
	return nil
}

// open returns the open directory that a name lies in, and its last part.
func (t *tree) open(name string) (*host.Dir, string, error) {
	parent := path.Dir(name)
	if t.dir == nil || t.at != parent {
		d, err := t.root.Sub(parent)
		if err != nil {
			return nil, "", err
		}
		t.dir.Close()
		t.dir, t.at = d, parent
	}
	return t.dir, path.Base(name), nil
}

func (t *tree) makeDir(dir *host.Dir, base, name string, i item) error {
	e, err := dir.MakeDir(base)
	if err != nil {
		return err
	}
	e.Close()
	t.dirs[name] = i
	return nil
}

func (t *tree) makeLink(dir *host.Dir, base, name string, i item) error {
	if err := inside(name, i.target); err != nil {
		return err
	}
	e, err := dir.MakeLink(i.target, base)
	if err != nil {
		return err
	}
	defer e.Close()
	return e.Chown(t.uid, t.gid)
}

// makeName gives a file that was unpacked before a second name.
func (t *tree) makeName(dir *host.Dir, base, name string, i item) error {
	target, err := t.local(i.target)
	if err != nil {
		return err
	}
	if t.types[target] != host.Regular {
		return fmt.Errorf("%q is a second name of %q, which is no file that the archive has before it: %w", name, i.target, errNames)
	}
	in, err := t.root.Sub(path.Dir(target))
	if err != nil {
		return err
	}
	defer in.Close()
	e, err := in.Entry(path.Base(target))
	if err != nil {
		return err
	}
	defer e.Close()
	if e.Type() != host.Regular {
		return fmt.Errorf("%s: %w", e.Path(), host.ErrMoved)
	}
	return dir.Link(e, base)
}

func (t *tree) makeFile(dir *host.Dir, base string, i item) error {
	if i.size < 0 || i.size > t.most.size-t.size {
		return t.most.tooLarge()
	}
	r, err := i.body()
	if err != nil {
		return fmt.Errorf("%s: %w", i.name, err)
	}
	defer r.Close()
	f, err := dir.Create(base)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(f, io.LimitReader(r, i.size+1))
	t.size += n
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", i.name, err)
	case n > i.size:
		return fmt.Errorf("%s has more than the %d bytes that it is said to have: %w", i.name, i.size, errNames)
	}
	e, err := host.Opened(f)
	if err != nil {
		return err
	}
	defer e.Close()
	return t.give(e, i)
}

// give gives a thing its owner, permissions and time.
func (t *tree) give(e *host.Entry, i item) error {
	mode := i.mode & 0o755
	if i.typ == host.Directory {
		mode |= 0o700
	}
	if t.mode != nil {
		mode = t.mode.Apply(mode, i.typ == host.Directory)
	}
	err := e.Chown(t.uid, t.gid)
	if err == nil {
		err = e.Chmod(mode)
	}
	if err == nil && !i.modified.IsZero() && i.modified.After(time.Unix(0, 0)) {
		err = e.SetModified(i.modified)
	}
	return err
}

// finish gives directories their permissions and times, the innermost first: by then nothing
// in them changes any more.
func (t *tree) finish() error {
	names := make([]string, 0, len(t.dirs))
	for name := range t.dirs {
		names = append(names, name)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(names)))
	for _, name := range names {
		dir, base, err := t.open(name)
		if err != nil {
			return err
		}
		e, err := dir.Entry(base)
		if err != nil {
			return err
		}
		err = t.give(e, t.dirs[name])
		e.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) close() { t.dir.Close() }
