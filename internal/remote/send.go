package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"muster/host"
	"muster/internal/stream"
	"muster/internal/wire"
)

// sends are the streams that this host sends, beside whatever else it does.
type sends struct {
	mu      sync.Mutex
	open    map[uint64]*sending
	working sync.WaitGroup
	owned   bool // the host's lock was taken for them
}

// sending is one of them.
type sending struct {
	cancel context.CancelCauseFunc
	relay  *relayed // nil: it goes to the receiver by itself
}

// startSend begins to send. It is called where this host does nothing else, so that it has
// the host's lock: another run's changes would meet it.
func (s *server) startSend(ctx context.Context, m *wire.Send) {
	if err := s.maySend(ctx, m); err != nil {
		s.sent(m.Stream, err)
		return
	}
	ctx, cancel := context.WithCancelCause(s.making)
	one := &sending{cancel: cancel}
	if m.Keys == nil {
		one.relay = newRelayed(s.conn, m.Stream)
	}
	s.sends.mu.Lock()
	s.sends.open[m.Stream] = one
	s.sends.working.Add(1)
	s.sends.mu.Unlock()
	go func() {
		defer s.sends.working.Done()
		err := s.sendOne(ctx, m, one.relay)
		cancel(nil)
		s.sends.mu.Lock()
		delete(s.sends.open, m.Stream)
		s.sends.mu.Unlock()
		s.sent(m.Stream, err)
		s.queue.put(&wire.Message{Sent: &wire.Sent{}}) // see unsend
	}()
}

// maySend returns why nothing is sent.
func (s *server) maySend(ctx context.Context, m *wire.Send) error {
	s.sends.mu.Lock()
	open, again := len(s.sends.open), s.sends.open[m.Stream] != nil
	s.sends.mu.Unlock()
	switch {
	case s.readOnly:
		return errors.New("a session that only plans sends nothing")
	case open >= wire.MaxSends || again:
		return fmt.Errorf("it sends %d streams already", open)
	}
	if err := s.companionAs(m.Task); err != nil {
		return err
	}
	if _, err := s.session.sender(m.Task); err != nil {
		return err
	}
	if s.lock.owned {
		return nil
	}
	if err := s.lock.own(ctx); err != nil {
		return err
	}
	s.sends.owned = true
	s.refresh(ctx)
	return nil
}

// companionAs returns why a companion can't be of use here: it is the remote itself, and
// no worker, that looks and sends.
func (s *server) companionAs(t wire.Task) error {
	if t.As != "" && t.As != s.user {
		return fmt.Errorf("muster runs as %s on that host, and the task as %s: have both run as root (become = true)", s.user, t.As)
	}
	return nil
}

// sendOne sends one stream.
func (s *server) sendOne(ctx context.Context, m *wire.Send, relay *relayed) error {
	var conn io.Writer = relay
	if relay == nil {
		l, err := stream.Listen(ctx, m.Address, m.Port, m.Keys)
		if err != nil {
			return err
		}
		defer l.Close()
		if err := s.conn.Send(&wire.Message{Listening: &wire.Listening{Stream: m.Stream, Port: l.Port()}}); err != nil {
			return err
		}
		c, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { _ = c.Close() })()
		conn = c
	} else {
		defer context.AfterFunc(ctx, func() { relay.end(context.Cause(ctx)) })()
		if err := s.conn.Send(&wire.Message{Listening: &wire.Listening{Stream: m.Stream}}); err != nil {
			return err
		}
	}
	h := host.New() // the session's belongs to the task in hand
	h.Name = s.session.Host.Name
	h.Bodies.Ask, h.RunName, h.Redact = s.ask, s.session.Host.RunName, s.session.redact.Redact
	return stream.Send(ctx, conn, func(ctx context.Context, w io.Writer) error {
		return SendOnce(ctx, s.o.Kinds, h, m.Task, json.RawMessage(m.Request), w)
	})
}

// sent tells the controller how a stream has ended.
func (s *server) sent(number uint64, err error) {
	m := &wire.Sent{Stream: number}
	if err != nil {
		m.Error = s.session.redact.Redact(err.Error())
		m.Error = m.Error[:min(len(m.Error), maxSaid)]
	}
	_ = s.conn.Send(&wire.Message{Sent: m})
}

// maxSaid is how many bytes of an error of a stream are told.
const maxSaid = 16 << 10

// unsend gives the lock back that was taken to send, where nothing is sent any more.
func (s *server) unsend() {
	s.sends.mu.Lock()
	open := len(s.sends.open)
	s.sends.mu.Unlock()
	if open == 0 && s.sends.owned {
		s.sends.owned = false
		s.lock.disown()
	}
}

// hangUp ends a stream that this host sends.
func (s *server) hangUp(number uint64, why error) {
	s.sends.mu.Lock()
	one := s.sends.open[number]
	s.sends.mu.Unlock()
	if one != nil {
		one.cancel(why)
	}
}

// cancelSends ends all of them.
func (s *server) cancelSends() {
	s.sends.mu.Lock()
	defer s.sends.mu.Unlock()
	for _, one := range s.sends.open {
		one.cancel(errGone)
	}
}

// endSends ends all of them, and waits for their programs to be gone, some seconds.
func (s *server) endSends() {
	s.cancelSends()
	ended := make(chan struct{})
	go func() {
		s.sends.working.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(wire.Stall):
	}
}

// streamed takes what the controller says of streams that are under way; false where it
// is something else.
func (s *server) streamed(m *wire.Message) bool {
	switch {
	case m.Dial != nil:
		s.dialled(m.Dial)
	case m.Hangup != nil:
		s.hangUp(m.Hangup.Stream, stream.ErrGone)
	case m.Part != nil:
		if r := s.receiver(m.Part.Stream); r != nil {
			r.in.put(m.Part.Data)
		}
	case m.Took != nil:
		s.sends.mu.Lock()
		defer s.sends.mu.Unlock()
		if one := s.sends.open[m.Took.Stream]; one != nil && one.relay != nil {
			one.relay.took(m.Took.Bytes)
		}
	default:
		return false
	}
	return true
}
