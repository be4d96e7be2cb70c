package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/internal/remote/process"
	"muster/internal/wire"
)

const run = "0123456789abcdef"

func open(t *testing.T, dir string, take int) *Record {
	t.Helper()
	r, err := New(Options{Dir: filepath.Join(dir, "records"), Marks: filepath.Join(dir, "marks"), Run: run, Take: take, Key: make([]byte, KeySize)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	must(t, err)
	return list
}

func done(id string) *wire.Done { return &wire.Done{ID: id, Status: wire.Changed, Output: []byte(id)} }

func TestALaterConnectionReadsWhatWasMade(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	r.End(done("skipped"), false) // before there is a file
	must(t, r.Begin("a", true))
	r.End(done("a"), true)
	must(t, r.Begin("b", false))
	r.End(done("b"), true)
	must(t, r.Begin("c", true))
	_ = r.f.Close() // it was killed

	second := open(t, dir, 1)
	left, err := second.TakeUp(t.Context(), nil)
	must(t, err)
	var ended []string
	for _, d := range left.Ended {
		ended = append(ended, string(d.Output))
	}
	if !slices.Equal(ended, []string{"a", "b"}) || left.Earlier != 1 || !slices.Equal(left.Doubtful, []string{"c"}) || left.Unkept {
		t.Errorf("left is %+v", left)
	}
	if err := r.Begin("d", false); !errors.Is(err, ErrFenced) {
		t.Errorf("the first begins another: %v", err)
	}
	must(t, second.Begin("d", false))
	second.End(done("d"), true)
	second.Ack(4)
	second.Close()
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

func TestARecordStaysUntilItIsAcknowledged(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("a", false))
	r.End(done("a"), true)
	r.Close()
	if list := files(t, dir); len(list) != 1 || !strings.HasSuffix(list[0], run+".journal") {
		t.Fatalf("it leaves %v", list)
	}
	info, err := os.Stat(files(t, dir)[0])
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %o", info.Mode().Perm())
	}
}

func TestALineThatWasCutOffIsWrittenOver(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("a", false))
	r.End(done("a"), true)
	_, err := r.f.WriteString(`{"end":{"ID":"b`)
	must(t, err)
	_ = r.f.Close()
	for take := 1; take < 3; take++ {
		r := open(t, dir, take)
		left, err := r.TakeUp(t.Context(), nil)
		must(t, err)
		if len(left.Ended) != take || len(left.Doubtful) != 0 {
			t.Errorf("take %d: left is %+v", take, left)
		}
		must(t, r.Begin("b", false))
		r.End(done("b"), true)
		_ = r.f.Close()
	}
}

// A host that can't keep a record says so to who takes it up: nobody knows what was
// made there.
func TestARecordThatCannotBeKeptLeavesAMark(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "records"), nil, 0o600)) // in the folder's place
	r := open(t, dir, 0)
	must(t, r.Begin("a", true))
	r.End(done("a"), true)
	must(t, os.Remove(filepath.Join(dir, "records")))
	left, err := open(t, dir, 1).TakeUp(t.Context(), nil)
	must(t, err)
	if !left.Unkept {
		t.Errorf("left is %+v", left)
	}
}

func TestNothingIsBegunWhereNothingCanBeKept(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"records", "marks"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	if err := open(t, dir, 0).Begin("a", true); err == nil {
		t.Error("it is begun")
	}
}

// Who takes a host up waits for the end of what is being made there.
func TestTakingUpWaitsForTheChangeInHand(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("a", true))
	waits := make(chan struct{})
	go func() {
		<-waits
		r.End(done("a"), true)
		r.Close()
	}()
	left, err := open(t, dir, 1).TakeUp(t.Context(), func(string) { close(waits) })
	must(t, err)
	if len(left.Ended) != 1 || len(left.Doubtful) != 0 {
		t.Errorf("left is %+v", left)
	}
}

// A connection that ends while it waits leaves the record to the one that has it, and to
// who comes after it.
func TestWhoWaitedInVainLeavesTheRecord(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("a", true))
	second := open(t, dir, 1)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := second.TakeUp(ctx, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatalf("it takes up what another has: %v", err)
	}
	second.Close()
	if err := r.Fenced(); !errors.Is(err, ErrFenced) {
		t.Errorf("the first is fenced no more: %v", err)
	}
	third := open(t, dir, 2)
	left, err := third.TakeUp(t.Context(), func(string) {
		r.End(done("a"), true)
		r.Close()
	})
	must(t, err)
	if len(left.Ended) != 1 || len(left.Doubtful) != 0 {
		t.Errorf("left is %+v", left)
	}
	third.Ack(1)
	third.Close()
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

// Two that take a host up at once: the one that comes too late lowers no fence.
func TestConnectionThatComesTooLateIsFenced(t *testing.T) {
	dir := t.TempDir()
	_, err := open(t, dir, 2).TakeUp(t.Context(), nil)
	must(t, err)
	if _, err := open(t, dir, 1).TakeUp(t.Context(), nil); !errors.Is(err, ErrFenced) {
		t.Errorf("it takes the host up: %v", err)
	}
}

