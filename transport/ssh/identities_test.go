package ssh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	xssh "golang.org/x/crypto/ssh"

	"muster/transport"
	"muster/transport/ssh"
	"muster/transport/transporttest"
)

// userCertificate is a certificate for a user's key, as ssh-keygen writes it.
func userCertificate(t *testing.T, key xssh.PublicKey) *xssh.Certificate {
	t.Helper()
	keys, _ := privateKeys(t, 1)
	authority, err := xssh.NewSignerFromKey(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	cert := &xssh.Certificate{Key: key, CertType: xssh.UserCert, ValidPrincipals: []string{"ops"}, ValidBefore: xssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	return cert
}

// ssh_config(5) says which keys are offered, and where their files are.
func TestIdentitiesAreThoseOfOpenSSH(t *testing.T) {
	keys, publics := privateKeys(t, 3)
	file, standard, held := keys[0], keys[1], keys[2]
	cert := func(i int) xssh.PublicKey { return userCertificate(t, publics[i]) }
	t.Setenv("KEY_DIR", "keys")
	t.Setenv("PERCENT", "%h")
	for _, c := range []struct {
		name   string
		config string
		files  map[string]ed25519.PrivateKey
		public map[string]xssh.PublicKey
		accept xssh.PublicKey
		want   string // in the error; "" logs in
	}{
		{name: "the default files with IdentitiesOnly", config: "IdentitiesOnly yes", files: map[string]ed25519.PrivateKey{"id_ed25519": standard}, accept: publics[1]},
		{name: "none of the agent's with IdentitiesOnly", config: "IdentitiesOnly yes", files: map[string]ed25519.PrivateKey{"id_ed25519": standard}, accept: publics[2], want: "accepts none of the keys"},
		{name: "the agent's whose public half lies there, with IdentitiesOnly", config: "IdentitiesOnly yes", public: map[string]xssh.PublicKey{"id_rsa.pub": publics[2]}, accept: publics[2]},
		{name: "the agent's that IdentityFile names by its public half", config: "IdentitiesOnly yes\nIdentityFile ~/.ssh/away", public: map[string]xssh.PublicKey{"away.pub": publics[2]}, accept: publics[2]},
		{name: "no default file beside an IdentityFile", config: "IdentityFile ~/.ssh/file", files: map[string]ed25519.PrivateKey{"file": file, "id_ed25519": standard}, accept: publics[1], want: "accepts none of the keys"},
		{name: "no default file with IdentityFile none", config: "IdentityFile none", files: map[string]ed25519.PrivateKey{"id_ed25519": standard}, accept: publics[1], want: "accepts none of the keys"},
		{name: "the agent's with IdentityFile none", config: "IdentityFile none", accept: publics[2]},
		{name: "a path with tokens", config: "IdentityFile %d/.ssh/%n-%p-%r-%k%%", files: map[string]ed25519.PrivateKey{"h1-PORT-ops-h1%": file}, accept: publics[0]},
		{name: "a path with variables of the environment", config: "IdentityFile ~/.ssh/${KEY_DIR}/file", files: map[string]ed25519.PrivateKey{"keys/file": file}, accept: publics[0]},
		{name: "a variable's value is taken as it is", config: "IdentityFile ~/.ssh/${PERCENT}", files: map[string]ed25519.PrivateKey{"%h": file}, accept: publics[0]},
		{name: "a variable that isn't set", config: "IdentityFile ~/.ssh/${NO_SUCH_VARIABLE}", accept: publics[0], want: "IdentityFile ~/.ssh/${NO_SUCH_VARIABLE} is ignored: the environment has no NO_SUCH_VARIABLE"},
		{name: "a token that is none", config: "IdentityFile ~/.ssh/%z", accept: publics[0], want: `"%z" is no token`},
		{name: "a certificate for an IdentityFile", config: "IdentityFile ~/.ssh/file\nCertificateFile ~/.ssh/${KEY_DIR}/c.pub", files: map[string]ed25519.PrivateKey{"file": file}, public: map[string]xssh.PublicKey{"keys/c.pub": nil}, accept: cert(0)},
		{name: "a certificate for a default file", config: "IdentitiesOnly yes\nCertificateFile ~/.ssh/c.pub", files: map[string]ed25519.PrivateKey{"id_ed25519": standard}, public: map[string]xssh.PublicKey{"c.pub": nil}, accept: cert(1)},
		{name: "a certificate for a key of the agent", config: "CertificateFile ~/.ssh/other.pub\nCertificateFile ~/.ssh/c.pub", public: map[string]xssh.PublicKey{"c.pub": nil}, accept: cert(2)},
		{name: "a certificate for no key", config: "CertificateFile ~/.ssh/c.pub\nIdentitiesOnly yes", public: map[string]xssh.PublicKey{"c.pub": nil}, accept: cert(0), want: "c.pub: there is no key that it is for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := transporttest.New(t, transporttest.Options{Accept: []xssh.PublicKey{c.accept}})
			home := t.TempDir()
			target := server.Target("h1")
			write := func(name string, data []byte) {
				t.Helper()
				name = filepath.Join(home, ".ssh", strings.ReplaceAll(name, "PORT", fmt.Sprint(target.Port)))
				if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, data, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			write("config", []byte("Host h1\n"+c.config+"\nHostName "+target.Address+"\nUser ops\n"))
			write("known", []byte(server.KnownHosts("h1")))
			for name, key := range c.files {
				writeKey(t, filepath.Join(home, ".ssh", strings.ReplaceAll(name, "PORT", fmt.Sprint(target.Port))), key, "")
			}
			for name, key := range c.public {
				if key == nil {
					key = c.accept
				}
				write(name, xssh.MarshalAuthorizedKey(key))
			}
			d := ssh.New(ssh.Options{Home: home, ProjectKnownHosts: filepath.Join(home, ".ssh", "known"), AgentSocket: transporttest.NewAgent(t, held).Socket})
			defer d.Close()
			conn, err := d.Dial(t.Context(), transport.Target{Name: "h1", Port: target.Port})
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
