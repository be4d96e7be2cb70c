package transport

import (
	"errors"
	"fmt"
	"strings"
)

// ErrLost means that a connection is gone after it had been logged in: what
// ran over it has an unknown outcome. Dialing again can help.
var ErrLost = errors.New("the connection is lost")

// ErrTooLong means that a host did not answer in time. Trying again seldom
// helps at once.
var ErrTooLong = errors.New("no answer in time")

// Stage is how far a connection came.
type Stage string

// The stages of a connection, in order.
const (
	StageSettings       Stage = "settings"       // the target itself, ssh_config, key files
	StageBastion        Stage = "bastion"        // a bastion on the way
	StageConnect        Stage = "connect"        // name, route, port
	StageHandshake      Stage = "handshake"      // banner and key exchange
	StageHostKey        Stage = "host key"       // is it the host we know
	StageAuthentication Stage = "authentication" // does it know us
)

// UnreachableError says why a host cannot be logged in to.
type UnreachableError struct {
	Host  string // the inventory's name
	Where string // "10.0.1.13:22 through nat", "" where it is not known yet
	Stage Stage
	Err   error
	Hint  string // what to do next, "" if Err says so itself
}

// Error says what was tried, where, why it failed and what to do next.
func (e *UnreachableError) Error() string {
	var b strings.Builder
	b.WriteString(e.Host)
	if e.Where != "" && e.Stage != StageBastion {
		b.WriteString(" (" + e.Where + ")")
	}
	b.WriteString(": ")
	switch e.Stage {
	case StageConnect:
		b.WriteString("connecting: ")
	case StageHandshake:
		b.WriteString("SSH handshake: ")
	case StageAuthentication:
		b.WriteString("logging in: ")
	}
	b.WriteString(e.Err.Error())
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// BastionError says why a bastion lets nobody through. All hosts behind it
// carry the same value, so that it can be told once.
type BastionError struct {
	Bastion string // the inventory's name
	Where   string // its address
	Err     error  // often an *UnreachableError about the bastion itself
}

// Error names the bastion and the cause.
func (e *BastionError) Error() string {
	var u *UnreachableError
	if errors.As(e.Err, &u) {
		return "bastion " + u.Error()
	}
	return fmt.Sprintf("bastion %s (%s): %v", e.Bastion, e.Where, e.Err)
}

// Unwrap returns the cause.
func (e *BastionError) Unwrap() error { return e.Err }

// KeyVerdict is what is wrong with a host's key.
type KeyVerdict string

// The verdicts.
const (
	KeyUnknown KeyVerdict = "unknown"             // nothing is known of this host
	KeyChanged KeyVerdict = "changed"             // another key is known
	KeyRevoked KeyVerdict = "revoked"             // an @revoked line names it
	KeyInvalid KeyVerdict = "invalid certificate" // expired, not yet valid, or for another host
)

// KnownKey is a line of a known_hosts file.
type KnownKey struct {
	Type        string // "ssh-ed25519"
	Fingerprint string // "SHA256:…"
	File        string
	Line        int
}

// HostKeyError says why a host's key was refused.
type HostKeyError struct {
	Host        string // the inventory's name
	Verdict     KeyVerdict
	Type        string     // of the key the host showed
	Fingerprint string     // of the key the host showed
	Known       []KnownKey // what it was held against
	Detail      string     // why a certificate is invalid
}

// Error shows both fingerprints and what to do.
func (e *HostKeyError) Error() string {
	shown := e.Type + " " + e.Fingerprint
	switch e.Verdict {
	case KeyChanged:
		var known []string
		for _, k := range e.Known {
			known = append(known, fmt.Sprintf("%s %s (%s:%d)", k.Type, k.Fingerprint, k.File, k.Line))
		}
		return fmt.Sprintf("the host key has changed: it shows %s, known is %s. Somebody may be between you and the host, or it was set up anew: compare the fingerprint with the host's, then run: muster trust %s",
			shown, strings.Join(known, ", "), e.Host)
	case KeyRevoked:
		at := ""
		for _, k := range e.Known {
			at = fmt.Sprintf(" (%s:%d)", k.File, k.Line)
		}
		return fmt.Sprintf("the host key %s is revoked%s: give the host a new key", shown, at)
	case KeyInvalid:
		return fmt.Sprintf("the host certificate %s is not valid: %s: have it signed again by its authority", shown, e.Detail)
	default:
		return fmt.Sprintf("the host key %s is not known: compare it with the host's, then run: muster trust %s", shown, e.Host)
	}
}

// ExitError is the end of a command with another exit code than 0.
type ExitError struct {
	Code   int    // -1 if a signal ended it
	Signal string // "KILL", "" if none
}

// Error names the code or the signal.
func (e *ExitError) Error() string {
	if e.Signal != "" {
		return "ended by signal " + e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}
