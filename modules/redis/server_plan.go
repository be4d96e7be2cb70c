package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// configPaths are where packages have Redis's file: Debian's and Red Hat's.
var configPaths = []string{"/etc/redis/redis.conf", "/etc/redis.conf"}

// daemon is how Redis is installed.
type daemon struct{ path, unit, program string }

// findDaemon looks for Redis's file and its unit.
func findDaemon(v *host.View) (daemon, error) {
	d := daemon{unit: "redis-server.service", program: "/usr/bin/redis-server"}
	for _, path := range configPaths {
		info, err := v.Stat(path)
		if err != nil {
			return d, err
		}
		if info.Exists() {
			d.path = path
			break
		}
	}
	if d.path == "" {
		return d, errors.New(`there is no Redis on this host: install it in an earlier task, task "package" "redis-server" {}, or with the role "redis"`)
	}
	info, err := v.Stat("/lib/systemd/system/" + d.unit)
	if err == nil && !info.Exists() {
		d.unit = "redis.service"
	}
	return d, err
}

// running is a server as it runs, or will.
type running struct {
	// Running and what follows is what pending changes leave: Where it can be asked until
	// they are made, and what it then has.
	Running bool              `json:"running"`
	Where   string            `json:"where,omitempty"`
	Has     map[string]string `json:"has,omitempty"`
	Follows string            `json:"follows,omitempty"`

	vars    map[string]string // nil where it doesn't run, or can't be asked yet
	info    map[string]string
	version [3]int
}

// marked is a value as previews have it: of a password, that it is some.
func marked(name, value string) string {
	if secretSetting(name) {
		return host.ContentOf([]byte(value), true).Sum
	}
	return value
}

// planner plans a server.
type planner struct {
	*Server
	daemon
	v     *host.View
	conf  *conf // as it is
	login login
	now   *running
	want  []option
	notes []string
}

// Plan compares the file, and what runs.
func (s *Server) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if !host.IsRoot() {
		return modules.Plan{}, errNotRoot
	}
	p := &planner{Server: s, v: v}
	plan, err := p.plan(ctx)
	if isNotYet(err) {
		plan = modules.Plan{Then: []host.Description{
			{Action: host.Update, Target: configPaths[0], Impact: "where it doesn't hold the settings by then"},
			{Action: host.Update, Target: "redis-server.service", Impact: "where it doesn't run with them"},
			{Action: host.Restart, Target: "redis-server.service", Impact: "where that takes one"},
		}}
	}
	return plan, err
}

func (p *planner) plan(ctx context.Context) (plan modules.Plan, err error) {
	if p.daemon, err = findDaemon(p.v); err != nil {
		return plan, err
	}
	text, err := p.v.ReadFile(ctx, p.path, confLimit)
	if err != nil {
		return plan, err
	}
	p.conf = parseConf(string(text))
	p.login = loginOf(p.v, p.LoginUser, append(slices.Clone(p.Valid), p.LoginPassword)...)
	if p.now, err = readRunning(ctx, p.v, p.daemon, p.conf, p.login); err != nil {
		return plan, err
	}
	p.want = p.options(func(name string) string { value, _ := p.has(name); return value })
	l := &Load{Verb: verbSet, Unit: p.unit, Path: p.path, Program: p.program, Login: p.login, Where: p.now.Where}
	for _, o := range p.want {
		l.Names = append(l.Names, o.name)
	}
	follow, err := p.follow(ctx, l)
	if err != nil {
		return plan, err
	}
	different, err := p.different(l)
	if err != nil {
		return plan, err
	}
	write, err := p.write(ctx, follow)
	if err != nil {
		return plan, err
	}
	forget, err := p.forget()
	if err != nil {
		return plan, err
	}
	plan.Notes = p.notes
	if len(write) == 0 && len(forget) == 0 && len(different) == 0 && l.Follow == "" && p.now.Running {
		if p.now.info != nil {
			plan.Output, err = p.output()
		}
		return plan, err
	}
	if err := p.valid(ctx); err != nil {
		return plan, err
	}
	if err := p.verb(ctx, l, different, len(forget) > 0); err != nil {
		return plan, err
	}
	plan.Changes, plan.Atomic = write, true
	for _, c := range write {
		l.Sum = c.(*host.WriteFile).Content.Sum
	}
	plan.Changes = append(plan.Changes, p.order(l, forget)...)
	return plan, nil
}

