package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Redis keeps what a user may use as it has worked it out: of +@read -@dangerous it makes
// +@read -keys -sort_ro, and of that again +@read -sort_ro -keys. So muster notes what it has
// made of a task's words, and compares that, in any order.

// userPlanner plans one user.
type userPlanner struct {
	*User
	v      *host.View
	daemon daemon
	conf   *conf
	login  login
	path   string // of the file that has users
	server *running
	now    *acl // nil where there is none
	laid   bool
}

// Plan compares the user in the server, and in the file.
func (u *User) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if !host.IsRoot() {
		return modules.Plan{}, errNotRoot
	}
	plan, err := (&userPlanner{User: u, v: v}).plan(ctx)
	if isNotYet(err) {
		d := host.Description{Action: host.Create, Target: userTarget(u.Name), Impact: "where it isn't so by then"}
		if u.State == "absent" {
			d.Action, d.Impact = host.Delete, "where it is there by then"
		}
		plan = modules.Plan{Then: []host.Description{d, {Action: host.Update, Target: configPaths[0], Impact: "where it isn't in there by then"}}}
	}
	return plan, err
}

func userTarget(name string) string { return "user " + name + " of Redis" }

func (p *userPlanner) plan(ctx context.Context) (plan modules.Plan, err error) {
	if err := p.look(ctx); err != nil {
		return plan, err
	}
	text, err := p.v.ReadFile(ctx, p.path, confLimit)
	if err != nil && !(gone(err) && p.path != p.daemon.path) {
		return plan, err
	}
	file := parseConf(string(text))
	if p.State == "absent" {
		return p.absent(ctx, file)
	}
	to, err := p.wanted(ctx)
	if err != nil {
		return plan, err
	}
	differs, err := p.differs(ctx, to)
	if err != nil {
		return plan, err
	}
	line := file.user(p.Name)
	if _, has := parseACL(line); line == "" && !(p.Name == "default" && !differs && p.untouched()) || line != "" && !(has.same(to) && (p.Commands == nil || slices.Equal(has.Commands, to.Commands) || p.now != nil && !differs && alike(has.Commands, p.now.Commands))) {
		stands := *to
		if p.Commands == nil && line != "" { // they stay, in the words that the file has
			stands.Commands = has.Commands
		}
		file.setUser(p.Name, stands.line(p.Name))
		if plan.Changes, err = rewrite(ctx, p.v, p.path, file.text()); err != nil {
			return plan, err
		}
	}
	if !differs && len(plan.Changes) == 0 {
		return plan, nil
	}
	if _, why, err := refused(ctx, p.v, p.daemon.program, []string{to.line(p.Name)}); err != nil {
		return plan, err
	} else if why != "" {
		_, words, _ := strings.Cut(why, "Error in user declaration '"+p.Name+"': ")
		return plan, modules.ArgError{Arg: "keys", Summary: "Redis doesn't take this", Detail: "Redis says of the user's keys and channels: " + words}
	}
	if err := p.known(ctx); err != nil {
		return plan, err
	}
	if differs {
		c := &SetUser{Name: p.Name, Daemon: p.daemon.path, Where: p.server.Where, Login: p.login, From: p.now, To: *to, Sets: p.sets(to), Notes: p.Commands != nil}
		if p.Password != "" {
			password := p.v.Keep([]byte(p.Password), true)
			c.Known = &password
		}
		plan.Changes = append(plan.Changes, c)
	}
	plan.Atomic = true
	return plan, nil
}

