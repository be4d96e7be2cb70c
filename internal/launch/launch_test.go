package launch_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"muster/internal/launch"
	"muster/secret"
	"muster/transport"
	"muster/transport/local"
	"muster/transport/ssh"
	"muster/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// binaries is one remote for each kind of machine.
type binaries struct {
	launch.Binary
	arches []string
	opened int
}

func (b *binaries) Arches() []string { return b.arches }

func (b *binaries) Open(string) (launch.Binary, error) {
	b.opened++
	return b.Binary, nil
}

// newBinaries is a remote that is a shell script: it greets with its arguments
// and user, and repeats its input. version makes it another one.
func newBinaries(version string, padding int) *binaries {
	noise := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("#!/bin/sh\n# " + version + "\nprintf 'hello %s as %s\\n' \"$*\" \"$(id -un)\"\nexec cat\n#")
	for b.Len() < padding {
		b.WriteByte(byte('a' + noise.IntN(26)))
	}
	program := []byte(b.String() + "\n")
	sum := sha256.Sum256(program)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(program)
	w.Close()
	return &binaries{Binary: launch.Binary{Gzip: bytes.NewReader(packed.Bytes()), Packed: int64(packed.Len()), Sum: hex.EncodeToString(sum[:]), Size: int64(len(program))}, arches: []string{"amd64"}}
}

