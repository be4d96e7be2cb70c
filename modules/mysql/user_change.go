package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/host"
)

// SetUser makes an account, or changes how it is let in and what it may do.
type SetUser struct {
	Name string    `json:"name"`
	Host string    `json:"host"`
	From *standing `json:"from,omitempty"` // nil: it is made
	To   standing  `json:"to"`
	// Plugin is set where how it is let in changes; "" is the server's own where there is
	// a password.
	Plugin string `json:"plugin,omitempty"`
	// Known is its password, where it is known; Sets, that it is to be set.
	Known *host.Content `json:"known,omitempty"`
	Sets  bool          `json:"sets,omitempty"`
	// Old is a password that is to be valid, too. Lone: a second one is taken away.
	Old   *host.Content `json:"old,omitempty"`
	Lone  bool          `json:"lone,omitempty"`
	Why   string        `json:"why,omitempty"`
	Steps []step        `json:"steps,omitempty"`

	proofs *proofs
}

// Type is "mysql.user.set/1".
func (*SetUser) Type() string { return "mysql.user.set/1" }

func userTarget(name, at string) string { return "account " + oneLine(accountName(name, at), 80) }

// requires says what its connections have to be, for people.
func requires(tls string) string {
	return map[string]string{plainTLS: "false", anyTLS: "true", certTLS: "true, with a certificate", ownCert: "true, with a certain certificate"}[tls]
}

// Describe shows what changes. The password is in none of it.
func (c *SetUser) Describe() host.Description {
	d := host.Description{Action: host.Create, Target: userTarget(c.Name, c.Host), Impact: c.Why}
	from := standing{}
	if c.From != nil {
		d.Action, from = host.Update, *c.From
	}
	var lines []string
	if c.To.Plugin != from.Plugin {
		lines = append(lines, change("plugin", from.Plugin, c.To.Plugin))
	}
	switch {
	case c.Sets && (c.From == nil || c.To.Plugin != from.Plugin):
		lines = append(lines, "password: set")
	case c.Sets && !c.Lone:
		lines = append(lines, "password: set anew")
	}
	switch {
	case c.Sets && c.Old != nil:
		lines = append(lines, "old_password: valid, too")
	case c.Sets && c.Lone:
		lines = append(lines, "old_password: taken away")
	}
	if c.To.TLS != from.TLS {
		lines = append(lines, change("require_tls", requires(from.TLS), requires(c.To.TLS)))
	}
	for i, n := range c.To.Limits {
		if n != from.Limits[i] {
			lines = append(lines, fmt.Sprintf("limits: %s %d → %d", limitNames[i], from.Limits[i], n))
		}
	}
	for _, s := range c.Steps {
		lines = append(lines, "privileges: "+s.String())
	}
	d.Diff = strings.Join(lines, "\n")
	return d
}

func change(name, from, to string) string {
	if from == "" {
		return name + ": " + to
	}
	return name + ": " + from + " → " + to
}

// Effects is the account, and what is noted of it.
func (c *SetUser) Effects() []host.Effect {
	is := host.Is(userKey(c.Name, c.Host), c.To)
	if c.Known == nil {
		return []host.Effect{is}
	}
	return append(noteEffects(c.Name, c.Host), is)
}

// Apply makes or alters the account, and proves its password.
func (c *SetUser) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	err := c.apply(ctx, h)
	if err != nil {
		err = fmt.Errorf("the account %s: %w", accountName(c.Name, c.Host), err)
	}
	return host.Result{}, err
}

