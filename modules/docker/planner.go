package docker

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"muster/host"
	"muster/modules"
)

// What a cut run may leave besides the container itself.
const (
	newSuffix = ".muster-new"
	oldSuffix = ".muster-old"
)

// standing is what stands at a container's key.
type standing struct {
	Sum     string `json:"sum"` // of what was declared; it stays on the host
	Image   string `json:"image"`
	Running bool   `json:"running"`
	Ports   string `json:"ports,omitempty"` // of the host that it publishes, while it runs
}

// planner plans one container.
type planner struct {
	*Container
	v     *host.View
	want  spec
	image found
	key   []byte
	list  []container.Summary
}

func (p *planner) plan(ctx context.Context) (plan modules.Plan, err error) {
	if p.list, err = listContainers(ctx, p.v); err != nil {
		return plan, err
	}
	if !host.IsRoot() {
		return plan, errors.New(`only root makes containers, whose secrets and notes are root's: give the task "become = true"`)
	}
	if p.State == "absent" {
		return p.absent(ctx)
	}
	p.want = p.spec(func(string, string, string) {})
	if p.key, err = key(ctx, p.v); err != nil {
		return plan, err
	}
	r, err := parseRef(p.Image)
	if err != nil {
		return plan, err
	}
	if p.image, err = find(ctx, p.v, r, p.Pull, ""); err != nil {
		return plan, err
	}
	p.want.Image = p.image.identity()
	value, laid, _, err := p.v.Look(p.at())
	if err != nil {
		return plan, err
	}
	if laid && value != nil {
		var s standing
		if err := host.Unmarshal(value, &s); err != nil {
			return plan, err
		}
		if s == p.standing() {
			return plan, nil
		}
		// Another task wants something else: what would be made shows as much.
	}
	c := p.named(p.Name)
	if c == nil || laid && value == nil {
		return p.create(ctx)
	}
	return p.update(ctx, *c)
}

// at is the container's key.
func (p *planner) at() host.Key { return host.Key{Space: containers, Name: p.Name} }

func (p *planner) standing() standing {
	s := standing{Sum: p.want.sum(nil), Image: p.want.Image, Running: p.State == "running"}
	if s.Running {
		s.Ports = strings.Join(p.want.Ports, " ")
	}
	return s
}

// named returns the container of a name, nil if there is none.
func (p *planner) named(name string) *container.Summary {
	at := slices.IndexFunc(p.list, func(c container.Summary) bool { return nameOf(c) == name })
	if at < 0 {
		return nil
	}
	return &p.list[at]
}

// create plans a container that isn't there.
func (p *planner) create(ctx context.Context) (modules.Plan, error) {
	if err := p.possible(ctx, nil); err != nil {
		return modules.Plan{}, err
	}
	warnings, err := p.warnings(ctx)
	if err != nil {
		return modules.Plan{}, err
	}
	plan := modules.Plan{Atomic: true}
	if pull := pulling(p.image, ""); pull != nil {
		plan.Changes = append(plan.Changes, pull)
	}
	plan.Changes = append(plan.Changes, &MakeContainer{Name: p.Name, Spec: p.want, Image: p.reference(), Secrets: p.Secrets, After: p.standing(), Wait: p.waits(), Diff: diff(p.introduced()), Warnings: warnings, Files: p.files()})
	return plan, nil
}

// reference is what the container is created of: never a tag, which may stand for
// something else a moment later.
func (p *planner) reference() string {
	if p.image.Digest != "" {
		return p.image.at(p.image.Digest)
	}
	return p.image.ID
}

func (p *planner) waits() time.Duration { return time.Duration(p.Wait) }

func (p *planner) files() files { return files{Restart: p.RestartOn, Reload: p.ReloadOn} }

// introduced is what a new container is made of, for the plan.
func (p *planner) introduced() []difference {
	list := []difference{{"image", "none", p.image.short()}}
	for _, d := range compare(spec{StopAfter: p.want.StopAfter}, p.want, nil) {
		own := d.field == "labels" && strings.HasPrefix(d.new, ours)
		if !own && (d.field != "restart" || p.Restart != "unless-stopped") {
			list = append(list, d)
		}
	}
	if len(p.want.Secrets) > 0 {
		list = append(list, difference{"secrets", "none", strings.Join(p.want.Secrets, ", ")})
	}
	return list
}

