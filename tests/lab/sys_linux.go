package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// mountOverlay mounts an overlay on target. "volatile" leaves out every sync to
// the disk: an installation takes half the time, and a host whose machine goes
// down is thrown away anyway.
func mountOverlay(lower, upper, work, target string) error {
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)
	err := unix.Mount("overlay", target, "overlay", 0, options+",volatile")
	if errors.Is(err, unix.EINVAL) { // before Linux 5.10
		err = unix.Mount("overlay", target, "overlay", 0, options)
	}
	if err != nil {
		return fmt.Errorf("mounting an overlay on %s (the cache folder can't be on an overlay itself: see MUSTER_LAB_CACHE): %w", target, err)
	}
	return nil
}

// unmount takes the mount at target away, at once if nothing uses it. A busy
// one is tried again for two seconds: a dying process holds it for moments.
func unmount(target string) error {
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW)
		switch {
		case err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT):
			return nil // it isn't mounted
		case !errors.Is(err, unix.EBUSY) || time.Now().After(end):
			return fmt.Errorf("unmounting %s: %w", target, err)
		}
	}
}

// detach takes the mount at target out of sight; it ends when nothing uses it.
func detach(target string) error {
	err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// lockFile locks file until it is closed; with wait false it returns false at
// once where another process has it.
func lockFile(file *os.File, kind lockKind, wait bool) (bool, error) {
	how := unix.LOCK_EX
	if kind == shared {
		how = unix.LOCK_SH
	}
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(file.Fd()), how)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		default:
			return false, err
		}
	}
}

// inNamespace runs f on a thread that is in the network namespace bound to
// path. A socket made there belongs to that namespace for ever.
func inNamespace(path string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			home, err := os.Open("/proc/thread-self/ns/net")
			if err != nil {
				return err
			}
			defer home.Close()
			ns, err := os.Open(path)
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("entering the namespace %s: %w", path, err)
			}
			err = f()
			if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
				// Else the goroutine ends locked, and its thread with it.
				runtime.UnlockOSThread()
			}
			return err
		}()
	}()
	return <-done
}

// listenIn listens on a TCP address (an IP and a port) of the namespace bound to path.
func listenIn(path, address string) (l net.Listener, err error) {
	err = inNamespace(path, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// dialIn connects to a TCP address (an IP and a port) from the namespace bound to path.
func dialIn(ctx context.Context, path, address string) (c net.Conn, err error) {
	err = inNamespace(path, func() (err error) {
		// A single literal address is dialled on the calling goroutine's thread.
		c, err = new(net.Dialer).DialContext(ctx, "tcp", address)
		return err
	})
	return c, err
}

// hasDevice reports whether path is a device of this machine.
func hasDevice(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode()&os.ModeDevice != 0
}

// owner returns whom a file belongs to.
func owner(st os.FileInfo) (uid, gid int, err error) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("%s: no owner is known", st.Name())
	}
	return int(sys.Uid), int(sys.Gid), nil
}

// fileID returns the two numbers that tell a file from every other.
func fileID(path string) (device, inode uint64, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, err
	}
	return uint64(st.Dev), st.Ino, nil
}

// inode returns the number that tells a file from others of its file system.
func inode(path string) (uint64, error) {
	_, n, err := fileID(path)
	return n, err
}
