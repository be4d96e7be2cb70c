package facts

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// reader reads the files of a host whose root directory is root.
type reader struct{ root string }

func (r reader) path(path string) string {
	if r.root == "" {
		return path
	}
	return filepath.Join(r.root, path)
}

// file returns at most limit bytes of a regular file, "" where there is none
// or it can't be read. A named pipe or device in its place isn't waited for.
func (r reader) file(path string, limit int64) string {
	f, err := os.OpenFile(r.path(path), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return ""
	}
	return string(data)
}

// line returns the first line of a small file, cleaned.
func (r reader) line(path string) string {
	s, _, _ := strings.Cut(r.file(path, 4096), "\n")
	return text(strings.TrimSpace(s))
}

// lines calls do with each line of a table until it returns false. A last
// line that the limit cut off is left out.
func (r reader) lines(path string, do func(line string) bool) {
	data := r.file(path, maxTable)
	if len(data) == maxTable {
		data = data[:strings.LastIndexByte(data, '\n')+1]
	}
	for line := range strings.SplitSeq(data, "\n") {
		if !do(line) {
			return
		}
	}
}

func (r reader) exists(path string) bool {
	_, err := os.Lstat(r.path(path))
	return err == nil
}

// text is what a host says of itself, made harmless to encode: valid UTF-8 of
// bounded size.
func text(s string) string { return clip(s, maxText) }

func clip(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
		for i := 0; i < utf8.UTFMax && len(s) > 0; i++ { // no half of a character
			if c, n := utf8.DecodeLastRuneInString(s); c != utf8.RuneError || n != 1 {
				break
			}
			s = s[:len(s)-1]
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
