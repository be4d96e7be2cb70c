package lab

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestAnIDOrCacheFolderThatCantBePartOfNamesIsRefused(t *testing.T) {
	tests := []struct {
		name, id, cache string
		want            string // of the namespace prefix and the disk; "" is refused
	}{
		{"defaults", "", "/c", "mlab-demo- /c/labs/demo"},
		{"an ID of its own", "roll2", "/c/", "mlab-roll2- /c/labs/roll2"},
		{"an ID too long for names of interfaces", "toolong", "/c", ""},
		{"an ID that another's prefix could start with", "a-b", "/c", ""},
		{"an ID that is a path", "../x", "/c", ""},
		{"capital letters", "Demo", "/c", ""},
		{"a relative cache folder", "a", "cache", ""},
		{"a cache folder that overlayfs can't name", "a", "/c:d", ""},
		{"a cache folder with a space", "a", "/c d", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if p, err := newPaths(test.id, test.cache); err == nil {
				got = p.prefix() + " " + p.disk()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	t.Setenv(CacheVariable, "/elsewhere")
	if p, err := newPaths("a", ""); err != nil || p.cache != "/elsewhere" {
		t.Errorf("with %s set the cache folder is %q, %v", CacheVariable, p.cache, err)
	}
}

func TestTheBastionIsInEveryChoiceOfHosts(t *testing.T) {
	tests := []struct {
		name  string
		hosts []string
		want  []string
	}{
		{"none named means all", nil, AllHosts()},
		{"in the lab's order, each once", []string{"db1", "app1", "db1"}, []string{"nat", "app1", "db1"}},
		{"the bastion alone", []string{"nat"}, []string{"nat"}},
		{"an unknown one", []string{"db9"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			chosen, err := choose(test.hosts)
			if (err != nil) != (test.want == nil) {
				t.Fatal(err)
			}
			var got []string
			for _, s := range chosen {
				got = append(got, s.name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAProcessIsReadPastANameThatLooksLikeFields(t *testing.T) {
	tests := []struct {
		name, stat string
		want       procStat
		wrong      bool
	}{
		{"a plain one", "7 (sh) S 3 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0", procStat{'S', 3, 4711}, false},
		{"brackets and spaces in the name", "7 (a) R 1 (b) Z 3 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0", procStat{'Z', 3, 4711}, false},
		{"cut off", "7 (sh) S 3", procStat{}, true},
		{"empty", "", procStat{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseStat([]byte(test.stat))
			if got != test.want || (err != nil) != test.wrong {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func needLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("it looks at /proc")
	}
}

func TestOnlyTheProcessThatWasRecordedIsEnded(t *testing.T) {
	needLinux(t)
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	other := process{p.PID, p.Start + 1} // one that had this PID before
	if other.alive() {
		t.Error("a PID that was given again counts as the process that had it")
	}
	if err := killAll([]process{other, {}, {PID: 1, Start: 0}}, time.Second); err != nil {
		t.Error(err)
	}
	if !p.alive() {
		t.Error("a process was ended that has another's PID")
	}
	// It is our child and nobody has waited for it: dead all the same.
	if err := killAll([]process{p}, 10*time.Second); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if p.alive() {
		t.Error("the process still runs")
	}
	if err := killAll([]process{p}, time.Second); err != nil {
		t.Errorf("ending it again: %v", err)
	}
}

func TestAFileOfAPIDThatIsNotWholeNamesNoProcess(t *testing.T) {
	needLinux(t)
	dir := t.TempDir()
	for name, content := range map[string]string{"empty": "", "half": "12", "words": "a b", "missing": "-"} {
		file := filepath.Join(dir, name)
		if content != "-" {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if p, err := readPIDFile(file); err != nil || p.alive() {
			t.Errorf("%s: got %v, %v", name, p, err)
		}
	}
	file := filepath.Join(dir, "self")
	if err := WritePIDFile(file); err != nil {
		t.Fatal(err)
	}
	if p, err := readPIDFile(file); err != nil || p.PID != os.Getpid() || !p.alive() {
		t.Errorf("this process reads as %v, %v", p, err)
	}
}

func TestMountsAreReadWithTheirNames(t *testing.T) {
	const info = `22 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw
31 1 0:30 / /c/labs/a/db\0401/root rw - overlay overlay rw,lowerdir=/c/base
40 1 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct
nonsense
`
	got, err := parseMounts(strings.NewReader(info))
	want := []mount{
		{"/proc", "proc", "rw"},
		{"/c/labs/a/db 1/root", "overlay", "rw,lowerdir=/c/base"},
		{"/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mount{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestAnExclusiveLockKeepsOthersOut(t *testing.T) {
	needLinux(t)
	file := filepath.Join(t.TempDir(), "sub", "lock")
	never := func() { t.Error("it waits for a lock that is free, or shared") }
	one, err := acquire(file, shared, never)
	if err != nil {
		t.Fatal(err)
	}
	two, err := acquire(file, shared, never)
	if err != nil {
		t.Fatal(err)
	}
	waiting, got := make(chan bool), make(chan error)
	go func() {
		release, err := acquire(file, exclusive, func() { close(waiting) })
		if err == nil {
			release()
		}
		got <- err
	}()
	<-waiting
	one()
	select {
	case err := <-got:
		t.Errorf("an exclusive lock is had beside a shared one: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	two()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestTheWorkstationKnowsEveryHostByItsKeys(t *testing.T) {
	// The state's folder is fixed; only the functions over files are tried here.
	pair, err := newEd25519("x")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey([]byte(pair.private))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte("10.0.1.31 "+pair.public+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check, err := knownhosts.New(file)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(10, 0, 1, 31), Port: 22}
	if err := check("10.0.1.31:22", addr, signer.PublicKey()); err != nil {
		t.Error(err)
	}
	other, err := newECDSA("x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ssh.ParsePrivateKey([]byte(other.private)); err != nil {
		t.Error(err)
	}
}

func TestABaseTreeIsNamedByAllThatDefinesIt(t *testing.T) {
	if a, b := baseKey("bookworm"), baseKey("trixie"); a == b || !strings.HasPrefix(b, "base-trixie-") {
		t.Errorf("two suites have the trees %s and %s", a, b)
	}
	if again := baseKey("bookworm"); again != baseKey("bookworm") {
		t.Error("the name of a tree changes")
	}
}

func TestAnUnfinishedBaseTreeIsNeverTaken(t *testing.T) {
	needLinux(t)
	p := paths{id: "a", cache: t.TempDir()}
	unfinished := filepath.Join(p.cache, "unfinished-"+baseKey("bookworm"))
	if err := os.MkdirAll(filepath.Join(unfinished, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // whoever makes it is interrupted at once
	if dir, err := ensureBase(ctx, p, "bookworm", &lockedWriter{}); err == nil {
		t.Errorf("an unfinished tree is taken for a base tree: %s", dir)
	}
	left, err := filepath.Glob(filepath.Join(p.cache, "*base-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("an interrupted build leaves %v, %v", left, err)
	}
	done := filepath.Join(p.cache, baseKey("bookworm"))
	if err := os.Mkdir(done, 0o755); err != nil {
		t.Fatal(err)
	}
	if dir, err := ensureBase(ctx, p, "bookworm", &lockedWriter{}); err != nil || dir != done {
		t.Errorf("a finished tree isn't taken: %s, %v", dir, err)
	}
}

func TestTheWorkstationsEnvironmentHidesTheCallers(t *testing.T) {
	for _, v := range []string{"SSH_AUTH_SOCK", "https_proxy", "MUSTER_VAR_x", "XDG_CONFIG_HOME"} {
		t.Setenv(v, "leaked")
	}
	t.Setenv("KEPT", "kept")
	l := &Lab{p: paths{id: "a", cache: "/c"}}
	env := strings.Join(l.Environment(), "\n")
	if strings.Contains(env, "leaked") || !strings.Contains(env, "KEPT=kept") || !strings.Contains(env, "HOME=/run/muster-lab/a/home") {
		t.Errorf("the environment is\n%s", env)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
