// Package ssh opens connections to hosts over SSH.
//
// A bastion gets one connection for all the hosts behind it, and each of them
// a direct-tcpip channel in it: a burst of connections to a bastion is what
// sshd's MaxStartups drops. Nothing waits without a bound: where x/crypto has
// no deadline, the connection under the wait is closed.
package ssh

import (
	"os"
	"os/user"
	"path/filepath"
	"time"
)

// HostKeyPolicy says what to do with a host whose key is not known.
type HostKeyPolicy int

// The policies. A changed key is refused by both.
const (
	Strict    HostKeyPolicy = iota // refuse it
	AcceptNew                      // add it to the project's known hosts
)

// Timeouts bound each wait. A zero field takes the default beside it.
type Timeouts struct {
	Connect   time.Duration // TCP, or the bastion's answer to a channel: 15 s
	Handshake time.Duration // banner and key exchange: 20 s
	Login     time.Duration // authentication: 30 s
	Request   time.Duration // opening a session, one SFTP request: 30 s
	Keepalive time.Duration // between two keepalives: 15 s
	Silence   time.Duration // how long a keepalive may stay unanswered: 25 s
	Agent     time.Duration // a signature of the SSH agent, which may wait for a person: 25 s
}

// Options set up a Dialer. The zero value is strict and uses the current
// user's ~/.ssh.
type Options struct {
	Timeouts Timeouts
	HostKeys HostKeyPolicy
	// ProjectKnownHosts is looked up first, by the inventory's names. AcceptNew
	// adds to it. "" is none.
	ProjectKnownHosts string
	// UserKnownHosts are looked up by address. nil is ~/.ssh/known_hosts and
	// /etc/ssh/ssh_known_hosts.
	UserKnownHosts []string
	// Home is where .ssh is; "" is the current user's home.
	Home string
	// AgentSocket is the SSH agent's; "" is SSH_AUTH_SOCK, "none" is none.
	AgentSocket string
	// RefusedLogins is how many hosts may refuse the same keys, with none
	// accepting them, before the rest is not tried. 0 is 5.
	RefusedLogins int
	// Password, if not nil, gives the password of a host, by its inventory name, where no
	// key has logged in. It is tried once for each login. ok is false where there is none.
	Password func(name string) (password string, ok bool)
	// Warn is told what is odd but no error, each thing once. It may be called
	// from several goroutines. nil drops it.
	Warn func(message string)
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// filled returns o with its defaults in place.
func (o Options) filled() Options {
	orDefault(&o.Timeouts.Connect, 15*time.Second)
	orDefault(&o.Timeouts.Handshake, 20*time.Second)
	orDefault(&o.Timeouts.Login, 30*time.Second)
	orDefault(&o.Timeouts.Request, 30*time.Second)
	orDefault(&o.Timeouts.Keepalive, 15*time.Second)
	orDefault(&o.Timeouts.Silence, 25*time.Second)
	orDefault(&o.Timeouts.Agent, 25*time.Second)
	if o.Home == "" {
		o.Home, _ = os.UserHomeDir()
	}
	if o.UserKnownHosts == nil {
		o.UserKnownHosts = []string{filepath.Join(o.Home, ".ssh", "known_hosts"), "/etc/ssh/ssh_known_hosts"}
	}
	if o.AgentSocket == "" {
		o.AgentSocket = os.Getenv("SSH_AUTH_SOCK")
	}
	if o.AgentSocket == "none" {
		o.AgentSocket = ""
	}
	if o.RefusedLogins <= 0 {
		o.RefusedLogins = 5
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	return o
}

// currentUser is the user to log in as where nothing names one.
func currentUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}
