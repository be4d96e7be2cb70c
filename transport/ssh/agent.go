package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// sshAgent is an SSH agent. It may wait for a person who touches a key or
// confirms its use, so each signature has a deadline of its own, which begins
// at its turn: agents work on one at a time.
type sshAgent struct {
	socket string
	list   time.Duration // for an answer that takes nobody
	sign   time.Duration // for a signature that may

	keys []ssh.Signer
	err  error // why there are none

	turn chan struct{}
	mu   sync.Mutex
	slow bool               // a signature ran out of time: nobody is there
	out  error              // it answers nothing any more
	bad  map[string]trouble // by key
}

// trouble is what became of the signatures with a key. One that was declined a
// few times in a row, or ran out of time, isn't asked for again.
type trouble struct {
	times int
	err   error
}

// maxDeclined is how often in a row an agent may decline.
const maxDeclined = 3

// newAgent lists what the agent at socket holds.
func newAgent(socket string, t Timeouts) *sshAgent {
	a := &sshAgent{socket: socket, list: min(t.Agent, 5*time.Second), sign: t.Agent, turn: make(chan struct{}, 1), bad: map[string]trouble{}}
	keys, err := a.lists()
	if err != nil {
		a.err = fmt.Errorf("the SSH agent at %s doesn't answer (%w): its keys are not used", socket, err)
	}
	for _, public := range keys {
		a.keys = append(a.keys, &agentKey{agent: a, public: public, held: public})
	}
	return a
}

// lists asks the agent for its keys.
func (a *sshAgent) lists() (keys []ssh.PublicKey, err error) {
	err = a.ask(context.Background(), a.list, func(c agent.ExtendedAgent) error {
		all, err := c.List()
		for _, k := range all {
			if public, err := ssh.ParsePublicKey(k.Blob); err == nil { // else a type that x/crypto doesn't know
				keys = append(keys, public)
			}
		}
		return err
	})
	return keys, err
}

// These are how an agent fails that doesn't say no. Asking again doesn't help.
var (
	errHungUp = errors.New("it hung up")
	errSlow   = errors.New("it took too long")
	errWrong  = errors.New("its signature is wrong")
)

// ask calls do with a connection to the agent, for a time.
func (a *sshAgent) ask(ctx context.Context, limit time.Duration, do func(agent.ExtendedAgent) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errSlow)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "unix", a.socket)
	if err == nil {
		conn := &told{raw: raw}
		defer context.AfterFunc(ctx, func() { raw.Close() })()
		defer raw.Close()
		if err = do(agent.NewClient(conn)); err != nil && conn.ended {
			err = errHungUp
		}
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// told remembers that a connection ended before an answer. It isn't an
// io.Closer, so that x/crypto reads no further than each answer.
type told struct {
	raw   net.Conn
	ended bool
}

// Read implements io.Reader.
func (c *told) Read(p []byte) (int, error) {
	n, err := c.raw.Read(p)
	c.ended = c.ended || err != nil
	return n, err
}

// Write implements io.Writer.
func (c *told) Write(p []byte) (int, error) {
	n, err := c.raw.Write(p)
	c.ended = c.ended || err != nil
	return n, err
}

// agentKey is a key that an agent holds.
type agentKey struct {
	agent  *sshAgent
	public ssh.PublicKey
	held   ssh.PublicKey // what the agent calls it; public may be a certificate of it
}

// PublicKey implements ssh.Signer.
func (k *agentKey) PublicKey() ssh.PublicKey { return k.public }

// Sign implements ssh.Signer.
func (k *agentKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	return k.signFor(context.Background(), data, "")
}

// SignWithAlgorithm implements ssh.AlgorithmSigner: RSA keys sign by SHA-2.
func (k *agentKey) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	return k.signFor(context.Background(), data, algorithm)
}

// signFor asks the agent for a signature, when those before have theirs.
func (k *agentKey) signFor(ctx context.Context, data []byte, algorithm string) (*ssh.Signature, error) {
	a := k.agent
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	limit, err := a.ready(k)
	if err != nil {
		return nil, err
	}
	var flags agent.SignatureFlags
	switch algorithm {
	case ssh.KeyAlgoRSASHA256:
		flags = agent.SignatureFlagRsaSha256
	case ssh.KeyAlgoRSASHA512:
		flags = agent.SignatureFlagRsaSha512
	}
	var sig *ssh.Signature
	err = a.ask(ctx, limit, func(c agent.ExtendedAgent) (err error) {
		sig, err = c.SignWithFlags(k.held, data, flags)
		return err
	})
	switch {
	case err == nil && algorithm != "" && sig.Format != algorithm:
		err = fmt.Errorf("%w: it is by %s, and %s is needed", errWrong, sig.Format, algorithm)
	case err == nil:
		// A hardware key's signature says more than the data: the server judges it.
		if !strings.HasPrefix(k.held.Type(), "sk-") && k.held.Verify(data, sig) != nil {
			err = errWrong
		}
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return sig, a.learn(k, limit, err)
}

// ready says how long a signature may take, or why none is asked for.
func (a *sshAgent) ready(k *agentKey) (time.Duration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.bad[string(k.held.Marshal())]
	switch {
	case a.out != nil:
		return 0, a.out
	case t.times >= maxDeclined:
		return 0, t.err
	case a.slow:
		return a.list, nil
	}
	return a.sign, nil
}

// learn notes what became of a signature, and says why it failed.
func (a *sshAgent) learn(k *agentKey, limit time.Duration, err error) error {
	id := string(k.held.Marshal())
	slow := errors.Is(err, errSlow)
	var out error
	if slow {
		// An agent that waits for somebody may answer nothing else meanwhile.
		if _, silent := a.lists(); silent != nil {
			out = fmt.Errorf("the SSH agent at %s doesn't answer any more", a.socket)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		delete(a.bad, id)
		return nil
	}
	t := a.bad[id]
	switch t.times++; {
	case slow:
		t.times = maxDeclined
		t.err = fmt.Errorf("the SSH agent at %s has not signed with it within %v: does it wait for a touch or a confirmation?", a.socket, limit)
	case errors.Is(err, errHungUp), errors.Is(err, errWrong):
		t.err = fmt.Errorf("the SSH agent at %s was asked to sign with it: %w", a.socket, err)
	default:
		t.err = fmt.Errorf("the SSH agent at %s declined to sign with it: was the question denied that it asked for the key?", a.socket)
	}
	a.bad[id] = t
	a.slow = a.slow || slow
	if out != nil {
		a.out = out
	}
	return t.err
}
