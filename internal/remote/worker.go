package remote

import (
	"context"
	"fmt"
	"io"
	"os/user"
	"slices"
	"strings"

	"muster/host"
	"muster/internal/remote/process"
	"muster/internal/wire"
)

// delegate is what this remote knows of another user whose tasks it was sent.
type delegate struct {
	user string
	// worker has the tasks in hand; nil where none was started.
	worker *worker
	// account is what the worker was made of; see Options.Account.
	account string
	// tasks are those that it was sent, in order; held is what a worker that is
	// started later has to know of them.
	tasks []string
	held  map[string]*wire.Hold
	// lost is why there can be no worker any more.
	lost error
	// runs are the programs that it has started for the task in hand.
	runs []process.ID
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
		d = &delegate{user: name, contents: map[string]host.Content{}, held: map[string]*wire.Hold{}}
		s.delegates[name] = d
	}
	if d.lost != nil {
		return nil, d.lost
	}
	account, err := s.account(name)
	if err != nil {
		s.retire(d)
		return nil, fmt.Errorf("becoming %s: %w", name, err)
	}
	if d.worker != nil && d.account == account {
		return d, nil
	}
	s.retire(d)
	d.account = account
	return d, s.start(ctx, d)
}

// hold returns what is kept of a user's task.
func (d *delegate) hold(id string) *wire.Hold {
	h := d.held[id]
	if h == nil {
		h = &wire.Hold{}
		d.held[id] = h
		d.tasks = append(d.tasks, id)
	}
	return h
}

// account returns what a user's worker is made of.
func (s *server) account(name string) (string, error) {
	if s.o.Account != nil {
		return s.o.Account(name)
	}
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	groups, err := u.GroupIds()
	slices.Sort(groups)
	return strings.Join(append([]string{u.Uid, u.Gid, u.HomeDir}, groups...), ":"), err
}

// retire ends a user's worker, which has nothing in hand. When the user is to act again, another one is started.
func (s *server) retire(d *delegate) {
	if d.worker == nil {
		return
	}
	s.end(d.worker)
	d.worker = nil
}

// makeWay ends the workers of users whom a task of root's is about: an account is
// changed and removed only while nothing runs as it. Planned are only tasks that are
// about that very user; made is also whatever may alter any.
func (s *server) makeWay(t wire.Task, planning bool) {
	var running []*delegate
	for _, d := range s.delegates {
		if d.worker != nil {
			running = append(running, d)
		}
	}
	if len(running) == 0 {
		return
	}
	about := &task{Task: t}
	if about.module, _ = s.session.Kinds.Decode(t.Kind, t.Args); about.module == nil {
		return
	}
	bound := s.session.bound(about)
	for _, d := range running {
		key := host.Key{Space: host.Users, Name: d.user}
		if planning && slices.ContainsFunc(bound, func(e host.Effect) bool { return e.Key == key }) || !planning && covers(bound, key) {
			s.retire(d)
		}
	}
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
	queue := []*wire.Message{{Open: &wire.Open{Host: s.session.Host.Name, Key: s.keyFor(d.user)}}}
	for _, l := range s.session.layers {
		if len(l.effects) == 0 && d.held[l.id] == nil {
			continue
		}
		queue = append(queue, &wire.Message{Lay: &wire.Lay{ID: l.id, Effects: s.told(ctx, d, l.effects)}})
	}
	queue = append(queue, &wire.Message{Lay: &wire.Lay{Settled: s.session.truths()}})
	for _, m := range queue {
		if err := w.conn.Queue(m); err != nil {
			s.end(w)
			return err
		}
	}
	for _, id := range d.tasks {
		if err := s.handOver(w, d.held[id]); err != nil {
			s.end(w)
			return err
		}
	}
	d.worker = w
	return nil
}

// handOver gives a worker a task that another one had.
func (s *server) handOver(w *worker, h *wire.Hold) error {
	theirs := *h
	theirs.Task.As = ""
	theirs.Changed = s.session.truth(h.Task.ID)
	return w.conn.Queue(&wire.Message{Hold: &theirs})
}

// end ends a worker at once.
func (s *server) end(w *worker) {
	s.mu.Lock()
	s.pipes = slices.DeleteFunc(s.pipes, func(p io.ReadWriteCloser) bool { return p == w.pipe })
	s.mu.Unlock()
	if p, ok := w.pipe.(interface{ Kill() error }); ok {
		_ = p.Kill()
	}
	_ = w.pipe.Close()
}

// lose ends a user's worker for good, with the programs that it has started for the task
// in hand, and returns why: it is gone, or said what it may not. The user's tasks fail;
// the host and its other users go on.
func (s *server) lose(d *delegate, why error) error {
	d.lost = fmt.Errorf("the worker of %s: %w", d.user, why)
	for _, id := range d.runs {
		_ = id.KillGroup()
	}
	d.runs = nil
	if d.worker != nil {
		s.end(d.worker)
		d.worker = nil
	}
	return d.lost
}

// maxFault is how many characters of a worker's own reason for its end are repeated,
// with each of its tasks.
const maxFault = 1000

// next returns the next message of a user's worker that isn't a wish for content,
// and grants such wishes from here.
func (s *server) next(d *delegate) (*wire.Message, error) {
	for {
		m, err := d.worker.conn.Receive()
		if err != nil {
			return nil, fmt.Errorf("it has ended: %w", err)
		}
		if m.Fault != nil {
			return nil, fmt.Errorf("%.*s", maxFault, m.Fault.Error)
		}
		if m.Need == nil {
			return m, nil
		}
		if err := s.feed(d, m.Need); err != nil {
			return nil, err
		}
	}
}
