package modulestest

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"muster/modules/modulestest/watch"
)

// Cases run in a process of their own, which the test starts and watches: every
// system call by which it, or a program that it starts, touches a file is seen, and
// can be kept from being made. The two talk by messages on pipes; the process
// asks for what was seen, and says where it is to be cut.

// request is what a process is told: a case to run, or an answer.
type request struct {
	Case   string
	Later  bool
	Answer *seen
}

// report is what a process says: how a case has ended, or a question.
type report struct {
	Ended *verdict
	// Watch begins to note what is seen, Unwatch ends that; both are answered.
	Watch   bool
	Unwatch bool
	// Cut is at which edit, counted from here, the process is to be cut off: that
	// one and all that follow fail.
	Cut int
}

// verdict is how a case has ended.
type verdict struct {
	Failed, Skipped bool
	Text            string
}

// seen is what was seen between Watch and Unwatch.
type seen struct {
	// Looks are the paths that the process itself looked at, Reads those that
	// programs did.
	Looks, Reads []string
	// Words are the arguments of the programs that it started.
	Words []string
	Edits []edited
	// Cut says where the process was cut off, "" where it wasn't; Edited counts the
	// edits.
	Cut    string
	Edited int
}

// edited is a path that was altered.
type edited struct {
	Path string
	Own  bool   // by the process itself
	Call string // the first that did it
	// Lasting: something else stands there than did before.
	Lasting bool
	Was, Is string
}

// watched is a process that runs cases.
type watched struct {
	say  *gob.Encoder
	hear *gob.Decoder
	end  func() error

	mu    sync.Mutex
	on    atomic.Bool
	notes seen
	looks map[[2]string]bool
	was   map[string]string
	cut   int
	frost bool
}

// start starts the process that runs the cases of a test.
func start(t *testing.T) (*watched, error) {
	var parts []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run="+strings.Join(parts, "/"), "-test.timeout=0")
	stdin, theirStdin, err := pipes(true)
	if err != nil {
		return nil, err
	}
	stdout, theirStdout, err := pipes(false)
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirStdin, theirStdout, os.Stderr
	w := &watched{say: gob.NewEncoder(stdin), hear: gob.NewDecoder(stdout), looks: map[[2]string]bool{}}
	ended := make(chan error, 1)
	go func() {
		err := watch.Run(cmd, watch.Options{See: w.see, Idle: func() bool { return !w.on.Load() }})
		_, _ = theirStdin.Close(), theirStdout.Close()
		ended <- err
	}()
	w.end = func() error {
		_ = stdin.Close()
		return <-ended
	}
	var ready report
	if err := w.hear.Decode(&ready); err != nil {
		return nil, errors.Join(fmt.Errorf("a watched process doesn't start: %w", err), w.end())
	}
	return w, nil
}

// pipes returns an end of a pipe for this process, and one for another.
func pipes(writes bool) (ours, theirs *os.File, err error) {
	r, w, err := os.Pipe()
	if writes {
		return w, r, err
	}
	return r, w, err
}

// run has the process run a case.
func (w *watched) run(r request) (verdict, error) {
	if err := w.say.Encode(r); err != nil {
		return verdict{}, fmt.Errorf("the process that runs cases: %w", err)
	}
	for {
		var told report
		if err := w.hear.Decode(&told); err != nil {
			if errors.Is(err, io.EOF) {
				err = w.end()
			}
			return verdict{}, fmt.Errorf("the process that runs cases has ended: %w", err)
		}
		if told.Ended != nil {
			return *told.Ended, nil
		}
		if err := w.say.Encode(request{Answer: w.answer(told)}); err != nil {
			return verdict{}, err
		}
	}
}

func (w *watched) answer(told report) *seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	if told.Watch {
		w.cut, w.frost, w.notes, w.was = told.Cut, false, seen{}, map[string]string{}
		clear(w.looks)
		w.on.Store(true)
		return &seen{}
	}
	w.on.Store(false)
	w.frost = false
	for i, e := range w.notes.Edits {
		e.Was, e.Is = w.was[e.Path], stands(e.Path)
		e.Lasting = e.Was != e.Is
		w.notes.Edits[i] = e
	}
	return &w.notes
}

// stands describes what stands at a path.
func stands(path string) string {
	s, there, err := standsAt(path)
	switch {
	case err != nil:
		return err.Error()
	case !there:
		return "nothing"
	}
	return s.String()
}

// see notes a call, and cuts the process off where it is to be.
func (w *watched) see(c watch.Call) watch.Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on.Load() {
		return watch.Verdict{}
	}
	// The host is the same after a program as before what comes next.
	step := c.Own && len(c.Alters) > 0 || c.Direct && strings.HasPrefix(c.Name, "exec")
	if step && !w.frost {
		w.notes.Edited++
		if w.notes.Edited == w.cut {
			w.frost, w.notes.Cut = true, strings.TrimSpace("before "+c.Name+" "+strings.Join(c.Alters, " "))
		}
	}
	if w.frost && (len(c.Alters) > 0 || strings.HasPrefix(c.Name, "exec")) {
		return watch.Verdict{Fail: syscall.EIO}
	}
	if c.Direct {
		w.notes.Words = append(w.notes.Words, c.Words...)
	}
	who := "own"
	if !c.Own {
		who = ""
	}
	for _, path := range c.Looks {
		if key := [2]string{who, path}; !w.looks[key] {
			w.looks[key] = true
			if c.Own {
				w.notes.Looks = append(w.notes.Looks, path)
			} else {
				w.notes.Reads = append(w.notes.Reads, path)
			}
		}
	}
	for _, path := range c.Alters {
		if _, known := w.was[path]; !known {
			w.was[path] = stands(path)
			w.notes.Edits = append(w.notes.Edits, edited{Path: path, Own: c.Own, Call: c.Name})
		}
	}
	return watch.Verdict{}
}
