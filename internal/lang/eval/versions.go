package eval

import (
	"maps"
	"reflect"
	"slices"

	"muster/internal/lang/plays"
	"muster/modules"
	"muster/secret"
)

// most is how many versions of a task's arguments are made: with more secrets of one task
// in rotation than six, those with several older versions at once are left out.
const most = 64

// picks are versions of secrets, by name: indices into SecretVersions.Valid. Of what isn't
// there the host's own is used.
type picks map[string]int

// version is one way in which a task's arguments can be made.
type version struct {
	args  Args
	picks picks
	use   bool // it is the host's own
	odd   bool // it doesn't agree, as one with another version of a secret that has Only
	over  bool // it has a value that is ending
	e     *evaluation
}

// others evaluates an instance with the other versions of the secrets in it that are valid,
// and notes what they make: arguments that agree, too, and all versions of those of which
// the kind asks for all.
func (s *Scope) others(i *Instance, out *Evaluated) {
	store := s.p.Options.Secrets
	if store == nil || len(s.p.Secrets) == 0 || s.checking() || len(out.Unknown) > 0 {
		return
	}
	var open []string
	for _, name := range store.Open() {
		if slices.Contains(s.p.Secrets, name) {
			open = append(open, name)
		}
	}
	if len(open) == 0 {
		return
	}
	own := version{args: out.Args, use: true}
	var read []string // those that the task's arguments are made of
	counts := map[string]int{}
	uses := picks{}
	only := map[string]bool{}
	valid := picks{} // so many aren't ending
	var over []string
	for _, name := range open {
		v, err := store.Versions(s.host, name)
		if err != nil || len(v.Valid) < 2 {
			continue
		}
		for n := range v.Valid {
			if n == v.Use {
				continue
			}
			if x := s.with(i, picks{name: n}); x != nil && !reflect.DeepEqual(x.args, own.args) {
				read, counts[name], uses[name], only[name] = append(read, name), len(v.Valid), v.Use, v.Only
				valid[name] = len(v.Valid) - v.Ending
				for _, value := range v.Valid[valid[name]:] {
					over = append(over, madeOf(name, value))
				}
				break
			}
		}
	}
	list := s.versions(i, read, counts, uses, own)
	for n := range list {
		list[n].odd = slices.ContainsFunc(read, func(name string) bool { return only[name] && list[n].picks[name] != uses[name] })
		list[n].over = slices.ContainsFunc(read, func(name string) bool { return list[n].picks[name] >= valid[name] })
	}
	if len(over) > 0 {
		out.Ended = ended(i.Task, list, out.Args, over)
	}
	seal(i.Task, list, out)
	unite(i.Task, list, out)
	if e := out.Ended; e != nil {
		for _, args := range append([]Args{e.Args}, e.Others...) {
			out.agrees(args)
		}
	}
	for _, v := range list {
		if !v.use && !v.odd {
			out.agrees(v.args)
		}
		if v.e == nil {
			continue
		}
		if !v.odd {
			out.Bodies = append(out.Bodies, v.e.out.Bodies...)
		}
		out.from = append(out.from, v.e.out.from...)
		for text := range v.e.secrets {
			if !slices.Contains(out.Secrets, text) {
				out.Secrets = append(out.Secrets, text)
			}
		}
	}
	slices.Sort(out.Secrets)
}

// agrees notes that what is made with other arguments is as it is to be.
func (out *Evaluated) agrees(args Args) {
	if !slices.ContainsFunc(append([]Args{out.Args}, out.Others...), func(a Args) bool { return reflect.DeepEqual(a, args) }) {
		out.Others = append(out.Others, args)
	}
}

// ended is how a task is made where the values that are ending have been ended.
func ended(t *plays.Task, list []version, own Args, over []string) *Ended {
	left := slices.DeleteFunc(slices.Clone(list), func(v version) bool { return v.over })
	for n := range left {
		left[n].args = maps.Clone(left[n].args)
	}
	out := Evaluated{Args: maps.Clone(own)}
	seal(t, left, &out)
	unite(t, left, &out)
	for _, v := range left {
		if !v.use && !v.odd {
			out.agrees(v.args)
		}
	}
	return &Ended{Args: out.Args, Others: out.Others, Made: over}
}

