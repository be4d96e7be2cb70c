package ssh_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"muster/tests/await"
	"muster/transport"
	"muster/transport/ssh"
	"muster/transport/transporttest"
)

// agentSite is a server that takes some keys, and an agent that holds some.
type agentSite struct {
	server *transporttest.Server
	agent  *transporttest.Agent
	opts   ssh.Options
}

func newAgentSite(t *testing.T, o transporttest.Options, keys ...ed25519.PrivateKey) *agentSite {
	t.Helper()
	home := t.TempDir()
	s := &agentSite{server: transporttest.New(t, o), agent: transporttest.NewAgent(t, keys...)}
	s.opts = ssh.Options{Home: home, ProjectKnownHosts: filepath.Join(home, "known"), AgentSocket: s.agent.Socket}
	s.opts.Timeouts.Agent = 300 * time.Millisecond
	if err := os.WriteFile(s.opts.ProjectKnownHosts, []byte(s.server.KnownHosts("h1")), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAKeyThatDoesNotSignGivesWayToTheNext(t *testing.T) {
	keys, publics := privateKeys(t, 4)
	for name, c := range map[string]struct {
		fault transporttest.AgentFault
		why   string
	}{
		"declined":                      {transporttest.Declines, "declined to sign with it"},
		"not touched":                   {transporttest.Stalls, "has not signed with it within 300ms"},
		"asked for by a frozen agent":   {transporttest.Freezes, "has not signed with it within 300ms"},
		"of an agent that hangs up":     {transporttest.HangsUp, "it hung up"},
		"of which a signature is false": {transporttest.Forges, "its signature is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The host takes the agent's second key and, last, a key file's.
			takes := func(k ...xssh.PublicKey) transporttest.Options { return transporttest.Options{Accept: k} }
			s := newAgentSite(t, takes(publics[1], publics[3]), keys[:3]...)
			s.agent.Fail(publics[1], c.fault)
			writeKey(t, filepath.Join(s.opts.Home, ".ssh", "id_ed25519"), keys[3], "")
			d := ssh.New(s.opts)
			defer d.Close()
			dial(t, d, s.server.Target("h1"))
			if n := s.server.Connections(); n != 1 {
				t.Errorf("it took %d connections", n)
			}

			// Another key of the agent does as well, unless nothing comes from there.
			s = newAgentSite(t, takes(publics[0], publics[2]), keys[:3]...)
			s.agent.Fail(publics[0], c.fault)
			other := ssh.New(s.opts)
			defer other.Close()
			conn, err := other.Dial(t.Context(), s.server.Target("h1"))
			if c.fault == transporttest.Freezes {
				wantUnreachable(t, err, "doesn't answer any more")
			} else if err != nil {
				t.Error(err)
			} else {
				conn.Close()
			}

			// Where there is no other, the reason is the true one.
			s = newAgentSite(t, takes(publics[1]), keys[:3]...)
			s.agent.Fail(publics[1], c.fault)
			last := ssh.New(s.opts)
			defer last.Close()
			_, err = last.Dial(t.Context(), s.server.Target("h1"))
			wantUnreachable(t, err, "the server would take the key agent "+xssh.FingerprintSHA256(publics[1]))
			wantUnreachable(t, err, c.why)
			wantUnreachable(t, err, "it accepts none of the other keys agent "+xssh.FingerprintSHA256(publics[0])+", agent "+xssh.FingerprintSHA256(publics[2]))
			if err != nil && strings.Contains(err.Error(), "authorized_keys") {
				t.Errorf("authorized_keys is blamed: %v", err)
			}
		})
	}
}

func wantUnreachable(t *testing.T, err error, want string) {
	t.Helper()
	var u *transport.UnreachableError
	if !errors.As(err, &u) || u.Stage != transport.StageAuthentication || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// Nobody is asked for each host anew, and nobody's keys count as refused.
func TestAPersonIsNotAskedForEveryHost(t *testing.T) {
	keys, publics := privateKeys(t, 1)
	for name, c := range map[string]struct {
		fault transporttest.AgentFault
		most  int
	}{"who declines": {transporttest.Declines, 3}, "who isn't there": {transporttest.Stalls, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 9, transporttest.Options{}, transporttest.Options{Accept: publics})
			a := transporttest.NewAgent(t, keys...)
			a.Fail(publics[0], c.fault)
			s.options.AgentSocket, s.options.RefusedLogins, s.options.Timeouts.Agent = a.Socket, 3, 300*time.Millisecond
			d := s.dialer(t)
			var wg sync.WaitGroup
			for _, target := range s.targets {
				target.Identity = ""
				wg.Go(func() {
					_, err := d.Dial(t.Context(), target)
					wantUnreachable(t, err, "the server would take the key agent")
				})
			}
			wg.Wait()
			if n := a.Asked(publics[0]); n > c.most {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestABastionSaysWhyItsKeyDidNotSign(t *testing.T) {
	keys, publics := privateKeys(t, 1)
	s := newSite(t, 2, transporttest.Options{Accept: publics}, transporttest.Options{})
	a := transporttest.NewAgent(t, keys...)
	a.Fail(publics[0], transporttest.Declines)
	s.options.AgentSocket = a.Socket
	for i := range s.targets {
		s.targets[i].Via.Identity = ""
	}
	sameBastionError(t, s, "declined to sign with it")
}

func TestCancellingEndsTheWaitForASignature(t *testing.T) {
	keys, publics := privateKeys(t, 1)
	s := newAgentSite(t, transporttest.Options{}, keys...)
	s.opts.Timeouts.Agent = time.Hour
	s.agent.Fail(publics[0], transporttest.Stalls)
	d := ssh.New(s.opts)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := d.Dial(ctx, s.server.Target("h1")); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	await.Until(t, "the agent is asked", func() bool { return s.agent.Asked(publics[0]) > 0 })
	cancel()
	wg.Wait()
	d.Close()
}

func TestWhatComesAfterAKeyIsTold(t *testing.T) {
	keys, publics := privateKeys(t, 3)
	for name, c := range map[string]struct {
		options transporttest.Options
		want    string
	}{
		"a second key":                 {transporttest.Options{Accept: publics[1:2], SecondKey: publics[0]}, ""},
		"a second key that isn't held": {transporttest.Options{Accept: publics[1:2], SecondKey: transporttest.NewSigner(t).PublicKey()}, "the server took a key and asks for more (publickey)"},
		"a password":                   {transporttest.Options{Accept: publics[1:2], AskPassword: true}, "the server took a key and asks for more (password)"},
		"a refusal":                    {transporttest.Options{Accept: publics[1:2], Fault: transporttest.RefuseSigned}, "refused the login with it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newAgentSite(t, c.options, keys...)
			d := ssh.New(s.opts)
			defer d.Close()
			conn, err := d.Dial(t.Context(), s.server.Target("h1"))
			if c.want != "" {
				wantUnreachable(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			} else {
				conn.Close()
			}
		})
	}
}

// A real ssh-agent asks a program before it signs with a key that was added by
// ssh-add -c, and does nothing else meanwhile.
func TestARealAgentThatAsksAPerson(t *testing.T) {
	for _, program := range []string{"ssh-agent", "ssh-add"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	keys, publics := privateKeys(t, 3)
	for name, c := range map[string]struct {
		answer string // of the program that asks
		accept []xssh.PublicKey
		want   string // of the error
	}{
		"says yes":                              {"exit 0", publics[:1], ""},
		"says no, and another key is there":     {"exit 1", publics[:2], ""},
		"says no":                               {"exit 1", publics[:1], "declined to sign with it"},
		"says nothing, and a key file is there": {"read x < FIFO", []xssh.PublicKey{publics[0], publics[2]}, ""},
		"says nothing":                          {"read x < FIFO", publics[:2], "has not signed with it within 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fifo, ask, socket := filepath.Join(dir, "fifo"), filepath.Join(dir, "ask"), filepath.Join(dir, "agent")
			if out, err := exec.Command("mkfifo", fifo).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if err := os.WriteFile(ask, []byte("#!/bin/sh\n"+strings.ReplaceAll(c.answer, "FIFO", fifo)+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			env := append(os.Environ(), "SSH_ASKPASS="+ask, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0", "SSH_AUTH_SOCK="+socket)
			run := exec.Command("ssh-agent", "-D", "-a", socket)
			run.Env = env
			if err := run.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = run.Process.Kill()
				_ = run.Wait()
				if f, err := os.OpenFile(fifo, os.O_RDWR, 0); err == nil { // ends who still asks
					_, _ = f.WriteString("\n\n\n")
					_ = f.Close()
				}
			})
			await.Until(t, "the agent makes its socket", func() bool {
				_, err := os.Stat(socket)
				return err == nil
			})
			for i, options := range [][]string{{"-q", "-c"}, {"-q"}} {
				file := filepath.Join(dir, "key"+string(rune('0'+i)))
				writeKey(t, file, keys[i], "")
				add := exec.Command("ssh-add", append(options, file)...)
				add.Env = env
				if out, err := add.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			s := newAgentSite(t, transporttest.Options{Accept: c.accept})
			s.opts.AgentSocket, s.opts.Timeouts.Agent = socket, 20*time.Second
			if strings.Contains(c.answer, "FIFO") {
				s.opts.Timeouts.Agent = time.Second
			}
			writeKey(t, filepath.Join(s.opts.Home, ".ssh", "id_ed25519"), keys[2], "")
			d := ssh.New(s.opts)
			defer d.Close()
			conn, err := d.Dial(t.Context(), s.server.Target("h1"))
			if c.want != "" {
				wantUnreachable(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			} else {
				conn.Close()
			}
		})
	}
}
