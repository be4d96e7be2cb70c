package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"muster/host"
)

// SetUser makes a user in the running server, changes it, or drops it.
type SetUser struct {
	Name   string   `json:"name"`
	Daemon string   `json:"daemon"` // the path of Redis's file
	Where  string   `json:"where"`
	Login  login    `json:"login"`
	From   *acl     `json:"from,omitempty"` // nil: it is made
	To     acl      `json:"to"`
	Sets   []string `json:"sets,omitempty"`
	Gone   bool     `json:"gone,omitempty"`
	// Notes: the task has its commands, so that what Redis makes of them is noted.
	Notes bool `json:"notes,omitempty"`
	// Known is its password, where that is known: a login proves it.
	Known *host.Content `json:"known,omitempty"`
}

// Type is "redis.user.set/1".
func (*SetUser) Type() string { return "redis.user.set/1" }

// Describe shows what changes. Passwords are in none of it.
func (c *SetUser) Describe() host.Description {
	d := host.Description{Action: host.Create, Target: userTarget(c.Name)}
	from := &acl{}
	switch {
	case c.Gone:
		d.Action, d.Impact = host.Delete, "ends its connections"
		return d
	case c.From != nil:
		d.Action, from = host.Update, c.From
	}
	var lines []string
	add := func(name string, was, is []string) {
		if !alike(was, is) {
			lines = append(lines, fmt.Sprintf("%s: %s → %s", name, words2(was), words2(is)))
		}
	}
	if c.From != nil && from.On != c.To.On {
		lines = append(lines, fmt.Sprintf("enabled: %t → %t", from.On, c.To.On))
	}
	if from.Open != c.To.Open || !alike(from.Sums, c.To.Sums) {
		lines = append(lines, passwordLines(from, &c.To)...)
	}
	add("keys", from.Keys, c.To.Keys)
	add("channels", from.Channels, c.To.Channels)
	if c.From == nil || slices.ContainsFunc(c.Sets, func(s string) bool { return s[0] == '+' || s[0] == '-' }) {
		add("commands", from.Commands, c.To.Commands)
	}
	d.Diff = strings.Join(lines, "\n")
	return d
}

// passwordLines say how many passwords are valid.
func passwordLines(from, to *acl) (lines []string) {
	kept := 0
	for _, s := range to.Sums {
		if slices.Contains(from.Sums, s) {
			kept++
		}
	}
	if kept < len(to.Sums) {
		lines = append(lines, "password: set")
	}
	if kept > 0 && kept < len(to.Sums) {
		lines = append(lines, "old_password: valid, too")
	}
	if ended := len(from.Sums) - kept; ended > 0 {
		lines = append(lines, fmt.Sprintf("%s: no longer valid", host.Counted(ended, "other password", "other passwords")))
	}
	if from.Open && !to.Open {
		lines = append(lines, "without a password: no longer let in")
	}
	return lines
}

func words2(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " ")
}

// Effects is the user, and what is noted of it.
func (c *SetUser) Effects() []host.Effect {
	if c.Gone {
		return append(keeps(notePath(c.Name)), host.Gone(userKey(c.Name)))
	}
	is := host.Is(userKey(c.Name), c.To)
	if !c.Notes {
		return []host.Effect{is}
	}
	return append(keeps(notePath(c.Name)), is)
}

// Apply sets the user, and asks for it.
func (c *SetUser) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	err := c.apply(ctx, h)
	if err != nil {
		err = fmt.Errorf("the user %s of Redis: %w", c.Name, err)
	}
	return host.Result{}, err
}

// acting connects for a change.
func acting(ctx context.Context, h *host.Host, path, where string, l login) (*server, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := parseConf(string(text))
	s, err := connect(ctx, h.Dial, append([]string{where}, c.addresses()...), l.pairs(ctx, h.Bodies.Read, c))
	return s, unanswered(err)
}

