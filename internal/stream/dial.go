package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"muster/internal/wire"
)

// Listener waits for the receiver of one stream.
type Listener struct {
	l    net.Listener
	tls  *tls.Config
	come time.Duration
}

// Listen listens for the receiver that has the other keys. address is the one that the
// inventory has for this host: where it is an interface's, nothing else is listened on.
// Port 0 is one that is free.
func Listen(ctx context.Context, address string, port int, k *wire.Keys) (*Listener, error) {
	c, err := config(k)
	if err != nil {
		return nil, err
	}
	var how net.ListenConfig
	l, err := how.Listen(ctx, "tcp", net.JoinHostPort(own(ctx, address), strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("listening for the receiver: %w", err)
	}
	return &Listener{l, c, wire.ComeTime}, nil
}

// own returns the address where it is one of this machine's interfaces, else "". A name
// may stand for the loopback in a host's own /etc/hosts, where nobody else comes.
func own(ctx context.Context, address string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var ips []net.IP
	if ip := net.ParseIP(address); ip != nil {
		ips = []net.IP{ip}
	} else if found, err := net.DefaultResolver.LookupIPAddr(ctx, address); err == nil {
		for _, f := range found {
			if !f.IP.IsLoopback() {
				ips = append(ips, f.IP)
			}
		}
	}
	mine, _ := net.InterfaceAddrs()
	for _, ip := range ips {
		for _, a := range mine {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
				return ip.String()
			}
		}
	}
	return ""
}

// Port is where the listener listens.
func (l *Listener) Port() int { return l.l.Addr().(*net.TCPAddr).Port }

// Close ends listening.
func (l *Listener) Close() { _ = l.l.Close() }

// maxComing is how many connections may be shaking hands at a time.
const maxComing = 64

// Accept waits for the receiver, some seconds. Others who come are turned away, and the
// waiting goes on.
func (l *Listener) Accept(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, l.come, fmt.Errorf("the receiver didn't come within %s", l.come))
	defer cancel()
	defer context.AfterFunc(ctx, l.Close)()
	came := make(chan *tls.Conn)
	var coming sync.WaitGroup
	defer coming.Wait()
	defer cancel()
	failed := make(chan error, 1)
	places := make(chan struct{}, maxComing)
	coming.Go(func() {
		for {
			raw, err := l.l.Accept()
			if err != nil {
				failed <- err
				return
			}
			select {
			case places <- struct{}{}:
			default:
				_ = raw.Close()
				continue
			}
			coming.Go(func() {
				defer func() { <-places }()
				l.shake(ctx, raw, came)
			})
		}
	})
	select {
	case conn := <-came:
		l.Close()
		return conn, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case err := <-failed:
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
}

// shake hands a connection on where it is the receiver's.
func (l *Listener) shake(ctx context.Context, raw net.Conn, came chan<- *tls.Conn) {
	conn := tls.Server(&patient{Conn: raw}, l.tls)
	shaking, cancel := context.WithTimeout(ctx, wire.DialTime/2)
	defer cancel()
	if conn.HandshakeContext(shaking) == nil {
		select {
		case came <- conn:
			return
		case <-ctx.Done():
		}
	}
	_ = raw.Close()
}

// receiveBuffer is how many bytes the kernel keeps for a receiver, at most. It is enough for
// 400 MB a second over a network where an answer takes a millisecond.
const receiveBuffer = 512 << 10

// Dial connects to a sender.
func Dial(ctx context.Context, address string, port int, k *wire.Keys) (net.Conn, error) {
	c, err := config(k)
	if err != nil {
		return nil, err
	}
	nobody := fmt.Errorf("nobody answers within %s", wire.DialTime)
	ctx, cancel := context.WithTimeoutCause(ctx, wire.DialTime, nobody)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err == nil {
		// Of a full buffer the kernel tells the sender only when a sixteenth of it is free
		// again: one that had grown large would let a slow receiver look stalled.
		if t, ok := raw.(*net.TCPConn); ok {
			_ = t.SetReadBuffer(receiveBuffer)
		}
		conn := tls.Client(raw, c)
		if err = conn.HandshakeContext(ctx); err == nil {
			return conn, nil
		}
		_ = raw.Close()
	}
	var slow net.Error
	switch {
	case errors.Is(err, errStranger):
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.As(err, &slow) && slow.Timeout(): // the same, seen by the dialer first
		err = nobody
	}
	return nil, err
}
