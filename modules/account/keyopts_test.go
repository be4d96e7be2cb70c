package account

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/modules"
	"muster/modules/modulestest"
	"muster/tests/await"
)

// optionCase is options, and what is said of them.
type optionCase struct {
	options string
	want    string // of the error; "" where they are taken
	strict  bool   // sshd takes the line, which then means something else than it says
}

// optionCases name every option, and the ways to write one wrongly.
func optionCases() []optionCase {
	return []optionCase{
		{options: "restrict"},
		{options: "RESTRICT,PTY"},
		{options: "no-pty,no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc"},
		{options: "restrict,pty,port-forwarding,agent-forwarding,x11-forwarding,user-rc"},
		{options: "no-touch-required,touch-required,verify-required,no-verify-required"},
		{options: "restrict,restrict"},
		{options: "restrict,"},
		{options: ",restrict"},
		{options: "restrict,,pty"},
		{options: "cert-authority"},
		{options: `cert-authority,principals="a,b"`},
		{options: "cert-autority", want: `"cert-autority" is no option`},
		{options: "no-ptyy", want: `"no-ptyy" is no option`},
		{options: "no-restrict", want: `"no-restrict" is no option`},
		{options: "no-cert-authority", want: "is no option"},
		{options: "no-x11-fowarding", want: "is no option"},
		{options: "nopty", want: "is no option"},
		{options: "ports-forwarding", want: "is no option"},
		{options: "allow-root", want: "is no option"},
		{options: "restrict=yes", want: "takes no value"},
		{options: `no-pty="yes"`, want: "takes no value"},
		{options: "restrict;pty", want: "is no option"},

		{options: `command="echo \"a, b\" c\\d"`},
		{options: `command=""`},
		{options: "command", want: "double quotes"},
		{options: "command=ls", want: "double quotes"},
		{options: "command='ls'", want: "double quotes"},
		{options: `command="a"b`, want: "comma has to stand"},
		{options: `command="a"no-pty`, want: "comma has to stand"},
		{options: `command="a",command="b"`, want: "stands twice"},

		{options: `principals="a"`, want: `goes with "cert-authority"`},
		{options: `cert-authority,principals="a",principals="b"`, want: "stands twice"},
		{options: `cert-authority,principals=""`, want: "empty name", strict: true},
		{options: `cert-authority,principals="a,,b"`, want: "empty name", strict: true},

		{options: `expiry-time="20310101"`},
		{options: `expiry-time="203101010102Z"`},
		{options: `expiry-time="20310101010203utc"`},
		{options: `expiry-time="20310230"`},
		{options: `expiry-time="2031-01-01"`, want: "is no time"},
		{options: `expiry-time="20311301"`, want: "is no time"},
		{options: `expiry-time="20310132"`, want: "is no time"},
		{options: `expiry-time="203101012500"`, want: "is no time"},
		{options: `expiry-time="2031010101"`, want: "is no time"},
		{options: `expiry-time="+52w"`, want: "is no time"},
		{options: `expiry-time="never"`, want: "is no time"},
		{options: `expiry-time=""`, want: "is no time"},
		{options: `expiry-time="19700101Z"`, want: "before 1971"},
		{options: `expiry-time="19650101Z"`, want: "before 1971"},

		{options: `environment="A=b c"`},
		{options: `environment="A_1="`},
		{options: `environment="A=1",environment="A=2"`},
		{options: `environment="A"`, want: "NAME=VALUE"},
		{options: `environment="A-B=1"`, want: "NAME=VALUE"},
		{options: `environment="=1"`, want: "NAME=VALUE"},
		{options: `environment=A=1`, want: "double quotes"},

		{options: `permitopen="db:3306",permitopen="[::1]:80",permitopen="*:*"`},
		{options: `permitopen="host/80"`},
		{options: `permitopen="db"`, want: "names no port"},
		{options: `permitopen="db:"`, want: "is no port"},
		{options: `permitopen="db:0"`, want: "is no port"},
		{options: `permitopen="db:65536"`, want: "is no port"},
		{options: `permitopen="::1:80"`, want: "is no port"},
		{options: `permitopen="[::1]80"`, want: "is no host and port"},
		{options: `permitopen="[::1:80"`, want: "is no host and port"},
		{options: `permitopen="3306"`, want: "names no port"},
		{options: `permitlisten="8080",permitlisten="localhost:8080",permitlisten="*"`},
		{options: `permitlisten="0"`, want: "is no port"},
		{options: `permitlisten="localhost:-1"`, want: "is no port"},

		{options: `tunnel="0"`},
		{options: `tunnel="any"`},
		{options: `tunnel="2147483645"`},
		{options: `tunnel="2147483646"`, want: "no number of a tun device"},
		{options: `tunnel="-1"`, want: "no number of a tun device"},
		{options: `tunnel="tun0"`, want: "no number of a tun device"},
		{options: `tunnel=""`, want: "no number of a tun device"},

		{options: `from="192.0.2.1"`},
		{options: `from="192.0.2.0/24,2001:db8::/32,*.example.com,!bad.example.com"`},
		{options: `from="192.0.2.?,198.51.100.*"`},
		{options: `from="192.0.2/32"`},
		{options: `from="0xc0.0.01000/24"`},
		{options: `from="192.0.2.0/33"`, want: "has 32 bits"},
		{options: `from="192.0.2.1/24"`, want: "write 192.0.2.0/24"},
		{options: `from="2001:db8::1/32"`, want: "write 2001:db8::/32"},
		{options: `from="2001:db8::/129"`, want: "has 128 bits", strict: true},
		{options: `from="10/8"`, want: "bits set behind the first 8"},
		{options: `from=""`, want: "the list is empty"},
		{options: `from="192.0.2.1,"`, want: "has an empty entry"},
		{options: `from="192.0.2.1,,192.0.2.2"`, want: "has an empty entry"},
		{options: `from="!"`, want: "has an empty entry"},
		{options: `from="192.0.2.1",from="192.0.2.2"`, want: "stands twice"},
		{options: `from=192.0.2.1`, want: "double quotes"},
		{options: `from="192.0.2.0/255.255.255.0"`, want: "is no network", strict: true},
		{options: `from="192.0.2.0/24/8"`, want: "is no network", strict: true},
		{options: `from="*.example.com/24"`, want: "is no network", strict: true},
		{options: `from="192.0.2.1, 192.0.2.2"`, want: "leave out the spaces", strict: true},
		{options: `from="192.0.2.1 192.0.2.2"`, want: "leave out the spaces", strict: true},
		{options: `from="!192.0.2.1"`, want: "only excludes", strict: true},
	}
}

