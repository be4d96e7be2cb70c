package ssh

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"muster/transport"
)

// bastion is the one connection through which all hosts behind it are reached.
// When it dies, the first who needs it connects again and the others share
// that. A bastion that cannot be logged in to stays down for this Dialer's
// life: nobody waits for it twice, and all get the same error. One that was there
// before is tried anew by who comes some seconds later.
type bastion struct {
	d    *Dialer
	hops []hop // to it
	slot chan struct{}

	mu      sync.Mutex
	current *client
	attempt chan struct{} // closed when the attempt under way is over
	down    *transport.BastionError
	fell    time.Time               // when down was found out
	closed  *transport.BastionError // it forwards nothing
}

// openLimit is how many channels a bastion is asked to open at a time.
const openLimit = 64

// bastionPause is how long a bastion that was there before is taken for down.
const bastionPause = 3 * time.Second

// bastion returns the one that hops lead to.
func (d *Dialer) bastion(hops []hop) *bastion {
	var key strings.Builder
	for _, h := range hops {
		key.WriteString(h.id() + "\x01")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.bastions[key.String()]
	if b == nil {
		b = &bastion{d: d, hops: hops, slot: make(chan struct{}, openLimit)}
		d.bastions[key.String()] = b
	}
	return b
}

// client returns a live connection to the bastion. Its errors are
// *transport.BastionError, or ctx's.
func (b *bastion) client(ctx context.Context) (*client, error) {
	for {
		b.mu.Lock()
		switch {
		case b.down != nil && (b.current == nil || time.Since(b.fell) < bastionPause):
			b.mu.Unlock()
			return nil, b.down
		case b.current != nil && !b.current.dead():
			c := b.current
			b.mu.Unlock()
			return c, nil
		case b.attempt == nil:
			b.attempt = make(chan struct{})
			// In the dialer's time: who gives up waiting must not end it for
			// the others.
			again := b.current != nil
			b.d.track(func() { b.dial(again) })
		}
		attempt := b.attempt
		b.mu.Unlock()
		select {
		case <-attempt:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// dial connects to the bastion, with patience if it was there before.
func (b *bastion) dial(again bool) {
	c, err := b.d.reach(b.d.ctx, b.hops, b.d.hostKeys.check, again)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.down, b.fell = b.blame(err), time.Now()
	} else {
		b.current, b.down = c, nil
	}
	close(b.attempt)
	b.attempt = nil
}

// blame makes err the bastion's, unless a bastion before it is to blame.
func (b *bastion) blame(err error) *transport.BastionError {
	var earlier *transport.BastionError
	if errors.As(err, &earlier) {
		return earlier
	}
	last := b.hops[len(b.hops)-1]
	return &transport.BastionError{Bastion: last.name, Where: where(b.hops), Err: err}
}

// forbids is the error of a bastion that forwards nothing, the same for all.
func (b *bastion) forbids() *transport.BastionError {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed == nil {
		b.closed = b.blame(errors.New("it does not forward connections: set AllowTcpForwarding yes (and see PermitOpen) in its sshd_config, and no restrict or no-port-forwarding on the key"))
	}
	return b.closed
}

// pace waits until the bastion may be asked for another channel.
func (b *bastion) pace(ctx context.Context) (leave func(), err error) {
	select {
	case b.slot <- struct{}{}:
		return func() { <-b.slot }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
