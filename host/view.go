package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// View is a host as the changes planned so far will leave it. Everything that
// it answers about a key which a pending change leaves open is ErrNotYet.
type View struct {
	h       *Host
	preview *Preview
	cache   *viewCache
}

// viewCache holds what is worth reading once per connection. Changes drop it.
type viewCache struct {
	sums   sums
	memos  map[string]any
	memory map[string]error
}

// NewView returns the view of h on which preview is laid; a nil preview is
// the host as it is.
func NewView(h *Host, preview *Preview) *View {
	return &View{h: h, preview: preview, cache: &viewCache{memos: map[string]any{}, memory: map[string]error{}}}
}

// With returns a view of the same host, sharing what was read, on which
// another preview is laid.
func (v *View) With(preview *Preview) *View { return &View{v.h, preview, v.cache} }

// Forget drops what was read: the host has been changed.
func (v *View) Forget() { clear(v.cache.memos); clear(v.cache.memory) }

// Pending reports whether a change is planned before this one.
func (v *View) Pending() bool { return v.preview.Pending() }

// Once returns what read answers, reading once until the host is changed.
// It is for what many tasks ask alike: a package database, a list of units.
func Once[T any](v *View, name string, read func() (T, error)) (T, error) {
	if m, ok := v.cache.memos[name]; ok {
		return m.(T), v.cache.memory[name]
	}
	t, err := read()
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		v.cache.memos[name], v.cache.memory[name] = t, err
	}
	return t, err
}

// Look returns what pending changes leave at key. With ok, the host needn't
// be asked: value, nil where it is absent. Without, the host answers, and
// open says that its "absent" isn't final, so that NotYet is the answer then.
func (v *View) Look(key Key) (value json.RawMessage, ok, open bool, err error) {
	e, laid := v.preview.look(key)
	switch {
	case !laid:
		return nil, false, false, nil
	case e.State == Present:
		return e.Value, true, false, nil
	case e.State == Absent:
		return nil, true, false, nil
	case e.State == Possible:
		return nil, false, true, nil
	}
	return nil, false, false, NotYet(key)
}

// NotYet returns the ErrNotYet that names key.
func NotYet(key Key) error { return fmt.Errorf("%s is %w", key, ErrNotYet) }

// Read answers a key's value through the preview: real reads it from the host
// and returns nil where there is none. Typed readers are made of it.
func Read[T any](v *View, key Key, real func() (*T, error)) (*T, error) {
	value, ok, open, err := v.Look(key)
	if err != nil {
		return nil, err
	}
	if ok {
		if value == nil {
			return nil, nil
		}
		t := new(T)
		if err := Unmarshal(value, t); err != nil {
			return nil, fmt.Errorf("the planned value of %s: %w", key, err)
		}
		return t, nil
	}
	t, err := real()
	if err == nil && t == nil && open {
		return nil, NotYet(key)
	}
	return t, err
}

// Lstat returns what stands at path, an absolute path; links in its parents
// are followed, path itself is not.
func (v *View) Lstat(path string) (FileInfo, error) {
	path, err := v.Resolve(path)
	if err != nil {
		return FileInfo{}, err
	}
	return v.lstat(path)
}

// lstat reads a resolved path.
func (v *View) lstat(path string) (FileInfo, error) {
	if v.preview != nil && len(v.preview.exact) > 0 {
		for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
			if e, ok := v.preview.exact[File(dir)]; ok && e.State == Absent {
				if _, again := v.preview.exact[File(path)]; !again {
					return FileInfo{}, nil
				}
			}
		}
	}
	info, err := Read(v, File(path), func() (*FileInfo, error) {
		i, err := lstat(path)
		if err != nil || !i.Exists() {
			return nil, err
		}
		return &i, nil
	})
	if err != nil || info == nil {
		return FileInfo{}, err
	}
	return *info, nil
}

// Stat returns what stands at path, following links.
func (v *View) Stat(path string) (FileInfo, error) {
	path, err := v.Follow(path)
	if err != nil {
		return FileInfo{}, err
	}
	return v.lstat(path)
}

const maxLinks = 40 // as Linux has it

// Resolve returns path with the links in its parents followed, planned ones
// included, so that two ways to one file are one key.
func (v *View) Resolve(path string) (string, error) { return v.resolve(path, false) }

// Follow returns the path at the end of all links, also path's own.
func (v *View) Follow(path string) (string, error) { return v.resolve(path, true) }