// order puts what lies on disk and is to be forgotten between what has Redis write no more
// of it and what has it read that. A server that is stopped holds its keys nowhere else, if
// it has written them so far: those it reads first.
func (p *planner) order(l *Load, forget []host.Change) []host.Change {
	snapshot, log := keepsKeys(p.has)
	switch {
	case l.Verb == verbSet && len(l.Set) == 0 && l.Follow == "":
		return forget
	case l.Verb == verbSet, l.Verb == verbStart && (snapshot || log):
		return append([]host.Change{l}, forget...)
	case l.Verb == verbRestart && len(l.Set) > 0 && len(forget) > 0:
		set := *l
		set.Verb, set.For, set.Impact, set.Follow = verbSet, nil, nil, ""
		set.Names = slices.DeleteFunc(slices.Clone(l.Names), func(n string) bool { return slices.Contains(l.For, n) })
		set.has, set.shows = maps.Clone(l.has), nil
		for _, name := range l.For {
			delete(set.has, name)
		}
		for _, line := range l.shows {
			name, _, _ := strings.Cut(line, ":")
			if slices.Contains(set.Set, name) {
				set.shows = append(set.shows, line)
			}
		}
		l.shows = slices.DeleteFunc(l.shows, func(line string) bool { return slices.Contains(set.shows, line) })
		l.Set = nil
		return append(append([]host.Change{&set}, forget...), l)
	}
	return append(forget, l)
}

// readRunning is the server as pending changes will leave it.
func readRunning(ctx context.Context, v *host.View, d daemon, c *conf, l login) (*running, error) {
	r := &running{}
	value, laid, _, err := v.Look(serverKey)
	if err != nil {
		return nil, err
	}
	if laid && value != nil {
		if err := host.Unmarshal(value, r); err != nil {
			return nil, err
		}
	}
	addresses := c.addresses()
	if r.Where != "" {
		addresses = append([]string{r.Where}, addresses...)
	}
	real, err := host.Once(v, "redis server "+strings.Join(addresses, " ")+" "+l.name(), func() (*running, error) {
		s, err := connect(ctx, viewDialer(v), addresses, l.pairs(ctx, v.Body, c))
		if err != nil {
			return nil, err
		}
		defer s.Close()
		n := &running{Running: true, Where: s.address, info: s.info, version: s.version}
		n.vars, err = s.settings(ctx)
		return n, err
	})
	if err != nil {
		if !nobodyListens(err) {
			return nil, unanswered(err)
		}
		if laid { // it will run then
			return r, nil
		}
		out, err := v.Query(ctx, host.Command{Argv: []string{"systemctl", "show", "--property=ActiveState", "--", d.unit}}, asked...)
		if err != nil {
			return nil, err
		}
		if state := strings.TrimPrefix(strings.TrimSpace(string(out.Stdout)), "ActiveState="); state == "active" || state == "reloading" {
			return nil, fmt.Errorf("%s runs, and nobody listens where %s says (%s): give it the unix socket of its packages, unixsocket /run/redis/redis-server.sock, and restart it", d.unit, d.path, strings.Join(c.addresses(), ", "))
		}
		return r, nil
	}
	r.Running, r.Where, r.info, r.version = true, real.Where, real.info, real.version
	r.vars = map[string]string{}
	for name, value := range real.vars {
		r.vars[name] = value
	}
	return r, nil
}

// has is what the server has of a setting, and whether that is what is wanted.
func (r *running) has(name, want string) (value string, agrees bool) {
	if value, laid := r.Has[name]; laid {
		if secretSetting(name) {
			return value, value == marked(name, want)
		}
		return value, same(name, want, value)
	}
	value, known := r.vars[name]
	if r.vars == nil || !known {
		return "", r.vars == nil
	}
	return value, same(name, want, value)
}

