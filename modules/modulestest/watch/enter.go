package watch

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// variable tells the watched program that it is watched: "all", or "edits" where
// calls that only look aren't held.
const variable = "MUSTER_WATCHED"

// socket is the descriptor on which the filter is handed over.
const socket = 3

// markFolder is where no file stands: a look into it is a mark.
const markFolder = "/.muster-watch/"

// Watched reports whether Run started this program.
func Watched() bool { return os.Getenv(variable) != "" }

// Enter begins the watch in the program that Run started. Every call that it, or
// a program that it starts, makes from here on is held.
func Enter() error {
	held := os.Getenv(variable)
	if held == "" {
		return fmt.Errorf("%s isn't set: this program isn't started by Run", variable)
	}
	// The programs that are started get neither.
	if err := os.Unsetenv(variable); err != nil {
		return err
	}
	unix.CloseOnExec(socket)
	if os.Geteuid() != 0 { // without root a filter may only bind who gains no rights
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("giving up new rights: %w", err)
		}
	}
	var calling []uintptr
	for nr, c := range calls() {
		if held == "all" || c.edits() {
			calling = append(calling, nr)
		}
	}
	fd, err := install(filter(calling, unix.SECCOMP_RET_USER_NOTIF), unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if err != nil {
		return fmt.Errorf("installing a filter of system calls: %w", err)
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(fd), nil, 0); err != nil {
		return fmt.Errorf("handing over the filter: %w", err)
	}
	_ = unix.Close(fd)
	return unix.Close(socket)
}

// Mark is seen by the test as a call of the name "mark" that looks at word.
func Mark(word string) {
	_ = unix.Faccessat(unix.AT_FDCWD, markFolder+word, 0, 0)
}

// edits reports whether the call is held where only edits are to be seen: also
// those that begin and end a program, and that make marks.
func (c call) edits() bool {
	for _, a := range c.args {
		if a.how&(alters|makes) != 0 {
			return true
		}
	}
	return len(c.args) == 0 || c.flags >= 0 || c.name == "creat" || c.name == "faccessat" || strings.HasPrefix(c.name, "exec")
}
