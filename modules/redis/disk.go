package redis

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// What Redis reads when it starts is what lies on disk: its log alone where it has one, and
// else its snapshot. A Redis that writes neither leaves what was written before as it is, so
// that a start brings back keys that have been deleted since.

// setAside is what is added to the name of keys on disk that no start is to load.
const setAside = ".old"

// onDisk are where the keys lie on disk: the snapshot, and the log.
func onDisk(value func(name string) (string, bool)) (snapshot, log string) {
	named := func(name, usually string) string {
		if v, _ := value(name); v != "" {
			return v
		}
		return usually
	}
	dir := filepath.Join("/", named("dir", "/var/lib/redis"))
	log = named("appenddirname", "appendonlydir")
	if name, _ := value("appenddirname"); name == "" {
		if v, known := value("redis_version"); known && v < "7" {
			log = named("appendfilename", "appendonly.aof") // one file
		}
	}
	return filepath.Join(dir, named("dbfilename", "dump.rdb")), filepath.Join(dir, log)
}

// has is what the server has of a setting, or its file where it doesn't run.
func (p *planner) has(name string) (string, bool) {
	if name == "redis_version" {
		return p.now.info[name], p.now.info != nil
	}
	if v, ok := p.now.vars[name]; ok {
		return v, true
	}
	return p.conf.value(name)
}

// keepsKeys reports whether a server with these settings writes its keys to disk, and to which
// of both.
func keepsKeys(value func(name string) (string, bool)) (snapshot, log bool) {
	saves, known := value("save")
	logs, _ := value("appendonly")
	ends, _ := value("shutdown-on-sigterm")
	return (!known || len(savePoints(saves)) > 0) && !slices.Contains(strings.Fields(ends), "nosave"), logs == "yes"
}

// wanted is a setting as the server will have it.
func (p *planner) wanted(name string) (string, bool) {
	for _, o := range p.want {
		if o.name == name {
			return o.value, true
		}
	}
	return p.has(name)
}

// lying are those of these paths at which something lies.
func (p *planner) lying(paths ...string) (list []string, err error) {
	for _, path := range paths {
		info, err := p.v.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.Exists() {
			list = append(list, path)
		}
	}
	return list, nil
}

// forget plans that nothing is left on disk that a start would load, where nothing is to be.
func (p *planner) forget() (list []host.Change, err error) {
	if p.Persistence != "none" {
		return nil, nil
	}
	paths, err := p.lying(onDisk(p.has))
	for _, path := range paths {
		list = append(list, &SetAside{Path: path})
	}
	return list, err
}

// startsWhole returns an error where a server that is stopped would start without the keys
// that it has on disk: with a log, Redis reads nothing but that, and without one nothing
// but its snapshot.
func (p *planner) startsWhole() error {
	snapshot, log := onDisk(p.has)
	_, logged := keepsKeys(p.has)
	_, logs := keepsKeys(p.wanted)
	held, how := snapshot, "with a log it reads nothing but that"
	if logged {
		held, how = log, "without a log it reads nothing but its snapshot"
	}
	if logs == logged {
		return nil
	}
	lying, err := p.lying(held)
	if err != nil || len(lying) == 0 {
		return err
	}
	return modules.ArgError{Arg: "persistence", Summary: "Redis would start without its keys", Detail: fmt.Sprintf("Redis is stopped, and %s when it starts, so that it would begin without the keys in %s. Start it first (systemctl start %s) and run muster again: what is to hold them is then written with all keys.", how, held, p.unit)}
}

// restartCosts says what a restart does to the keys. forgets is that what lies on disk is
// moved aside before it.
func (p *planner) restartCosts(forgets bool) (string, error) {
	keys := keysOf(p.now.info)
	snapshot, log := keepsKeys(p.wanted)
	switch {
	case (snapshot || log) && keys == 0:
		return "", nil
	case snapshot || log:
		return fmt.Sprintf("loads its %s again", host.Counted(keys, "key", "keys")), nil
	}
	at, _ := onDisk(p.has)
	lying, err := p.lying(at)
	if err != nil {
		return "", err
	}
	loses := ""
	if keys != 0 {
		loses = fmt.Sprintf("loses its %s", host.Counted(keys, "key", "keys"))
	}
	if len(lying) == 0 || forgets {
		if loses != "" {
			loses += ": nothing of them is kept on disk"
		}
		return loses, nil
	}
	if loses != "" {
		loses += ", and "
	}
	return loses + fmt.Sprintf(`loads what %s holds instead: nothing is written to it before, so that keys come back that have been deleted since; persistence = "none" moves it aside`, at), nil
}

// SetAside moves keys on disk to where no start looks for them. Back moves them back.
type SetAside struct {
	Path string `json:"path"`
	Back bool   `json:"back,omitempty"`
}

// Type is "redis.set_aside/1".
func (*SetAside) Type() string { return "redis.set_aside/1" }

// Describe says where they are then.
func (s *SetAside) Describe() host.Description {
	to := filepath.Base(s.Path) + setAside
	if s.Back {
		return host.Description{Action: host.Update, Target: s.Path, Impact: "moved back from " + to}
	}
	return host.Description{Action: host.Update, Target: s.Path, Impact: "moved to " + to + ": a start would load it, and bring back keys that have been deleted since"}
}

// Effects is that it lies elsewhere.
func (s *SetAside) Effects() []host.Effect {
	from := host.Gone(host.File(s.Path))
	if s.Back {
		from = host.Open(host.Files, s.Path)
	}
	return []host.Effect{from, host.Open(host.Files, s.Path+setAside)}
}

// Apply moves it, in place of what was moved there before.
func (s *SetAside) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	dir, name, err := host.OpenParent(s.Path)
	if err != nil {
		return host.Result{}, err
	}
	defer dir.Close()
	from, to := name, name+setAside
	if s.Back {
		from, to = to, from
	}
	now, err := dir.Type(from)
	if err != nil || now == host.NoFile { // an earlier try was cut off
		return host.Result{}, err
	}
	undo := host.Undo{Changes: []host.Change{&SetAside{Path: s.Path, Back: !s.Back}}}
	if s.Back {
		undo = host.Undo{}
	}
	if err := h.Begin(undo); err != nil {
		return host.Result{}, err
	}
	if err := errors.Join(dir.RemoveAll(to), dir.Rename(from, to)); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, dir.Sync()
}
