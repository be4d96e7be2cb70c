// Package scan looks for planted values wherever a run may have left them: in files, in what
// packs and compresses them, in processes' arguments and environments, in journals.
package scan

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Value is a value, named after the place where it was planted.
type Value struct{ Place, Text string }

// Plain makes a value of letters and digits for a place.
func Plain(place string) Value {
	sum := sha256.Sum256([]byte("canary " + place))
	return Value{place, "K" + hex.EncodeToString(sum[:])[:29]}
}

// Quoted makes a value with characters that are escaped somewhere.
func Quoted(place string) Value {
	v := Plain(place)
	v.Text = v.Text[:11] + `&'"` + v.Text[11:18] + `\<` + v.Text[18:]
	return v
}

// Hit is a value that was found: where, and how it was written there.
type Hit struct{ Place, Form, Where string }

func (h Hit) String() string {
	return fmt.Sprintf("%s: the value of %q (%s)", h.Where, h.Place, h.Form)
}

// Scanner looks for values. It is safe for concurrent use.
type Scanner struct {
	by    map[[4]byte][]pattern
	first [1 << 16]bool // two bytes that one begins with
	Self  int           // the process that isn't looked at; 0 for none
}

type pattern struct {
	form
	place string
}

// New returns what looks for values.
func New(values ...Value) *Scanner {
	s := &Scanner{by: map[[4]byte][]pattern{}}
	for _, v := range values {
		for _, f := range forms(v.Text) {
			if len(f.text) < 8 {
				panic("scan: a value is too short to be looked for: " + v.Place)
			}
			key := [4]byte(f.text)
			s.by[key] = append(s.by[key], pattern{f, v.Place})
			s.first[int(key[0])<<8|int(key[1])] = true
		}
	}
	return s
}

// maxRead is how many bytes of a file are looked through.
const maxRead = 256 << 20

// Bytes looks through data, also without its line breaks and NULs, and what is packed in it.
func (s *Scanner) Bytes(where string, data []byte) []Hit {
	hits := s.find(where, data)
	if bytes.ContainsAny(data, "\n\r\x00") {
		joined := make([]byte, 0, len(data))
		for _, c := range data {
			if c != '\n' && c != '\r' && c != 0 && c != ' ' && c != '\t' {
				joined = append(joined, c)
			}
		}
		for _, h := range s.find(where, joined) {
			h.Form += ", broken"
			hits = append(hits, h)
		}
	}
	for name, inner := range unpacked(data) {
		hits = append(hits, s.Bytes(where+" → "+name, inner)...)
	}
	return once(hits)
}

func (s *Scanner) find(where string, data []byte) []Hit {
	var hits []Hit
	for i := 0; i+4 <= len(data); i++ {
		if !s.first[int(data[i])<<8|int(data[i+1])] {
			continue
		}
		for _, p := range s.by[[4]byte(data[i:])] {
			if bytes.HasPrefix(data[i:], p.text) {
				hits = append(hits, Hit{p.place, p.name, where})
			}
		}
	}
	return hits
}

// once leaves one of each kind of hit, and of a place that was found whole no parts.
func once(hits []Hit) []Hit {
	seen := map[Hit]bool{}
	var list []Hit
	for _, h := range hits {
		whole := Hit{h.Place, "plain", h.Where}
		if seen[h] || h.Form != "plain" && (seen[whole] || contains(hits, whole)) {
			continue
		}
		seen[h] = true
		list = append(list, h)
	}
	return list
}

func contains(hits []Hit, one Hit) bool {
	for _, h := range hits {
		if h == one {
			return true
		}
	}
	return false
}

// unpacked is what is in a zip file or behind gzip, by name.
func unpacked(data []byte) map[string][]byte {
	read := func(r io.Reader) []byte {
		out, _ := io.ReadAll(io.LimitReader(r, maxRead)) // what is cut is looked at as far as it goes
		return out
	}
	parts := map[string][]byte{}
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil
		}
		for _, f := range z.File {
			if r, err := f.Open(); err == nil {
				parts[f.Name] = append([]byte(f.Name+"\n"+f.Comment+"\n"), read(r)...)
				r.Close()
			}
		}
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		if r, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			parts["gzip"] = read(r)
		}
	}
	return parts
}

// Tree looks through all regular files below a folder, their names, and the targets of links. It
// stays on its file systems: others are passed over, and so is what skip is true for.
func (s *Scanner) Tree(root string, skip func(path string) bool) []Hit {
	var hits []Hit
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has gone meanwhile
		}
		if skip != nil && skip(path) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		hits = append(hits, s.Bytes("the name "+path, []byte(path))...)
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			if target, err := os.Readlink(path); err == nil {
				hits = append(hits, s.Bytes("the link "+path, []byte(target))...)
			}
		case d.Type().IsRegular():
			hits = append(hits, s.File(path)...)
		}
		return nil
	})
	return hits
}

// File looks through a file.
func (s *Scanner) File(path string) []Hit {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, maxRead))
	return s.Bytes(path, data)
}

// Processes looks through the arguments and the environments of all processes.
func (s *Scanner) Processes() []Hit { return s.processes(func(string) bool { return true }) }

// processes looks at those that are asked for, by their folders in /proc.
func (s *Scanner) processes(wanted func(dir string) bool) []Hit {
	var hits []Hit
	list, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range list {
		if filepath.Base(dir) == fmt.Sprint(s.Self) || !wanted(dir) {
			continue
		}
		for _, name := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || len(data) == 0 {
				continue
			}
			comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
			hits = append(hits, s.Bytes(fmt.Sprintf("%s of %s", name, strings.TrimSpace(string(comm))), data)...)
		}
	}
	return once(hits)
}
