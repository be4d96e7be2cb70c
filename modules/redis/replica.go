package redis

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// Whom a server follows is compared with three things: what the task says, what runs, and
// what muster has last set, which it notes. Where the task says something else than was set,
// the playbook has changed, and the server is told. Where what runs is something else than
// was set, a failover, or somebody, has changed it: that is told, and left as it is.
// Where nothing was set yet, only a server without keys is told.

// begins stands in a note before a primary that the server is being told to follow.
const begins = "begun "

// followsNow is the primary that a server follows, "10.0.1.31:6379"; "" where it is one.
func followsNow(info map[string]string) string {
	if info["role"] != "slave" {
		return ""
	}
	return net.JoinHostPort(info["master_host"], info["master_port"])
}

// follow plans whom the server follows. It returns the line of the file, "" for none; nil
// where that stays as it is.
func (p *planner) follow(ctx context.Context, l *Load) (*string, error) {
	if p.ReplicaOf == "" {
		return nil, nil
	}
	want := ""
	if p.ReplicaOf != "none" {
		h, port, err := primaryOf(p.ReplicaOf)
		if err != nil {
			return nil, err
		}
		if own, known := p.wanted("port"); (port == own || !known && port == "6379") && ownAddress(ctx, h) {
			return nil, modules.ArgError{Arg: "replica_of", Summary: "Redis can't replicate from itself", Detail: fmt.Sprintf("%s is this host's own Redis. Give a primary \"none\", and others its address.", p.ReplicaOf)}
		}
		want = net.JoinHostPort(h, port)
	}
	l.follows = spoken(want)
	line := lineOf(want)
	if p.now.Follows != "" { // pending changes leave that
		if p.now.Follows != spoken(want) {
			l.Follow = spoken(want)
		}
		return &line, nil
	}
	live, keys, err := p.followed()
	if err != nil {
		return nil, err
	}
	data, err := p.v.ReadFile(ctx, followsPath, noteLimit)
	if err != nil && !gone(err) && !isNotYet(err) {
		return nil, err
	}
	noted := strings.TrimSpace(string(data))
	begun := noted == begins+spoken(want) // by a run that was cut off
	if live == want {
		if begun {
			l.Follow = spoken(want)
			l.shows = append(l.shows, "replica_of: "+spoken(want)+", which a run had begun")
		}
		return &line, nil
	}
	replicas := p.now.info["connected_slaves"]
	switch {
	case p.TakeBack, begun:
	case noted != "" && noted != spoken(live), noted == "" && live != "":
		p.notes = append(p.notes, fmt.Sprintf("Redis %s, and the task has it that it %s: a failover has changed that, or somebody, and it stays as it is. With take_back = true the task sets it back.", does(live), does(want)))
		return nil, nil
	case live == "" && keys != 0, noted == "" && replicas != "" && replicas != "0":
		p.notes = append(p.notes, fmt.Sprintf("Redis is a primary with %s and %s, and the task has it that it %s: it stays as it is, since it would lose those that its primary hasn't. With take_back = true the task does that.", anyKeys(keys), host.Counted(atoi(replicas), "replica", "replicas"), does(want)))
		return nil, nil
	}
	l.Follow = spoken(want)
	l.shows = append(l.shows, "replica_of: "+spoken(live)+" → "+spoken(want))
	if want != "" && keys != 0 {
		l.Impact = append(l.Impact, "replaces its "+anyKeys(keys)+" by those of "+want)
	}
	return &line, nil
}

// ownAddress reports whether an address, or a name for one, is this host's.
func ownAddress(ctx context.Context, name string) bool {
	ctx, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	ips, _ := net.DefaultResolver.LookupIPAddr(ctx, name) // where it isn't found Redis will tell
	own, _ := net.InterfaceAddrs()
	for _, ip := range ips {
		if ip.IP.IsLoopback() || ip.IP.IsUnspecified() {
			return true
		}
		for _, a := range own {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip.IP) {
				return true
			}
		}
	}
	return false
}

// followed is whom the server follows, or would where it is stopped, and how many keys it
// holds; -1 where it has some and nobody can tell.
func (p *planner) followed() (live string, keys int, err error) {
	if p.now.info != nil {
		return followsNow(p.now.info), keysOf(p.now.info), nil
	}
	if text, _ := p.conf.value("replicaof"); text != "" {
		if f := strings.Fields(text); len(f) == 2 {
			live = net.JoinHostPort(f[0], f[1])
		}
	}
	dir, _ := p.conf.value("dir")
	for _, name := range []string{"dump.rdb", "appendonlydir"} {
		info, err := p.v.Stat(filepath.Join("/", dir, name))
		if err != nil {
			return "", 0, err
		}
		if info.Exists() {
			keys = -1
		}
	}
	return live, keys, nil
}

func anyKeys(n int) string {
	if n < 0 {
		return "keys"
	}
	return host.Counted(n, "key", "keys")
}

func atoi(text string) (n int) {
	_, _ = fmt.Sscan(text, &n)
	return n
}

// spoken is a primary as tasks and notes have it.
func spoken(primary string) string {
	if primary == "" {
		return "none"
	}
	return primary
}

func does(primary string) string {
	if primary == "" {
		return "is a primary"
	}
	return "follows " + primary
}

// lineOf is a primary as Redis's file and its commands have it.
func lineOf(primary string) string {
	if primary == "" || primary == "none" {
		return ""
	}
	h, port, _ := net.SplitHostPort(primary)
	return h + " " + port
}

// following tells the server whom to follow.
func (s *server) following(ctx context.Context, primary string) error {
	args := []string{"REPLICAOF", "NO", "ONE"}
	if line := lineOf(primary); line != "" {
		args = append(args[:1], strings.Fields(line)...)
	}
	_, err := s.do(ctx, args...)
	return err
}

// linked waits until a replica has all that its primary has.
func (s *server) linked(ctx context.Context, h *host.Host, primary string) error {
	if lineOf(primary) == "" {
		return nil
	}
	since := time.Now()
	return until(ctx, func() (bool, error) {
		text, err := s.text(ctx, "INFO", "replication")
		if err != nil {
			return false, unanswered(err)
		}
		info := parseInfo(text)
		switch {
		case info["master_link_status"] == "up":
			return true, nil
		case info["master_sync_in_progress"] == "1":
			since = time.Now()
			if h.Report != nil {
				h.Report("gets the keys of " + primary)
			}
		case time.Since(since) > linkTime:
			return false, fmt.Errorf("the server was to follow %s, and isn't connected to it after %s: see that it can be reached from here, that it lets replica_user in with replica_password, and its log, /var/log/redis/redis-server.log", primary, linkTime)
		}
		return false, nil
	})
}
