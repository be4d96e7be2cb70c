package docker

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"muster/host"
)

// Labels of containers that muster has made.
const (
	ours     = "muster."
	isOf     = "muster.of"       // the container's name; what a cut run left is found by it
	sumLabel = "muster.spec"     // the keyed sum of what was declared
	declared = "muster.declared" // what was declared: a JSON list of fields
	secretly = "muster.secrets"  // the folder with its secrets
)

// state is where muster keeps what it has to know of a host's containers.
const state = "/var/lib/muster/docker"

// keyPath holds what the sums of declared values are keyed with: they would tell what
// secrets among them are.
const keyPath = state + "/key"

// key returns that key; nil where there is none yet: then containers are compared field
// by field.
func key(ctx context.Context, v *host.View) ([]byte, error) {
	data, err := v.ReadFile(ctx, keyPath, 1024)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, host.ErrNotYet) {
		return nil, nil
	}
	return data, err
}

// sum is the keyed sum of what is declared, but for the image, which is compared by what
// is on the host.
func (s spec) sum(key []byte) string {
	s.Image = ""
	data, err := host.Marshal(s)
	if err != nil {
		panic("docker: " + err.Error())
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return hex.EncodeToString(mac.Sum(nil))
}

// fields are the names of what is declared.
func (s spec) fields() []string {
	var list []string
	data, _ := json.Marshal(s)
	var set map[string]any
	_ = json.Unmarshal(data, &set)
	for name, value := range set {
		if m, ok := value.(map[string]any); ok && (name == "env" || name == "labels") {
			for k := range m {
				list = append(list, name+"."+k)
			}
			continue
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// anonymous is the name that Docker gives a volume that has none.
var anonymous = regexp.MustCompile(`^[0-9a-f]{64}$`)

// specOf is what a container is made of.
func specOf(c container.InspectResponse) spec {
	s := spec{Image: c.Image, Command: c.Config.Cmd, Entrypoint: c.Config.Entrypoint, Env: map[string]string{}, Labels: maps.Clone(c.Config.Labels), User: c.Config.User, Memory: c.HostConfig.Memory, NanoCPUs: c.HostConfig.NanoCPUs, StopAfter: c.Config.StopTimeout}
	for _, e := range c.Config.Env {
		name, value, _ := strings.Cut(e, "=")
		s.Env[name] = value
	}
	for port, list := range c.HostConfig.PortBindings {
		for _, b := range list {
			address := ""
			if b.HostIP.IsValid() && !(b.HostIP.IsUnspecified() && b.HostIP.Is4()) {
				address = b.HostIP.String()
			}
			s.Ports = append(s.Ports, fmt.Sprintf("%s:%s:%d/%s", address, b.HostPort, port.Num(), port.Proto()))
		}
	}
	for _, b := range c.HostConfig.Binds {
		parts := strings.Split(b, ":")
		if len(parts) < 2 {
			continue
		}
		mode := "rw"
		if len(parts) > 2 && slices.Contains(strings.Split(parts[2], ","), "ro") {
			mode = "ro"
		}
		if path.IsAbs(parts[0]) {
			parts[0] = path.Clean(parts[0])
		}
		s.Volumes = append(s.Volumes, parts[0]+":"+path.Clean(parts[1])+":"+mode)
	}
	for _, m := range c.HostConfig.Mounts {
		if m.Target == secretsInside || anonymous.MatchString(m.Source) || m.Type != mount.TypeBind && m.Type != mount.TypeVolume {
			continue
		}
		mode := "rw"
		if m.ReadOnly {
			mode = "ro"
		}
		s.Volumes = append(s.Volumes, m.Source+":"+path.Clean(m.Target)+":"+mode)
	}
	s.Networks = networksOf(string(c.HostConfig.NetworkMode), slices.Collect(maps.Keys(c.NetworkSettings.Networks)))
	s.Aliases = aliasesOf(c)
	s.Restart = string(c.HostConfig.RestartPolicy.Name)
	if n := c.HostConfig.RestartPolicy.MaximumRetryCount; n > 0 {
		s.Restart += fmt.Sprintf(":%d", n)
	}
	if s.Restart == "" {
		s.Restart = "no"
	}
	if q, p := c.HostConfig.CPUQuota, c.HostConfig.CPUPeriod; s.NanoCPUs == 0 && q > 0 && p > 0 {
		s.NanoCPUs = q * 1e9 / p
	}
	if h := c.Config.Healthcheck; h != nil {
		s.Health = &health{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, Retries: h.Retries, StartPeriod: h.StartPeriod}
	}
	slices.Sort(s.Ports)
	slices.Sort(s.Volumes)
	return s
}

// networksOf are the networks of a container as tasks name them.
func networksOf(mode string, in []string) []string {
	if mode == "host" || mode == "none" || strings.HasPrefix(mode, "container:") {
		return []string{mode}
	}
	slices.Sort(in)
	return in
}

// aliasesOf are the names that a container has in all of its networks, but for those
// that Docker gives it.
func aliasesOf(c container.InspectResponse) []string {
	count := map[string]int{}
	for _, e := range c.NetworkSettings.Networks {
		for _, name := range e.Aliases {
			if !strings.HasPrefix(c.ID, name) || len(name) != 12 {
				count[name]++
			}
		}
	}
	maps.DeleteFunc(count, func(_ string, n int) bool { return n < len(c.NetworkSettings.Networks) })
	return slices.Sorted(maps.Keys(count))
}

// updated is what `docker update` alters of a container.
type updated struct {
	Memory        int64
	NanoCpus      int64 //nolint:revive // as Docker calls it
	CpuQuota      int64
	RestartPolicy struct {
		Name              string
		MaximumRetryCount int
	}
}

// settled reports whether a container is still what its label says that it was made of:
// its networks, and what `docker update` alters, which Docker keeps in a file of its own.
// Where that can't be read it is asked.
func settled(ctx context.Context, v *host.View, c container.Summary, s spec, root string) bool {
	var names []string
	if c.NetworkSettings != nil {
		names = slices.Collect(maps.Keys(c.NetworkSettings.Networks))
	}
	if s.Networks != nil && !slices.Equal(s.Networks, networksOf(c.HostConfig.NetworkMode, names)) {
		return false
	}
	data, err := v.ReadFile(ctx, filepath.Join(root, "containers", c.ID, "hostconfig.json"), 1<<20)
	var u updated
	if err != nil || json.Unmarshal(data, &u) != nil {
		return false
	}
	restart := u.RestartPolicy.Name
	if n := u.RestartPolicy.MaximumRetryCount; n > 0 {
		restart += fmt.Sprintf(":%d", n)
	}
	return restart == s.Restart && u.Memory == s.Memory && u.NanoCpus == s.NanoCPUs && u.CpuQuota == 0
}

// inspect asks for all of a container.
func inspect(ctx context.Context, c *client.Client, id string) (container.InspectResponse, error) {
	r, err := c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	return r.Container, err
}

// healthConfig is a health check as Docker takes it.
func (h *health) config() *container.HealthConfig {
	if h == nil {
		return nil
	}
	return &container.HealthConfig{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, Retries: h.Retries, StartPeriod: h.StartPeriod}
}

// started is when a container was last started.
func started(c container.InspectResponse) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	return t
}

// portKey is a port in a container.
func portKey(p published) network.Port {
	port, _ := network.ParsePort(p.inside + "/" + p.protocol)
	return port
}
