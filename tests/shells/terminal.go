// Package shells tries what muster's completion does in real shells, at a terminal.
package shells

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a shell may take to say what is awaited.
const patience = 2 * time.Minute

// terminal is a pseudo-terminal with a program at it.
type terminal struct {
	master *os.File
	cmd    *exec.Cmd

	mu    sync.Mutex
	said  []byte
	more  chan struct{} // has an element where said has grown since it was looked at
	ended chan struct{}
}

// open starts a program at a terminal of its own.
func open(cmd *exec.Cmd) (*terminal, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200})
	}
	if err != nil {
		return nil, err
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	t := &terminal{master: master, cmd: cmd, more: make(chan struct{}, 1), ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go t.read()
	return t, nil
}

func (t *terminal) read() {
	defer close(t.ended)
	b := make([]byte, 4096)
	for {
		n, err := t.master.Read(b)
		t.mu.Lock()
		t.said = append(t.said, b[:n]...)
		t.mu.Unlock()
		select {
		case t.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// await waits until the program has said text, and returns what it said until then. What
// comes behind is looked at by the next call.
func (t *terminal) await(text string) (string, error) {
	deadline := time.After(patience)
	for {
		t.mu.Lock()
		said := string(t.said)
		if i := strings.Index(said, text); i >= 0 {
			t.said = t.said[i+len(text):]
			t.mu.Unlock()
			return said[:i], nil
		}
		t.mu.Unlock()
		select {
		case <-t.more:
		case <-t.ended:
			return said, fmt.Errorf("it has ended, and hasn't said %q but %q", text, said)
		case <-deadline:
			return said, fmt.Errorf("it hasn't said %q but %q", text, said)
		}
	}
}

// write types.
func (t *terminal) write(keys string) error {
	_, err := t.master.WriteString(keys)
	return err
}

// close ends the program.
func (t *terminal) close() error {
	_ = t.cmd.Process.Kill()
	_ = t.cmd.Wait()
	return t.master.Close()
}
