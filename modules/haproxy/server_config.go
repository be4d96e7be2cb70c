package haproxy

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// configTextLimit is the size, in bytes, up to which configurations are read.
const configTextLimit = 8 << 20

// configFiles is where a configuration is read: a host as it is, or as it is planned.
type configFiles interface {
	read(path string) ([]byte, error)
	list(dir string) ([]string, error)
}

type viewFiles struct {
	ctx context.Context
	v   *host.View
}

func (f viewFiles) read(path string) ([]byte, error) {
	return f.v.ReadFile(f.ctx, path, configTextLimit)
}

func (f viewFiles) list(dir string) ([]string, error) {
	info, err := f.v.Stat(dir)
	if err != nil || info.Type != host.Directory {
		return nil, fs.ErrNotExist
	}
	return f.v.ReadDir(dir)
}

type liveFiles struct{}

func (liveFiles) read(path string) ([]byte, error) { return os.ReadFile(path) }

func (liveFiles) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// text is the whole configuration, all files one after the other. Those that can't be read
// are left out: what is looked up here has its defaults.
func (d *daemon) text(f configFiles) string {
	var b strings.Builder
	for _, path := range d.configs() {
		list := []string{path}
		if names, err := f.list(path); err == nil {
			list = nil
			for _, name := range names { // in order, as HAProxy reads them
				if strings.HasSuffix(name, ".cfg") && !strings.HasPrefix(name, ".") {
					list = append(list, filepath.Join(path, name))
				}
			}
		}
		for _, path := range list {
			if data, err := f.read(path); err == nil {
				b.Write(data)
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// loadsStates reports whether a configuration has states of servers outlive a restart. The
// file that a haproxy task has it load holds none but while HAProxy is reloaded.
func loadsStates(config string) bool {
	for line := range strings.Lines(config) {
		f := strings.Fields(line)
		if len(f) > 1 && f[0] == "server-state-file" && f[1] == keptPath {
			return false
		}
	}
	for line := range strings.Lines(config) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "load-server-state-from-file" && f[1] != "none" {
			return true
		}
	}
	return false
}

// agentInterval is how often a server's agent is asked. HAProxy doesn't tell, so it is
// looked up in the configuration: the server's own agent-inter, that of its section or of
// the defaults before it, or HAProxy's, 2s. Of several defaults the longest counts.
func agentInterval(config, backend, server string) time.Duration {
	const standard = 2 * time.Second
	own, section, defaults := time.Duration(0), time.Duration(0), time.Duration(0)
	kind, name := "", ""
	for line := range strings.Lines(config) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "mailers", "userlist", "program", "cache", "ring":
			if kind, name = f[0], ""; len(f) > 1 {
				name = f[1]
			}
			continue
		}
		within := (kind == "backend" || kind == "listen") && name == backend
		switch {
		case f[0] == "default-server" && kind == "defaults":
			defaults = max(defaults, agentInter(f))
		case f[0] == "default-server" && within && agentInter(f) > 0:
			section = agentInter(f)
		case f[0] == "server" && within && len(f) > 1 && f[1] == server:
			own = agentInter(f)
		}
	}
	for _, d := range []time.Duration{own, section, defaults} {
		if d > 0 {
			return d
		}
	}
	return standard
}

// agentInter is the agent-inter of a line, 0 where it has none. Without a unit it is in
// milliseconds.
func agentInter(fields []string) time.Duration {
	for i, f := range fields[:len(fields)-1] {
		if f != "agent-inter" {
			continue
		}
		var d modules.Duration
		text := fields[i+1]
		if strings.Trim(text, "0123456789") == "" {
			text += "ms"
		}
		if d.UnmarshalText([]byte(text)) == nil {
			return time.Duration(d)
		}
	}
	return 0
}