// Who had a record removes it and lets go of it: who waited for it takes one that others
// find, and fences.
func TestRecordThatWasRemovedMeanwhileIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("a", true))
	r.End(done("a"), true)
	r.Ack(1)
	second := open(t, dir, 1)
	left, err := second.TakeUp(t.Context(), func(string) {
		must(t, os.Remove(second.fence())) // it looked before there was one
		r.Close()
	})
	must(t, err)
	if len(left.Ended) != 0 {
		t.Errorf("left is %+v", left)
	}
	if list := files(t, dir); len(list) != 2 {
		t.Errorf("there are %v", list)
	}
	if err := r.Fenced(); !errors.Is(err, ErrFenced) {
		t.Errorf("the first is fenced no more: %v", err)
	}
}

// What was told may not have been heard: it is told once more.
func TestWhatATakerFoundIsKeptUntilTheControllerHasHeardOfIt(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("a", true))
	_ = r.f.Close() // it was killed
	for take := 1; take < 4; take++ {
		next := open(t, dir, take)
		left, err := next.TakeUp(t.Context(), nil)
		must(t, err)
		if left.Unended != "a" || !slices.Equal(left.Doubtful, []string{"a"}) {
			t.Errorf("take %d: left is %+v", take, left)
		}
		if take == 3 {
			next.Ack(0)
		}
		next.Close()
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

// A task that is tried several times has one end.
func TestTaskThatIsBegunTwiceEndsOnce(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("a", false))
	must(t, r.Begin("a", false))
	r.End(done("a"), true)
	r.Ack(1)
	r.Close()
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

// started is a program that runs until it is ended.
func started(t *testing.T) (process.ID, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	id, err := process.Of(cmd.Process.Pid)
	must(t, err)
	return id, cmd
}

// Who ends while it waits for a program leaves the record, too.
func TestProgramOfAKilledRemoteIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("over", true))
	over, _ := started(t)
	r.Runs(over)
	r.End(done("over"), true)
	must(t, r.Begin("a", true))
	id, cmd := started(t)
	r.Runs(id)
	_ = r.f.Close() // it was killed
	if list := Running(filepath.Join(dir, "records"), "another"); !slices.Equal(list, []process.ID{id}) {
		t.Errorf("running are %v", list)
	}
	ctx, cancel := context.WithCancel(t.Context())
	second := open(t, dir, 1)
	if _, err := second.TakeUp(ctx, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("it doesn't wait: %v", err)
	}
	second.Close()
	left, err := open(t, dir, 2).TakeUp(t.Context(), func(text string) {
		if !strings.Contains(text, id.String()) {
			t.Errorf("it waits for %q", text)
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
	})
	must(t, err)
	if !slices.Equal(left.Doubtful, []string{"a"}) || id.Runs() {
		t.Errorf("left is %+v", left)
	}
	if list := Running(filepath.Join(dir, "records"), "another"); len(list) > 0 {
		t.Errorf("running are %v", list)
	}
}

// TestMain is also a connection that has begun a task, in the folder that
// MUSTER_TEST_RECORD names, and is stopped then.
func TestMain(m *testing.M) {
	dir := os.Getenv("MUSTER_TEST_RECORD")
	if dir == "" {
		os.Exit(m.Run())
	}
	r, err := New(Options{Dir: filepath.Join(dir, "records"), Marks: filepath.Join(dir, "marks"), Run: run, Key: make([]byte, KeySize)})
	if err == nil {
		err = r.Begin("a", true)
	}
	if err != nil {
		panic(err)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	_, _ = io.Copy(io.Discard, os.Stdin) // no longer than who started it
}

// An earlier connection's remote that was stopped would keep the record for ever.
func TestRemoteThatIsStoppedIsEndedByWhoTakesItsHostUp(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "MUSTER_TEST_RECORD="+dir)
	_, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	defer cmd.Wait()         //nolint:errcheck // it is killed
	defer cmd.Process.Kill() //nolint:errcheck // where it wasn't
	var ws syscall.WaitStatus
	_, err = syscall.Wait4(cmd.Process.Pid, &ws, syscall.WUNTRACED, nil)
	must(t, err)
	second, err := New(Options{Dir: filepath.Join(dir, "records"), Marks: filepath.Join(dir, "marks"), Run: run, Take: 1, Key: make([]byte, KeySize), Silence: 100 * time.Millisecond})
	must(t, err)
	var told []string
	left, err := second.TakeUp(t.Context(), func(text string) { told = append(told, text) })
	must(t, err)
	if !slices.Equal(left.Doubtful, []string{"a"}) || !slices.ContainsFunc(told, func(text string) bool {
		return strings.Contains(text, fmt.Sprintf("process %d since ", cmd.Process.Pid))
	}) {
		t.Errorf("left is %+v, told %q", left, told)
	}
}