// different are the settings that the server runs with otherwise.
func (p *planner) different(l *Load) (list []string, err error) {
	l.has = map[string]string{}
	for _, o := range p.want {
		l.has[o.name] = marked(o.name, o.value)
		value, agrees := p.now.has(o.name, o.value)
		if agrees {
			continue
		}
		if _, known := p.now.vars[o.name]; !known {
			e := modules.ArgError{Summary: "No such setting", Detail: fmt.Sprintf("This host's Redis %s has no setting %s.", p.now.info["redis_version"], o.name)}
			e.Arg, e.Path = p.place(o.name)
			return nil, e
		}
		list = append(list, o.name)
		l.shows = append(l.shows, shown(o.name, value, o.value))
	}
	return list, nil
}

// shown is a line about a setting that changes.
func shown(name, has, value string) string {
	if secretSetting(name) {
		return name + ": set anew"
	}
	for _, text := range []*string{&has, &value} {
		n, ok := number(*text)
		if m, err := strconv.ParseUint(*text, 10, 64); err == nil && ok && n >= 1<<20 && m%(1<<20) == 0 {
			*text = strconv.FormatUint(m>>20, 10) + "mb"
		}
		if *text == "" {
			*text = `""`
		}
	}
	return name + ": " + has + " → " + value
}

// write plans the lines of the file.
func (p *planner) write(ctx context.Context, follow *string) ([]host.Change, error) {
	old := p.conf.text()
	edited := parseConf(old)
	for _, o := range p.want {
		if has, known := edited.value(o.name); !known || !same(o.name, o.value, has) && !(secretSetting(o.name) && has == o.value) {
			edited.set(o.name, o.value)
		}
	}
	if follow != nil {
		has, known := edited.value("replicaof")
		switch {
		case *follow == "" && known:
			edited.unset("replicaof")
		case *follow != "" && !sameWords(strings.Fields(has), strings.Fields(*follow)):
			edited.set("replicaof", *follow)
		}
	}
	if edited.text() == old {
		return nil, nil
	}
	return rewrite(ctx, p.v, p.path, edited.text())
}

// rewrite plans that a file of Redis's has this text, in which passwords are hidden.
func rewrite(ctx context.Context, v *host.View, path, text string) ([]host.Change, error) {
	old := ""
	write, err := v.Rewrite(ctx, path, func(was string) (string, error) { old = was; return text, nil })
	for _, c := range write {
		if w, ok := c.(*host.WriteFile); ok {
			w.Diff = host.Diff([]byte(hidden(old)), []byte(hidden(text)))
			w.Content.Sensitive, w.After.Sensitive = true, true
		}
	}
	return write, err
}

// verb finds out how the server comes to run with the settings.
func (p *planner) verb(ctx context.Context, l *Load, different []string, forgets bool) error {
	if !p.now.Running {
		l.Verb = verbStart
		return p.startsWhole()
	}
	if p.now.vars == nil { // something that isn't there yet: at its turn it is looked at once more
		l.Verb, l.For = verbRestart, different
		return nil
	}
	live := []string{}
	if len(different) > 0 {
		s, err := connect(ctx, viewDialer(p.v), []string{p.now.Where}, p.login.pairs(ctx, p.v.Body, p.conf))
		if err != nil {
			return unanswered(err)
		}
		defer s.Close()
		for _, name := range different {
			fixed, err := s.fixed(ctx, name)
			if err != nil {
				return unanswered(err)
			}
			if fixed {
				l.Verb = verbRestart
				l.For = append(l.For, name)
			} else {
				live = append(live, name)
			}
		}
	}
	l.Set = live
	return p.impact(l, forgets)
}

// impact says what the change costs besides. forgets: see restartCosts.
func (p *planner) impact(l *Load, forgets bool) error {
	wanted, _ := p.wanted("maxmemory")
	most, _ := number(wanted)
	used, _ := number(p.now.info["used_memory"])
	if slices.Contains(l.Set, "maxmemory") && most > 0 && used > most {
		does := "evicts keys"
		if policy, _ := p.wanted("maxmemory-policy"); policy == "noeviction" {
			does = "refuses writes"
		}
		l.Impact = append(l.Impact, fmt.Sprintf("it uses %s, so that it %s", p.now.info["used_memory_human"], does))
	}
	if l.Verb != verbRestart {
		return nil
	}
	l.Impact = append(l.Impact, "ends its connections")
	costs, err := p.restartCosts(forgets)
	if costs != "" {
		l.Impact = append(l.Impact, costs)
	}
	return err
}
