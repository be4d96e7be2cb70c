// Package local runs commands on this machine through transport's interfaces.
package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"muster/transport"
)

// Dialer "connects" to this machine. It implements transport.Dialer.
type Dialer struct{}

// Dial implements transport.Dialer.
func (Dialer) Dial(ctx context.Context, t transport.Target) (transport.Conn, error) {
	if err := t.Validate(); err != nil {
		return nil, &transport.UnreachableError{Host: t.Name, Stage: transport.StageSettings, Err: err}
	}
	c := &conn{}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, ctx.Err()
}

// conn ends its commands when it is closed.
type conn struct {
	ctx     context.Context // ends when the conn is closed
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// Close implements transport.Conn.
func (c *conn) Close() error {
	c.cancel()
	c.running.Wait()
	return nil
}

// Start implements transport.Conn. The command is a process group of its own;
// cancelling ctx kills it.
func (c *conn) Start(ctx context.Context, command string) (*transport.Process, error) {
	if err := errors.Join(ctx.Err(), c.ctx.Err()); err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Dir, _ = os.UserHomeDir() // as after a login
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var files [6]*os.File // stdin, stdout, stderr: the command's ends, then ours
	closeAll := func() {
		for _, f := range files {
			if f != nil {
				f.Close()
			}
		}
	}
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("starting a command: %w", err)
		}
		files[i], files[i+3] = w, r
		if i == 0 {
			files[i], files[i+3] = r, w
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	if err := cmd.Start(); err != nil {
		closeAll()
		return nil, fmt.Errorf("starting a command: %w", err)
	}
	for _, f := range files[:3] {
		f.Close()
	}
	p := &process{cmd: cmd, stdin: files[3], stdout: files[4], stderr: files[5], ended: make(chan struct{})}
	kill := func() {
		p.kill()
		p.Close()
	}
	stop1 := context.AfterFunc(ctx, func() { p.finish(context.Cause(ctx)); kill() })
	stop2 := context.AfterFunc(c.ctx, func() { p.finish(transport.ErrLost); kill() })
	c.running.Go(func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.reaped = true
		p.mu.Unlock()
		stop1()
		stop2()
		p.finish(exitError(err))
	})
	return &transport.Process{Stdin: p.stdin, Stdout: p.stdout, Stderr: p.stderr, Ender: p}, nil
}

// process is a command on this machine.
type process struct {
	cmd                   *exec.Cmd
	stdin, stdout, stderr *os.File
	ended                 chan struct{} // closed after err is set
	err                   error
	once                  sync.Once

	mu     sync.Mutex
	reaped bool
}

func (p *process) finish(err error) {
	p.once.Do(func() {
		p.err = err
		close(p.ended)
	})
}

// kill ends the process group, unless its number may be another's already.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// Wait implements transport.Ender.
func (p *process) Wait() error {
	<-p.ended
	return p.err
}

// Close implements transport.Ender.
func (p *process) Close() error {
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr} {
		f.Close()
	}
	return nil
}

// exitError turns os/exec's error into transport's.
func exitError(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &transport.ExitError{Code: -1, Signal: signalName(status.Signal())}
	}
	return &transport.ExitError{Code: exit.ExitCode()}
}

// signalName is a signal's name as SSH has it (RFC 4254, 6.10).
func signalName(s syscall.Signal) string {
	names := map[syscall.Signal]string{
		syscall.SIGABRT: "ABRT", syscall.SIGALRM: "ALRM", syscall.SIGFPE: "FPE", syscall.SIGHUP: "HUP", syscall.SIGILL: "ILL",
		syscall.SIGINT: "INT", syscall.SIGKILL: "KILL", syscall.SIGPIPE: "PIPE", syscall.SIGQUIT: "QUIT", syscall.SIGSEGV: "SEGV", syscall.SIGTERM: "TERM",
	}
	if name, ok := names[s]; ok {
		return name
	}
	return fmt.Sprint(int(s))
}

// Put implements transport.Conn.
func (c *conn) Put(ctx context.Context, u transport.Upload) error {
	if err := put(ctx, u); err != nil {
		return fmt.Errorf("writing %s: %w", u.Path, err)
	}
	return nil
}

func put(ctx context.Context, u transport.Upload) error {
	target := u.Path
	if !filepath.IsAbs(target) {
		home, err := os.UserHomeDir()
		if err != nil {
			return err
		}
		target = filepath.Join(home, target)
	}
	if info, err := os.Lstat(target); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("it is no regular file (%s): remove it", info.Mode().Type())
	}
	mode := u.Mode.Perm()
	if mode == 0 {
		mode = 0o600
	}
	temporary := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+"."+rand.Text()[:12])
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode&fs.ModePerm)
	if err != nil {
		return err
	}
	if err = f.Chmod(mode); err == nil { // whatever the umask is
		_, err = io.Copy(f, &cancelled{ctx: ctx, from: u.Content})
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary, target)
	}
	if err != nil {
		os.Remove(temporary)
	}
	return err
}

// cancelled is a reader that ends with ctx.
type cancelled struct {
	ctx  context.Context
	from io.Reader
}

// Read implements io.Reader.
func (r *cancelled) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
