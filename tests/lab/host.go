package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// Host is one host of a lab.
type Host struct {
	p       paths
	spec    spec
	options hostOptions
}

// State is whether a host has power and a network.
type State string

// The states of a host.
const (
	Running State = "running" // or rebooting
	Cut     State = "cut off" // running, without a network
	Off     State = "off"     // until Boot
)

// Name returns the host's name, which is its host name too.
func (h *Host) Name() string { return h.spec.name }

// Address returns the host's private address; the bastion's public one.
func (h *Host) Address() string { return h.spec.reach() }

// Console returns the file that holds what the host wrote to its console.
func (h *Host) Console() string { return h.p.console(h.spec.name) }

// State returns the host's state at this moment.
func (h *Host) State() State {
	if boot, err := h.supervisor(); err != nil || !boot.alive() {
		return Off
	}
	if isCut(h.p, h.spec) {
		return Cut
	}
	return Running
}

// supervisor returns the process of the host's boot script.
func (h *Host) supervisor() (process, error) {
	return readPIDFile(filepath.Join(h.p.host(h.spec.name), "pid"))
}

func (h *Host) init() (process, bool) {
	boot, err := h.supervisor()
	if err != nil {
		return process{}, false
	}
	return hostInit(boot)
}

// PID returns the host's PID 1 as this machine numbers it, or 0 when it is off
// or between two boots.
func (h *Host) PID() int {
	p, _ := h.init()
	return p.PID
}

// Kill cuts the host's power: it ends all at once, and nothing of it has a
// chance to react. What was written stays. A host that is off stays off.
func (h *Host) Kill() error {
	release, err := h.hold()
	if err != nil {
		return err
	}
	defer release()
	return h.kill()
}

// hold keeps Up and Down of other processes off the lab while something is done to a host.
func (h *Host) hold() (release func(), err error) {
	release, err = acquire(h.p.lock(), shared, func() {})
	if err != nil {
		return nil, err
	}
	if _, found, err := h.p.readState(); err != nil || !found {
		release()
		return nil, errors.Join(err, fmt.Errorf("the lab %s is not up", h.p.id))
	}
	return release, nil
}

// kill is Kill for who holds the lab's lock.
func (h *Host) kill() error {
	boot, err := h.supervisor()
	if err != nil {
		return err
	}
	// The script would boot the host again, so it is stopped while we look; and a
	// killed systemd-nspawn leaves its child, the host, running.
	if err := boot.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if err := killAll(boot.family(), deathTakes); err != nil {
		return fmt.Errorf("cutting the power of %s: %w", h.Name(), err)
	}
	// A systemd-nspawn that the script had just forked.
	if err := killAll(cgroupProcesses(h.p, h.Name()), deathTakes); err != nil {
		return fmt.Errorf("cutting the power of %s: %w", h.Name(), err)
	}
	return nil
}

// Boot gives a host that is off its power and returns when people can log in
// on it. A host that is running, or rebooting, is only waited for; of one that
// is cut off it is enough that its sshd has started.
func (h *Host) Boot(ctx context.Context) error {
	release, err := h.hold()
	if err != nil {
		return err
	}
	defer release()
	return h.boot(ctx)
}

// boot is Boot for who holds the lab's lock.
func (h *Host) boot(ctx context.Context) error {
	boot, err := h.supervisor()
	if err != nil {
		return err
	}
	if boot.alive() {
		err := waitHost(ctx, h.p, h.spec)
		if !errors.Is(err, errStopped) {
			return err
		}
		// It was on its way down when we looked.
	}
	if err := removeCgroups(h.p, h.Name()); err != nil {
		return err
	}
	if err := startHost(ctx, h.p, h.spec, h.options); err != nil {
		return err
	}
	return waitHost(ctx, h.p, h.spec)
}

// Cut takes the host off the network, both of them for the bastion: its cables
// are dead, and connections through them hang until they time out. A boot
// doesn't mend it.
func (h *Host) Cut(ctx context.Context) error {
	if err := writeFile(cutFile(h.p, h.Name()), "", 0o644); err != nil {
		return err
	}
	if err := setPorts(ctx, h.p, h.spec, "down"); err != nil {
		return fmt.Errorf("cutting %s off: %w", h.Name(), err)
	}
	return nil
}

// Mend undoes Cut.
func (h *Host) Mend(ctx context.Context) error {
	if err := os.Remove(cutFile(h.p, h.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := setPorts(ctx, h.p, h.spec, "up"); err != nil {
		return fmt.Errorf("mending the network of %s: %w", h.Name(), err)
	}
	return nil
}

// Reset throws away all that was written on the host, mends its network and
// boots it: it is as Up made it, with the same keys.
func (h *Host) Reset(ctx context.Context) error {
	release, err := h.hold()
	if err != nil {
		return err
	}
	defer release()
	if err := h.kill(); err != nil {
		return err
	}
	if err := os.Remove(cutFile(h.p, h.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := removeOverlay(h.p, h.Name()); err != nil {
		return fmt.Errorf("throwing away the disk of %s: %w", h.Name(), err)
	}
	if err := prepareOverlay(h.p, h.spec, h.options); err != nil {
		return fmt.Errorf("making the disk of %s: %w", h.Name(), err)
	}
	return h.boot(ctx)
}

// Command returns a command that runs as root inside the host, past its network
// and its sshd. On a host that is off it fails when started.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	init, ok := h.init()
	pid := strconv.Itoa(init.PID)
	if !ok {
		pid = "off" // nsenter says that this is no PID; see Exec
	}
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--", name}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	cmd.Dir = "/"
	if !ok {
		cmd.Err = fmt.Errorf("%s is off", h.Name())
	}
	return cmd
}

// Exec runs a command as root inside the host and returns its standard output.
// The error holds what it wrote to standard error.
func (h *Host) Exec(ctx context.Context, name string, args ...string) ([]byte, error) {
	out, err := h.Command(ctx, name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, fmt.Errorf("running %s on %s: %w: %s", name, h.Name(), err, tail(string(exit.Stderr), 5))
	}
	if err != nil {
		return out, fmt.Errorf("running %s on %s: %w", name, h.Name(), err)
	}
	return out, nil
}