func (c *SetUser) apply(ctx context.Context, h *host.Host) error {
	p, err := c.passwords(ctx, h)
	if err != nil {
		return err
	}
	s, err := acting(ctx, h)
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.accounts(ctx, []string{c.Name})
	if err != nil {
		return err
	}
	now := all.find(c.Name, c.Host)
	if err := c.unmoved(now, all); err != nil {
		return err
	}
	undo := &PutUser{Name: c.Name, Host: c.Host, Login: c.signsIn()}
	for _, st := range c.Steps {
		undo.Objects = append(undo.Objects, st.On)
	}
	slices.Sort(undo.Objects)
	undo.Objects = slices.Compact(undo.Objects)
	if c.From != nil {
		undo.Back, undo.Methods = c.From, now.methods
	}
	back := host.Undo{Changes: []host.Change{undo}}
	if now != nil && now.second != "" && c.signsIn() {
		back = host.Undo{}
	}
	if err := h.Begin(back); err != nil {
		return err
	}
	if c.Sets {
		if err := s.do(ctx, quiet); err != nil {
			return fmt.Errorf("keeping the password out of the server's logs: %w", err)
		}
	}
	name := accountSQL(c.Name, c.Host)
	statements, err := c.statements(ctx, h, all, now, name, p)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if err := s.do(ctx, statement); err != nil {
			return withoutPassword(withoutPassword(err, p.password), p.old)
		}
		if err := h.At("set how it is let in"); err != nil {
			return err
		}
	}
	for _, st := range c.Steps {
		if err := s.do(ctx, st.statement(name)); err != nil {
			return fmt.Errorf("%s: %w", st, err)
		}
		if err := h.At(st.String()); err != nil {
			return err
		}
	}
	if p.password == "" {
		return nil
	}
	var by *mark
	if c.Sets && !c.Lone { // taking the second one away sets no other
		m, err := s.marks(ctx)
		if err != nil {
			return err
		}
		by = &m
	}
	return s.prove(ctx, h, c.Name, c.Host, p, c.proofs, by)
}

// signsIn reports whether how the account is let in changes.
func (c *SetUser) signsIn() bool { return c.Sets || c.Plugin != "" }

// unmoved is host.ErrMoved where the account isn't as it was planned on.
func (c *SetUser) unmoved(now *account, all *accounts) error {
	switch {
	case now == nil && c.From == nil:
		return nil
	case now == nil || c.From == nil:
		return fmt.Errorf("it was made or dropped: %w", host.ErrMoved)
	}
	g := all.grants[accountName(now.name, now.host)]
	is := now.standing(g.grants)
	if len(c.Steps) > 0 && (g.err != nil || !is.Grants.same(c.From.Grants)) || !is.same(c.From) {
		return host.ErrMoved
	}
	return nil
}

// statement makes the account, or alters it; "" where only privileges change.
func (c *SetUser) statement(f flavor, name string, p passwords) string {
	from := standing{}
	text := "CREATE USER " + name
	if c.From != nil {
		from, text = *c.From, "ALTER USER "+name
	}
	more := ""
	switch {
	case c.Sets:
		more += f.identified(c.Plugin, p.password)
		if f == mariadb && p.old != "" {
			more += " OR " + strings.TrimPrefix(f.identified(c.Plugin, p.old), " IDENTIFIED VIA ")
		}
	case c.signsIn():
		more += f.identified(c.Plugin, "")
	}
	more += demands(from, c.To)
	if more == "" && c.From != nil {
		return ""
	}
	return text + more
}

// demands is the part of a statement about TLS and limits.
func demands(from, to standing) (text string) {
	if from.TLS != to.TLS {
		text += " REQUIRE " + map[string]string{plainTLS: "NONE", anyTLS: "SSL", certTLS: "X509"}[to.TLS]
	}
	if from.Limits != to.Limits {
		text += " WITH"
		for i, n := range to.Limits {
			if n != from.Limits[i] {
				text += " " + limitWords[i] + " " + strconv.Itoa(n)
			}
		}
	}
	return text
}

// PutUser takes back what was done to an account.
type PutUser struct {
	Name string `json:"name"`
	Host string `json:"host"`
	// Back is how it was; nil where it was made.
	Back    *standing `json:"back,omitempty"`
	Methods []method  `json:"methods,omitempty"`
	// Login and Objects are what is put back: how it is let in, and privileges on these.
	Login   bool     `json:"login,omitempty"`
	Objects []string `json:"objects,omitempty"`
}

// Type is "mysql.user.put/1".
func (*PutUser) Type() string { return "mysql.user.put/1" }

// Describe names the account.
func (p *PutUser) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: userTarget(p.Name, p.Host), Impact: "as it was before"}
	if p.Back == nil {
		d.Action = host.Delete
	}
	return d
}

// Effects is the account, and what is noted of it.
func (p *PutUser) Effects() []host.Effect {
	if p.Back == nil {
		return append(noteEffects(p.Name, p.Host), host.Gone(userKey(p.Name, p.Host)))
	}
	return append(noteEffects(p.Name, p.Host), host.Is(userKey(p.Name, p.Host), *p.Back))
}

// Apply puts the account back, whatever part of the change was made.
func (p *PutUser) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	err := p.apply(ctx, h)
	if err != nil {
		err = fmt.Errorf("the account %s: %w", accountName(p.Name, p.Host), err)
	}
	return host.Result{}, err
}

