package view

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestCleanMakesTextFromHostsInert(t *testing.T) {
	for text, want := range map[string]string{
		"plain text\n\tindented": "plain text\n\tindented",
		"\x1b[31mred\x1b[0m":     `\x1b[31mred\x1b[0m`,
		"over\rwritten":          `over\x0dwritten`,
		"a\x00b":                 `a\x00b`,
		"abc\u202edcba":          `abc\u202edcba`,
		"zero\u200bwidth":        `zero\u200bwidth`,
		"\u009b31m":              `\x9b31m`,
		"Größe, 日本":              "Größe, 日本",
		"bad \xff utf":           "bad \uFFFD utf",
	} {
		if got := Clean(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestJSONOfAHostIsInertAndHoldsTheSameValues(t *testing.T) {
	for _, text := range []string{"plain <b>&", "\x1b[31mred\u009b0m\x7f", "abc\u202edcba\u2066", "tag\U000e0041s", "a\r\nb\x00", "Größe, 日本", "\ufffd"} {
		var out bytes.Buffer
		if err := NewEncoder(&out).Encode(map[string]any{"text": text, "raw": json.RawMessage(`"` + "\u202e" + `"`)}); err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSuffix(out.String(), "\n")
		if shown := Clean(line); shown != line || strings.Contains(line, "\n") {
			t.Errorf("%q would be shown raw: %q", text, line)
		}
		var got struct{ Text, Raw string }
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Text != text || got.Raw != "\u202e" {
			t.Errorf("%q became %+v, %v", text, got, err)
		}
	}
}
