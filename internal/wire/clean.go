package wire

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// NewHostConn returns the controller's connection to a host. Text on a host is
// bytes (names of files, what programs print), and travels as such between remotes
// and their workers. This is the one place where it becomes text: what Receive
// returns here is valid UTF-8, U+FFFD standing for what is none. What takes edits
// back (UndoStep) keeps its bytes.
func NewHostConn(r io.Reader, w io.Writer) *Conn {
	c := NewConn(r, w)
	c.toHost = true
	return c
}

const replacement = "\uFFFD"

// clean makes every text of a message from a host valid UTF-8.
func (m *Message) clean() {
	cleanText(reflect.ValueOf(m).Elem())
	switch {
	case m.Hello != nil:
		cleanJSON(&m.Hello.Facts)
	case m.Facts != nil:
		cleanJSON(&m.Facts.Facts)
	case m.Planned != nil:
		cleanJSON(&m.Planned.Output)
	case m.Done != nil:
		cleanJSON(&m.Done.Output)
	}
}

// cleanText cleans the strings in v; slices of bytes it leaves.
func cleanText(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); !utf8.ValidString(s) {
			v.SetString(strings.ToValidUTF8(s, replacement))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			cleanText(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			cleanText(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			cleanText(v.Index(i))
		}
	}
}

// cleanJSON cleans JSON's text: bytes that are no UTF-8 stand only in its strings.
func cleanJSON(data *[]byte) {
	if !utf8.Valid(*data) {
		*data = bytes.ToValidUTF8(*data, []byte(replacement))
	}
}
