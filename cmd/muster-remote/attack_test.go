package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"muster/host"
	"muster/internal/wire"
	"muster/tests/program"
)

// victim is whom the worker runs as, and the attacker.
const victim = "nobody"

// attackOf is the variable that makes this program the attacker: of the children of
// the process that it names.
const attackOf = "MUSTER_ATTACK_CHILDREN_OF"

func TestMain(m *testing.M) {
	if parent := os.Getenv(attackOf); parent != "" {
		attack(parent)
		return
	}
	os.Exit(m.Run())
}

// attack takes over whatever runs as this user among the children of a process, and
// says what it got, until its input ends, for a minute at most. For each line of its
// input it says whom it has tried to take over since.
func attack(parent string) {
	asked := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			asked <- struct{}{}
		}
		close(asked)
	}()
	time.AfterFunc(time.Minute, func() { os.Exit(1) })
	fmt.Println("looking")
	said := map[string]bool{}
	for {
		tell := false
		select {
		case _, tell = <-asked:
			if !tell {
				return
			}
		default:
		}
		tried := 0
		lists, _ := filepath.Glob("/proc/" + parent + "/task/*/children")
		for _, list := range lists {
			children, _ := os.ReadFile(list)
			for _, child := range strings.Fields(string(children)) {
				pid, _ := strconv.Atoi(child)
				if pid == os.Getpid() || runsAs(pid) != os.Getuid() {
					continue
				}
				tried++
				for _, way := range loot(pid) {
					if !said[way] {
						said[way] = true
						fmt.Println("got", way)
					}
				}
			}
		}
		if tell {
			fmt.Println("tried", tried)
		}
	}
}

// runsAs returns the number of the user whose a process is.
func runsAs(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "\nUid:")
	if f := strings.Fields(rest); len(f) > 3 {
		uid, _ := strconv.Atoi(f[1])
		return uid
	}
	return -1
}

// loot tries every way into a process and returns those that led in.
func loot(pid int) (got []string) {
	for _, name := range []string{"mem", "environ", "maps", "auxv"} {
		if f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, name)); err == nil {
			got = append(got, "/proc/PID/"+name)
			f.Close()
		}
	}
	if list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil && len(list) > 0 {
		got = append(got, "/proc/PID/fd")
	}
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		for n := range 8 {
			if stolen, err := unix.PidfdGetfd(fd, n, 0); err == nil {
				got = append(got, "pidfd_getfd")
				unix.Close(stolen)
			}
		}
		unix.Close(fd)
	}
	local, there := make([]byte, 8), unix.RemoteIovec{Base: 0x400000, Len: 8}
	if n, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &local[0], Len: 8}}, []unix.RemoteIovec{there}, 0); err == nil && n > 0 {
		got = append(got, "process_vm_readv")
	}
	runtime.LockOSThread()
	if unix.PtraceSeize(pid) == nil {
		got = append(got, "ptrace")
		_ = unix.PtraceDetach(pid)
	}
	runtime.UnlockOSThread()
	return got
}

// attacker is a running attack.
type attacker struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

// beginAttack starts an attack on the children of a process, and returns when it looks
// for them.
func beginAttack(t *testing.T, as *syscall.Credential, parent int) *attacker {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{attackOf + "=" + strconv.Itoa(parent), "GORACE=atexit_sleep_ms=0"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
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
	a := &attacker{cmd: cmd, in: in, lines: bufio.NewScanner(out)}
	if !a.lines.Scan() || a.lines.Text() != "looking" {
		t.Fatalf("the attacker says %q", a.lines.Text())
	}
	return a
}

// end returns what the attacker got, after it has tried everything on those who run
// by now, and ends it.
func (a *attacker) end(t *testing.T) (got []string) {
	t.Helper()
	_, _ = io.WriteString(a.in, "\n")
	for a.lines.Scan() {
		if n, told := strings.CutPrefix(a.lines.Text(), "tried "); told {
			if n != "1" {
				t.Errorf("the attacker found %s processes to attack", n)
			}
			a.in.Close()
			continue
		}
		got = append(got, a.lines.Text())
	}
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("the attacker: %v", err)
	}
	return got
}

func TestNobodyGetsIntoAWorkerOfTheirs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts workers")
	}
	u, err := user.Lookup(victim)
	if err != nil {
		t.Skip(err)
	}
	as, err := credential(u)
	if err != nil {
		t.Fatal(err)
	}
	remote := program.Build(t, "muster/cmd/muster-remote")
	t.Run("the attack works on others", func(t *testing.T) {
		a := beginAttack(t, as, os.Getpid())
		sleep := exec.Command("sleep", "60")
		sleep.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		if err := sleep.Start(); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(a.end(t), " ")
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
		for _, way := range []string{"/proc/PID/mem", "/proc/PID/fd", "pidfd_getfd", "ptrace"} {
			if !strings.Contains(got, way) {
				t.Skipf("this kernel keeps %s from everybody (got %q): nothing is shown here", way, got)
			}
		}
	})
	for range 3 { // workers, one after the other, to be caught in their first moment
		cmd := exec.Command(remote)
		cmd.Stderr = os.Stderr
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
		a := beginAttack(t, as, cmd.Process.Pid)
		c := wire.NewConn(out, in)
		secret := bytes.Repeat([]byte("of root's own\n"), 200)
		for _, m := range []*wire.Message{
			{Open: &wire.Open{Key: []byte("k"), ReadOnly: true}},
			{Task: &wire.Task{ID: "0/task.file.s", Kind: "file", Args: map[string]any{"path": "/root/secret-of-a-test", "content": host.Content{Sum: host.ContentOf(secret, true).Sum, Size: int64(len(secret)), Sensitive: true}}}},
			{Task: &wire.Task{ID: "0/task.command.w", Kind: "command", As: victim, Args: map[string]any{"argv": []any{"id", "-u"}, "read_only": true}}},
		} {
			if err := c.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		for planned := 0; planned < 2; {
			m, err := c.Receive()
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case m.Planned != nil:
				if planned++; m.Planned.Status == wire.Failed {
					t.Errorf("%s: %s", m.Planned.ID, m.Planned.Error)
				}
			case m.Need != nil:
				_ = c.Send(&wire.Message{Chunk: &wire.Chunk{Stream: m.Need.Stream, Data: secret, Last: true}})
			}
		}
		got := a.end(t)
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if len(got) > 0 {
			t.Fatalf("%s got into their worker: %q", victim, got)
		}
	}
}
