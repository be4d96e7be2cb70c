package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/spf13/cobra"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/engine"
	"muster/internal/view"
)

func newRunCommand(a *app) *cobra.Command {
	become := false
	cmd := &cobra.Command{
		Use:   "run PATTERN -- COMMAND…",
		Short: "Run a command on hosts",
		Long: "Run runs a command on every host that the pattern matches and shows what it printed. " +
			"Several words are a program and its arguments; a single one is a shell command.",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			start := time.Now()
			l, diags, err := a.load(cmd.Context(), false)
			if err != nil {
				return err
			}
			patterns := strings.Split(args[0], ",")
			if hosts, err := l.inventory.Match(patterns); err != nil && !diags.HasErrors() {
				return err
			} else if len(hosts) == 0 && !diags.HasErrors() {
				return fmt.Errorf("%s matches no host", args[0])
			}
			file, remove, err := adHoc(patterns, args[1:], become)
			if err != nil {
				return err
			}
			defer remove()
			a.passing = file
			r, err := a.prepareIn(l, diags, request{
				file: file, start: start, adHoc: "muster run",
				name: func(string) string { return "" },
				text: func(said string) string { return strings.ReplaceAll(said, file, "the command") },
			})
			if err != nil {
				return err
			}
			defer r.close()
			ctx, abort := context.WithCancelCause(cmd.Context())
			defer abort(nil)
			making := make(chan struct{})
			close(making)
			defer interrupts(r.run, making, abort, a)()
			a.view().Begin(view.Quiet, r.run.Hosts())
			stop := a.watch(r)
			defer stop()
			s := r.run.Plan(ctx)
			stop()
			if s.Pending() && ctx.Err() == nil {
				return a.make(ctx, r, view.Running)
			}
			id := ""
			if ctx.Err() != nil {
				s.Outcome = engine.OutcomeInterrupted
			} else {
				id = a.conclude(r, s) // no host could be reached
			}
			a.view().Summary(s, r.end(id))
			return ended(s, false)
		},
	}
	cmd.Flags().BoolVarP(&become, "become", "b", false, "run as root")
	return cmd
}

// adHoc writes a playbook of one task, and returns how to remove it.
func adHoc(patterns []string, command []string, become bool) (string, func(), error) {
	f := hclwrite.NewEmptyFile()
	play := f.Body().AppendNewBlock("play", []string{"run"}).Body()
	hosts := make([]cty.Value, len(patterns))
	for i, p := range patterns {
		hosts[i] = cty.StringVal(p)
	}
	play.SetAttributeValue("hosts", cty.ListVal(hosts))
	play.SetAttributeValue("become", cty.BoolVal(become))
	task := play.AppendNewBlock("task", []string{"command", "run"}).Body()
	if len(command) == 1 {
		task.SetAttributeValue("shell", cty.StringVal(command[0]))
	} else {
		argv := make([]cty.Value, len(command))
		for i, w := range command {
			argv[i] = cty.StringVal(w)
		}
		task.SetAttributeValue("argv", cty.ListVal(argv))
	}
	dir, err := os.MkdirTemp("", "muster-run-")
	if err != nil {
		return "", nil, err
	}
	file := filepath.Join(dir, "run.hcl")
	return file, func() { _ = os.RemoveAll(dir) }, os.WriteFile(file, f.Bytes(), 0o600)
}

// placed are diagnostics without the places in a file that nobody has written.
func (a *app) placed(diags hcl.Diagnostics) hcl.Diagnostics {
	list := slices.Clone(diags)
	for i, d := range list {
		if a.passing != "" && d.Subject != nil && d.Subject.Filename == a.passing {
			c := *d
			c.Subject, c.Context = nil, nil
			list[i] = &c
		}
	}
	return list
}

func newFacts(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "facts PATTERN",
		Short: "Show what is known of hosts",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, diags, err := a.load(cmd.Context(), false)
			if err != nil {
				return err
			}
			if err := a.fail(diags, l.sources); err != nil {
				return err
			}
			hosts, err := a.chosen(l.inventory, args)
			if err != nil {
				return err
			}
			if len(hosts) == 0 {
				return fmt.Errorf("%s matches no host", args[0])
			}
			reach, err := a.reach(l)
			if err != nil {
				return err
			}
			defer reach.close()
			facts, errs := make([]json.RawMessage, len(hosts)), make([]error, len(hosts))
			var wg sync.WaitGroup
			most := len(hosts)
			if a.parallel > 0 {
				most = a.parallel
			}
			slots := make(chan struct{}, most)
			for i, h := range hosts {
				wg.Add(1)
				go func() {
					defer wg.Done()
					slots <- struct{}{}
					defer func() { <-slots }()
					facts[i], errs[i] = engine.Facts(cmd.Context(), reach.connect, h.Name)
				}()
			}
			wg.Wait()
			return a.showFacts(hostNames(hosts), facts, errs)
		},
	}
}

// showFacts prints one JSON object with a member for each host.
func (a *app) showFacts(names []string, facts []json.RawMessage, errs []error) error {
	all := map[string]json.RawMessage{}
	var failed error
	for i, name := range names {
		if errs[i] != nil {
			a.view().Event(&engine.HostEvent{Host: name, Error: errs[i]})
			failed = engine.Worse(failed, errs[i])
			continue
		}
		all[name] = facts[i]
	}
	if failed != nil {
		a.view().Begin(view.Quiet, nil) // shows what was gathered: which hosts can't be used
	}
	enc := view.NewEncoder(a.out)
	if a.output != "json" {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(all); err != nil {
		return err
	}
	switch {
	case failed == nil:
		return nil
	case engine.IsUnreachable(failed):
		return exitError(exitUnreachable)
	}
	return exitError(exitFailed)
}
