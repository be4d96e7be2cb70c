package mysql

import (
	"maps"
	"slices"
	"strings"
)

// step is a part of a change of privileges.
type step struct {
	Revoke bool   `json:"revoke,omitempty"`
	What   string `json:"what"` // SELECT, INSERT (`a`)
	On     string `json:"on"`
	Option bool   `json:"option,omitempty"` // with the right to hand on
}

// String is for the plan.
func (s step) String() string {
	verb := "grant "
	if s.Revoke {
		verb = "revoke "
	}
	text := verb + s.What + " on " + s.On
	if s.Option {
		text += " with grant option"
	}
	return text
}

// statement is the step for an account.
func (s step) statement(account string) string {
	if s.Revoke {
		return "REVOKE " + s.What + " ON " + s.On + " FROM " + account
	}
	text := "GRANT " + s.What + " ON " + s.On + " TO " + account
	if s.Option {
		text += " WITH GRANT OPTION"
	}
	return text
}

func option(atom string) bool { return atom == grantOption || strings.HasSuffix(atom, handedOn) }

// excepted are the steps that take back exceptions of g, and those that make others. MySQL
// takes one back where what it is about is given on that database; given once more, it is
// a privilege there. One goes by itself with what it is an exception of.
func (g grants) excepted(want grants, p privileges) (lift, make []step) {
	for _, object := range slices.Sorted(maps.Keys(g)) {
		on, ok := strings.CutPrefix(object, exceptOn)
		less := slices.DeleteFunc(minus(g[object], want[object]), func(a string) bool { return !slices.Contains(want["*.*"], a) })
		if ok && len(less) > 0 {
			lift = append(lift, step{What: p.listed(less, databaseLevel), On: on})
		}
	}
	for _, object := range slices.Sorted(maps.Keys(want)) {
		on, ok := strings.CutPrefix(object, exceptOn)
		if more := minus(want[object], g[object]); ok && len(more) > 0 {
			make = append(make, step{Revoke: true, What: p.listed(more, databaseLevel), On: on})
		}
	}
	return lift, make
}

// plain are the privileges without exceptions.
func (g grants) plain() grants {
	some := grants{}
	for object, atoms := range g {
		if !strings.HasPrefix(object, exceptOn) {
			some[object] = atoms
		}
	}
	return some
}

// keeping is want with the exceptions that g has from it: those stay that are about what is
// wanted everywhere, unless it is wanted on that database, too.
func (g grants) keeping(want grants) (all grants, kept []string) {
	all = maps.Clone(want)
	for _, object := range slices.Sorted(maps.Keys(g)) {
		on, ok := strings.CutPrefix(object, exceptOn)
		if !ok {
			continue
		}
		stays := slices.DeleteFunc(minus(g[object], want[on]), func(a string) bool { return !slices.Contains(want["*.*"], a) })
		if len(stays) > 0 {
			all[object] = stays
			kept = append(kept, strings.Join(stays, ", ")+" on "+on)
		}
	}
	return all, kept
}

// until are the steps from g to want: first what is given, so that nothing is missed that
// the account has under another name, then what is taken.
func (g grants) until(want grants, p privileges) (steps []step) {
	lift, make := g.excepted(want, p)
	return slices.Concat(lift, g.plain().steps(want.plain(), p), make)
}

// steps are those from g to want, which have no exceptions.
func (g grants) steps(want grants, p privileges) (steps []step) {
	for _, object := range slices.Sorted(maps.Keys(want)) {
		more := minus(want[object], g[object])
		if len(more) == 0 {
			continue
		}
		var give []string // also what the account has, and may not hand on
		for _, a := range more {
			give = append(give, strings.TrimSuffix(a, handedOn))
		}
		slices.Sort(give)
		give = slices.Compact(give)
		s := step{What: p.listed(give, levelOf(object)), On: object, Option: slices.ContainsFunc(more, option)}
		if all := p.of(levelOf(object)); len(all) > 0 && len(minus(all, want[object])) == 0 && !slices.ContainsFunc(more, option) {
			s.What = allWord // also where it has a part of it
		}
		if s.What != "" {
			steps = append(steps, s)
		}
		if slices.Contains(more, grantOption) && !slices.ContainsFunc(give, func(a string) bool { return a != grantOption && !dynamic(a) }) {
			steps = append(steps, step{What: usage, On: object, Option: true})
		}
	}
	for _, object := range slices.Sorted(maps.Keys(g)) {
		less := minus(g[object], want[object])
		if what := p.listed(less, levelOf(object)); what != "" {
			steps = append(steps, step{Revoke: true, What: what, On: object})
		}
		var stay []string // that may not be handed on any more: there is no other way
		for _, a := range less {
			if name, ok := strings.CutSuffix(a, handedOn); ok && slices.Contains(want[object], name) {
				stay = append(stay, name)
			}
		}
		if len(stay) > 0 {
			names := strings.Join(stay, ", ")
			steps = append(steps, step{Revoke: true, What: names, On: object}, step{What: names, On: object})
		}
		// Last: after it, MySQL 9.7 leaves dynamic privileges that are revoked.
		if slices.Contains(less, grantOption) {
			steps = append(steps, step{Revoke: true, What: grantOption, On: object})
		}
	}
	return steps
}
