package engine_test

import (
	"io"
	"sync"
)

// trips counts round trips: how often something is sent after something else
// was received.
type trips struct {
	mu       sync.Mutex
	n        int
	received bool
}

func (t *trips) sent() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.received {
		t.n++
	}
	t.received = false
}

func (t *trips) got() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.received = true
}

type pipe struct {
	in    io.WriteCloser
	out   io.ReadCloser
	ended chan struct{}
	trips *trips

	stopped func() bool
	severed func() bool
	once    sync.Once
	closed  chan struct{}
}

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if p.severed != nil && err == nil && p.severed() {
		_ = p.in.Close()
		_ = p.out.Close()
		return 0, io.ErrUnexpectedEOF
	}
	if p.stopped != nil && p.stopped() {
		<-p.closed
		return 0, io.ErrClosedPipe
	}
	p.trips.got()
	return n, err
}
func (p *pipe) Write(b []byte) (int, error) { p.trips.sent(); return p.in.Write(b) }
func (p *pipe) Close() error {
	if p.stopped != nil {
		p.once.Do(func() { close(p.closed) })
	}
	_ = p.in.Close()
	_ = p.out.Close()
	<-p.ended
	return nil
}
func (p *pipe) Why() string   { return "" }
func (p *pipe) Login() string { return "" }
func (p *pipe) Sum() string   { return "right" }
