package lang

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"

	"muster/host"
)

// ManifestEntry is one thing in a tree. A tree's content is its manifest: the
// JSON list of its entries, sorted by Path, without the folder itself.
type ManifestEntry struct {
	Path   string `json:"path"` // relative to the folder, with slashes
	Type   string `json:"type"` // "dir", "file" or "link"
	Mode   string `json:"mode,omitempty"`
	Sum    string `json:"sum,omitempty"`  // of a file, SHA-256
	Size   int64  `json:"size,omitempty"` // of a file, in bytes
	Target string `json:"target,omitempty"`
}

// tree is a folder of the project as it was read.
type tree struct {
	manifest []byte
	bodies   []Body
	entries  []ManifestEntry
}

// readTree reads a folder with all that is in it. Links are kept as links;
// anything but files, folders and links is an error.
func (x *files) readTree(f localFile) (*tree, error) {
	var entries []ManifestEntry
	t := &tree{}
	add := func(rel string, d fs.DirEntry) error {
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := ManifestEntry{Path: filepath.ToSlash(rel), Mode: fmt.Sprintf("%04o", info.Mode().Perm())}
		at := localFile{embedded: f.embedded, path: path.Join(f.path, rel), name: path.Join(f.name, rel)}
		switch {
		case d.IsDir():
			e.Type = "dir"
		case info.Mode()&fs.ModeSymlink != 0 && f.embedded == nil:
			e.Type, e.Mode = "link", ""
			if e.Target, err = os.Readlink(at.path); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			e.Type = "file"
			c, body, err := x.content(at, info, false)
			if err != nil {
				return err
			}
			if c.Data != nil {
				body = Body{Sum: c.Sum, Size: c.Size, Data: c.Data}
			}
			e.Sum, e.Size = c.Sum, c.Size
			t.bodies = append(t.bodies, body)
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", at.name)
		}
		entries = append(entries, e)
		return nil
	}
	if err := walk(f, add); err != nil {
		return nil, err
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Path < entries[j].Path })
	if entries == nil {
		entries = []ManifestEntry{}
	}
	var err error
	t.entries = entries
	t.manifest, err = json.Marshal(entries)
	return t, err
}

func walk(f localFile, add func(rel string, d fs.DirEntry) error) error {
	fsys, root := f.embedded, f.path
	if fsys == nil {
		fsys, root = os.DirFS(f.path), "."
	}
	return fs.WalkDir(fsys, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil || rel == "." {
			return err
		}
		return add(rel, d)
	})
}

// treeContent returns the content that stands for a folder, and the bodies of
// its manifest and of every file in it.
func (x *files) treeContent(f localFile, sensitive bool) (host.Content, []Body, error) {
	x.mu.Lock()
	t := x.trees[f.name]
	x.mu.Unlock()
	if t == nil {
		// Read once, so that all hosts get the same tree.
		var err error
		if t, err = x.readTree(f); err != nil {
			return host.Content{}, nil, err
		}
		x.mu.Lock()
		x.trees[f.name] = t
		x.mu.Unlock()
	}
	c := host.ContentOf(t.manifest, sensitive)
	bodies := t.bodies
	if c.Size > host.InlineLimit {
		bodies = append([]Body{{Sum: c.Sum, Size: c.Size, Data: c.Data}}, bodies...)
		c.Data = nil
	}
	return c, bodies, nil
}
