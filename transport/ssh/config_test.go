package ssh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"muster/transport"
	"muster/transport/ssh"
	"muster/transport/transporttest"
)

func TestSSHConfigIsHonouredForEachHop(t *testing.T) {
	identity, signer := transporttest.NewIdentity(t)
	only := transporttest.Options{Accept: []xssh.PublicKey{signer.PublicKey()}}
	host := transporttest.New(t, only)
	jump := transporttest.New(t, transporttest.Options{Accept: only.Accept, Forward: map[string]string{"10.9.9.9:2022": host.Addr()}})
	home := t.TempDir()
	dir := filepath.Join(home, ".ssh")
	os.Mkdir(dir, 0o700)
	at := jump.Target("jump")
	config := fmt.Sprintf(`Include more
# a comment
Match exec "touch %s/ran"
    User wrong
Match host db*,web* user root
    User wrong
Host jump
    HostName 127.0.0.1
    Port = %d
    IdentityFile "%s"
    Include none*
Host *
    IdentityFile ~/.ssh/absent
`, home, at.Port, identity)
	more := "Host db1 !db2\n  HostName 10.9.9.9\n  Port 2022\n  User ops\n  ProxyJump someone@jump\n  IdentityFile " + identity + "\n"
	os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600)
	os.WriteFile(filepath.Join(dir, "more"), []byte(more), 0o600)
	known := filepath.Join(home, "known_hosts")
	os.WriteFile(known, []byte(host.KnownHosts("db1")+jump.KnownHosts("jump")), 0o600)
	var mu sync.Mutex
	var warnings []string
	d := ssh.New(ssh.Options{Home: home, ProjectKnownHosts: known, AgentSocket: "none", Warn: func(m string) {
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, m)
	}})
	defer d.Close()
	c := dial(t, d, transport.Target{Name: "db1"})
	if out, err := output(t, c, "echo here", ""); out != "here\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(home, "ran")); err == nil {
		t.Error("Match exec ran a program")
	}
	if text := strings.Join(warnings, "\n"); len(warnings) != 2 || !strings.Contains(text, "config:3: this Match block is ignored") || !strings.Contains(text, "config:5:") {
		t.Errorf("warnings: %q", warnings)
	}
}

func TestAProxyJumpLoopIsNamed(t *testing.T) {
	home := t.TempDir()
	os.Mkdir(filepath.Join(home, ".ssh"), 0o700)
	os.WriteFile(filepath.Join(home, ".ssh", "config"), []byte("Host *\n  ProxyJump nat\n"), 0o600)
	d := ssh.New(ssh.Options{Home: home, AgentSocket: "none"})
	defer d.Close()
	_, err := d.Dial(t.Context(), transport.Target{Name: "db1"})
	var u *transport.UnreachableError
	if !errors.As(err, &u) || u.Stage != transport.StageSettings || !strings.Contains(err.Error(), "loop: db1 → nat → nat") {
		t.Errorf("got %v", err)
	}
}

func privateKeys(t *testing.T, n int) (keys []ed25519.PrivateKey, publics []xssh.PublicKey) {
	t.Helper()
	for range n {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := xssh.NewSignerFromKey(private)
		if err != nil {
			t.Fatal(err)
		}
		keys, publics = append(keys, private), append(publics, s.PublicKey())
	}
	return keys, publics
}

func writeKey(t *testing.T, file string, key ed25519.PrivateKey, passphrase string) {
	t.Helper()
	block, err := xssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = xssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	os.MkdirAll(filepath.Dir(file), 0o700)
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKeys(t *testing.T) {
	keys, publics := privateKeys(t, 13)
	for _, c := range []struct {
		name     string
		agent    []ed25519.PrivateKey
		hang     bool
		accept   int                // index of the key that the host takes
		identity ed25519.PrivateKey // the target's own
		locked   bool               // it is encrypted
		standard ed25519.PrivateKey // ~/.ssh/id_ed25519
		want     string             // in the error; "" logs in
	}{
		{name: "a key of the agent", agent: keys[:3], accept: 2},
		{name: "the identity before twelve keys of the agent", agent: keys[:12], accept: 12, identity: keys[12]},
		{name: "the default key beside twelve keys of the agent", agent: keys[:12], accept: 12, standard: keys[12]},
		{name: "at most five keys", agent: keys[:12], accept: 11, want: "more than five keys"},
		{name: "a hanging agent and a default key", hang: true, accept: 0, standard: keys[0]},
		{name: "an encrypted identity that the agent holds", agent: keys[:12], accept: 11, identity: keys[11], locked: true},
		{name: "an encrypted identity that nobody holds", accept: 0, identity: keys[0], locked: true, want: "ssh-add"},
		{name: "no key at all", accept: 0, want: "no key to log in with"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := transporttest.New(t, transporttest.Options{Accept: publics[c.accept : c.accept+1]})
			home := t.TempDir()
			o := ssh.Options{Home: home, ProjectKnownHosts: filepath.Join(home, "known"), AgentSocket: "none"}
			os.WriteFile(o.ProjectKnownHosts, []byte(server.KnownHosts("h1")), 0o600)
			if c.agent != nil || c.hang {
				a := transporttest.NewAgent(t, c.agent...)
				if c.hang {
					a.Freeze()
					o.Timeouts.Agent = 300 * time.Millisecond
				}
				o.AgentSocket = a.Socket
			}
			target := server.Target("h1")
			passphrase := ""
			if c.locked {
				passphrase = "secret"
			}
			if c.identity != nil {
				target.Identity = filepath.Join(home, "identity")
				writeKey(t, target.Identity, c.identity, passphrase)
			}
			if c.standard != nil {
				writeKey(t, filepath.Join(home, ".ssh", "id_ed25519"), c.standard, "")
			}
			d := ssh.New(o)
			defer d.Close()
			conn, err := d.Dial(t.Context(), target)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				conn.Close()
				return
			}
			var u *transport.UnreachableError
			if !errors.As(err, &u) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestTargetsThatAreNone(t *testing.T) {
	d := ssh.New(ssh.Options{Home: t.TempDir(), AgentSocket: "none"})
	defer d.Close()
	for _, target := range []transport.Target{
		{Name: ""}, {Name: "-oProxyCommand=x"}, {Name: "a b"}, {Name: "a\nb"}, {Name: "a;id"}, {Name: "$(id)"}, {Name: "a\u202eb"}, {Name: "a\x00"},
		{Name: "a", Address: "-x"}, {Name: "a", Address: "x y"}, {Name: "a", Address: "x\n"}, {Name: "a", Address: "`id`"}, {Name: "a", Address: "x/y"},
		{Name: "a", User: "-l"}, {Name: "a", User: "a b"}, {Name: "a", User: "a\x1b"}, {Name: "a", Port: -1}, {Name: "a", Port: 70000},
		{Name: "a", Via: &transport.Target{Name: "-b"}},
	} {
		_, err := d.Dial(t.Context(), target)
		var u *transport.UnreachableError
		if !errors.As(err, &u) || u.Stage != transport.StageSettings {
			t.Errorf("%+v: %v", target, err)
		}
	}
}
