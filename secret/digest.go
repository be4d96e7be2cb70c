package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// Digest tells one value of a secret from another. It is four bytes of an HMAC: so short
// that a guess can't be made sure of by it.
func Digest(name string, value String) string {
	h := hmac.New(sha256.New, []byte(name))
	h.Write([]byte(value.Reveal()))
	return hex.EncodeToString(h.Sum(nil)[:4])
}
