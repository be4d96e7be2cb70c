package repository

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// key is what an OpenPGP key says of itself (RFC 9580; RFC 4880 before it).
type key struct {
	fingerprint string // upper-case hexadecimal
	made        time.Time
	expires     time.Time // zero: never
	revoked     bool
	id          []byte // by which its own signatures name it
	signed      uint32 // when the newest of these was made, which expires is of
}

const (
	armorBegin = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	armorEnd   = "-----END PGP PUBLIC KEY BLOCK-----"
)

// dearmor returns the bytes of all armored keys of a text, one after the other; nil where
// there is none.
func dearmor(text string) ([]byte, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.Contains(text, "-----BEGIN PGP PRIVATE KEY BLOCK-----") {
		return nil, errors.New("it is a private key, which belongs on no host: gpg --armor --export prints the public one")
	}
	var data []byte
	for {
		_, rest, found := strings.Cut(text, armorBegin+"\n")
		if !found {
			return data, nil
		}
		block, after, ended := strings.Cut(rest, armorEnd)
		if !ended {
			return nil, errors.New("the key is cut off: there is no line " + armorEnd)
		}
		text = after
		if _, body, ok := strings.Cut("\n"+block, "\n\n"); ok { // behind the headers
			block = body
		}
		body, sum := "", ""
		for line := range strings.Lines(block) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "=") && len(line) == 5 {
				sum = line[1:]
			} else {
				body += line
			}
		}
		part, err := base64.StdEncoding.DecodeString(body)
		if err != nil || sum != "" && sum != checksum(part) {
			return nil, errors.New("the key is damaged: its text isn't what gpg wrote")
		}
		data = append(data, part...)
	}
}

// armor is the text of keys, a line each.
func armor(data []byte) []string {
	lines := []string{armorBegin, ""}
	text := base64.StdEncoding.EncodeToString(data)
	for ; len(text) > 64; text = text[64:] {
		lines = append(lines, text[:64])
	}
	return append(lines, text, "="+checksum(data), armorEnd)
}

// checksum is the CRC-24 of RFC 9580, section 6.1, in base64.
func checksum(data []byte) string {
	crc := uint32(0xB704CE)
	for _, b := range data {
		crc ^= uint32(b) << 16
		for range 8 {
			if crc <<= 1; crc&0x1000000 != 0 {
				crc ^= 0x1864CFB
			}
		}
	}
	return base64.StdEncoding.EncodeToString([]byte{byte(crc >> 16), byte(crc >> 8), byte(crc)})
}

// Tags of packets: RFC 9580, section 5.
const (
	signaturePacket = 2
	secretPacket    = 5
	publicPacket    = 6
	subkeyPacket    = 14
)

// keysIn reads a keyring. What a key signs of itself isn't verified, which apt does:
// this tells which keys there are, and until when they say that they are good.
func keysIn(data []byte) ([]key, error) {
	if len(data) == 0 {
		return nil, errors.New("there is no key in it")
	}
	var keys []key
	primary := false
	for len(data) > 0 {
		tag, body, rest, err := packet(data)
		if err != nil {
			return nil, err
		}
		data = rest
		switch tag {
		case secretPacket:
			return nil, errors.New("it is a private key, which belongs on no host: gpg --armor --export prints the public one")
		case publicPacket:
			k, err := publicKey(body)
			if err != nil {
				return nil, err
			}
			keys, primary = append(keys, k), true
		case subkeyPacket:
			primary = false // signatures that follow are the subkey's
		case signaturePacket:
			if primary {
				keys[len(keys)-1].certify(body)
			}
		}
		if len(keys) == 0 {
			return nil, fmt.Errorf("it is no OpenPGP key: it begins with a packet of type %d", tag)
		}
	}
	return keys, nil
}

var errNoKey = errors.New("it is no OpenPGP key, or one that is cut off")

