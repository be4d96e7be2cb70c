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

// tunnel is a direct-tcpip channel as a net.Conn. Closing it ends a blocked
// Read at once; a channel alone would wait for the bastion's answer.
type tunnel struct {
	channel ssh.Channel
	addr    tunnelAddr
	filled  chan []byte // from the pump, which waits for drained before it reads on
	drained chan struct{}
	ended   chan struct{} // closed by the pump, after err is set
	err     error
	closed  chan struct{}
	once    sync.Once
	rest    []byte // of the last buffer, for Read alone
}

type tunnelAddr string

func (tunnelAddr) Network() string  { return "tcp" }
func (a tunnelAddr) String() string { return string(a) }

func newTunnel(channel ssh.Channel, addr string) *tunnel {
	t := &tunnel{channel: channel, addr: tunnelAddr(addr), filled: make(chan []byte), drained: make(chan struct{}), ended: make(chan struct{}), closed: make(chan struct{})}
	go t.pump()
	return t
}

// pump reads the channel into one buffer, which it hands over and has back: of
// many tunnels, nearly all only wait.
func (t *tunnel) pump() {
	defer close(t.ended)
	buffer := make([]byte, 2<<10)
	for {
		n, err := t.channel.Read(buffer)
		if n > 0 {
			select {
			case t.filled <- buffer[:n]:
			case <-t.closed:
				return
			}
			select {
			case <-t.drained:
			case <-t.closed:
				return
			}
		}
		if err != nil {
			t.err = err
			return
		}
	}
}

// Read implements net.Conn.
func (t *tunnel) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		select {
		case t.rest = <-t.filled:
		case <-t.closed:
			return 0, net.ErrClosed
		case <-t.ended:
			if t.err == nil {
				return 0, net.ErrClosed
			}
			return 0, t.err
		}
	}
	n := copy(p, t.rest)
	if t.rest = t.rest[n:]; n > 0 && len(t.rest) == 0 {
		select {
		case t.drained <- struct{}{}:
		case <-t.closed:
		}
	}
	return n, nil
}

// Write implements net.Conn.
func (t *tunnel) Write(p []byte) (int, error) {
	select {
	case <-t.closed:
		return 0, net.ErrClosed
	default:
		return t.channel.Write(p)
	}
}

// Close implements net.Conn. It does not wait for the bastion.
func (t *tunnel) Close() error {
	t.once.Do(func() {
		close(t.closed)
		go t.channel.Close()
	})
	return nil
}

// LocalAddr implements net.Conn.
func (t *tunnel) LocalAddr() net.Addr { return tunnelAddr("muster:0") }

// RemoteAddr implements net.Conn.
func (t *tunnel) RemoteAddr() net.Addr { return t.addr }

// SetDeadline implements net.Conn. A tunnel has no deadlines: it is closed.
func (t *tunnel) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// SetReadDeadline implements net.Conn.
func (t *tunnel) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// SetWriteDeadline implements net.Conn.
func (t *tunnel) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// forward is the message of a direct-tcpip channel (RFC 4254, 7.2).
type forward struct {
	Host       string
	Port       uint32
	OriginHost string
	OriginPort uint32
}

// openTunnel asks a bastion for a connection to h. When ctx ends or the answer
// takes longer than timeout it returns; a late answer is dropped.
func openTunnel(ctx context.Context, via *client, h hop, timeout time.Duration) (*tunnel, error) {
	type answer struct {
		channel ssh.Channel
		err     error
	}
	answers := make(chan answer)
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		channel, requests, err := via.ssh.OpenChannel("direct-tcpip",
			ssh.Marshal(&forward{Host: h.host, Port: uint32(h.port), OriginHost: "127.0.0.1"}))
		if err == nil {
			go ssh.DiscardRequests(requests)
		}
		select {
		case answers <- answer{channel, err}:
		case <-gone:
			if err == nil {
				channel.Close()
			}
		}
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case a := <-answers:
		var refused *ssh.OpenChannelError
		switch {
		case a.err == nil:
			return newTunnel(a.channel, h.addr()), nil
		case !errors.As(a.err, &refused): // it did not answer: its connection ended
			via.fail(fmt.Errorf("%w: %s hung up (%v)", transport.ErrLost, via.hop.name, a.err))
		}
		return nil, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-via.lost:
		return nil, via.cause()
	case <-timer.C:
		return nil, fmt.Errorf("the bastion could not connect within %v: %w", timeout, transport.ErrTooLong)
	}
}

// watched keeps the first bytes that come in and the first error, to tell a
// silent port from a wrong one. While it is held, Close does nothing: x/crypto
// closes when a write fails, before what the server said is read.
type watched struct {
	net.Conn
	mu     sync.Mutex
	first  []byte
	err    error
	held   bool
	closed bool
}

// Close implements net.Conn.
func (w *watched) Close() error {
	w.mu.Lock()
	w.closed = true
	held := w.held
	w.mu.Unlock()
	if held {
		return nil
	}
	return w.Conn.Close()
}

// hangUp closes at once.
func (w *watched) hangUp() { w.Conn.Close() }

// release ends the holding: from now on Close closes.
func (w *watched) release() {
	w.mu.Lock()
	w.held = false
	closed := w.closed
	w.mu.Unlock()
	if closed {
		w.Conn.Close()
	}
}

// maxFirst is how many bytes are kept.
const maxFirst = 120

// Read implements net.Conn.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if room := maxFirst - len(w.first); room > 0 {
		w.first = append(w.first, p[:min(n, room)]...)
	}
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// Write implements net.Conn.
func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.err == nil {
			w.err = err
		}
	}
	return n, err
}

// drain reads what a server said before it hung up, for a moment.
func (w *watched) drain() {
	timer := time.AfterFunc(200*time.Millisecond, w.hangUp)
	defer timer.Stop()
	buffer := make([]byte, maxFirst)
	for {
		if first, _ := w.seen(); len(first) == maxFirst {
			return
		}
		if _, err := w.Read(buffer); err != nil {
			return
		}
	}
}

func (w *watched) seen() (first []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first, w.err
}
