package docker

import (
	"context"
	"fmt"
	"strings"

	"muster/host"
	"muster/modules"
)

// Compose is the services of a compose file, as containers of muster's own. What a
// container task promises holds for each. The file is checked before a host is asked: what
// isn't supported is an error with its line.
//
// A service's container is PROJECT-SERVICE, and its networks and volumes are called as compose
// calls them, PROJECT_NAME: the volumes of a project that compose has made are taken over
// with their data. All is made, or taken back. The container of a service that has vanished
// from the file is removed.
type Compose struct {
	// The project's name.
	Name string `arg:"name,key,required"`
	// The compose file.
	Source *host.Content `arg:"source,file,read"`
	// The variables of the file, "${TAG}". Those of muster's own environment aren't.
	Env map[string]string `arg:"env"`
	// The values of the file's secrets, by name: each is a file /run/secrets/NAME in the
	// containers that have it.
	Secrets map[string]string `arg:"secrets,sensitive"`
	// When images are pulled, as for docker_image; a service's pull_policy goes before it.
	Pull string `arg:"pull" oneof:"missing always never" default:"missing"`
	// How long each container may take until it is healthy, as for docker_container.
	Wait modules.Duration `arg:"wait" default:"60s"`
	// Takes over containers of the names that this project hasn't made.
	Adopt bool `arg:"adopt"`
	// Whether the services run. "absent" removes their containers and networks; volumes
	// stay, with their data.
	State string `arg:"state" oneof:"running stopped absent" default:"running"`

	open bool // the secrets aren't known yet
}

// ComposeOutput is what a docker_compose task offers.
type ComposeOutput struct {
	// The containers' IDs, by service.
	Containers map[string]string `json:"containers"`
}

// Labels of what belongs to a project.
const (
	projectLabel = "muster.project"
	serviceLabel = "muster.service"
)

// composeLimit is the size, in bytes, up to which compose files are read.
const composeLimit = modules.ReadLimit

// Check refuses a file that isn't supported in all that it asks for.
func (c *Compose) Check(unknown func(string) bool) []modules.ArgError {
	errs := &argErrors{unknown: unknown}
	errs.name("project", c.Name)
	if c.State == "absent" || c.Source == nil && unknown("source") {
		return errs.errs
	}
	switch {
	case c.Source == nil:
		errs.errs = append(errs.errs, modules.ArgError{Arg: "source", Summary: "Missing argument", Detail: "A project is made of a compose file."})
	case c.Source.Size > composeLimit:
		errs.fail("source", "", "Wrong value", "", "The file has more than %d bytes.", composeLimit)
	case c.Source.Data != nil: // else it is read by Plan
		task := *c
		task.open = unknown("secrets")
		r := &fileReader{composeReader: composeReader{env: c.Env, open: unknown("env") || unknown("name")}, task: &task}
		r.read(c.Source.Data)
		for _, p := range r.all() {
			errs.errs = append(errs.errs, modules.ArgError{Arg: "source", Summary: "Wrong compose file", Detail: fmt.Sprintf("Line %d: %s.", p.line, strings.TrimSuffix(p.text, "."))})
		}
	}
	return errs.errs
}

// Withhold shows no diff where variables are sensitive: they may stand anywhere in it. Of
// secrets it shows names alone.
func (c *Compose) Withhold(diff string, sensitive []string) (string, bool) {
	return diff, len(sensitive) == 1 && sensitive[0] == "secrets"
}

// May is any of what Docker has: what the file says, and which containers have vanished
// from it, isn't known from the arguments.
func (c *Compose) May() []host.Effect {
	list := []host.Effect{host.Begins(host.Files, secretsRoot), host.Open(host.Files, secretsRoot), {Key: host.File(state), State: host.Possible}}
	for _, space := range []string{containers, images, networks, volumes} {
		list = append(list, host.Open(space, ""))
	}
	return list
}

// Plan compares what the file asks for with what there is.
func (c *Compose) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	p := &composing{Compose: c, v: v, plain: v}
	if c.State == "absent" {
		return p.absent(ctx)
	}
	src, err := v.Body(ctx, *c.Source, composeLimit)
	if err != nil {
		return modules.Plan{}, err
	}
	r := &fileReader{composeReader: composeReader{env: c.Env}, task: c}
	p.project = r.read(src)
	if problems := r.all(); len(problems) > 0 {
		var lines []string
		for _, p := range problems {
			lines = append(lines, fmt.Sprintf("line %d: %s", p.line, p.text))
		}
		return modules.Plan{}, fmt.Errorf("the compose file: %s", strings.Join(lines, "; "))
	}
	return p.plan(ctx)
}
