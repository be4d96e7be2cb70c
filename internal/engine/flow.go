package engine

import (
	"context"
	"fmt"
	"slices"

	"muster/internal/stream"
	"muster/internal/wire"
)

// flow is a stream from a companion to the task that needs it. What either host says of
// it is believed only where it is a flow of that very connection; the run's mutex guards
// it.
type flow struct {
	it     *item
	c      *companion
	to     *link
	number uint64 // the receiver's
	id     uint64 // the sender's
	from   *link  // nil until the sender was told

	port     int
	listens  bool
	sent     bool   // the sender has ended
	said     string // with this error
	hung     bool   // the receiver has closed it
	over     bool   // nothing more becomes of it
	relaying relaying
}

// maxFlows is how many streams a host may have asked for at a time.
const maxFlows = 8

// receive takes a host's wish to receive from a companion of a task that it is making.
func (l *link) receive(m *wire.Receive) error {
	h, r := l.host, l.host.run
	r.mu.Lock()
	defer r.mu.Unlock()
	it := h.sentTo(m.ID)
	if it == nil || !it.making || !it.held {
		return fmt.Errorf("%w: it would receive for a task that isn't being made: %q", wire.ErrFrame, m.ID)
	}
	i := slices.IndexFunc(it.companions, func(c *companion) bool { return c.Host == m.Host })
	if i < 0 {
		return fmt.Errorf("%w: it would receive from %q, which the task %q doesn't name", wire.ErrFrame, m.Host, m.ID)
	}
	open, mine := 0, 0
	for _, f := range r.flows {
		if f.to != l {
			continue
		}
		if mine++; f.number == m.Stream {
			return fmt.Errorf("%w: two streams of one number", wire.ErrFrame)
		}
		if f.c == it.companions[i] && !f.hung && !f.sent {
			open++
		}
	}
	if open > 0 || mine >= maxFlows {
		return fmt.Errorf("%w: it would receive %d streams from %q at a time", wire.ErrFrame, open+1, m.Host)
	}
	r.lastFlow++
	f := &flow{it: it, c: it.companions[i], to: l, number: m.Stream, id: r.lastFlow}
	r.flows[f.id] = f
	r.working.Add(1)
	go func() {
		defer r.working.Done()
		r.carry(f, m.Request)
	}()
	return nil
}

// gone reports whether nothing more comes of a link. The mutex is held.
func (l *link) gone() bool {
	return l.endCause != nil || l.host.err != nil || l.host.link != l || l.host.stopped
}

// flowing reports whether a companion may still be sending for an item. The mutex is held.
func (r *Run) flowing(it *item) bool {
	for _, f := range r.flows {
		if f.it == it && !f.over {
			return true
		}
	}
	return false
}

