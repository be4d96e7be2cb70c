package vault

import (
	"crypto/cipher"
	"fmt"
	"sync/atomic"
)

// CountOpened returns a count of the values of an open store that are opened from here on.
func CountOpened(s *Store) func() int64 {
	var n atomic.Int64
	s.keys.values = counting{s.keys.values, &n}
	return n.Load
}

type counting struct {
	cipher.AEAD
	n *atomic.Int64
}

func (c counting) Open(dst, nonce, ciphertext, beside []byte) ([]byte, error) {
	c.n.Add(1)
	return c.AEAD.Open(dst, nonce, ciphertext, beside)
}

// ViewValues are the values in a view, by name.
func ViewValues(view []byte) (map[string]string, error) {
	list, _, err := parseView(view)
	values := map[string]string{}
	for name, v := range list {
		values[name] = v.value
	}
	return values, err
}

// ParseBoth reads a store as a plain one and by the parser alone. Plain is nil where it isn't one.
func ParseBoth(src []byte) (plain, parsed *Store, err error) {
	parsed, err = parse("x.hcl", src, src)
	return parsePlain("x.hcl", src), parsed, err
}

// Dump is all of a store, ranges included.
func (s *Store) Dump() string {
	text := fmt.Sprintf("%v %v %+v %+v %q %q %+v %v", s.format, s.generation, s.recipients, s.sealedTo, s.sealedKey, s.mac, s.at, s.order)
	for _, d := range s.left {
		text += fmt.Sprintf("\n%+v", *d)
	}
	for _, name := range s.order {
		e := s.entries[name]
		text += fmt.Sprintf("\n%+v %+v %+v %q %v %v", e.info(), e.current, e.pending, e.seal, e.whole, e.sealAt)
	}
	return text
}
