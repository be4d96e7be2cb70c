package ssh_test

import (
	"errors"
	"strings"
	"testing"

	xssh "golang.org/x/crypto/ssh"

	"muster/transport"
	"muster/transport/ssh"
	"muster/transport/transporttest"
)

// A password is for hosts that take no key, is told to the host that it is for alone, and
// once.
func TestPasswordComesAfterKeys(t *testing.T) {
	for _, interactive := range []bool{false, true} {
		for word, want := range map[string]string{"right": "", "wrong": "refuses the password", "": "accepts none of the keys"} {
			server := transporttest.New(t, transporttest.Options{Accept: []xssh.PublicKey{}, Password: "right", Interactive: interactive})
			target := server.Target("h1")
			target.Identity, _ = transporttest.NewIdentity(t)
			asked := 0
			d := ssh.New(ssh.Options{Home: t.TempDir(), HostKeys: ssh.AcceptNew, AgentSocket: "none", Password: func(name string) (string, bool) {
				asked++
				return word, name == "h1" && word != ""
			}})
			defer d.Close()
			conn, err := d.Dial(t.Context(), target)
			if want == "" {
				if err != nil {
					t.Fatal(err)
				}
				conn.Close()
			} else if u := (*transport.UnreachableError)(nil); !errors.As(err, &u) || u.Stage != transport.StageAuthentication || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "wrong") {
				t.Errorf("with %q: %v", word, err)
			}
			if word != "" && asked != 1 {
				t.Errorf("the password %q was asked for %d times", word, asked)
			}
		}
	}
	server := transporttest.New(t, transporttest.Options{Password: "right"})
	target := server.Target("h1")
	target.Identity, _ = transporttest.NewIdentity(t)
	d := ssh.New(ssh.Options{Home: t.TempDir(), HostKeys: ssh.AcceptNew, AgentSocket: "none", Password: func(string) (string, bool) {
		t.Error("it was asked for though a key fits")
		return "", false
	}})
	defer d.Close()
	if conn, err := d.Dial(t.Context(), target); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
}