func TestOptionsThatLockAKeyOutAreRefused(t *testing.T) {
	reg := modules.NewRegistry(Kinds()...)
	for _, c := range optionCases() {
		for _, way := range []map[string]any{
			{"user": "a", "keys": []any{aKey}, "options": c.options},
			{"user": "a", "keys": []any{c.options + " " + aKey}},
		} {
			_, errs := reg.Decode("authorized_key", way)
			got := fmt.Sprint(errs)
			if c.want == "" && len(errs) > 0 || c.want != "" && (len(errs) != 1 || !strings.Contains(got, c.want)) {
				t.Errorf("%s: got %s, want %q", c.options, got, c.want)
			}
		}
	}
	_, errs := reg.Decode("authorized_key", map[string]any{"user": "a", "keys": []any{aKey}, "options": "no-ptyy"})
	if len(errs) != 1 || errs[0].Hint != `Did you mean "no-pty"?` {
		t.Errorf("got %+v", errs)
	}
}

// The verdict of each case is held against a real sshd's: it is offered a file
// with all of them, and its log says which lines it refused.
func TestOptionsAreReadAsSshdReadsThem(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("runs sshd: runs on the lab's hosts")
	}
	d := newSshd(t, "mtopts", "StrictModes yes")
	var file strings.Builder
	// All lines are another's, so that sshd reads on to the end. It looks at
	// "from" and principals only where the key is the one that logs in, which
	// they all keep out.
	for _, c := range optionCases() {
		key := aKey
		if strings.HasPrefix(c.options, "from") || strings.HasPrefix(c.options, "principals") {
			key = d.key
		}
		fmt.Fprintf(&file, "%s %s\n", c.options, key)
	}
	log := d.login(t, file.String(), true)
	for i, c := range optionCases() {
		at := fmt.Sprintf("%s:%d: ", d.file, i+1)
		var refused []string
		for line := range strings.SplitSeq(log, "\n") {
			_, says, ours := strings.Cut(line, at)
			if ours && (strings.HasPrefix(says, "bad key options") || strings.HasPrefix(says, "invalid from criteria") || strings.HasPrefix(says, "principals on non-CA key")) {
				refused = append(refused, says)
			}
		}
		_, err := readOptions(c.options)
		if want := err != nil && !c.strict; want != (len(refused) > 0) {
			t.Errorf("%s: muster says %v, sshd %q", c.options, err, refused)
		}
	}
}

