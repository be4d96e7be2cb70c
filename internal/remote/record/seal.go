package record

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"muster/host"
	"muster/internal/wire"
)

// A record may stay on the host: where a run was killed nobody comes back for it for a
// day. What programs printed, and what stood in files, may hold secrets, so that neither
// stands in it for anybody to read.
//
// What a task said is sealed with the run's key, which the controller alone has, in its
// memory: only another connection of the same run reads it. Edits of an atomic task are
// for any later run to take back. They are sealed with a key of the task's own, which
// stands in the record as long as the task is in hand, and is written over once they
// belong to a whole.

// KeySize is the size of a run's key.
const KeySize = 32

// errSealed is a line that was sealed with another key.
var errSealed = errors.New("it was sealed with another key")

// sealed encodes a value and seals it; what it is bound to is told on opening, too.
func sealed(key []byte, to string, value any) ([]byte, error) {
	text, err := host.Marshal(value)
	if err != nil {
		return nil, err
	}
	c, err := box(key)
	if err != nil {
		return nil, err
	}
	return c.Seal(nil, nil, text, []byte(to)), nil
}

// opened is sealed's reverse.
func opened(key []byte, to string, data []byte, value any) error {
	c, err := box(key)
	if err != nil {
		return err
	}
	text, err := c.Open(nil, nil, data, []byte(to))
	if err != nil {
		return errSealed
	}
	return host.Unmarshal(text, value)
}

// box seals with nonces of its own.
func box(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("a key has %d bytes, not %d", KeySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// end is a task's end as it is kept: what it says is sealed, where the run has a key, and
// else left out.
func (r *Record) end(d *wire.Done) entry {
	e := entry{End: bare(d)}
	if r.size > maxSize || r.key == nil {
		return e
	}
	if s, err := sealed(r.key, d.ID, d); err == nil {
		e.Said = s
	}
	return e
}

// bare is a task's end without what it says.
func bare(d *wire.Done) *wire.Done {
	return &wire.Done{ID: d.ID, Status: d.Status, Refused: d.Refused, Undone: d.Undone, Seconds: d.Seconds}
}

// keyLine is the line of an edits' key: always of one length, so that it can be written
// over.
func keyLine(key []byte) ([]byte, error) {
	line, err := host.Marshal(entry{Key: key})
	return append(line, '\n'), err
}

// seal is an edit as it is kept. The first of a task makes the key.
func (r *Record) seal(u *wire.Undo) (entry, error) {
	if r.editKey == nil {
		key := make([]byte, KeySize)
		_, _ = rand.Read(key) // never fails, as crypto/rand promises
		line, err := keyLine(key)
		if err != nil {
			return entry{}, err
		}
		at, err := r.f.Seek(0, io.SeekCurrent)
		if err != nil {
			return entry{}, err
		}
		n, err := r.f.Write(line)
		r.size += int64(n)
		if err != nil {
			return entry{}, err
		}
		r.editKey, r.keyAt = key, at
	}
	s, err := sealed(r.editKey, u.ID, u)
	return entry{Edit: s, Of: u.ID}, err
}

// forget writes over the key of edits that nobody is to take back.
func (r *Record) forget() error {
	if r.editKey == nil {
		return nil
	}
	line, err := keyLine(make([]byte, KeySize))
	if err != nil {
		return err
	}
	if _, err := r.f.WriteAt(line, r.keyAt); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	r.editKey = nil
	return nil
}
