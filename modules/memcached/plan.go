package memcached

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// running is a Memcached as pending changes will leave it: where it can be asked until
// they are made, and the text that it then has loaded.
type running struct {
	Where place  `json:"where"`
	Text  string `json:"text"`
	Auth  string `json:"auth"` // the sum of the file of those who are let in
}

// Plan compares the files, and what runs.
func (s *Server) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if !host.IsRoot() {
		return modules.Plan{}, errors.New(`only root may set up Memcached: give the task "become = true"`)
	}
	plan, err := s.plan(ctx, v)
	if isNotYet(err) {
		plan = modules.Plan{Then: []host.Description{
			{Action: host.Update, Target: configPath, Impact: "where it doesn't hold the options by then"},
			{Action: host.Create, Target: authPath, Impact: "where it isn't so by then"},
			{Action: host.Update, Target: unit, Impact: "where it doesn't run with them"},
			{Action: host.Restart, Target: unit, Impact: "where that takes one"},
		}}
	}
	return plan, err
}

func (s *Server) plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	info, err := v.Stat("/usr/bin/memcached")
	if err != nil {
		return plan, err
	}
	if !info.Exists() {
		return plan, errors.New(`there is no memcached on this host: install it in an earlier task, task "package" "memcached" {}, or with the role "memcached"`)
	}
	if err := s.readable(ctx, v); err != nil {
		return plan, err
	}
	old, err := v.ReadFile(ctx, configPath, fileLimit)
	if err != nil && !gone(err) {
		return plan, err
	}
	l := &Load{Text: s.text(), Settings: s.settings(), Addresses: s.addresses(), Port: s.Port, Where: placeOf(string(old))}
	var was running
	value, laid, _, err := v.Look(serverKey)
	if err != nil {
		return plan, err
	}
	if laid && value != nil {
		if err := host.Unmarshal(value, &was); err != nil {
			return plan, err
		}
		l.Where = was.Where
	}
	if err := s.shutNoMore(v, &plan, string(old)); err != nil {
		return plan, err
	}
	if err := s.write(ctx, v, &plan, l); err != nil {
		return plan, err
	}
	now, err := s.look(ctx, v, l.Where)
	switch {
	case errors.Is(err, errShut) && !laid: // a run was cut off before it was read
		l.Verb, l.Reads, l.Settings = verbSet, true, nil
		if len(s.Auth) == 0 {
			l.Verb, l.Reads = verbRestart, false
		}
		plan.Changes = append(plan.Changes, l)
		plan.Then = []host.Description{{Action: host.Update, Target: unit, Impact: "where it doesn't run with its options"}, {Action: host.Restart, Target: unit, Impact: "where that takes one"}}
	case err != nil && !(nobodyListens(err) && (laid || !v.Pending())):
		return plan, unanswered(err)
	case laid: // that runs by then
		if was.Text != l.Text || was.Auth != l.Auth {
			l.Verb = verbRestart
			plan.Changes = append(plan.Changes, l)
		}
	case err != nil:
		if err := stopped(ctx, v); err != nil {
			return plan, err
		}
		l.Verb = verbStart
		plan.Changes = append(plan.Changes, l)
	default:
		l.Where = now.where
		if l.differs(now) {
			plan.Changes = append(plan.Changes, l)
		}
	}
	if plan.Atomic = len(plan.Changes) > 0; !plan.Atomic && now != nil {
		items, _ := strconv.Atoi(now.stats["curr_items"])
		plan.Output, err = json.Marshal(Output{Version: now.stats["version"], Items: items})
		return plan, err
	}
	return plan, nil
}

// look asks the Memcached that runs, as whoever its own files let in.
func (s *Server) look(ctx context.Context, v *host.View, p place) (*live, error) {
	return host.Once(v, "memcached "+strings.Join(p.Addresses, " "), func() (*live, error) {
		auth, err := p.authOf(ctx, v.ReadFile)
		if err != nil && !isNotYet(err) {
			return nil, err
		}
		return look(ctx, func(ctx context.Context, a string) (net.Conn, error) { return v.Dial(ctx, a, asked...) }, p, auth)
	})
}

// stopped returns an error where Memcached runs and can't be asked.
func stopped(ctx context.Context, v *host.View) error {
	out, err := v.Query(ctx, host.Command{Argv: []string{"systemctl", "show", "--property=ActiveState", "--", unit}}, asked...)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(out.Stdout)) == "ActiveState=active" {
		return fmt.Errorf("%s runs, and nobody listens where %s says: restart it, so that it reads that file", unit, configPath)
	}
	return nil
}

// shutNoMore plans that the passwords don't stay on the host where everybody is let in from
// then on. They are muster's where its own file names them; that file changes after them, so that
// a run that was cut off goes on.
func (s *Server) shutNoMore(v *host.View, plan *modules.Plan, old string) error {
	if len(s.Auth) > 0 || !strings.HasPrefix(old, ours) || placeOf(old).Auth != authPath {
		return nil
	}
	info, err := v.Lstat(authPath)
	if err == nil && info.Exists() {
		plan.Changes = append(plan.Changes, &host.Remove{Path: authPath, Before: info, Note: "everybody who reaches it is let in"})
	}
	return err
}

// write plans the files.
func (s *Server) write(ctx context.Context, v *host.View, plan *modules.Plan, l *Load) error {
	if len(s.Auth) > 0 {
		write, err := v.Rewrite(ctx, authPath, func(string) (string, error) { return s.authText(), nil })
		if err != nil {
			return err
		}
		for _, c := range write {
			if w, ok := c.(*host.WriteFile); ok {
				mode := host.Mode(0o640)
				w.Diff, w.Content.Sensitive, w.After.Sensitive = "", true, true
				w.Attr.Mode, w.Attr.Group, w.After.Mode, w.After.Group = &mode, account, mode, account
			}
		}
		plan.Changes = append(plan.Changes, write...)
		l.Auth = host.ContentOf([]byte(s.authText()), true).Sum
		l.Reads = len(write) > 0
	}
	write, err := v.Rewrite(ctx, configPath, func(string) (string, error) { return l.Text, nil })
	plan.Changes = append(plan.Changes, write...)
	return err
}

// differs finds out how Memcached comes to run with the options; false where it does.
func (l *Load) differs(now *live) bool {
	l.Verb = verbSet
	for _, name := range slices.Sorted(maps.Keys(l.Settings)) {
		has, known := now.settings[name]
		if want := l.Settings[name]; known && has != want {
			l.shows = append(l.shows, fmt.Sprintf("%s: %s → %s", name, has, want))
			if name == "maxbytes" {
				l.Memory, l.Was = want, has
			} else {
				l.Verb, l.For = verbRestart, append(l.For, name)
			}
		}
	}
	missing, surplus := beyond(l.Text, now.argv)
	for _, o := range missing {
		l.shows = append(l.shows, o.String())
	}
	for _, o := range append(missing, surplus...) {
		if name := "-" + string(o.letter); !slices.Contains(l.For, name) {
			l.For = append(l.For, name)
		}
		l.Verb = verbRestart
	}
	if l.Verb == verbRestart {
		l.Items, _ = strconv.Atoi(now.stats["curr_items"])
		l.Memory = ""
	}
	return l.Verb == verbRestart || l.Memory != "" || l.Reads
}
