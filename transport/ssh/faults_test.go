package ssh_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/tests/await"
	"muster/transport"
	"muster/transport/ssh"
	"muster/transport/transporttest"
)

// short are timeouts that a test can wait for.
func short() ssh.Timeouts {
	d := 700 * time.Millisecond
	return ssh.Timeouts{Connect: d, Handshake: d, Login: d, Request: d, Keepalive: 200 * time.Millisecond, Silence: 500 * time.Millisecond}
}

func TestHostsThatMisbehaveAreUnreachableInTime(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault transporttest.Fault
		stage transport.Stage
		want  string
	}{
		{"no banner", transporttest.NoBanner, transport.StageHandshake, "sends no SSH banner"},
		{"10 MB before the banner", transporttest.Flood, transport.StageHandshake, "no SSH banner"},
		{"another protocol", transporttest.Junk, transport.StageHandshake, "HTTP/1.1 400 Bad Request"},
		{"a stall in the key exchange", transporttest.StallInKeyExchange, transport.StageHandshake, "stalled in the key exchange"},
		{"a stall in the login", transporttest.StallInLogin, transport.StageAuthentication, "stalled in the authentication"},
		{"no key accepted", transporttest.RefuseKeys, transport.StageAuthentication, "SHA256:"},
	} {
		for _, behind := range []string{"direct", "behind a bastion"} {
			t.Run(c.name+", "+behind, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, 2, transporttest.Options{}, transporttest.Options{})
				s.options.Timeouts = short()
				s.hosts[0].SetFault(c.fault)
				target := s.targets[0]
				if behind == "direct" {
					target = s.hosts[0].Target("h1")
					target.Identity = s.identity
				}
				d := s.dialer(t)
				begin := time.Now()
				_, err := d.Dial(t.Context(), target)
				var u *transport.UnreachableError
				if !errors.As(err, &u) || u.Stage != c.stage || u.Host != "h1" || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v", err)
				}
				var b *transport.BastionError
				if errors.As(err, &b) {
					t.Errorf("the bastion is blamed: %v", err)
				}
				if took := time.Since(begin); took > 12*time.Second {
					t.Errorf("it took %v", took)
				}
				dial(t, d, s.targets[1]) // others are not held up
			})
		}
	}
}

func TestAHostThatIsResetIsTriedAgain(t *testing.T) {
	s := newSite(t, 1, transporttest.Options{}, transporttest.Options{Fault: transporttest.Reset})
	go func() {
		await.True(t.Context(), func() bool { return s.hosts[0].Connections() >= 2 })
		s.hosts[0].SetFault(transporttest.None)
	}()
	target := s.hosts[0].Target("h1")
	target.Identity = s.identity
	dial(t, s.dialer(t), target)
}

