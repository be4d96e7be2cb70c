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
	ssh  *ssh.Client
	hop  hop
	raw  net.Conn
	opts Options
	lost chan struct{} // closed when the connection is gone

	mu  sync.Mutex
	why error
}

// newClient keeps watch over a logged-in connection until it ends or the
// dialer is closed.
func newClient(d *Dialer, h hop, raw net.Conn, c *ssh.Client) *client {
	cl := &client{ssh: c, hop: h, raw: raw, opts: d.opts, lost: make(chan struct{})}
	stop := context.AfterFunc(d.ctx, func() { cl.fail(fmt.Errorf("%w: closed", transport.ErrLost)) })
	d.track(func() {
		err := c.Wait()
		stop()
		cl.fail(fmt.Errorf("%w: %s hung up (%v)", transport.ErrLost, h.name, err))
		close(cl.lost)
	})
	d.track(cl.keepAlive)
	return cl
}

// keepAlive asks the host every now and then whether it is there
// (keepalive@openssh.com; any answer will do), so that a connection whose other
// end vanished is noticed within Keepalive + Silence.
func (c *client) keepAlive() {
	tick := time.NewTicker(c.opts.Timeouts.Keepalive)
	defer tick.Stop()
	for {
		select {
		case <-c.lost:
			return
		case <-tick.C:
		}
		guard := time.AfterFunc(c.opts.Timeouts.Silence, func() {
			c.fail(fmt.Errorf("%w: %s has not answered for %v", transport.ErrLost, c.hop.name, c.opts.Timeouts.Silence))
		})
		_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
		guard.Stop()
		if err != nil {
			return
		}
	}
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
