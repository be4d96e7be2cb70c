package host

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// lastOutput is how long more is waited for of what a program prints, after its end: what
// it has started may hold its output open.
const lastOutput = time.Second

// drain hands on what a program prints until its end.
type drain struct {
	from, to *os.File // the pipe's ends
	// slow: whoever takes it may be slower than the program. What is in the pipe when
	// the program ends is handed on whole then, however long that takes.
	slow  bool
	ended atomic.Bool // the program has
	done  chan struct{}
}

func newDrain(w io.Writer, slow bool) (*drain, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	d := &drain{from: from, to: to, slow: slow, done: make(chan struct{})}
	go d.pump(w)
	return d, nil
}

func (d *drain) pump(w io.Writer) {
	defer close(d.done)
	buf := make([]byte, 32<<10)
	for {
		if d.slow && d.ended.Load() {
			_ = d.from.SetReadDeadline(time.Now().Add(lastOutput))
		}
		n, err := d.from.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return
		}
	}
}

// finish waits until all that the program has printed is handed on, once it has ended.
// Where ctx is over, whoever takes it is waited for no longer than lastOutput.
func (d *drain) finish(ctx context.Context) {
	d.ended.Store(true)
	_ = d.from.SetReadDeadline(time.Now().Add(lastOutput))
	select {
	case <-d.done:
	case <-ctx.Done():
		select {
		case <-d.done:
		case <-time.After(lastOutput):
		}
	}
	d.from.Close()
	if !d.slow {
		<-d.done
	}
}

// close closes both ends of the pipe; more than once does no harm.
func (d *drain) close() {
	d.to.Close()
	d.from.Close()
}
