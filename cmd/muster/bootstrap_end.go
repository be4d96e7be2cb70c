package main

import (
	"fmt"
	"os/user"
	"slices"
	"strings"

	"muster/internal/engine"
	"muster/internal/lang/plays"
	"muster/internal/wire"
)

// loginName is who runs muster.
func loginName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "me"
}

// watch notes what has failed, each task once, also where that is tolerated.
func (b *bootstrap) watch(e engine.Event, seen map[string]bool) {
	t, ok := e.(*engine.TaskEvent)
	if !ok || t.Status != wire.Failed {
		return
	}
	name := t.Name
	if t.Key != "" {
		name += fmt.Sprintf("[%q]", t.Key)
	}
	if t.Role != "" {
		name = "role." + t.Role + " " + name
	}
	switch {
	case seen[t.ID+t.On]:
	case strings.Contains(t.Error, plays.ErrLater.Error()):
		b.waiting = append(b.waiting, name)
	default:
		b.failures = append(b.failures, failure{name, t.Error})
	}
	seen[t.ID+t.On] = true
}

// conclude says last what has gone wrong and what is deferred, and what to do.
func (b *bootstrap) conclude(made, health passed) {
	fmt.Fprintln(b.err)
	if names := b.lacking(); len(names) > 0 {
		fmt.Fprintf(b.err, "Deferred: you can't open these secrets yet. Once a colleague has added your line (above) to the store, and you have their commit, run the same command again:\n")
		for _, name := range names {
			fmt.Fprintf(b.err, "  %s\n", name)
		}
		for _, name := range b.waiting {
			fmt.Fprintf(b.err, "    %s waits for that\n", name)
		}
	}
	if len(b.failures) > 0 {
		fmt.Fprintln(b.err, "What went wrong. The same command goes on with it, once that is put right:")
		for _, f := range b.failures {
			fmt.Fprintf(b.err, "  %s\n    %s\n", f.task, strings.ReplaceAll(f.err, "\n", "\n    "))
		}
	}
	switch {
	case !made.worked && made.changed == 0:
		fmt.Fprintf(b.err, "Nothing was changed on %s; the same command begins again.\n", b.host.Name)
	case !made.worked, made.ended != nil && (health.ended != nil || !health.worked):
		fmt.Fprintf(b.err, "%s isn't ready. What was made stays; the same command goes on from there.\n", b.host.Name)
	case health.ended == nil && health.tasks == 0:
		fmt.Fprintf(b.err, "%s was made. Nothing proves that it works: the playbook has no task with the tag %s.\n", b.host.Name, healthTag)
	case health.ended != nil || !health.worked:
		fmt.Fprintf(b.err, "%s was made, and a new login there doesn't find that it works.\n", b.host.Name)
	case made.ended != nil || len(b.failures)+len(b.waiting) > 0:
		fmt.Fprintf(b.err, "%s works, but for what stands above.\n", b.host.Name)
	default:
		fmt.Fprintf(b.err, "%s works. Log in anew, for your groups.\n", b.host.Name)
	}
}

// lacking are the names of secrets that were asked for and couldn't be opened.
func (b *bootstrap) lacking() []string {
	b.laterMu.Lock()
	defer b.laterMu.Unlock()
	var names []string
	for name := range b.later {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
