// Package transporttest has SSH servers for tests: one that
// works, runs real commands on this machine and forwards like a bastion, and
// one that breaks in the ways that servers and networks do.
package transporttest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"muster/transport"
)

// Options set up a Server. The zero value lets every key in and does all that
// sshd does by default.
type Options struct {
	HostKeys       []ssh.Signer      // nil is one new Ed25519 key
	Accept         []ssh.PublicKey   // keys that may log in; nil is every key
	SecondKey      ssh.PublicKey     // a key that is asked for besides; nil is none
	AskPassword    bool              // a password is asked for besides, which none fits
	Password       string            // a password that logs in by itself; "" is none
	Interactive    bool              // that is asked for by keyboard-interactive alone
	Fault          Fault             // how it misbehaves
	Shell          string            // the login shell; "" is /bin/sh
	Home           string            // the user's home; "" is a new folder
	Env            []string          // of commands, beside PATH and HOME
	MaxSessions    int               // at a time and connection; 0 is no limit
	MaxStartups    int               // connections at a time that have not logged in; 0 is no limit
	DenyForwarding bool              // AllowTcpForwarding no
	DenySFTP       bool              // no sftp subsystem
	Forward        map[string]string // where an address is, as seen from here: "10.0.1.13:22" → Addr(); "" is the server itself
}

// Server is an SSH server on a port of the loopback interface.
type Server struct {
	opts     Options
	listener net.Listener
	wg       sync.WaitGroup

	mu      sync.Mutex
	fault   Fault
	conns   map[*conn]bool
	pending int
	total   int
	logins  int
	closed  bool
}

// New starts a server that ends with its test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	if o.HostKeys == nil {
		o.HostKeys = []ssh.Signer{NewSigner(t)}
	}
	if o.Home == "" {
		o.Home = t.TempDir()
	}
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Start starts a server outside of a test, with the host keys and the home that
// o has to name. Close ends it.
func Start(o Options) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if o.Shell == "" {
		o.Shell = "/bin/sh"
	}
	s := &Server{opts: o, listener: listener, fault: o.Fault, conns: map[*conn]bool{}}
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is where the server listens, "127.0.0.1:PORT".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Home is the folder in which commands run.
func (s *Server) Home() string { return s.opts.Home }

// Target reaches the server directly, under name.
func (s *Server) Target(name string) transport.Target {
	host, port, _ := net.SplitHostPort(s.Addr())
	n, _ := strconv.Atoi(port)
	return transport.Target{Name: name, Address: host, Port: n, User: "ops"}
}

// KnownHosts are lines that make the server's keys known under name.
func (s *Server) KnownHosts(name string) string {
	var b strings.Builder
	for _, k := range s.opts.HostKeys {
		b.WriteString(name + " " + string(ssh.MarshalAuthorizedKey(k.PublicKey())))
	}
	return b.String()
}

// Connections is how many connections the server has accepted so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Logins is how many connections have logged in so far.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// SetFault changes how the server misbehaves from the next connection on.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Cut resets all open connections.
func (s *Server) Cut() {
	for _, c := range s.open() {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Close()
	}
}

// Freeze makes all open connections half-open: nothing that comes in on them
// is read any more and nothing goes out, as if the machine had vanished.
func (s *Server) Freeze() {
	for _, c := range s.open() {
		c.freeze()
	}
}

func (s *Server) open() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*conn
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// Close stops the server and ends its connections and commands. It may be
// called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.listener.Close()
	for _, c := range s.open() {
		c.Close()
	}
	s.wg.Wait()
}

func (s *Server) accept() {
	for {
		tcp, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &conn{Conn: tcp, frozen: make(chan struct{}), closed: make(chan struct{})}
		s.mu.Lock()
		s.total++
		over := s.opts.MaxStartups > 0 && s.pending >= s.opts.MaxStartups
		if s.closed || over {
			s.mu.Unlock()
			c.Close() // as sshd does: without a word
			continue
		}
		s.pending++
		s.conns[c] = true
		fault := s.fault
		s.mu.Unlock()
		s.wg.Go(func() {
			defer func() {
				c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			}()
			s.serve(c, fault)
		})
	}
}

// config is the server's side of a login.
func (s *Server) config(fault Fault) *ssh.ServerConfig {
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if fault == RefuseKeys {
				return nil, errors.New("refused")
			}
			if s.opts.Accept == nil || slices.ContainsFunc(s.opts.Accept, func(k ssh.PublicKey) bool { return sameKey(k, key) }) {
				return nil, s.besides()
			}
			return nil, errors.New("not accepted")
		},
	}
	if s.opts.Password != "" {
		fits := func(word string) (*ssh.Permissions, error) {
			if word == s.opts.Password {
				return nil, nil
			}
			return nil, errors.New("wrong")
		}
		if s.opts.Interactive {
			config.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				answers, err := ask("", "", []string{"Password: "}, []bool{false})
				if err != nil || len(answers) != 1 {
					return nil, errors.Join(err, errors.New("no answer"))
				}
				return fits(answers[0])
			}
		} else {
			config.PasswordCallback = func(_ ssh.ConnMetadata, word []byte) (*ssh.Permissions, error) { return fits(string(word)) }
		}
	}
	if fault == RefuseSigned {
		config.VerifiedPublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey, *ssh.Permissions, string) (*ssh.Permissions, error) {
			return nil, errors.New("refused")
		}
	}
	for _, k := range s.opts.HostKeys {
		config.AddHostKey(k)
	}
	return config
}

// besides is what is asked for when a key was accepted.
func (s *Server) besides() error {
	switch {
	case s.opts.SecondKey != nil:
		return &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{
			PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
				if sameKey(key, s.opts.SecondKey) {
					return nil, nil
				}
				return nil, errors.New("not accepted")
			},
		}}
	case s.opts.AskPassword:
		return &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{
			PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, errors.New("wrong") },
		}}
	}
	return nil
}

func sameKey(a, b ssh.PublicKey) bool { return string(a.Marshal()) == string(b.Marshal()) }

// NewSigner makes an Ed25519 key.
func NewSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, signer := newKey(t)
	return signer
}

// NewIdentity makes an Ed25519 key and returns the file that holds it.
func NewIdentity(t testing.TB) (file string, signer ssh.Signer) {
	t.Helper()
	private, signer := newKey(t)
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "id_ed25519")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, signer
}

func newKey(t testing.TB) (ed25519.PrivateKey, ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return private, signer
}
