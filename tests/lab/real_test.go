package lab_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/tests/await"
	"muster/tests/lab"
)

// testWriter passes the lab's progress on to a test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// realLab brings up a lab of real hosts, or skips the test where none is wanted.
func realLab(t *testing.T, opts lab.Options) *lab.Lab {
	t.Helper()
	if os.Getenv("MUSTER_LAB_TEST") == "" {
		t.Skip("set MUSTER_LAB_TEST=1 to bring up real hosts (Linux, root)")
	}
	if opts.Log == nil {
		opts.Log = testWriter{t}
	}
	l, err := lab.Up(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// login runs a command on a host as ops, over SSH and through the bastion.
func login(ctx context.Context, l *lab.Lab, host, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := l.Command(ctx, "ssh", "-F", l.SSHConfig(), host, command).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func mustLogin(t *testing.T, l *lab.Lab, host, command string) string {
	t.Helper()
	out, err := login(t.Context(), l, host, command)
	if err != nil {
		t.Fatalf("on %s, %s: %v: %s", host, command, err, out)
	}
	return out
}

func TestAHostKeepsItsDiskAndKeysThroughAPowerCutAndLosesTheRest(t *testing.T) {
	l := realLab(t, lab.Options{ID: "lt1", Hosts: []string{"db1"}})
	db := l.Host("db1")
	key := mustLogin(t, l, "db1", "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id")
	mustLogin(t, l, "db1", "echo kept | sudo tee /etc/kept /run/lost >/dev/null; sudo nft add table ip lost; sudo ip addr add 10.0.1.99/24 dev eth0; sudo sysctl -qw net.ipv4.ip_forward=1")

	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	if s := db.State(); s != lab.Off {
		t.Errorf("after the power cut the host is %s", s)
	}
	if out, err := login(t.Context(), l, "db1", "true"); err == nil {
		t.Errorf("a login on a host without power succeeds: %s", out)
	}
	if _, err := db.Exec(t.Context(), "true"); err == nil {
		t.Error("a command runs on a host without power")
	}
	if err := db.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := mustLogin(t, l, "db1", "cat /etc/kept; ls /run | grep -c lost; sudo nft list tables; ip -br -4 addr show eth0 | grep -c 10.0.1.99; cat /proc/sys/net/ipv4/ip_forward")
	if want := "kept\n0\n0\n0"; got != want {
		t.Errorf("after the boot the host has\n%s\nwant\n%s", got, want)
	}

	// Whoever knew where the package cache is finds it there: the others' boots don't move it.
	if got, want := mustLogin(t, l, lab.Bastion, "ping -c1 -W2 10.0.1.254 >/dev/null; ip neigh show 10.0.1.254 | grep -o 'lladdr.*' | cut -d' ' -f2"), "02:4d:0a:00:01:fe"; got != want {
		t.Errorf("the package cache has the hardware address %s, want %s", got, want)
	}

	mustLogin(t, l, "db1", "echo gone | sudo tee /etc/gone >/dev/null; sudo chattr +i /etc/gone")
	if err := db.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	got = mustLogin(t, l, "db1", "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id; ls /etc/kept /etc/gone 2>/dev/null | wc -l")
	if want := key + "\n0"; got != want {
		t.Errorf("after the reset the host has\n%s\nwant\n%s", got, want)
	}
}

func TestAHostThatRebootsItselfComesBack(t *testing.T) {
	l := realLab(t, lab.Options{ID: "lt1", Hosts: []string{"app1"}})
	before := l.Host("app1").PID()
	mark := mustLogin(t, l, "app1", "sudo touch /run/before; echo ok")
	_, _ = login(t.Context(), l, "app1", "sudo systemctl reboot")
	await.Until(t, "the host is back", func() bool {
		out, err := login(t.Context(), l, "app1", "test ! -e /run/before && echo ok")
		return err == nil && out == mark
	})
	if after := l.Host("app1").PID(); after == before || after == 0 {
		t.Errorf("PID 1 was %d and is %d", before, after)
	}
	// The bastion too: what is behind it is reached again.
	_, _ = login(t.Context(), l, lab.Bastion, "sudo systemctl reboot")
	await.Until(t, "the bastion is back", func() bool {
		return l.Host(lab.Bastion).PID() != 0 && func() bool {
			_, err := login(t.Context(), l, "app1", "ping -c1 -W1 workstation")
			return err == nil
		}()
	})
	if _, err := l.Host("app1").Exec(t.Context(), "systemctl", "poweroff"); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the host is off", func() bool { return l.Host("app1").State() == lab.Off })
	if err := l.Host("app1").Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustLogin(t, l, "app1", "true")
}

func TestACutHostIsReachedAgainWhenMended(t *testing.T) {
	l := realLab(t, lab.Options{ID: "lt1", Hosts: []string{"app1", "app2"}})
	for _, name := range []string{"app1", lab.Bastion} {
		h := l.Host(name)
		if err := h.Cut(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := h.State(); s != lab.Cut {
			t.Errorf("%s is %s", name, s)
		}
		if out, err := login(t.Context(), l, "app1", "true"); err == nil {
			t.Errorf("with %s cut off, a login succeeds: %s", name, out)
		}
		if _, err := h.Exec(t.Context(), "true"); err != nil {
			t.Errorf("a host that is cut off goes on running: %v", err)
		}
		if name == "app1" {
			mustLogin(t, l, "app2", "true")
		}
		if err := h.Mend(t.Context()); err != nil {
			t.Fatal(err)
		}
		await.Until(t, name+" is reached again", func() bool {
			_, err := login(t.Context(), l, "app1", "true")
			return err == nil
		})
	}
}

func TestTwoLabsDoNotMeetAndLeaveNothing(t *testing.T) {
	one := realLab(t, lab.Options{ID: "lt1", Hosts: []string{"db1"}})
	before := leftovers(t, "lt2")
	two := realLab(t, lab.Options{ID: "lt2", Hosts: []string{"db1"}})
	mustLogin(t, one, "db1", "echo one | sudo tee /etc/which >/dev/null")
	mustLogin(t, two, "db1", "echo two | sudo tee /etc/which >/dev/null")
	if got := mustLogin(t, one, "db1", "cat /etc/which"); got != "one" {
		t.Errorf("the first lab's host says %q", got)
	}
	// A command left running on the workstation goes with the lab.
	stray := two.Command(t.Context(), "sleep", "600")
	if err := stray.Start(); err != nil {
		t.Fatal(err)
	}
	if err := two.Down(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := stray.Wait(); !errors.As(err, &exit) {
		t.Errorf("the stray command ended with %v", err)
	}
	if after := leftovers(t, "lt2"); after != before || before != "" {
		t.Errorf("before the lab there was %q, after it there is %q", before, after)
	}
	if err := two.Down(); err != nil {
		t.Errorf("taking it down again: %v", err)
	}
	mustLogin(t, one, "db1", "true")
}

func TestUpOverAHalfDeadLabMakesItWhole(t *testing.T) {
	l := realLab(t, lab.Options{ID: "lt1", Hosts: []string{"db1"}})
	if err := l.Host(lab.Bastion).Kill(); err != nil {
		t.Fatal(err)
	}
	if err := l.Healthy(t.Context()); err == nil {
		t.Error("a lab without a bastion calls itself healthy")
	}
	again := realLab(t, lab.Options{ID: "lt1", Hosts: []string{"lb1"}})
	mustLogin(t, again, "lb1", "true")
	if n := len(again.Hosts()); n != 2 {
		t.Errorf("the lab has %d hosts", n)
	}
}

func TestHostsInstallPackagesAndRunContainers(t *testing.T) {
	l := realLab(t, lab.Options{ID: "lt1", Hosts: []string{"app1"}, Docker: []string{"app1"}})
	mustRoot := func(host string, script string) string {
		t.Helper()
		out, err := l.Host(host).Exec(t.Context(), "sh", "-ec", script)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	mustRoot(lab.Bastion, "apt-get install -qy memcached >&2; systemctl is-active memcached")
	mustRoot("app1", "apt-get install -qy docker.io busybox-static >&2")
	got := mustRoot("app1", `
		mkdir -p /root/image/bin && cp /bin/busybox /root/image/bin/ && tar -C /root/image -c . | docker import - box >/dev/null
		docker run --rm --memory 64m --cpus 0.5 box /bin/busybox echo inside`)
	if got != "inside" {
		t.Errorf("the container says %q", got)
	}
	if err := l.Host("app1").Kill(); err != nil {
		t.Fatal(err)
	}
	if err := l.Host("app1").Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := mustRoot("app1", "docker run --rm box /bin/busybox echo again"); got != "again" {
		t.Errorf("after a power cut the container says %q", got)
	}
}

func TestAnInterruptedUpLeavesNothing(t *testing.T) {
	if os.Getenv("MUSTER_LAB_TEST") == "" {
		t.Skip("set MUSTER_LAB_TEST=1 to bring up real hosts (Linux, root)")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := lab.Up(ctx, lab.Options{ID: "lt3", Hosts: []string{"db1"}, Log: cancelAt{"booting", cancel}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted Up returns %v", err)
	}
	if left := leftovers(t, "lt3"); left != "" {
		t.Errorf("an interrupted Up leaves %s", left)
	}
	if err := lab.Down("lt3", io.Discard); err != nil {
		t.Error(err)
	}
}

// cancelAt cancels when a line of progress holds word.
type cancelAt struct {
	word   string
	cancel func()
}

func (c cancelAt) Write(b []byte) (int, error) {
	if strings.Contains(string(b), c.word) {
		c.cancel()
	}
	return len(b), nil
}

// leftovers lists what of a lab this machine holds: namespaces, mounts, control
// groups, processes and folders.
func leftovers(t *testing.T, id string) string {
	t.Helper()
	var found []string
	for _, pattern := range []string{
		"/run/netns/mlab-" + id + "-*", "/sys/fs/cgroup/mlab-" + id, "/sys/fs/cgroup/*/mlab-" + id,
		"/run/muster-lab/" + id, filepath.Join(cacheFolder(), "labs", id),
	} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, names...)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "/labs/"+id+"/") || strings.Contains(line, "mlab-"+id+"-") {
			found = append(found, line)
		}
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range commands {
		b, _ := os.ReadFile(file)
		if c := string(b); strings.Contains(c, "mlab-"+id+"-") || strings.Contains(c, "/run/muster-lab/"+id+"/") {
			found = append(found, strings.ReplaceAll(c, "\x00", " "))
		}
	}
	return strings.Join(found, "\n")
}

func cacheFolder() string {
	if c := os.Getenv(lab.CacheVariable); c != "" {
		return c
	}
	return "/var/cache/muster-lab"
}

func TestHostsOfOtherReleasesSayWhatTheirMirrorLacks(t *testing.T) {
	l := realLab(t, lab.Options{ID: "lt1", Hosts: []string{"db1", "db2"}, Suites: map[string]string{"db1": "trixie", "db2": "sid"}})
	if got := mustLogin(t, l, "db1", ". /etc/os-release; echo $VERSION_CODENAME"); got != "trixie" {
		t.Errorf("db1 runs %q, not trixie", got)
	}
	if got := mustLogin(t, l, "db2", "systemctl is-system-running --wait || true; stat -fc %T /sys/fs/cgroup"); !strings.HasSuffix(got, "cgroup2fs") {
		t.Errorf("sid's systemd runs with %q", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := l.Host("db1").Offers(ctx, "mariadb-server"); err != nil {
		t.Errorf("trixie's MariaDB: %v", err)
	}
	if err := l.Host("db2").Offers(ctx, "no-such-server"); !errors.Is(err, lab.ErrNoPackage) {
		t.Errorf("what sid hasn't: %v", err)
	}
}