// known returns an error where the task names commands that the server doesn't have: the
// program passes over them, since modules may bring them.
func (p *userPlanner) known(ctx context.Context) error {
	if p.Commands == nil || !p.server.Running || p.server.vars == nil {
		return nil
	}
	s, err := connect(ctx, viewDialer(p.v), []string{p.server.Where}, p.login.pairs(ctx, p.v.Body, p.conf))
	if err != nil {
		return unanswered(err)
	}
	defer s.Close()
	for i, c := range *p.Commands {
		name := strings.ToLower(strings.TrimLeft(c, "+-"))
		fail := func(what string) error {
			return modules.ArgError{Arg: "commands", Path: fmt.Sprintf("[%d]", i), Summary: "Redis doesn't take this", Detail: fmt.Sprintf("This host's Redis %s has no %s %s.", p.server.info["redis_version"], what, name)}
		}
		if name == "@all" || name == "allcommands" || name == "nocommands" {
			continue
		}
		if category, ok := strings.CutPrefix(name, "@"); ok {
			if _, err := s.do(ctx, "ACL", "CAT", category); isSaid(err, "ERR") {
				return fail("category of commands")
			} else if err != nil {
				return unanswered(err)
			}
			continue
		}
		if s.version[0] < 7 { // it can't be asked for a part of one
			name, _, _ = strings.Cut(name, "|")
		}
		answer, err := s.do(ctx, "COMMAND", "INFO", name)
		if err != nil {
			return unanswered(err)
		}
		if list, ok := answer.([]any); ok && len(list) == 1 && list[0] == nil {
			return fail("command")
		}
	}
	return nil
}

// look finds the server, and the user in it.
func (p *userPlanner) look(ctx context.Context) (err error) {
	if p.daemon, err = findDaemon(p.v); err != nil {
		return err
	}
	text, err := p.v.ReadFile(ctx, p.daemon.path, confLimit)
	if err != nil {
		return err
	}
	p.conf, p.path = parseConf(string(text)), p.daemon.path
	if path, _ := p.conf.value("aclfile"); path != "" {
		p.path = path
	}
	passwords := append(slices.Clone(p.LoginValid), p.LoginPassword)
	if p.Name == p.LoginUser { // whoever changes their own password has either
		passwords = append(append(passwords, p.Valid...), p.Password, p.OldPassword)
	}
	p.login = loginOf(p.v, p.LoginUser, passwords...)
	if p.server, err = readRunning(ctx, p.v, p.daemon, p.conf, p.login); err != nil {
		return err
	}
	value, laid, _, err := p.v.Look(userKey(p.Name))
	if p.laid = laid; err != nil {
		return err
	}
	if laid {
		if value != nil {
			p.now = &acl{}
			err = host.Unmarshal(value, p.now)
		}
		return err
	}
	if !p.server.Running {
		return fmt.Errorf("no Redis runs on this host: start it first, in a task of the kind redis or service")
	}
	if p.server.vars == nil {
		return host.NotYet(serverKey)
	}
	all, err := host.Once(p.v, "redis users "+p.login.name(), func() (map[string]*acl, error) {
		s, err := connect(ctx, viewDialer(p.v), []string{p.server.Where}, p.login.pairs(ctx, p.v.Body, p.conf))
		if err != nil {
			return nil, unanswered(err)
		}
		defer s.Close()
		list, err := s.users(ctx)
		return list, unanswered(err)
	})
	p.now = all[p.Name]
	return err
}

// users are all users of the server.
func (s *server) users(ctx context.Context) (map[string]*acl, error) {
	lines, err := s.list(ctx, "ACL", "LIST")
	if err != nil {
		return nil, err
	}
	all := map[string]*acl{}
	for _, line := range lines {
		name, a := parseACL(line)
		all[name] = &a
	}
	return all, nil
}

// untouched reports whether the user is as a Redis without a line about it has it.
func (p *userPlanner) untouched() bool {
	return p.now != nil && p.now.same(&acl{On: true, Open: true, Keys: []string{"~*"}, Channels: []string{"&*"}, Rest: p.now.Rest}) && slices.Equal(p.now.Commands, []string{"+@all"})
}

