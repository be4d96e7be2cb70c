package hosts

import (
	"net/netip"
	"strings"
	"testing"
)

// Whatever the file holds, an edit leaves nothing for a second one, and lines
// without an address as they are.
func FuzzEdit(f *testing.F) {
	for _, text := range []string{"", "10.0.0.5", "10.0.0.5 old\r\n10.0.0.6 db", "::ffff:10.0.0.5 db#x\n", "fe80::1%lo db\n", "\xff\n10.0.0.5 a\f#\n"} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, old string, present bool) {
		e := &Entry{Address: "10.0.0.5", Names: []string{"db", "www"}, State: "absent"}
		if present {
			e.State = "present"
		}
		own := netip.MustParseAddr(e.Address)
		once := e.edit(old, own)
		if twice := e.edit(once, own); twice != once {
			t.Errorf("%q becomes %q, and that %q", old, once, twice)
		}
		if a, b := others(old), others(once); a != b {
			t.Errorf("lines without an address: %q becomes %q", a, b)
		}
	})
}

// others are the lines of a text that have no address.
func others(text string) string {
	var kept strings.Builder
	for raw := range strings.Lines(text) {
		if l := parse(raw); !l.address.IsValid() {
			kept.WriteString(strings.TrimSuffix(raw, "\n") + "\n")
		}
	}
	return kept.String()
}
