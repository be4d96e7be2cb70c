// Package files reads the files of a project, those of its roles and those that come with
// muster, once each, and notes which of them a playbook uses.
package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"muster/host"
	"muster/internal/hclguard"
)

// Folder is where the relative paths of a file begin: a folder on this
// machine, or one of the embedded roles.
type Folder struct {
	Embedded fs.FS  // nil: this machine's files
	Dir      string // within embedded, with slashes
	Role     bool   // its files/ and templates/ come first
}

// File is a file found by a path of the playbook.
type File struct {
	Embedded fs.FS
	Path     string
	Name     string // as messages give it
}

// Stat tells about the file.
func (f File) Stat() (fs.FileInfo, error) {
	if f.Embedded != nil {
		return fs.Stat(f.Embedded, f.Path)
	}
	return os.Stat(f.Path)
}

// Read reads all of it.
func (f File) Read() ([]byte, error) {
	if f.Embedded != nil {
		return fs.ReadFile(f.Embedded, f.Path)
	}
	return os.ReadFile(f.Path)
}

// readText reads what is to be parsed. Of what is larger than the parser takes
// it reads no more than shows that.
func (f File) readText() ([]byte, error) {
	if f.Embedded != nil {
		return fs.ReadFile(f.Embedded, f.Path)
	}
	r, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, hclguard.MaxBytes+1))
}

func embeddedName(p string) string { return "embedded:roles/" + p }

// At returns the file at a path without looking whether it exists.
func (d Folder) At(p string) File {
	if d.Embedded != nil && !filepath.IsAbs(p) {
		full := path.Join(d.Dir, p)
		return File{Embedded: d.Embedded, Path: full, Name: embeddedName(full)}
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(d.Dir, p)
	}
	return File{Path: p, Name: p}
}

// Find returns the file that a path means: a role's is looked for in its
// folder sub ("files", "templates") first. Where there is none, the error is a
// *Missing.
func (x *Reader) Find(d Folder, p, sub string) (f File, info fs.FileInfo, err error) {
	var tried []string
	candidates := []string{p}
	if d.Role && !filepath.IsAbs(p) {
		candidates = []string{path.Join(sub, p), p}
	}
	for _, c := range candidates {
		f = x.At(d, c)
		if info, err = f.Stat(); err == nil {
			x.uses(f, info)
			return f, info, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
			return f, nil, fmt.Errorf("reading %s: %w", f.Name, PlainError(err))
		}
		tried = append(tried, f.Name)
	}
	return f, nil, &Missing{tried: tried}
}

// Missing is the error where no file is at a path.
type Missing struct{ tried []string }

func (m *Missing) Error() string { return "there is no " + strings.Join(m.tried, " and no ") }

// PlainError leaves out the path that the message names already.
func PlainError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Neighbours returns the names in the folder where a missing path should be.
func (x *Reader) Neighbours(d Folder, p, sub string) []string {
	var names []string
	dirs := []string{path.Dir(p)}
	if d.Role {
		dirs = append(dirs, path.Join(sub, path.Dir(p)))
	}
	for _, dir := range dirs {
		f := x.At(d, dir)
		var entries []fs.DirEntry
		if f.Embedded != nil {
			entries, _ = fs.ReadDir(f.Embedded, f.Path)
		} else {
			entries, _ = os.ReadDir(f.Path)
		}
		for _, e := range entries {
			names = append(names, path.Join(path.Dir(p), e.Name()))
		}
	}
	return names
}

// Reader reads the project's files once each. It is safe for concurrent use.
type Reader struct {
	root  string              // resolved; functions read nothing outside it; "": no limit
	place func(string) string // where the file of an absolute path lies; nil: there

	mu    sync.Mutex
	texts map[string][]byte // that were read, by name
	order map[string]int    // of texts
	sums  map[identity]hashed
	trees map[string]*tree
	found map[string]*Used // by name
}

type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64
	embeddedName string
}

type hashed struct {
	content host.Content
	data    []byte // of embedded files
}

// New reads the files of a project's folder; place says where those of absolute paths lie,
// nil: there.
func New(root string, place func(string) string) *Reader {
	if root != "" {
		if abs, err := filepath.Abs(root); err == nil {
			root = abs
		}
		if real, err := filepath.EvalSymlinks(root); err == nil {
			root = real
		}
	}
	return &Reader{
		root: root, place: place, found: map[string]*Used{}, texts: map[string][]byte{}, order: map[string]int{},
		sums: map[identity]hashed{}, trees: map[string]*tree{},
	}
}

// Source reads a text file once, and remembers it for diagnostics.
func (x *Reader) Source(f File) ([]byte, error) {
	x.mu.Lock()
	data, ok := x.texts[f.Name]
	x.mu.Unlock()
	if ok {
		return data, nil
	}
	data, err := f.readText()
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.texts[f.Name] = data
	x.order[f.Name] = len(x.order)
	return data, nil
}

// Inside refuses a file outside the project.
func (x *Reader) Inside(f File) error {
	if f.Embedded != nil || x.root == "" {
		return nil
	}
	abs, err := filepath.Abs(f.Path)
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	if abs != x.root && !strings.HasPrefix(abs, strings.TrimSuffix(x.root, "/")+"/") {
		return fmt.Errorf("%s lies outside the project, and functions read only its files", f.Name)
	}
	return nil
}

// Content returns the content of a file and the body behind it. A file is
// hashed once, as long as it stays what it was.
func (x *Reader) Content(f File, info fs.FileInfo, sensitive bool) (host.Content, Body, error) {
	id := identityOf(f, info)
	x.mu.Lock()
	h, ok := x.sums[id]
	x.mu.Unlock()
	if !ok {
		var err error
		if h, err = hash(f, info); err != nil {
			return host.Content{}, Body{}, err
		}
		x.mu.Lock()
		x.sums[id] = h
		x.mu.Unlock()
	}
	c := h.content
	c.Sensitive = sensitive
	if f.Embedded == nil {
		x.mu.Lock()
		u := x.use(f)
		u.Sum, u.Sensitive = c.Sum, u.Sensitive || sensitive
		x.mu.Unlock()
	}
	body := Body{Sum: c.Sum, Size: c.Size, Path: f.Path}
	if f.Embedded != nil {
		body.Path, body.Data = "", h.data
	}
	return c, body, nil
}

func identityOf(f File, info fs.FileInfo) identity {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && f.Embedded == nil {
		return identity{dev: uint64(st.Dev), ino: st.Ino, size: st.Size, mtime: info.ModTime().UnixNano(), ctime: host.StatusChanged(info).UnixNano()}
	}
	return identity{embeddedName: f.Name, size: info.Size()}
}

func hash(f File, info fs.FileInfo) (hashed, error) {
	if f.Embedded != nil || info.Size() <= host.InlineLimit {
		data, err := f.Read()
		if err != nil {
			return hashed{}, err
		}
		c := host.ContentOf(data, false)
		if c.Size > host.InlineLimit {
			c.Data = nil
		}
		return hashed{content: c, data: data}, nil
	}
	r, err := os.Open(f.Path)
	if err != nil {
		return hashed{}, err
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err != nil {
		return hashed{}, err
	}
	return hashed{content: host.Content{Sum: hex.EncodeToString(sum.Sum(nil)), Size: n}}, nil
}

// Sources are the texts that have been read, by the name that ranges give.
func (x *Reader) Sources() map[string][]byte { return x.texts }

// InOrder says in which order they were read first.
func (x *Reader) InOrder() map[string]int { return x.order }

// Placed reports whether files of absolute paths lie elsewhere.
func (x *Reader) Placed() bool { return x.place != nil }
