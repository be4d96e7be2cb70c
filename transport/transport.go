// Package transport opens connections to hosts.
//
// It holds the interfaces and the data that the rest of muster sees. The
// connections are made by transport/ssh (through bastions) and
// transport/local (this machine); transport/transporttest has servers to try
// them on. It imports nothing of muster's.
package transport

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode"
)

// Target says how one host is reached. It comes from the inventory alone:
// nothing that a host says may end up in it.
type Target struct {
	Name     string  // the inventory's name: what known hosts and messages use
	Address  string  // what to dial, a host name or an IP address; "" is Name
	Port     int     // 0 is ssh_config's, else 22
	User     string  // "" is ssh_config's, else the current user
	Identity string  // a private key file to offer first; "" is none
	Via      *Target // the bastion, which may have one itself; nil is none
	Local    bool    // this machine, without SSH
}

// Validate refuses a target with a name, address or user that no host has: one
// that a shell, a known_hosts file or a terminal could take for something else.
func (t Target) Validate() error {
	switch {
	case t.Name == "":
		return fmt.Errorf("a host needs a name")
	case strings.HasPrefix(t.Name, "-") || strings.ContainsAny(t.Name, "*?!|@#,[]\"'`\\$&;<>(){}") || odd(t.Name):
		return fmt.Errorf("%q is not a host's name: use letters, digits, dots, dashes and underscores", t.Name)
	case strings.HasPrefix(t.Address, "-") || strings.ContainsFunc(t.Address, func(r rune) bool { return !inAddress(r) }):
		return fmt.Errorf("%q is not an address: use a host name or an IP address", t.Address)
	case strings.HasPrefix(t.User, "-") || odd(t.User) || strings.ContainsAny(t.User, ":\"'`\\$&;<>(){}|*?!"):
		return fmt.Errorf("%q is not a user's name", t.User)
	case t.Port < 0 || t.Port > 65535:
		return fmt.Errorf("port %d is not between 1 and 65535", t.Port)
	}
	return nil
}

// inAddress reports whether r occurs in host names and IP addresses (with a
// zone, RFC 4007).
func inAddress(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(".:%-_", r)
}

// odd reports whether s has white space, control or invisible characters, or
// is not UTF-8.
func odd(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == unicode.ReplacementChar
	})
}

// Dialer opens connections. Dial may be called for many hosts at once; it ends
// when ctx does. Its errors are *UnreachableError, or ctx's.
type Dialer interface {
	Dial(ctx context.Context, t Target) (Conn, error)
}

// Conn is a logged-in connection to one host. Its methods may be called at the
// same time; none waits longer than the dialer's timeouts for an answer.
// Errors that mean the connection is gone are ErrLost.
type Conn interface {
	// Start runs command by the host's /bin/sh, whatever the user's login
	// shell is, without a terminal. Cancelling ctx ends the Process.
	Start(ctx context.Context, command string) (*Process, error)
	// Put writes a file under a temporary name and renames it to its path.
	Put(ctx context.Context, u Upload) error
	// Close ends the connection and what still runs over it.
	Close() error
}

// Process is a command that runs on a host. Stdout and Stderr must both be
// read, or the command stops when the connection's window is full.
type Process struct {
	Stdin  io.WriteCloser
	Stdout io.Reader
	Stderr io.Reader
	Ender
}

// Ender is the end of a Process. Both methods may be called more than once.
type Ender interface {
	// Wait returns when the command has ended: nil for exit code 0,
	// *ExitError for another, ErrLost if that will never be known. What was
	// printed can still be read afterwards.
	Wait() error
	// Close hangs up: the command finds its input at an end and its output
	// closed. Whether it ends is up to the command, and to ctx on this machine.
	Close() error
}

// Upload is a file to be written on a host.
type Upload struct {
	Path    string      // absolute, or relative to the login directory
	Mode    fs.FileMode // permission bits; 0 is 0600
	Content io.Reader   // read once, to its end
}

// Mux sends a target to the dialer for it: Local for this machine, Remote for
// all others.
type Mux struct{ Local, Remote Dialer }

// Dial implements Dialer.
func (m Mux) Dial(ctx context.Context, t Target) (Conn, error) {
	if t.Local {
		return m.Local.Dial(ctx, t)
	}
	return m.Remote.Dial(ctx, t)
}
