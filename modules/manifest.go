package modules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"

	"muster/host"
)

// Manifest is a folder of the project with all that is in it, without the
// bytes of its files. Its encoding is the content that a Tree argument holds.
type Manifest struct {
	Entries []Entry // sorted by Path, so that a directory precedes what is in it
}

// Entry is one thing in a tree.
type Entry struct {
	Path string        // relative to the folder, with slashes, clean
	Type host.FileType // Regular, Directory or Symlink
	// Mode is 0644 of files, 0755 of directories and of files that their owner
	// may execute; 0 of links. The rest of a project's modes depends on the
	// umask of whoever checked it out, and isn't copied.
	Mode   host.Mode
	Sum    string // of a file, SHA-256, lowercase hex
	Size   int64  // of a file, in bytes
	Target string // of a link
}

// MaxManifest is the size, in bytes, up to which an encoded manifest is taken:
// half a million files.
const MaxManifest = 128 << 20

// BuildManifest reads the folder root and returns it with the place of the
// bytes of each sum. Links are kept as links, whatever they name. Anything
// but files, directories and links is an error.
func BuildManifest(root string) (Manifest, map[string]string, error) {
	var m Manifest
	bodies := map[string]string{}
	err := filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, at)
		if err != nil || rel == "." {
			return err
		}
		e := Entry{Path: filepath.ToSlash(rel)}
		switch t := d.Type(); {
		case t.IsDir():
			e.Type, e.Mode = host.Directory, 0o755
		case t&fs.ModeSymlink != 0:
			e.Type = host.Symlink
			if e.Target, err = os.Readlink(at); err != nil {
				return err
			}
		case t.IsRegular():
			if err := e.read(at); err != nil {
				return fmt.Errorf("reading %s: %w", at, err)
			}
			bodies[e.Sum] = at
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link: it can't be copied", at)
		}
		m.Entries = append(m.Entries, e)
		return nil
	})
	if err != nil {
		return Manifest{}, nil, err
	}
	m.sort()
	return m, bodies, nil
}

// read fills in what a file holds.
func (e *Entry) read(at string) error {
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	e.Type, e.Mode = host.Regular, 0o644
	if st.Mode()&0o100 != 0 {
		e.Mode = 0o755
	}
	hash := sha256.New()
	if e.Size, err = io.Copy(hash, f); err != nil {
		return err
	}
	e.Sum = hex.EncodeToString(hash.Sum(nil))
	return nil
}

func (m *Manifest) sort() {
	sort.Slice(m.Entries, func(i, j int) bool { return m.Entries[i].Path < m.Entries[j].Path })
}

// Encode returns the manifest as JSON: the same bytes for the same tree.
func (m Manifest) Encode() ([]byte, error) {
	m.Entries = append([]Entry{}, m.Entries...)
	m.sort()
	return json.Marshal(m)
}

// DecodeManifest is the inverse of Encode. It refuses whatever could make a
// copy leave its folder: names that aren't clean and relative, things below
// what is no directory of the tree, and anything named twice.
func DecodeManifest(data []byte) (Manifest, error) {
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("reading a tree's manifest: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Manifest{}, errors.New("reading a tree's manifest: there is more than one value")
	}
	types := make(map[string]host.FileType, len(m.Entries))
	last := ""
	for i, e := range m.Entries {
		if err := e.check(); err != nil {
			return Manifest{}, fmt.Errorf("a tree's manifest: entry %d: %w", i, err)
		}
		if e.Path <= last {
			return Manifest{}, fmt.Errorf("a tree's manifest: %q doesn't come after %q", e.Path, last)
		}
		if dir := path.Dir(e.Path); dir != "." && types[dir] != host.Directory {
			return Manifest{}, fmt.Errorf("a tree's manifest: %q isn't in a directory of the tree", e.Path)
		}
		last, types[e.Path] = e.Path, e.Type
	}
	return m, nil
}

func (e Entry) check() error {
	switch {
	case !fs.ValidPath(strings.ToValidUTF8(e.Path, "_")), e.Path == ".", strings.ContainsRune(e.Path, 0):
		return fmt.Errorf("%q isn't a path inside the tree", e.Path)
	case e.Mode&^0o777 != 0:
		return fmt.Errorf("%q has the mode %s", e.Path, e.Mode)
	}
	switch e.Type {
	case host.Directory:
		return nil
	case host.Symlink:
		if e.Target == "" || strings.ContainsRune(e.Target, 0) {
			return fmt.Errorf("the link %q has no target", e.Path)
		}
		return nil
	case host.Regular:
		if len(e.Sum) != 2*sha256.Size || strings.Trim(e.Sum, "0123456789abcdef") != "" || e.Size < 0 {
			return fmt.Errorf("the file %q has no sum", e.Path)
		}
		return nil
	}
	return fmt.Errorf("%q is of the unknown type %q", e.Path, e.Type)
}

// entryJSON is an entry's encoding. JSON has no strings but UTF-8: names and
// targets that are something else travel as bytes.
type entryJSON struct {
	Path        string        `json:"path,omitempty"`
	PathBytes   []byte        `json:"path_bytes,omitempty"`
	Type        host.FileType `json:"type"`
	Mode        host.Mode     `json:"mode,omitempty"`
	Sum         string        `json:"sum,omitempty"`
	Size        int64         `json:"size,omitempty"`
	Target      string        `json:"target,omitempty"`
	TargetBytes []byte        `json:"target_bytes,omitempty"`
}

// MarshalJSON keeps every byte of Path and Target.
func (e Entry) MarshalJSON() ([]byte, error) {
	j := entryJSON{Path: e.Path, Type: e.Type, Mode: e.Mode, Sum: e.Sum, Size: e.Size, Target: e.Target}
	if !utf8.ValidString(e.Path) {
		j.Path, j.PathBytes = "", []byte(e.Path)
	}
	if !utf8.ValidString(e.Target) {
		j.Target, j.TargetBytes = "", []byte(e.Target)
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var j entryJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*e = Entry{Path: j.Path, Type: j.Type, Mode: j.Mode, Sum: j.Sum, Size: j.Size, Target: j.Target}
	if len(j.PathBytes) > 0 {
		e.Path = string(j.PathBytes)
	}
	if len(j.TargetBytes) > 0 {
		e.Target = string(j.TargetBytes)
	}
	return nil
}
