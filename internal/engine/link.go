package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"muster/internal/lang/files"
	"muster/internal/wire"
)

// link is the connection to one host's remote.
type link struct {
	stream   Stream
	conn     *wire.Conn
	said     []byte // the facts of its greeting, until they are read
	host     *hostRun
	done     chan struct{} // closed when nothing more comes
	needs    atomic.Int64  // contents that were asked for, and aren't sent yet
	places   chan struct{} // of those that are sent at once
	taken    *wire.TakenUp // the answer of a host that is taken up again
	endCause error         // why it has ended
	// proving is a login that is under way to prove what the host has on probation.
	proving bool
	// looking: a question what a copy is is being answered.
	looking bool
	// bringing takes the parts of what is to replace a copy; nil: nothing was begun.
	bringing chan *wire.Bring
}

// ErrLost is a connection that ended in the middle of a run: what became of
// the change in hand is unknown until the host is looked at again.
var ErrLost = errors.New("the connection was lost")

// open waits for the remote's first message, as long as it may be silent, and begins
// the session.
func (h *hostRun) open(ctx context.Context, stream Stream) (*link, error) {
	l := &link{stream: stream, conn: wire.NewHostConn(stream, stream), host: h, done: make(chan struct{}), places: make(chan struct{}, feeding)}
	m, err := greeting(ctx, l.conn, stream, h.run.o.Silence)
	if err != nil {
		_ = stream.Close()
		return nil, fmt.Errorf("%s: %w", h.name, err)
	}
	if err := known(m, stream); err != nil {
		_ = stream.Close()
		return nil, fmt.Errorf("%s: %w", h.name, err)
	}
	if err := h.otherBoot(m.Hello.Facts); err != nil {
		_ = stream.Close()
		return nil, fmt.Errorf("%s: %w", h.name, err)
	}
	l.said = m.Hello.Facts
	open := &wire.Open{Login: stream.Login(), Host: h.name, Key: h.run.key, Seal: h.run.seal, ReadOnly: h.run.o.ReadOnly, Run: h.run.name, Take: h.takes, Have: h.ends}
	if err := l.conn.Send(&wire.Message{Open: open}); err != nil {
		_ = stream.Close()
		return nil, fmt.Errorf("%s: %w", h.name, err)
	}
	return l, nil
}

// greeting waits for a remote's first message, no longer than silence; 0:
// wire.Silence.
func greeting(ctx context.Context, conn *wire.Conn, stream Stream, silence time.Duration) (*wire.Message, error) {
	waiting, stop := context.WithTimeoutCause(ctx, cmp.Or(silence, wire.Silence), errSilent)
	defer stop()
	hangUp := context.AfterFunc(waiting, func() { _ = stream.Close() })
	m, err := conn.Receive()
	switch {
	case !hangUp():
		return nil, context.Cause(waiting)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errMute, because(err, stream))
	}
	return m, nil
}

// known returns an error where a first message isn't this muster's remote's.
func known(m *wire.Message, stream Stream) error {
	if m.Hello == nil || m.Hello.Protocol != wire.Protocol {
		return errors.New("what answers there isn't this muster's remote")
	}
	if want := stream.Sum(); want != "" && m.Hello.Sum != want {
		return fmt.Errorf("%w: it has the SHA-256 %.12s, not %.12s", errDamaged, m.Hello.Sum, want)
	}
	return nil
}

// use makes a link the host's, and starts to listen to it.
func (h *hostRun) use(l *link) {
	h.run.mu.Lock()
	h.link = l
	h.run.mu.Unlock()
	go l.listen()
}

// errDamaged is a remote that isn't the program it was cached as.
var errDamaged = errors.New("the remote that the host has cached is damaged")

// errSilent is a remote that was started and says nothing: what it begins with may
// hang, such as looking at a file system that doesn't answer.
var errSilent = errors.New("the remote was started, and nothing is heard of it")

// errMute is a remote that ended before it said anything.
var errMute = errors.New("the remote didn't start")

func because(err error, stream Stream) error {
	if why := stream.Why(); why != "" {
		return errors.New(why)
	}
	return err
}

// silence is how long nothing may be heard of a host.
func (r *Run) silence() time.Duration { return cmp.Or(r.o.Silence, wire.Silence) }

// listen takes what the remote says until it ends.
func (l *link) listen() {
	defer close(l.done)
	silence := l.host.run.silence()
	hangs := time.AfterFunc(silence, func() {
		l.host.cut(l, fmt.Errorf("%w: nothing was heard of the remote for %s, so that it hangs or was stopped%s", ErrLost, silence, l.host.mayHaveMade()))
		_ = l.stream.Close()
	})
	defer hangs.Stop()
	defer l.beat()()
	for {
		m, err := l.conn.Receive()
		hangs.Reset(silence)
		switch {
		case errors.Is(err, wire.ErrFrame) && !errors.Is(err, io.ErrUnexpectedEOF):
			l.host.lost(err)
		case err != nil:
			l.host.cut(l, fmt.Errorf("%w%s", ErrLost, words(l.stream)))
		default:
			if err = l.handle(m); err != nil {
				l.host.lost(err)
			}
		}
		if err != nil {
			return
		}
	}
}

