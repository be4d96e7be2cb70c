package shells

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"muster/tests/program"
)

// At the question whether to make the changes, no and ^C both leave everything as it is, at
// once, and nobody who waits for the changes takes them for made.
func TestChangesAreRefusedAtATerminal(t *testing.T) {
	muster := program.Muster(t)
	for _, c := range []struct {
		name, keys string
		code       int
	}{
		{"no", "n\n", 1},
		{"nothing", "\n", 1},
		{"the end of the input", "\x04", 1},
		{"an interrupt", "\x03", 130},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{
				"muster.hcl": "inventory = \"hosts.hcl\"\n",
				"hosts.hcl":  "host \"here\" { connection = \"local\" }\n",
				"site.hcl":   "play \"p\" {\n  hosts = [\"here\"]\n  task \"file\" \"" + dir + "/made\" { content = \"x\" }\n}\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), muster, "apply", "site.hcl", "--no-color")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=xterm")
			term, err := open(cmd)
			if err != nil {
				t.Fatal(err)
			}
			defer term.close()
			if said, err := term.await("Make these changes? [y/N] "); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if err := term.write(c.keys); err != nil {
				t.Fatal(err)
			}
			if said, err := term.await("Nothing was changed."); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			err = cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != c.code {
				t.Errorf("it ended with %v, not with the exit code %d", err, c.code)
			}
			if _, err := os.Stat(filepath.Join(dir, "made")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it made the change: %v", err)
			}
		})
	}
}
