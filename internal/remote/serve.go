package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"muster/host"
	"muster/internal/remote/record"
	"muster/internal/wire"
	"muster/modules"
)

// errGone is why things end when the controller's stream does.
var errGone = errors.New("the connection to the controller is gone")

// errStopped is why things end when the controller says so.
var errStopped = errors.New("interrupted")

// Serve speaks to the controller until r ends. The change in hand is then finished,
// so that a new connection of the run can be told its end, and no other is begun.
func Serve(ctx context.Context, r io.Reader, w io.Writer, o Options) error {
	making, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &server{o: o, making: making, abort: abort, conn: wire.NewConn(r, w), cancel: cancel, queue: newQueue(o.expecting), needs: map[uint64]chan *wire.Chunk{}, delegates: map[string]*delegate{}, away: map[string]string{}, epochs: map[string]int{}, waits: map[string]wire.Task{}, proven: make(chan *wire.Proof, 1), answers: make(chan *wire.Pin, 4), reboots: make(chan *wire.Reboot, 1), lost: make(chan struct{})}
	s.lock = lock{
		path:  o.Lock,
		tell:  func(text string) { _ = s.conn.Send(&wire.Message{Progress: &wire.Progress{Text: text}}) },
		waits: func(what string) { _ = s.conn.Send(&wire.Message{Progress: &wire.Progress{Text: what, Waits: true}}) },
	}
	h := host.New()
	h.Bodies.Ask, h.Origin = s.ask, o.Origin
	h.Runner = host.System{Started: s.started}
	s.session = NewSession(o.Kinds, h, nil)
	s.session.FactKeys = o.FactKeys
	s.session.Probation, s.session.Gone = s.probation, s.lost
	s.session.Ask, s.session.Receive = s.askPin, s.receiveFrom
	s.copies = projectCopies{s: s, answers: make(chan *wire.Copy, 4)}
	s.session.Copies = &s.copies
	s.sends.open, s.receivers.open = map[uint64]*sending{}, map[uint64]*receiving{}
	if o.Worker {
		s.session.Probation, s.session.Ask, s.session.Receive, s.session.Copies = noTrial, nil, nil, nil
	}
	if err := s.restrict(); err != nil {
		return err
	}
	u, err := user.Current()
	if err != nil {
		return fmt.Errorf("finding out who runs this: %w", err)
	}
	s.user = u.Username
	if o.Worker {
		s.session.User = s.user
	}
	hello := &wire.Hello{Protocol: wire.Protocol, Sum: o.Sum, User: s.user}
	if !o.Worker {
		hello.Facts = o.Facts(ctx)
	}
	if err := s.conn.Send(&wire.Message{Hello: hello}); err != nil {
		return err
	}
	if !o.Worker {
		living, end := context.WithCancel(context.Background()) // also where the run was told to stop
		defer end()
		go s.alive(living)
	}
	done := make(chan error, 1)
	go func() { done <- s.receive() }()
	err = s.working(ctx)
	s.endSends()
	for _, d := range s.delegates {
		s.retire(d)
	}
	switch {
	case lostController(err):
		return err // a new connection of the run goes on
	case err != nil:
		return s.fault(err) // the controller may still be there, and waiting
	}
	err = <-done
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// alive tells the controller that this lives, until ctx ends. It goes on where nobody
// hears that: who waits for a lock that this holds sees by it that this does something.
func (s *server) alive(ctx context.Context) {
	tick := time.NewTicker(cmp.Or(s.o.AliveEvery, wire.AliveEvery))
	defer tick.Stop()
	var saying atomic.Bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if saying.CompareAndSwap(false, true) { // which may take long
				go func() {
					_ = s.conn.Send(&wire.Message{Alive: &wire.Alive{}})
					saying.Store(false)
				}()
			}
		}
	}
}

type server struct {
	o       Options
	conn    *wire.Conn
	cancel  context.CancelCauseFunc // of what only looks, or waits
	making  context.Context         // of the change in hand
	abort   context.CancelCauseFunc // of that
	queue   *queue
	session *Session
	// readOnly sessions make nothing.
	readOnly bool
	agreed   *agreed // nil: tasks aren't noted here
	user     string
	lock     lock
	epochs   map[string]int // of each chain: grants up to this one are dropped

	kept    *record.Record // of what is made here; nil: nothing is kept
	begun   atomic.Bool    // the task in hand has made a change, or is about to
	repeats bool           // and would make it anew if it were made again
	heard   atomic.Int64   // when the controller was last heard of, in Unix nanoseconds

	proofs  int                       // that the controller was asked for
	proven  chan *wire.Proof          // its answers
	asked   int                       // what names stand for
	answers chan *wire.Pin            // the controller's
	reboots chan *wire.Reboot         // its answers to what is about to reboot the host
	lost    chan struct{}             // closed when the controller's stream ends
	refuses func(made []string) error // what Options.Outdated has returned
	decided bool                      // the task in hand was taken back: its end is certain

	delegates map[string]*delegate // other users, by name
	away      map[string]string    // who has a task, by its ID
	waits     map[string]wire.Task // tasks of users that don't exist yet
	grants    int                  // given to workers

	sends     sends
	receivers receivers
	copies    projectCopies

	mu    sync.Mutex
	needs map[uint64]chan *wire.Chunk
	last  uint64
	pipes []io.ReadWriteCloser // of the workers
	gone  bool                 // the controller's stream has ended
}

