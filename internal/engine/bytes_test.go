package engine_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"muster/internal/engine"
)

// What a program says in another encoding than UTF-8 costs nothing: its failure is
// rescued, and later tasks are made.
func TestBytesThatAreNoUTF8DoNotLoseTheHost(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  block "b" {
    task "command" "says" { shell = "printf 'caf\\351' >&2; exit 3" }
    rescue {
      task "file" "rescued" {
        path = "DIR/rescued"
        content = "x"
      }
    }
  }
  task "command" "long" { shell = "yes ü | head -c 100001; exit 0" }
  task "command" "link" {
    shell   = "ln -s $(printf 'caf\\351') DIR/link; ln -s x DIR/$(printf 'n\\351')"
    creates = "DIR/link"
  }
  task "link" "other" {
    path   = "DIR/link"
    target = "other"
  }
}
`, "web1")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if !f.exists("rescued") || !f.exists("link") {
		t.Errorf("%s, %v: %s", s.Outcome, f.states(), f.failures())
	}
	if text := f.failures(); !strings.Contains(text, "caf\ufffd") || !utf8.ValidString(text) {
		t.Errorf("the failure says %q", text)
	}
	for _, e := range f.events {
		if e, ok := e.(*engine.HostEvent); ok {
			t.Errorf("%s is lost: %v", e.Host, e.Error)
		}
	}
}
