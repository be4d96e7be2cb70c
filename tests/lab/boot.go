package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// bootLimit is how long a host may take from power to a login. Two busy cores
// boot nine in a tenth of it.
const bootLimit = 90 * time.Second

// supervisors is the control group of the hosts' boot scripts and of the package cache.
const supervisors = "supervisors"

// bootScript boots the host, and again whenever it reboots by itself
// (systemd-nspawn then exits with 133). It runs in a session of its own, and
// ends when the host is powered off.
func bootScript(p paths, s spec, h hostOptions, enter map[string][]string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#!/bin/sh")
	for _, f := range enter[supervisors] {
		line("echo $$ >%s", f)
	}
	pid := filepath.Join(p.host(s.name), "pid")
	line("stat=$(cat /proc/$$/stat); set -- ${stat##*) }") // field 22 is the 20th after the name
	line(`echo "$$ ${20}" >%s.new && mv %s.new %s`, pid, pid, pid)
	line("while :; do")
	line("sh %s || exit 1", filepath.Join(p.host(s.name), "network.sh"))
	line("sh %s", filepath.Join(p.host(s.name), "nspawn.sh"))
	line("[ $? -eq 133 ] || exit 0")
	for _, f := range enter[s.name] {
		line("find %s -mindepth 1 -depth -type d -delete 2>/dev/null", filepath.Dir(f))
	}
	line("done")
	return b.String()
}

// nspawnScript becomes the host's systemd-nspawn, in the host's control groups.
func nspawnScript(p paths, s spec, h hostOptions, enter map[string][]string) string {
	var b strings.Builder
	for _, f := range enter[s.name] {
		fmt.Fprintf(&b, "echo $$ >%s\n", f)
	}
	b.WriteString("export SYSTEMD_NSPAWN_API_VFS_WRITABLE=1\n")
	if h.suite == "sid" || h.suite == "unstable" {
		b.WriteString("export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1\n") // its systemd refuses cgroup v1
	}
	args := []string{
		"exec systemd-nspawn", "-q", "--register=no", "--keep-unit", "-b",
		"--network-namespace-path=" + p.netnsPath(s.name),
		"-D " + p.root(s.name), "--machine=" + p.netns(s.name), "--hostname=" + s.name,
		"--capability=all", "--system-call-filter='@mount @keyring bpf'", "--kill-signal=SIGRTMIN+3",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no",
	}
	if hasDevice("/dev/net/tun") {
		args = append(args, "--bind=/dev/net/tun") // for a VPN
	}
	if h.docker {
		for folder, at := range imageFolders {
			args = append(args, "--bind="+filepath.Join(p.onDisk(s.name), folder)+":"+at)
		}
	}
	b.WriteString(strings.Join(args, " \\\n\t") + "\n")
	return b.String()
}

// imageFolders are where Docker and, from Docker 29 on, containerd keep images.
var imageFolders = map[string]string{"docker": "/var/lib/docker", "containerd": "/var/lib/containerd"}

// dockerUnit makes control groups writable, which Docker needs and
// systemd-nspawn doesn't do under v1.
const dockerUnit = `[Unit]
Description=Writable control groups for Docker
DefaultDependencies=no
Before=docker.service containerd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-/bin/mount -o remount,rw /sys/fs/cgroup
ExecStart=-/bin/sh -c 'for c in /sys/fs/cgroup/*; do mount -o remount,rw,bind "$c"; done 2>/dev/null'

[Install]
WantedBy=sysinit.target
`

// prepareOverlay mounts a fresh overlay and gives it the host's identity.
func prepareOverlay(p paths, s spec, h hostOptions) error {
	dir := p.onDisk(s.name)
	for _, sub := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	if err := mountOverlay(h.base, filepath.Join(dir, "upper"), filepath.Join(dir, "work"), p.root(s.name)); err != nil {
		return err
	}
	if err := writeIdentity(p, s); err != nil {
		return err
	}
	if !h.docker {
		return nil
	}
	for folder := range imageFolders {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o711); err != nil {
			return err
		}
	}
	units := filepath.Join(p.root(s.name), "etc/systemd/system")
	if err := writeFile(filepath.Join(units, "lab-docker.service"), dockerUnit, 0o644); err != nil {
		return err
	}
	wants := filepath.Join(units, "sysinit.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		return err
	}
	return os.Symlink("../lab-docker.service", filepath.Join(wants, "lab-docker.service"))
}

