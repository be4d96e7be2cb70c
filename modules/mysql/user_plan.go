package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"muster/host"
	"muster/modules"
)

// expected are the names of accounts that are still to be planned, so that their
// privileges are asked for on one connection.
type expected struct{ names []string }

func expectedUsers(v *host.View) *expected {
	e, _ := host.Once(v, "mysql users to come", func() (*expected, error) { return &expected{}, nil })
	return e
}

// expectUsers keeps the names of what is to be planned.
func expectUsers(v *host.View, names []string) {
	e := expectedUsers(v)
	e.names = append(e.names, names...)
}

// readAccounts asks for all accounts, once for all tasks of a host.
func readAccounts(ctx context.Context, v *host.View, name string) (*accounts, error) {
	if err := settled(v); err != nil {
		return nil, err
	}
	return host.Once(v, "mysql accounts", func() (*accounts, error) {
		return asking(ctx, v, func(s *server) (*accounts, error) {
			return s.accounts(ctx, append(slices.Clone(expectedUsers(v).names), name))
		})
	})
}

// of returns an account's privileges.
func (a *accounts) of(ctx context.Context, v *host.View, o *account) (grants, error) {
	key := accountName(o.name, o.host)
	g, ok := a.grants[key]
	if !ok {
		g.grants, g.err = asking(ctx, v, func(s *server) (grants, error) { return s.grantsOf(ctx, o.name, o.host, a.privileges) })
		a.grants[key] = g
	}
	return g.grants, g.err
}

// userPlanner plans one account.
type userPlanner struct {
	*User
	v    *host.View
	all  *accounts
	real *account  // as it is on the host; nil where there is none
	now  *standing // as it will be, before this task
	laid bool      // pending changes are about it
	kept []string  // exceptions of its privileges that stay
}

// at is the host of the account as the server writes it.
func (p *userPlanner) at() string {
	if p.real != nil {
		return p.real.host
	}
	return strings.ToLower(p.Host)
}

// Plan compares the account with what is declared of it.
func (u *User) Plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	defer func() {
		if u.Replicated {
			plan, err = awaited(ctx, v, plan, err)
		}
		plan, err = notOnReplica(ctx, v, plan, err)
	}()
	p := &userPlanner{User: u, v: v}
	if p.all, err = readAccounts(ctx, v, u.Name); err != nil {
		return plan, p.forecast(&plan, err)
	}
	if err := p.all.takesBits(p.Host); err != nil && p.State != "absent" {
		return plan, err
	}
	if err := p.look(ctx); err != nil {
		return plan, p.forecast(&plan, err)
	}
	if p.State == "absent" {
		return p.absent(ctx)
	}
	if err := p.isThere(ctx); err != nil {
		return plan, err
	}
	c, err := p.change(ctx)
	if len(p.kept) > 0 {
		plan.Notes = append(plan.Notes, fmt.Sprintf("The account %s lacks what it may do on *.* in some databases, and stays so (partial revokes): %s. Privileges that the task has on such a database take that back.", accountName(p.Name, p.Host), strings.Join(p.kept, "; ")))
	}
	if err != nil {
		return plan, err
	}
	if c == nil {
		return plan, p.oldSessions(ctx, &plan, false)
	}
	if err := p.notOwn(); err != nil {
		return plan, err
	}
	// MySQL takes no sum of a second password, by which that could be put back.
	plan.Changes, plan.Atomic = []host.Change{c}, p.real == nil || p.real.second == "" || !c.signsIn()
	return plan, p.oldSessions(ctx, &plan, c.Sets && !c.Lone)
}

// forecast adds to a plan that can't be made yet what it may be; err is returned as it is.
func (u *User) forecast(plan *modules.Plan, err error) error {
	if errors.Is(err, host.ErrNotYet) {
		d := host.Description{Action: host.Create, Target: userTarget(u.Name, u.Host), Impact: "where it isn't so by then"}
		if u.State == "absent" {
			d.Action, d.Impact = host.Delete, "where it is there by then"
		}
		plan.Then = []host.Description{d}
	}
	return err
}

