// Package launch starts the remote program on a host.
//
// One command does it all. Its shell script prints a random marker, before which
// all is noise of login shells; becomes the user; runs the remote that the
// host has cached under its SHA-256. So a host that knows the remote costs one
// command. One that doesn't says which machine it is and is sent the remote
// through the same command's input, packed; it unpacks it in the first cache
// folder that belongs to the user alone and can hold programs, checks size and
// sum and renames it into place.
package launch

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"muster/secret"
	"muster/transport"
)

// Binary is the remote for one kind of machine.
type Binary struct {
	Gzip   io.ReaderAt // the program, packed by gzip
	Packed int64       // the size of Gzip in bytes
	Sum    string      // the SHA-256 of the program as it runs, in hex
	Size   int64       // its size in bytes
}

// Binaries are the remotes that can be sent.
type Binaries interface {
	// Arches are those (GOARCH) that Open has at hand.
	Arches() []string
	// Open returns the remote for Linux on goarch. It may build it.
	Open(goarch string) (Binary, error)
}

// Options say what to start.
type Options struct {
	// Become is the user to run as, by sudo; "" is the user who logged in.
	Become string
	// Password is what sudo is told if it asks, once. nil is none.
	Password *secret.String
	Binaries Binaries
	Args     []string // of the remote
	// Fresh sends the remote even where one is cached: for one whose own sum
	// turned out to be wrong.
	Fresh bool
	// Dirs are the cache folders to consider, in order; nil is those that the
	// scripts name.
	Dirs []string
	// Timeout bounds each wait for the host; 0 is 45 s.
	Timeout time.Duration
}

// Remote is a remote that has been started: the next byte of Stdout is its own.
type Remote struct {
	Stdin    io.WriteCloser
	Stdout   io.Reader
	Path     string // where it is cached on the host
	Sum      string // the SHA-256 it is cached under, in hex
	Uploaded bool   // it was not cached before
	// InPlace: the login runs this remote, as whom it runs it, whatever it is asked for.
	InPlace bool

	process *transport.Process
	stderr  *tail
	cancel  context.CancelFunc
}

// Stderr is the end of what the remote printed to stderr, without control characters.
// As long as it hasn't written to Stdout, so that nobody knows whether it runs, it is
// also what the shells and sudo before it printed.
func (r *Remote) Stderr() string { return r.stderr.words() }

// begun forgets what was printed to stderr when the remote first writes to stdout.
type begun struct {
	io.Reader
	once   sync.Once
	stderr *tail
}

func (b *begun) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if n > 0 {
		b.once.Do(b.stderr.forget)
	}
	return n, err
}

// Wait returns when the remote has ended; see transport.Ender.
func (r *Remote) Wait() error { return r.process.Wait() }

// Close hangs up. The remote ends when it finds its input at an end.
func (r *Remote) Close() error {
	defer r.cancel()
	return r.process.Close()
}

// Start starts the remote on conn's host. ctx bounds the start alone; the
// remote then runs until its input ends.
func Start(ctx context.Context, conn transport.Conn, o Options) (*Remote, error) {
	if o.Timeout <= 0 {
		o.Timeout = 45 * time.Second
	}
	s := newScripts()
	command, err := s.start(o)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	p, err := conn.Start(life, command)
	if err != nil {
		stop()
		cancel()
		return nil, fmt.Errorf("starting the remote: %w", err)
	}
	l := newLaunch(o, s, p)
	r, err := l.run()
	l.settle()
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		p.Close()
		cancel()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("starting the remote: %w", err)
	}
	r.process, r.stderr, r.cancel = p, l.stderr, cancel
	r.Stdout = &begun{Reader: r.Stdout, stderr: l.stderr}
	return r, nil
}

// goarch is Go's name for what uname -m says, "" for one it has none for.
func goarch(machine string) string {
	switch machine {
	case "x86_64", "amd64":
		return "amd64"
	case "aarch64", "arm64":
		return "arm64"
	case "armv7l", "armv6l", "armv8l":
		return "arm"
	case "i386", "i486", "i586", "i686":
		return "386"
	case "riscv64", "ppc64le", "s390x", "loong64":
		return machine
	}
	return ""
}
