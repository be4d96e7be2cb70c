package real

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/tests/operator"
)

// A file of each host comes through the bastion into the project, whole, and again only
// where it is another one.
func TestFilesAreFetchedThroughTheBastion(t *testing.T) {
	inventory, err := filepath.Abs("../../inventory/lab.hcl")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"muster.hcl": "inventory = \"" + inventory + "\"\n",
		"site.hcl": `play "fetch" {
  hosts  = ["app1", "db1"]
  become = true
  task "fetch" "/etc/hostname" { to = "fetched" }
  task "fetch" "/srv/large" { to = "fetched" }
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, host := range []string{"app1", "db1"} {
		on(t, host, "head -c 5000000 /dev/urandom >/srv/large; chmod 600 /srv/large")
		defer on(t, host, "rm -f /srv/large")
	}
	apply := func() result {
		cmd := theLab.Lab.Command(t.Context(), binary(t), "apply", "site.hcl", "--yes", "--no-color")
		cmd.Dir = dir
		return operator.Run(t, cmd)
	}
	for _, what := range []string{"the first time", "another file"} {
		if r := apply(); r.Code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", what, r.Code, r.Out, r.Err)
		}
		for _, host := range []string{"app1", "db1"} {
			name, err := os.ReadFile(filepath.Join(dir, "fetched", host, "etc/hostname"))
			if err != nil || strings.TrimSpace(string(name)) != host {
				t.Errorf("%s: the name of %s is %q (%v)", what, host, name, err)
			}
			large, err := os.ReadFile(filepath.Join(dir, "fetched", host, "srv/large"))
			if is := on(t, host, "sha256sum </srv/large"); err != nil || !strings.HasPrefix(is, fmt.Sprintf("%x ", sha256.Sum256(large))) {
				t.Errorf("%s: of %s %d bytes came that aren't its own (%v)", what, host, len(large), err)
			}
		}
		if r := apply(); r.Code != 0 || !strings.Contains(r.Out, "Nothing to change") {
			t.Errorf("%s: fetched again:\n%s%s", what, r.Out, r.Err)
		}
		on(t, "db1", "echo more >>/srv/large")
	}
}