// look finds the account, as pending changes leave it.
func (p *userPlanner) look(ctx context.Context) error {
	p.real = p.all.find(p.Name, p.Host)
	value, laid, open, err := p.v.Look(userKey(p.Name, p.Host))
	p.laid = laid
	switch {
	case err != nil:
		return err
	case laid && value == nil:
		return nil
	case laid:
		p.now = &standing{}
		return host.Unmarshal(value, p.now)
	case p.real == nil && open:
		return host.NotYet(userKey(p.Name, p.Host))
	case p.real == nil:
		if slices.ContainsFunc(p.all.list, func(a account) bool { return a.role && a.name == p.Name }) {
			return fmt.Errorf("%s is a role on this host, and roles and accounts share their names: give the account another one, or drop the role first", p.Name)
		}
		return nil
	}
	g, err := p.all.of(ctx, p.v, p.real)
	if err != nil && (p.Privileges != nil || errors.Is(err, host.ErrNotYet)) {
		return fmt.Errorf("the account %s: %w", accountName(p.Name, p.Host), err)
	}
	p.now = p.real.standing(g)
	return nil
}

// notOwn keeps muster from the account that it asks as.
func (p *userPlanner) notOwn() error {
	if strings.EqualFold(p.all.me, p.Name+"@"+p.Host) {
		return fmt.Errorf("%s is the account as which muster itself asks the server, by its socket: changing it could lock muster out, so leave it as it is and make other accounts", p.all.me)
	}
	return nil
}

// absent plans that the account goes.
func (p *userPlanner) absent(ctx context.Context) (plan modules.Plan, err error) {
	if p.now == nil {
		return plan, nil
	}
	if err := p.notOwn(); err != nil {
		return plan, err
	}
	d := &DropUser{Name: p.Name, Host: p.at(), From: *p.now}
	if p.real != nil {
		if d.Runs, err = asking(ctx, p.v, func(s *server) (int, error) { return s.runsAs(ctx, p.real) }); err != nil {
			return plan, err
		}
	}
	plan.Changes = []host.Change{d}
	return plan, nil
}

// change is what there is to do, nil where that is nothing.
func (p *userPlanner) change(ctx context.Context) (*SetUser, error) {
	if most := map[flavor]int{mariadb: 128, mysqlOwn: 32}[p.all.flavor]; utf8.RuneCountInString(p.Name) > most {
		return nil, modules.ArgError{Arg: "name", Summary: "Wrong value", Detail: fmt.Sprintf("%s takes names of up to %d letters.", p.all.flavor, most)}
	}
	c := &SetUser{Name: p.Name, Host: p.at(), From: p.now, proofs: p.proofs}
	if p.now != nil {
		c.To = *p.now
		c.To.Password = ""
		if p.laid {
			c.To.Password = p.now.Password
		}
	}
	if err := p.login(ctx, c); err != nil {
		return nil, err
	}
	if p.RequireTLS != nil && *p.RequireTLS != (c.To.TLS != plainTLS) {
		if c.To.TLS == ownCert {
			return nil, modules.ArgError{Arg: "require_tls", Summary: "Conflicting arguments", Detail: fmt.Sprintf("The account %s needs a certain client's certificate, which nothing could bring back: leave require_tls out, or alter it by hand.", accountName(p.Name, p.Host))}
		}
		c.To.TLS = plainTLS
		if *p.RequireTLS {
			c.To.TLS = anyTLS
		}
	}
	for i, n := range p.Limits.all() {
		if n != nil {
			c.To.Limits[i] = *n
		}
	}
	if p.Privileges != nil {
		want, errs := wanted(p.Privileges, p.all.privileges, p.all.fold)
		if len(errs) > 0 {
			return nil, errs[0]
		}
		var has grants
		if p.now != nil {
			has = p.now.Grants
		}
		want, p.kept = has.keeping(want)
		c.Steps, c.To.Grants = has.until(want, p.all.privileges), want
	}
	if c.From != nil && !c.signsIn() && c.To.TLS == c.From.TLS && c.To.Limits == c.From.Limits && len(c.Steps) == 0 {
		return nil, nil
	}
	return c, nil
}

