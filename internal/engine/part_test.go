package engine_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/internal/engine"
)

// latency is how long what is written to a far host is under way. What still is when the
// connection is closed is lost, as it may be with SSH.
const latency = 20 * time.Millisecond

// far is the controller's end of a pipe to a far host.
type far struct {
	to     io.WriteCloser
	parts  chan []byte
	once   sync.Once
	closed chan struct{}
}

func newFar(to io.WriteCloser) *far {
	f := &far{to: to, parts: make(chan []byte, 1000), closed: make(chan struct{})}
	go func() {
		defer to.Close()
		for {
			select {
			case <-f.closed:
				return
			case part := <-f.parts:
				select {
				case <-f.closed:
					return
				case <-time.After(latency):
				}
				if _, err := to.Write(part); err != nil {
					return
				}
			}
		}
	}()
	return f
}

func (f *far) Write(b []byte) (int, error) {
	f.parts <- append([]byte(nil), b...)
	return len(b), nil
}

func (f *far) Close() error {
	f.once.Do(func() { close(f.closed) })
	return f.to.Close()
}

// A host forgets what it has kept of a run before its connection is closed, however far
// away it is; one that was lost meanwhile isn't waited for.
func TestHostsForgetTheRunBeforeItsEnd(t *testing.T) {
	f := newFleet(t)
	f.far = true
	r := f.run(`
play "p" {
  hosts = ["web1", "web2"]
  task "command" "says" {
    shell = "echo hunter2hunter2; ls DIR/records-${host.name} >DIR/${host.name}.kept"
  }
}
`, "web1", "web2")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Fatalf("the run is %s: %s", s.Outcome, f.failures())
	}
	r.Close()
	for _, host := range []string{"web1", "web2"} {
		if kept, err := os.ReadFile(filepath.Join(f.dir, host+".kept")); err != nil || !strings.Contains(string(kept), ".journal") {
			t.Errorf("%s kept nothing while the task was made: %q, %v", host, kept, err)
		}
		if left, _ := filepath.Glob(filepath.Join(f.dir, "records-"+host, "*")); len(left) > 0 {
			t.Errorf("%s still keeps %v", host, left)
		}
	}
}
