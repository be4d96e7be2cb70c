package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"muster/internal/lang/plays"
	"muster/inventory"
	"muster/transport"
)

// loginAs is a login in the place of those that the inventory has, on every host and
// bastion: that of a schedule.
type loginAs struct{ user, key string }

// loginFlags are those of commands that schedules run.
func (a *app) loginFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.login.user, "login", "", "log in everywhere as `USER`, whose remote \"muster schedule install\" has put in place")
	cmd.Flags().StringVar(&a.login.key, "login-key", "", "with the private key in `FILE`")
	inner := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case (a.login.user == "") != (a.login.key == ""):
			return errors.New("--login and --login-key belong together: the user, and the file of their private key")
		case a.login.key != "" && missing(a.login.key):
			return errors.New("--login-key: there is no file " + a.login.key)
		}
		return inner(cmd, args)
	}
}

// over returns a target with this login in the place of its own.
func (as loginAs) over(t transport.Target) transport.Target {
	if as.user == "" || t.Local {
		return t
	}
	t.User, t.Identity = as.user, as.key
	if t.Via != nil {
		via := as.over(*t.Via)
		t.Via = &via
	}
	return t
}

// machines is the inventory as the language sees it; for playbooks of muster's own that are
// also about bastions, with those.
func (a *app) machines(inv *inventory.Inventory) *plays.Fleet {
	f := fleet(inv)
	if !a.bastions {
		return f
	}
	f.Hosts, f.Bastions = slices.Concat(f.Hosts, f.Bastions), nil
	match := f.Match
	f.Match = func(patterns []string) (names []string, err error) {
		var others []string
		for _, p := range patterns {
			if h, ok := inv.Host(p); ok && h.Bastion {
				names = append(names, p)
				continue
			}
			others = append(others, p)
		}
		if len(others) == 0 {
			return names, nil
		}
		more, err := match(others)
		return append(names, more...), err
	}
	return f
}
