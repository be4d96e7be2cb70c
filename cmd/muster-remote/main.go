// Command muster-remote is the half of muster that runs on hosts. It is pushed
// there by muster, speaks to it over its standard streams, and ends with them.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"strconv"
	"syscall"

	"muster/host/facts"
	"muster/internal/remote"
	"muster/modules/all"
)

func main() {
	if err := serve(len(os.Args) > 1 && os.Args[1] == "worker"); err != nil {
		fmt.Fprintln(os.Stderr, "muster-remote:", err)
		os.Exit(1)
	}
}

// outlive keeps signals from ending this program, without ignoring them: programs
// inherit what is ignored, and a daemon that a task starts could then not be ended,
// nor would a pipe's reader end its writer. What was ignored when this started,
// by whoever started it, is not passed on either.
func outlive(signals ...os.Signal) {
	for n := syscall.Signal(1); n < 32; n++ {
		if signal.Ignored(n) {
			signals = append(signals, n)
		}
	}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, signals...)
	go func() {
		for range caught { //nolint:revive // nothing is to be done
		}
	}()
}

func serve(worker bool) error {
	// The end of the input ends this program; nothing else does, so that the
	// change in hand is finished when a connection is cut.
	outlive(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE, syscall.SIGTERM)
	syscall.Umask(0o022)
	out := os.Stdout
	os.Stdout = os.Stderr // so that nothing stray gets between the messages
	sum, err := remote.OwnSum()
	if err != nil {
		return err
	}
	o := remote.Options{Kinds: all.Registry(), Facts: facts.JSON, FactKeys: facts.Keys(), Sum: sum, Worker: worker}
	if os.Geteuid() == 0 {
		o.Spawn = spawn
	}
	return remote.Serve(context.Background(), os.Stdin, out, o)
}

// spawn starts this program as another user.
func spawn(_ context.Context, name string) (io.ReadWriteCloser, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
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
	cmd := exec.Command("/proc/self/exe", "worker")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: groups}}
	cmd.Env = []string{"HOME=" + u.HomeDir, "USER=" + name, "LOGNAME=" + name, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"}
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	w := &child{cmd: cmd}
	if w.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if w.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return w, cmd.Start()
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

// Close ends the input and waits for the end of the change in hand.
func (c *child) Close() error {
	_ = c.in.Close()
	return c.cmd.Wait()
}
