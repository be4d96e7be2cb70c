// Package real runs muster against the lab's hosts, as an operator would.
package real

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

// theLab is one lab for all tests of this package: they bring their hosts back
// to life, and use files of their own.
var theLab *lab.Lab

func TestMain(m *testing.M) {
	if os.Getenv("MUSTER_REAL") == "" {
		os.Exit(m.Run())
	}
	// Two runs with one ID would take each other's hosts down.
	l, err := lab.Up(context.Background(), lab.Options{ID: cmp.Or(os.Getenv("MUSTER_LAB_ID"), "real"), Docker: []string{dockerHost, "app1", "app2"}})
	if err != nil {
		panic(err)
	}
	theLab = l
	code := m.Run()
	if err := l.Down(); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// result is what a muster said and how it ended.
type result struct {
	out, err string
	code     int
}

// binary is muster as `make build` left it.
func binary(t *testing.T) string {
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

// command is muster on the workstation, in a folder of the repository.
func command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if theLab == nil {
		t.Skip("real hosts: run tests/real.sh")
	}
	cmd := theLab.Command(ctx, binary(t), append(args, "-i", "../../inventory/lab.hcl")...)
	return cmd
}

// muster runs muster with the lab's inventory.
func muster(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := command(ctx, t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	r := result{out: out.String(), err: errs.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return r
}

// playbook writes a playbook to a file of its own.
func playbook(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "playbook.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// event is a line of --output json.
type event struct {
	Type, Host, On, Play, Role, Task, Key, Kind, Status, Error, Outcome string
	Hosts                                                               map[string]struct {
		Unchanged, Changed, Pending, Failed, Skipped int
		Unreachable                                  bool
	}
}

func events(t *testing.T, r result) (list []event, summary event) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(r.out), "\n") {
		var e struct {
			event
			Hosts json.RawMessage // of a summary, an object
		}
		err := json.Unmarshal([]byte(line), &e)
		if e.Type == "summary" {
			err = errors.Join(err, json.Unmarshal(e.Hosts, &e.event.Hosts))
			summary = e.event
		}
		if err != nil {
			t.Fatalf("%v: %q\n%s", err, line, r.err)
		}
		list = append(list, e.event)
	}
	return list, summary
}

// on runs a command as root inside a host.
func on(t *testing.T, host, script string) string {
	t.Helper()
	out, err := theLab.Host(host).Exec(t.Context(), "sh", "-c", script)
	if err != nil {
		t.Fatalf("on %s, %s: %v\n%s", host, script, err, out)
	}
	return strings.TrimSpace(string(out))
}