// versions are the arguments with each choice of versions, the newest of all first.
func (s *Scope) versions(i *Instance, names []string, counts map[string]int, uses picks, own version) []version {
	choices := []picks{{}}
	for _, name := range names {
		var more []picks
		for _, c := range choices {
			for n := range counts[name] {
				d := maps.Clone(c)
				d[name] = n
				more = append(more, d)
			}
		}
		choices = more
		if len(choices) > most {
			choices = slices.DeleteFunc(choices, func(c picks) bool { return !fewFrom(c, uses) })
		}
	}
	var list []version
	for _, c := range choices {
		if maps.Equal(c, uses) {
			own.picks = c
			list = append(list, own)
		} else if x := s.with(i, c); x != nil {
			x.picks = c
			list = append(list, *x)
		}
	}
	return list
}

// fewFrom reports whether a choice takes another version of one secret at most.
func fewFrom(c, uses picks) bool {
	n := 0
	for name, at := range c {
		if at != uses[name] {
			n++
		}
	}
	return n < 2
}

// seal replaces the arguments of which the kind asks for all versions by all that were made
// of them, in every one of the list.
func seal(t *plays.Task, list []version, out *Evaluated) {
	for _, a := range t.Args {
		if a.Arg == nil || !a.Arg.Versions() {
			continue
		}
		use, ok := Credential(out.Args[a.Name])
		if !ok {
			continue
		}
		all := modules.Versions{Use: use}
		for _, v := range list {
			if s, ok := Credential(v.args[a.Name]); ok && !slices.Contains(all.Valid, s) {
				all.Valid = append(all.Valid, s)
			}
		}
		if len(all.Valid) < 2 {
			continue
		}
		out.Args[a.Name] = all
		for _, v := range list {
			v.args[a.Name] = all
		}
	}
}

// unite has lists of credentials hold those of all versions, where a task is made. What has
// the own version's alone agrees, too.
func unite(t *plays.Task, list []version, out *Evaluated) {
	own := out.Args
	for _, a := range t.Args {
		if a.Arg == nil || !a.Arg.United {
			continue
		}
		all, ok := own[a.Name].([]any)
		if !ok {
			continue
		}
		n := len(all)
		all = slices.Clone(all)
		for _, v := range list {
			more, _ := v.args[a.Name].([]any)
			for _, e := range more {
				if !slices.ContainsFunc(all, func(x any) bool { return reflect.DeepEqual(x, e) }) {
					all = append(all, e)
				}
			}
		}
		if len(all) > n {
			out.Args = maps.Clone(out.Args)
			out.Args[a.Name] = all
		}
	}
	if !reflect.DeepEqual(own, out.Args) {
		out.Others = append(out.Others, own)
	}
}

// Credential is the string that an argument is, sensitive or not.
func Credential(value any) (secret.String, bool) {
	switch x := value.(type) {
	case secret.String:
		return x, true
	case string:
		return secret.New(x), true
	}
	return secret.String{}, false
}

// with evaluates the arguments of an instance with versions of secrets; nil where that
// can't be done, or makes nothing that could be compared.
func (s *Scope) with(i *Instance, p picks) *version {
	at, ok := s.at(p)
	if !ok {
		return nil
	}
	if i.of != nil {
		list, waits, diags := at.Instances(i.Task)
		n := slices.IndexFunc(list, func(o *Instance) bool { return o.Key == i.Key && o.Target == i.Target })
		if len(waits) > 0 || diags.HasErrors() || n < 0 {
			return nil
		}
		i = list[n]
	}
	e := &evaluation{s: at, l: i.layer(), t: i.Task, out: &Evaluated{OnError: Fail}, secrets: map[string]bool{}}
	e.arguments(i)
	if len(e.waits) > 0 || e.diags.HasErrors() || len(e.out.Unknown) > 0 {
		return nil
	}
	return &version{args: e.out.Args, e: e}
}

// at is the scope in which secrets have the versions that are picked.
func (s *Scope) at(p picks) (*Scope, bool) {
	if s.parent == nil {
		c := *s
		c.cache, c.picks = nil, p
		return &c, true
	}
	around, ok := s.parent.at(p)
	if !ok {
		return nil, false
	}
	list, waits, diags := around.Enter(s.block)
	if len(waits) > 0 || diags.HasErrors() {
		return nil, false
	}
	for _, in := range list {
		if in.key == s.key {
			return in, true
		}
	}
	return nil, false
}
