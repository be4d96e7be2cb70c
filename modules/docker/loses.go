package docker

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"muster/host"
)

// loses names what a container has that the one in its place won't: what neither the
// task declares nor the image brings, since somebody gave it to the container by hand.
func (p *planner) loses(ctx context.Context, c container.InspectResponse) ([]string, error) {
	img, err := inspectedImage(ctx, p.v, c.Image)
	if err != nil {
		return nil, err
	}
	have, was := specOf(c), wasDeclared(c.Config.Labels)
	var list []string
	add := func(what string, undeclared bool, values ...string) {
		if undeclared && len(values) > 0 {
			list = append(list, what+" "+strings.Join(values, " "))
		}
	}
	var env, volumes []string
	for _, name := range slices.Sorted(maps.Keys(have.Env)) {
		if _, ours := p.want.Env[name]; !ours && !slices.Contains(was, "env."+name) && !slices.Contains(img.env, name+"="+have.Env[name]) {
			env = append(env, name)
		}
	}
	add("the variables", true, env...)
	for _, v := range have.Volumes {
		if !slices.ContainsFunc(p.want.Volumes, func(w string) bool { return targetOf(w) == targetOf(v) }) {
			volumes = append(volumes, plainMount(v))
		}
	}
	add("the mounts", !slices.Contains(was, "volumes") && p.want.Volumes == nil, volumes...)
	add("the ports", !slices.Contains(was, "ports") && p.want.Ports == nil, each(have.Ports, plainPort)...)
	add("the networks", p.want.Networks == nil && !slices.Contains(was, "networks"), slices.DeleteFunc(slices.Clone(have.Networks), func(n string) bool { return n == "bridge" })...)
	if have.Memory > 0 {
		add("the limit of memory", p.want.Memory == 0 && !slices.Contains(was, "memory"), size(have.Memory))
	}
	if have.NanoCPUs > 0 {
		add("the limit of processors", p.want.NanoCPUs == 0 && !slices.Contains(was, "nano_cpus"), fmt.Sprint(float64(have.NanoCPUs)/1e9))
	}
	if have.User != img.user {
		add("the user", p.want.User == "" && !slices.Contains(was, "user"), have.User)
	}
	if !slices.Equal(have.Command, img.command) {
		add("the command", p.want.Command == nil && !slices.Contains(was, "command"), have.Command...)
	}
	if !slices.Equal(have.Entrypoint, img.entrypoint) {
		add("the entrypoint", p.want.Entrypoint == nil && !slices.Contains(was, "entrypoint"), have.Entrypoint...)
	}
	add("the capabilities", true, c.HostConfig.CapAdd...)
	add("the devices", len(c.HostConfig.Devices) > 0, fmt.Sprint(len(c.HostConfig.Devices)))
	add("all privileges", c.HostConfig.Privileged, "(privileged)")
	return list, nil
}

// brought is what an image brings.
type brought struct {
	env, command, entrypoint []string
	user, platform           string
}

// inspectedImage is what an image of the host brings, asked for once.
func inspectedImage(ctx context.Context, v *host.View, id string) (brought, error) {
	return host.Once(v, "docker image "+id, func() (brought, error) {
		d, err := asking(ctx, v)
		if err != nil {
			return brought{}, err
		}
		i, err := d.ImageInspect(ctx, id)
		if err != nil {
			return brought{}, err
		}
		b := brought{platform: i.Os + "/" + i.Architecture}
		if c := i.Config; c != nil {
			b.env, b.command, b.entrypoint, b.user = c.Env, c.Cmd, c.Entrypoint, c.User
		}
		return b, nil
	})
}

// runsHere returns an error for an image of the host that is for other processors.
func (p *planner) runsHere(ctx context.Context) error {
	list, err := listImages(ctx, p.v)
	if err != nil || !slices.ContainsFunc(list, func(i image.Summary) bool { return i.ID == p.image.ID }) {
		return err // to be pulled: its registry was asked
	}
	img, err := inspectedImage(ctx, p.v, p.image.ID)
	if err != nil {
		return err
	}
	if mine := "linux/" + runtime.GOARCH; img.platform != mine && img.platform != "/" {
		return fmt.Errorf("the image %s on this host isn't for %s, which this host is, but for %s", p.image.short(), mine, img.platform)
	}
	return nil
}
