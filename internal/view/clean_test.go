package view

import "testing"

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
