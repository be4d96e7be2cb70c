package journal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/journal"
	"muster/internal/wire"
	"muster/tests/await"
)

// child is what a process of its own does with the journal at path. It prints
// the id of its run, and each task once it is granted.
func child(what, path string) int {
	err := func() error {
		j, err := journal.Open(path, journal.Options{})
		if err != nil {
			return err
		}
		r, err := j.Begin(journal.RunInfo{Playbook: what}, []string{"h"})
		if err != nil {
			return err
		}
		fmt.Println(r.ID())
		n := 100
		if what == "endless" {
			n = 1 << 30
		}
		for i := range n {
			g := fileTask(fmt.Sprint(i), host.Description{Action: host.Create, Target: "/x"})
			if err := r.Grant(context.Background(), "h", []engine.Granted{g}); err != nil {
				return err
			}
			fmt.Println(g.ID)
			if what == "waiting" && i == 1 {
				_, _ = io.Copy(io.Discard, os.Stdin)
				return errors.New("nobody killed it")
			}
			r.Before("h", g.ID, &wire.Undo{Target: "/x", Steps: []wire.UndoStep{{Type: "file.remove/1"}}})
			r.Done("h", g.ID, &wire.Done{Status: wire.Changed})
		}
		r.HostEnd("h", engine.HostDone, "")
		return errors.Join(r.End("changed"), j.Close())
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type process struct {
	*exec.Cmd
	out *bufio.Scanner
	in  io.WriteCloser
	err strings.Builder
}

// line is the next that it prints; "" at the end.
func (p *process) line() string {
	if !p.out.Scan() {
		return ""
	}
	return p.out.Text()
}

func start(t *testing.T, what, path string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(os.Environ(), "JOURNAL_CHILD="+what, "JOURNAL_PATH="+path)
	p.Stderr = &p.err
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err, p.err.String())
	}
}

func TestWhatWasGrantedOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	p := start(t, "waiting", path)
	id := p.line()
	first, second := p.line(), p.line()
	if d := find(t, open(t, path, journal.Options{ReadOnly: true}), id); d.State != journal.Running {
		t.Errorf("while it waits, the run is %s", d.State)
	}
	p.kill(t)
	_ = p.Wait() // killed
	d := find(t, open(t, path, journal.Options{ReadOnly: true}), id)
	if d.State != journal.CutOff || !d.Ended.IsZero() || d.PerHost[0].Status != journal.Unfinished {
		t.Errorf("%+v", d)
	}
	tasks := d.PerHost[0].Tasks
	if len(tasks) != 2 || tasks[0].ID != first || tasks[1].ID != second {
		t.Fatalf("%+v", tasks)
	}
	if tasks[0].Status != wire.Changed || tasks[0].Ended.IsZero() || !tasks[0].Undoable {
		t.Errorf("the first is %+v", tasks[0])
	}
	if tasks[1].Status != "" || !tasks[1].Ended.IsZero() || tasks[1].GrantedAt.IsZero() {
		t.Errorf("the second is %+v", tasks[1])
	}
}

func TestNoGrantIsLostWhereverTheProcessIsKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	for n := range 10 {
		p := start(t, "endless", path)
		id := p.line()
		for range n * 7 {
			p.line()
		}
		p.kill(t)
		last := ""
		for s := p.line(); s != ""; s = p.line() {
			last = s
		}
		_ = p.Wait() // killed
		j := open(t, path, journal.Options{})
		d := find(t, j, id)
		known := d.PerHost[0].Tasks
		for i, task := range known {
			if want := fmt.Sprintf("0/task.file.%d", i); task.ID != want {
				t.Fatalf("task %d is %s", i, task.ID)
			}
			if i < len(known)-1 && task.Status != wire.Changed {
				t.Errorf("killed after %s, %s is %q", last, task.ID, task.Status)
			}
		}
		if last != "" && (len(known) == 0 || known[len(known)-1].ID != last && (len(known) < 2 || known[len(known)-2].ID != last)) {
			t.Errorf("%s was granted; the journal has %d tasks", last, len(known))
		}
		if d.State != journal.CutOff {
			t.Error(d.State)
		}
		r := begin(t, j, journal.RunInfo{}, "h")
		grant(t, r, "h", fileTask("a"))
		if err := r.End("changed"); err != nil {
			t.Error(err)
		}
	}
}

func TestProcessesWriteAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "j")
	var wg sync.WaitGroup
	children := make([]*process, 4)
	for i := range children {
		children[i] = start(t, fmt.Sprint("p", i), path)
	}
	ids := make([]string, len(children))
	for i, p := range children {
		wg.Go(func() {
			ids[i] = p.line()
			for p.line() != "" {
			}
			if err := p.Wait(); err != nil {
				t.Errorf("%v: %s", err, p.err.String())
			}
		})
	}
	j := open(t, path, journal.Options{})
	r := begin(t, j, journal.RunInfo{Playbook: "own"}, "h")
	for i := range 100 {
		grant(t, r, "h", fileTask(fmt.Sprint(i)))
		r.Done("h", fileTask(fmt.Sprint(i)).ID, &wire.Done{Status: wire.Changed})
	}
	r.HostEnd("h", engine.HostDone, "")
	if err := r.End("changed"); err != nil {
		t.Error(err)
	}
	wg.Wait()
	for _, id := range append(ids, r.ID()) {
		d := find(t, j, id)
		if d.State != "changed" || d.Done != 1 || len(d.PerHost[0].Tasks) != 100 {
			t.Errorf("%s: %s, %d tasks", id, d.State, len(d.PerHost[0].Tasks))
		}
		for _, task := range d.PerHost[0].Tasks {
			if task.Status != wire.Changed {
				t.Errorf("%s: %s is %q", id, task.ID, task.Status)
			}
		}
	}
}