func (c *SetUser) apply(ctx context.Context, h *host.Host) error {
	s, err := acting(ctx, h, c.Daemon, c.Where, c.Login)
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.users(ctx)
	if err != nil {
		return unanswered(err)
	}
	now := all[c.Name]
	if c.Gone && now == nil {
		return host.Drop(notePath(c.Name))
	}
	if (now == nil) != (c.From == nil) || now != nil && !(now.same(c.From) && (alike(now.Commands, c.From.Commands) || c.From.Given != "")) {
		return host.ErrMoved
	}
	noted, err := os.ReadFile(notePath(c.Name))
	if err != nil && !gone(err) {
		return err
	}
	undo := &PutUser{Name: c.Name, Daemon: c.Daemon, Where: c.Where, Login: c.Login, Back: now, Noted: string(noted)}
	if err := h.Begin(host.Undo{Changes: []host.Change{undo}}); err != nil {
		return err
	}
	if c.Gone {
		if _, err := s.do(ctx, "ACL", "DELUSER", c.Name); err != nil {
			return unanswered(err)
		}
		if err := h.At("dropped the user"); err != nil {
			return err
		}
		return host.Drop(notePath(c.Name))
	}
	if _, err := s.do(ctx, append([]string{"ACL", "SETUSER", c.Name}, c.Sets...)...); err != nil {
		return unanswered(err)
	}
	if err := h.At("set the user"); err != nil {
		return err
	}
	return c.verify(ctx, h, s)
}

// verify asks for the user, proves its password by a login, and notes what Redis has made of
// its commands.
func (c *SetUser) verify(ctx context.Context, h *host.Host, s *server) error {
	all, err := s.users(ctx)
	if err != nil {
		return unanswered(err)
	}
	now := all[c.Name]
	if now == nil || !now.same(&c.To) {
		return errors.New("the server was to have it as the task says, and has it otherwise")
	}
	if c.Known != nil && c.To.On {
		password, err := h.Bodies.Read(ctx, *c.Known, noteLimit)
		if err != nil {
			return err
		}
		conn, err := connectAs(ctx, h, s.address, c.Name, string(password))
		if err != nil {
			return fmt.Errorf("the server refuses the password that it was just given: %w", err)
		}
		conn.Close()
	}
	if !c.Notes {
		return nil
	}
	return note(notePath(c.Name), []byte(c.To.Given+"\n"+strings.Join(now.Commands, " ")+"\n"))
}

// connectAs logs in.
func connectAs(ctx context.Context, h *host.Host, address, user, password string) (*conn, error) {
	ctx, stop := context.WithTimeout(ctx, dialTime)
	defer stop()
	raw, err := h.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c := newConn(raw)
	if _, err := c.do(ctx, "AUTH", user, password); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// PutUser takes back what was done to a user.
type PutUser struct {
	Name   string `json:"name"`
	Daemon string `json:"daemon"`
	Where  string `json:"where"`
	Login  login  `json:"login"`
	Back   *acl   `json:"back,omitempty"` // nil where it was made
	Noted  string `json:"noted,omitempty"`
}

// Type is "redis.user.put/1".
func (*PutUser) Type() string { return "redis.user.put/1" }

// Describe names the user.
func (p *PutUser) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: userTarget(p.Name), Impact: "as it was before"}
	if p.Back == nil {
		d.Action = host.Delete
	}
	return d
}

// Effects is the user, and what is noted of it.
func (p *PutUser) Effects() []host.Effect {
	if p.Back == nil {
		return append(keeps(notePath(p.Name)), host.Gone(userKey(p.Name)))
	}
	return append(keeps(notePath(p.Name)), host.Is(userKey(p.Name), *p.Back))
}

// Apply puts the user back.
func (p *PutUser) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, err := acting(ctx, h, p.Daemon, p.Where, p.Login)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if p.Back == nil {
		_, err = s.do(ctx, "ACL", "DELUSER", p.Name)
	} else {
		_, err = s.do(ctx, append([]string{"ACL", "SETUSER", p.Name, "reset"}, p.Back.rules()...)...)
	}
	if err != nil {
		return host.Result{}, fmt.Errorf("putting the user %s of Redis back: %w", p.Name, unanswered(err))
	}
	if p.Noted == "" {
		return host.Result{}, host.Drop(notePath(p.Name))
	}
	return host.Result{}, note(notePath(p.Name), []byte(p.Noted))
}
