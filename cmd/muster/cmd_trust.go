package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"muster/internal/view"
	"muster/inventory"
	"muster/transport/ssh"
)

func newTrust(a *app) *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:   "trust PATTERN…",
		Short: "Show hosts' keys, and make them the ones that are known",
		Long: "Trust shows the keys of hosts, or of a bastion, asks once, and makes them the ones by which the project knows those hosts (inventory/known_hosts). " +
			"Who is known by the key that it shows isn't asked about again; of one that has another key than before, both are shown.\n\n" +
			"Hosts that can't be reached are named, and change nothing for the others; the exit code is 5 then. Behind a bastion they can be only once that is known.",
		Example: "  muster trust nat\n  muster trust web1\n  muster trust web,db",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, diags, err := a.load(cmd.Context(), false)
			if err != nil {
				return err
			}
			if err := a.fail(diags, l.sources); err != nil {
				return err
			}
			hosts, err := a.toTrust(l.inventory, args)
			if err != nil {
				return err
			}
			t := &trusting{app: a, file: l.project.KnownHosts()}
			if t.file == "" {
				return errors.New("there is no project here to keep the key in (no muster.hcl in this folder or above)")
			}
			reach, err := a.reach(l)
			if err != nil {
				return err
			}
			defer reach.close()
			keys := make([]shownKey, len(hosts))
			atOnce := make(chan struct{}, cmp.Or(a.parallel, 50))
			var all sync.WaitGroup
			for i, h := range hosts {
				all.Go(func() {
					atOnce <- struct{}{}
					defer func() { <-atOnce }()
					keys[i].host = h.Name
					keys[i].key, keys[i].err = reach.ssh.FetchHostKey(cmd.Context(), h.Target())
				})
			}
			all.Wait()
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			return t.trust(keys, yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	return cmd
}

// toTrust is the bastions that arguments name, which are in no pattern, and the hosts that the
// others match and --limit leaves. This machine has no key to show.
func (a *app) toTrust(inv *inventory.Inventory, args []string) ([]*inventory.Host, error) {
	if h, ok := inv.Host(args[0]); ok && len(args) == 1 {
		if h.Target().Local {
			return nil, fmt.Errorf("%s is this machine (connection = \"local\"), and has no key to show", h.Name)
		}
		return []*inventory.Host{h}, nil
	}
	var patterns []string
	var hosts, matched []*inventory.Host
	for _, name := range strings.Split(strings.Join(args, ","), ",") {
		if h, ok := inv.Host(name); ok && h.Bastion {
			hosts = append(hosts, h)
		} else {
			patterns = append(patterns, name)
		}
	}
	if len(patterns) > 0 {
		var err error
		if matched, err = a.chosen(inv, patterns); err != nil {
			return nil, err
		}
	}
	for _, h := range matched {
		if !h.Target().Local {
			hosts = append(hosts, h)
		}
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("%s matches no host that is reached by SSH", strings.Join(args, ","))
	}
	return hosts, nil
}

// shownKey is the key that a host has shown, or why it hasn't.
type shownKey struct {
	host string
	key  ssh.HostKey
	err  error
}

// trusting is a trust while it is made.
type trusting struct {
	*app
	file string // of known hosts
}

// trust shows keys, asks whether they are the hosts' own, and keeps them.
func (t *trusting) trust(keys []shownKey, yes bool) error {
	width := 0
	for _, k := range keys {
		width = max(width, len(k.host))
	}
	var fresh []shownKey
	unreachable := false
	for _, k := range keys {
		if k.err != nil {
			unreachable = true
			continue
		}
		known, err := ssh.Trusted(t.file, k.host)
		if err != nil {
			return err
		}
		status, was := "new", []string{}
		for _, old := range known {
			if old.Fingerprint == k.key.Fingerprint {
				status = "known"
				break
			}
			status, was = "changed", append(was, old.Type+" "+old.Fingerprint)
		}
		if status != "known" {
			fresh = append(fresh, k)
		}
		t.show(k, width, status, was)
	}
	for _, k := range keys {
		if k.err != nil {
			t.view().Error(k.err)
		}
	}
	if err := t.keep(fresh, yes); err != nil || !unreachable {
		return err
	}
	return exitError(exitUnreachable)
}

// show prints a key, and what is known of its host.
func (t *trusting) show(k shownKey, width int, status string, was []string) {
	if t.output == "json" {
		t.view()
		_ = view.NewEncoder(t.out).Encode(struct {
			Type        string `json:"type"`
			Host        string `json:"host"`
			Key         string `json:"key"`
			Fingerprint string `json:"fingerprint"`
			Status      string `json:"status"`
		}{"key", k.host, k.key.Type, k.key.Fingerprint, status})
		return
	}
	note := ""
	switch status {
	case "known":
		note = "  known by it already"
	case "changed":
		note = "  another than before: " + strings.Join(was, ", ")
	}
	fmt.Fprintf(t.out, "%-*s  %s %s%s\n", width, k.host, k.key.Type, k.key.Fingerprint, note)
}

// keep makes keys the ones that are known, once they are said to be right.
func (t *trusting) keep(keys []shownKey, yes bool) error {
	if len(keys) == 0 {
		return nil
	}
	if !yes {
		question := "Compare it with the host's own. Trust it?"
		if len(keys) > 1 {
			question = fmt.Sprintf("Compare them with the hosts' own. Trust these %d?", len(keys))
		}
		if ok, err := t.ask(context.Background(), question); err != nil {
			return err
		} else if !ok {
			fmt.Fprintln(t.err, "Nothing was trusted.")
			return errShown
		}
	}
	for _, k := range keys {
		if err := ssh.Trust(t.file, k.host, k.key); err != nil {
			return fmt.Errorf("%s: %w", k.host, err)
		}
	}
	if t.output == "json" {
		return nil
	}
	what := keys[0].host + " is known by it"
	if len(keys) > 1 {
		what = fmt.Sprintf("%d hosts are known by these keys", len(keys))
	}
	_, err := fmt.Fprintf(t.out, "%s from here on (%s).\n", what, near(t.file))
	return err
}
