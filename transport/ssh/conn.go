package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"muster/transport"
)

// conn is a transport.Conn over one client.
type conn struct {
	*client
	running sync.WaitGroup
	open    atomic.Int32 // sessions
}

// Close implements transport.Conn.
func (c *conn) Close() error {
	c.fail(fmt.Errorf("%w: closed", transport.ErrLost))
	<-c.lost
	c.running.Wait()
	return nil
}

// session is an open session channel.
type session struct {
	ssh.Channel
	requests <-chan *ssh.Request
}

// sessionTries is how often a refused session is asked for again: a host with
// MaxSessions 1 may not yet have noticed that the one before has ended.
const sessionTries = 6

// session opens a session channel.
func (c *conn) session(ctx context.Context) (*session, error) {
	for try := 1; ; try++ {
		s, err := within(ctx, c.client, "opening a session", func() (*session, error) {
			channel, requests, err := c.ssh.OpenChannel("session", nil)
			return &session{channel, requests}, err
		}, func(s *session) {
			go ssh.DiscardRequests(s.requests)
			s.Close()
		})
		var refused *ssh.OpenChannelError
		switch {
		case err == nil:
			c.open.Add(1)
			return s, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.As(err, &refused): // it did not answer: the connection ended
			c.fail(fmt.Errorf("%w: %s hung up (%v)", transport.ErrLost, c.hop.name, err))
			return nil, c.cause()
		case try == sessionTries || c.open.Load() > 0:
			hint := "see the host's log of sshd"
			if c.open.Load() > 0 {
				hint = "another one is open: set MaxSessions to 2 or more in the host's sshd_config"
			}
			return nil, fmt.Errorf("%w (%s): %s", errSessionRefused, refused.Message, hint)
		}
		select {
		case <-time.After(time.Duration(try*try) * 20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// process is a command in a session.
type process struct {
	conn     *conn
	session  *session
	ended    chan struct{} // closed after err is set
	err      error
	stop     func() bool   // detaches from Start's ctx
	shut     chan struct{} // closed when the host has closed the channel
	once     sync.Once
	finished sync.Once
}

// Start implements transport.Conn. It doesn't wait for the host to confirm the
// command: that would cost a round trip, and its output says as much.
func (c *conn) Start(ctx context.Context, command string) (*transport.Process, error) {
	wrapped, err := transport.LoginCommand(command)
	if err != nil {
		return nil, err
	}
	s, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	p := &process{conn: c, session: s, ended: make(chan struct{}), shut: make(chan struct{})}
	p.stop = context.AfterFunc(ctx, func() { p.finish(context.Cause(ctx)); p.Close() })
	c.running.Add(2)
	go func() {
		defer c.running.Done()
		p.exec(wrapped)
	}()
	go func() {
		defer c.running.Done()
		p.watch()
	}()
	return &transport.Process{Stdin: stdin{s}, Stdout: lossy{s.Channel, p}, Stderr: lossy{s.Stderr(), p}, Ender: p}, nil
}

// exec asks for the command to be run; a host that refuses or does not answer
// ends the process.
func (p *process) exec(command string) {
	ok, err := within(context.Background(), p.conn.client, "starting a command", func() (bool, error) {
		return p.session.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command}))
	}, func(bool) {})
	switch {
	case err != nil:
		// The channel or the connection is gone, and watch knows.
	case !ok:
		p.finish(errors.New("the host refuses to run commands: see ForceCommand and restrictions of the key in its authorized_keys"))
		p.Close()
	}
}

// watch follows the session to its end: the exit status comes as a request, and
// then the channel is closed (RFC 4254, 6.10).
func (p *process) watch() {
	var result error = fmt.Errorf("%w: the command's end is not known", transport.ErrLost)
	for r := range p.session.requests {
		switch r.Type {
		case "exit-status":
			var status struct{ Code uint32 }
			if ssh.Unmarshal(r.Payload, &status) == nil {
				if result = nil; status.Code != 0 {
					result = &transport.ExitError{Code: int(status.Code)}
				}
			}
		case "exit-signal":
			var signal struct {
				Name    string
				Core    bool
				Message string
				Lang    string
			}
			if ssh.Unmarshal(r.Payload, &signal) == nil {
				result = &transport.ExitError{Code: -1, Signal: signal.Name}
			}
		}
		if r.WantReply {
			r.Reply(false, nil)
		}
	}
	if errors.Is(result, transport.ErrLost) && p.conn.dead() {
		result = p.conn.cause()
	}
	p.conn.open.Add(-1)
	p.stop()
	close(p.shut)
	p.finish(result)
	p.Close()
}

// finish sets the outcome, once.
func (p *process) finish(err error) {
	p.finished.Do(func() {
		p.err = err
		close(p.ended)
	})
}

// Wait implements transport.Ender.
func (p *process) Wait() error {
	<-p.ended
	return p.err
}

// closeGrace is how long a host may take to close its side of a channel before
// the connection is closed under it.
const closeGrace = 3 * time.Second

// Close implements transport.Ender.
func (p *process) Close() error {
	p.once.Do(func() {
		go p.session.Close()
		guard := time.AfterFunc(closeGrace, func() {
			p.conn.fail(fmt.Errorf("%w: %s does not close a session", transport.ErrLost, p.conn.hop.name))
		})
		p.conn.running.Go(func() {
			<-p.shut
			guard.Stop()
		})
	})
	return nil
}

// stdin closes the command's input and not its output.
type stdin struct{ s *session }

func (w stdin) Write(p []byte) (int, error) { return w.s.Write(p) }
func (w stdin) Close() error                { return w.s.CloseWrite() }

// lossy turns the end of a stream into the connection's, where that is why.
type lossy struct {
	io.Reader
	p *process
}

// Read implements io.Reader.
func (r lossy) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && r.p.conn.dead() {
		select {
		case <-r.p.ended:
			if r.p.err == nil || !errors.Is(r.p.err, transport.ErrLost) {
				return n, err
			}
		default:
		}
		return n, r.p.conn.cause()
	}
	return n, err
}
