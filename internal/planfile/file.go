package planfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"
)

// FileType is what a File is.
type FileType string

// The types of files.
const (
	Regular   FileType = ""
	Directory FileType = "directory"
	Symlink   FileType = "symlink" // in a copied tree; never followed
)

// File is one file that the run was read from.
type File struct {
	// Name is its path as the playbook's positions and messages give it:
	// clean, absolute or relative to Plan.Dir.
	Name string
	Type FileType
	// Exec is whether its owner may execute it.
	Exec   bool
	Target string // of a link, as it is
	// Sensitive files are sealed; they have at most MaxSealed bytes together.
	Sensitive bool

	// Data is the bytes of a regular file; or Path, of a file that has them.
	Data []byte
	Path string
	// Sum is the SHA-256 of the bytes that the plan was made with, lowercase
	// hex; "" for whatever is found.
	Sum  string
	Size int64 // of what Read returns, in bytes

	open func() (io.ReadCloser, error) // of what Read returns
}

// Open returns the bytes of a regular file. Those of a sensitive file of a
// sealed plan are ErrSealed.
func (f *File) Open() (io.ReadCloser, error) {
	switch {
	case f.open != nil:
		return f.open()
	case f.Path != "":
		return os.Open(f.Path)
	}
	return io.NopCloser(bytes.NewReader(f.Data)), nil
}

// sum reads the file and returns its sum and size. It is an error where the
// plan was made with other bytes.
func (f *File) sum() (string, int64, error) {
	r, err := f.Open()
	if err != nil {
		return "", 0, fmt.Errorf("saving the plan: %w", err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return "", 0, fmt.Errorf("saving the plan: reading %s: %w", f.Name, err)
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if f.Sum != "" && f.Sum != sum {
		return "", 0, f.moved()
	}
	return sum, n, nil
}

func (f *File) moved() error {
	return fmt.Errorf("saving the plan: %s was changed while it was planned: plan again", f.Name)
}

// Sources returns the files that a playbook was read from as text, given
// lang.Playbook.Sources. What is embedded in muster isn't among them.
func Sources(sources map[string][]byte) []File {
	var list []File
	for name, data := range sources {
		if !strings.HasPrefix(name, "embedded:") && name != "" {
			list = append(list, File{Name: filepath.Clean(name), Data: data})
		}
	}
	return list
}

// Tree returns a folder with all that is in it, as a copied tree is read: links
// are kept as links. Name is what the playbook calls the folder, path where it
// is.
func Tree(name, path string) ([]File, error) {
	var list []File
	err := filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(path, at)
		if err != nil {
			return err
		}
		f := File{Name: filepath.Join(name, rel)}
		switch t := d.Type(); {
		case t.IsDir() || rel == ".":
			f.Type = Directory
		case t&fs.ModeSymlink != 0:
			f.Type = Symlink
			f.Target, err = os.Readlink(at)
		case t.IsRegular():
			f.Path = at
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				f.Exec = info.Mode()&0o100 != 0
			}
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", at)
		}
		list = append(list, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("saving the plan: reading the folder %s: %w", name, err)
	}
	return list, nil
}

// united returns the files in the order of their paths, each once: what is
// named twice is sensitive or executable where one of the two is. A tree's
// link stands before the file it names, which is in the plan under its own
// name.
func united(dir string, files []File) []File {
	at := map[string]int{}
	var list []File
	for _, f := range files {
		p := place(dir, f.Name)
		i, known := at[p]
		if !known {
			at[p] = len(list)
			list = append(list, f)
			continue
		}
		first := &list[i]
		sensitive, exec := first.Sensitive || f.Sensitive, first.Exec || f.Exec
		if f.Type == Symlink {
			*first = f
		}
		first.Sensitive, first.Exec = sensitive && first.Type == Regular, exec && first.Type == Regular
	}
	sort.SliceStable(list, func(i, j int) bool { return place(dir, list[i].Name) < place(dir, list[j].Name) })
	return list
}

// place returns the absolute path of a name.
func place(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// text is a string whose bytes survive JSON even where they are not UTF-8.
type text string

func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(struct {
		Bytes []byte `json:"bytes"`
	}{[]byte(t)})
}

func (t *text) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("{")) {
		var v struct {
			Bytes []byte `json:"bytes"`
		}
		if err := json.Unmarshal(data, &v); err != nil {
			return err
		}
		*t = text(v.Bytes)
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*t = text(s)
	return nil
}
