package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster/host"
	"muster/modules"
)

// A rotation sets the password of an account that something else makes, with all that it may
// do. What isn't that account is left alone; and a replica, to which nothing is written, is
// looked at once it has caught up.

// existing is the state of an account whose password alone is set.
const existing = "existing"

// checkExisting refuses what doesn't go with state = "existing".
func (u *User) checkExisting(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, detail string) {
		if !unknown(arg) && !unknown("state") {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: "Conflicting arguments", Detail: detail})
		}
	}
	if u.State != existing {
		if u.Replicated {
			fail("replicated", "A replica gets accounts from its primary. That is waited for where the password alone is set: with state = \"existing\".")
		}
		return errs
	}
	if u.Password == "" && !unknown("password") {
		errs = append(errs, modules.ArgError{Arg: "password", Summary: "Missing argument", Detail: "With state = \"existing\" the account's password is set: give it."})
	}
	for _, a := range []struct {
		arg   string
		given bool
	}{{"plugin", u.Plugin != ""}, {"privileges", u.Privileges != nil}, {"require_tls", u.RequireTLS != nil}, {"limits", u.Limits != nil}} {
		if a.given {
			fail(a.arg, "With state = \"existing\" only the account's password is set: leave this out, or give it in the task that makes the account.")
		}
	}
	return errs
}

// isThere returns an error where a task for an existing account would set another one's
// password.
func (p *userPlanner) isThere(ctx context.Context) error {
	if p.State != existing {
		return nil
	}
	name := accountName(p.Name, p.Host)
	if p.now == nil {
		var others []string
		for _, a := range p.all.list {
			if a.name == p.Name && !a.role {
				others = append(others, accountName(a.name, a.host))
			}
		}
		hint := "make it first, with what it may do: muster apply"
		if len(others) > 0 {
			hint = fmt.Sprintf("there is %s: is that the account? Then give its host", few(others))
		}
		return fmt.Errorf("there is no account %s on this host, and with state = \"existing\" none is made: %s", name, hint)
	}
	if p.OldPassword == "" || p.real == nil || p.now.Password != "" {
		return nil
	}
	for _, password := range []string{p.Password, p.OldPassword} {
		if said, err := p.knows(ctx, password); err != nil || said != wrong {
			return err
		}
	}
	return fmt.Errorf("the account %s is let in by neither password, so that nothing is set: it is another account than the one whose password is changed, or somebody has set a third one. Set the one that clients use (muster apply, for a secret its current value), then go on", name)
}

// knows finds out whether an account has a password, from what the server keeps of it or by a
// login.
func (p *userPlanner) knows(ctx context.Context, password string) (proof, error) {
	if sum := p.all.flavor.sums(p.real.plugin()); sum != nil {
		if slices.ContainsFunc(p.real.methods, func(m method) bool { return m.Auth == sum(password) }) {
			return right, nil
		}
		return wrong, nil
	}
	return p.real.proof(ctx, p.all, viewDialer(p.v), password, p.proofs)
}

// sums returns what makes of a password what the server keeps of it; nil where that has a salt.
func (f flavor) sums(plugin string) func(string) string {
	switch {
	case f == mariadb && plugin == nativePlugin:
		return nativeHash
	case f == mariadb && plugin == ed25519Plugin:
		return ed25519Key
	}
	return nil
}

// awaited has a replica waited for that hasn't got from its primary what is planned.
func awaited(ctx context.Context, v *host.View, plan modules.Plan, err error) (modules.Plan, error) {
	if err != nil || len(plan.Changes) == 0 {
		return plan, err
	}
	from, err := sourceOf(ctx, v)
	if err != nil || from == "" {
		return plan, err
	}
	set, ok := plan.Changes[0].(*SetUser)
	if !ok {
		return plan, nil
	}
	plan.Changes, plan.Atomic = []host.Change{&AwaitUser{Name: set.Name, Host: set.Host, Known: set.Known, Old: set.Old, Primary: from, proofs: set.proofs}}, false
	return plan, nil
}

// AwaitUser waits until a replica has an account's password from its primary.
type AwaitUser struct {
	Name    string        `json:"name"`
	Host    string        `json:"host"`
	Known   *host.Content `json:"known"`
	Old     *host.Content `json:"old,omitempty"`
	Primary string        `json:"primary"`

	proofs *proofs
}

// Type is "mysql.user.await/1".
func (*AwaitUser) Type() string { return "mysql.user.await/1" }

// Describe names the account.
func (c *AwaitUser) Describe() host.Description {
	return host.Description{Action: host.Check, Target: userTarget(c.Name, c.Host), Impact: "its password, once the replica has it from " + c.Primary}
}

// Effects is none: nothing is written.
func (*AwaitUser) Effects() []host.Effect { return []host.Effect{} }

// Interruptible: a replica may be far behind.
func (*AwaitUser) Interruptible() {}

// replicaTime is how long a replica may take to get a password that its primary has.
const replicaTime = time.Minute

// Apply waits, and proves the password.
func (c *AwaitUser) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	err := c.apply(ctx, h)
	if err != nil {
		err = fmt.Errorf("the account %s: %w", accountName(c.Name, c.Host), err)
	}
	return host.Result{}, err
}

func (c *AwaitUser) apply(ctx context.Context, h *host.Host) error {
	p, err := (&SetUser{Known: c.Known, Old: c.Old}).passwords(ctx, h)
	if err != nil {
		return err
	}
	s, err := acting(ctx, h)
	if err != nil {
		return err
	}
	defer s.Close()
	waiting, stop := context.WithTimeout(ctx, replicaTime)
	defer stop()
	err = until(waiting, pollTime, func() (bool, error) { return c.agrees(waiting, h, s, p) })
	if err == nil || waiting.Err() == nil || ctx.Err() != nil {
		return err
	}
	fresh, err := acting(ctx, h) // a question that was cut off ends the connection
	if err != nil {
		return err
	}
	defer fresh.Close()
	why := "it replicates, and has another password: somebody may have set it here"
	if now, err := fresh.unnamed(ctx); err == nil && (now == nil || now.IO != "Yes" || now.SQL != "Yes") {
		why = "it doesn't replicate: see SHOW REPLICA STATUS"
	}
	return fmt.Errorf("this replica of %s hasn't got its password from there within %s: %s", c.Primary, replicaTime, why)
}

// agrees looks whether the replica has what its primary was told.
func (c *AwaitUser) agrees(ctx context.Context, h *host.Host, s *server, p passwords) (bool, error) {
	all, err := s.accounts(ctx, nil)
	if err != nil {
		return false, err
	}
	a := all.find(c.Name, c.Host)
	if a == nil {
		return false, errGone
	}
	if a.dual() != (p.old != "") {
		return false, nil
	}
	if all.flavor == mariadb && p.old == "" && len(a.methods) == 1 && all.flavor.sums(a.plugin()) != nil {
		return a.methods[0].Auth == all.flavor.sums(a.plugin())(p.password), nil
	}
	said, err := a.has(ctx, all, h.Dial, p, c.proofs)
	if err == nil && said == unreachable {
		err = errors.New("no login through the socket of this host leads to it, so that its password can't be proved here: leave the replica out, or give the account the host \"%\"")
	}
	return said == right, err
}
