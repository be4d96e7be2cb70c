package watch

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Call is a system call that is about to be made.
type Call struct {
	Name string // "renameat"; "mark" for what Mark says
	// Own: by the watched program itself. Else by one that it has started; Direct
	// where it did that itself.
	Own, Direct bool
	// Looks are the paths whose state the call's outcome depends on, Alters those at
	// which it leaves something else than stands there, both absolute, with the links
	// in their parents followed.
	Looks, Alters []string
	// Words are the arguments and the environment of a program that is started.
	Words []string
}

func (c Call) String() string { return c.Name + " " + strings.Join(append(c.Alters, c.Looks...), " ") }

// Verdict says what becomes of a call. The zero value lets it happen.
type Verdict struct {
	Kill bool          // the watched program is killed before the call is made
	Fail syscall.Errno // the call fails so
}

// Options say what is seen.
type Options struct {
	// Edits: only calls that may alter something are seen, and marks; that costs less.
	Edits bool
	// See is called for each call, one at a time. It returns what becomes of it.
	See func(Call) Verdict
	// Idle, if not nil, reports whether nothing needs to be seen for now, marks
	// neither: calls are let happen without being read, which costs far less.
	Idle func() bool
}

// Run starts a program that calls Enter, lets o.See decide about each of its
// calls, and waits for the program's end.
func Run(cmd *exec.Cmd, o Options) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "filter")
	if len(cmd.ExtraFiles) > 0 {
		panic("watch: descriptor 3 is the filter's")
	}
	cmd.ExtraFiles = []*os.File{theirs}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	held := "all"
	if o.Edits {
		held = "edits"
	}
	// A signal that interrupts a held call makes the kernel ask again.
	cmd.Env = append(cmd.Env, variable+"="+held)
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return err
	}
	listener, err := receive(pair[0])
	if err != nil {
		return errors.Join(fmt.Errorf("%s has ended before it could be watched: %w", cmd.Path, err), cmd.Wait())
	}
	// A call's program and this one take turns: with this they do so on one processor.
	// Kernels before 6.6 don't know it.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), setFlags, syncWakeUp)
	w := &watcher{listener: listener, pid: cmd.Process.Pid, see: o.See, idle: o.Idle, table: calls()}
	go w.loop()
	err = cmd.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.see = nil // what it left running is let be
	return errors.Join(err, w.err)
}

const (
	setFlags   = 0x40082104 // SECCOMP_IOCTL_NOTIF_SET_FLAGS
	syncWakeUp = 1          // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
)

// receive takes the filter's descriptor from the program.
func receive(socket int) (int, error) {
	buf, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(socket, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return 0, errors.Join(err, errors.New("it handed over no filter"))
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return 0, errors.Join(err, errors.New("it handed over no filter"))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, errors.Join(err, errors.New("it handed over no filter"))
	}
	return fds[0], nil
}

type watcher struct {
	listener int
	pid      int
	idle     func() bool
	table    map[uintptr]call

	mu  sync.Mutex
	see func(Call) Verdict
	err error
}

// notice is struct seccomp_notif of <linux/seccomp.h>.
type notice struct {
	id         uint64
	tid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

// answer is struct seccomp_notif_resp.
type answer struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// loop answers for as long as any program lives that the filter binds.
func (w *watcher) loop() {
	defer unix.Close(w.listener)
	for {
		ready := []unix.PollFd{{Fd: int32(w.listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil && err != unix.EINTR {
			return
		}
		if ready[0].Revents&unix.POLLIN == 0 {
			if ready[0].Revents != 0 {
				return
			}
			continue
		}
		var n notice
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(w.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue // the program was killed meanwhile
		}
		a := w.decide(&n)
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(w.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a)))
	}
}

func (w *watcher) decide(n *notice) answer {
	a := answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if w.idle != nil && w.idle() {
		return a
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.see == nil {
		return a
	}
	c, kept, err := w.read(n)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("reading the call %s: %w", c.Name, err)
	}
	if !kept {
		return a
	}
	switch v := w.see(c); {
	case v.Kill:
		_ = unix.Kill(w.pid, unix.SIGKILL)
		if !c.Own { // a power cut spares nobody
			_ = unix.Kill(int(n.tid), unix.SIGKILL)
		}
		a.flags, a.err = 0, -int32(unix.EINTR) // whichever comes first, the call isn't made
	case v.Fail != 0:
		a.flags, a.err = 0, -int32(v.Fail)
	case c.Name == "mark":
		a.flags, a.err = 0, -int32(unix.ENOENT)
	}
	return a
}

// started returns whether the watched program itself has started a process.
func (w *watcher) started(tid uint32) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return false
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if parent, ok := strings.CutPrefix(line, "PPid:"); ok {
			return strings.TrimSpace(parent) == strconv.Itoa(w.pid)
		}
	}
	return false
}
