package main

import (
	"errors"
	"slices"
	"strings"

	"muster/internal/lang/plays"
	"muster/inventory"
)

// fleet is the inventory as the language sees it.
func fleet(inv *inventory.Inventory) *plays.Fleet {
	f := &plays.Fleet{Partial: inv.Partial, Groups: inv.Groups(), Match: func(patterns []string) ([]string, error) {
		hosts, err := inv.Match(patterns)
		var names []string
		for _, h := range hosts {
			names = append(names, h.Name)
		}
		return names, plainly(err)
	}}
	for _, h := range inv.Hosts() {
		f.Hosts = append(f.Hosts, toPlays(h))
	}
	for _, h := range inv.Bastions() {
		f.Bastions = append(f.Bastions, toPlays(h))
	}
	return f
}

// toPlays is a host as the language sees it.
func toPlays(h *inventory.Host) plays.Host {
	return plays.Host{Name: h.Name, Address: h.Address, Groups: h.Groups, Vars: h.Vars}
}

// plainly is what is wrong with patterns in a sentence, without the suggestions,
// which the language makes itself.
func plainly(err error) error {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	var parts []string
	for _, e := range list {
		var unknown *inventory.UnknownNameError
		if errors.As(e, &unknown) {
			e = &inventory.UnknownNameError{Name: unknown.Name, Alone: unknown.Alone}
		}
		if e != nil && !slices.Contains(parts, e.Error()) {
			parts = append(parts, e.Error())
		}
	}
	if parts == nil {
		return nil
	}
	return errors.New(strings.Join(parts, "; "))
}
