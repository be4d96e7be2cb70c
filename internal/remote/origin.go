package remote

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Origin returns where whoever has logged in comes from, as sshd tells it to what it starts:
// ssh(1), SSH_CONNECTION. sudo takes that away, so that the processes above this one are
// asked. It is invalid where nobody has logged in, and where that can't be told.
func Origin() netip.Addr { return originOf("/proc", os.Getpid()) }

// originLimit is how many processes above one are asked.
const originLimit = 32

func originOf(proc string, pid int) netip.Addr {
	for i := 0; i < originLimit && pid > 1; i++ {
		data, _ := os.ReadFile(fmt.Sprintf("%s/%d/environ", proc, pid)) // another user's can't be read
		for entry := range bytes.SplitSeq(data, []byte{0}) {
			if value, ok := strings.CutPrefix(string(entry), "SSH_CONNECTION="); ok {
				from, _, _ := strings.Cut(value, " ")
				a, err := netip.ParseAddr(from)
				if err != nil {
					return netip.Addr{}
				}
				return a.Unmap().WithZone("")
			}
		}
		stat, err := os.ReadFile(fmt.Sprintf("%s/%d/stat", proc, pid))
		if err != nil {
			break
		}
		// The name, in brackets, may hold anything: proc_pid_stat(5).
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 {
			break
		}
		if pid, err = strconv.Atoi(fields[1]); err != nil {
			break
		}
	}
	return netip.Addr{}
}
