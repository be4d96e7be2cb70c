package files

import (
	"cmp"
	"io/fs"
	"path/filepath"
	"slices"
)

// Used is a file or folder of this machine that a playbook has read, looked
// for and found, or is to send.
type Used struct {
	Name string // as messages and positions give it
	Path string // where it lies
	// Sum is the SHA-256 of what is to be sent, lowercase hex; "" where it was
	// only read, or looked for.
	Sum       string
	Tree      bool // a folder that is copied, with all that is in it
	Sensitive bool
}

// At returns the file at a path without looking whether it exists.
func (x *Reader) At(d Folder, p string) File {
	f := d.At(p)
	if f.Embedded == nil && filepath.IsAbs(p) && x.place != nil {
		f.Path = x.place(p)
	}
	return f
}

// uses notes that a file was found. Of folders only those that are copied count.
func (x *Reader) uses(f File, info fs.FileInfo) {
	if f.Embedded != nil || !info.Mode().IsRegular() {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.use(f)
}

// Copies notes a folder that is to be copied, also where a check finds it and
// no host gets it in the end: it must be there for the check to be made again.
func (x *Reader) Copies(f File, sensitive bool) {
	if f.Embedded != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	u := x.use(f)
	u.Tree, u.Sensitive = true, u.Sensitive || sensitive
}

// use returns the note of a file, made if there is none. The mutex is held.
func (x *Reader) use(f File) *Used {
	u := x.found[f.Name]
	if u == nil {
		u = &Used{Name: f.Name, Path: f.Path}
		x.found[f.Name] = u
	}
	return u
}

// Matched notes a file below a folder that a pattern matched.
func (x *Reader) Matched(dir File, name string) {
	if dir.Embedded != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.use(File{Path: filepath.Join(dir.Path, name), Name: filepath.Join(dir.Name, name)})
}

// Used are the files that have been used so far, by name.
func (x *Reader) Used() []Used {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([]Used, 0, len(x.found))
	for _, f := range x.found {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b Used) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
