package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
)

// needles are the texts that are looked for, by their first four bytes.
type needles struct {
	first [1 << 10]uint64 // a bit for each hash of four bytes that one begins with
	by    map[uint32]*bucket
}

// bucket is the needles that begin with the same four bytes: by their text, and how long they
// are. Many have the same length, so that each place in a text is looked up a few times.
type bucket struct {
	lengths []int
	all     map[string]needle
}

// needle is one form of a secret, without white space. head and tail: it is in base64, and
// the character before it or behind it is partly made of the secret's bytes.
type needle struct {
	text       []byte
	head, tail bool
}

// span is a part of the text that was looked through.
type span struct{ from, to int }

// add adds what finds a secret.
func (n *needles) add(s string, worth effort) {
	n.put(needle{text: []byte(s)})
	// What looks like an escape in it is undone with those around it.
	for v := newView(s).decoded(); v != nil; v = v.decoded() {
		n.put(needle{text: v.text})
	}
	if strings.Contains(s, " ") {
		n.put(needle{text: []byte(strings.ReplaceAll(s, " ", "+"))}) // in a query
	}
	if worth < inBase {
		return
	}
	for offset := range 3 {
		n.put(base64Core(s, offset))
	}
	if worth < allForms {
		return
	}
	code := hex.EncodeToString([]byte(s))
	n.put(needle{text: []byte(code)})
	n.put(needle{text: []byte(strings.ToUpper(code))})
	for offset := range 3 {
		one := base64Core(s, offset)
		one.text = []byte(strings.NewReplacer("+", "-", "/", "_").Replace(string(one.text)))
		n.put(one)
	}
}

// base64Core is what is always there of a text in base64, where offset bytes of a group
// of three stand before it: without the characters that other bytes have a part in.
func base64Core(s string, offset int) needle {
	code := base64.StdEncoding.EncodeToString(append(make([]byte, offset), s...))
	from := (offset*8 + 5) / 6
	bits := (offset + len(s)) * 8
	return needle{text: []byte(code[from : bits/6]), head: offset > 0, tail: bits%6 != 0}
}

func (n *needles) put(one needle) {
	one.text = newView(string(one.text)).text
	if len(one.text) < Short-2 { // of a secret with blanks in it
		return
	}
	key := binary.LittleEndian.Uint32(one.text)
	if n.by == nil {
		n.by = map[uint32]*bucket{}
	}
	b := n.by[key]
	if b == nil {
		b = &bucket{all: map[string]needle{}}
		n.by[key] = b
	}
	if _, ok := b.all[string(one.text)]; ok {
		return
	}
	b.all[string(one.text)] = needle{head: one.head, tail: one.tail}
	if !slices.Contains(b.lengths, len(one.text)) {
		b.lengths = append(b.lengths, len(one.text))
	}
	h := hash(key)
	n.first[h/64] |= 1 << (h % 64)
}

// hash is 16 bits of four bytes.
func hash(key uint32) uint32 { return key * 2654435761 >> 16 }

// find appends where needles stand in a view.
func (n *needles) find(v *view, list []span) []span {
	text := v.text
	for i := 0; i+4 <= len(text); i++ {
		key := binary.LittleEndian.Uint32(text[i:])
		if h := hash(key); n.first[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		b := n.by[key]
		if b == nil {
			continue
		}
		for _, length := range b.lengths {
			if i+length > len(text) {
				continue
			}
			one, ok := b.all[string(text[i:i+length])]
			if !ok {
				continue
			}
			from, to := i, i+length
			if one.head && from > 0 && inBase64(text[from-1]) && v.to[from-1] == v.from[from] {
				from--
			}
			if one.tail && to < len(text) && inBase64(text[to]) && v.to[to-1] == v.from[to] {
				to++
			}
			list = append(list, v.span(from, to))
		}
	}
	return list
}

func inBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}

const (
	cutMark = "…"
	maxCuts = 32 // marks that are looked at, of which muster makes a few at most
	minPart = 4  // bytes of a secret that count as a part of it
)

// cut appends where parts of needles stand right beside the marks of what was cut out of
// a text: "…" at its begin or end, or "[… 12 bytes left out …]".
func (n *needles) cut(v *view, list []span) []span {
	at := 0
	for range maxCuts {
		k := bytes.Index(v.text[at:], []byte(cutMark))
		if k < 0 {
			break
		}
		before, after := bytes.TrimSuffix(v.text[:at+k], []byte("[")), v.text[at+k+len(cutMark):]
		at += k + len(cutMark)
		from := at
		if len(after) > 0 && after[0] == ']' {
			after, from = after[1:], from+1
		}
		for _, b := range n.by {
			for one := range b.all {
				if k := beginOf(before, one); k > 0 {
					list = append(list, v.span(len(before)-k, len(before)))
				}
				if k := endOf(after, one); k > 0 {
					list = append(list, v.span(from, from+k))
				}
			}
		}
	}
	return list
}

// beginOf is how many bytes at a text's end are the begin of a needle.
func beginOf(text []byte, one string) int {
	for k := min(len(one)-1, len(text)); k >= minPart; k-- {
		if text[len(text)-1] == one[k-1] && string(text[len(text)-k:]) == one[:k] {
			return k
		}
	}
	return 0
}

// endOf is how many bytes at a text's begin are the end of a needle.
func endOf(text []byte, one string) int {
	for k := min(len(one)-1, len(text)); k >= minPart; k-- {
		if text[0] == one[len(one)-k] && string(text[:k]) == one[len(one)-k:] {
			return k
		}
	}
	return 0
}
