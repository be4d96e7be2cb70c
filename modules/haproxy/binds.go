package haproxy

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mostPorts is how many ports of a range are tried.
const mostPorts = 64

// occupied returns why HAProxy couldn't listen where a bind says, nil where it could. A
// socket is bound and closed again, as HAProxy binds its own (with SO_REUSEPORT, beside
// those of the worker that still serves); it never listens.
func (b bind) occupied(own []int) error {
	if slices.Contains(b.words, "namespace") {
		return nil
	}
	for port := b.ports[0]; port <= b.ports[1] && port < b.ports[0]+mostPorts; port++ {
		if err := b.try(port, own); err != nil {
			return err
		}
		// Another program may let others share its very address: requests would go to either.
		if by := b.holder(port, own); by != nil && !by.own {
			return &portTaken{port, by}
		}
	}
	return nil
}

func (b bind) address() netip.Addr {
	if a, err := netip.ParseAddr(b.host); err == nil {
		return a
	}
	return netip.IPv4Unspecified()
}

// portTaken is a port that somebody else listens on.
type portTaken struct {
	port int
	by   *holder // nil where it can't be told
}

func (t *portTaken) Error() string {
	if t.by == nil {
		return fmt.Sprintf("port %d is taken", t.port)
	}
	unit := ""
	if t.by.unit != "" {
		unit = ", " + t.by.unit
	}
	return fmt.Sprintf("port %d is taken by %s (process %d%s)", t.port, t.by.name, t.by.pid, unit)
}

// holder is a process that listens.
type holder struct {
	name string
	pid  int
	unit string // nginx.service; "" where it can't be told
	own  bool   // it is HAProxy itself
}

// sockets are those that listen on a port where a bind does, as links of /proc/PID/fd name
// them.
func (b bind) sockets(port int) map[string]bool {
	at := b.address()
	inodes := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile("/proc/self/net/" + table)
		if err != nil {
			continue
		}
		for l := range strings.Lines(string(data)) {
			f := strings.Fields(l)
			if len(f) < 10 || f[3] != "0A" { // TCP_LISTEN
				continue
			}
			address, number, _ := strings.Cut(f[1], ":")
			if n, err := strconv.ParseUint(number, 16, 16); err != nil || int(n) != port {
				continue
			}
			any := strings.Trim(address, "0") == ""
			if has := procAddress(address); any || at.IsUnspecified() || has == at || has.Unmap() == at {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	return inodes
}

// holder finds who listens on a port where a bind does: somebody else before HAProxy itself,
// which are the processes own and those of its unit. It is nil where nobody does, or
// nobody can tell.
func (b bind) holder(port int, own []int) (found *holder) {
	inodes := b.sockets(port)
	if len(inodes) == 0 {
		return nil
	}
	pids, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range pids {
		links, _ := filepath.Glob(dir + "/fd/*")
		listens := slices.ContainsFunc(links, func(l string) bool {
			to, err := os.Readlink(l)
			return err == nil && inodes[to]
		})
		if !listens {
			continue
		}
		h := &holder{unit: unitOf(dir)}
		h.pid, _ = strconv.Atoi(filepath.Base(dir))
		name, _ := os.ReadFile(dir + "/comm")
		h.name = strings.TrimSpace(string(name))
		if h.own = h.unit == unit || slices.Contains(own, h.pid); !h.own {
			return h
		}
		found = h
	}
	return found
}

// procAddress reads an address as /proc/net/tcp has it: words of the machine's byte order.
func procAddress(hex string) netip.Addr {
	var b []byte
	for i := 0; i+8 <= len(hex); i += 8 {
		word, err := strconv.ParseUint(hex[i:i+8], 16, 32)
		if err != nil {
			return netip.Addr{}
		}
		b = append(b, byte(word), byte(word>>8), byte(word>>16), byte(word>>24))
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// unitOf is the unit that a process belongs to: "nginx.service"; "" where it can't be told.
func unitOf(dir string) string {
	data, _ := os.ReadFile(dir + "/cgroup")
	for l := range strings.Lines(string(data)) {
		if name := filepath.Base(strings.TrimSpace(l)); strings.HasSuffix(name, ".service") {
			return name
		}
	}
	return ""
}

// family are the processes of a master and of its workers.
func family(master int) []int {
	list := []int{master}
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
	for _, f := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(f); err == nil {
			list = append(list, pid)
		}
	}
	return list
}
