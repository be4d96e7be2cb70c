package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"muster/transport"
)

// login is the way from an open connection to a logged-in client: banner, key
// exchange, host key, authentication, each with its own bound.
type login struct {
	d    *Dialer
	h    hop
	conn *watched
	ring keyRing
	// through are the bastions before it: their opinion of a key is another.
	through string
	// checkKey decides about the host's key.
	checkKey func(hop, ssh.PublicKey) error

	mu      sync.Mutex
	stage   transport.Stage
	done    bool // keys are exchanged again later: that is not our business
	timer   *time.Timer
	late    bool  // the timer closed the connection
	refusal error // what one of our callbacks said
	leave   func(outcome)
	offer   offer
}

// failure is a login that did not come to be.
type failure struct {
	stage transport.Stage
	err   error
	hint  string
	again bool // the server hung up on us early: it may be busy
}

// run logs in. On failure the connection is closed.
func (l *login) run(ctx context.Context) (*client, *failure) {
	order, err := l.d.hostKeys.algorithms(l.h)
	if err != nil {
		l.conn.hangUp()
		return nil, &failure{stage: transport.StageSettings, err: err}
	}
	l.stage = transport.StageHandshake
	l.timer = time.AfterFunc(l.d.opts.Timeouts.Handshake, func() {
		l.mu.Lock()
		l.late = true
		l.mu.Unlock()
		l.conn.hangUp()
	})
	stop := context.AfterFunc(ctx, l.conn.hangUp)
	defer stop()
	config := &ssh.ClientConfig{
		User:              l.h.user,
		HostKeyAlgorithms: order,
		HostKeyCallback:   func(_ string, _ net.Addr, key ssh.PublicKey) error { return l.onHostKey(key) },
		AuthCallback:      func(a *ssh.ClientAuthContext) (ssh.AuthMethod, error) { return l.next(ctx, a) },
	}
	type result struct {
		conn     ssh.Conn
		channels <-chan ssh.NewChannel
		requests <-chan *ssh.Request
		err      error
	}
	// The tunnel below ends a read at once when it is closed, but x/crypto may
	// also be stuck in a write: it is left to end by itself.
	results := make(chan result, 1)
	go func() {
		var r result
		r.conn, r.channels, r.requests, r.err = ssh.NewClientConn(l.conn, l.h.addr(), config)
		results <- r
	}()
	var r result
	select {
	case r = <-results:
	case <-ctx.Done():
		r.err = ctx.Err()
		go func() {
			if r := <-results; r.err == nil {
				r.conn.Close()
			}
		}()
	}
	l.mu.Lock()
	inTime := l.timer.Stop()
	l.done = true
	leave := l.leave
	l.mu.Unlock()
	if r.err == nil && !inTime {
		r.err = transport.ErrTooLong // the timer ran at the last moment
	}
	if r.err == nil {
		leaveWith(leave, accepted)
		l.conn.release()
		return newClient(l.d, l.h, l.conn, r.conn, incoming{r.channels, r.requests}), nil
	}
	if _, ended := l.conn.seen(); ended != nil && inTime && ctx.Err() == nil {
		l.conn.drain()
	}
	l.conn.hangUp()
	f := l.explain(ctx, r.err)
	if f.stage == transport.StageAuthentication && !l.late && ctx.Err() == nil && l.refusal == nil && !errors.Is(r.err, io.EOF) && !l.offer.untold() {
		leaveWith(leave, refused)
	} else {
		leaveWith(leave, undecided)
	}
	return nil, f
}

func leaveWith(leave func(outcome), o outcome) {
	if leave != nil {
		leave(o)
	}
}

// enter goes on to a stage and gives it its time. It does nothing once the
// login is over: keys are exchanged again during a connection's life.
func (l *login) enter(s transport.Stage, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done || l.late {
		return
	}
	l.stage = s
	l.timer.Reset(d)
}

// pause stops the clock until enter starts it again.
func (l *login) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
}

