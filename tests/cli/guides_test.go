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
// a folder of its own and on a machine that none was done on before. What they do in the lab is done by tests/real.
func TestGuides(t *testing.T) {
	bin := filepath.Dir(program.Muster(t))
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
			m := newMachine(t, bin)
			work, home := filepath.Join(string(m), "work"), filepath.Join(string(m), "home")
			where := filepath.Join(home, "where") // the folder in which a command ended
			env := []string{"HOME=" + home, "PATH=" + filepath.Join(string(m), "bin") + ":" + os.Getenv("PATH"), "USER=root", "LANG=C.UTF-8", "TZ=UTC"}
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
				cmd := m.command("trap 'pwd >" + where + "' EXIT\n" + s.Command)
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

// machine is a folder that is a machine of its own to the commands of a page, as far as
// guides go: its /tmp, and what muster keeps on a host, its lock and its state, are empty
// at first, whatever a reader has left on this machine. To others than root, who can't have
// that, it is this machine.
type machine string

func newMachine(t *testing.T, bin string) machine {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "muster-guide-") // /tmp is another one there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, name := range []string{"work", "home", "tmp", "held", "state"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky), os.CopyFS(filepath.Join(dir, "bin"), os.DirFS(bin))); err != nil {
		t.Fatal(err)
	}
	return machine(dir)
}

// command is what runs a line of bash on the machine.
func (m machine) command(line string) *exec.Cmd {
	if os.Geteuid() != 0 {
		return exec.Command("bash", "-c", line)
	}
	const enter = `mkdir -p /run/muster /var/lib/muster && mount --bind "$0/held" /run/muster &&
mount --bind "$0/state" /var/lib/muster && mount --bind "$0/tmp" /tmp && exec bash -c "$1"`
	return exec.Command("unshare", "--mount", "sh", "-c", enter, string(m), line)
}
