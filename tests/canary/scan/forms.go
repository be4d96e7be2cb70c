package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
)

// form is one way in which a value may have been written.
type form struct {
	name string
	text []byte
}

// forms are the ways that are looked for. They are made here and not taken from package
// secret: what that forgets is to be found.
func forms(value string) []form {
	list := []form{
		{"plain", []byte(value)},
		{"first half", []byte(value[:len(value)/2])},
		{"second half", []byte(value[len(value)/2:])},
		{"hex", []byte(hex.EncodeToString([]byte(value)))},
		{"HEX", []byte(strings.ToUpper(hex.EncodeToString([]byte(value))))},
		{"query", []byte(url.QueryEscape(value))},
		{"path", []byte(url.PathEscape(value))},
		{"shell", []byte(strings.ReplaceAll(value, "'", `'\''`))},
		{"UTF-16", utf16(value)},
		{"backwards", backwards(value)},
	}
	if quoted, err := json.Marshal(value); err == nil {
		list = append(list, form{"JSON", quoted[1 : len(quoted)-1]})
		if again, err := json.Marshal(string(quoted)); err == nil {
			list = append(list, form{"JSON in JSON", again[3 : len(again)-3]})
		}
	}
	for offset, name := range []string{"base64", "base64+1", "base64+2"} {
		// Only whole groups of the value's own bytes are the same whatever is around it.
		skip := (3 - offset) % 3
		own := value[skip : skip+(len(value)-skip)/3*3]
		list = append(list, form{name, []byte(base64.StdEncoding.EncodeToString([]byte(own)))}, form{name + " of URLs", []byte(base64.URLEncoding.EncodeToString([]byte(own)))})
	}
	var once []form
	for _, f := range list {
		seen := false
		for _, o := range once {
			seen = seen || bytes.Equal(o.text, f.text)
		}
		if !seen {
			once = append(once, f)
		}
	}
	return once
}

func utf16(s string) []byte {
	var b []byte
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return b[:len(b)-1]
}

func backwards(s string) []byte {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return b
}
