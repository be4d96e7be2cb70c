package remote

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/host"
	"muster/internal/wire"
	"muster/modules/all"
	"muster/tests/await"
)

// killable is a remote in a process of its own.
type killable struct {
	*controller
	cmd *exec.Cmd
}

// remoteIn starts a remote as a connection of a run, the take-th from 0.
func remoteIn(t *testing.T, dir, run string, take int) *killable {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root starts workers")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env, cmd.Stderr = append(os.Environ(), asRemote+"="+dir, "GORACE=atexit_sleep_ms=0"), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &controller{Conn: wire.NewConn(out, in), t: t, bodies: map[string]string{}}
	if m, err := c.Receive(); err != nil || m.Hello == nil {
		t.Fatal(m, err)
	}
	if err := c.Send(&wire.Message{Open: &wire.Open{Run: run, Take: take, Key: []byte("key"), Seal: make([]byte, 32)}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		defer time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() }).Stop() // of a test that failed
		_ = cmd.Wait()
	})
	return &killable{controller: c, cmd: cmd}
}

// kill ends the remote as kill -9 does.
func (k *killable) kill() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// told returns the progress that is told, and the first message that is none.
func (c *controller) told(texts ...string) (all []string, m *wire.Message) {
	c.t.Helper()
	for {
		m, err := c.Receive()
		switch {
		case err != nil:
			c.t.Fatal(err)
		case m.Alive != nil:
		case m.Progress != nil:
			all = append(all, m.Progress.Text)
			if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(m.Progress.Text, text) }) {
				return all, m
			}
		default:
			return all, m
		}
	}
}

const aRun = "0123456789abcdef"

// A program that outlives its remote, or that remote's worker, isn't started again beside
// itself: the next connection of the run waits for its end, and tells what is known of it.
// So does another run.
func TestProgramThatOutlivesItsRemoteIsWaitedFor(t *testing.T) {
	for _, test := range []struct {
		as      string
		guarded bool
		worker  bool // is killed, too
		other   bool // another run comes
	}{
		{}, {guarded: true}, {other: true},
		{as: other}, {as: other, guarded: true}, {as: other, worker: true}, {as: other, guarded: true, worker: true}, {as: other, worker: true, other: true},
	} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			t.Parallel()
			dir, theirs := t.TempDir(), folder(t, cmp.Or(test.as, "root"))
			in := func(name string) string { return filepath.Join(theirs, name) }
			args := map[string]any{"shell": "echo >> count; until test -e go; do sleep 0.02; done; touch made", "dir": theirs}
			if test.guarded {
				args["creates"] = in("made")
			}
			task := doing("command", "c", test.as, args)
			first := remoteIn(t, dir, aRun, 0)
			shown := first.plan(task)
			if shown.Status != wire.Pending {
				t.Fatalf("planned as %+v", shown)
			}
			if err := first.Send(&wire.Message{Grant: &wire.Grant{IDs: []string{task.ID}, Epoch: 1}}); err != nil {
				t.Fatal(err)
			}
			await.Until(t, "the program has begun", func() bool { return exists(in("count")) })
			programs := 1
			if test.as != "" {
				programs = 2 // with the worker
			}
			await.Until(t, "the record has it", func() bool { return strings.Count(recorded(t, dir), `"runs"`) == programs })
			workers := children(t, first.cmd.Process.Pid)
			first.kill()
			for _, pid := range workers {
				if test.worker {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}

			if test.other {
				second := remoteIn(t, dir, "fedcba9876543210", 0)
				next := doing("command", "next", "", map[string]any{"argv": []any{"true"}})
				if err := second.Send(&wire.Message{Task: &next}); err != nil {
					t.Fatal(err)
				}
				if all, m := second.told("waiting for a program of a run that was cut off on this host (process "); m.Progress == nil {
					t.Fatalf("it tells %q, and then %+v", all, m)
				}
				write(t, in("go"))
				if _, m := second.told(); m.Planned == nil || m.Planned.Status != wire.Pending || !exists(in("made")) {
					t.Errorf("it goes on with %+v; the program has ended: %t", m.Planned, exists(in("made")))
				}
				return
			}
			second := remoteIn(t, dir, aRun, 1)
			if all, m := second.told("when the remote was ended (process "); m.Progress == nil {
				t.Fatalf("it tells %q, and then %+v", all, m)
			}
			write(t, in("go"))
			_, m := second.told()
			if m.TakenUp == nil || m.TakenUp.Unknown != "" || len(m.TakenUp.Doubtful) == 1 != !test.guarded {
				t.Fatalf("it is taken up with %+v, %+v", m, m.TakenUp)
			}
			if !exists(in("made")) {
				t.Error("it is taken up before the program has ended")
			}
			if test.guarded {
				task.Shown = &wire.Planned{Certainty: shown.Certainty, Changes: shown.Changes}
				second.plan(task)
				if d := second.make(task.ID); d.Status != wire.Changed || len(d.Changes) != 1 || d.Changes[0].Action != host.Run {
					t.Errorf("what the run has made is %+v", d)
				}
			}
			if data, _ := os.ReadFile(in("count")); string(data) != "\n" {
				t.Errorf("it was made %d times", len(data))
			}
		})
	}
}

