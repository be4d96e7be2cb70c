package view_test

import (
	"io"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"muster/internal/view"
)

// What a host says can't begin a row of the terminal, however it is padded, and none of it is
// lost.
func TestNoTextOfAHostBeginsARow(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
	}{
		{"it fits", "  twelve and 4\n", "  twelve and 4\n"},
		{"just so", "  " + strings.Repeat("x", 18) + "\n", "  " + strings.Repeat("x", 18) + "\n"},
		{"padded", "  ok" + strings.Repeat(" ", 16) + "Failed in 1s\n", "  ok" + strings.Repeat(" ", 16) + "\n    Failed in 1s\n"},
		{"without a space", "  " + strings.Repeat("x", 40) + "\n", "  " + strings.Repeat("x", 18) + "\n    " + strings.Repeat("x", 16) + "\n    " + strings.Repeat("x", 6) + "\n"},
		{"words", "app1: the quick brown fox jumps\n", "app1: the quick \n  brown fox jumps\n"},
		{"tabs", "\t\tdone\tFailed\n", "\t\tdone\n  \tFailed\n"},
		{"wide", "  日本語日本語日本語日本語\n", "  日本語日本語日本語\n    日本語\n"},
		{"colours", "  \x1b[31m" + strings.Repeat("x", 19) + "\x1b[0m\n", "  \x1b[31m" + strings.Repeat("x", 18) + "\n    x\x1b[0m\n"},
		{"deep", strings.Repeat(" ", 18) + "abcd\n", strings.Repeat(" ", 18) + "ab\n" + strings.Repeat(" ", 10) + "cd\n"},
		{"a question", "Make these changes to all? [y/N] ", "Make these changes \n  to all? [y/N] "},
		{"what to type", "To go on: muster apply site.hcl --limit app1\n", "To go on: muster apply site.hcl --limit app1\n"},
		{"several", "a\n  ok" + strings.Repeat(" ", 16) + "b\n\nc\n", "a\n  ok" + strings.Repeat(" ", 16) + "\n    b\n\nc\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			w := view.Folding(&b, func() int { return 20 })
			if n, err := io.WriteString(w, c.text); n != len(c.text) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if d := cmp.Diff(c.want, b.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzFoldingLosesNothing(f *testing.F) {
	f.Add("  ok                 Failed\n\t\tx\n", 20)
	f.Add("日本語日本語日本語日本語\x1b[31mx", 16)
	f.Fuzz(func(t *testing.T, text string, columns int) {
		text = view.Clean(text)
		var b strings.Builder
		if _, err := io.WriteString(view.Folding(&b, func() int { return columns }), text); err != nil {
			t.Fatal(err)
		}
		blank := strings.NewReplacer(" ", "", "\n", "")
		if d := cmp.Diff(blank.Replace(text), blank.Replace(b.String())); d != "" {
			t.Error(d)
		}
		if columns < 16 || strings.Contains(text, "\t") || strings.Contains(text, "To go on: ") {
			return
		}
		for line := range strings.SplitSeq(b.String(), "\n") {
			if ansi.StringWidth(line) > columns {
				t.Errorf("%q needs more than %d columns", line, columns)
			}
		}
	})
}

// A line that was begun is gone on with, as it is.
func TestALineThatWasBegunStaysWhole(t *testing.T) {
	var b strings.Builder
	w := view.Folding(&b, func() int { return 20 })
	for _, text := range []string{"Go on? ", strings.Repeat("y", 20) + "\n" + strings.Repeat("z", 21), "\n"} {
		_, _ = io.WriteString(w, text)
	}
	if want := "Go on? " + strings.Repeat("y", 20) + "\n" + strings.Repeat("z", 20) + "\n  z\n"; b.String() != want {
		t.Errorf("%q", b.String())
	}
}