// receive sorts what arrives: content goes to who waits for it, the rest in line.
func (s *server) receive() error {
	defer s.queue.close()
	for {
		m, err := s.conn.Receive()
		s.heard.Store(time.Now().UnixNano())
		if err != nil {
			s.cancel(errGone)
			close(s.lost)
			s.dropNeeds()
			s.endReceivers()
			s.cancelSends()
			s.endWorkers()
			s.letFinish()
			return err
		}
		switch {
		case m.Chunk != nil:
			s.mu.Lock()
			ch := s.needs[m.Chunk.Stream]
			if m.Chunk.Last {
				delete(s.needs, m.Chunk.Stream)
			}
			s.mu.Unlock()
			if ch != nil {
				ch <- m.Chunk
				if m.Chunk.Last {
					close(ch)
				}
			}
		case m.Proof != nil:
			select {
			case s.proven <- m.Proof:
			default: // nobody asked for so many
			}
		case m.Pin != nil:
			select {
			case s.answers <- m.Pin:
			default: // nobody asked for so many
			}
		case m.Reboot != nil:
			select {
			case s.reboots <- m.Reboot:
			default: // nobody asked for so many
			}
		case m.Copy != nil:
			s.copies.answered(m.Copy)
		case s.streamed(m):
		case m.Cancel != nil:
			s.cancel(errStopped)
			s.abort(errStopped)
		case m.Renew != nil && s.o.Renew != nil && !s.o.OnlyPlans:
			s.renew(m.Renew)
		case m.Alive != nil:
		default:
			s.queue.put(m)
		}
	}
}

// work does one thing after the other, until nothing more comes.
func (s *server) work(ctx context.Context) error {
	defer s.lock.release()
	defer s.closeRecord()
	for {
		m, idle := s.queue.take()
		if idle {
			s.lock.idle()
			s.note()
			_ = s.conn.Flush()
			if m = s.queue.wait(); m == nil {
				return nil
			}
		}
		if m == nil {
			return nil
		}
		var err error
		if s.o.OnlyPlans {
			err = mayAsk(m)
		}
		switch {
		case err != nil:
		case m.Open != nil:
			err = s.open(ctx, m.Open)
		case m.Ack != nil:
			s.acked(m.Ack.Ends)
			s.settleRecord()
			_ = s.conn.Send(&wire.Message{Ack: m.Ack}) // whoever has gone meanwhile needs no answer
		case m.Task != nil && s.session.isCompanion(*m.Task):
			err = s.consult(ctx, *m.Task)
		case m.Send != nil && !s.o.Worker:
			s.startSend(ctx, m.Send)
		case m.Sent != nil: // by this host itself: see startSend
			s.unsend()
		case m.Accompany != nil:
			s.session.Accompany(m.Accompany.ID, m.Accompany.Companions)
		case m.Task != nil && m.Task.Late:
			err = s.late(ctx, *m.Task)
		case m.Task != nil:
			err = s.plan(ctx, *m.Task)
		case m.Grant != nil && s.readOnly:
			err = errors.New("a grant in a session that only plans")
		case m.Grant != nil:
			err = s.grant(ctx, m.Grant)
		case m.Review != nil:
			err = s.review(ctx, m.Review)
		case m.Trace != nil:
			err = s.trace(ctx, m.Trace)
		case m.Gather != nil:
			err = s.conn.Send(&wire.Message{Facts: &wire.Facts{Facts: s.o.Facts(ctx)}})
		case m.Lay != nil:
			s.session.lay(m.Lay.ID, m.Lay.Effects)
			for id, truth := range m.Lay.Settled {
				s.session.Settled(id, truth)
			}
			s.session.Doubt(m.Lay.Doubted)
			s.tell(ctx, "", wire.Lay{Settled: m.Lay.Settled, Doubted: m.Lay.Doubted})
			if m.Lay.Reset {
				s.session.Forget()
			}
		case m.Drop != nil:
			s.drop(m.Drop.IDs)
		case m.Hold != nil:
			s.session.Hold(*m.Hold)
		default:
			err = errors.New("a message that isn't for a remote")
		}
		if err != nil {
			return err
		}
	}
}