// packet cuts the first packet off: RFC 9580, section 4.2.
func packet(data []byte) (tag int, body, rest []byte, err error) {
	if len(data) < 2 || data[0]&0x80 == 0 {
		return 0, nil, nil, errNoKey
	}
	head, n, size := data[0], 1, 0
	if head&0x40 == 0 { // the older form
		tag = int(head>>2) & 15
		width := 1 << (head & 3)
		if width == 8 || len(data) < 1+width {
			return 0, nil, nil, errNoKey
		}
		for _, b := range data[1 : 1+width] {
			size = size<<8 | int(b)
		}
		n += width
	} else {
		tag = int(head & 63)
		var used int
		if size, used = length(data[1:]); used == 0 {
			return 0, nil, nil, errNoKey
		}
		n += used
	}
	if size > len(data)-n {
		return 0, nil, nil, errNoKey
	}
	return tag, data[n : n+size], data[n+size:], nil
}

// length reads a length of the newer form, and says how many bytes it has taken; 0 where
// there is none.
func length(data []byte) (size, used int) {
	switch {
	case len(data) >= 1 && data[0] < 192:
		return int(data[0]), 1
	case len(data) >= 2 && data[0] < 224:
		return int(data[0]-192)<<8 + int(data[1]) + 192, 2
	case len(data) >= 5 && data[0] == 255:
		return int(binary.BigEndian.Uint32(data[1:])), 5
	}
	return 0, 0
}

func publicKey(body []byte) (key, error) {
	if len(body) < 6 || len(body) > 1<<16-1 {
		return key{}, errNoKey
	}
	switch body[0] { // RFC 9580, section 5.5.4
	case 4:
		sum := sha1.Sum(append([]byte{0x99, byte(len(body) >> 8), byte(len(body))}, body...))
		return key{fingerprint: fmt.Sprintf("%X", sum), id: sum[12:], made: created(body)}, nil
	case 6:
		sum := sha256.Sum256(append([]byte{0x9B, 0, 0, byte(len(body) >> 8), byte(len(body))}, body...))
		return key{fingerprint: fmt.Sprintf("%X", sum), id: sum[:8], made: created(body)}, nil
	}
	return key{}, fmt.Errorf("it is a key of version %d, which apt doesn't take", body[0])
}

// created is when a key was made.
func created(body []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint32(body[1:])), 0)
}

// certify reads what a signature of the key's own says of it: RFC 9580, section 5.2.3.
func (k *key) certify(body []byte) {
	if len(body) < 6 || body[0] != 4 && body[0] != 6 {
		return
	}
	width := 2
	if body[0] == 6 {
		width = 4
	}
	var made, life uint32
	own := false
	rest := body[4:]
	for _, hashed := range []bool{true, false} {
		if len(rest) < width {
			return
		}
		size := 0
		for _, b := range rest[:width] {
			size = size<<8 | int(b)
		}
		if rest = rest[width:]; size > len(rest) {
			return
		}
		area := rest[:size]
		rest = rest[size:]
		for len(area) > 0 {
			n, used := length(area)
			if used == 0 || n < 1 || n > len(area)-used {
				return
			}
			kind, value := area[used]&0x7f, area[used+1:used+n]
			area = area[used+n:]
			switch {
			case kind == 2 && hashed && len(value) == 4:
				made = binary.BigEndian.Uint32(value)
			case kind == 9 && hashed && len(value) == 4:
				life = binary.BigEndian.Uint32(value)
			case kind == 16:
				own = own || string(value) == string(k.id)
			case kind == 33 && len(value) > 1:
				own = own || fmt.Sprintf("%X", value[1:]) == k.fingerprint
			}
		}
	}
	switch typ := body[1]; {
	case !own:
	case typ == 0x20:
		k.revoked = true
	case (typ >= 0x10 && typ <= 0x13 || typ == 0x1F) && made >= k.signed:
		k.signed, k.expires = made, time.Time{}
		if life > 0 {
			k.expires = k.made.Add(time.Duration(life) * time.Second)
		}
	}
}

// unusable says why keys can't be relied on at a time: one of them suffices where there are
// several.
func unusable(keys []key, now time.Time) error {
	var first error
	for _, k := range keys {
		var err error
		switch {
		case k.revoked:
			err = fmt.Errorf("the key %s was revoked by its owner", k.fingerprint)
		case !k.expires.IsZero() && !now.Before(k.expires):
			err = fmt.Errorf("the key %s has expired on %s", k.fingerprint, k.expires.UTC().Format(time.DateOnly))
		default:
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}