// dialHost logs in to a server within the test.
func dialHost(t *testing.T, o transporttest.Options) transport.Conn {
	t.Helper()
	server := transporttest.New(t, o)
	home := t.TempDir()
	known := filepath.Join(home, "known_hosts")
	if err := os.WriteFile(known, []byte(server.KnownHosts("h1")), 0o644); err != nil {
		t.Fatal(err)
	}
	target := server.Target("h1")
	target.Identity, _ = transporttest.NewIdentity(t)
	d := ssh.New(ssh.Options{Home: home, ProjectKnownHosts: known, AgentSocket: "none"})
	t.Cleanup(func() { d.Close() })
	c, err := d.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// works starts a remote, talks to it and hangs up.
func works(t *testing.T, conn transport.Conn, o launch.Options) *launch.Remote {
	t.Helper()
	r, err := launch.Start(t.Context(), conn, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	lines := bufio.NewReader(r.Stdout)
	line, err := lines.ReadString('\n')
	if want := "hello " + strings.Join(o.Args, " ") + " as root\n"; line != want {
		t.Fatalf("it says %q (%v), want %q; stderr: %s", line, err, want, r.Stderr())
	}
	io.WriteString(r.Stdin, "ping\x00\xff\n")
	if line, err := lines.ReadString('\n'); line != "ping\x00\xff\n" {
		t.Fatalf("it answers %q, %v", line, err)
	}
	r.Stdin.Close()
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	if err := r.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	return r
}

func TestARemoteIsSentOnceAndThenCached(t *testing.T) {
	conns := map[string]func() transport.Conn{
		"over SSH": func() transport.Conn { return dialHost(t, transporttest.Options{MaxSessions: 1}) },
		"on this machine": func() transport.Conn {
			c, err := local.Dialer{}.Dial(t.Context(), transport.Target{Name: "localhost", Local: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return c
		},
	}
	for name, connect := range conns {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a b", "cache")
			o := launch.Options{Binaries: newBinaries("1", 3<<20), Args: []string{"serve", "it's"}, Dirs: []string{dir}}
			conn := connect()
			if r := works(t, conn, o); !r.Uploaded || r.Path != filepath.Join(dir, r.Sum) {
				t.Errorf("at first: %+v", r)
			}
			if r := works(t, conn, o); r.Uploaded {
				t.Error("it was sent again")
			}
			o.Fresh = true
			if r := works(t, conn, o); !r.Uploaded {
				t.Error("a fresh one was not sent")
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 {
				t.Errorf("the folder holds %v, %v", entries, err)
			}
		})
	}
}

func TestAMachineWhoseRemoteIsNotAtHandIsAskedFor(t *testing.T) {
	b := newBinaries("1", 0)
	b.arches = nil
	o := launch.Options{Binaries: b, Dirs: []string{filepath.Join(t.TempDir(), "cache")}}
	conn := dialHost(t, transporttest.Options{})
	if r := works(t, conn, o); !r.Uploaded || b.opened != 1 {
		t.Errorf("uploaded %v, opened %d times", r.Uploaded, b.opened)
	}
	if r := works(t, conn, o); r.Uploaded {
		t.Error("it was sent again")
	}
}

func TestADamagedRemoteIsSentAgain(t *testing.T) {
	for name, damage := range map[string]func(file string) error{
		"cut short":          func(file string) error { return os.Truncate(file, 10) },
		"not executable":     func(file string) error { return os.Chmod(file, 0o600) },
		"writable by others": func(file string) error { return os.Chmod(file, 0o777) },
		"of another user":    func(file string) error { return os.Chown(file, 65534, 65534) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			o := launch.Options{Binaries: newBinaries("1", 0), Dirs: []string{dir}}
			conn := dialHost(t, transporttest.Options{})
			r := works(t, conn, o)
			if err := damage(r.Path); err != nil {
				t.Fatal(err)
			}
			if r := works(t, conn, o); !r.Uploaded {
				t.Error("the damaged one was run")
			}
		})
	}
}

func TestOldVersionsAreCleanedUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	conn := dialHost(t, transporttest.Options{})
	var paths []string
	for v := range 5 {
		r := works(t, conn, launch.Options{Binaries: newBinaries(fmt.Sprint(v), 0), Dirs: []string{dir}})
		when := time.Now().Add(time.Duration(v-10) * time.Minute)
		os.Chtimes(r.Path, when, when)
		paths = append(paths, r.Path)
	}
	for v, p := range paths {
		if _, err := os.Stat(p); (err == nil) != (v >= 2) {
			t.Errorf("version %d: %v", v, err)
		}
	}
}

func TestFoldersThatWontDoArePassedOver(t *testing.T) {
	base := t.TempDir()
	make := func(name string, how func(path string) error) string {
		p := filepath.Join(base, name)
		if err := how(p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	mkdir := func(p string) error { return os.Mkdir(p, 0o700) }
	bad := []string{
		make("link", func(p string) error { mkdir(p + "ed"); return os.Symlink(p+"ed", p) }),
		make("shared", func(p string) error { mkdir(p); return os.Chmod(p, 0o777) }),
		make("foreign", func(p string) error { mkdir(p); return os.Chown(p, 65534, 65534) }),
		make("file", func(p string) error { return os.WriteFile(p, nil, 0o600) }),
		"/proc/muster-cache",
	}
	reasons := []string{"symbolic link", "others can write", "another user", "not a directory", "/proc/muster-cache"}
	o := launch.Options{Binaries: newBinaries("1", 0), Dirs: bad}
	planted := make("planted", mkdir)
	if err := os.Mkdir(filepath.Join(planted, o.Binaries.(*binaries).Sum), 0o700); err != nil {
		t.Fatal(err)
	}
	o.Dirs, reasons = append(o.Dirs, planted), append(reasons, "not a file")
	conn := dialHost(t, transporttest.Options{})
	_, err := launch.Start(t.Context(), conn, o)
	if err == nil {
		t.Fatal("it started")
	}
	for i, dir := range o.Dirs {
		if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), reasons[i]) {
			t.Errorf("no word of %s (%s): %v", dir, reasons[i], err)
		}
	}
	good := filepath.Join(base, "good")
	o.Dirs = append(o.Dirs, good)
	if r := works(t, conn, o); filepath.Dir(r.Path) != good {
		t.Errorf("it is in %s", r.Path)
	}
}

func TestAWrongSumIsRefusedAndLeavesNothing(t *testing.T) {
	for name, spoil := range map[string]func(*binaries){
		"another sum":  func(b *binaries) { b.Sum = strings.Repeat("0", 64) },
		"another size": func(b *binaries) { b.Size++ },
		"cut short":    func(b *binaries) { b.Packed -= 9 },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			b := newBinaries("1", 0)
			spoil(b)
			_, err := launch.Start(t.Context(), dialHost(t, transporttest.Options{}), launch.Options{Binaries: b, Dirs: []string{dir}})
			if err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v", err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				t.Errorf("it left %v", entries)
			}
		})
	}
}