func (s *server) plan(ctx context.Context, t wire.Task) error {
	if !s.o.Worker {
		if err := s.lock.share(ctx); err != nil {
			return err
		}
		s.refresh(ctx)
	}
	if ok, err := s.agrees(ctx, &t); !ok || err != nil {
		return err
	}
	if err := s.outdated(&t); err != nil {
		return s.failed(t, err)
	}
	if t.As != "" && t.As != s.user {
		if len(t.Companions) > 0 {
			return s.failed(t, errNoCompanions)
		}
		return s.planElsewhere(ctx, t)
	}
	s.makeWay(t, true)
	if coming := s.queue.expected(t.Kind); len(coming) > 0 {
		s.session.Expect(t.Kind, slices.DeleteFunc(coming, func(t wire.Task) bool { return t.As != "" && t.As != s.user || s.barred(&t) }))
	}
	p, effects := s.session.Plan(ctx, t)
	if s.o.Worker {
		err := s.conn.Queue(&wire.Message{Lay: &wire.Lay{Effects: effects, Shown: s.session.shownBy(t.ID)}})
		if errors.Is(err, wire.ErrTooLarge) {
			p = wire.Planned{ID: p.ID, Status: wire.Failed, Certainty: wire.Known, Error: tooLarge("what it would alter", err), Seconds: p.Seconds}
			err = s.conn.Queue(&wire.Message{Lay: &wire.Lay{}})
		}
		if err != nil {
			return err
		}
	}
	s.tell(ctx, "", wire.Lay{ID: t.ID, Effects: effects, Settled: s.settled(t.ID)})
	return s.planned(&p)
}

// grant makes tasks in order.
func (s *server) grant(ctx context.Context, g *wire.Grant) error {
	s.acked(g.Acked)
	for _, id := range g.IDs {
		d := wire.Done{ID: id, Status: wire.Skipped}
		s.decided = false
		switch {
		case g.Epoch <= s.epochs[g.Chain]:
			d.Error = "a task before it failed"
		case s.rebooted(ctx, id, &d):
		case s.making.Err() != nil:
			d.Error = context.Cause(s.making).Error()
		default:
			if err := s.still(); err != nil {
				return err
			}
			if d = s.make(ctx, id); s.session.leaving {
				return host.ErrRebooting
			}
		}
		if d.Status == wire.Failed && !s.session.tolerates(id) {
			s.epochs[g.Chain] = g.Epoch
		}
		err := s.over(&d)
		s.begun.Store(false)
		if err != nil {
			return err
		}
		if err := s.ended(&d); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) make(ctx context.Context, id string) wire.Done {
	if !s.o.Worker {
		if err := s.lock.own(s.making); err != nil {
			if s.making.Err() != nil { // nothing of it was begun
				return wire.Done{ID: id, Status: wire.Skipped, Error: err.Error()}
			}
			return wire.Done{ID: id, Status: wire.Failed, Error: err.Error()}
		}
		s.sends.owned = false // it is kept for good
		s.refresh(ctx)
	}
	if user := s.elsewhere(id); user != "" {
		if err := s.begin(id, s.session.repeats(id)); err != nil {
			return wire.Done{ID: id, Status: wire.Failed, Error: err.Error()}
		}
		return s.makeElsewhere(ctx, user, id)
	}
	if t := s.session.tasks[id]; t != nil {
		s.makeWay(t.Task, false)
	}
	s.session.Host.Report = func(text string) {
		_ = s.conn.Send(&wire.Message{Progress: &wire.Progress{ID: id, Text: s.session.redact.Redact(text)}})
	}
	s.session.Host.Reboots = func() error { return s.leave(id) }
	s.session.Undo = s.tellUndo
	s.session.Still, s.session.Begin, s.session.Back, s.session.Whole = s.still, s.begin, s.keepEdit, s.keepWhole
	d := s.session.Apply(s.making, id)
	s.tell(ctx, "", wire.Lay{Reset: true, Settled: s.settled(id)})
	return d
}

// refresh drops what was read, where another run has been here since.
func (s *server) refresh(ctx context.Context) {
	if s.lock.others() {
		s.session.Forget()
		s.tell(ctx, "", wire.Lay{Reset: true})
	}
}

func (s *server) settled(id string) map[string]modules.Truth {
	return map[string]modules.Truth{id: s.session.truth(id)}
}

// OwnSum returns the SHA-256 of the running program.
func OwnSum() (string, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer f.Close()
	return sumOf(f)
}
