package main

import (
	"context"
	"slices"

	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/naming"
	"muster/inventory"
)

// inventoryNames are those of hosts, of groups, and of the users who log in.
func inventoryNames(inv *inventory.Inventory) naming.Set {
	set := naming.Set{}
	for _, h := range slices.Concat(inv.Hosts(), inv.Bastions()) {
		set.Add("host", h.Name, h.Address)
		set.Add("user", h.Target().User)
	}
	for name := range inv.Groups() {
		set.Add("group", name)
	}
	return set
}

// projectNames are all that the project's files tell: no source of hosts is asked. What is
// broken in them isn't said here.
func (a *app) projectNames(ctx context.Context) naming.Set {
	l, _, err := a.load(ctx, true)
	if err != nil {
		return nil
	}
	set := inventoryNames(l.inventory)
	if l.project.Dir != "" {
		set.Project(l.project.Dir)
	}
	return set
}

// runNames are those that a run's playbook and inventory tell, where it has a secret that
// could be equal to one.
func runNames(l *loaded, pb *eval.Playbook) []string {
	if len(pb.Secrets) == 0 && !slices.ContainsFunc(pb.Declared(), func(v *plays.Variable) bool { return v.Sensitive }) {
		return nil
	}
	set := inventoryNames(l.inventory)
	for _, src := range pb.Sources {
		set.Read(src)
	}
	return set.List()
}
