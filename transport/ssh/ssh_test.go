package ssh_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"muster/transport"
	"muster/transport/ssh"
	"muster/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a bastion with hosts behind it and a dialer that knows them all.
type site struct {
	home     string
	options  ssh.Options
	bastion  *transporttest.Server
	hosts    []*transporttest.Server
	targets  []transport.Target
	identity string
}

// newSite has n hosts that only the bastion knows how to find.
func newSite(t *testing.T, n int, bastion transporttest.Options, host transporttest.Options) *site {
	t.Helper()
	identity, _ := transporttest.NewIdentity(t)
	s := &site{home: t.TempDir(), identity: identity}
	bastion.Forward = map[string]string{}
	var known strings.Builder
	for i := range n {
		h := transporttest.New(t, host)
		name := "h" + string(rune('1'+i))
		s.hosts = append(s.hosts, h)
		s.targets = append(s.targets, transport.Target{Name: name, Address: "10.0.1.1" + name[1:], User: "ops", Identity: identity})
		bastion.Forward["10.0.1.1"+name[1:]+":22"] = h.Addr()
		known.WriteString(h.KnownHosts(name))
	}
	s.bastion = transporttest.New(t, bastion)
	via := s.bastion.Target("nat")
	via.Identity = identity
	for i := range s.targets {
		s.targets[i].Via = &via
	}
	known.WriteString(s.bastion.KnownHosts("nat"))
	file := filepath.Join(s.home, "known_hosts")
	if err := os.WriteFile(file, []byte(known.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	s.options = ssh.Options{Home: s.home, ProjectKnownHosts: file, AgentSocket: "none", Warn: func(m string) { t.Log("warning:", m) }}
	return s
}

// dialer makes a dialer that is closed with the test.
func (s *site) dialer(t *testing.T) *ssh.Dialer {
	t.Helper()
	d := ssh.New(s.options)
	t.Cleanup(func() { d.Close() })
	return d
}

// output runs command and returns what it printed.
func output(t *testing.T, c transport.Conn, command, stdin string) (string, error) {
	t.Helper()
	p, err := c.Start(t.Context(), command)
	if err != nil {
		return "", err
	}
	defer p.Close()
	var wg sync.WaitGroup
	var stdout, stderr bytes.Buffer
	wg.Go(func() { io.Copy(&stdout, p.Stdout) })
	wg.Go(func() { io.Copy(&stderr, p.Stderr) })
	io.WriteString(p.Stdin, stdin)
	p.Stdin.Close()
	wg.Wait()
	if err := p.Wait(); err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

func dial(t *testing.T, d transport.Dialer, target transport.Target) transport.Conn {
	t.Helper()
	c, err := d.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestHostsBehindABastionShareOneConnectionToIt(t *testing.T) {
	s := newSite(t, 8, transporttest.Options{MaxStartups: 2}, transporttest.Options{})
	d := s.dialer(t)
	var wg sync.WaitGroup
	for i, target := range s.targets {
		wg.Go(func() {
			c, err := d.Dial(t.Context(), target)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			got, err := output(t, c, "cat; echo $0 >&2; exit 3", "hello")
			var exit *transport.ExitError
			if !errors.As(err, &exit) || exit.Code != 3 || got != "hello/bin/sh\n" && got != "hellosh\n" {
				t.Errorf("%s: %q, %v", target.Name, got, err)
			}
			if s.hosts[i].Logins() != 1 {
				t.Errorf("%d logins at %s", s.hosts[i].Logins(), target.Name)
			}
		})
	}
	wg.Wait()
	if n := s.bastion.Connections(); n != 1 {
		t.Errorf("%d connections to the bastion, want 1", n)
	}
}

func TestCommandsArriveUnchangedInEveryLoginShell(t *testing.T) {
	odd := "printf '%s|' \"it's\" 'a\\b' 'a!b' '\\n' \"$HOME\" é '' \"two\nlines\" `echo x` $(echo \"y\") '%d' '\\\\'"
	for _, shell := range []string{"/bin/sh", "/bin/bash", "/usr/bin/fish", "/usr/bin/tcsh"} {
		t.Run(filepath.Base(shell), func(t *testing.T) {
			if _, err := os.Stat(shell); err != nil {
				t.Skip(err)
			}
			s := newSite(t, 1, transporttest.Options{}, transporttest.Options{Shell: shell})
			c := dial(t, s.dialer(t), s.targets[0])
			want := "it's|a\\b|a!b|\\n|" + s.hosts[0].Home() + "|é||two\nlines|x|y|%d|\\\\|"
			got, err := output(t, c, odd, "")
			if err != nil || got != want {
				t.Errorf("got %q, %v\nwant %q", got, err, want)
			}
		})
	}
}

func TestCancellingEndsADialAtOnce(t *testing.T) {
	for name, fault := range map[string]transporttest.Fault{
		"no banner":              transporttest.NoBanner,
		"a stalled key exchange": transporttest.StallInKeyExchange,
		"a stalled login":        transporttest.StallInLogin,
		"a stalled bastion":      transporttest.None,
	} {
		t.Run(name, func(t *testing.T) {
			bastion := transporttest.Options{}
			if fault == transporttest.None {
				bastion.Fault = transporttest.StallForwards
			}
			s := newSite(t, 1, bastion, transporttest.Options{Fault: fault})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			begin := time.Now()
			_, err := s.dialer(t).Dial(ctx, s.targets[0])
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestHostIsGrantedNothingThatItAsksFor(t *testing.T) {
	asks := transporttest.Options{Fault: transporttest.AskBack}
	s := newSite(t, 1, asks, asks)
	if got, err := output(t, dial(t, s.dialer(t), s.targets[0]), "echo served", ""); got != "served\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
