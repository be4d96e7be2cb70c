package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"muster/tests/await"
)

func TestWhatAProgramPrintsIsHandedOnAsItComes(t *testing.T) {
	var into bytes.Buffer
	out, err := System{}.Run(context.Background(), Command{Argv: []string{"sh", "-c", "head -c 3000000 /dev/zero; echo said >&2; exit 3"}, Stdout: &into})
	must(t, err)
	if into.Len() != 3_000_000 || len(out.Stdout) != 0 || out.ExitCode != 3 || strings.TrimSpace(string(out.Stderr)) != "said" {
		t.Errorf("handed on %d bytes, kept %d, exit code %d, said %q", into.Len(), len(out.Stdout), out.ExitCode, out.Stderr)
	}
}

// refusing takes some bytes, and no more.
type refusing struct{ left int }

var errRefused = errors.New("refused")

func (r *refusing) Write(p []byte) (int, error) {
	if r.left -= len(p); r.left < 0 {
		return 0, errRefused
	}
	return len(p), nil
}

// Neither the program nor its children would notice: they print no more.
func TestAProgramWhoseOutputIsRefusedIsKilledWithItsChildren(t *testing.T) {
	begun := time.Now()
	_, err := System{}.Run(context.Background(), Command{Argv: []string{"sh", "-c", "trap '' PIPE; echo one; sleep 100 & sleep 100"}, Stdout: &refusing{}})
	if !errors.Is(err, errRefused) {
		t.Errorf("it ended with %v", err)
	}
	if since := time.Since(begun); since > 50*time.Second {
		t.Errorf("it was waited for, %s", since)
	}
}

// slowWriter takes what it gets only once it is let.
type slowWriter struct {
	got bytes.Buffer
	let chan struct{}
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.let
	return w.got.Write(p)
}

// Whoever takes a program's output may need longer for its end than the program does.
func TestTheEndOfAProgramsOutputWaitsForWhoTakesIt(t *testing.T) {
	w := &slowWriter{let: make(chan struct{})}
	go func() {
		time.Sleep(3 * lastOutput) // the program has long ended, with a pipe full of its output
		close(w.let)
	}()
	out, err := System{}.Run(t.Context(), Command{Argv: []string{"sh", "-c", "head -c 50000 /dev/zero"}, Stdout: w})
	if err != nil || out.ExitCode != 0 || w.got.Len() != 50000 {
		t.Errorf("%d bytes came, %+v, %v", w.got.Len(), out, err)
	}
}

// What a program has started may hold its output open, and go on printing.
func TestOutputThatIsHeldOpenEndsWithItsProgram(t *testing.T) {
	out, err := System{}.Run(t.Context(), Command{Argv: []string{"sh", "-c", "sh -c 'echo $$; while :; do echo more; sleep 0.05; done' & sleep 0.2"}})
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(out.Stdout), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatalf("%q", out.Stdout)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("it was ended with its parent: %v", err)
	}
}

// A timeout ends a program with all that it has started: else that would go on, and
// nobody would know.
func TestATimeoutEndsAProgramWithItsChildren(t *testing.T) {
	var printed bytes.Buffer
	began := make(chan struct{})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-began
		cancel(errors.New("the task's time is over"))
	}()
	said := notify{&printed, sync.OnceFunc(func() { close(began) })}
	_, err := System{}.Run(ctx, Command{Argv: []string{"sh", "-c", "sleep 1000 & echo $!; wait"}, Stdout: said})
	if err == nil || !strings.Contains(err.Error(), "time is over") {
		t.Errorf("it ended with %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(printed.String()))
	must(t, err)
	if !await.True(t.Context(), func() bool { return ended(pid) }) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		t.Error("what it has started goes on")
	}
}

// notify tells that something was written.
type notify struct {
	to   io.Writer
	tell func()
}

func (n notify) Write(p []byte) (int, error) {
	defer n.tell()
	return n.to.Write(p)
}

// ended reports whether a process runs no more; its parent may not have heard yet.
func ended(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(data), ") ")
	return err != nil || strings.HasPrefix(state, "Z")
}

// TestLastWordsAreOfBothStreams: some programs print their error on stdout, and a warning on
// stderr; what is left out of either is marked.
func TestLastWordsAreOfBothStreams(t *testing.T) {
	lines := func(from, to int) string {
		var b strings.Builder
		for i := from; i <= to; i++ {
			fmt.Fprintf(&b, "line %d\n", i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, stderr, stdout, whole, want string }{
		{"one of them", "no luck\n", "", "", "no luck"},
		{"the other", "", "no luck\n", "", "no luck"},
		{"both", "warning: old\n", "made 3\nno luck\n", "", "warning: old\nstdout:\nmade 3\nno luck"},
		{"twenty lines", lines(1, 20), "", "--output json", strings.TrimSpace(lines(1, 20))},
		{"one more", lines(1, 21), "", "", "… 1 line before\n" + strings.TrimSpace(lines(2, 21))},
		{"many", "no luck", lines(1, 57), "--output json", "no luck\nstdout:\n… 37 lines before; all of it is in --output json\n" + strings.TrimSpace(lines(38, 57))},
		{"long lines", lines(1, 2) + strings.Repeat("x", maxWords+1), "", "", "… 2 lines before\n…" + strings.Repeat("x", maxWords)},
	} {
		e := &ExitError{Argv: []string{"x"}, Output: Output{Stdout: []byte(c.stdout), Stderr: []byte(c.stderr), ExitCode: 3}, Whole: c.whole}
		if got := e.Error(); got != "x: exit code 3\n"+c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
