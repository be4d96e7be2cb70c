package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"net/netip"
	"path/filepath"
	"sort"
	"strings"
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

// Behind returns the view on which effects are laid besides.
func (v *View) Behind(effects []Effect) *View {
	preview := &Preview{}
	if v.preview != nil {
		preview = v.preview.Clone()
	}
	preview.Lay(effects)
	return v.With(preview)
}

// Forget drops what was read: the host has been changed.
func (v *View) Forget() { clear(v.cache.memos); clear(v.cache.memory) }

// HostName is what the inventory calls the host, "" where that isn't known. It needn't be
// the name that the host has for itself.
func (v *View) HostName() string { return v.h.Name }

// Origin is where whoever has logged in comes from, as the host sees it; invalid where that
// isn't known.
func (v *View) Origin() netip.Addr { return v.h.Origin }

// Pending reports whether a change is planned before this one.
func (v *View) Pending() bool { return v.preview.Pending() }

// RunName is the name of the run that asks, "" where it has none: it only plans.
func (v *View) RunName() string { return v.h.RunName }

// Tainted reports whether a change planned before this one may alter anything at
// all, such as an unguarded command: what is missing may be what it brings.
func (v *View) Tainted() bool { return v.preview.Tainted() }

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
	v.asked(key)
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

func (v *View) asked(key Key) {
	if v.h.Asked != nil {
		v.h.Asked(key)
	}
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

// LstatBelow is Lstat for a path on which no link stands: one that was resolved, with
// names of directories behind it that Lstat has found to be such, or that don't exist.
func (v *View) LstatBelow(path string) (FileInfo, error) { return v.lstat(path) }

// SumBelow returns the SHA-256 of a regular file that LstatBelow has returned for the path.
func (v *View) SumBelow(path string, info FileInfo) (string, error) { return v.sumOf(path, info) }

// lstat reads a resolved path.
func (v *View) lstat(path string) (FileInfo, error) {
	if v.preview != nil && len(v.preview.exact) > 0 {
		if _, laid := v.preview.exact[File(path)]; !laid && v.emptied(filepath.Dir(path)) {
			if v.preview.brings(File(path)) {
				return FileInfo{}, NotYet(File(path))
			}
			return FileInfo{}, nil
		}
	}
	info, err := Read(v, File(path), func() (*FileInfo, error) {
		i, err := lstat(path)
		if err != nil || !i.Exists() {
			return nil, err
		}
		i = v.owned(path, i)
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
	return v.sumOf(path, info)
}

// sumOf returns the SHA-256 of what stands at a path without links.
func (v *View) sumOf(path string, info FileInfo) (string, error) {
	if info.Type != Regular {
		return "", fmt.Errorf("%s is %s, not a file", path, article(info.Type))
	}
	if info.Sum != "" {
		return info.Sum, nil
	}
	if info.withheld() {
		return "", v.withholds(path, info)
	}
	if sum, ok := v.cache.sums.known(info.ident); ok {
		return sum, nil
	}
	// A planned change of attributes leaves the content, but info is then the
	// plan's and doesn't identify the file.
	e, err := openEntry(path)
	if err != nil {
		return "", err
	}
	defer e.Close()
	return v.cache.sums.sum(e)
}

// SumBy is Sum by another hash function, which has a name. Of a file whose content is
// planned it is known after apply.
func (v *View) SumBy(path, name string, function func() hash.Hash) (string, error) {
	path, err := v.Follow(path)
	if err != nil {
		return "", err
	}
	info, err := v.lstat(path)
	switch {
	case err != nil:
		return "", err
	case info.Type != Regular:
		return "", fmt.Errorf("%s is %s, not a file", path, article(info.Type))
	case info.Sum != "":
		return "", NotYet(File(path))
	case info.withheld():
		return "", v.withholds(path, info)
	}
	return Once(v, name+" of "+path, func() (string, error) {
		e, err := openEntry(path)
		if err != nil {
			return "", err
		}
		defer e.Close()
		return e.SumBy(function())
	})
}

// ReadFile returns the bytes of the regular file at path, following links as
// Place does: what root reads may be written to where others can read it. A
// file larger than limit bytes is an error.
func (v *View) ReadFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	path, err := v.Place(path, true)
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
	case info.withheld():
		return nil, v.withholds(path, info)
	case info.Size > limit:
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are read", path, info.Size, limit)
	}
	if info.Sum != "" { // planned, maybe with the content that the file has already
		if e, err := openEntry(path); err == nil {
			defer e.Close()
			if e.Type() == Regular && e.stat.Size == info.Size {
				if sum, err := v.cache.sums.sum(e); err == nil && sum == info.Sum {
					return e.Read(limit)
				}
			}
		}
		return v.h.Bodies.Read(ctx, Content{Sum: info.Sum, Size: info.Size, Sensitive: info.Sensitive}, limit)
	}
	e, err := openEntry(path)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	return e.Read(limit)
}

// ReadDir returns the names in the directory at path, sorted, those that
// pending changes put there or remove from there accounted for.
func (v *View) ReadDir(path string) ([]string, error) {
	path, err := v.Follow(path)
	if err != nil {
		return nil, err
	}
	v.asked(File(path))
	names := map[string]bool{}
	var real []string
	if v.preview != nil && v.preview.brings(File(path+"/")) {
		return nil, NotYet(File(path))
	}
	if v.preview == nil || len(v.preview.exact) == 0 || !v.emptied(path) {
		if real, err = namesIn(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for _, name := range real {
		names[name] = true
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

// namesIn lists what the directory at a resolved path holds.
func namesIn(path string) ([]string, error) {
	d, err := OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	f, err := d.list()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
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
	v.asked(key)
	if v.preview == nil || !v.preview.pending {
		return nil
	}
	if key.Space == All || v.preview.unknown[key.Space] {
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
