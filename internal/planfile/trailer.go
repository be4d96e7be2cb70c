package planfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// The trailer is the comment of the zip archive, its last bytes: format, size
// and checksum of the file. The sum is over every byte before the sum itself.
// Every format keeps it so, so that a file from another muster can be told
// from a broken one.
const (
	trailerFormat = "muster-plan format=%03d size=%020d sha256="
	trailerHead   = len("muster-plan format=000 size=00000000000000000000 sha256=")
	trailerSize   = trailerHead + 2*sha256.Size
	endSize       = 22 // of the record before the comment (APPNOTE.TXT 4.3.16)
	headSize      = 30 // of a local file header before its name (4.3.7)
)

var (
	zipStart = []byte("PK\x03\x04")
	zipEnd   = []byte("PK\x05\x06")
)

type trailer struct {
	format int
	size   int64 // of the whole file
	sum    string
}

// parseTrailer takes nothing but what Write writes.
func parseTrailer(b []byte) (trailer, bool) {
	var t trailer
	if len(b) != trailerSize {
		return t, false
	}
	if _, err := fmt.Sscanf(string(b[:trailerHead]), trailerFormat, &t.format, &t.size); err != nil {
		return t, false
	}
	t.sum = string(b[trailerHead:])
	return t, fmt.Sprintf(trailerFormat, t.format, t.size) == string(b[:trailerHead]) && isSum(t.sum)
}

// tailWriter passes on everything but the last trailerSize bytes, in whose
// place finish writes the trailer.
type tailWriter struct {
	w    io.Writer
	sum  hash.Hash
	n    int64
	held []byte
}

func newTailWriter(w io.Writer) *tailWriter { return &tailWriter{w: w, sum: sha256.New()} }

func (t *tailWriter) Write(b []byte) (int, error) {
	t.held = append(t.held, b...)
	if n := len(t.held) - trailerSize; n > 0 {
		if err := t.pass(t.held[:n]); err != nil {
			return 0, err
		}
		t.held = append(t.held[:0], t.held[n:]...)
	}
	return len(b), nil
}

func (t *tailWriter) pass(b []byte) error {
	t.sum.Write(b)
	t.n += int64(len(b))
	_, err := t.w.Write(b)
	return err
}

func (t *tailWriter) finish() error {
	if err := t.pass(fmt.Appendf(nil, trailerFormat, Format, t.n+int64(trailerSize))); err != nil {
		return err
	}
	return t.pass([]byte(hex.EncodeToString(t.sum.Sum(nil))))
}

// checkTrailer says whether a file is whole.
func checkTrailer(r io.ReaderAt, size int64) error {
	start := make([]byte, min(size, int64(headSize+len(stampEntry))))
	if _, err := r.ReadAt(start, 0); err != nil && err != io.EOF {
		return fmt.Errorf("reading the plan file: %w", err)
	}
	looks := looksLike(start)
	if size < int64(trailerSize+endSize) {
		if looks {
			return ErrCut
		}
		return ErrNotPlan
	}
	end := make([]byte, endSize+trailerSize)
	if _, err := r.ReadAt(end, size-int64(len(end))); err != nil && err != io.EOF {
		return fmt.Errorf("reading the plan file: %w", err)
	}
	atEnd := bytes.HasPrefix(end, zipEnd) && binary.LittleEndian.Uint16(end[endSize-2:]) == uint16(trailerSize)
	t, ok := parseTrailer(end[endSize:])
	switch {
	case !ok && atEnd && looks:
		return ErrEdited
	case !ok && looks:
		return ErrCut
	case !ok:
		return ErrNotPlan
	case t.size != size:
		return ErrEdited
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(r, 0, size-2*sha256.Size)); err != nil {
		return fmt.Errorf("reading the plan file: %w", err)
	}
	switch {
	case hex.EncodeToString(sum.Sum(nil)) != t.sum:
		return ErrEdited
	case t.format != Format:
		return &VersionError{Format: t.format}
	case !looks || !atEnd:
		return ErrNotPlan
	}
	return nil
}

// looksLike reports whether a file that begins so is a plan file, or may be
// one of which no more is left.
func looksLike(start []byte) bool {
	if len(start) < headSize+len(stampEntry) {
		return bytes.HasPrefix(zipStart, start[:min(len(start), len(zipStart))])
	}
	return bytes.HasPrefix(start, zipStart) && string(start[headSize:]) == stampEntry
}

// IsPlan reports whether the file at path is a plan file rather than a
// playbook, by what it begins with, or ends with. It may still be broken: Read
// tells.
func IsPlan(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() == 0 {
		return false
	}
	b := make([]byte, len(zipStart))
	if n, _ := f.ReadAt(b, 0); bytes.HasPrefix(zipStart, b[:n]) {
		return true
	}
	b = make([]byte, trailerSize)
	if st.Size() < int64(trailerSize) {
		return false
	}
	if _, err = f.ReadAt(b, st.Size()-int64(trailerSize)); err != nil {
		return false
	}
	_, ok := parseTrailer(b)
	return ok
}
