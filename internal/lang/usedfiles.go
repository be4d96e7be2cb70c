package lang

import (
	"cmp"
	"io/fs"
	"path/filepath"
	"slices"
)

// UsedFile is a file or folder of this machine that a playbook has read, looked
// for and found, or is to send.
type UsedFile struct {
	Name string // as messages and positions give it
	Path string // where it lies
	// Sum is the SHA-256 of what is to be sent, lowercase hex; "" where it was
	// only read, or looked for.
	Sum       string
	Tree      bool // a folder that is copied, with all that is in it
	Sensitive bool
}

// at returns the file at a path without looking whether it exists.
func (x *files) at(d folder, p string) localFile {
	f := d.at(p)
	if f.embedded == nil && filepath.IsAbs(p) && x.place != nil {
		f.path = x.place(p)
	}
	return f
}

// uses notes that a file was found. Of folders only those that are copied count.
func (x *files) uses(f localFile, info fs.FileInfo) {
	if f.embedded != nil || !info.Mode().IsRegular() {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.use(f)
}

// copies notes a folder that is to be copied, also where a check finds it and
// no host gets it in the end: it must be there for the check to be made again.
func (x *files) copies(f localFile, sensitive bool) {
	if f.embedded != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	u := x.use(f)
	u.Tree, u.Sensitive = true, u.Sensitive || sensitive
}

// use returns the note of a file, made if there is none. The mutex is held.
func (x *files) use(f localFile) *UsedFile {
	u := x.found[f.name]
	if u == nil {
		u = &UsedFile{Name: f.name, Path: f.path}
		x.found[f.name] = u
	}
	return u
}

// matched notes a file below a folder that a pattern matched.
func (x *files) matched(dir localFile, name string) {
	if dir.embedded != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.use(localFile{path: filepath.Join(dir.path, name), name: filepath.Join(dir.name, name)})
}

// used are the files that have been used so far, by name.
func (x *files) used() []UsedFile {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([]UsedFile, 0, len(x.found))
	for _, f := range x.found {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b UsedFile) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
