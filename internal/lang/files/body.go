package files

import (
	"bytes"
	"io"
	"os"
)

// Body is the bytes behind a content.
type Body struct {
	Sum  string // SHA-256, lowercase hex
	Size int64
	Path string // of a local file; "": Data has the bytes
	Data []byte
}

// Open returns the bytes. A file may have changed since it was hashed: the
// reader's bytes are to be checked against Sum.
func (b *Body) Open() (io.ReadCloser, error) {
	if b.Path == "" {
		return io.NopCloser(bytes.NewReader(b.Data)), nil
	}
	return os.Open(b.Path)
}
