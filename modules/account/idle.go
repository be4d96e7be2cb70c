package account

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"muster/host"
)

// idle is what usermod and userdel ask of a user before they change some things: that
// they run no process. It is looked at before anything of the task is made, so that no
// home goes for an account that stays.
type idle struct {
	user host.User // as it stands
	what string    // that is done then: "they be removed"
}

// obstacle returns what the user runs, nil for nothing.
func (i *idle) obstacle() error {
	running := processes(i.user.UID)
	if len(running) == 0 {
		return nil
	}
	return &host.Obstacle{Err: unix.EBUSY, Text: fmt.Sprintf("the user %s is running %s; only when they run nothing can %s: end their sessions (loginctl terminate-user %s) or stop their service first", i.user.Name, some(running), i.what, i.user.Name)}
}

// processes lists what a user runs on this host, as usermod looks for it: with
// the real, effective or saved number, and on the same root directory.
func processes(uid int) []string {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	root, err := os.Stat("/")
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		status, err := os.ReadFile(filepath.Join("/proc", e.Name(), "status"))
		if err != nil {
			continue
		}
		name := ""
		for line := range strings.SplitSeq(string(status), "\n") {
			f := strings.Fields(line)
			if len(f) > 1 && f[0] == "Name:" {
				name = f[1]
			}
			if len(f) < 4 || f[0] != "Uid:" {
				continue
			}
			if !slices.Contains(f[1:4], strconv.Itoa(uid)) {
				break
			}
			if other, err := os.Stat(filepath.Join("/proc", e.Name(), "root")); errors.Is(err, os.ErrPermission) || err == nil && os.SameFile(root, other) {
				list = append(list, fmt.Sprintf("process %s (%s)", e.Name(), name))
			}
			break
		}
	}
	return list
}
