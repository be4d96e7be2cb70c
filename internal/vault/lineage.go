package vault

import (
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// A store's lineage says which data keys it has had: each was signed by the one before it. Whoever
// knows no data key of a store can seal another one to its recipients, whose public keys stand in it, and
// has no signature for that. A merge seals values with the newer of two data keys: without this, one
// that a stranger has made would get what the other side has added.

// successor is a data key, by the public half of what it signs with, and the signature of the
// one before it. It is written "PUBLIC:SIGNATURE", both in base64.
type successor string

// maxLineage is how many are kept: a branch on which more were made is merged by hand.
const maxLineage = 64

// public is what others check the data key's signatures with.
func (k *keys) public() []byte { return k.signs.Public().(ed25519.PublicKey) }

// signed is what a data key signs of its successor.
func signed(public []byte) []byte {
	return append([]byte("muster secret store 1: succeeds\x00"), public...)
}

// names has a data key name the one that comes after it.
func (k *keys) names(next *keys) successor {
	sig := ed25519.Sign(k.signs, signed(next.public()))
	return successor(base64.RawStdEncoding.EncodeToString(next.public()) + ":" + base64.RawStdEncoding.EncodeToString(sig))
}

// parts are the public half and the signature; ok is false where it isn't written so.
func (s successor) parts() (public, sig []byte, ok bool) {
	a, b, _ := strings.Cut(string(s), ":")
	public, err := base64.RawStdEncoding.Strict().DecodeString(a)
	if err != nil || len(public) != ed25519.PublicKeySize {
		return nil, nil, false
	}
	sig, err = base64.RawStdEncoding.Strict().DecodeString(b)
	return public, sig, err == nil && len(sig) == ed25519.SignatureSize
}

// descends reports whether a store's data key is another's, or was made from it by people who
// could open it. Both are open.
func (s *Store) descends(from *Store) bool {
	at, last, found := from.keys.public(), s.keys.public(), false
	if slices.Equal(at, last) {
		return true
	}
	for _, next := range s.lineage {
		public, sig, ok := next.parts()
		if ok && ed25519.Verify(at, signed(public), sig) {
			at, found = public, true
		} else if found {
			return false
		}
	}
	return found && slices.Equal(at, last)
}

// lineageOf reads the argument of a seal.
func (r *reader) lineageOf(a *hclsyntax.Attribute) {
	for _, word := range r.words(a) {
		next := successor(word)
		if _, _, ok := next.parts(); !ok {
			r.fail(a.Expr.Range(), "Damaged seal", "The lineage of the store isn't as muster writes it. Take the file from git again.")
			return
		}
		r.s.lineage = append(r.s.lineage, next)
	}
}

// lineageValue is the lineage as it is written.
func (s *Store) lineageValue() cty.Value {
	var list []cty.Value
	for _, next := range s.lineage {
		list = append(list, cty.StringVal(string(next)))
	}
	return cty.TupleVal(list)
}
