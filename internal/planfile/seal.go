package planfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"muster/internal/identity"
)

// sealed is what is in a plan file only encrypted. The key is in it because
// whoever has it can try guesses against the digests of what is sensitive.
type sealed struct {
	// Manifest is the SHA-256 of the manifest, so that it can't be exchanged
	// by someone who hasn't the key.
	Manifest  string         `json:"manifest"`
	Key       []byte         `json:"key"`
	Inventory [][]byte       `json:"inventory,omitempty"`
	Files     map[int][]byte `json:"files,omitempty"` // by their place in the manifest
}

// seal encrypts what must not stand in clear. What names it in messages.
func (p *Plan) seal(what string, manifest []byte) ([]byte, error) {
	if len(p.Recipients) == 0 {
		return nil, fmt.Errorf("%s is sensitive: %w", what, identity.ErrNone)
	}
	s := sealed{Manifest: sumOf(manifest), Key: p.Key, Files: map[int][]byte{}}
	if p.SealInventory {
		s.Inventory = p.Inventory
	}
	left := int64(MaxSealed)
	for i := range p.Files {
		f := &p.Files[i]
		if !f.Sensitive || f.Type != Regular {
			continue
		}
		data, err := f.read(left)
		if err != nil {
			return nil, err
		}
		left -= int64(len(data))
		s.Files[i] = data
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, p.Recipients...)
	if err != nil {
		return nil, fmt.Errorf("sealing what is sensitive: %w", err)
	}
	if _, err = w.Write(text); err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("sealing what is sensitive: %w", err)
	}
	return b.Bytes(), nil
}

// read returns the bytes of a sensitive file.
func (f *File) read(limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", f.Name, err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s is sensitive and too large: a plan holds at most %d MiB of sensitive files", f.Name, MaxSealed>>20)
	case f.Sum != "" && sumOf(data) != f.Sum:
		return nil, f.moved()
	}
	return data, nil
}

// Unseal opens what is sealed in a plan that was read. A plan that isn't
// Sealed needs none. Its errors are of opening (there is no identity, or none
// matches), or ErrEdited.
func (p *Plan) Unseal(identities ...age.Identity) error {
	if !p.Sealed() {
		return nil
	}
	if len(identities) == 0 {
		return errors.New("opening the plan, which holds something sensitive: there is no identity here; name the file of the one that it was made with in MUSTER_IDENTITY, or plan again")
	}
	r, err := age.Decrypt(bytes.NewReader(p.sealed), identities...)
	if err != nil {
		var none *age.NoIdentityMatchError
		if errors.As(err, &none) {
			return errors.New("opening the plan: it is sealed to another identity than the one found here: name the one it was made with in MUSTER_IDENTITY, or plan again")
		}
		return fmt.Errorf("opening the plan: %w", err)
	}
	text, err := io.ReadAll(r) // no longer than what is sealed, which Read bounds
	if err != nil {
		return fmt.Errorf("opening the plan: %w", err)
	}
	if err := checkDepth(text); err != nil {
		return fmt.Errorf("%w (what is sealed: %w)", ErrEdited, err)
	}
	var s sealed
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return fmt.Errorf("%w (what is sealed: %w)", ErrEdited, err)
	}
	return p.take(&s)
}

// take puts what was sealed where it belongs.
func (p *Plan) take(s *sealed) error {
	if s.Manifest != p.manifestSum || len(s.Key) != keySize {
		return fmt.Errorf("%w (what is sealed belongs to another plan)", ErrEdited)
	}
	if p.SealInventory && len(s.Inventory) != p.parts || !p.SealInventory && len(s.Inventory) > 0 {
		return fmt.Errorf("%w (the sealed inventory)", ErrEdited)
	}
	n := 0
	for i := range p.Files {
		if f := &p.Files[i]; f.Type == Regular && f.Sensitive {
			if _, ok := s.Files[i]; !ok {
				return fmt.Errorf("%w (a sealed file is missing)", ErrEdited)
			}
			n++
		}
	}
	if n != len(s.Files) {
		return fmt.Errorf("%w (a sealed file belongs to nothing)", ErrEdited)
	}
	for i, data := range s.Files {
		f := &p.Files[i]
		f.Data, f.Sum, f.Size, f.open = data, sumOf(data), int64(len(data)), nil
	}
	if p.SealInventory {
		p.Inventory = s.Inventory
	}
	p.Key, p.sealed = s.Key, nil
	return nil
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
