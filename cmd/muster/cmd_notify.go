package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/internal/notify"
	"muster/internal/view"
)

func newNotify(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Try who is told of drift",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "test [NAME…]",
		Short: "Send a test to those whom muster.hcl names",
		Long: "Test sends each receiver of muster.hcl's notify blocks a message that says that it is a test, or only those whose NAME is given: " +
			"ops, or notify.webhook.ops where several have one name. It exits with 1 where one didn't take it.",
		Example: "  muster notify test\n  muster notify test ops",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.notifyTest(cmd.Context(), args) },
	})
	return cmd
}

func (a *app) notifyTest(ctx context.Context, names []string) error {
	l, diags, err := a.load(ctx, true)
	if err != nil {
		return err
	}
	if err := a.fail(diags, l.sources); err != nil {
		return err
	}
	blocks, err := receivers(l.notify, names)
	if err != nil {
		return err
	}
	var failed error
	for _, b := range blocks {
		m := notify.NewMessage(fmt.Sprint(b.Full(), time.Now()), []notify.Change{{Event: notify.Test}}, 0)
		m.Project, m.By, m.At = filepath.Base(l.project.Dir), whoami(), time.Now()
		r, err := b.Open(a.notifyValues(l))
		if err == nil {
			err = notify.Delivery{}.Send(ctx, r, m)
		}
		if err != nil {
			a.view().Error(fmt.Errorf("%s didn't take the test: %w", b.Full(), err))
			failed = errShown
			continue
		}
		if a.output != "json" {
			fmt.Fprintf(a.out, "%s took it\n", view.CleanLine(b.Full()))
		}
	}
	return failed
}

// receivers are the blocks that names choose; all where there are none.
func receivers(all []*notify.Block, names []string) ([]*notify.Block, error) {
	if len(all) == 0 {
		return nil, errors.New("muster.hcl has no notify block: see docs/night.md for what one looks like")
	}
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, b := range all {
		known = append(known, b.Full())
	}
	var list []*notify.Block
	for _, name := range names {
		chosen := slices.DeleteFunc(slices.Clone(all), func(b *notify.Block) bool { return b.Name != name && b.Full() != name })
		if len(chosen) == 0 {
			return nil, fmt.Errorf("there is no receiver %q; muster.hcl has %s", name, strings.Join(known, ", "))
		}
		for _, b := range chosen {
			if !slices.Contains(list, b) {
				list = append(list, b)
			}
		}
	}
	return list, nil
}