func TestAFullDiskStopsTheNextGrantAndLosesNothing(t *testing.T) {
	for name, disk := range map[string]func(t *testing.T) (dir string, fill func(*journal.Journal) error, free func(*journal.Journal) error){
		"a file system that is full":     tmpfs,
		"a file that may grow no larger": pages,
	} {
		t.Run(name, func(t *testing.T) {
			dir, fill, free := disk(t)
			j, err := journal.Open(filepath.Join(dir, "journal.db"), journal.Options{})
			if err != nil {
				t.Fatal(err)
			}
			r := begin(t, j, journal.RunInfo{}, "h")
			if err := fill(j); err != nil {
				t.Fatal(err)
			}
			var granted []string
			for i := 0; err == nil; i++ {
				g := fileTask(fmt.Sprint(i), host.Description{Action: host.Update, Target: "/x", Diff: strings.Repeat(fmt.Sprintf("+%d\n", i), 2000)})
				if err = r.Grant(t.Context(), "h", []engine.Granted{g}); err == nil {
					granted = append(granted, g.ID)
				}
				if i > 1000 {
					t.Fatal("the disk never was full")
				}
			}
			if !strings.Contains(err.Error(), "no space left") || r.Err() == nil {
				t.Error(err, r.Err())
			}
			if len(granted) == 0 {
				t.Fatal("nothing was granted at all")
			}
			// What was made tells of itself, which finds no room either.
			r.Before("h", granted[0], &wire.Undo{Target: "/x", Steps: []wire.UndoStep{{Type: "x/1", Change: make([]byte, 100<<10)}}})
			await.Until(t, "it is written or refused", func() bool { return j.Waiting() == 0 })
			for _, id := range granted {
				r.Done("h", id, &wire.Done{Status: wire.Changed, Error: strings.Repeat("x", 1000)})
			}
			if err := r.Grant(t.Context(), "h", []engine.Granted{fileTask("more")}); err == nil {
				t.Error("something was granted after that")
			}
			if err := free(j); err != nil {
				t.Fatal(err)
			}
			r.HostEnd("h", engine.HostStopped, "the journal is full")
			if err := r.End("failed"); err == nil || !strings.Contains(err.Error(), "no space left") {
				t.Error("the run doesn't end with its first failure:", err)
			}
			d := find(t, j, r.ID())
			if err := j.Close(); err != nil {
				t.Error(err)
			}
			if d.State != "failed" || d.PerHost[0].Status != engine.HostStopped {
				t.Errorf("%+v", d.Summary)
			}
			for i, id := range granted {
				if i >= len(d.PerHost[0].Tasks) {
					t.Fatalf("%s is lost", id)
				}
				if got := d.PerHost[0].Tasks[i]; got.ID != id || got.Status != wire.Changed || len(got.Changes) != 1 {
					t.Errorf("%s is %s %q", id, got.ID, got.Status)
				}
			}
			if n := len(d.PerHost[0].Tasks); n != len(granted) {
				t.Errorf("%d tasks, and %d were granted", n, len(granted))
			}
			if !d.PerHost[0].Tasks[0].Undoable {
				t.Error("what had found no room wasn't tried again")
			}
		})
	}
}

func tmpfs(t *testing.T) (string, func(*journal.Journal) error, func(*journal.Journal) error) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("mounting a file system:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(dir, "filler")
	fill := func(*journal.Journal) error { return os.WriteFile(filler, make([]byte, 400<<10), 0o600) }
	return dir, fill, func(*journal.Journal) error { return os.Remove(filler) }
}

func pages(t *testing.T) (string, func(*journal.Journal) error, func(*journal.Journal) error) {
	return t.TempDir(), func(j *journal.Journal) error { return j.LimitPages(50) }, func(j *journal.Journal) error { return j.LimitPages(-1) }
}

func TestAliveIsOnlyTheProcessItself(t *testing.T) {
	self := journal.ThisProcess()
	boot := journal.BootID()
	zombie := exec.Command(os.Args[0], "-test.run=^$")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	pid := zombie.Process.Pid
	isZombie := func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, rest, _ := strings.Cut(string(b), ") ")
		return strings.HasPrefix(rest, "Z")
	}
	for !isZombie() {
	}
	tests := map[string]struct {
		p    journal.Process
		want bool
	}{
		"this process":                       {self, true},
		"one that began at another time":     {journal.NewProcess(os.Getpid(), journal.Started(self)+1, boot), false},
		"one of an earlier boot":             {journal.NewProcess(os.Getpid(), journal.Started(self), "x"), false},
		"one whose begin is unknown":         {journal.NewProcess(os.Getpid(), 0, boot), true},
		"a dead one that nobody waited for":  {journal.NewProcess(pid, 0, boot), false},
		"one that can't be":                  {journal.NewProcess(1<<30, 1, boot), false},
		"the first one, which isn't our own": {journal.NewProcess(1, 0, boot), true},
	}
	for name, test := range tests {
		if journal.Alive(test.p) != test.want {
			t.Errorf("%s: %v", name, !test.want)
		}
	}
	if err := zombie.Wait(); err != nil {
		t.Error(err)
	}
	if journal.Alive(journal.NewProcess(pid, 0, boot)) {
		t.Error("one that has ended lives")
	}
}
