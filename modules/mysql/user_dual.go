package mysql

import (
	"context"
	"slices"
	"strings"

	"muster/host"
)

// An account may have a second password for as long as clients go over from the old one.
// MySQL keeps it beside the first and can't be told it (ALTER USER, "RETAIN CURRENT
// PASSWORD"): what was the password becomes the second one, and the second one is lost. So
// where an account has one already, or has neither of those wanted, one that is wanted is
// made its password before the other comes: at any moment one of them is valid that was so
// before. MariaDB has a list of ways to be let in, which is set whole.

// passwords are those that an account is to have.
type passwords struct{ password, old string }

// list are those that there are.
func (p passwords) list() []string {
	if p.old == "" {
		return []string{p.password}
	}
	return []string{p.password, p.old}
}

// noted is what is noted of them.
func (p passwords) noted() string {
	if p.old == "" {
		return p.password
	}
	return p.password + "\x00" + p.old
}

// passwords are those of the change, as they were kept.
func (c *SetUser) passwords(ctx context.Context, h *host.Host) (p passwords, err error) {
	for _, k := range []struct {
		content *host.Content
		to      *string
	}{{c.Known, &p.password}, {c.Old, &p.old}} {
		if k.content == nil {
			continue
		}
		data, err := h.Bodies.Read(ctx, *k.content, 1<<20)
		if err != nil {
			return p, err
		}
		*k.to = string(data)
	}
	return p, nil
}

// has finds out by logins whether an account has these passwords.
func (a *account) has(ctx context.Context, all *accounts, dial dialer, p passwords, known *proofs) (proof, error) {
	if p.old != "" && all.flavor == mariadb {
		return a.keeps(p), nil // each is among those that the server keeps, and no other
	}
	for _, password := range p.list() {
		if said, err := a.proof(ctx, all, dial, password, known); err != nil || said != right {
			return said, err
		}
	}
	return right, nil
}

// keeps compares MariaDB's sums with those of the passwords. They are made without a salt.
func (a *account) keeps(p passwords) proof {
	sum := nativeHash
	if a.plugin() == ed25519Plugin {
		sum = ed25519Key
	}
	if len(a.methods) != 2 || a.methods[0].Auth != sum(p.password) || a.methods[1].Auth != sum(p.old) {
		return wrong
	}
	return right
}

// statements are those that have the account be let in as it is to be.
func (c *SetUser) statements(ctx context.Context, h *host.Host, all *accounts, now *account, name string, p passwords) (list []string, err error) {
	f := all.flavor
	add := func(statement string) {
		if statement != "" {
			list = append(list, statement)
		}
	}
	if f == mariadb || !c.Sets || p.old == "" {
		add(c.statement(f, name, p))
		if c.Sets && now != nil && now.second != "" {
			add("ALTER USER " + name + " DISCARD OLD PASSWORD")
		}
		return list, nil
	}
	base, other, said := p.old, p.password, wrong
	if now != nil && now.plugin() == c.Plugin {
		if said, err = now.proof(ctx, all, h.Dial, p.password, c.proofs); err != nil {
			return nil, err
		}
		if said == right {
			base, other = other, base
		} else if said, err = now.proof(ctx, all, h.Dial, p.old, c.proofs); err != nil {
			return nil, err
		}
	}
	if said != right || now.second != "" {
		add(c.statement(f, name, passwords{password: base}))
	} else if more := demands(*c.From, c.To); more != "" {
		add("ALTER USER " + name + more)
	}
	add("ALTER USER " + name + f.identified(c.Plugin, other) + " RETAIN CURRENT PASSWORD")
	return list, nil
}

// rotating plans an account whose password is being rotated: several versions of it are
// valid. Where it lets in the one to be used, nothing is to be done, whatever else it lets
// in; where it lets in another that is valid, that is kept beside it, and returned. Where
// it lets in none of them, or isn't there, it isn't rotating.
func (p *userPlanner) rotating(ctx context.Context, plugin string) (is bool, keep string, err error) {
	if len(p.Valid) < 2 || p.OldPassword != "" || p.now == nil || plugin != p.now.Plugin {
		return false, "", nil
	}
	others := slices.DeleteFunc(slices.Clone(p.Valid), func(v string) bool { return v == p.Password })
	for _, password := range append([]string{p.Password}, others...) {
		said, err := p.letsIn(ctx, password)
		switch {
		case err != nil:
			return false, "", err
		case said && password == p.Password:
			return true, "", nil
		case said:
			return true, password, nil
		}
	}
	return false, "", nil
}

// letsIn reports whether an account lets a password in, beside another or alone.
func (p *userPlanner) letsIn(ctx context.Context, password string) (bool, error) {
	if p.now.Password != "" { // pending changes set it
		sum := p.v.Keep([]byte(password), true).Sum
		return slices.Contains(strings.Fields(p.now.Password), sum), nil
	}
	if p.all.flavor == mariadb && p.real.dual() {
		sum := nativeHash
		if p.real.plugin() == ed25519Plugin {
			sum = ed25519Key
		}
		return slices.ContainsFunc(p.real.methods, func(m method) bool { return m.Auth == sum(password) }), nil
	}
	said, err := p.real.proof(ctx, p.all, viewDialer(p.v), password, p.proofs)
	if err != nil || said != unreachable {
		return said == right, err
	}
	list := []passwords{{password: password}}
	for _, other := range p.Valid {
		list = append(list, passwords{password, other}, passwords{other, password})
	}
	for _, both := range list {
		if set, err := noted(ctx, p.v, p.real, both.noted()); err != nil || set {
			return set, err
		}
	}
	return false, nil
}
