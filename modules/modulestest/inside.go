package modulestest

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"muster/modules/modulestest/watch"
)

// watcher is how a case asks the test that watches its process.
type watcher struct {
	say  *gob.Encoder
	hear *gob.Decoder
}

// on begins to note what is seen; with cut, from the cut-th edit on all fail.
func (w *watcher) on(cut int) { w.ask(report{Watch: true, Cut: cut}) }

// off returns what was seen.
func (w *watcher) off() seen { return w.ask(report{Unwatch: true}) }

func (w *watcher) ask(r report) seen {
	var answer request
	if err := w.say.Encode(r); err != nil {
		panic("modulestest: " + err.Error())
	}
	if err := w.hear.Decode(&answer); err != nil || answer.Answer == nil {
		panic(fmt.Sprint("modulestest: no answer: ", err))
	}
	return *answer.Answer
}

// serve runs cases in a watched process until the test that watches it has no more.
// Standard output is the test's own to talk on: what else is printed goes to stderr.
func serve(t *testing.T, find func(name string) *conformance) {
	out, err := syscall.Dup(1)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(out)
	if err := syscall.Dup3(2, 1, 0); err != nil {
		t.Fatal(err)
	}
	in, err := syscall.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(in)
	if null, err := os.Open(os.DevNull); err == nil {
		_ = syscall.Dup3(int(null.Fd()), 0, 0)
	}
	if err := watch.Enter(); err != nil {
		t.Fatal(err)
	}
	w := &watcher{gob.NewEncoder(os.NewFile(uintptr(out), "test")), gob.NewDecoder(os.NewFile(uintptr(in), "test"))}
	if err := w.say.Encode(report{}); err != nil {
		t.Fatal(err)
	}
	cases := map[string]*conformance{}
	for {
		var r request
		if err := w.hear.Decode(&r); err == io.EOF {
			os.Exit(0)
		} else if err != nil {
			t.Fatal(err)
		}
		rec := &recorder{TB: t}
		var done sync.WaitGroup
		done.Go(func() {
			defer rec.clean()
			if r.Later {
				if c := cases[r.Case]; c != nil {
					c.later(rec)
				}
				return
			}
			c := find(r.Case)
			c.watcher = w
			cases[r.Case] = c
			c.run(rec)
		})
		done.Wait()
		if err := w.say.Encode(report{Ended: &verdict{rec.failed, rec.skipped, rec.text}}); err != nil {
			t.Fatal(err)
		}
	}
}

// recorder takes down what a test is told.
type recorder struct {
	testing.TB
	failed, skipped bool
	text            string
	cleanups        []func()
}

// Helper does nothing: lines aren't told.
func (r *recorder) Helper() {}

// Failed reports whether an error was told.
func (r *recorder) Failed() bool { return r.failed }

// Cleanup keeps what is to be called when the case has ended.
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) clean() {
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
}

// Log keeps a line.
func (r *recorder) Log(args ...any) { r.text += fmt.Sprintln(args...) }

// Logf keeps a line.
func (r *recorder) Logf(format string, args ...any) { r.Log(fmt.Sprintf(format, args...)) }

// Error keeps a line, and that the case has failed.
func (r *recorder) Error(args ...any) { r.Log(args...); r.failed = true }

// Errorf keeps a line, and that the case has failed.
func (r *recorder) Errorf(format string, args ...any) { r.Error(fmt.Sprintf(format, args...)) }

// Fatal is an Error that ends the case.
func (r *recorder) Fatal(args ...any) { r.Error(args...); runtime.Goexit() }

// Fatalf is an Errorf that ends the case.
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); runtime.Goexit() }

// Skip ends the case.
func (r *recorder) Skip(args ...any) { r.Log(args...); r.skipped = true; runtime.Goexit() }
