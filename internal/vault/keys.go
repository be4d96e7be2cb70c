package vault

import (
	"bytes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"
)

const (
	format    = 1
	keyPrefix = "muster secret store 1\n" // stands before the data key in its age file
	keySize   = 32
	padding   = 64       // a value's length is hidden up to this
	maxKey    = 64 << 10 // of the age file
)

// MaxValue is how long a value may be, in bytes.
const MaxValue = 64 << 10

// keys are what a data key is used as.
type keys struct {
	data    []byte
	values  cipher.AEAD
	seals   []byte
	digests []byte
	signs   ed25519.PrivateKey // its successors
}

func newDataKey() []byte {
	k := make([]byte, keySize)
	_, _ = rand.Read(k) // never fails, as crypto/rand promises
	return k
}

func keysOf(data []byte) *keys {
	derive := func(use string) []byte {
		k, err := hkdf.Key(sha256.New, data, nil, "muster secret store 1: "+use, keySize)
		if err != nil {
			panic("vault: deriving a key: " + err.Error()) // only of a length that is too large
		}
		return k
	}
	aead, err := chacha20poly1305.NewX(derive("values"))
	if err != nil {
		panic("vault: making a cipher: " + err.Error()) // only of a key of the wrong length
	}
	return &keys{data: data, values: aead, seals: derive("seals"), digests: derive("digests"), signs: ed25519.NewKeyFromSeed(derive("successors"))}
}

// sealKey seals a data key to recipients.
func sealKey(data []byte, to []Recipient) (string, error) {
	var list []age.Recipient
	for _, r := range to {
		parsed, err := r.parse()
		if err != nil {
			return "", err
		}
		list = append(list, parsed)
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, list...)
	if err == nil {
		_, err = w.Write(append([]byte(keyPrefix), data...))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", fmt.Errorf("sealing to the recipients: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// openKey opens a data key. Its error is age's where no identity fits.
func openKey(sealed string, identities []age.Identity) (*keys, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return nil, errDamaged
	}
	r, err := age.Decrypt(bytes.NewReader(raw), identities...)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(r, maxKey))
	if err != nil {
		return nil, err
	}
	data, ok := bytes.CutPrefix(text, []byte(keyPrefix))
	if !ok || len(data) != keySize {
		return nil, errDamaged
	}
	return keysOf(data), nil
}

var errDamaged = errors.New("it was altered, or belongs to another secret or version")

// beside is what is authenticated with a value.
func beside(name string, number int) []byte {
	return []byte("value\x00" + name + "\x00" + strconv.Itoa(number))
}

// close seals a value.
func (k *keys) close(name string, number int, value string) *box {
	plain := make([]byte, 0, len(value)+padding)
	plain = append(append(plain, value...), 0x80)
	for len(plain)%padding != 0 {
		plain = append(plain, 0)
	}
	nonce := make([]byte, k.values.NonceSize(), k.values.NonceSize()+len(plain)+k.values.Overhead())
	_, _ = rand.Read(nonce) // never fails, as crypto/rand promises
	return &box{number, base64.StdEncoding.EncodeToString(k.values.Seal(nonce, nonce, plain, beside(name, number)))}
}

// open opens a value.
func (k *keys) open(name string, b *box) (string, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(b.sealed)
	if err != nil || len(raw) < k.values.NonceSize() {
		return "", errDamaged
	}
	n := k.values.NonceSize()
	plain, err := k.values.Open(nil, raw[:n], raw[n:], beside(name, b.number))
	if err != nil {
		return "", errDamaged
	}
	end := bytes.LastIndexByte(plain, 0x80)
	if end < 0 {
		return "", errDamaged
	}
	return string(plain[:end]), nil
}

// sum is a keyed sum over texts, which no other list of texts has.
func (k *keys) sum(key []byte, texts ...string) string {
	h := hmac.New(sha256.New, key)
	var n [8]byte
	for _, t := range texts {
		binary.BigEndian.PutUint64(n[:], uint64(len(t)))
		h.Write(n[:])
		io.WriteString(h, t)
	}
	return base64.RawStdEncoding.EncodeToString(h.Sum(nil))
}

// sealOf is the sum over a secret's block.
func (k *keys) sealOf(e *entry) string {
	texts := []string{"secret", e.Name, e.Description, e.Owner, e.Every, string(e.Due), string(e.Created), string(e.Rotated)}
	for _, b := range []*box{e.current, e.pending, e.previous} {
		if b == nil {
			texts = append(texts, "", "")
			continue
		}
		texts = append(texts, strconv.Itoa(b.number), b.sealed)
	}
	return k.sum(k.seals, texts...)
}

// macOf is the sum over a store.
func (k *keys) macOf(s *Store) string {
	texts := []string{"store", strconv.Itoa(s.format), strconv.Itoa(s.generation), s.sealedKey, strconv.Itoa(len(s.sealedTo))}
	for _, r := range s.sealedTo {
		texts = append(texts, r.Name, r.Key)
	}
	texts = append(texts, strconv.Itoa(len(s.left)))
	for _, d := range s.left {
		texts = append(texts, d.Name, d.Key, string(d.Date), strconv.Itoa(len(d.Seen)))
		for _, name := range slices.Sorted(maps.Keys(d.Seen)) {
			texts = append(texts, name, strconv.Itoa(d.Seen[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.entries)) {
		texts = append(texts, name, s.entries[name].seal)
	}
	if len(s.lineage) > 0 {
		texts = append(texts, "\x00lineage") // no name begins so
		for _, next := range s.lineage {
			texts = append(texts, string(next))
		}
	}
	return k.sum(k.seals, texts...)
}

// same compares two sums without telling by its time where they differ.
func same(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }
