package planfile

import (
	"fmt"
	"slices"
	"strings"

	"muster/host"
	"muster/internal/wire"
)

// Moved is a task that is no longer as it was planned.
type Moved struct {
	Host string // of the play
	On   string // the host acted on, where it is another
	ID   string
	Text string // "task.file.x: was update /etc/x, is now create /etc/x"
}

type taskKey struct{ host, on, id string }

func (t *Task) key() taskKey { return taskKey{t.Host, t.On, t.ID} }

// Compare returns what has moved between two plans whose digests are keyed
// with the same key, in the order of the saved one, what came in addition
// last. Hosts that nothing moved on have nothing in it.
//
// Tasks are the same where they would do the same: what they would change has
// the same digest, they are as certain, and what they foresee is the same
// actions on the same targets. What is left to do may be less: a task that has
// nothing to do any more doesn't count, and one that was tentative may be known,
// so that a plan that was cut off can be made again. For the same reason a task
// may find something else where earlier ones bring what it is about, if it wants the
// same; and one that was known after apply may be known, if it does what was
// forecast. The wording of diffs doesn't count, nor why a task fails.
func Compare(saved, now []Task) []Moved {
	current := make(map[taskKey]*Task, len(now))
	for i := range now {
		current[now[i].key()] = &now[i]
	}
	var moved []Moved
	add := func(t *Task, format string, a ...any) {
		name := t.Name
		if t.Key != "" {
			name += fmt.Sprintf("[%q]", t.Key)
		}
		if t.Role != "" {
			name = "role " + t.Role + ": " + name
		}
		moved = append(moved, Moved{t.Host, t.On, t.ID, name + ": " + fmt.Sprintf(format, a...)})
	}
	known := make(map[taskKey]bool, len(saved))
	for i := range saved {
		was := &saved[i]
		known[was.key()] = true
		is, ok := current[was.key()]
		switch {
		case !ok:
			add(was, "was %s, and is no longer in the plan", was.outline())
		case was.Status == wire.Pending && is.Status == wire.Unchanged:
			// It was made already: by this plan, when it was cut off.
		case was.settled(is):
		case was.outline() != is.as(was.Certainty).outline():
			add(is, "was %s, is now %s", was.outline(), is.outline())
		case was.Kind != is.Kind || was.Digest != is.Digest:
			add(is, "%s: its change is no longer the same", is.outline())
		}
	}
	for i := range now {
		if !known[now[i].key()] {
			add(&now[i], "was not in the plan, is now %s", now[i].outline())
		}
	}
	return moved
}

// settled reports whether a task that is about what earlier ones were to bring is
// what it was, as far as that could be told then.
func (t *Task) settled(now *Task) bool {
	if t.Status != wire.Pending || now.Status != wire.Pending || t.Kind != now.Kind {
		return false
	}
	if t.Behind && len(t.Changes) > 0 && t.Wants == now.Wants {
		return true
	}
	if t.Certainty != wire.Deferred || len(t.Changes) > 0 || len(now.Changes) == 0 {
		return false
	}
	forecast := map[string]bool{}
	for _, d := range t.Then {
		forecast[d.Target] = true
	}
	for _, d := range slices.Concat(now.Changes, now.Then) {
		if d.Action.Counts() && !forecast[d.Target] {
			return false
		}
	}
	return true
}

// as returns the task as it was while what stood before it was pending: as
// certain as c, where it is known and c is tentative.
func (t *Task) as(c wire.Certainty) *Task {
	if t.Certainty != wire.Known || c != wire.Tentative {
		return t
	}
	before := *t
	before.Certainty = c
	return &before
}

// outline says in a few words what a task would do. Tasks that would do
// something else of what is known have another.
func (t *Task) outline() string {
	switch t.Status {
	case wire.Unchanged:
		return "nothing to do"
	case wire.Failed:
		return "failing"
	case wire.Skipped:
		return "skipped"
	}
	var parts []string
	for _, d := range t.Changes {
		parts = append(parts, short(d))
	}
	for _, d := range t.Then {
		parts = append(parts, "then "+short(d))
	}
	words := strings.Join(parts, ", ")
	if words == "" {
		words = "pending"
	}
	if t.Certainty != "" && t.Certainty != wire.Known {
		words += " (" + string(t.Certainty) + ")"
	}
	if t.Always {
		words += " (runs every time)"
	}
	return words
}

// short is a description without its diff, as JSON has it: what isn't UTF-8
// was replaced when it was saved.
func short(d host.Description) string {
	var b strings.Builder
	for _, r := range string(d.Action) + " " + d.Target {
		b.WriteRune(r)
	}
	return b.String()
}
