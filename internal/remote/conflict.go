package remote

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// Conflicts says of what tasks have left to do which other task is in the way: the
// one whose plan first left it to be done. After the run that isn't known, and it is
// the one that leaves something else at the same key. Where there is none the kind
// itself is at fault: it leaves out an effect, or doesn't settle.
func (s *Session) Conflicts(list []wire.Left, made bool) []wire.Conflict {
	var out []wire.Conflict
	for _, left := range list {
		t := s.tasks[left.ID]
		if t == nil {
			continue
		}
		other, key := s.other(t, left, made)
		if !made && other != nil && other.planned.Certainty == wire.Deferred {
			continue // what it will leave is known after apply, and reviewed then
		}
		c := wire.Conflict{ID: t.ID}
		switch {
		case other == nil && !made && left.Error != "" && left.By == "":
			continue // it may be for something else
		case other == nil && made:
			c.Other, c.Text = s.unsettling(t, left)
		case other == nil:
			c.Alone, c.Text = true, fmt.Sprintf("planned on what it leaves itself, it %s", left.Wants())
		default:
			c.ID, c.Text = s.against(t, other, key, left, made)
			if c.Other = other.ID; c.ID == other.ID {
				c.Other = t.ID
			}
		}
		if !slices.ContainsFunc(out, func(o wire.Conflict) bool { return o.ID == c.ID }) {
			out = append(out, c)
		}
	}
	return out
}

// against says that two tasks are in each other's way, to the one that comes second.
func (s *Session) against(t, other *task, key host.Key, left wire.Left, made bool) (id, text string) {
	first, second := t, other
	if slices.Index(s.order, t) > slices.Index(s.order, other) {
		first, second = other, t
	}
	text = fmt.Sprintf("two tasks want %s in two states: ", key)
	switch {
	case left.Error != "" && second == other:
		text += fmt.Sprintf("behind this one %s fails in every run: %s; leave it to one of them", first.label(), strings.TrimSuffix(left.Error, "."))
	case second == t && !made:
		text += fmt.Sprintf("this one and %s, and each run would change it twice; leave it to one of them", first.label())
	default:
		text += fmt.Sprintf("this one would undo what %s does, in every run; leave it to one of them", first.label())
	}
	return second.ID, text
}

// unsettling says of a task that was made, and has something left to do, what that may
// come from, where no task is known to be in its way: one of those behind it of which
// nobody can tell what they alter, or what isn't of the run.
func (s *Session) unsettling(t *task, left wire.Left) (other, text string) {
	text = fmt.Sprintf("it isn't settled: planned once more after the run, it %s. ", left.Wants())
	var behind []string
	for _, o := range s.order[slices.Index(s.order, t)+1:] {
		if o.changed == modules.True && slices.ContainsFunc(o.effects, func(e host.Effect) bool {
			return e.State == host.Unknown && e.Key.Name == host.All && (e.Key.Space == host.All || slices.ContainsFunc(left.Keys, func(k host.Key) bool { return k.Space == e.Key.Space }))
		}) {
			other, behind = o.ID, append(behind, o.label())
		}
	}
	if len(behind) > 0 {
		return other, text + fmt.Sprintf("Nobody can tell what %s alters, which was made behind it: if it is that, each run would do both again, and it has to be left to one of them", strings.Join(behind, " or "))
	}
	return "", text + fmt.Sprintf("What else alters it on the host? If nothing does, the kind %q is at fault", kindOf(t.label()))
}

// other returns the task besides t that is in the way of what t has left to do, and
// where. What only may be brought there counts for nothing, and so does what was known
// after apply and then came to nothing.
func (s *Session) other(t *task, left wire.Left, made bool) (*task, host.Key) {
	if left.By == t.ID {
		return nil, host.Key{}
	}
	if by := s.tasks[left.By]; by != nil {
		return by, by.about(left.Keys)
	}
	var list []*task
	for _, o := range s.order {
		if o == t || o.Passing || made && o.planned.Certainty == wire.Deferred && o.changed == modules.False {
			continue
		}
		if slices.ContainsFunc(o.effects, func(e host.Effect) bool {
			return (made || left.Error == "" || e.State == host.Absent) && meets(e, left.Keys) != nil
		}) {
			list = append(list, o)
		}
	}
	if len(list) == 0 {
		return nil, host.Key{}
	}
	o := list[len(list)-1]
	if at := slices.IndexFunc(s.order, func(o *task) bool { return o == t }); at >= 0 {
		behind := slices.DeleteFunc(slices.Clone(list), func(o *task) bool { return slices.Index(s.order, o) < at })
		o = mover(behind, left.Effects, o)
	}
	return o, o.about(left.Keys)
}

// mover returns the first of tasks that gave something a value which isn't what is
// wanted, and which it has in the end; else the one given.
func mover(list []*task, wants []host.Effect, last *task) *task {
	for _, o := range list {
		for _, want := range wants {
			wanted, end, has := fields(wants, want.Key), fields(last.effects, want.Key), fields(o.effects, want.Key)
			for name := range has {
				if wanted != nil && !reflect.DeepEqual(end[name], wanted[name]) && reflect.DeepEqual(has[name], end[name]) {
					return o
				}
			}
		}
	}
	return last
}

// fields are the parts of the value that effects leave at a key; nil where none is.
func fields(effects []host.Effect, key host.Key) (parts map[string]any) {
	for _, e := range effects {
		if e.Key == key {
			parts = nil
			if e.State == host.Present && json.Unmarshal(e.Value, &parts) != nil {
				parts = map[string]any{"": string(e.Value)}
			}
		}
	}
	return parts
}

// about is the key at which a task's effects meet one of keys; else one that the task
// is about.
func (t *task) about(keys []host.Key) (key host.Key) {
	for _, e := range t.effects {
		if met := meets(e, keys); met != nil {
			return *met
		}
		if e.State != host.Possible && key.Space == "" {
			key = e.Key
		}
	}
	if key.Space == "" && len(keys) > 0 {
		key = keys[0]
	}
	return key
}

// meets returns the first of keys at which an effect leaves something for certain; nil
// where it does at none.
func meets(e host.Effect, keys []host.Key) *host.Key {
	if e.State == host.Possible || e.Key.Name == host.All {
		return nil
	}
	for i, key := range keys {
		if covers([]host.Effect{e}, key) || e.State != host.Unknown && covers([]host.Effect{{Key: key}}, e.Key) && key.Name != host.All {
			return &keys[i]
		}
	}
	return nil
}

// kindOf is the kind in a task's label: task.KIND.LABEL.
func kindOf(label string) string {
	_, rest, _ := strings.Cut(label, "task.")
	kind, _, _ := strings.Cut(rest, ".")
	kind, _, _ = strings.Cut(kind, "[")
	return kind
}
