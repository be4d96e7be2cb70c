package planfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// The folders in which a plan is laid.
const (
	laidFiles     = "files"
	laidInventory = "inventory"
)

// Laid is a plan's files in a folder. They lie below it as they lay on the
// machine where the plan was made, so that paths of one to another hold.
type Laid struct {
	Playbook  string // for lang.Load
	Root      string // for lang.Options; "" where there was no project
	Inventory string // for inventory.Load; "": localhost alone

	files string // the folder, without links in it
	dir   string // Plan.Dir
	names map[string]string
}

// Lay writes the plan's files to dir, an empty folder that nobody else can
// write to (os.MkdirTemp). Nothing is written outside it, whatever the plan
// says. The plan must have been unsealed.
func (p *Plan) Lay(dir string) (*Laid, error) {
	if p.Sealed() {
		return nil, ErrSealed
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("laying the plan: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("laying the plan: %w", err)
	}
	defer root.Close()
	l := &Laid{dir: p.Dir, names: make(map[string]string, len(p.Files))}
	if l.files, err = filepath.EvalSymlinks(dir); err == nil {
		l.files, err = filepath.Abs(filepath.Join(l.files, laidFiles))
	}
	if err != nil {
		return nil, fmt.Errorf("laying the plan: %w", err)
	}
	for _, folder := range []string{p.Dir, p.Root} {
		if err := root.MkdirAll(laidFiles+folder, 0o700); err != nil {
			return nil, fmt.Errorf("laying the plan: %w", err)
		}
	}
	for i := range p.Files {
		f := &p.Files[i]
		at := place(p.Dir, f.Name)
		l.names[filepath.Join(l.files, at)] = f.Name
		if err := f.lay(root, laidFiles+at); err != nil {
			return nil, fmt.Errorf("laying the plan: %s: %w", f.Name, err)
		}
	}
	l.Playbook = l.Place(p.Playbook)
	if p.Root != "" {
		l.Root = l.Place(p.Root)
	}
	if len(p.Inventory) > 0 {
		l.Inventory = filepath.Join(filepath.Dir(l.files), laidInventory)
	}
	for i, data := range p.Inventory {
		if err := layFile(root, inventoryEntry(i), 0o600, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
			return nil, fmt.Errorf("laying the plan: the inventory: %w", err)
		}
	}
	return l, nil
}

// lay writes one file. Nothing is written through a link: check refuses what
// lies below one, and root what leads outside.
func (f *File) lay(root *os.Root, at string) error {
	switch f.Type {
	case Directory:
		return root.MkdirAll(at, 0o700)
	case Symlink:
		if err := root.MkdirAll(path.Dir(at), 0o700); err != nil {
			return err
		}
		return root.Symlink(f.Target, at)
	}
	mode := os.FileMode(0o600)
	if f.Exec {
		mode = 0o700
	}
	return layFile(root, at, mode, func(w io.Writer) error {
		r, err := f.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		h := sha256.New()
		if _, err = io.Copy(io.MultiWriter(w, h), r); err != nil {
			return err
		}
		if f.Sum != "" && hex.EncodeToString(h.Sum(nil)) != f.Sum {
			return fmt.Errorf("its bytes are others than the plan's: %w", ErrEdited)
		}
		return nil
	})
}

func layFile(root *os.Root, at string, mode os.FileMode, fill func(io.Writer) error) error {
	if err := root.MkdirAll(path.Dir(at), 0o700); err != nil {
		return err
	}
	w, err := root.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if err := fill(w); err != nil {
		_ = w.Close() // what failed says more
		return err
	}
	return w.Close()
}

// Place returns where the file of a name lies, or would lie: name is a path as
// the playbook means it, absolute or relative to Plan.Dir. A path that leads
// outside through a link is one at which there is nothing.
func (l *Laid) Place(name string) string {
	at := filepath.Join(l.files, place(l.dir, filepath.Clean(name)))
	if real, err := filepath.EvalSymlinks(at); err == nil && real != l.files && !strings.HasPrefix(real, l.files+"/") {
		return filepath.Join(filepath.Dir(l.files), "outside")
	}
	return at
}

// Name is the inverse of Place, for messages: the name that the file at path
// had where the plan was made. Another path is returned as it is.
func (l *Laid) Name(path string) string {
	abs, err := filepath.Abs(path) // lang shortens what lies below the working directory
	if err != nil {
		return path
	}
	if name, ok := l.names[abs]; ok {
		return name
	}
	at, ok := strings.CutPrefix(abs, l.files+"/")
	if !ok {
		return path
	}
	at = "/" + at
	if rel, ok := strings.CutPrefix(at, strings.TrimSuffix(l.dir, "/")+"/"); ok {
		return rel
	}
	return at
}

// Text puts names in the place of paths in a message.
func (l *Laid) Text(message string) string {
	base := strings.TrimSuffix(l.files+l.dir, "/") + "/"
	return strings.ReplaceAll(strings.ReplaceAll(message, base, ""), l.files+"/", "/")
}
