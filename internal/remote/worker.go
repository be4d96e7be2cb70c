package remote

import (
	"context"
	"fmt"
	"io"
	"slices"

	"muster/host"
	"muster/internal/wire"
)

// delegate is what this remote knows of another user whose tasks it was sent.
type delegate struct {
	user string
	// worker has the tasks in hand; nil where none was started.
	worker *worker
	// lost is why there can be no worker any more.
	lost error
	// contents are those that the worker may ask for, by sum.
	contents map[string]host.Content
	// trees are manifests of which the files aren't among contents yet.
	trees []host.Content
}

// worker is this program under another user's name. It is asked one thing at
// a time. What it answers is its user's word, and no more; see confine.
type worker struct {
	conn *wire.Conn
	pipe io.ReadWriteCloser
}

func (w *worker) close() { _ = w.pipe.Close() }

// endWorkers lets the workers finish the change in hand and end: the controller's
// stream has ended. Whoever waits for one hears of its end.
func (s *server) endWorkers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	for _, pipe := range s.pipes {
		endInput(pipe)
	}
}

// endInput ends a worker's input alone, where that is possible: what it says till
// its end is still read.
func endInput(pipe io.ReadWriteCloser) {
	if p, ok := pipe.(interface{ CloseInput() error }); ok {
		_ = p.CloseInput()
	}
}

// delegate returns what is known of a user, with a worker, started if need be.
func (s *server) delegate(ctx context.Context, name string) (*delegate, error) {
	d := s.delegates[name]
	if d == nil {
		d = &delegate{user: name, contents: map[string]host.Content{}}
		s.delegates[name] = d
	}
	if d.lost != nil {
		return nil, d.lost
	}
	if d.worker != nil {
		return d, nil
	}
	return d, s.start(ctx, d)
}

// start starts a user's worker.
func (s *server) start(ctx context.Context, d *delegate) error {
	if s.o.Spawn == nil {
		return fmt.Errorf("a task has to run as %s, but this runs as %s, who can't become another user", d.user, s.user)
	}
	pipe, err := s.o.Spawn(ctx, d.user)
	if err != nil {
		return fmt.Errorf("becoming %s: %w", d.user, err)
	}
	s.mu.Lock()
	s.pipes = append(s.pipes, pipe)
	if s.gone {
		endInput(pipe)
	}
	s.mu.Unlock()
	w := &worker{conn: wire.NewConn(pipe, pipe), pipe: pipe}
	if m, err := w.conn.Receive(); err != nil || m.Hello == nil {
		s.end(w)
		return fmt.Errorf("becoming %s: the worker didn't start: %v", d.user, err)
	}
	for _, m := range []*wire.Message{
		{Open: &wire.Open{Key: s.keyFor(d.user)}},
		{Lay: &wire.Lay{Effects: s.told(ctx, d, s.session.laid()), Settled: s.session.truths()}},
	} {
		if err := w.conn.Queue(m); err != nil {
			s.end(w)
			return err
		}
	}
	d.worker = w
	return nil
}

// end ends a worker at once.
func (s *server) end(w *worker) {
	s.mu.Lock()
	s.pipes = slices.DeleteFunc(s.pipes, func(p io.ReadWriteCloser) bool { return p == w.pipe })
	s.mu.Unlock()
	if p, ok := w.pipe.(interface{ Kill() error }); ok {
		_ = p.Kill()
	}
	w.close()
}

// lose ends a user's worker for good, and returns why: it is gone, or said what it
// may not. The user's tasks fail; the host and its other users go on.
func (s *server) lose(d *delegate, why error) error {
	d.lost = fmt.Errorf("the worker of %s: %w", d.user, why)
	if d.worker != nil {
		s.end(d.worker)
		d.worker = nil
	}
	return d.lost
}

// next returns the next message of a user's worker that isn't a wish for content,
// and grants such wishes from here.
func (s *server) next(d *delegate) (*wire.Message, error) {
	for {
		m, err := d.worker.conn.Receive()
		if err != nil {
			return nil, fmt.Errorf("it has ended: %w", err)
		}
		if m.Fault != nil {
			return nil, fmt.Errorf("%s", m.Fault.Error)
		}
		if m.Need == nil {
			return m, nil
		}
		if err := s.feed(d, m.Need); err != nil {
			return nil, err
		}
	}
}
