package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

var errNotLinux = errors.New("the lab needs Linux: its hosts are namespaces and overlays")

// Dependency is a Debian package that the lab needs on this machine.
type Dependency struct {
	Package   string
	File      string // a program's name, or an absolute path, that shows it is there
	Installed bool
}

// Dependencies returns what the lab needs installed.
func Dependencies() []Dependency {
	deps := []Dependency{
		{Package: "mmdebstrap", File: "mmdebstrap"},
		{Package: "debian-archive-keyring", File: "/usr/share/keyrings/debian-archive-keyring.gpg"},
		{Package: "systemd-container", File: "systemd-nspawn"},
		{Package: "nftables", File: "nft"},
		{Package: "iproute2", File: "ip"},
		{Package: "util-linux", File: "nsenter"},
		{Package: "openssh-client", File: "ssh"},
	}
	for i, d := range deps {
		_, err := exec.LookPath(d.File)
		if strings.HasPrefix(d.File, "/") {
			_, err = os.Stat(d.File)
		}
		deps[i].Installed = err == nil
	}
	return deps
}

// supported says in one line why no lab can be had here, or returns nil.
func supported() error {
	if runtime.GOOS != "linux" {
		return errNotLinux
	}
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root: it makes namespaces and mounts")
	}
	for _, ns := range []string{"net", "mnt", "pid", "uts", "ipc"} {
		if _, err := os.Stat("/proc/self/ns/" + ns); err != nil {
			return fmt.Errorf("the lab needs namespaces: this kernel has none of the kind %q", ns)
		}
	}
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err == nil && !strings.Contains(string(filesystems), "\toverlay\n") {
		if err := exec.Command("modprobe", "overlay").Run(); err != nil {
			return errors.New("the lab needs overlayfs: this kernel has none")
		}
	}
	return nil
}

// install adds the missing packages with apt-get, whose lists it refreshes
// only when installing fails without that.
func install(ctx context.Context, log io.Writer) error {
	var missing []string
	for _, d := range Dependencies() {
		if !d.Installed {
			missing = append(missing, d.Package)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("the lab needs %s installed, and there is no apt-get here to do it", strings.Join(missing, ", "))
	}
	fmt.Fprintf(log, "lab: installing %s\n", strings.Join(missing, " "))
	apt := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, tail(string(out), 10))
		}
		return nil
	}
	args := append([]string{"install", "-y", "-q", "--no-install-recommends"}, missing...)
	if apt(args...) == nil {
		return nil
	}
	if err := apt("update", "-q"); err != nil {
		return fmt.Errorf("installing what the lab needs: %w", err)
	}
	if err := apt(args...); err != nil {
		return fmt.Errorf("installing what the lab needs: %w", err)
	}
	return nil
}

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
