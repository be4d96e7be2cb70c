package git

import (
	"context"
	"fmt"
	"strings"
)

// submodule is one of a checkout, or one of a submodule's own.
type submodule struct {
	path string // in the checkout
	mark byte   // what git-submodule(1) puts before it: ' ' as it is to be, '-' not checked out, '+' at another commit
	at   string
}

// submodules lists them all.
func (c checkout) submodules(ctx context.Context) ([]submodule, error) {
	text, err := c.ask(ctx, "submodule", "status", "--recursive")
	var list []submodule
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		at, path, ok := strings.Cut(line[1:], " ")
		if !ok {
			return nil, fmt.Errorf("%s: git submodule says %q", c.path, line)
		}
		if end := strings.LastIndex(path, " ("); end > 0 && strings.HasSuffix(path, ")") {
			path = path[:end] // how git describes the commit
		}
		list = append(list, submodule{path, line[0], at})
	}
	return list, err
}

// within adds to s what a checkout's submodules have of their own, and returns those that
// aren't as its commit has them, a line each.
func (c checkout) within(ctx context.Context, s *state) (differ []string, err error) {
	list, err := c.submodules(ctx)
	for _, m := range list {
		if m.mark == '-' {
			differ = append(differ, fmt.Sprintf("submodule %s: not checked out", m.path))
			continue
		}
		sub := checkout{c.path + "/" + m.path, c.Access, c.run}
		is, err := sub.status(ctx, true)
		if err != nil {
			return nil, err
		}
		for _, path := range is.changed {
			s.changed = append(s.changed, m.path+"/"+path)
		}
		if m.mark == ' ' {
			continue
		}
		differ = append(differ, fmt.Sprintf("submodule %s: at %s", m.path, m.at[:12]))
		if s.begun { // it was left there by an update that was cut off
			continue
		}
		n, err := sub.own(ctx, state{}, version{})
		if err != nil {
			return nil, err
		}
		s.own += n
	}
	return differ, err
}

// submodules are the steps that bring them to what the commit has.
func (s Source) submodules(force bool) [][]string {
	if !s.Submodules {
		return nil
	}
	update := []string{"submodule", "--quiet", "update", "--init", "--recursive", "--checkout"}
	if force {
		update = append(update, "--force")
	}
	if s.Depth > 0 {
		update = append(update, "--depth", fmt.Sprint(s.Depth))
	}
	return [][]string{{"submodule", "--quiet", "sync", "--recursive"}, update}
}
