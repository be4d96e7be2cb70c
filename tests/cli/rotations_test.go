package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"muster/tests/program"
)

// The rotations that come with muster are valid on the reference inventory, and fit beside
// each other: no two change one secret.
func TestShippedRotationsAreValid(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, home := t.TempDir(), t.TempDir()
	for _, name := range []string{"playbooks", "roles"} {
		if err := os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "muster.hcl"), []byte("inventory = \""+filepath.Join(root, "inventory/lab.hcl")+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := program.Muster(t)
	muster := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(bin, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+home, "USER=root")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("muster %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	files, err := filepath.Glob(filepath.Join(root, "playbooks/rotation/*.hcl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are none: %v", err)
	}
	muster("secret", "init")
	known, args := map[string]bool{}, []string{"validate"}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:secret|ca)(?: *= *|\[)"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			if !known[m[1]] {
				known[m[1]] = true
				muster("secret", "generate", m[1])
			}
		}
		args = append(args, "playbooks/rotation/"+filepath.Base(file))
	}
	muster(args...)
	list := muster("rotate")
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".hcl"); !strings.Contains(list, name+" ") {
			t.Errorf("%s isn't listed by muster rotate, and is named by its file:\n%s", name, list)
		}
	}
	muster("fmt", "--check", filepath.Join(root, "playbooks/rotation"))
}
