package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A worker speaks with a remote of root's, and runs as a user who may debug what is
// theirs: with ptrace(2), pidfd_getfd(2), /proc/PID/mem and /proc/PID/fd they would
// take over the worker and its pipes. The kernel refuses all of these for a process
// that isn't dumpable (PR_SET_DUMPABLE of prctl(2)). execve(2) makes a process
// dumpable, but for one whose program its user can't read: so a worker runs a copy
// that anybody may execute and only root may read, and is never dumpable.

// spawner starts workers.
type spawner struct {
	once   sync.Once
	sealed *os.File // the copy; nil where the kernel can't have it
}

// program is the path at which a child of this process finds the program to run.
func (s *spawner) program() string {
	s.once.Do(func() { s.sealed, _ = sealedCopy() })
	if s.sealed == nil {
		return "/proc/self/exe" // it makes itself undumpable first of all
	}
	return "/proc/self/fd/" + strconv.Itoa(int(s.sealed.Fd()))
}

// sealedCopy returns this program as a file without a name, of root's and with
// mode 0711.
func sealedCopy() (*os.File, error) {
	own, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer own.Close()
	// Kernels that can refuse to execute such files want to be told of it, others
	// don't know the flag.
	fd, err := unix.MemfdCreate("muster-remote", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate("muster-remote", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "muster-remote")
	_, err = io.Copy(f, own)
	if err == nil {
		err = unix.Fchmod(fd, 0o711)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// A worker sees to it itself, too, before anything else: not all kernels can start
// it so. Here the first thread runs, whose name is the process's.
func init() {
	if !isWorker() {
		return
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		panic("muster-remote: " + err.Error())
	}
	name := []byte("muster-remote\x00") // else the number of a descriptor
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
}

// spawn starts this program as another user.
func (s *spawner) spawn(_ context.Context, name string) (io.ReadWriteCloser, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	credential, err := credential(u)
	if err != nil {
		return nil, err
	}
	c, err := start(s.program(), u, credential)
	if err != nil && s.sealed != nil { // files without a name may be barred from running
		c, err = start("/proc/self/exe", u, credential)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// credential is a user's numbers as they are.
func credential(u *user.User) (*syscall.Credential, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	var groups []uint32
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			groups = append(groups, uint32(n))
		}
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: groups}, nil
}

// start starts a worker.
func start(program string, u *user.User, credential *syscall.Credential) (*child, error) {
	cmd := &exec.Cmd{Path: program, Args: []string{"muster-remote", "worker"}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	cmd.Env = []string{"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"}
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	c := &child{cmd: cmd}
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return c, cmd.Start()
}

// child is a worker's process: closing its input ends it.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.ReadCloser
}

func (c *child) Read(p []byte) (int, error)  { return c.out.Read(p) }
func (c *child) Write(p []byte) (int, error) { return c.in.Write(p) }

// CloseInput tells the worker to end when the change in hand is made.
func (c *child) CloseInput() error { return c.in.Close() }

// Pid is the number of the worker's process.
func (c *child) Pid() int { return c.cmd.Process.Pid }

// Kill ends the worker at once. Close is still to be called.
func (c *child) Kill() error { return c.cmd.Process.Kill() }

// Close ends the input and waits for the end of the change in hand.
func (c *child) Close() error {
	_ = c.in.Close()
	return c.cmd.Wait()
}
