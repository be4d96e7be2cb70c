package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"muster/internal/engine"
	"muster/internal/identity"
	"muster/internal/lang"
	"muster/internal/lang/plays"
	"muster/internal/planfile"
	"muster/internal/project"
	"muster/internal/view"
	"muster/inventory"
)

// savedPlan is an opened plan file.
type savedPlan struct {
	*planfile.Plan
	path string
	file *os.File // which the plan is read from, as it is needed
}

// openPlan opens a plan file without unsealing it.
func openPlan(path string) (*savedPlan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var p *planfile.Plan
		if p, err = planfile.Read(f, info.Size(), view.Version); err == nil {
			return &savedPlan{Plan: p, path: path, file: f}, nil
		}
	}
	_ = f.Close() // it was only read
	return nil, fmt.Errorf("%s: %w", path, err)
}

func (p *savedPlan) close() { _ = p.file.Close() }

// refuseFlags refuses what a saved plan has decided already.
func refuseFlags(cmd *cobra.Command, path string) error {
	for _, name := range []string{"inventory", "limit", "tags", "skip-tags"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s can't be given with %s: a saved plan is made as it is; plan again to change what it covers", name, path)
		}
	}
	return nil
}

// applySaved makes a saved plan on the hosts that are as it found them.
func (a *app) applySaved(ctx context.Context, path string, yes bool) error {
	start := time.Now()
	if err := a.checkFlags(); err != nil {
		return err
	}
	p, err := openPlan(path)
	if err != nil {
		return err
	}
	defer p.close()
	if p.Sealed() {
		if err := a.unseal(p); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	dir, err := os.MkdirTemp("", "muster-plan-")
	if err != nil {
		return fmt.Errorf("laying the plan: %w", err)
	}
	defer os.RemoveAll(dir)
	laid, err := p.Lay(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	a.view().Plan(p.header())
	r, now, err := a.prepareSaved(ctx, p, laid, start)
	if err != nil {
		return err
	}
	defer r.close()
	r.moved = func() { refuse(r.run, p.Tasks, now.tasks) }
	return a.apply(ctx, r, yes)
}

// unseal opens what is sealed in a plan.
func (a *app) unseal(p *savedPlan) error {
	id, err := a.identity()
	if errors.Is(err, identity.ErrNone) {
		return p.Unseal()
	}
	if err != nil {
		return err
	}
	ids, err := id.Identities()
	if err != nil {
		return err
	}
	return p.Unseal(ids...)
}

// prepareSaved makes the run of a plan that has been laid, and what records it.
func (a *app) prepareSaved(ctx context.Context, p *savedPlan, laid *planfile.Laid, start time.Time) (*prepared, *recording, error) {
	here, diags := project.Find(".")
	l := &loaded{project: here, inventory: inventory.LocalOnly(), sources: map[string][]byte{here.Name: here.Source}}
	given, more, err := a.varSources(l)
	if err != nil {
		return nil, nil, err
	}
	if err := a.fail(a.withoutLines(l, append(diags, more...)), l.sources); err != nil { // sensitive ones are given again
		return nil, nil, err
	}
	vars, err := p.VarSources(given)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p.path, err)
	}
	if laid.Inventory != "" {
		l.inventory, diags = inventory.Load(ctx, laid.Inventory, inventory.Options{})
	}
	if l.secrets, more = a.savedSecrets(p, l); more.HasErrors() {
		return nil, nil, a.fail(append(diags, more...), l.sources)
	}
	pb, more := lang.Load(laid.Playbook, plays.Options{
		Kinds: a.registry(), Fleet: fleet(l.inventory), Root: laid.Root, Place: laid.Place, EmbeddedRoles: embeddedRoles(),
		Vars: vars, Facts: factsType(), RequireValues: true, Secrets: l.secrets,
	})
	if diags = append(diags, more...); diags.HasErrors() {
		return nil, nil, a.fail(named(diags, laid), nil)
	}
	if err := a.openSecrets(pb, l.secrets, l.sources); err != nil {
		return nil, nil, err
	}
	if u, ok := l.secrets.(*used); ok {
		if err := u.holds(p.Secrets); err != nil {
			return nil, nil, fmt.Errorf("%s: plan again: %w", p.path, err)
		}
	}
	a.limit, a.tags, a.skipTags = p.Limit, p.Tags, p.SkipTags
	limit, err := a.limited(l.inventory)
	if err != nil {
		return nil, nil, err
	}
	now := &recording{}
	q := request{file: p.Playbook, start: start, key: p.Key, planFile: p.path, planVars: givenBy(p.Variables), name: laid.Name, text: laid.Text, watch: now.event}
	r, err := a.newRun(l, pb, q, engine.Options{Project: p.Root, Limit: limit, Tags: p.Tags, SkipTags: p.SkipTags, Facts: p.Facts, Pins: p.Pins})
	return r, now, err
}