// removeOverlay unmounts the host's overlay and removes what it wrote. The host is off.
func removeOverlay(p paths, host string) error {
	// What a killed systemd-nspawn leaves on this machine. The lock's name is
	// the overlay's own while it is mounted.
	const left = "/run/systemd/nspawn/"
	if device, number, err := fileID(p.root(host)); err == nil {
		_ = os.Remove(fmt.Sprintf(left+"locks/inode-%d:%d", device, number))
	}
	_ = os.Remove(left + "propagate/" + p.netns(host))
	for _, sub := range []string{"root", "upper", "work", "docker", "containerd"} {
		if err := removeTree(filepath.Join(p.onDisk(host), sub)); err != nil {
			return err
		}
	}
	return nil
}

// startHost writes the host's scripts and starts them, detached: setsid forks,
// so that the host is no child of the caller, who may end or live on.
func startHost(ctx context.Context, p paths, s spec, h hostOptions) error {
	enter, err := makeCgroups(p, []string{supervisors, s.name})
	if err != nil {
		return err
	}
	dir := p.host(s.name)
	for name, content := range map[string]string{
		"network.sh": networkScript(p, s),
		"nspawn.sh":  nspawnScript(p, s, h, enter),
		"boot.sh":    bootScript(p, s, h, enter),
	} {
		if err := writeFile(filepath.Join(dir, name), content, 0o755); err != nil {
			return err
		}
	}
	console, err := os.OpenFile(p.console(s.name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer console.Close()
	if err := os.Remove(filepath.Join(dir, "pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	cmd := detached(ctx, console, "sh", filepath.Join(dir, "boot.sh"))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("starting %s: %w", s.name, err)
	}
	return nil
}

// errStopped is a host whose boot script has ended: it was powered off, or
// couldn't boot. Trying again can help in the first case.
var errStopped = errors.New("it stopped")

// waitHost returns when somebody can log in on the host: sshd answers, and
// pam_nologin(8) no longer refuses people because the system is booting up.
func waitHost(ctx context.Context, p paths, s spec) error {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	last := errors.New("its PID 1 never came up")
	for {
		boot, err := readPIDFile(filepath.Join(p.host(s.name), "pid"))
		if err != nil {
			return err
		}
		if boot.PID != 0 && !boot.alive() {
			return bootError(p, s, errStopped)
		}
		if init, ok := hostInit(boot); ok {
			last = errors.New("people can't log in yet")
			has := func(path string) bool {
				_, err := os.Stat(fmt.Sprintf("/proc/%d/root%s", init.PID, path))
				return err == nil
			}
			// Ubuntu's systemd starts sshd when somebody comes.
			started := has("/run/sshd.pid") || has("/etc/systemd/system/sockets.target.wants/ssh.socket")
			if !has("/run/nologin") && started {
				if isCut(p, s) {
					return nil // nobody can ask it
				}
				try, cancel := context.WithTimeout(ctx, 2*time.Second)
				last = sshGreets(try, p, s)
				cancel()
				if last == nil {
					return nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return bootError(p, s, fmt.Errorf("%w; last seen: %w", context.Cause(ctx), last))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func bootError(p paths, s spec, err error) error {
	log, _ := os.ReadFile(p.console(s.name))
	hint := ""
	if strings.Contains(string(log), "inotify object: Too many open files") {
		hint = "; this machine's fs.inotify.max_user_instances are used up (a host needs some five): take another lab down, or raise it"
	}
	return fmt.Errorf("booting %s: %w%s; the last lines of its console:\n%s", s.name, err, hint, tail(string(log), 15))
}

// hostInit returns the host's PID 1, given its boot script: the child of
// systemd-nspawn that is number 1 in a PID namespace one below.
func hostInit(boot process) (process, bool) {
	for _, child := range boot.children() {
		for _, grandchild := range child.children() {
			if innerPID(grandchild.PID) == "1" {
				return grandchild, true
			}
		}
	}
	return process{}, false
}

// innerPID returns the process's number in its own PID namespace, or "".
func innerPID(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			if f := strings.Fields(rest); len(f) > 1 {
				return f[len(f)-1]
			}
		}
	}
	return ""
}
