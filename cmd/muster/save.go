package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"muster/internal/engine"
	"muster/internal/identity"
	"muster/internal/outfile"
	"muster/internal/planfile"
	"muster/internal/view"
)

// recording keeps what a run plans, in the order in which it is shown.
type recording struct {
	tasks   []planfile.Task
	rescues []planfile.Rescue
}

func (r *recording) event(e engine.Event) {
	if x, ok := e.(*engine.RescueEvent); ok {
		r.rescues = append(r.rescues, planfile.Rescue(*x))
	}
	t, ok := e.(*engine.TaskEvent)
	if !ok {
		return
	}
	r.tasks = append(r.tasks, planfile.Task{Place: t.Place, Planned: t.Planned})
}

// canSave refuses paths that no plan can be saved to, before anything is planned.
func canSave(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if dir, err := os.Stat(filepath.Dir(path)); err != nil || !dir.IsDir() {
			return fmt.Errorf("--save %s: there is no folder %s", path, filepath.Dir(path))
		}
		return nil
	case err != nil:
		return fmt.Errorf("--save: %w", err)
	case info.Mode().IsRegular() && info.Size() == 0, info.Mode().IsRegular() && planfile.IsPlan(path):
		return nil
	}
	return fmt.Errorf("--save %s: something other than a plan is there, and isn't overwritten", path)
}

// save keeps a plan that was shown.
func (a *app) save(path string, s *engine.Summary, r *prepared, shown *recording) error {
	var broken []string
	for _, name := range s.Order {
		if c := s.Hosts[name]; c.Unreachable || c.Failed > c.Tolerated {
			broken = append(broken, name)
		}
	}
	if s.Outcome == engine.OutcomeInterrupted || len(broken) > 0 {
		text := "the plan isn't saved: it isn't whole"
		if len(broken) > 0 {
			text = fmt.Sprintf("the plan isn't saved: planning failed on %s. Mend that, or leave it out: --limit '%s'", strings.Join(broken, ", "), leaving(broken))
		}
		a.view().Error(errors.New(text))
		return nil
	}
	p, err := a.planOf(r, shown)
	if err != nil {
		return err
	}
	if err := writePlan(path, p); err != nil {
		return err
	}
	a.view().Event(&engine.NoticeEvent{Text: fmt.Sprintf("Saved as %s. To make it: muster apply %s", path, path)})
	return nil
}

// leaving is a pattern for all hosts but some.
func leaving(hosts []string) string { return "all,!" + strings.Join(hosts, ",!") }

// planOf gathers what a plan file holds.
func (a *app) planOf(r *prepared, shown *recording) (*planfile.Plan, error) {
	wd, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("saving the plan: %w", err)
	}
	p := &planfile.Plan{
		Muster: view.Version, Created: time.Now().UTC().Truncate(time.Second), By: whoami(), Playbook: r.file, Dir: wd, Root: r.loaded.project.Dir,
		Limit: a.limit, Tags: a.tags, SkipTags: a.skipTags, Facts: r.run.KnownFacts(), Pins: r.run.KnownPins(), Tasks: shown.tasks, Rescues: shown.rescues, Key: r.key,
	}
	p.Files = planfile.Sources(r.playbook.Sources)
	for _, f := range r.playbook.Files() {
		switch {
		case f.Tree:
			tree, err := planfile.Tree(f.Name, f.Path)
			if err != nil {
				return nil, err
			}
			p.Files = append(p.Files, tree...)
		default:
			info, err := os.Stat(f.Path)
			if err != nil {
				return nil, fmt.Errorf("saving the plan: %w", err)
			}
			p.Files = append(p.Files, planfile.File{Name: f.Name, Path: f.Path, Sum: f.Sum, Sensitive: f.Sensitive, Exec: info.Mode()&0o100 != 0})
		}
	}
	if u, ok := r.loaded.secrets.(*used); ok {
		p.Secrets = u.versions()
	}
	declared := r.playbook.Declared()
	if len(r.loaded.inventory.Files()) > 0 {
		if p.Inventory, err = r.loaded.inventory.Snapshot(); err != nil {
			return nil, fmt.Errorf("saving the plan: %w", err)
		}
		p.SealInventory = planfile.HoldsSensitive(fleet(r.loaded.inventory).Hosts, declared)
	}
	vars, diags, err := a.varSources(r.loaded)
	if err != nil {
		return nil, err
	}
	if diags.HasErrors() {
		return nil, diags
	}
	if p.Variables, err = planfile.Variables(p.Key, vars, declared); err != nil {
		return nil, err
	}
	if err := p.Guard(r.redact); err != nil {
		return nil, err
	}
	id, err := a.identity()
	switch {
	case err == nil:
		p.Recipients = id.Recipients
	case !errors.Is(err, identity.ErrNone): // which Write says, where it matters
		return nil, err
	}
	return p, nil
}

// writePlan writes a plan, which only its user may read.
func writePlan(path string, p *planfile.Plan) error {
	var b bytes.Buffer
	err := planfile.Write(&b, p)
	if err == nil {
		err = outfile.Write(path, b.Bytes(), 0o600)
	}
	if err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	return nil
}

// identity is what the user seals and opens with.
func (a *app) identity() (*identity.Identity, error) {
	w, err := a.where()
	if err != nil {
		return nil, err
	}
	return identity.Find(w)
}

// whoami is the user and the machine, as "ann@laptop".
func whoami() string {
	name, host := "someone", "localhost"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}