// carry sees a flow through.
func (r *Run) carry(f *flow, request []byte) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		f.over = true
		delete(r.flows, f.id)
		r.change.Broadcast()
	}()
	refuse := func(format string, a ...any) {
		_ = f.to.conn.Send(&wire.Message{Dial: &wire.Dial{Stream: f.number, Sender: f.c.Host, Error: fmt.Sprintf(format, a...)}})
	}
	unwanted := func() bool { return f.hung || f.to.gone() || !f.it.making }
	on := f.c.on
	err := r.await(r.life, func() bool { // one after the other, and by a connection that stands
		before := slices.ContainsFunc(r.flowsOf(f.it), func(o *flow) bool { return o.id < f.id && o.c == f.c && !o.over })
		return unwanted() || on.err != nil || !before && !on.taking
	})
	r.mu.Lock()
	stop := err != nil || unwanted()
	lost := on.err != nil || on.link == nil
	if !lost {
		f.from = on.link
	}
	r.mu.Unlock()
	switch {
	case stop:
		return
	case lost:
		refuse("%s can't be used any more", f.c.Host)
		return
	}
	m := &wire.Send{Stream: f.id, Task: *f.c.task, Request: request, Address: r.o.Playbook.Address(f.c.Host), Port: f.c.Port}
	var theirs *wire.Keys
	if !f.c.Relay {
		if m.Keys, theirs, err = stream.NewKeys(); err != nil {
			refuse("making keys for the stream: %v", err)
			return
		}
	}
	if err := f.from.conn.Send(&wire.Message{Send: m}); err != nil {
		refuse("the connection to %s was lost", f.c.Host)
		return
	}
	_ = r.await(r.life, func() bool { return unwanted() || f.from.gone() || f.listens || f.sent })
	r.mu.Lock()
	listens, port := f.listens, f.port
	failed := f.sent || f.from.gone()
	said := f.said
	r.mu.Unlock()
	switch {
	case listens:
		d := &wire.Dial{Stream: f.number, Sender: f.c.Host, Mine: f.it.on.name, Address: m.Address, Port: port, Keys: theirs}
		if f.c.Relay {
			stop := r.relay(f)
			defer stop()
		}
		_ = f.to.conn.Send(&wire.Message{Dial: d})
	case failed && said != "":
		refuse("%s: %s", f.c.Host, r.o.Redact.Redact(said))
		return
	case failed:
		refuse("the connection to %s was lost before it has sent anything", f.c.Host)
		return
	}
	_ = r.await(r.life, func() bool { return unwanted() || f.from.gone() || f.sent })
	r.mu.Lock()
	ended, gone := f.sent, f.from.gone()
	said = f.said
	r.mu.Unlock()
	switch {
	case gone && !ended:
		refuse("the connection to %s was lost, which was sending", f.c.Host)
		return
	case ended:
		// The receiver has the verdict from the sender itself, unless it couldn't be sent.
		if f.c.Relay {
			_ = r.await(r.life, func() bool { return unwanted() || f.relaying.empty() })
		}
		if said != "" {
			refuse("%s: %s", f.c.Host, r.o.Redact.Redact(said))
		}
		if f.c.Relay {
			_ = r.await(r.life, unwanted)
		}
		return
	}
	_ = f.from.conn.Send(&wire.Message{Hangup: &wire.Hangup{Stream: f.id}})
	// Who doesn't end it keeps it to itself: others aren't held up for ever.
	ending, cancel := context.WithTimeout(r.life, r.silence())
	defer cancel()
	_ = r.await(ending, func() bool { return f.from.gone() || f.sent })
}

// flowsOf are an item's flows. The mutex is held.
func (r *Run) flowsOf(it *item) (list []*flow) {
	for _, f := range r.flows {
		if f.it == it {
			list = append(list, f)
		}
	}
	return list
}

// flow takes what a host says of a stream that it sends or receives.
func (l *link) flow(m *wire.Message) error {
	r := l.host.run
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.change.Broadcast()
	switch {
	case m.Hangup != nil:
		if f := r.flowTo(l, m.Hangup.Stream); f != nil {
			f.hung = true
		}
		return nil // of one that is over nobody needs to know
	case m.Took != nil:
		f := r.flowTo(l, m.Took.Stream)
		if f == nil {
			return nil
		}
		return f.relaying.took(m.Took.Bytes)
	case m.Part != nil:
		f, err := r.flowFrom(l, m.Part.Stream)
		if f == nil || err != nil {
			return err
		}
		return f.relaying.put(m.Part.Data)
	case m.Listening != nil:
		f, err := r.flowFrom(l, m.Listening.Stream)
		switch {
		case f == nil || err != nil:
			return err
		case f.listens || !f.c.Relay && (m.Listening.Port < 1 || m.Listening.Port > 65535):
			return fmt.Errorf("%w: it listens on port %d", wire.ErrFrame, m.Listening.Port)
		}
		f.listens, f.port = true, m.Listening.Port
	case m.Sent != nil:
		f, err := r.flowFrom(l, m.Sent.Stream)
		if f == nil || err != nil {
			return err
		}
		f.sent, f.said = true, r.o.Redact.Redact(m.Sent.Error) // before it is cut
		if len(f.said) > maxSaid {
			f.said = f.said[:maxSaid]
		}
	}
	return nil
}

// maxSaid is how many bytes of a sender's error are told.
const maxSaid = 16 << 10

// flowTo is a flow that a link receives. The mutex is held.
func (r *Run) flowTo(l *link, number uint64) *flow {
	for _, f := range r.flows {
		if f.to == l && f.number == number {
			return f
		}
	}
	return nil
}

// flowFrom is a flow that a link sends; nil for one that is over. The mutex is held.
func (r *Run) flowFrom(l *link, id uint64) (*flow, error) {
	f := r.flows[id]
	switch {
	case f == nil && id > 0 && id <= r.lastFlow:
		return nil, nil
	case f == nil || f.from != l:
		return nil, fmt.Errorf("%w: of a stream that it wasn't told to send", wire.ErrFrame)
	}
	return f, nil
}
