package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"muster/host"
)

// Access is as whom git runs, and how it gets at a repository.
type Access struct {
	// As is the user; nil: whoever muster runs as.
	As *User `json:"as,omitempty"`
	// Key is a private key of ssh's.
	Key *host.Content `json:"key,omitempty"`
	// HostKeys are the only ones by which ssh knows a host; nil: those in its own files.
	HostKeys []string `json:"host_keys,omitempty"`
}

// User is whom git runs as.
type User struct {
	Name string `json:"name"`
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
	Home string `json:"home"`
}

const program = "/usr/bin/git"

// ssh never asks, and goes to no host that it doesn't know.
const ssh = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes"

// command is a git that asks nobody, and writes nothing by itself.
func (a Access) command(args ...string) host.Command {
	c := host.Command{
		Argv: append([]string{program, "-c", "core.fsmonitor=false"}, args...),
		Env:  []string{"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false", "GIT_SSH_COMMAND=" + ssh, "GIT_OPTIONAL_LOCKS=0"},
	}
	if a.As != nil {
		c.Argv = append([]string{"setpriv", "--reuid=" + strconv.Itoa(a.As.UID), "--regid=" + strconv.Itoa(a.As.GID), "--init-groups", "--"}, c.Argv...)
		c.Env = append(c.Env, "HOME="+a.As.Home, "USER="+a.As.Name, "LOGNAME="+a.As.Name)
	}
	return c
}

// access finds out who the user is.
func (c *Checkout) access(ctx context.Context, v *host.View) (Access, error) {
	a := Access{Key: c.Key, HostKeys: c.HostKeys}
	if c.User == "" {
		return a, nil
	}
	user, err := v.User(ctx, c.User)
	switch {
	case err != nil:
		return a, err
	case user == nil:
		return a, fmt.Errorf("there is no user %s on this host: make it in an earlier task, task \"user\" %q {}", c.User, c.User)
	}
	key := host.Key{Space: host.Users, Name: c.User}
	switch _, planned, _, err := v.Look(key); {
	case err != nil:
		return a, err
	case planned: // nobody can run as who isn't there
		return a, host.NotYet(key)
	case user.UID == os.Geteuid():
		return a, nil
	case !host.IsRoot():
		return a, fmt.Errorf("only root can run git as %s: give the task become = true, or become = %q without a user", c.User, c.User)
	}
	a.As = &User{Name: user.Name, UID: user.UID, GID: user.GID, Home: user.Home}
	return a, nil
}

// reach runs a git that gets at the repository.
//
// A key is given to an agent that runs as long as that git, on its standard input: so it is in
// no file, argument or environment. Where muster is killed the agent ends with the git.
type reach struct {
	Access
	dir    *host.Scratch // with the known hosts, and the agent's socket
	key    []byte
	agents int
}

// open makes ready what a git that gets at the repository needs. body reads the key.
func (a Access) open(ctx context.Context, body func(context.Context, host.Content, int64) ([]byte, error)) (r *reach, err error) {
	r = &reach{Access: a}
	if a.Key == nil && a.HostKeys == nil {
		return r, nil
	}
	if r.dir, err = host.NewScratch(); err != nil {
		return nil, err
	}
	if err := r.fill(ctx, body); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *reach) fill(ctx context.Context, body func(context.Context, host.Content, int64) ([]byte, error)) error {
	var known strings.Builder
	for _, key := range r.HostKeys {
		fmt.Fprintf(&known, "* %s\n", key)
	}
	if _, err := r.dir.Write("known_hosts", []byte(known.String()), 0o644); err != nil {
		return err
	}
	if r.Key != nil {
		key, err := body(ctx, *r.Key, 1<<16)
		if err != nil {
			return err
		}
		// ssh-add takes no key whose last line has no end.
		r.key = append(bytes.TrimSpace(bytes.ReplaceAll(key, []byte("\r\n"), []byte("\n"))), '\n')
	}
	if r.As == nil {
		return nil
	}
	parent, name, err := host.OpenParent(r.dir.Path())
	if err != nil {
		return err
	}
	defer parent.Close()
	dir, err := parent.Entry(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Chown(r.As.UID, r.As.GID)
}

func (r *reach) close() {
	if r.dir != nil {
		r.dir.Remove()
	}
}

// withAgent runs a program as long as which the agent has the key.
const withAgent = `
if ssh-add -q -; then "$@" </dev/null; else echo "the key has a passphrase, or is no private key of ssh's" >&2; false; fi
code=$?
kill "$SSH_AGENT_PID"
exit "$code"
`

// command is a git that gets at the repository.
func (r *reach) command(args ...string) host.Command {
	c := r.Access.command(args...)
	shell := ssh
	if r.HostKeys != nil {
		shell += " -o UpdateHostKeys=no -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=" + r.dir.Path() + "/known_hosts"
	}
	if r.key != nil {
		shell += " -o IdentityAgent=SSH_AUTH_SOCK -o IdentitiesOnly=no -o IdentityFile=none -o ForwardAgent=no -o ControlMaster=no -o ControlPath=none"
		r.agents++
		at := len(c.Argv) - len(args) - 3 // where git stands
		agent := []string{"ssh-agent", "-a", fmt.Sprintf("%s/agent.%d", r.dir.Path(), r.agents), "sh", "-c", withAgent, "sh"}
		c.Argv = append(append(c.Argv[:at:at], agent...), c.Argv[at:]...)
		c.Stdin = bytes.NewReader(r.key)
		c.Env = append(c.Env, "SSH_ASKPASS=/bin/false", "SSH_ASKPASS_REQUIRE=force") // for a key with a passphrase
	}
	c.Env = append(c.Env, "GIT_SSH_COMMAND="+shell)
	return c
}

// run makes steps of git.
func (r *reach) run(ctx context.Context, h *host.Host, steps [][]string) error {
	for _, args := range steps {
		out, err := h.Runner.Run(ctx, r.command(args...))
		if err == nil && out.ExitCode != 0 {
			err = &host.ExitError{Argv: append([]string{"git"}, args...), Output: out}
		}
		if errors.Is(err, host.ErrNoProgram) {
			err = fmt.Errorf("a key and a user take ssh-agent and setpriv: %w", err)
		}
		if err != nil {
			return err
		}
		if err := h.At("ran git " + args[0]); err != nil {
			return err
		}
	}
	return nil
}
