package docker

import (
	"context"

	"muster/host"
	"muster/modules"
)

// Container is a container, as `docker run` makes it. It is compared by what the task
// declares. What an earlier run declared and the task no longer does is a difference,
// what it never declared isn't.
//
// A container can't be altered, but for its restart policy and its limits: it is made
// anew beside the old one, which is stopped and kept until the new one is healthy. Where
// it isn't, the old one is put back. Anonymous volumes go over to the new one.
type Container struct {
	// Its name.
	Name string `arg:"name,key,required"`
	// The image: "registry:5000/app:1.4", "app@sha256:…".
	Image string `arg:"image"`
	// When the image is pulled, as for docker_image.
	Pull string `arg:"pull" oneof:"missing always never" default:"missing"`
	// The command and its arguments, in place of the image's.
	Command []string `arg:"command"`
	// What the command is given to, in place of the image's.
	Entrypoint []string `arg:"entrypoint"`
	// Variables of its environment. Whoever may ask Docker can read them: secrets
	// belong in secrets.
	Env map[string]string `arg:"env"`
	// Secrets by name: each is a file /run/secrets/NAME in the container, for its user
	// alone. A new value restarts it, or sends reload_signal.
	Secrets map[string]string `arg:"secrets,sensitive"`
	// Published ports: "8080:80", "127.0.0.1:8080:80", "53:53/udp".
	Ports []string `arg:"ports"`
	// Mounts: "NAME:/path" of a volume, "/host/path:/path" of what stands on the host;
	// with ":ro" it can't be written to.
	Volumes []string `arg:"volumes"`
	// Networks that it is in.
	Networks []string `arg:"networks" means:"bridge"`
	// Labels.
	Labels map[string]string `arg:"labels"`
	// When Docker starts it again: "no", "on-failure", "on-failure:5", "always",
	// "unless-stopped".
	Restart string `arg:"restart" default:"unless-stopped"`
	// Who it runs as, in place of the image's user: "1000", "app", "app:www".
	User string `arg:"user"`
	// How much memory it may use: "512m", "2g".
	Memory string `arg:"memory"`
	// How many processors it may use: 0.5.
	CPUs float64 `arg:"cpus"`
	// How Docker finds out whether it is healthy.
	Health *Health `arg:"health"`
	// How long it has to end by itself when it is stopped.
	StopTimeout *modules.Duration `arg:"stop_timeout" means:"10s"`
	// How long it may take until it is healthy, or, without a health check, has run for
	// two seconds.
	Wait modules.Duration `arg:"wait" default:"60s"`
	// Files, folders and patterns on the host: it is restarted if one of them was
	// changed after it was started.
	RestartOn []string `arg:"restart_on"`
	// The same, for a signal that has it read them anew.
	ReloadOn []string `arg:"reload_on"`
	// That signal.
	ReloadSignal string `arg:"reload_signal" means:"HUP"`
	// Takes over a container of the name that muster hasn't made.
	Adopt bool `arg:"adopt"`
	// Whether it runs.
	State string `arg:"state" oneof:"running stopped absent" default:"running"`

	aliases []string // its other names in its networks
}

// Health is how Docker finds out whether a container is healthy.
type Health struct {
	// A command in the container, or "none": the image's check is off.
	Test modules.OneOrMore `arg:"test,required"`
	// How often.
	Interval *modules.Duration `arg:"interval" means:"30s"`
	// How long it may take.
	Timeout *modules.Duration `arg:"timeout" means:"30s"`
	// How often it may fail in a row.
	Retries int `arg:"retries" means:"3"`
	// How long it may fail at first.
	StartPeriod *modules.Duration `arg:"start_period" means:"0s"`
}

// ContainerOutput is what a docker_container task offers.
type ContainerOutput struct {
	// Its ID.
	ID string `json:"id"`
	// The digest of its image, or the image itself where that came from no registry.
	Image string `json:"image"`
	// running, exited, created and so on.
	State string `json:"state"`
	// healthy, unhealthy, starting; "" without a health check.
	Health string `json:"health"`
}

// May is the container, its image, and its secrets.
func (c *Container) May() []host.Effect {
	list := []host.Effect{host.Open(containers, c.Name)}
	if c.Name == "" {
		return append(list, host.Open(host.Files, ""), host.Open(images, ""))
	}
	list = append(list, host.Open(containers, c.Name+newSuffix), host.Open(containers, c.Name+oldSuffix), host.Begins(host.Files, secretsDir(c.Name)), host.Open(host.Files, secretsDir(c.Name)))
	list = append(list, host.Effect{Key: host.File(state), State: host.Possible}, host.Effect{Key: host.File(keyPath), State: host.Possible})
	for _, path := range []string{gapPath(c.Name), notePath(c.Name), stampPath(c.Name)} {
		list = append(list, host.Open(host.Files, path))
	}
	if r, err := parseRef(c.Image); err == nil {
		list = append(list, host.Open(images, r.String()))
	}
	return list
}

// Withhold hides the lines of what is sensitive.
func (c *Container) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "image", "command", "entrypoint", "env", "secrets", "ports", "volumes", "networks", "labels", "restart", "user", "memory", "cpus", "health", "stop_timeout")
}

// Plan compares the container with what the task declares.
func (c *Container) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	p := &planner{Container: c, v: v}
	return p.plan(ctx)
}
