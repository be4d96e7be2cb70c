package planfile

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Read reads a plan file of size bytes, for the muster of that version. Its
// errors are ErrNotPlan, ErrCut, ErrEdited, a *VersionError, or of reading.
// Files are read from r when they are opened or laid, so r must stay open
// until then. Where the plan is Sealed, Key and what is sensitive are missing
// until Unseal.
func Read(r io.ReaderAt, size int64, version string) (*Plan, error) {
	if err := checkTrailer(r, size); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrEdited, err)
	}
	b := &box{entries: map[string]*zip.File{}, used: map[string]bool{}}
	if err := b.index(z, size); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrEdited, err)
	}
	if err := b.version(version); err != nil {
		return nil, err
	}
	p, err := b.plan()
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrEdited, err)
	}
	return p, nil
}

// box is the archive of a plan file.
type box struct {
	entries map[string]*zip.File
	used    map[string]bool
	muster  string // the version that wrote it
}

// index refuses entries that are there twice, that share their bytes, or that
// grow when they are read, but for those with a limit of their own.
func (b *box) index(z *zip.Reader, size int64) error {
	left := uint64(size)
	for _, f := range z.File {
		if b.entries[f.Name] != nil {
			return fmt.Errorf("the entry %.100q is there twice", f.Name)
		}
		b.entries[f.Name] = f
		if f.CompressedSize64 > left {
			return fmt.Errorf("the entry %.100q has more bytes than the file", f.Name)
		}
		left -= f.CompressedSize64
		limited := f.Name == manifestEntry || strings.HasPrefix(f.Name, "inventory/")
		if f.Method != zip.Store && !(f.Method == zip.Deflate && limited) || f.Method == zip.Store && f.CompressedSize64 != f.UncompressedSize64 {
			return fmt.Errorf("the entry %.100q is compressed as none is", f.Name)
		}
	}
	return nil
}

// read returns an entry of at most limit bytes.
func (b *box) read(name string, limit int64) ([]byte, error) {
	f := b.entries[name]
	if f == nil {
		return nil, fmt.Errorf("there is no entry %s", name)
	}
	b.used[name] = true
	if f.UncompressedSize64 > uint64(limit) {
		return nil, fmt.Errorf("the entry %s has more than %d bytes", name, limit)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("the entry %s: %w", name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the entry %s: %w", name, err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("the entry %s has more than %d bytes", name, limit)
	}
	return data, nil
}

// version refuses what another muster wrote.
func (b *box) version(want string) error {
	data, err := b.read(stampEntry, 1000)
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrEdited, err)
	}
	if _, err := fmt.Sscanf(string(data), "muster %q\n", &b.muster); err != nil || string(stamp(b.muster)) != string(data) {
		return fmt.Errorf("%w (it has no version)", ErrEdited)
	}
	if b.muster != want {
		return &VersionError{Format: Format, Muster: b.muster, Want: want}
	}
	return nil
}

// plan reads all but the files.
func (b *box) plan() (*Plan, error) {
	data, err := b.read(manifestEntry, MaxManifest)
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(data)
	if err != nil {
		return nil, fmt.Errorf("the manifest: %w", err)
	}
	p, err := m.plan()
	if err != nil {
		return nil, err
	}
	if p.Muster != b.muster {
		return nil, errors.New("it names two versions")
	}
	if p.sensitive() != "" {
		if p.sealed, err = b.read(sealedEntry, 2*(MaxSealed+MaxInventory)); err != nil {
			return nil, err
		}
		p.manifestSum = sumOf(data)
		p.parts = m.Inventory
	}
	left := int64(MaxInventory)
	for i := 0; i < m.Inventory && !p.SealInventory; i++ {
		data, err := b.read(inventoryEntry(i), left)
		if err != nil {
			return nil, err
		}
		left -= int64(len(data))
		p.Inventory = append(p.Inventory, data)
	}
	return p, b.files(p)
}

// files says where the bytes of the files are, and refuses entries that belong
// to none.
func (b *box) files(p *Plan) error {
	for i := range p.Files {
		f := &p.Files[i]
		switch {
		case f.Type != Regular:
			continue
		case f.Sensitive:
			f.open = func() (io.ReadCloser, error) { return nil, ErrSealed }
			continue
		}
		e := b.entries[filesFolder+f.Sum]
		if e == nil || f.Size < 0 || e.UncompressedSize64 != uint64(f.Size) {
			return fmt.Errorf("the bytes of %q are not there", f.Name)
		}
		b.used[e.Name] = true
		f.open = e.Open
	}
	for name := range b.entries {
		if !b.used[name] {
			return fmt.Errorf("the entry %.100q belongs to nothing", name)
		}
	}
	return nil
}