func (p *PutUser) apply(ctx context.Context, h *host.Host) error {
	s, err := acting(ctx, h)
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.accounts(ctx, []string{p.Name})
	if err != nil {
		return err
	}
	now, name := all.find(p.Name, p.Host), accountSQL(p.Name, p.Host)
	if now == nil && p.Back != nil {
		return errGone
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return err
	}
	if p.Back == nil {
		if now != nil {
			if err := s.do(ctx, "DROP USER "+name); err != nil {
				return err
			}
		}
		return host.Drop(notePath(p.Name, p.Host))
	}
	is := now.standing(nil)
	if p.Login && now.second != "" {
		if err := s.do(ctx, "ALTER USER "+name+" DISCARD OLD PASSWORD"); err != nil {
			return fmt.Errorf("taking the second password away: %w", err)
		}
		if now, err = s.accountNow(ctx, p.Name, p.Host); err != nil || now == nil {
			return errors.Join(err, errGone)
		}
		is = now.standing(nil)
	}
	more := ""
	if p.Login && is.Auth != p.Back.Auth {
		more += s.flavor.again(p.Methods)
	}
	if more += demands(*is, *p.Back); more != "" {
		if err := s.do(ctx, quiet); err != nil {
			return err
		}
		if err := s.do(ctx, "ALTER USER "+name+more); err != nil {
			for _, m := range p.Methods {
				err = withoutPassword(err, m.Auth)
			}
			return fmt.Errorf("putting back how it was let in: %w", err)
		}
	}
	if len(p.Objects) == 0 {
		return nil
	}
	g := all.grants[accountName(now.name, now.host)]
	if g.err != nil {
		return g.err
	}
	for _, st := range g.grants.only(p.Objects).until(p.Back.Grants.only(p.Objects), all.privileges) {
		if err := s.do(ctx, st.statement(name)); err != nil {
			return fmt.Errorf("%s: %w", st, err)
		}
	}
	return nil
}

// only are the privileges on these objects.
func (g grants) only(objects []string) grants {
	some := grants{}
	for _, o := range objects {
		some.add(o, g[o])
		some.add(exceptOn+o, g[exceptOn+o])
	}
	return some
}

// DropUser drops an account. Nothing takes that back.
type DropUser struct {
	Name string   `json:"name"`
	Host string   `json:"host"`
	From standing `json:"from"`
	Runs int      `json:"runs,omitempty"` // how many views and programs in the server run as it
}

// Type is "mysql.user.drop/1".
func (*DropUser) Type() string { return "mysql.user.drop/1" }

// Describe says what is lost.
func (d *DropUser) Describe() host.Description {
	impact := "its connections go on until they end"
	if d.Runs > 0 {
		impact = fmt.Sprintf("%s that run as it stop working; ", count(d.Runs, "view, procedure, trigger or event")) + impact
	}
	return host.Description{Action: host.Delete, Target: userTarget(d.Name, d.Host), Impact: impact}
}

// Effects is that the account is gone, with what is noted of it.
func (d *DropUser) Effects() []host.Effect {
	return append(noteEffects(d.Name, d.Host), host.Gone(userKey(d.Name, d.Host)))
}

// Apply drops the account, if it is let in as it was.
func (d *DropUser) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, err := acting(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	now, err := s.accountNow(ctx, d.Name, d.Host)
	if err != nil {
		return host.Result{}, err
	}
	if now != nil && !now.standing(nil).same(&d.From) {
		return host.Result{}, fmt.Errorf("the account %s: %w", accountName(d.Name, d.Host), host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if now != nil {
		if err := s.do(ctx, "DROP USER "+accountSQL(d.Name, d.Host)); err != nil {
			return host.Result{}, fmt.Errorf("dropping the account %s: %w", accountName(d.Name, d.Host), err)
		}
	}
	if err := h.At("dropped the account"); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, host.Drop(notePath(d.Name, d.Host))
}

// runsAs counts what runs in the server with the rights of an account.
func (s *server) runsAs(ctx context.Context, a *account) (int, error) {
	definer := literal(a.name + "@" + a.host)
	var parts []string
	for _, table := range []string{"VIEWS", "ROUTINES", "TRIGGERS", "EVENTS"} {
		parts = append(parts, "(SELECT COUNT(*) FROM information_schema."+table+" WHERE DEFINER = "+definer+")")
	}
	rows, err := s.rows(ctx, "SELECT "+strings.Join(parts, " + "))
	if err != nil || len(rows) != 1 {
		return 0, err
	}
	return strconv.Atoi(rows[0][0])
}
