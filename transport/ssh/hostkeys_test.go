package ssh_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"muster/transport"
	"muster/transport/ssh"
	"muster/transport/transporttest"
)

func line(key xssh.PublicKey) string { return string(xssh.MarshalAuthorizedKey(key)) }

func ecdsaSigner(t *testing.T) xssh.Signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := xssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// certified is key with a host certificate by authority.
func certified(t *testing.T, key, authority xssh.Signer, principal string, until time.Time) xssh.Signer {
	t.Helper()
	return certifiedAs(t, xssh.HostCert, key, authority, principal, until)
}

// certifiedAs is key with a certificate of a type.
func certifiedAs(t *testing.T, typ uint32, key, authority xssh.Signer, principal string, until time.Time) xssh.Signer {
	t.Helper()
	cert := &xssh.Certificate{Key: key.PublicKey(), CertType: typ, ValidPrincipals: []string{principal}, ValidBefore: uint64(until.Unix())}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	s, err := xssh.NewCertSigner(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hashed(name string) string {
	salt := []byte("12345678901234567890")
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return "|1|" + base64.StdEncoding.EncodeToString(salt) + "|" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestHostKeys(t *testing.T) {
	key, other, authority, stranger := transporttest.NewSigner(t), transporttest.NewSigner(t), transporttest.NewSigner(t), transporttest.NewSigner(t)
	second := ecdsaSigner(t)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	cases := []struct {
		name    string
		server  []xssh.Signer
		project string // PORT and ADDR are replaced
		user    string
		verdict transport.KeyVerdict // "" connects
		want    string
	}{
		{"known by name", []xssh.Signer{key}, "h1 " + line(key.PublicKey()), "", "", ""},
		{"known by address and port", []xssh.Signer{key}, "", "[127.0.0.1]:PORT " + line(key.PublicKey()), "", ""},
		{"known by a hashed address", []xssh.Signer{key}, "", "HASHED " + line(key.PublicKey()), "", ""},
		{"known by a pattern", []xssh.Signer{key}, "h?,!h2 " + line(key.PublicKey()), "", "", ""},
		{"unknown", []xssh.Signer{key}, "h2 " + line(key.PublicKey()), "127.0.0.1 " + line(key.PublicKey()), transport.KeyUnknown, "muster trust h1"},
		{"changed", []xssh.Signer{key}, "# comment\nh1 " + line(other.PublicKey()), "", transport.KeyChanged, ":2)"},
		{"the project speaks before the user", []xssh.Signer{key}, "h1 " + line(other.PublicKey()), "[127.0.0.1]:PORT " + line(key.PublicKey()), transport.KeyChanged, ""},
		{"an Ed25519 key known and another type preferred by the server", []xssh.Signer{second, key}, "h1 " + line(key.PublicKey()), "", "", ""},
		{"a new type beside the known key", []xssh.Signer{key, second}, "h1 " + line(second.PublicKey()), "", "", ""},
		{"a new type instead of the known key", []xssh.Signer{second}, "h1 " + line(key.PublicKey()), "", transport.KeyChanged, ""},
		{"revoked", []xssh.Signer{key}, "h1 " + line(key.PublicKey()) + "@revoked * " + line(key.PublicKey()), "", transport.KeyRevoked, ":2)"},
		{"a malformed line elsewhere", []xssh.Signer{key}, "h2 ssh-ed25519 nonsense\nh1 " + line(key.PublicKey()), "", "", ""},
		{"an authority", []xssh.Signer{certified(t, key, authority, "h1", soon)}, "@cert-authority h* " + line(authority.PublicKey()), "", "", ""},
		{"an unknown authority and a known key", []xssh.Signer{certified(t, key, stranger, "h1", soon)}, "h1 " + line(key.PublicKey()), "", "", ""},
		{"an unknown authority", []xssh.Signer{certified(t, key, stranger, "h1", soon)}, "@cert-authority * " + line(authority.PublicKey()), "", transport.KeyInvalid, "no authority"},
		{"an expired certificate", []xssh.Signer{certified(t, key, authority, "h1", past)}, "@cert-authority * " + line(authority.PublicKey()), "", transport.KeyInvalid, "expired"},
		{"a certificate for another host", []xssh.Signer{certified(t, key, authority, "h9", soon)}, "@cert-authority * " + line(authority.PublicKey()), "", transport.KeyInvalid, "principal"},
		{"a user's certificate", []xssh.Signer{certifiedAs(t, xssh.UserCert, key, authority, "h1", soon)}, "@cert-authority * " + line(authority.PublicKey()), "", transport.KeyInvalid, "a user's certificate"},
		{"revoked for another host", []xssh.Signer{key}, "h1 " + line(key.PublicKey()) + "@revoked h9 " + line(key.PublicKey()), "", transport.KeyRevoked, ":2)"},
		{"revoked in the user's file", []xssh.Signer{key}, "h1 " + line(key.PublicKey()), "@revoked * " + line(key.PublicKey()), transport.KeyRevoked, ""},
		{"a revoked key in a certificate", []xssh.Signer{certified(t, key, authority, "h1", soon)}, "@cert-authority * " + line(authority.PublicKey()) + "@revoked * " + line(key.PublicKey()), "", transport.KeyRevoked, ""},
		{"a revoked authority", []xssh.Signer{certified(t, key, authority, "h1", soon)}, "@cert-authority * " + line(authority.PublicKey()) + "@revoked * " + line(authority.PublicKey()), "", transport.KeyRevoked, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := transporttest.New(t, transporttest.Options{HostKeys: c.server})
			target := server.Target("h1")
			target.Identity, _ = transporttest.NewIdentity(t)
			dir := t.TempDir()
			project, user := filepath.Join(dir, "project"), filepath.Join(dir, "user")
			fill := strings.NewReplacer("PORT", fmt.Sprint(target.Port), "HASHED", hashed(fmt.Sprintf("[127.0.0.1]:%d", target.Port)))
			os.WriteFile(project, []byte(fill.Replace(c.project)), 0o644)
			os.WriteFile(user, []byte(fill.Replace(c.user)), 0o644)
			var warnings []string
			d := ssh.New(ssh.Options{Home: dir, ProjectKnownHosts: project, UserKnownHosts: []string{user}, AgentSocket: "none", Warn: func(m string) { warnings = append(warnings, m) }})
			defer d.Close()
			conn, err := d.Dial(t.Context(), target)
			if c.verdict == "" {
				if err != nil {
					t.Fatal(err)
				}
				conn.Close()
			} else {
				var u *transport.UnreachableError
				var h *transport.HostKeyError
				if !errors.As(err, &u) || u.Stage != transport.StageHostKey || !errors.As(err, &h) || h.Verdict != c.verdict || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v, want %s %q", err, c.verdict, c.want)
				}
				if c.verdict == transport.KeyChanged && (len(h.Known) == 0 || strings.Count(err.Error(), "SHA256:") < 2) {
					t.Errorf("not both fingerprints: %v", err)
				}
			}
			if strings.Contains(c.name, "malformed") && (len(warnings) != 1 || !strings.Contains(warnings[0], project+":1:")) {
				t.Errorf("warnings: %q", warnings)
			}
		})
	}
}

// Of two runs that accept a new key for one host at the same time the second, which has
// read known_hosts before the first has written to it, takes no other key.
func TestTheSecondOfTwoRunsTakesNoOtherNewKey(t *testing.T) {
	one, two := transporttest.New(t, transporttest.Options{}), transporttest.New(t, transporttest.Options{HostKeys: []xssh.Signer{transporttest.NewSigner(t)}})
	file := filepath.Join(t.TempDir(), "known_hosts")
	identity, _ := transporttest.NewIdentity(t)
	dialer := func() transport.Dialer {
		d := ssh.New(ssh.Options{Home: t.TempDir(), ProjectKnownHosts: file, HostKeys: ssh.AcceptNew, AgentSocket: "none"})
		t.Cleanup(func() { d.Close() })
		return d
	}
	dial := func(d transport.Dialer, s *transporttest.Server, name string) error {
		target := s.Target(name)
		target.Identity = identity
		conn, err := d.Dial(t.Context(), target)
		if err == nil {
			conn.Close()
		}
		return err
	}
	first, second := dialer(), dialer()
	for _, err := range []error{dial(second, one, "h2"), dial(first, one, "h1")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	known, _ := os.ReadFile(file)
	var h *transport.HostKeyError
	if err := dial(second, two, "h1"); !errors.As(err, &h) || h.Verdict != transport.KeyChanged {
		t.Errorf("it takes another key: %v", err)
	}
	if now, _ := os.ReadFile(file); string(now) != string(known) {
		t.Errorf("known_hosts is\n%s\nwas\n%s", now, known)
	}
	if err := dial(second, one, "h1"); err != nil {
		t.Errorf("nor the same: %v", err)
	}
}

// A key is added while no other run changes the file.
func TestAcceptingAKeyWaitsForWhoeverChangesTheFile(t *testing.T) {
	server := transporttest.New(t, transporttest.Options{})
	folder := t.TempDir()
	file := filepath.Join(folder, "known_hosts")
	lock, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	d := ssh.New(ssh.Options{Home: t.TempDir(), ProjectKnownHosts: file, HostKeys: ssh.AcceptNew, AgentSocket: "none"})
	defer d.Close()
	target := server.Target("h0")
	target.Identity, _ = transporttest.NewIdentity(t)
	dialed := make(chan error, 1)
	go func() {
		c, err := d.Dial(t.Context(), target)
		if err == nil {
			c.Close()
		}
		dialed <- err
	}()
	info, _ := lock.Stat()
	waits := regexp.MustCompile(fmt.Sprintf(`(?m)-> FLOCK .*:%d `, info.Sys().(*syscall.Stat_t).Ino))
	for {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		if waits.Match(locks) {
			break
		}
		select {
		case err := <-dialed:
			t.Fatalf("the lock isn't waited for: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	if data, err := os.ReadFile(file); err == nil {
		t.Errorf("added although another changes the file: %q", data)
	}
	lock.Close()
	if err := <-dialed; err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), "h0") {
		t.Errorf("not added: %q, %v", data, err)
	}
}

func TestTwoHundredHostsAreAcceptedAtOnce(t *testing.T) {
	server := transporttest.New(t, transporttest.Options{})
	file := filepath.Join(t.TempDir(), "inventory", "known_hosts")
	os.MkdirAll(filepath.Dir(file), 0o755)
	os.WriteFile(file, []byte("# no newline at the end"), 0o644)
	identity, _ := transporttest.NewIdentity(t)
	// Two dialers, as of two processes.
	var wg sync.WaitGroup
	for _, hosts := range []int{200, 40} {
		d := ssh.New(ssh.Options{Home: t.TempDir(), ProjectKnownHosts: file, HostKeys: ssh.AcceptNew, AgentSocket: "none"})
		defer d.Close()
		for i := range hosts {
			wg.Go(func() {
				target := server.Target(fmt.Sprintf("h%d", i))
				target.Identity = identity
				c, err := d.Dial(t.Context(), target)
				if err != nil {
					t.Error(err)
					return
				}
				c.Close()
			})
		}
	}
	wg.Wait()
	data, _ := os.ReadFile(file)
	names := map[string]int{}
	for text := range strings.Lines(string(data)) {
		if _, hosts, _, _, _, err := xssh.ParseKnownHosts([]byte(text)); err == nil {
			names[hosts[0]]++
		} else if !strings.HasPrefix(text, "#") {
			t.Errorf("a bad line: %q", text)
		}
	}
	for i := range 200 {
		if n := names[fmt.Sprintf("h%d", i)]; n != 1 {
			t.Errorf("h%d is there %d times", i, n)
		}
	}
	// They are strictly known from then on, and a change is refused even so.
	d := ssh.New(ssh.Options{Home: t.TempDir(), ProjectKnownHosts: file, HostKeys: ssh.AcceptNew, AgentSocket: "none"})
	defer d.Close()
	changed := transporttest.New(t, transporttest.Options{}).Target("h7")
	changed.Identity = identity
	_, err := d.Dial(t.Context(), changed)
	var h *transport.HostKeyError
	if !errors.As(err, &h) || h.Verdict != transport.KeyChanged {
		t.Errorf("got %v", err)
	}
}

func TestTrustReplacesTheKeyOfAHost(t *testing.T) {
	s := newSite(t, 1, transporttest.Options{}, transporttest.Options{})
	old := transporttest.NewSigner(t)
	forget(s, "h1")
	nat, _ := os.ReadFile(s.options.ProjectKnownHosts)
	before := string(nat) + "h1,h2 " + line(old.PublicKey()) + hashed("h1") + " " + line(old.PublicKey()) + "@cert-authority h1 " + line(old.PublicKey()) + "garbage"
	os.WriteFile(s.options.ProjectKnownHosts, []byte(before), 0o600)
	os.Chmod(s.options.ProjectKnownHosts, 0o600)
	d := s.dialer(t)
	key, err := d.FetchHostKey(t.Context(), s.targets[0])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(key.Fingerprint, "SHA256:") || key.Type != "ssh-ed25519" {
		t.Errorf("got %+v", key)
	}
	if s.hosts[0].Logins() != 0 {
		t.Error("it logged in to a host that is not trusted")
	}
	for range 2 { // trusting twice is trusting once
		if err := ssh.Trust(s.options.ProjectKnownHosts, "h1", key); err != nil {
			t.Fatal(err)
		}
	}
	after, _ := os.ReadFile(s.options.ProjectKnownHosts)
	want := string(nat) + "h2 " + line(old.PublicKey()) + "@cert-authority h1 " + line(old.PublicKey()) + "garbage\n" + s.hosts[0].KnownHosts("h1")
	if string(after) != want {
		t.Errorf("got\n%s\nwant\n%s", after, want)
	}
	if info, _ := os.Stat(s.options.ProjectKnownHosts); info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
	dial(t, s.dialer(t), s.targets[0])
	if err := ssh.Trust(s.options.ProjectKnownHosts, "h1\nevil", key); err == nil {
		t.Error("a name with a newline was written")
	}
}