// givenBy are the flags by which a saved plan was given its values. Those that it doesn't hold
// stand for themselves.
func givenBy(vars []planfile.Variable) []string {
	var args []string
	for _, v := range vars {
		file, at, placed := strings.Cut(v.Origin, ":")
		switch {
		case v.Origin == "--var":
			args = append(args, "--var", v.Name+"="+v.Text)
		case placed && strings.Trim(at, "0123456789:") == "" && !slices.Contains(args, file):
			args = append(args, "--var-file", file)
		}
	}
	return args
}

// savedSecrets is the store that a plan's secrets are read from: the one that the flag
// names, or that of the project that it was made in.
func (a *app) savedSecrets(p *savedPlan, l *loaded) (plays.Secrets, hcl.Diagnostics) {
	from, diags := l.project, hcl.Diagnostics(nil)
	if p.Root != "" && p.Root != from.Dir {
		from, diags = project.Find(p.Root)
	}
	var s plays.Secrets
	if !diags.HasErrors() {
		s, diags = a.secrets(from, l.sources)
	}
	if diags.HasErrors() && len(p.Secrets) == 0 {
		return noSecrets{}, nil // none is needed
	}
	return s, diags
}

// named gives diagnostics about laid files the names that the files had.
func named(diags hcl.Diagnostics, laid *planfile.Laid) hcl.Diagnostics {
	var list hcl.Diagnostics
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		c := *d
		c.Summary, c.Detail = laid.Text(d.Summary), laid.Text(d.Detail)
		if d.Subject != nil {
			at := *d.Subject
			at.Filename = laid.Name(at.Filename)
			c.Subject = &at
		}
		list = append(list, &c)
	}
	return list
}

// maxMoved is how many of the things that moved on a host are shown.
const maxMoved = 3

// refuse leaves the hosts alone that aren't as the plan found them.
func refuse(run *engine.Run, saved, now []planfile.Task) {
	texts := map[string][]string{}
	var order []string
	for _, m := range planfile.Compare(saved, now) {
		if texts[m.Host] == nil {
			order = append(order, m.Host)
		}
		texts[m.Host] = append(texts[m.Host], m.Text)
	}
	for _, name := range order {
		list := texts[name]
		if more := len(list) - maxMoved; more > 0 {
			list = append(list[:maxMoved:maxMoved], fmt.Sprintf("and %d more", more))
		}
		run.Refuse(name, errors.New("it isn't as the plan found it, and is left alone; plan again\n"+strings.Join(list, "\n")))
	}
}

// header is what is said of a plan before its tasks.
func (p *savedPlan) header() view.Plan {
	return view.Plan{
		Playbook: p.Playbook, Created: p.Created, By: p.By, Muster: p.Muster,
		Limit: p.Limit, Tags: p.Tags, SkipTags: p.SkipTags, Sealed: p.Sealed(),
	}
}

func newShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE",
		Short: "Show a saved plan",
		Long:  "Show prints what \"muster plan --save FILE\" found, without connecting to any host. What is sealed in the plan isn't needed for it.",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.checkFlags(); err != nil {
				return err
			}
			p, err := openPlan(args[0])
			if err != nil {
				return err
			}
			defer p.close()
			a.view().Plan(p.header())
			s := engine.NewSummary()
			events := make([]*engine.TaskEvent, len(p.Tasks))
			for i := range p.Tasks {
				events[i] = told(&p.Tasks[i])
				s.Add(events[i])
			}
			a.view().Begin(view.Planning, s.Order)
			for _, e := range events {
				a.view().Event(e)
			}
			for _, x := range p.Rescues {
				e := engine.RescueEvent(x)
				a.view().Event(&e)
			}
			a.view().Summary(s, view.End{})
			return nil
		},
	}
}

// told is a saved task as the event that it was.
func told(t *planfile.Task) *engine.TaskEvent {
	return &engine.TaskEvent{Place: t.Place, Planned: t.Planned}
}
