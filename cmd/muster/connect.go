package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"golang.org/x/term"

	"muster/internal/engine"
	"muster/internal/launch"
	"muster/inventory"
	"muster/secret"
	"muster/transport"
	"muster/transport/local"
	"muster/transport/ssh"
)

// reach is how this command's hosts are reached.
type reach struct {
	inventory *inventory.Inventory
	ssh       *ssh.Dialer
	options   ssh.Options
	mux       transport.Mux
	password  *secret.String
	login     loginAs
	asRoot    bool // remotes run as root also where their tasks don't need it
	newLogin  bool // on this machine, too, remotes run in a login of their own
}

// reach returns the way to hosts, with the password for sudo asked for where
// the flags say so, once for all runs of a command.
func (a *app) reach(l *loaded) (*reach, error) {
	r := newReach(l.inventory, l.dialing(func(text string) { a.view().Warn(text) }))
	r.login, r.asRoot, r.newLogin = a.login, a.asRoot, a.newLogin
	if a.askBecome && a.becomePassword == nil {
		if !term.IsTerminal(int(a.in.Fd())) {
			return nil, errors.New("--ask-become-pass needs a terminal to ask at")
		}
		pass, err := a.askHidden("sudo password: ")
		if err != nil {
			return nil, fmt.Errorf("reading the password: %w", err)
		}
		s := secret.New(string(pass))
		a.becomePassword = &s
	}
	r.password = a.becomePassword
	return r, nil
}

// dialing is how a project's hosts are dialled.
func (l *loaded) dialing(warn func(string)) ssh.Options {
	o := ssh.Options{ProjectKnownHosts: l.project.KnownHosts(), Warn: warn}
	if l.project.AcceptNew {
		o.HostKeys = ssh.AcceptNew
	}
	return o
}

func newReach(inv *inventory.Inventory, o ssh.Options) *reach {
	r := &reach{inventory: inv, ssh: ssh.New(o), options: o}
	r.mux = transport.Mux{Local: local.Dialer{}, Remote: r.ssh}
	return r
}

func (r *reach) close() { _ = r.ssh.Close() }

// fresh returns a way to hosts with connections of its own.
func (r *reach) fresh() (engine.Connector, func()) {
	o := r.options
	o.Warn = func(string) {} // it was said
	other := newReach(r.inventory, o)
	other.password, other.login, other.asRoot, other.newLogin = r.password, r.login, r.asRoot, r.newLogin
	return other.connect, other.close
}

// behind lists the hosts that are reached through one: by its name, or by the address
// that the inventory has for it.
func (r *reach) behind(name string) []string {
	at := transport.Target{Name: name}
	if h, ok := r.inventory.Host(name); ok {
		at = h.Target()
	}
	var list []string
	for _, h := range r.inventory.Hosts() {
		for via := h.Target().Via; via != nil; via = via.Via {
			if via.Name == name || at.Address != "" && via.Address == at.Address {
				list = append(list, h.Name)
				break
			}
		}
	}
	return list
}

// local reports whether a host is this machine, as the inventory has it.
func (r *reach) local(name string) bool {
	h, ok := r.inventory.Host(name)
	return ok && h.Target().Local
}

// ownBoot is the id of the boot that this machine is in; "": that can't be told.
func ownBoot() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// connect logs in to a host and starts the remote.
func (r *reach) connect(ctx context.Context, name string, how engine.Start) (engine.Stream, error) {
	h, ok := r.inventory.Host(name)
	if !ok {
		return nil, fmt.Errorf("there is no host %q", name)
	}
	target := h.Target()
	conn, err := r.mux.Dial(ctx, r.login.over(target))
	if err != nil {
		return nil, err
	}
	login := target.User
	if login == "" {
		u, err := user.Current()
		if err != nil {
			return nil, err
		}
		login = u.Username
	}
	o := launch.Options{Binaries: remotes{}, Password: r.password, Fresh: how.Fresh}
	if (how.Root || r.asRoot) && login != "root" {
		o.Become = "root"
	} else if r.newLogin && target.Local && login != "root" {
		o.Become = login // sudo sets the groups that the user has by now
	}
	started, err := launch.Start(ctx, conn, o)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &stream{conn: conn, remote: started, login: login}, nil
}

// stream is a started remote as the engine speaks to it.
type stream struct {
	conn   transport.Conn
	remote *launch.Remote
	login  string
}

func (s *stream) Read(p []byte) (int, error) { return s.remote.Stdout.Read(p) }

// smallWrites is how many bytes are written at once. SSH keeps a buffer as
// large as the largest write for every channel there is: two for each host.
const smallWrites = 2 << 10

func (s *stream) Write(p []byte) (int, error) {
	n := 0
	for {
		k, err := s.remote.Stdin.Write(p[n:min(len(p), n+smallWrites)])
		n += k
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// Close ends the remote's input, and with it the remote, then the connection.
func (s *stream) Close() error {
	_ = s.remote.Stdin.Close()
	_ = s.remote.Close()
	return s.conn.Close()
}

// Why is what the remote said last.
func (s *stream) Why() string { return s.remote.Stderr() }

// Login is the user who logged in.
func (s *stream) Login() string { return s.login }

// Sum is what the program was cached under.
func (s *stream) Sum() string { return s.remote.Sum }
