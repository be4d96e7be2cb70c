package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"muster/host"
	"muster/modules"
)

// composing plans a project: each part is planned on what those before it leave.
type composing struct {
	*Compose
	project project
	plain   *host.View // as earlier tasks leave the host
	v       *host.View // as the parts before leave it
	effects []host.Effect
	changes []host.Change      // in an atomic plan
	stops   int                // how many of them are of containers that are to be removed
	last    []host.Change      // what nothing takes back: it waits until all else is made
	then    []host.Description // what can only be planned after these
	output  ComposeOutput
}

func (p *composing) plan(ctx context.Context) (modules.Plan, error) {
	list, err := listContainers(ctx, p.v)
	if err != nil {
		return modules.Plan{}, err
	}
	if err := p.there(ctx); err != nil {
		return modules.Plan{}, err
	}
	for _, n := range p.project.networks {
		if _, err := p.add(ctx, "", n); err != nil {
			return modules.Plan{}, err
		}
	}
	for _, vol := range p.project.volumes {
		if _, err := p.add(ctx, "", vol); err != nil {
			return modules.Plan{}, err
		}
	}
	vanished := p.vanished(list)
	for _, name := range vanished {
		p.stop(list, name)
	}
	services := slices.Clone(p.project.services)
	if p.State == "stopped" {
		slices.Reverse(services)
	}
	p.output.Containers = map[string]string{}
	for _, s := range services {
		if err := p.service(ctx, list, s); err != nil {
			return modules.Plan{}, err
		}
	}
	for _, name := range vanished {
		if err := p.remove(ctx, name); err != nil {
			return modules.Plan{}, err
		}
	}
	return p.whole()
}

// whole is the plan of all parts: first what can be taken back, then the rest.
func (p *composing) whole() (plan modules.Plan, err error) {
	switch {
	case len(p.changes) > p.stops:
		plan = modules.Plan{Changes: p.changes, Then: p.then, Atomic: true}
		for _, c := range p.last {
			plan.Then = append(plan.Then, c.Describe())
		}
	case len(p.last) > 0:
		plan = modules.Plan{Changes: p.last, Then: p.then}
	default:
		plan.Output, err = json.Marshal(p.output)
	}
	return plan, err
}

// add plans a part.
func (p *composing) add(ctx context.Context, what string, m modules.Module) (modules.Plan, error) {
	plan, err := m.Plan(ctx, p.v)
	if err != nil && what != "" && !errors.Is(err, host.ErrNotYet) {
		err = fmt.Errorf("%s: %w", what, err)
	}
	if err != nil {
		return plan, err
	}
	for _, c := range plan.Changes {
		if _, ok := c.(*RemoveContainer); ok {
			p.last = append(p.last, c)
		} else {
			p.changes = append(p.changes, c)
		}
		p.lay(c)
	}
	p.then = append(p.then, plan.Then...)
	return plan, nil
}

func (p *composing) lay(c host.Change) {
	p.effects = append(p.effects, c.Effects()...)
	p.v = p.plain.Behind(p.effects)
}

// service plans the container of a service.
func (p *composing) service(ctx context.Context, list []container.Summary, s *service) error {
	what := fmt.Sprintf("the service %s (line %d of the compose file)", s.name, s.line)
	name := s.container.Name
	at := slices.IndexFunc(list, func(c container.Summary) bool { return nameOf(c) == name })
	if at >= 0 && !p.Adopt && list[at].Labels[isOf] != "" && list[at].Labels[projectLabel] != p.Name {
		return fmt.Errorf("%s: there is a container %s that another task has made: give the task adopt = true to take it over, or the service another container_name", what, name)
	}
	plan, err := p.add(ctx, what, s.container)
	if err != nil {
		return err
	}
	var out ContainerOutput
	if plan.Output != nil {
		if err := host.Unmarshal(plan.Output, &out); err != nil {
			return err
		}
	}
	p.output.Containers[s.name] = out.ID
	return nil
}

// there looks for what the file takes for there.
func (p *composing) there(ctx context.Context) error {
	for _, e := range p.project.external {
		found := false
		if e.space == networks {
			n, err := readNetwork(ctx, p.v, e.name)
			if err != nil {
				return err
			}
			found = n != nil
		} else {
			vol, err := readVolume(ctx, p.v, e.name)
			if err != nil {
				return err
			}
			found = vol != nil
		}
		if !found {
			return fmt.Errorf("the compose file: line %d: %s is external, and there is none on this host: make it in an earlier task, task %q %q {}", e.line, strings.TrimPrefix(e.space, "docker_")+" "+e.name, e.space, e.name)
		}
	}
	return nil
}

// vanished are the names of containers of the project that are no service's.
func (p *composing) vanished(list []container.Summary) []string {
	wanted := map[string]bool{}
	for _, s := range p.project.services {
		wanted[s.container.Name] = true
	}
	var names []string
	for _, c := range list {
		name := strings.TrimSuffix(strings.TrimSuffix(nameOf(c), newSuffix), oldSuffix)
		if c.Labels[projectLabel] == p.Name && p.Name != "" && !wanted[name] && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// stop has a container give way to those that come in its place: its ports are free, and
// it can be started again. It is only done where there is anything else to do.
func (p *composing) stop(list []container.Summary, name string) {
	at := slices.IndexFunc(list, func(c container.Summary) bool { return nameOf(c) == name })
	if at < 0 || list[at].State != container.StateRunning {
		return
	}
	if _, laid, _, err := p.v.Look(host.Key{Space: containers, Name: name}); err != nil || laid {
		return // an earlier task sees to it
	}
	stop := &Act{Name: name, ID: list[at].ID, Do: doStop, Wait: time.Duration(p.Wait), Why: "its service isn't in the file; it is removed once the others run"}
	p.changes = append(p.changes, stop)
	p.stops++
	p.lay(stop)
}

// remove plans that a container of the project goes, with what making it may have left.
func (p *composing) remove(ctx context.Context, name string) error {
	p.v = p.plain // it is still there, though stopped
	_, err := p.add(ctx, "", &Container{Name: name, State: "absent"})
	p.v = p.plain.Behind(p.effects)
	return err
}

// absent plans that the project's containers and networks go.
func (p *composing) absent(ctx context.Context) (modules.Plan, error) {
	list, err := listContainers(ctx, p.v)
	if err != nil {
		return modules.Plan{}, err
	}
	for _, name := range p.vanished(list) {
		if _, err := p.add(ctx, "", &Container{Name: name, State: "absent"}); err != nil {
			return modules.Plan{}, err
		}
	}
	all, err := listNetworks(ctx, p.v)
	if err != nil {
		return modules.Plan{}, err
	}
	for _, n := range all {
		if n.Labels[projectLabel] == p.Name {
			if _, err := p.add(ctx, "", &Network{Name: n.Name, State: "absent"}); err != nil {
				return modules.Plan{}, err
			}
		}
	}
	return modules.Plan{Changes: slices.Concat(p.last, p.changes)}, nil
}