func (l *login) onHostKey(key ssh.PublicKey) error {
	l.enter(transport.StageHostKey, l.d.opts.Timeouts.Handshake)
	err := l.checkKey(l.h, key)
	if err != nil {
		l.mu.Lock()
		l.refusal = err
		l.mu.Unlock()
		return err
	}
	l.enter(transport.StageAuthentication, l.d.opts.Timeouts.Login)
	return nil
}

// onAuth is called when the server takes public keys. It waits at the gate
// without using up the login's time.
func (l *login) onAuth(ctx context.Context) ([]ssh.Signer, error) {
	l.pause()
	leave, err := l.d.gate.enter(ctx, l.h.user+"\n"+l.through+"\n"+l.ring.id(), l.h.name)
	l.mu.Lock()
	l.leave, l.refusal = leave, err
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	l.enter(transport.StageAuthentication, l.d.opts.Timeouts.Login)
	return l.offered(ctx), nil
}

// explain says where and why a login ended, by what was seen on the way and not
// by the text of x/crypto's errors.
func (l *login) explain(ctx context.Context, err error) *failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, readErr := l.conn.seen()
	f := &failure{stage: l.stage, err: err}
	if ctx.Err() != nil {
		f.err = ctx.Err()
		return f
	}
	if l.refusal != nil {
		f.err = l.refusal
		return f
	}
	banner := strings.HasPrefix(string(first), "SSH-") || strings.Contains(string(first), "\nSSH-")
	dropped := errors.Is(readErr, io.EOF) || errors.Is(readErr, syscall.ECONNRESET) || errors.Is(readErr, syscall.EPIPE)
	switch f.stage {
	case transport.StageHandshake:
		switch {
		case l.late && len(first) == 0:
			f.err = fmt.Errorf("the port accepts but sends no SSH banner within %v: %w", l.d.opts.Timeouts.Handshake, transport.ErrTooLong)
			f.hint = "is it sshd that listens there, and is it not overloaded?"
		case l.late && banner:
			f.err = fmt.Errorf("it stalled in the key exchange for %v: %w", l.d.opts.Timeouts.Handshake, transport.ErrTooLong)
		case dropped && banner:
			f.err, f.again = fmt.Errorf("the server hung up during the key exchange: %w", readErr), true
		case dropped && len(first) == 0:
			f.err, f.again = fmt.Errorf("the server hung up before its banner: %w", readErr), true
			f.hint = "sshd may have too many logins at once (MaxStartups) or have blocked this address (PerSourcePenalties, fail2ban)"
		case dropped && strings.HasPrefix(string(first), "Exceeded MaxStartups"): // sshd since 9.8
			f.err, f.again = fmt.Errorf("the server sent %q and hung up", first), true
		case dropped && strings.HasPrefix(string(first), "Not allowed at this time"):
			f.err = fmt.Errorf("the server sent %q and hung up", first)
			f.hint = "it has blocked this address for a while after failed logins (PerSourcePenalties)"
		case len(first) > 0 && !banner:
			f.err, f.hint = fmt.Errorf("it sent %q and no SSH banner", first), "is it sshd that listens there?"
		}
	case transport.StageAuthentication:
		switch {
		case l.late:
			f.err = fmt.Errorf("it stalled in the authentication for %v: %w", l.d.opts.Timeouts.Login, transport.ErrTooLong)
		case l.offer.password:
			f.err = fmt.Errorf("user %s: the server takes no key, and refuses the password", l.h.user)
		case len(l.ring.signers) == 0:
			f.err = fmt.Errorf("user %s: there is no key to log in with", l.h.user)
			f.hint = strings.Join(append(l.ring.notes, "set identity, or make a key with ssh-keygen and add it to the host's authorized_keys"), "; ")
		case dropped && errors.Is(err, io.EOF):
			f.err = fmt.Errorf("user %s: the server hung up during the authentication: %w", l.h.user, readErr)
		case l.leave == nil:
			f.err = fmt.Errorf("user %s: the server takes no public keys: %w", l.h.user, err)
			f.hint = "set PubkeyAuthentication yes in its sshd_config"
		default:
			f.hint, f.err = l.failed()
		}
	}
	return f
}
