package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster/internal/wire"
)

// A host asks for a proof when it has made changes on probation: that it can be logged
// in to, with nothing of what the run has open. A pooled connection to the bastion, or one
// that a firewall has let through already, would stand where no other gets in.

// How often a login is tried: a server that is just starting again may refuse the first.
// One that isn't answered at all isn't tried again.
const (
	proofTries = 3
	proofPause = time.Second
	proofSlow  = 5 * time.Second
)

// prove answers a host that asks for a proof. Only a task that the host was told to make
// is proven, one at a time: a host can't have the controller log in as often as it
// likes.
func (l *link) prove(m *wire.Prove) error {
	h, r := l.host, l.host.run
	r.mu.Lock()
	defer r.mu.Unlock()
	it := h.sentTo(m.ID)
	if it == nil || !it.making || l.proving {
		return fmt.Errorf("%w: a proof that no task needs", wire.ErrFrame)
	}
	if h.stopped {
		return nil
	}
	l.proving = true
	others := r.others(h)
	start := Start{Root: h.root || h.needsRoot()}
	r.working.Add(1)
	go func() {
		defer r.working.Done()
		answer := &wire.Proof{N: m.N}
		ctx, cancel := context.WithCancel(r.life)
		defer cancel()
		go func() { // who asked may be gone
			select {
			case <-l.done:
				cancel()
			case <-ctx.Done():
			}
		}()
		if err := r.reaches(ctx, h.name, start, others); err != nil {
			answer.Error = err.Error()
		}
		r.mu.Lock()
		l.proving = false
		r.mu.Unlock()
		_ = l.conn.Send(&wire.Message{Proof: answer})
	}()
	return nil
}

// others are the hosts that the run reaches beside h. The mutex is held.
func (r *Run) others(h *hostRun) []string {
	var list []string
	for _, o := range r.order {
		if o != h && o.link != nil && o.err == nil && !o.taking {
			list = append(list, o.name)
		}
	}
	return list
}

// reaches returns nil where a new login to a host succeeds and, where others of the run
// are reached through it, one to the first of them that lets it in.
func (r *Run) reaches(ctx context.Context, host string, s Start, others []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, wire.ProofTime, fmt.Errorf("no login came to an end within %s", wire.ProofTime))
	defer cancel()
	connect, done := r.o.Connect, func() {}
	if r.o.Fresh != nil {
		connect, done = r.o.Fresh()
	}
	defer done()
	if err := tries(ctx, connect, host, s); err != nil {
		return err
	}
	var behind []string
	if r.o.Behind != nil {
		behind = r.o.Behind(host)
	}
	var last error
	for _, other := range others {
		if !slices.Contains(behind, other) {
			continue
		}
		if last = tries(ctx, connect, other, Start{}); last == nil {
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return last
}

// tries logs in to a host, again where it refuses at once.
func tries(ctx context.Context, connect Connector, host string, s Start) error {
	for try := 1; ; try++ {
		begun := time.Now()
		err := login(ctx, connect, host, s)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case try == proofTries, time.Since(begun) > proofSlow:
			return err
		}
		select {
		case <-time.After(proofPause):
		case <-ctx.Done():
		}
	}
}

// login logs in to a host and hears the first word of a remote there.
func login(ctx context.Context, connect Connector, host string, s Start) error {
	stream, err := connect(ctx, host, s)
	if err != nil {
		return err
	}
	defer stream.Close()
	m, err := greeting(ctx, wire.NewHostConn(stream, stream), stream, 0)
	if err == nil && m.Hello == nil {
		err = errors.New("what answers there isn't this muster's remote")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", host, err)
	}
	return nil
}
