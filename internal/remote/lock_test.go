package remote

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/internal/remote/process"
	"muster/internal/wire"
	"muster/tests/await"
)

func TestHostOfAnotherRunIsWaitedForAloudAndRefusedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	other := lock{path: path}
	if err := other.own(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer other.release()
	var told []string
	l := lock{path: path, wait: 300 * time.Millisecond, patience: time.Millisecond, tell: func(text string) { told = append(told, text) }}
	defer l.release()
	first := l.share(t.Context())
	if first == nil || !strings.Contains(first.Error(), "another run has had this host for more than 300ms (process ") {
		t.Errorf("it says %v", first)
	}
	if len(told) != 1 || !strings.Contains(told[0], "waiting for another run on this host (process ") {
		t.Errorf("it told %q", told)
	}
	l.idle()
	l.wait = time.Hour
	if again := l.share(t.Context()); again == nil || again.Error() != first.Error() {
		t.Errorf("asked again, it says %v", again)
	}
}

// A run that has a machine under two names would wait for itself until it gives up.
func TestMachineOfTwoNamesIsToldAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first := lock{path: path, run: "r1", name: "db1"}
	if err := first.own(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer first.release()
	for _, test := range []struct{ run, name, want string }{
		{"r1", "primary", "db1 and primary are one machine"},
		{"r1", "db1", "another run has had this host"}, // it is taken up again
		{"r2", "primary", "another run has had this host"},
		{"", "", "another run has had this host"},
	} {
		l := lock{path: path, run: test.run, name: test.name, wait: time.Millisecond}
		if err := l.own(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s of %s: %v, not %q", test.name, test.run, err, test.want)
		}
		l.release()
	}
}

func TestOwnerBetweenTwoLooksIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l := lock{path: path}
	defer l.release()
	for _, test := range []struct {
		what   string
		before func()
		moved  bool
	}{
		{"the first look", func() {}, false},
		{"nobody was here", func() {}, false},
		{"another run was here", func() {
			other := lock{path: path}
			if err := other.own(t.Context()); err != nil {
				t.Fatal(err)
			}
			other.release()
		}, true},
		{"nobody was here again", func() {}, false},
	} {
		l.idle()
		test.before()
		if err := l.share(t.Context()); err != nil {
			t.Fatal(err)
		}
		if moved := l.others(); moved != test.moved {
			t.Errorf("%s: moved is %v", test.what, moved)
		}
	}
}

// Of a lock that is shared nobody writes down who has it.
func TestWhoSharesTheLockIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	was := lock{path: path}
	if err := was.own(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _ = was.f.WriteAt([]byte("process 1 "), 0) // long ended
	was.release()
	other := lock{path: path}
	defer other.release()
	if err := other.share(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := lock{path: path, wait: time.Millisecond}
	defer l.release()
	if err := l.own(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("(process %d since ", os.Getpid())) {
		t.Errorf("it says %v", err)
	}
}

// A remote that was stopped, while planning or while making, doesn't keep the host for ever.
func TestStoppedRemoteLosesTheLock(t *testing.T) {
	for _, making := range []bool{false, true} {
		dir := t.TempDir()
		first := remoteIn(t, dir, aRun, 0)
		task := doing("command", "c", "", map[string]any{"shell": "echo > begun; until test -e go; do sleep 0.02; done", "dir": dir, "read_only": !making})
		if err := first.Send(&wire.Message{Task: &task}); err != nil {
			t.Fatal(err)
		}
		if making {
			first.told()
			if err := first.Send(&wire.Message{Grant: &wire.Grant{IDs: []string{task.ID}, Epoch: 1}}); err != nil {
				t.Fatal(err)
			}
		}
		await.Until(t, "the task", func() bool { return exists(filepath.Join(dir, "begun")) })
		_ = first.cmd.Process.Signal(syscall.SIGSTOP)
		var told []string
		l := lock{path: filepath.Join(dir, "lock"), tell: func(text string) { told = append(told, text) }}
		l.vigil = process.Vigil{Silence: 200 * time.Millisecond, Every: 20 * time.Millisecond}
		if err := l.own(t.Context()); err != nil {
			t.Errorf("making: %t: %v", making, err)
		}
		l.release()
		if want := fmt.Sprintf("(process %d since ", first.cmd.Process.Pid); len(told) != 1 || !strings.Contains(told[0], want) {
			t.Errorf("making: %t: it tells %q", making, told)
		}
		write(t, filepath.Join(dir, "go"))
	}
}
