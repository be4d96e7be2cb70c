package lab

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"muster/tests/lab/aptproxy"
)

// DefaultSuite is the release of hosts for which no other is asked.
const DefaultSuite = "bookworm"

//go:embed recipe.sh
var recipe string

// basePackages is what a host has beyond Debian's essential packages.
func basePackages() []string {
	return []string{
		"systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "iproute2", "nftables", "procps",
		"curl", "cron", "gnupg", "ca-certificates", "iputils-ping", "less",
	}
}

// packagesOf is basePackages, and to Ubuntu apt isn't essential.
func packagesOf(suite string) []string {
	if ubuntu(suite) {
		return append(basePackages(), "apt")
	}
	return basePackages()
}

// sources is the content of sources.list, a line each.
func sources(suite string) []string {
	if ubuntu(suite) {
		var lines []string
		for _, pocket := range []string{"", "-updates", "-security"} {
			lines = append(lines, "deb http://"+ubuntuHost+"/ubuntu "+suite+pocket+" main universe")
		}
		return lines
	}
	const mirror = "deb http://deb.debian.org/debian"
	if suite == "sid" || suite == "unstable" {
		return []string{mirror + " " + suite + " main"}
	}
	return []string{
		mirror + " " + suite + " main",
		mirror + " " + suite + "-updates main",
		mirror + "-security " + suite + "-security main",
	}
}

// baseKey names the base tree of a suite by everything that defines it.
func baseKey(suite string) string {
	sum := sha256.New()
	for _, s := range [][]string{{suite, recipe, AsksPassword, cacheAddress, cachePort}, packagesOf(suite), sources(suite)} {
		fmt.Fprintf(sum, "%q\n", s)
	}
	return "base-" + suite + "-" + hex.EncodeToString(sum.Sum(nil))[:12]
}

// ensureBase returns the folder of the suite's base tree, which it makes when
// there is none. The tree gets its name when it is finished; of two processes
// that need it, one makes it.
func ensureBase(ctx context.Context, p paths, suite string, log io.Writer) (string, error) {
	dir := filepath.Join(p.cache, baseKey(suite))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	release, err := acquire(filepath.Join(p.cache, "base.lock"), exclusive, func() {
		fmt.Fprintln(log, "lab: waiting for another process that makes a base tree")
	})
	if err != nil {
		return "", err
	}
	defer release()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	// Under the lock every unfinished tree is a dead process's.
	unfinished, _ := filepath.Glob(filepath.Join(p.cache, "unfinished-*"))
	for _, u := range unfinished {
		if err := removeTree(u); err != nil {
			return "", err
		}
	}
	fmt.Fprintf(log, "lab: making the base tree of %s (once; a minute or two)\n", suite)
	start := time.Now()
	temp := filepath.Join(p.cache, "unfinished-"+baseKey(suite))
	if err := makeBase(ctx, p, suite, temp); err != nil {
		_ = removeTree(temp)
		return "", fmt.Errorf("making the base tree of %s: %w", suite, err)
	}
	if err := os.Rename(temp, dir); err != nil {
		return "", err
	}
	fmt.Fprintf(log, "lab: made the base tree in %.0f s\n", time.Since(start).Seconds())
	return dir, nil
}

// makeBase runs mmdebstrap into dir, its downloads through the package cache.
func makeBase(ctx context.Context, p paths, suite, dir string) error {
	proxy, err := aptproxy.New(aptproxy.Options{Dir: p.packages(), Fresh: time.Minute})
	if err != nil {
		return err
	}
	defer proxy.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 30 * time.Second}
	go server.Serve(listener)
	defer server.Close()

	script, err := os.CreateTemp("", "muster-lab-recipe-*")
	if err != nil {
		return err
	}
	defer os.Remove(script.Name())
	if _, err := script.WriteString(recipe); err != nil {
		return err
	}
	script.Close()

	keyring := "/usr/share/keyrings/debian-archive-keyring.gpg" // another distribution doesn't trust it
	var more []string
	if ubuntu(suite) {
		keys, err := os.MkdirTemp("", "muster-lab-keys-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(keys)
		client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: listener.Addr().String()})}}
		if keyring, err = ubuntuKeys(ctx, client, keys); err != nil {
			return fmt.Errorf("fetching Ubuntu's keyring: %w", err)
		}
		more = []string{fmt.Sprintf("--customize-hook=echo 'Acquire::http::Proxy::%s \"http://%s\";' >\"$1/etc/apt/apt.conf.d/91lab-ubuntu\"", ubuntuHost, net.JoinHostPort(cacheAddress, cachePort))}
	}
	args := []string{
		"--quiet", "--mode=root", "--variant=minbase", "--include=" + strings.Join(packagesOf(suite), ","),
		"--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Check-Date \"false\"",
		"--keyring=" + keyring,
		"--skip=cleanup/apt", // the lists stay
		"--customize-hook=sh " + script.Name() + ` "$1"`,
	}
	args = append(append(args, more...), suite, dir)
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, sources(suite)...)...)
	cmd.Env = append(cleanEnvironment(),
		"http_proxy=http://"+listener.Addr().String(),
		"ASKS_PASSWORD="+AsksPassword, "CACHE_ADDRESS="+net.JoinHostPort(cacheAddress, cachePort))
	endGroup(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, tail(string(out), 25))
	}
	return nil
}

// endGroup makes cmd the head of a process group that ends with it when its
// context does, so that no child goes on writing to a tree that is removed.
func endGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
}

// removeTree removes dir and all in it, after whatever is still mounted in it.
func removeTree(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if err := unmount(m); err != nil {
			return err
		}
	}
	err = os.RemoveAll(dir)
	if errors.Is(err, fs.ErrPermission) {
		// A host made a file immutable, or append-only (chattr(1)).
		_ = exec.Command("chattr", "-R", "-f", "-i", "-a", dir).Run()
		err = os.RemoveAll(dir)
	}
	return err
}

// cleanEnvironment is the environment of programs that the lab runs as root:
// nothing of the caller's but where programs are.
func cleanEnvironment() []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/bin:/bin"
	}
	return []string{"PATH=" + path + ":/usr/local/sbin:/usr/sbin:/sbin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
}