func TestStartsThatFail(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault transporttest.Fault
		lost  bool
		want  string
	}{
		{"a stall after the login", transporttest.StallAfterLogin, true, ""},
		{"sessions refused", transporttest.RefuseSessions, false, "opens no session"},
		{"no exit status", transporttest.ExitSilently, true, "end is not known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, 1, transporttest.Options{}, transporttest.Options{Fault: c.fault})
			s.options.Timeouts = short()
			conn := dial(t, s.dialer(t), s.targets[0])
			_, err := output(t, conn, "echo hello", "")
			if err == nil || errors.Is(err, transport.ErrLost) != c.lost || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAHalfOpenConnectionIsNoticed(t *testing.T) {
	for _, where := range []string{"host", "bastion"} {
		t.Run(where, func(t *testing.T) {
			s := newSite(t, 1, transporttest.Options{}, transporttest.Options{})
			s.options.Timeouts = short()
			conn := dial(t, s.dialer(t), s.targets[0])
			p, err := conn.Start(t.Context(), "sleep 60")
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if where == "host" {
				s.hosts[0].Freeze()
			} else {
				s.bastion.Freeze()
			}
			if err := p.Wait(); !errors.Is(err, transport.ErrLost) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			if _, err := conn.Start(t.Context(), "true"); !errors.Is(err, transport.ErrLost) {
				t.Errorf("then %v", err)
			}
		})
	}
}

func TestABastionThatDiesIsConnectedToOnceAgain(t *testing.T) {
	s := newSite(t, 6, transporttest.Options{}, transporttest.Options{})
	d := s.dialer(t)
	lost := dial(t, d, s.targets[0])
	s.bastion.Cut()
	if _, err := output(t, lost, "true", ""); !errors.Is(err, transport.ErrLost) {
		t.Errorf("got %v", err)
	}
	var wg sync.WaitGroup
	for _, target := range s.targets {
		wg.Go(func() {
			c, err := d.Dial(t.Context(), target)
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	wg.Wait()
	if n := s.bastion.Connections(); n != 2 {
		t.Errorf("%d connections to the bastion, want 2", n)
	}
}

func TestABastionThatIsDownIsSaidOnce(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*site)
		want  string
	}{
		"stopped":         {func(s *site) { s.bastion.Close() }, "connection refused"},
		"refuses the key": {func(s *site) { s.bastion.SetFault(transporttest.RefuseKeys) }, "accepts none of the keys"},
		"has a new key":   {func(s *site) { forget(s, "nat") }, "muster trust nat"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 6, transporttest.Options{}, transporttest.Options{})
			c.spoil(s)
			sameBastionError(t, s, c.want)
			if n := s.bastion.Connections(); n > 1 {
				t.Errorf("%d connections to the bastion", n)
			}
		})
	}
	t.Run("forwards nothing", func(t *testing.T) {
		s := newSite(t, 6, transporttest.Options{DenyForwarding: true}, transporttest.Options{})
		sameBastionError(t, s, "AllowTcpForwarding")
	})
}

func sameBastionError(t *testing.T, s *site, want string) {
	t.Helper()
	d := s.dialer(t)
	var mu sync.Mutex
	errs := map[*transport.BastionError]bool{}
	var wg sync.WaitGroup
	for _, target := range s.targets {
		wg.Go(func() {
			_, err := d.Dial(t.Context(), target)
			var u *transport.UnreachableError
			var b *transport.BastionError
			if !errors.As(err, &u) || u.Host != target.Name || u.Stage != transport.StageBastion || !errors.As(err, &b) ||
				b.Bastion != "nat" || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
				return
			}
			mu.Lock()
			errs[b] = true
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(errs) != 1 {
		t.Errorf("%d different errors", len(errs))
	}
}

// forget takes name out of the known hosts.
func forget(s *site, name string) {
	data, _ := os.ReadFile(s.options.ProjectKnownHosts)
	var kept strings.Builder
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, name+" ") {
			kept.WriteString(line)
		}
	}
	os.WriteFile(s.options.ProjectKnownHosts, []byte(kept.String()), 0o644)
}

func TestADeadHostIsNotTheBastionsFault(t *testing.T) {
	s := newSite(t, 2, transporttest.Options{}, transporttest.Options{})
	s.hosts[0].Close()
	d := s.dialer(t)
	_, err := d.Dial(t.Context(), s.targets[0])
	var u *transport.UnreachableError
	if !errors.As(err, &u) || u.Stage != transport.StageConnect || !strings.Contains(err.Error(), "10.0.1.11:22 through nat") {
		t.Errorf("got %v", err)
	}
	dial(t, d, s.targets[1])
}

func TestAWrongKeyStopsBeforeTheWholeFleetRefusedIt(t *testing.T) {
	s := newSite(t, 9, transporttest.Options{}, transporttest.Options{Fault: transporttest.RefuseKeys})
	s.options.RefusedLogins = 3
	d := s.dialer(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	untried := 0
	for _, target := range s.targets {
		wg.Go(func() {
			_, err := d.Dial(t.Context(), target)
			var u *transport.UnreachableError
			if !errors.As(err, &u) || u.Stage != transport.StageAuthentication {
				t.Errorf("got %v", err)
				return
			}
			if strings.Contains(err.Error(), "not tried") {
				mu.Lock()
				untried++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if untried != 6 {
		t.Errorf("%d hosts were not tried, want 6", untried)
	}
}

func TestBastionsBehindBastions(t *testing.T) {
	s := newSite(t, 1, transporttest.Options{}, transporttest.Options{})
	middle := transporttest.New(t, transporttest.Options{Forward: map[string]string{"10.0.1.11:22": s.hosts[0].Addr()}})
	outer := transporttest.New(t, transporttest.Options{})
	known, _ := os.ReadFile(s.options.ProjectKnownHosts)
	os.WriteFile(s.options.ProjectKnownHosts, append(known, middle.KnownHosts("middle")+outer.KnownHosts("outer")...), 0o644)
	first, second, target := outer.Target("outer"), middle.Target("middle"), s.targets[0]
	first.Identity, second.Identity = s.identity, s.identity
	second.Via, target.Via = &first, &second
	c := dial(t, s.dialer(t), target)
	if out, err := output(t, c, "echo through", ""); out != "through\n" {
		t.Errorf("got %q, %v", out, err)
	}

	outer.Close()
	_, err := s.dialer(t).Dial(t.Context(), target)
	var b *transport.BastionError
	if !errors.As(err, &b) || b.Bastion != "outer" {
		t.Errorf("the outer bastion is down, got %v", err)
	}

	first.Via = &second
	_, err = s.dialer(t).Dial(t.Context(), target)
	if err == nil || !strings.Contains(err.Error(), "loop: h1 → middle → outer → middle") {
		t.Errorf("got %v", err)
	}
}
