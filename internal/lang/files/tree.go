package files

import (
	"fmt"
	"io/fs"
	"path"

	"muster/host"
	"muster/modules"
)

// tree is a folder of the project as it was read.
type tree struct {
	manifest []byte
	bodies   []Body
}

// readTree reads a folder with all that is in it.
func (x *Reader) readTree(f File) (*tree, error) {
	t := &tree{}
	var m modules.Manifest
	var err error
	if f.Embedded != nil {
		m, t.bodies, err = embeddedTree(f)
	} else {
		var at map[string]string
		m, at, err = modules.BuildManifest(f.Path)
		for _, e := range m.Entries {
			if p, ok := at[e.Sum]; ok && e.Type == host.Regular {
				t.bodies = append(t.bodies, Body{Sum: e.Sum, Size: e.Size, Path: p})
				delete(at, e.Sum)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	t.manifest, err = m.Encode()
	return t, err
}

// embeddedTree is modules.BuildManifest for a folder of an embedded role.
func embeddedTree(f File) (modules.Manifest, []Body, error) {
	var m modules.Manifest
	var bodies []Body
	sub, err := fs.Sub(f.Embedded, f.Path)
	if err != nil {
		return m, nil, err
	}
	err = fs.WalkDir(sub, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "." {
			return err
		}
		if d.IsDir() {
			m.Entries = append(m.Entries, modules.Entry{Path: p, Type: host.Directory, Mode: 0o755})
			return nil
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a folder", path.Join(f.Name, p))
		}
		data, err := fs.ReadFile(sub, p)
		if err != nil {
			return err
		}
		c := host.ContentOf(data, false)
		m.Entries = append(m.Entries, modules.Entry{Path: p, Type: host.Regular, Mode: 0o644, Sum: c.Sum, Size: c.Size})
		bodies = append(bodies, Body{Sum: c.Sum, Size: c.Size, Data: data})
		return nil
	})
	return m, bodies, err
}

// TreeContent returns the content that stands for a folder, its manifest, and
// the bodies of the manifest and of every file in it.
func (x *Reader) TreeContent(f File, sensitive bool) (host.Content, []Body, error) {
	x.mu.Lock()
	t := x.trees[f.Name]
	x.mu.Unlock()
	if t == nil {
		// Read once, so that all hosts get the same tree.
		var err error
		if t, err = x.readTree(f); err != nil {
			return host.Content{}, nil, err
		}
		x.mu.Lock()
		x.trees[f.Name] = t
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