// mayHaveMade is what is said of what a host was told to make, when nothing is heard of it.
func (h *hostRun) mayHaveMade() string {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if !h.waited() {
		return ""
	}
	return "; what it was making may have been made"
}

// words are the last ones of a remote that has ended.
func words(stream Stream) string {
	if why := stream.Why(); why != "" {
		return ": " + why
	}
	return ""
}

// beat tells the remote every now and then that the controller is there, until stop
// is called.
func (l *link) beat() (stop func()) {
	every := cmp.Or(l.host.run.o.AliveEvery, wire.AliveEvery)
	var mu sync.Mutex
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(every, func() {
		err := l.conn.Send(&wire.Message{Alive: &wire.Alive{}})
		mu.Lock()
		defer mu.Unlock()
		if err == nil && timer != nil {
			timer.Reset(every)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
		timer = nil
	}
}

func (l *link) handle(m *wire.Message) error {
	switch {
	case m.Planned != nil:
		return l.host.planned(m.Planned)
	case m.Done != nil:
		return l.host.finished(m.Done)
	case m.CutOff != nil:
		return l.host.cutOff(m.CutOff)
	case m.TakenUp != nil:
		return l.host.tookUp(l, m.TakenUp)
	case m.Need != nil:
		return l.need(*m.Need)
	case m.Pin != nil:
		return l.pin(m.Pin)
	case m.Copy != nil:
		return l.copyOf(m.Copy)
	case m.Bring != nil:
		return l.bring(m.Bring)
	case m.Receive != nil:
		return l.receive(m.Receive)
	case m.Listening != nil, m.Sent != nil, m.Part != nil, m.Hangup != nil, m.Took != nil:
		return l.flow(m)
	case m.Prove != nil:
		return l.prove(m.Prove)
	case m.Reboot != nil:
		return l.reboot(m.Reboot)
	case m.Undo != nil:
		return l.host.before(m.Undo)
	case m.Progress != nil:
		return l.host.progress(m.Progress)
	case m.Alive != nil:
	case m.Ack != nil:
		l.host.parted()
	case m.Reviewed != nil:
		return l.host.takeReview(m.Reviewed)
	case m.Traced != nil:
		return l.host.takeTrace(m.Traced)
	case m.Facts != nil:
		return l.host.setFacts(m.Facts.Facts)
	case m.Fault != nil:
		return errors.New(m.Fault.Error)
	default:
		return fmt.Errorf("%w: not one for the controller", wire.ErrFrame)
	}
	return nil
}

// How many contents a host may ask for before it has got them, and how many of them
// are sent at once: what each takes is a buffer.
const (
	maxNeeds = 256
	feeding  = 4
)

// need sends what a host asks for, in its turn.
func (l *link) need(n wire.Need) error {
	if l.needs.Add(1) > maxNeeds {
		return fmt.Errorf("%w: more than %d contents asked for at once", wire.ErrFrame, maxNeeds)
	}
	go func() {
		l.places <- struct{}{}
		defer func() { <-l.places }()
		l.feed(n)
		if l.needs.Add(-1) == 0 {
			_ = l.conn.Flush()
		}
	}()
	return nil
}

// feed queues content that the remote asked for: that of small files is sent together, at the
// latest when all that was asked for is there. Only what a task of this run names is ever sent.
func (l *link) feed(n wire.Need) {
	fail := func(err error) {
		_ = l.conn.Queue(&wire.Message{Chunk: &wire.Chunk{Stream: n.Stream, Last: true, Error: err.Error()}})
	}
	body, ok := l.host.body(n.Sum)
	if !ok {
		fail(fmt.Errorf("no task has content %.12s", n.Sum))
		return
	}
	r, err := body.Open()
	if err != nil {
		fail(err)
		return
	}
	defer r.Close()
	buf := make([]byte, min(256<<10, body.Size+1)) // a file may have grown since
	for {
		k, err := io.ReadFull(r, buf)
		c := &wire.Chunk{Stream: n.Stream, Data: buf[:k]}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			c.Last = true
		} else if err != nil {
			fail(err)
			return
		}
		if err := l.conn.Queue(&wire.Message{Chunk: c}); err != nil || c.Last {
			return
		}
	}
}

// keep makes the bodies of a task's content available to the host.
func (h *hostRun) keep(bodies []files.Body) {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	for i := range bodies {
		if h.bodies == nil {
			h.bodies = map[string]*files.Body{}
		}
		h.bodies[bodies[i].Sum] = &bodies[i]
	}
}

func (h *hostRun) body(sum string) (*files.Body, bool) {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	b, ok := h.bodies[sum]
	return b, ok
}