func (v *View) resolve(path string, last bool) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%q is no absolute path", path)
	}
	if v.preview == nil || len(v.preview.exact) == 0 {
		// Without planned files the system's own walk answers.
		return resolveReal(path, last)
	}
	rest := strings.Split(filepath.Clean(path), "/")[1:]
	at, links := "/", 0
	for i := 0; i < len(rest); i++ {
		if rest[i] == "" {
			continue
		}
		if rest[i] == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, rest[i])
		if i == len(rest)-1 && !last {
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
			return "", &fs.PathError{Op: "lstat", Path: path, Err: syscall.ELOOP}
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

func resolveReal(path string, last bool) (string, error) {
	path = filepath.Clean(path)
	if path == "/" {
		return path, nil
	}
	if last {
		full, err := filepath.EvalSymlinks(path)
		if err == nil {
			return full, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return "", err
		}
		info, err := lstat(path)
		if err != nil {
			return "", err
		}
		if info.Type == Symlink { // dangling
			target := info.Target
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(path), target)
			}
			return resolveReal(target, false)
		}
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	switch {
	case err == nil:
		return filepath.Join(dir, filepath.Base(path)), nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		parent, err := resolveReal(filepath.Dir(path), true)
		return filepath.Join(parent, filepath.Base(path)), err
	}
	return "", err
}

// Sum returns the SHA-256 of the regular file at path, following links.
func (v *View) Sum(path string) (string, error) {
	path, err := v.Follow(path)
	if err != nil {
		return "", err
	}
	info, err := v.lstat(path)
	if err != nil {
		return "", err
	}
	if info.Type != Regular {
		return "", fmt.Errorf("%s is %s, not a file", path, article(info.Type))
	}
	if info.Sum != "" {
		return info.Sum, nil
	}
	// A planned change of attributes leaves the content, but info is then the
	// plan's and doesn't identify the file.
	if info, err = lstat(path); err != nil {
		return "", err
	}
	return v.cache.sums.sum(path, info)
}

// ReadFile returns the bytes of the regular file at path, following links. A
// file larger than limit bytes is an error.
func (v *View) ReadFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	path, err := v.Follow(path)
	if err != nil {
		return nil, err
	}
	info, err := v.lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Exists():
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	case info.Type != Regular:
		return nil, fmt.Errorf("%s is %s, not a file", path, article(info.Type))
	case info.Size > limit:
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are read", path, info.Size, limit)
	}
	if info.Sum != "" { // planned, maybe with the content that the file has already
		if real, err := lstat(path); err == nil && real.Type == Regular && real.Size == info.Size {
			if sum, err := v.cache.sums.sum(path, real); err == nil && sum == info.Sum {
				return os.ReadFile(path)
			}
		}
		return v.h.Bodies.Read(ctx, Content{Sum: info.Sum, Size: info.Size, Sensitive: info.Sensitive}, limit)
	}
	return os.ReadFile(path)
}

// ReadDir returns the names in the directory at path, sorted, those that
// pending changes put there or remove from there accounted for.
func (v *View) ReadDir(path string) ([]string, error) {
	path, err := v.Follow(path)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		names[e.Name()] = true
	}
	if v.preview != nil {
		for key, e := range v.preview.exact {
			if key.Space == Files && filepath.Dir(key.Name) == path {
				names[filepath.Base(key.Name)] = e.State != Absent
			}
		}
	}
	var list []string
	for name, there := range names {
		if there {
			list = append(list, name)
		}
	}
	sort.Strings(list)
	return list, nil
}

// Keep holds bytes made while planning, for the change that will write them.
func (v *View) Keep(data []byte, sensitive bool) Content { return v.h.Bodies.Keep(data, sensitive) }

// Body returns the bytes of content; more than limit is an error.
func (v *View) Body(ctx context.Context, c Content, limit int64) ([]byte, error) {
	return v.h.Bodies.Read(ctx, c, limit)
}

// Query runs a program that only reads. Where a key that its answer depends on
// is pending, the answer is ErrNotYet.
func (v *View) Query(ctx context.Context, c Command, reads ...Key) (Output, error) {
	for _, key := range reads {
		if err := v.open(key); err != nil {
			return Output{}, err
		}
	}
	return v.h.Runner.Run(ctx, c)
}

// open returns ErrNotYet if a pending change touches key. A name that ends in
// "*" stands for every key that begins so. What only may appear (Possible)
// leaves answers as they are: nearly every package may bring any file.
func (v *View) open(key Key) error {
	if v.preview == nil || !v.preview.pending {
		return nil
	}
	if v.preview.unknown[key.Space] {
		return NotYet(key)
	}
	prefix, many := strings.CutSuffix(key.Name, All)
	if !many {
		if _, laid := v.preview.exact[key]; laid {
			return NotYet(key)
		}
		return nil
	}
	for k := range v.preview.exact {
		if k.Space == key.Space && strings.HasPrefix(k.Name, prefix) {
			return NotYet(k)
		}
	}
	return nil
}

// article names a type of file in a sentence.
func article(t FileType) string {
	switch t {
	case NoFile:
		return "absent"
	case Regular:
		return "a regular file"
	}
	return "a " + string(t)
}
