package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"muster/tests/docs"
	"muster/tests/program"
)

// TestGuides does what the guides under docs/ say, step by step, as a reader would: each in
// a folder of its own, in one shell. What they do in the lab is done by tests/real.
func TestGuides(t *testing.T) {
	bin := filepath.Dir(program.Muster(t))
	// What this machine noted of the rotation in an earlier run was done with another store.
	if err := os.Remove("/var/lib/muster/rotations/secret.shop%2Fpassword.json"); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, page := range docs.Guides() {
		t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
			text, err := os.ReadFile("../../" + page)
			if err != nil {
				t.Fatal(err)
			}
			steps, err := docs.Steps(string(text))
			if err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			work, home := t.TempDir(), t.TempDir()
			where := filepath.Join(home, "where") // the folder in which a command ended
			env := []string{"HOME=" + home, "PATH=" + bin + ":" + os.Getenv("PATH"), "USER=root", "LANG=C.UTF-8", "TZ=UTC"}
			for _, s := range steps {
				if s.Lab {
					continue
				}
				if s.File != "" {
					file := filepath.Join(work, s.File)
					if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(s.Text), 0o600)); err != nil {
						t.Fatal(err)
					}
					continue
				}
				cmd := exec.Command("bash", "-c", "trap 'pwd >"+where+"' EXIT\n"+s.Command)
				cmd.Dir, cmd.Env = work, env
				out, err := cmd.CombinedOutput()
				if code := cmd.ProcessState.ExitCode(); code != s.Code {
					t.Fatalf("%s:%d: %s\nends with %d (%v), not %d:\n%s", page, s.Line, s.Command, code, err, s.Code, out)
				}
				if missing := s.Missing(string(out)); missing != "" {
					t.Errorf("%s:%d: %s\ndoesn't print %q:\n%s", page, s.Line, s.Command, missing, out)
				}
				if dir, err := os.ReadFile(where); err == nil {
					work = strings.TrimSpace(string(dir))
				}
			}
		})
	}
}