// wanted is the user as it is to be.
func (p *userPlanner) wanted(ctx context.Context) (*acl, error) {
	to := &acl{On: true, Commands: []string{"-@all"}}
	if p.now != nil {
		*to = *p.now
	} else if p.Password == "" {
		return nil, modules.ArgError{Arg: "password", Summary: "Missing argument", Detail: fmt.Sprintf("There is no user %s on this host, and nobody could log in as one without a password.", p.Name)}
	}
	if p.Enabled != nil {
		to.On = *p.Enabled
	}
	if p.Keys != nil {
		to.Keys = nil
		for _, k := range *p.Keys {
			to.Keys = append(to.Keys, keyPattern(k))
		}
	}
	if p.Channels != nil {
		to.Channels = nil
		for _, c := range *p.Channels {
			to.Channels = append(to.Channels, "&"+strings.TrimPrefix(c, "&"))
		}
	}
	if p.Commands != nil {
		var rules acl
		rules.Commands = []string{"-@all"}
		for _, c := range *p.Commands {
			rules.read(c)
		}
		to.Commands = rules.Commands
	}
	if p.Commands != nil || p.now == nil {
		to.Given = strings.Join(to.Commands, " ")
	}
	if p.Password != "" {
		to.Open, to.Sums = false, p.sums()
	}
	return to, nil
}

// sums are those of the passwords that the user is to have. While the secret is rotated, one
// whom the version to be used lets in stays as it is, whatever else lets it in; one whom only
// another valid version lets in gets it beside that.
func (p *userPlanner) sums() []string {
	sum := func(password string) string { return host.ContentOf([]byte(password), true).Sum }
	use := sum(p.Password)
	if p.OldPassword != "" {
		return []string{use, sum(p.OldPassword)}
	}
	if len(p.Valid) > 1 && p.now != nil && !p.now.Open {
		if slices.Contains(p.now.Sums, use) {
			return p.now.Sums
		}
		for _, v := range p.Valid {
			if slices.Contains(p.now.Sums, sum(v)) {
				return []string{use, sum(v)}
			}
		}
	}
	return []string{use}
}

// differs reports whether the user in the server isn't as it is to be.
func (p *userPlanner) differs(ctx context.Context, to *acl) (bool, error) {
	if p.now == nil || !p.now.same(to) {
		return true, nil
	}
	if p.Commands == nil || slices.Equal(p.now.Commands, to.Commands) {
		return false, nil
	}
	if p.laid && p.now.Given != "" {
		return p.now.Given != to.Given, nil
	}
	made, err := p.made(ctx, to.Given)
	return !alike(made, p.now.Commands), err
}

// made is what Redis has made of commands when muster last set them, nil where that isn't
// known.
func (p *userPlanner) made(ctx context.Context, given string) ([]string, error) {
	data, err := p.v.ReadFile(ctx, notePath(p.Name), noteLimit)
	if gone(err) || isNotYet(err) {
		return nil, nil
	}
	was, now, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	if err != nil || was != given {
		return nil, err
	}
	return strings.Fields(now), nil
}

// sets are the rules that bring the user there.
func (p *userPlanner) sets(to *acl) (list []string) {
	from := p.now
	if from == nil {
		from = &acl{Commands: []string{"-@all"}}
	}
	if p.now == nil || from.On != to.On {
		list = append(list, map[bool]string{true: "on", false: "off"}[to.On])
	}
	if from.Open != to.Open || !alike(from.Sums, to.Sums) {
		list = append(list, "resetpass")
		for _, s := range to.Sums {
			list = append(list, "#"+s)
		}
	}
	if p.now == nil || !alike(from.Keys, to.Keys) {
		list = append(append(list, "resetkeys"), to.Keys...)
	}
	if p.now == nil || !alike(from.Channels, to.Channels) {
		list = append(append(list, "resetchannels"), to.Channels...)
	}
	if p.now == nil || p.Commands != nil && !slices.Equal(from.Commands, to.Commands) {
		list = append(list, to.Commands...)
	}
	return list
}

// absent plans that the user goes.
func (p *userPlanner) absent(ctx context.Context, file *conf) (plan modules.Plan, err error) {
	if file.user(p.Name) != "" {
		file.setUser(p.Name, "")
		if plan.Changes, err = rewrite(ctx, p.v, p.path, file.text()); err != nil {
			return plan, err
		}
	}
	if p.now != nil {
		plan.Changes = append(plan.Changes, &SetUser{Name: p.Name, Daemon: p.daemon.path, Where: p.server.Where, Login: p.login, From: p.now, Gone: true})
	}
	plan.Atomic = len(plan.Changes) > 0
	return plan, nil
}
