package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"muster/transport"
)

// client is a logged-in SSH connection that notices when it dies.
type client struct {
	ssh  ssh.Conn
	hop  hop
	raw  net.Conn
	opts Options
	lost chan struct{} // closed when the connection is gone

	mu  sync.Mutex
	why error
}

// incoming is what the other end asks for by itself.
type incoming struct {
	channels <-chan ssh.NewChannel
	requests <-chan *ssh.Request
}

// newClient keeps watch over a logged-in connection until it ends or the
// dialer is closed.
func newClient(d *Dialer, h hop, raw net.Conn, c ssh.Conn, in incoming) *client {
	cl := &client{ssh: c, hop: h, raw: raw, opts: d.opts, lost: make(chan struct{})}
	d.track(func() { cl.watch(d.ctx, in) })
	return cl
}

// watch refuses what the other end asks for, and asks it every now and then
// whether it is there, until the connection ends. A run has very many
// connections: beside x/crypto's own, this is the only goroutine of each.
func (c *client) watch(ctx context.Context, in incoming) {
	stop := context.AfterFunc(ctx, func() { c.fail(fmt.Errorf("%w: closed", transport.ErrLost)) })
	tick := time.NewTimer(c.opts.Timeouts.Keepalive)
	var asking sync.WaitGroup
	for in.channels != nil || in.requests != nil {
		select {
		case n, ok := <-in.channels:
			if !ok {
				in.channels = nil
				break
			}
			c.bounded(func() { _ = n.Reject(ssh.UnknownChannelType, "nothing is offered here") })
		case r, ok := <-in.requests:
			if !ok {
				in.requests = nil
				break
			}
			c.bounded(func() { _ = r.Reply(false, nil) })
		case <-tick.C:
			asking.Go(func() {
				c.ask()
				tick.Reset(c.opts.Timeouts.Keepalive)
			})
		}
	}
	// x/crypto has closed both: the connection is over.
	err := c.ssh.Wait()
	stop()
	c.fail(fmt.Errorf("%w: %s hung up (%v)", transport.ErrLost, c.hop.name, err))
	close(c.lost)
	asking.Wait()
	tick.Stop()
}

// ask asks the host whether it is there (keepalive@openssh.com; any answer will
// do), so that a connection whose other end vanished is noticed within
// Keepalive + Silence.
func (c *client) ask() {
	c.bounded(func() { _, _, _ = c.ssh.SendRequest("keepalive@openssh.com", true, nil) })
}

// bounded calls do, and ends the connection where that takes longer than Silence.
func (c *client) bounded(do func()) {
	guard := time.AfterFunc(c.opts.Timeouts.Silence, func() {
		c.fail(fmt.Errorf("%w: %s has not answered for %v", transport.ErrLost, c.hop.name, c.opts.Timeouts.Silence))
	})
	defer guard.Stop()
	do()
}

// fail ends the connection because of err. The first cause stays.
func (c *client) fail(err error) {
	c.mu.Lock()
	if c.why == nil {
		c.why = err
	}
	c.mu.Unlock()
	// Below SSH, where nothing has to be sent.
	c.raw.Close()
}

// cause is why the connection ended.
func (c *client) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		return transport.ErrLost
	}
	return c.why
}

// dead reports whether the connection is gone.
func (c *client) dead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why != nil
}

// errSessionRefused means that the host opens no further session.
var errSessionRefused = errors.New("the host opens no session")

// within calls do and waits for it, for ctx, for the connection's end and for
// the Request timeout, which ends the connection. What do leaves behind when
// nobody waits any more is given to drop.
func within[T any](ctx context.Context, c *client, what string, do func() (T, error), drop func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer)
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		value, err := do()
		select {
		case answers <- answer{value, err}:
		case <-gone:
			if err == nil {
				drop(value)
			}
		}
	}()
	timer := time.NewTimer(c.opts.Timeouts.Request)
	defer timer.Stop()
	var zero T
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return zero, ctx.Err()
	case <-c.lost:
		return zero, c.cause()
	case <-timer.C:
		err := fmt.Errorf("%w: %s: %s: nothing for %v", transport.ErrLost, c.hop.name, what, c.opts.Timeouts.Request)
		c.fail(err)
		return zero, err
	}
}
