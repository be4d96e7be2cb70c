package real

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/tests/lab"
)

// inventoryFile is an inventory with app1 alone, whose user and bastion are set.
func inventoryFile(t *testing.T, user string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hosts.hcl")
	text := `
bastion "nat" {
  address = "203.0.113.10"
  user    = "ops"
}
host "app1" {
  address = "10.0.1.21"
  user    = "` + user + `"
  via     = "nat"
}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// screen is what a program shows on a terminal, read while it runs.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// shows waits for a text.
func (s *screen) shows(ctx context.Context, text string) error {
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.more:
		case <-ctx.Done():
			return errors.New("it never showed " + text)
		}
	}
	return nil
}

// onTerminal runs muster on a terminal of its own and answers once it has shown
// a question.
func onTerminal(t *testing.T, dir, question, answer string, args ...string) (string, int) {
	t.Helper()
	if theLab == nil {
		t.Skip("real hosts: run tests/real.sh")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	line := "exec '" + strings.Join(append([]string{binary(t)}, args...), "' '") + "'"
	cmd := theLab.Lab.Command(ctx, "script", "-qec", line, "/dev/null")
	cmd.Dir = dir
	s := &screen{more: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = s, s
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.shows(ctx, question); err != nil {
		t.Error(err)
		cancel()
	}
	_, _ = io.WriteString(in, answer+"\n")
	err = cmd.Wait()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return s.String(), code
}

func TestPasswordForSudoIsAskedFor(t *testing.T) {
	file := playbook(t, touch("app1", "asked"))
	for answer, want := range map[string]int{lab.AsksPassword: 0, "guessed-it": 4} {
		out, code := onTerminal(t, ".", "sudo password: ", answer, "apply", file, "-i", inventoryFile(t, "asks"), "--ask-become-pass", "--yes")
		if code != want || strings.Contains(out, answer) {
			t.Errorf("the password %q: exit code %d, want %d\n%s", answer, code, want, out)
		}
		if want != 0 && !strings.Contains(out, "password") {
			t.Errorf("it isn't said that the password was wrong:\n%s", out)
		}
	}
}

func TestHostsBecomeKnownByTrust(t *testing.T) {
	if theLab == nil {
		t.Skip("real hosts: run tests/real.sh")
	}
	// A project, and a user who has a key and knows no host.
	project, home, hosts := t.TempDir(), t.TempDir(), inventoryFile(t, "ops")
	key, err := os.ReadFile(filepath.Join(theLab.Home(), ".ssh", "id_ed25519"))
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(project, "muster.hcl"), nil, 0o600), os.Mkdir(filepath.Join(home, ".ssh"), 0o700),
			os.WriteFile(filepath.Join(home, ".ssh", "id_ed25519"), key, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) string {
		cmd := theLab.Lab.Command(t.Context(), "env", append([]string{"HOME=" + home, binary(t)}, append(args, "-i", hosts)...)...)
		cmd.Dir = project
		out, err := cmd.CombinedOutput()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		if code != want {
			t.Errorf("muster %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, want, out)
		}
		return string(out)
	}
	play := playbook(t, touch("app1", "trusted"))
	if out := run(5, "plan", play); !strings.Contains(out, "muster trust nat") {
		t.Errorf("it isn't said how the bastion becomes known:\n%s", out)
	}
	run(1, "trust", "nat") // nobody to ask
	run(0, "trust", "nat", "--yes")
	if out := run(5, "plan", play); !strings.Contains(out, "muster trust app1") {
		t.Errorf("it isn't said how the host becomes known:\n%s", out)
	}
	run(0, "trust", "app1", "--yes")
	run(0, "plan", play)
}