// A worker that is killed alone has failed its task: what it has started doesn't go on
// beside what comes then.
func TestProgramOfAWorkerThatWasKilledIsEnded(t *testing.T) {
	dir, theirs := t.TempDir(), folder(t, other)
	first := remoteIn(t, dir, aRun, 0)
	task := doing("command", "c", other, map[string]any{"shell": "echo $$ > begun; sleep 600", "dir": theirs})
	first.plan(task)
	if err := first.Send(&wire.Message{Grant: &wire.Grant{IDs: []string{task.ID}, Epoch: 1}}); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the record has it", func() bool { return strings.Count(recorded(t, dir), `"runs"`) == 2 })
	var begun string // with its number: the file is there before that is
	await.Until(t, "the program has begun", func() bool {
		data, _ := os.ReadFile(filepath.Join(theirs, "begun"))
		begun = strings.TrimSpace(string(data))
		return begun != ""
	})
	for _, pid := range children(t, first.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if _, m := first.told(); m.Done == nil || m.Done.Status != wire.Failed {
		t.Errorf("it came to %+v", m)
	}
	await.Until(t, "it has ended", func() bool { return !exists("/proc/" + begun) })
}

// A worker can't have the host wait for a process that isn't its user's.
func TestWorkerCannotNameAnothersProcess(t *testing.T) {
	dir := t.TempDir()
	spawn, _ := playing(func(c *wire.Conn) {
		heard(c)
		_ = c.Send(&wire.Message{Lay: &wire.Lay{}})
		_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: "0/task.command.c", Status: wire.Pending, Certainty: wire.Known, Always: true}})
		heard(c)
		_ = c.Send(&wire.Message{Runs: &wire.Runs{PID: os.Getpid()}})
		_ = c.Send(&wire.Message{Runs: &wire.Runs{PID: -1}})
		_ = c.Send(&wire.Message{Done: &wire.Done{ID: "0/task.command.c", Status: wire.Changed}})
	})
	c := servingAs(t, Options{Kinds: all.Registry(), Spawn: spawn, Records: filepath.Join(dir, "records")})
	if err := c.Send(&wire.Message{Open: &wire.Open{Run: aRun, Key: []byte("key"), Seal: make([]byte, 32)}}); err != nil {
		t.Fatal(err)
	}
	task := doing("command", "c", other, map[string]any{"argv": []any{"true"}})
	c.plan(task)
	if d := c.make(task.ID); d.Status != wire.Changed {
		t.Errorf("it came to %+v", d)
	}
	if text := recorded(t, dir); !strings.Contains(text, `"end"`) || strings.Contains(text, `"runs"`) {
		t.Errorf("it is kept: %s", text)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// children are the processes that a process has started itself: the workers, of a remote.
func children(t *testing.T, pid int) (list []int) {
	t.Helper()
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range paths {
		data, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(data)) {
			if n, err := strconv.Atoi(field); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}

// recorded is what the run keeps.
func recorded(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "records", aRun+".journal"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(data)
}
