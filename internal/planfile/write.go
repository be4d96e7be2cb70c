package planfile

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Write writes the plan. The same plan gives the same bytes, but for what is
// sealed, which is another each time.
//
// Files named twice are written once. A plan that holds something sensitive needs Recipients, else
// identity.ErrNone. Files are read while it is written: one that is no longer
// what was planned with is an error, and what was written till then is of no
// use.
func Write(w io.Writer, p *Plan) error {
	if p.Sealed() {
		return fmt.Errorf("saving the plan: %w", ErrSealed)
	}
	if len(p.Key) != keySize {
		return fmt.Errorf("saving the plan: its key has %d bytes, not %d", len(p.Key), keySize)
	}
	q := *p
	q.Playbook, q.Files = filepath.Clean(p.Playbook), united(p.Dir, p.Files)
	if err := q.check(); err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	t := newTailWriter(w)
	a := archive{Writer: zip.NewWriter(t), plan: &q, manifest: q.manifest()}
	if err := a.write(); err != nil {
		return err
	}
	if err := a.SetComment(strings.Repeat(" ", trailerSize)); err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	if err := errors.Join(a.Close(), t.finish()); err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	return nil
}

// archive is a plan file while it is written.
type archive struct {
	*zip.Writer
	plan     *Plan
	manifest *manifest
}

func (a *archive) write() error {
	if err := a.sums(); err != nil {
		return err
	}
	what := a.plan.sensitive()
	if what == "" {
		a.manifest.Key = a.plan.Key
	}
	m, err := json.Marshal(a.manifest)
	if err == nil && len(m) > MaxManifest {
		err = fmt.Errorf("it has %d MiB without its files, and may have %d: plan fewer hosts at once, with --limit", len(m)>>20, MaxManifest>>20)
	}
	if err == nil {
		err = checkDepth(m) // of facts and variables
	}
	if err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	var sealed []byte
	if what != "" {
		if sealed, err = a.plan.seal(what, m); err != nil {
			return fmt.Errorf("saving the plan: %w", err)
		}
	}
	if err := a.entries(m, sealed); err != nil {
		return err
	}
	return a.bodies()
}

// sums fills in the sums of the files that are stored in clear.
func (a *archive) sums() error {
	for i := range a.plan.Files {
		f := &a.plan.Files[i]
		if f.Type != Regular || f.Sensitive {
			continue
		}
		var err error
		if f.Sum, f.Size, err = f.sum(); err != nil {
			return err
		}
		a.manifest.Files[i].Sum, a.manifest.Files[i].Size = f.Sum, f.Size
	}
	return nil
}

func (a *archive) entries(m, sealed []byte) error {
	if err := a.add(stampEntry, zip.Store, stamp(a.plan.Muster)); err != nil {
		return err
	}
	if err := a.add(manifestEntry, zip.Deflate, m); err != nil {
		return err
	}
	total := 0
	for i, data := range a.plan.Inventory {
		if total += len(data); total > MaxInventory {
			return fmt.Errorf("saving the plan: its inventory has more than %d MiB", MaxInventory>>20)
		}
		if a.plan.SealInventory {
			continue
		}
		if err := a.add(inventoryEntry(i), zip.Deflate, data); err != nil {
			return err
		}
	}
	if sealed == nil {
		return nil
	}
	return a.add(sealedEntry, zip.Store, sealed)
}

// bodies stores files once for each sum, uncompressed: what is laid is never
// larger than the plan file.
func (a *archive) bodies() error {
	done := map[string]bool{}
	for i := range a.plan.Files {
		f := &a.plan.Files[i]
		if f.Type != Regular || f.Sensitive || done[f.Sum] {
			continue
		}
		done[f.Sum] = true
		w, err := a.CreateHeader(&zip.FileHeader{Name: filesFolder + f.Sum, Method: zip.Store})
		if err != nil {
			return fmt.Errorf("saving the plan: %w", err)
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("saving the plan: %w", err)
		}
		h := sha256.New()
		_, err = io.Copy(io.MultiWriter(w, h), r)
		_ = r.Close() // it was only read
		if err != nil {
			return fmt.Errorf("saving the plan: copying %s: %w", f.Name, err)
		}
		if hex.EncodeToString(h.Sum(nil)) != f.Sum {
			return f.moved()
		}
	}
	return nil
}

func (a *archive) add(name string, method uint16, data []byte) error {
	w, err := a.CreateHeader(&zip.FileHeader{Name: name, Method: method})
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	return nil
}

// stamp is what is read before anything that another version may write
// otherwise.
func stamp(muster string) []byte { return fmt.Appendf(nil, "muster %q\n", muster) }