// sshd is a real sshd on loopback, and a user with a key.
type sshd struct {
	user, key, file string
	dir             string
	port            string
}

// newSshd starts an sshd with lines of configuration for a new user.
func newSshd(t *testing.T, user, config string) *sshd {
	t.Helper()
	d := &sshd{user: user, dir: t.TempDir(), file: "/home/" + user + "/.ssh/authorized_keys"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, d.port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	sh(t, fmt.Sprintf(`! id %[1]s >/dev/null 2>&1 || userdel -rf %[1]s 2>/dev/null; rm -rf /home/%[1]s; useradd -m -s /bin/sh %[1]s; usermod -p '*' %[1]s; chmod 0755 /home/%[1]s
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f %[2]s/host; ssh-keygen -q -t ed25519 -N '' -C '' -f %[2]s/id
cat > %[2]s/config <<END
Port %[3]s
ListenAddress 127.0.0.1
HostKey %[2]s/host
PidFile none
UsePAM no
LogLevel DEBUG1
%[4]s
END
echo "[127.0.0.1]:%[3]s $(cat %[2]s/host.pub)" > %[2]s/known`, user, d.dir, d.port, config))
	data, err := os.ReadFile(filepath.Join(d.dir, "id.pub"))
	if err != nil {
		t.Fatal(err)
	}
	d.key = strings.TrimSpace(string(data))
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-f", d.dir+"/config", "-E", d.dir+"/log")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); sh(t, "userdel -rf "+user+" 2>/dev/null || true") })
	listens := await.True(t.Context(), func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+d.port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if !listens {
		log, _ := os.ReadFile(d.dir + "/log")
		t.Fatalf("sshd doesn't listen:\n%s", log)
	}
	return d
}

// login offers the key to sshd and returns what it logged. With content, that
// is what the user's file holds. refused says what is expected.
func (d *sshd) login(t *testing.T, content string, refused bool) string {
	t.Helper()
	if content != "" {
		sh(t, fmt.Sprintf("install -d -m 0700 -o %[1]s -g %[1]s /home/%[1]s/.ssh; rm -f %[2]s", d.user, d.file))
		if err := os.WriteFile(d.file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		sh(t, "chown "+d.user+": "+d.file)
	}
	if err := os.Truncate(d.dir+"/log", 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ssh", "-F", "none", "-i", d.dir+"/id", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile="+d.dir+"/known",
		"-p", d.port, d.user+"@127.0.0.1", "true").CombinedOutput()
	log, rerr := os.ReadFile(d.dir + "/log")
	if rerr != nil {
		t.Fatal(rerr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if (err != nil) != refused {
		t.Errorf("the login: %v, %s\n%s", err, out, lastWords(string(log)))
	}
	return string(log)
}

// lastWords are the lines of a log that say something.
func lastWords(log string) string {
	var all []string
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "debug1") {
			all = append(all, line)
		}
	}
	return strings.Join(all, "")
}