// update plans what a container that is there needs.
func (p *planner) update(ctx context.Context, c container.Summary) (modules.Plan, error) {
	if c.Labels[isOf] == "" && !p.Adopt {
		return modules.Plan{}, fmt.Errorf("there is a container %s that muster hasn't made (of %s, %s): give the task adopt = true to take it over, which makes it anew where it differs, or remove it", p.Name, c.Image, strings.ToLower(c.Status))
	}
	differ, live, err := p.differences(ctx, c)
	if err != nil {
		return modules.Plan{}, err
	}
	secrets, again, err := p.staleSecrets(ctx, c.Labels[secretly])
	if err != nil {
		return modules.Plan{}, err
	}
	if again {
		differ = append(differ, difference{"secrets", "other names", strings.Join(p.want.Secrets, ", ")})
	}
	if len(differ) > len(live) || again {
		return p.recreate(ctx, c, differ)
	}
	plan := modules.Plan{Atomic: true}
	if pull := pulling(p.image, ""); pull != nil {
		plan.Changes = append(plan.Changes, pull)
	}
	if len(live) > 0 {
		have, err := p.inspected(ctx, c)
		if err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, &UpdateContainer{Name: p.Name, ID: c.ID, From: limitsOf(specOf(have)), To: limitsOf(p.want).over(limitsOf(specOf(have)), differ), Diff: diff(live), After: p.standing(), Fields: p.noteOf(c.ID), Noted: noted(ctx, p.v, p.Name, c.ID)})
	}
	plan.Changes = append(plan.Changes, secrets...)
	act, err := p.act(ctx, c, len(secrets) > 0)
	if err != nil {
		return modules.Plan{}, err
	}
	plan.Changes = append(plan.Changes, act...)
	for _, suffix := range []string{newSuffix, oldSuffix} {
		if value, laid, _, err := p.v.Look(host.Key{Space: containers, Name: p.Name + suffix}); err != nil {
			return modules.Plan{}, err
		} else if laid && value == nil {
			continue
		}
		if left := p.named(p.Name + suffix); left != nil && leftOf(left.Labels, p.Name, suffix) {
			plan.Changes = append(plan.Changes, &RemoveContainer{Name: nameOf(*left), ID: left.ID, Secrets: left.Labels[secretly], Left: true})
			plan.Atomic = false // it comes last, and nothing takes it back
		}
	}
	if len(plan.Changes) > 0 {
		return plan, nil
	}
	output, err := host.Marshal(ContainerOutput{ID: c.ID, Image: p.want.Image, State: string(c.State), Health: healthOf(c)})
	return modules.Plan{Output: output}, err
}

