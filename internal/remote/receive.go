package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"muster/internal/stream"
	"muster/internal/wire"
)

// receivers are the streams that this host receives.
type receivers struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]*receiving
}

// receiving is one of them.
type receiving struct {
	s      *server
	number uint64
	dial   chan *wire.Dial
	in     *incoming
	stop   func() bool // of what waits for the task to be interrupted

	mu       sync.Mutex
	answered bool          // the controller has said where it comes from
	conn     io.ReadCloser // nil until there is one
	r        io.Reader
	why      error // it has ended
	closed   bool
}

// receiveFrom asks the controller, who decides whether that host sends anything, and
// tells where it is. No host is asked.
func (s *server) receiveFrom(ctx context.Context, id, name string, request json.RawMessage) (io.ReadCloser, error) {
	r := &receiving{s: s, dial: make(chan *wire.Dial, 1)}
	s.receivers.mu.Lock()
	s.receivers.last++
	r.number = s.receivers.last
	r.in = newIncoming(s.conn, r.number)
	s.receivers.open[r.number] = r
	s.receivers.mu.Unlock()
	if err := s.conn.Send(&wire.Message{Receive: &wire.Receive{Stream: r.number, ID: id, Host: name, Request: request}}); err != nil {
		_ = r.Close()
		return nil, err
	}
	var d *wire.Dial
	var err error
	select {
	case d = <-r.dial:
	case <-s.lost:
		err = errGone
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err == nil && d.Error != "" {
		err = errors.New(d.Error)
	}
	var conn io.ReadCloser
	switch {
	case err != nil:
	case d.Keys == nil:
		conn = r.in
	default:
		conn, err = stream.Dial(ctx, d.Address, d.Port, d.Keys)
		if err != nil {
			err = fmt.Errorf("%s can't connect to %s, which listens on port %d of %s: %w. A firewall may be in between; where no connection between the two is possible, the task may have a way through the controller (relay)", d.Mine, d.Sender, d.Port, d.Address, err)
		}
	}
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	r.use(conn, d.Sender)
	r.stop = context.AfterFunc(ctx, func() { r.fail(context.Cause(ctx)) })
	return r, nil
}

// use gives the stream its connection.
func (r *receiving) use(conn io.ReadCloser, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conn, r.r = conn, stream.NewReader(conn, name)
	if r.why != nil {
		_ = conn.Close()
	}
}

// Read returns bytes of the stream.
func (r *receiving) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && err != io.EOF && r.why != nil {
		err = r.why
	}
	return n, err
}

// fail ends the stream for a reason that its connection doesn't tell.
func (r *receiving) fail(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == nil {
		r.why = why
	}
	if r.conn != nil {
		_ = r.conn.Close()
	}
}

// Close ends the stream, also at its sender.
func (r *receiving) Close() error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	conn := r.conn
	r.mu.Unlock()
	if closed {
		return nil
	}
	if r.stop != nil {
		r.stop()
	}
	if conn != nil {
		_ = conn.Close()
	}
	r.s.receivers.mu.Lock()
	delete(r.s.receivers.open, r.number)
	r.s.receivers.mu.Unlock()
	_ = r.s.conn.Send(&wire.Message{Hangup: &wire.Hangup{Stream: r.number}})
	return nil
}

// dialled takes what the controller says of a stream that this host receives.
func (s *server) dialled(d *wire.Dial) {
	r := s.receiver(d.Stream)
	if r == nil {
		return
	}
	r.mu.Lock()
	first := !r.answered
	r.answered = true
	r.mu.Unlock()
	switch {
	case first:
		r.dial <- d
	case d.Error != "":
		r.fail(errors.New(d.Error))
	}
}

func (s *server) receiver(number uint64) *receiving {
	s.receivers.mu.Lock()
	defer s.receivers.mu.Unlock()
	return s.receivers.open[number]
}

// endReceivers ends them all: the controller is gone.
func (s *server) endReceivers() {
	s.receivers.mu.Lock()
	var list []*receiving
	for _, r := range s.receivers.open {
		list = append(list, r)
	}
	s.receivers.mu.Unlock()
	for _, r := range list {
		r.fail(errGone)
	}
}
