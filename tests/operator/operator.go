// Package operator runs muster on a lab's workstation, as an operator would, for the
// packages of tests that make whole runs on real hosts.
package operator

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/tests/lab"
)

// patience is how long one muster may take.
const patience = 15 * time.Minute

// Lab is the hosts of one package's tests. A nil one has none: what asks for it skips
// its test.
type Lab struct{ *lab.Lab }

// Main runs a package's tests, with a lab of their own where MUSTER_REAL is set: have is
// given it first. MUSTER_LAB_ID names it, o.ID where that is unset.
func Main(m *testing.M, o lab.Options, have func(*Lab)) {
	if os.Getenv("MUSTER_REAL") == "" {
		os.Exit(m.Run())
	}
	// Two runs with one ID would take each other's hosts down.
	o.ID = cmp.Or(os.Getenv("MUSTER_LAB_ID"), o.ID)
	l, err := lab.Up(context.Background(), o)
	if err != nil {
		panic(err)
	}
	have(&Lab{l})
	code := m.Run()
	if err := l.Down(); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// Need skips a test that needs real hosts where there are none.
func (l *Lab) Need(t testing.TB) {
	t.Helper()
	if l == nil {
		t.Skip("real hosts: run tests/real.sh")
	}
}

// Result is what a muster said and how it ended.
type Result struct {
	Out, Err string
	Code     int
	Took     time.Duration
}

// Binary is muster as `make build` left it.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/muster")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return path
}

// Command is muster on the workstation, in the folder of the package's tests, with the lab's
// inventory.
func (l *Lab) Command(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	l.Need(t)
	return l.Lab.Command(ctx, Binary(t), append(args, "-i", "../../inventory/lab.hcl")...)
}

// Muster runs muster on the workstation, with the lab's inventory.
func (l *Lab) Muster(t testing.TB, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return Run(t, l.Command(ctx, t, args...))
}

// MusterEnds is Muster, and the exit code that it must end with.
func (l *Lab) MusterEnds(t testing.TB, code int, args ...string) Result {
	t.Helper()
	r := l.Muster(t, args...)
	if r.Code != code {
		t.Fatalf("muster %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.Code, code, r.Out, r.Err)
	}
	return r
}

// Run runs a command and keeps what it says.
func Run(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	begun := time.Now()
	err := cmd.Run()
	r := Result{Out: out.String(), Err: errs.String(), Took: time.Since(begun)}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.Code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return r
}

// On runs a script as root inside a host, which must end well, and returns what it printed.
func (l *Lab) On(t testing.TB, host, script string) string {
	t.Helper()
	l.Need(t)
	out, err := l.Host(host).Exec(t.Context(), "sh", "-c", script)
	if err != nil {
		t.Fatalf("on %s, %s: %v\n%s", host, script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Playbook writes a playbook to a file of its own.
func Playbook(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "playbook.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Event is a line of --output json.
type Event struct {
	Type, Host, On, Play, Role, Task, Key, Kind, Status, Error, Outcome string
	Hosts                                                               map[string]struct {
		Unchanged, Changed, Pending, Failed, Skipped int
		Unreachable                                  bool
	}
}

// Place tells tasks of a run apart.
func (e *Event) Place() string {
	return strings.Join([]string{e.Host, e.On, e.Play, e.Role, e.Kind, e.Task, e.Key}, " | ")
}

// Events reads what a muster with --output json said.
func Events(t testing.TB, r Result) (list []Event, summary Event) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(r.Out), "\n") {
		var e struct {
			Event
			Hosts json.RawMessage // of a summary, an object
		}
		err := json.Unmarshal([]byte(line), &e)
		if e.Type == "summary" {
			err = errors.Join(err, json.Unmarshal(e.Hosts, &e.Event.Hosts))
			summary = e.Event
		}
		if err != nil {
			t.Fatalf("%v: %q\n%s", err, line, r.Err)
		}
		list = append(list, e.Event)
	}
	return list, summary
}
