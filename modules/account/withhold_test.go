package account

import (
	"slices"
	"strings"
	"testing"
)

const someKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEhuC2AUUhKqeqsfhx0kYDL9xdpikCAiGzX3uIBHtxE+"

func TestSensitiveKeyHidesNoOptions(t *testing.T) {
	options := `from="10.0.0.0/8"`
	diff := "mode: 0644 → 0600\n@@ -1,2 +1,2 @@\n # ours\n-no-pty " + someKey + " old\n+" + options + " " + someKey + " me"
	for name, c := range map[string]struct {
		options   *string
		sensitive string
		want      []string
		hides     []string
	}{
		"a key":               {&options, "keys", []string{"mode: 0644 → 0600", "-no-pty (sensitive)", "+" + options + " (sensitive)"}, []string{"AAAA", "me", "ours"}},
		"a key with its own":  {nil, "keys", []string{"mode: 0644 → 0600", "+(sensitive)"}, []string{"AAAA", "from", "no-pty"}},
		"options":             {&options, "options", []string{"+(sensitive) " + someKey + " me"}, []string{"from", "no-pty"}},
		"both":                {&options, "keys options", []string{"mode: 0644 → 0600", "+(sensitive)"}, []string{"AAAA", "from"}},
		"whose file it is in": {&options, "path", nil, nil},
	} {
		got, ok := (&AuthorizedKey{Options: c.options}).Withhold(diff, strings.Fields(c.sensitive))
		lines := strings.Split(got, "\n")
		for _, w := range c.want {
			if !ok || !slices.Contains(lines, w) {
				t.Errorf("%s: %q isn't in\n%s", name, w, got)
			}
		}
		for _, h := range c.hides {
			if strings.Contains(got, h) {
				t.Errorf("%s: %q shows in\n%s", name, h, got)
			}
		}
		if c.want == nil && ok {
			t.Errorf("%s: it shows %s", name, got)
		}
	}
}
