package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"muster/host/facts"
	"muster/internal/engine"
	"muster/internal/lang"
	"muster/internal/lang/plays"
	"muster/internal/launch"
	"muster/tests/program"
	"muster/transport"
	"muster/transport/ssh"
	"muster/transport/transporttest"
)

// counted counts the round trips of one connection after its login: each
// command that is started (its channel has to be opened), and each time that
// something is sent after something was received. Answers come late, as if from
// far away: what is sent without waiting for them has been sent by then.
type counted struct {
	transport.Conn
	mu       sync.Mutex
	trips    int
	sent     int64
	last     time.Time // when something was sent
	received bool
}

// far is how long an answer is under way after the last that was sent.
const far = 100 * time.Millisecond

func (c *counted) Start(ctx context.Context, command string) (*transport.Process, error) {
	p, err := c.Conn.Start(ctx, command)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.trips++
	c.last = time.Now()
	c.mu.Unlock()
	p.Stdout, p.Stdin = reader{p.Stdout, c}, writer{p.Stdin, c}
	return p, nil
}

type reader struct {
	io.Reader
	c *counted
}

func (r reader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	for wait := far - time.Since(r.c.last); wait > 0; wait = far - time.Since(r.c.last) {
		r.c.mu.Unlock()
		time.Sleep(wait)
		r.c.mu.Lock()
	}
	r.c.received = true
	return n, err
}

type writer struct {
	io.WriteCloser
	c *counted
}

func (w writer) Write(b []byte) (int, error) {
	w.c.mu.Lock()
	w.c.sent += int64(len(b))
	if w.c.received {
		w.c.trips++
	}
	w.c.received = false
	w.c.last = time.Now()
	w.c.mu.Unlock()
	return w.WriteCloser.Write(b)
}

// fresh are remotes built from the source as it is: what is embedded may be
// older.
type fresh struct{}

func (fresh) Arches() []string                          { return []string{runtime.GOARCH} }
func (fresh) Open(goarch string) (launch.Binary, error) { return built.open(goarch) }

func TestEmbeddedRemoteIsBuiltFromThisSource(t *testing.T) {
	program.Sources(t, "muster/cmd/muster-remote")
	for _, arch := range (remotes{}).Arches() {
		if _, err := embedded.ReadFile("remotes/linux-" + arch + ".sum"); err != nil {
			continue // none is embedded: muster builds it when it is needed
		}
		have, err := remotes{}.Open(arch)
		if err != nil {
			t.Fatal(err)
		}
		want, err := built.open(arch)
		if err != nil {
			t.Fatal(err)
		}
		if have.Sum != want.Sum {
			t.Errorf("the embedded remote for %s isn't built from this source: run make build", arch)
		}
	}
}

// planOver plans a playbook over an SSH connection and returns its counts.
func planOver(t *testing.T, server *transporttest.Server, playbook string, apply bool) (*counted, *engine.Summary) {
	t.Helper()
	program.Sources(t, "muster/cmd/muster-remote")
	dir := t.TempDir()
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte(server.KnownHosts("web1")), 0o600); err != nil {
		t.Fatal(err)
	}
	identity, _ := transporttest.NewIdentity(t)
	dialer := ssh.New(ssh.Options{ProjectKnownHosts: known, Home: dir, AgentSocket: "none"})
	defer dialer.Close()
	a := &app{}
	f := &plays.Fleet{Hosts: []plays.Host{{Name: "web1", Address: "web1"}}, Groups: map[string][]string{"all": {"web1"}}}
	pb, diags := lang.Load(playbook, plays.Options{Kinds: a.registry(), Fleet: f, Facts: factsType(), RequireValues: true})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	c := &counted{}
	failed := func(e engine.Event) {
		switch e := e.(type) {
		case *engine.HostEvent:
			t.Error(e.Error)
		case *engine.TaskEvent:
			if e.Error != "" {
				t.Error(e.Error)
			}
		}
	}
	run := engine.New(engine.Options{Playbook: pb, FactsType: factsType(), FactKeys: facts.Keys(), Kinds: a.registry(), Events: failed, Connect: func(ctx context.Context, host string, _ engine.Start) (engine.Stream, error) {
		target := server.Target(host)
		target.Identity = identity
		conn, err := dialer.Dial(ctx, target)
		if err != nil {
			return nil, err
		}
		c.Conn = conn
		started, err := launch.Start(ctx, c, launch.Options{Binaries: fresh{}})
		if err != nil {
			return nil, err
		}
		return &stream{conn: conn, remote: started}, nil
	}})
	defer run.Close()
	s := run.Plan(t.Context())
	if apply {
		s = run.Apply(t.Context())
	}
	return c, s
}

func TestUnchangedRunTakesAtMostFourRoundTripsAfterLogin(t *testing.T) {
	server := transporttest.New(t, transporttest.Options{})
	for _, tasks := range []int{10, 400} {
		dir := t.TempDir()
		playbook := filepath.Join(dir, "p.hcl")
		text := fmt.Sprintf(`
play "many" {
  hosts = ["all"]
  task "file" "f" {
    for_each = toset([for n in range(%d) : tostring(n)])
    path     = "%s/${each.key}"
    content  = "${host.facts.os.id} ${each.key}"
  }
}`, tasks, dir)
		if err := os.WriteFile(playbook, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, s := planOver(t, server, playbook, true); s.Outcome != engine.OutcomeChanged {
			t.Fatalf("%d tasks: the first run is %s", tasks, s.Outcome)
		}
		c, s := planOver(t, server, playbook, false)
		if s.Outcome != engine.OutcomeUnchanged || s.Hosts["web1"].Unchanged != tasks {
			t.Fatalf("%d tasks: the second run is %s: %+v", tasks, s.Outcome, s.Hosts["web1"])
		}
		t.Logf("%d unchanged tasks: %d round trips after login (at most 4), %d bytes sent", tasks, c.trips, c.sent)
		if c.trips > 4 {
			t.Errorf("%d unchanged tasks took %d round trips, want at most 4", tasks, c.trips)
		}
		if c.sent > int64(tasks)*1000+20000 {
			t.Errorf("%d unchanged tasks sent %d bytes: more than tasks went over the wire", tasks, c.sent)
		}
	}
}
