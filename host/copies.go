package host

import (
	"context"
	"errors"
	"io"
	"path"
)

// CopyLimit is the size, in bytes, of the largest file that a task may bring to the project.
const CopyLimit = 64 << 20

// Copy is the copy, in the project's folder, of a file of the host.
type Copy struct {
	Path string `json:"path"`           // from the project's folder, with slashes
	Sum  string `json:"sum,omitempty"`  // its SHA-256, lowercase hex; "" where there is none
	Size int64  `json:"size,omitempty"` // in bytes
	// Data is the copy itself where it may be shown, and is no larger than DiffLimit.
	Data []byte `json:"-"`
	// Hidden: what is in it isn't to be shown.
	Hidden bool `json:"-"`
}

// Copies is the copy that the task in hand keeps in the project's folder, on the
// controller. The run answers it.
type Copies interface {
	Copy(ctx context.Context) (Copy, error)
	// Bring replaces the copy by what r has; see Host.Bring.
	Bring(ctx context.Context, c Content, r io.Reader) error
}

// CopyKey is the key of what a task keeps in a folder of the project of the file at path.
func CopyKey(to, at string) Key { return Key{Space: "copy", Name: path.Join(to, at)} }

var errNoCopies = errors.New("nothing can be brought to the project here")

// Copy returns the copy that the task keeps of a file in a folder of the project. Pending
// changes that replace it are accounted for.
func (v *View) Copy(ctx context.Context, to, at string) (Copy, error) {
	c, err := Read(v, CopyKey(to, at), func() (*Copy, error) {
		if v.h.Copies == nil {
			return nil, errNoCopies
		}
		c, err := v.h.Copies.Copy(ctx)
		return &c, err
	})
	if err != nil {
		return Copy{}, err
	}
	return *c, nil
}

// Bring replaces the task's copy in the project's folder by what r has, which is content c
// of at most CopyLimit bytes. The old copy stands until all of the new one is there. Only a
// change may bring, and only while it is made.
func (h *Host) Bring(ctx context.Context, c Content, r io.Reader) error {
	if h.Copies == nil {
		return errNoCopies
	}
	return h.Copies.Bring(ctx, c, r)
}
