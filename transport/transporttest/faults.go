package transporttest

import (
	"bytes"
	"net"
	"sync"
)

// Fault is a way to misbehave.
type Fault int

// The faults.
const (
	None               Fault = iota
	NoBanner                 // accepts and says nothing
	Flood                    // 10 MB of lines before the banner, and no end of them
	Junk                     // greets as another protocol does
	Reset                    // resets the connection at once
	StallInKeyExchange       // says its banner and nothing more
	StallInLogin             // exchanges keys and never answers the authentication
	StallAfterLogin          // lets in, then answers nothing
	RefuseSessions           // lets in, then refuses every session
	RefuseKeys               // lets no key in
	RefuseSigned             // would take a key, and refuses the login that it signs
	ExitSilently             // ends each command without an exit status
	StallForwards            // never answers a request to forward
	AskBack                  // lets in, then serves only who has refused many channels and requests of its own
)

// floodSize is more than anybody should read while waiting for a banner.
const floodSize = 10 << 20

// conn is a connection that can be frozen.
type conn struct {
	net.Conn
	freezing sync.Once
	closing  sync.Once
	frozen   chan struct{}
	closed   chan struct{}
}

func (c *conn) freeze() { c.freezing.Do(func() { close(c.frozen) }) }

func (c *conn) isFrozen() bool {
	select {
	case <-c.frozen:
		return true
	default:
		return false
	}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.isFrozen() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.isFrozen() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.closing.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// misbehave plays the faults that come before SSH does. It reports whether
// that was all.
func (c *conn) misbehave(f Fault) bool {
	switch f {
	case NoBanner:
		<-c.closedByPeer()
	case Flood:
		line := append(bytes.Repeat([]byte("x"), 99), '\n')
		for sent := 0; sent < floodSize; sent += len(line) {
			if _, err := c.Write(line); err != nil {
				return true
			}
		}
		<-c.closedByPeer()
	case Junk:
		c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			tcp.CloseWrite()
		}
		<-c.closedByPeer()
	case Reset:
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
	case StallInKeyExchange:
		c.Write([]byte("SSH-2.0-OpenSSH_9.2p1\r\n"))
		<-c.closedByPeer()
	default:
		return false
	}
	return true
}

// closedByPeer reads and drops until the other side, or the server, closes.
func (c *conn) closedByPeer() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 4096)
		for {
			if _, err := c.Read(buffer); err != nil {
				return
			}
		}
	}()
	return done
}
