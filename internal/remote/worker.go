package remote

import (
	"context"
	"fmt"
	"io"
	"os/user"

	"muster/internal/wire"
)

// worker is this program under another user's name. It is asked one thing at
// a time.
type worker struct {
	user  string
	conn  *wire.Conn
	pipe  io.ReadWriteCloser
	tasks map[string]bool
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

// worker returns the worker for a user, started if need be.
func (s *server) worker(ctx context.Context, name string) (*worker, error) {
	if w := s.workers[name]; w != nil {
		return w, nil
	}
	if s.o.Spawn == nil {
		return nil, fmt.Errorf("a task has to run as %s, but this runs as %s, who can't become another user", name, s.user)
	}
	pipe, err := s.o.Spawn(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("becoming %s: %w", name, err)
	}
	s.mu.Lock()
	s.pipes = append(s.pipes, pipe)
	if s.gone {
		endInput(pipe)
	}
	s.mu.Unlock()
	w := &worker{user: name, conn: wire.NewConn(pipe, pipe), pipe: pipe, tasks: map[string]bool{}}
	if m, err := w.conn.Receive(); err != nil || m.Hello == nil {
		_ = pipe.Close()
		return nil, fmt.Errorf("becoming %s: the worker didn't start: %v", name, err)
	}
	open := &wire.Message{Open: &wire.Open{Key: s.session.Key}}
	lay := &wire.Message{Lay: &wire.Lay{Effects: s.session.laid(), Settled: s.session.truths()}}
	if err := w.conn.Queue(open); err != nil {
		return nil, err
	}
	if err := w.conn.Queue(lay); err != nil {
		return nil, err
	}
	s.workers[name] = w
	return w, nil
}

// tell lets every worker but one know what the others must.
func (s *server) tell(except string, lay *wire.Lay) {
	for name, w := range s.workers {
		if name != except {
			_ = w.conn.Queue(&wire.Message{Lay: lay})
		}
	}
}

// planElsewhere has a task planned by the worker of its user. A user that an
// earlier task will make is waited for.
func (s *server) planElsewhere(ctx context.Context, t wire.Task) error {
	fail := func(err error) error {
		return s.conn.Soon(&wire.Message{Planned: &wire.Planned{ID: t.ID, Status: wire.Failed, Certainty: wire.Known, Error: err.Error()}})
	}
	if _, err := user.Lookup(t.As); err != nil {
		planned, coming := s.session.ComingUser(ctx, t)
		if !coming {
			return fail(fmt.Errorf("there is no user %q on this host to become, and no earlier task makes it", t.As))
		}
		s.waits[t.ID] = t
		return s.conn.Soon(&wire.Message{Planned: &planned})
	}
	w, err := s.worker(ctx, t.As)
	if err != nil {
		return fail(err)
	}
	p, err := s.planBy(w, t)
	if err != nil {
		return fail(err)
	}
	return s.conn.Soon(&wire.Message{Planned: p})
}

// planBy has a worker plan a task, and makes its effects known to the others.
func (s *server) planBy(w *worker, t wire.Task) (*wire.Planned, error) {
	t.As = ""
	w.tasks[t.ID] = true
	if err := w.conn.Send(&wire.Message{Task: &t}); err != nil {
		return nil, err
	}
	var lay wire.Lay
	for {
		m, err := s.fromWorker(w)
		switch {
		case err != nil:
			return nil, err
		case m.Lay != nil:
			lay = *m.Lay
		case m.Planned != nil:
			s.session.Adopt(t, *m.Planned, lay.Effects)
			lay.Settled = s.settled(t.ID)
			s.tell(w.user, &lay)
			return m.Planned, nil
		}
	}
}

// makeElsewhere has the worker of a task's user make it.
func (s *server) makeElsewhere(w *worker, id string) wire.Done {
	fail := func(err error) wire.Done {
		return wire.Done{ID: id, Status: wire.Failed, Error: fmt.Sprintf("the worker of %s: %v", w.user, err)}
	}
	if t, waited := s.waits[id]; waited {
		delete(s.waits, id)
		p, err := s.planBy(w, t)
		if err != nil {
			return fail(err)
		}
		if p.Status == wire.Failed {
			return wire.Done{ID: id, Status: wire.Failed, Error: p.Error}
		}
	}
	// The epoch only grows, so that a worker drops nothing by itself.
	s.grants++
	if err := w.conn.Send(&wire.Message{Grant: &wire.Grant{IDs: []string{id}, Epoch: s.grants}}); err != nil {
		return fail(err)
	}
	for {
		m, err := s.fromWorker(w)
		switch {
		case err != nil:
			return fail(err)
		case m.Progress != nil, m.Undo != nil:
			_ = s.conn.Send(m)
		case m.Done != nil:
			s.session.Finish(id, *m.Done)
			s.session.Forget()
			s.tell(w.user, &wire.Lay{Reset: true, Settled: s.settled(id)})
			return *m.Done
		}
	}
}

// workerOf returns the worker that has a task; nil where this session has it.
func (s *server) workerOf(ctx context.Context, id string) (*worker, error) {
	if t, ok := s.waits[id]; ok {
		return s.worker(ctx, t.As)
	}
	for _, w := range s.workers {
		if w.tasks[id] {
			return w, nil
		}
	}
	return nil, nil
}

// fromWorker returns the next message of a worker that isn't a wish for
// content, and grants such wishes from here.
func (s *server) fromWorker(w *worker) (*wire.Message, error) {
	for {
		m, err := w.conn.Receive()
		if err != nil {
			return nil, err
		}
		if m.Fault != nil {
			return nil, fmt.Errorf("%s", m.Fault.Error)
		}
		if m.Need == nil {
			return m, nil
		}
		if err := s.feed(w, m.Need); err != nil {
			return nil, err
		}
	}
}

// feed passes content from the controller on to a worker.
func (s *server) feed(w *worker, n *wire.Need) error {
	r, err := s.ask(context.Background(), n.Sum)
	if err != nil {
		return w.conn.Send(&wire.Message{Chunk: &wire.Chunk{Stream: n.Stream, Last: true, Error: err.Error()}})
	}
	defer r.Close()
	buf := make([]byte, 256<<10)
	for {
		k, err := r.Read(buf)
		c := &wire.Chunk{Stream: n.Stream, Data: buf[:k]}
		if err == io.EOF {
			c.Last = true
		} else if err != nil {
			c.Last, c.Error = true, err.Error()
		}
		if err := w.conn.Send(&wire.Message{Chunk: c}); err != nil || c.Last {
			return err
		}
	}
}