// login plans how the account is let in.
func (p *userPlanner) login(ctx context.Context, c *SetUser) error {
	f := p.all.flavor
	plugin := p.Plugin
	switch {
	case p.now == nil && p.Password == "" && p.Plugin == "":
		return modules.ArgError{Arg: "password", Summary: "Missing argument", Detail: fmt.Sprintf("There is no account %s on this host, and it can't be made without a way to be let in: give it a password, or a plugin such as unix_socket.", accountName(p.Name, p.Host))}
	case p.now == nil && plugin == "":
		plugin = f.defaultPlugin()
	case plugin == "":
		plugin = p.now.Plugin
	}
	if p.Password == "" {
		if p.now == nil || plugin != p.now.Plugin {
			if f.takesPassword(plugin) {
				return modules.ArgError{Arg: "password", Summary: "Missing argument", Detail: fmt.Sprintf("The account %s gets the plugin %s, which takes a password.", accountName(p.Name, p.Host), plugin)}
			}
			c.Plugin, c.To.Plugin, c.To.Auth = plugin, plugin, ""
		}
		return nil
	}
	if !f.takesPassword(plugin) {
		return modules.ArgError{Arg: "password", Summary: "Conflicting arguments", Detail: fmt.Sprintf("The account %s is let in by %s, for which muster sets no password; on %s it does so for %s. Give it one of these plugins, or leave the password out.", accountName(p.Name, p.Host), plugin, f, f.passwordPlugins())}
	}
	if most := f.longest(); most > 0 && len(p.Password) > most {
		return modules.ArgError{Arg: "password", Summary: "Wrong value", Detail: fmt.Sprintf("%s lets nobody in with a password of more than %d bytes.", f, most)}
	}
	password := p.v.Keep([]byte(p.Password), true)
	c.Known = &password
	sum := password.Sum
	rotating, both, err := p.rotating(ctx, plugin)
	switch {
	case err != nil:
		return err
	case rotating && both == "":
		return nil
	case rotating:
		old := p.v.Keep([]byte(both), true)
		c.Old, c.Sets, c.Plugin = &old, true, plugin
		c.To.Plugin, c.To.Auth, c.To.Password = plugin, "", sum+" "+old.Sum
		return nil
	}
	if p.OldPassword != "" {
		if most := f.longest(); most > 0 && len(p.OldPassword) > most {
			return modules.ArgError{Arg: "old_password", Summary: "Wrong value", Detail: fmt.Sprintf("%s lets nobody in with a password of more than %d bytes.", f, most)}
		}
		old := p.v.Keep([]byte(p.OldPassword), true)
		c.Old = &old
		sum += " " + old.Sum
	}
	if c.Lone = p.real != nil && p.real.dual() && p.OldPassword == ""; p.laid {
		c.Lone = false
	}
	if p.now != nil && plugin == p.now.Plugin {
		set, why, err := p.isSet(ctx, sum)
		if err != nil || set {
			return err
		}
		c.Why = why
	}
	c.Sets, c.Plugin = true, plugin
	c.To.Plugin, c.To.Auth, c.To.Password = plugin, "", sum
	return nil
}

// isSet reports whether the account has the password, and if not, how that is known.
func (p *userPlanner) isSet(ctx context.Context, sum string) (set bool, why string, err error) {
	if p.now.Password != "" {
		return p.now.Password == sum, "", nil
	}
	if p.real == nil {
		return false, "", host.NotYet(userKey(p.Name, p.Host))
	}
	both := passwords{p.Password, p.OldPassword}
	if p.real.dual() != (p.OldPassword != "") {
		return false, "", nil
	}
	said, err := p.real.has(ctx, p.all, viewDialer(p.v), both, p.proofs)
	if err != nil || said != unreachable {
		return said == right, "", err
	}
	set, err = noted(ctx, p.v, p.real, both.noted())
	return set, "it can't be proved by a login on this host, and muster hasn't set it as it is", err
}
