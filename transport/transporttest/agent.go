package transporttest

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// AgentFault is how an agent fails to sign with a key.
type AgentFault int

// The faults of agents.
const (
	Signs    AgentFault = iota // it doesn't
	Declines                   // it says no, as when a question is denied
	Stalls                     // it never answers that request
	Freezes                    // it never answers anything any more, as ssh-agent while it asks
	HangsUp                    // it closes the connection
	Forges                     // the signature is of something else
)

// Agent is an SSH agent on a socket, which can fail for each key in its own way.
type Agent struct {
	Socket string

	ring   agent.Agent
	ended  chan struct{}
	mu     sync.Mutex
	faults map[string]AgentFault
	asked  map[string]int
	frozen bool
	conns  []net.Conn
}

// NewAgent starts an agent with keys, which ends with the test.
func NewAgent(t testing.TB, keys ...ed25519.PrivateKey) *Agent {
	t.Helper()
	a := &Agent{Socket: filepath.Join(t.TempDir(), "agent"), ring: agent.NewKeyring(), ended: make(chan struct{}), faults: map[string]AgentFault{}, asked: map[string]int{}}
	for _, k := range keys {
		if err := a.ring.Add(agent.AddedKey{PrivateKey: k}); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("unix", a.Socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			a.conns = append(a.conns, c)
			a.mu.Unlock()
			wg.Go(func() {
				_ = agent.ServeAgent(served{a.ring, a, c}, c)
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		close(a.ended)
		listener.Close()
		a.mu.Lock()
		for _, c := range a.conns {
			c.Close()
		}
		a.mu.Unlock()
		wg.Wait()
	})
	return a
}

// Fail makes the agent fail with a key from now on.
func (a *Agent) Fail(key ssh.PublicKey, f AgentFault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults[string(key.Marshal())] = f
}

// Freeze makes the agent answer nothing any more.
func (a *Agent) Freeze() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frozen = true
}

// Asked is how often a signature with a key was asked for.
func (a *Agent) Asked(key ssh.PublicKey) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[string(key.Marshal())]
}

// served is one connection to an agent.
type served struct {
	agent.Agent
	a    *Agent
	conn net.Conn
}

// List implements agent.Agent.
func (s served) List() ([]*agent.Key, error) {
	s.a.mu.Lock()
	frozen := s.a.frozen
	s.a.mu.Unlock()
	if frozen {
		<-s.a.ended
	}
	return s.Agent.List()
}

// Sign implements agent.Agent.
func (s served) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	s.a.mu.Lock()
	f := s.a.faults[string(key.Marshal())]
	s.a.asked[string(key.Marshal())]++
	if s.a.frozen {
		f = Freezes
	}
	s.a.frozen = f == Freezes
	s.a.mu.Unlock()
	switch f {
	case Declines:
		return nil, errors.New("declined")
	case Stalls, Freezes:
		<-s.a.ended
		return nil, errors.New("over")
	case HangsUp:
		s.conn.Close()
		return nil, errors.New("closed")
	case Forges:
		data = bytes.Repeat([]byte("x"), len(data))
	}
	return s.Agent.Sign(key, data)
}

// SignWithFlags implements agent.ExtendedAgent.
func (s served) SignWithFlags(key ssh.PublicKey, data []byte, _ agent.SignatureFlags) (*ssh.Signature, error) {
	return s.Sign(key, data)
}

// Extension implements agent.ExtendedAgent.
func (served) Extension(string, []byte) ([]byte, error) { return nil, agent.ErrExtensionUnsupported }