// differences are those of a container from what is declared; live is which of them
// Docker makes without making it anew.
func (p *planner) differences(ctx context.Context, c container.Summary) (all, inPlace []difference, err error) {
	same, err := p.sameImage(ctx, c.ImageID)
	if err != nil {
		return nil, nil, err
	}
	if !same {
		old := short(c.ImageID)
		if at := strings.LastIndex(c.Image, "@"); at >= 0 {
			old = short(c.Image[at+1:])
		}
		all = append(all, difference{"image", old, fmt.Sprintf("%s (%s)", p.image.short(), short(strings.TrimPrefix(p.image.identity(), "image ")))})
	}
	root, err := dataRoot(ctx, p.v)
	if err != nil {
		return nil, nil, err
	}
	if p.key != nil && c.Labels[sumLabel] == p.want.sum(p.key) && settled(ctx, p.v, c, p.want, root) {
		return all, nil, nil
	}
	have, err := p.inspected(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	was := append(wasDeclared(c.Labels), noted(ctx, p.v, p.Name, c.ID).Fields...)
	slices.Sort(was)
	for _, d := range compare(specOf(have), p.want, slices.Compact(was)) {
		all = append(all, d)
		if slices.Contains(live, d.field) && d.new != "none" {
			inPlace = append(inPlace, d)
		}
	}
	return all, inPlace, nil
}

// noteOf is what is declared of what Docker alters in place.
func (p *planner) noteOf(id string) declaredSince {
	n := declaredSince{ID: id}
	for _, f := range p.want.fields() {
		if slices.Contains([]string{"restart", "memory", "nano_cpus"}, f) {
			n.Fields = append(n.Fields, f)
		}
	}
	return n
}

// inspected is all of a container, asked for once.
func (p *planner) inspected(ctx context.Context, c container.Summary) (container.InspectResponse, error) {
	return host.Once(p.v, "docker container "+c.ID, func() (container.InspectResponse, error) {
		d, err := asking(ctx, p.v)
		if err != nil {
			return container.InspectResponse{}, err
		}
		return inspect(ctx, d, c.ID)
	})
}

// sameImage reports whether a container's image is the one that is wanted.
func (p *planner) sameImage(ctx context.Context, id string) (bool, error) {
	if p.image.ID == id {
		return true, nil
	}
	list, err := listImages(ctx, p.v)
	at := slices.IndexFunc(list, func(i image.Summary) bool { return i.ID == id })
	return at >= 0 && p.image.Digest != "" && digestOf(list[at], p.image.ref) == p.image.Digest, err
}

// recreate plans a new container in the place of an old one.
func (p *planner) recreate(ctx context.Context, c container.Summary, differ []difference) (modules.Plan, error) {
	if err := p.possible(ctx, &c); err != nil {
		return modules.Plan{}, err
	}
	warnings, err := p.warnings(ctx)
	if err != nil {
		return modules.Plan{}, err
	}
	have, err := p.inspected(ctx, c)
	if err != nil {
		return modules.Plan{}, err
	}
	plan := modules.Plan{Atomic: true}
	if pull := pulling(p.image, ""); pull != nil {
		plan.Changes = append(plan.Changes, pull)
	}
	m := &MakeContainer{Name: p.Name, Spec: p.want, Image: p.reference(), Secrets: p.Secrets, After: p.standing(), Wait: p.waits(), Diff: diff(differ), Warnings: warnings, Files: p.files()}
	m.Old = &old{ID: c.ID, Running: have.State.Running, Restart: specOf(have).Restart, Secrets: c.Labels[secretly], Anonymous: anonymousOf(have, p.want)}
	m.Gap = gapOf(ctx, p.v, p.Name)
	if m.Loses, err = p.loses(ctx, have); err != nil {
		return modules.Plan{}, err
	}
	plan.Changes = append(plan.Changes, m)
	plan.Then = []host.Description{{Action: host.Delete, Target: "container " + p.Name + oldSuffix, Impact: "the old one, once the new one runs"}}
	return plan, nil
}

// leftOf reports whether a container is what making another one has left: the new one,
// or the old one, which muster may have taken over.
func leftOf(labels map[string]string, name, suffix string) bool {
	return suffix == oldSuffix || labels[isOf] == name
}

// anonymousOf are the volumes of a container that have no name, by where they are
// mounted, but for those in whose place something else is declared.
func anonymousOf(c container.InspectResponse, want spec) map[string]string {
	list := map[string]string{}
	for _, m := range c.Mounts {
		if m.Type == "volume" && anonymous.MatchString(m.Name) && !slices.ContainsFunc(want.Volumes, func(v string) bool { return targetOf(v) == path.Clean(m.Destination) }) {
			list[m.Destination] = m.Name
		}
	}
	return list
}

// targetOf is where a mount is in the container.
func targetOf(mount string) string {
	_, rest, _ := strings.Cut(mount, ":")
	return rest[:strings.LastIndex(rest, ":")]
}

// absent plans that there is no container.
func (p *planner) absent(ctx context.Context) (modules.Plan, error) {
	value, laid, _, err := p.v.Look(p.at())
	if err != nil || laid && value == nil {
		return modules.Plan{}, err
	}
	var plan modules.Plan
	for _, name := range []string{p.Name, p.Name + newSuffix, p.Name + oldSuffix} {
		c := p.named(name)
		if c == nil || name != p.Name && !leftOf(c.Labels, p.Name, name[len(p.Name):]) {
			continue
		}
		if name == p.Name && c.Labels[isOf] == "" && !p.Adopt {
			return modules.Plan{}, fmt.Errorf("there is a container %s that muster hasn't made (of %s): give the task adopt = true to remove it", name, c.Image)
		}
		plan.Changes = append(plan.Changes, &RemoveContainer{Name: name, ID: c.ID, Running: c.State == container.StateRunning, Secrets: c.Labels[secretly], Left: name != p.Name})
	}
	return plan, nil
}
