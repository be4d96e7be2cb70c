package lang

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

// folder is where the relative paths of a file begin: a folder on this
// machine, or one of the embedded roles.
type folder struct {
	embedded fs.FS  // nil: this machine's files
	dir      string // within embedded, with slashes
	role     bool   // its files/ and templates/ come first
}

// localFile is a file found by a path of the playbook.
type localFile struct {
	embedded fs.FS
	path     string
	name     string // as messages give it
}

// stat tells about the file.
func (f localFile) stat() (fs.FileInfo, error) {
	if f.embedded != nil {
		return fs.Stat(f.embedded, f.path)
	}
	return os.Stat(f.path)
}

// read reads all of it.
func (f localFile) read() ([]byte, error) {
	if f.embedded != nil {
		return fs.ReadFile(f.embedded, f.path)
	}
	return os.ReadFile(f.path)
}

// readText reads what is to be parsed. Of what is larger than the parser takes
// it reads no more than shows that.
func (f localFile) readText() ([]byte, error) {
	if f.embedded != nil {
		return fs.ReadFile(f.embedded, f.path)
	}
	r, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, hclguard.MaxBytes+1))
}

func embeddedName(p string) string { return "embedded:roles/" + p }

// at returns the file at a path without looking whether it exists.
func (d folder) at(p string) localFile {
	if d.embedded != nil && !filepath.IsAbs(p) {
		full := path.Join(d.dir, p)
		return localFile{embedded: d.embedded, path: full, name: embeddedName(full)}
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(d.dir, p)
	}
	return localFile{path: p, name: p}
}

// find returns the file that a path means: a role's is looked for in its
// folder sub ("files", "templates") first. Where there is none, the error is a
// *missingFile.
func (x *files) find(d folder, p, sub string) (f localFile, info fs.FileInfo, err error) {
	var tried []string
	candidates := []string{p}
	if d.role && !filepath.IsAbs(p) {
		candidates = []string{path.Join(sub, p), p}
	}
	for _, c := range candidates {
		f = x.at(d, c)
		if info, err = f.stat(); err == nil {
			x.uses(f, info)
			return f, info, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
			return f, nil, fmt.Errorf("reading %s: %w", f.name, plainPathError(err))
		}
		tried = append(tried, f.name)
	}
	return f, nil, &missingFile{tried: tried}
}

// missingFile is the error where no file is at a path.
type missingFile struct{ tried []string }

func (m *missingFile) Error() string { return "there is no " + strings.Join(m.tried, " and no ") }

// plainPathError leaves out the path that the message names already.
func plainPathError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// neighbours returns the names in the folder where a missing path should be.
func (x *files) neighbours(d folder, p, sub string) []string {
	var names []string
	dirs := []string{path.Dir(p)}
	if d.role {
		dirs = append(dirs, path.Join(sub, path.Dir(p)))
	}
	for _, dir := range dirs {
		f := x.at(d, dir)
		var entries []fs.DirEntry
		if f.embedded != nil {
			entries, _ = fs.ReadDir(f.embedded, f.path)
		} else {
			entries, _ = os.ReadDir(f.path)
		}
		for _, e := range entries {
			names = append(names, path.Join(path.Dir(p), e.Name()))
		}
	}
	return names
}

// files reads the project's files once each. It is safe for concurrent use.
type files struct {
	root  string              // resolved; functions read nothing outside it; "": no limit
	place func(string) string // where the file of an absolute path lies; nil: there

	mu    sync.Mutex
	texts map[string][]byte // that were read, by name
	order map[string]int    // of texts
	sums  map[identity]hashed
	trees map[string]*tree
	found map[string]*UsedFile // by name
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

// newFiles reads the files of a project's folder; place says where those of absolute paths lie,
// nil: there.
func newFiles(root string, place func(string) string) *files {
	if root != "" {
		if abs, err := filepath.Abs(root); err == nil {
			root = abs
		}
		if real, err := filepath.EvalSymlinks(root); err == nil {
			root = real
		}
	}
	return &files{
		root: root, place: place, found: map[string]*UsedFile{}, texts: map[string][]byte{}, order: map[string]int{},
		sums: map[identity]hashed{}, trees: map[string]*tree{},
	}
}

// source reads a text file once, and remembers it for diagnostics.
func (x *files) source(f localFile) ([]byte, error) {
	x.mu.Lock()
	data, ok := x.texts[f.name]
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
	x.texts[f.name] = data
	x.order[f.name] = len(x.order)
	return data, nil
}

// inside refuses a file outside the project.
func (x *files) inside(f localFile) error {
	if f.embedded != nil || x.root == "" {
		return nil
	}
	abs, err := filepath.Abs(f.path)
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	if abs != x.root && !strings.HasPrefix(abs, strings.TrimSuffix(x.root, "/")+"/") {
		return fmt.Errorf("%s lies outside the project, and functions read only its files", f.name)
	}
	return nil
}

// content returns the content of a file and the body behind it. A file is
// hashed once, as long as it stays what it was.
func (x *files) content(f localFile, info fs.FileInfo, sensitive bool) (host.Content, Body, error) {
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
	if f.embedded == nil {
		x.mu.Lock()
		u := x.use(f)
		u.Sum, u.Sensitive = c.Sum, u.Sensitive || sensitive
		x.mu.Unlock()
	}
	body := Body{Sum: c.Sum, Size: c.Size, Path: f.path}
	if f.embedded != nil {
		body.Path, body.Data = "", h.data
	}
	return c, body, nil
}

func identityOf(f localFile, info fs.FileInfo) identity {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && f.embedded == nil {
		return identity{dev: uint64(st.Dev), ino: st.Ino, size: st.Size, mtime: info.ModTime().UnixNano(), ctime: host.StatusChanged(info).UnixNano()}
	}
	return identity{embeddedName: f.name, size: info.Size()}
}

func hash(f localFile, info fs.FileInfo) (hashed, error) {
	if f.embedded != nil || info.Size() <= host.InlineLimit {
		data, err := f.read()
		if err != nil {
			return hashed{}, err
		}
		c := host.ContentOf(data, false)
		if c.Size > host.InlineLimit {
			c.Data = nil
		}
		return hashed{content: c, data: data}, nil
	}
	r, err := os.Open(f.path)
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

// sources are the texts that have been read, by the name that ranges give.
func (x *files) sources() map[string][]byte { return x.texts }

// inOrder says in which order they were read first.
func (x *files) inOrder() map[string]int { return x.order }

// placed reports whether files of absolute paths lie elsewhere.
func (x *files) placed() bool { return x.place != nil }