func TestNoisyAndForeignLoginShells(t *testing.T) {
	noisy := filepath.Join(t.TempDir(), "noisy")
	script := "#!/bin/bash\nset -x\nfor i in {1..2000}; do echo \"welcome \x1b[2J\"; done; printf 'no newline'\necho oops >&2\nexec /bin/bash -x \"$@\"\n"
	if err := os.WriteFile(noisy, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{noisy, "/usr/bin/fish", "/usr/bin/tcsh", "/bin/bash"} {
		t.Run(filepath.Base(shell), func(t *testing.T) {
			if _, err := os.Stat(shell); err != nil {
				t.Skip(err)
			}
			o := launch.Options{Binaries: newBinaries("1", 0), Dirs: []string{filepath.Join(t.TempDir(), "cache")}}
			conn := dialHost(t, transporttest.Options{Shell: shell})
			works(t, conn, o)
			works(t, conn, o)
		})
	}
}

func TestShellsThatRunNothing(t *testing.T) {
	endless := filepath.Join(t.TempDir(), "endless")
	hangs := filepath.Join(t.TempDir(), "hangs")
	os.WriteFile(endless, []byte("#!/bin/sh\nexec yes\n"), 0o755)
	os.WriteFile(hangs, []byte("#!/bin/sh\necho 'Enter your token:'\nexec sleep 60\n"), 0o755)
	for _, c := range []struct{ shell, want string }{
		{"/usr/sbin/nologin", "not available"},
		{"/bin/false", "exit code 1"},
		{endless, "prints more than"},
		{hangs, "no answer within 1s: Enter your token:"},
	} {
		t.Run(filepath.Base(c.shell), func(t *testing.T) {
			begin, limit := time.Now(), 20*time.Second // a busy machine's shell may be slow to print so much
			if c.shell == hangs {
				limit = time.Second
			}
			_, err := launch.Start(t.Context(), dialHost(t, transporttest.Options{Shell: c.shell}),
				launch.Options{Binaries: newBinaries("1", 0), Dirs: []string{t.TempDir()}, Timeout: limit})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// fakeSudo plays sudo: its arguments end in "-- COMMAND…", -p names the prompt.
const fakeSudo = `#!/bin/sh
echo "$*" >>"$SUDO_LOG"
ask=
while [ "$1" != -- ]; do
	case $1 in
	-S) ask=1 ;;
	-p) prompt=$2; shift ;;
	esac
	shift
done
shift
case $SUDO_MODE in
nopasswd) ;;
warns) echo "sudo: unable to resolve host" >&2 ;;
tty) echo "sudo: sorry, you must have a tty to run sudo" >&2; exit 1 ;;
hang) exec sleep 60 ;;
password)
	if [ -z "$ask" ]; then echo "sudo: a password is required" >&2; exit 1; fi
	for try in 1 2 3; do
		printf '%s' "$prompt" >&2
		IFS= read -r p || { echo "sudo: no password was provided" >&2; exit 1; }
		echo "tried" >>"$SUDO_LOG"
		[ "$p" = 'correct horse' ] && break
		echo 'Sorry, try again.' >&2
		p=
	done
	[ -n "$p" ] || { echo "sudo: 3 incorrect password attempts" >&2; exit 1; }
	;;
esac
export SUDO_USER=ops
exec "$@"
`

func TestSudo(t *testing.T) {
	right, wrong := secret.New("correct horse"), secret.New("battery")
	for _, c := range []struct {
		name, mode string
		password   *secret.String
		want       string // in the error; "" if it works
		tries      int
	}{
		{"without a password", "nopasswd", nil, "", 0},
		{"with a password that it doesn't ask for", "nopasswd", &right, "", 0},
		{"with the right password", "password", &right, "", 1},
		{"with a wrong password, tried once", "password", &wrong, "password for sudo is wrong", 1},
		{"without the password it needs", "password", nil, "a password is required: give a password", 0},
		{"that wants a terminal", "tty", &right, "you must have a tty", 0},
		{"that hangs", "hang", &right, "no answer within 1s", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bin := t.TempDir()
			log := filepath.Join(bin, "log")
			os.WriteFile(filepath.Join(bin, "sudo"), []byte(fakeSudo), 0o755)
			// id says another user, so that sudo is needed; the fake changes none.
			os.WriteFile(filepath.Join(bin, "id"), []byte("#!/bin/sh\nif [ -n \"$SUDO_USER\" ] || [ \"$1\" != -un ]; then exec /usr/bin/id \"$@\"; fi\necho ops\n"), 0o755)
			conn := dialHost(t, transporttest.Options{Env: []string{"PATH=" + bin + ":/usr/bin:/bin", "SUDO_MODE=" + c.mode, "SUDO_LOG=" + log}})
			o := launch.Options{Binaries: newBinaries("1", 200<<10), Become: "root", Password: c.password, Dirs: []string{filepath.Join(t.TempDir(), "cache")}, Timeout: 10 * time.Second}
			if c.mode == "hang" {
				o.Timeout = time.Second
			}
			if c.want == "" {
				works(t, conn, o)
			} else {
				_, err := launch.Start(t.Context(), conn, o)
				if !errors.Is(err, launch.ErrSudo) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
			}
			said, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(said), "tried\n"); n != c.tries {
				t.Errorf("%d passwords were tried, want %d", n, c.tries)
			}
			if bytes.Contains(said, []byte("horse")) || bytes.Contains(said, []byte("battery")) {
				t.Errorf("the password is an argument: %s", said)
			}
		})
	}
}

// What sudo warned of is no word of a remote that was started: it isn't why that ends.
func TestWarningOfSudoIsNoLastWord(t *testing.T) {
	bin := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("sudo", fakeSudo)
	write("id", "#!/bin/sh\nif [ -n \"$SUDO_USER\" ] || [ \"$1\" != -un ]; then exec /usr/bin/id \"$@\"; fi\necho ops\n")
	conn := dialHost(t, transporttest.Options{Env: []string{"PATH=" + bin + ":/usr/bin:/bin", "SUDO_MODE=warns", "SUDO_LOG=" + filepath.Join(bin, "log")}})
	r := works(t, conn, launch.Options{Binaries: newBinaries("1", 200<<10), Become: "root", Dirs: []string{filepath.Join(t.TempDir(), "cache")}, Timeout: 10 * time.Second})
	if said := r.Stderr(); said != "" {
		t.Errorf("it has said %q", said)
	}
}

func TestCancellingEndsTheStartAlone(t *testing.T) {
	hangs := filepath.Join(t.TempDir(), "hangs")
	os.WriteFile(hangs, []byte("#!/bin/sh\nexec sleep 60\n"), 0o755)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := launch.Start(ctx, dialHost(t, transporttest.Options{Shell: hangs}), launch.Options{Binaries: newBinaries("1", 0)})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	r, err := launch.Start(ctx, dialHost(t, transporttest.Options{}), launch.Options{Binaries: newBinaries("1", 0), Dirs: []string{filepath.Join(t.TempDir(), "cache")}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	io.WriteString(r.Stdin, "still here\n")
	r.Stdin.Close()
	if out, err := io.ReadAll(r.Stdout); !strings.HasSuffix(string(out), "still here\n") {
		t.Errorf("it says %q, %v", out, err)
	}
}

func TestUsersAndMachinesThatThereAreNone(t *testing.T) {
	conn := dialHost(t, transporttest.Options{})
	for _, user := range []string{"-x", "a b", "$(id)", "a;b", "a\nb"} {
		if _, err := launch.Start(t.Context(), conn, launch.Options{Binaries: newBinaries("1", 0), Become: user}); err == nil {
			t.Errorf("%q was let through", user)
		}
	}
	bin := t.TempDir()
	os.WriteFile(filepath.Join(bin, "uname"), []byte("#!/bin/sh\n[ $1 = -s ] && echo Linux || printf 'vax\\033[2J\\n'\n"), 0o755)
	conn = dialHost(t, transporttest.Options{Env: []string{"PATH=" + bin + ":/usr/bin:/bin"}})
	_, err := launch.Start(t.Context(), conn, launch.Options{Binaries: newBinaries("1", 0), Dirs: []string{t.TempDir()}})
	if err == nil || !strings.Contains(err.Error(), "no remote for Linux on vax[2J") {
		t.Errorf("got %v", err)
	}
}
