package docker

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"muster/host"
)

// old is the container in whose place another one is made.
type old struct {
	ID        string            `json:"id"`
	Running   bool              `json:"running"`
	Restart   string            `json:"restart"`
	Secrets   string            `json:"secrets,omitempty"`
	Anonymous map[string]string `json:"anonymous,omitempty"` // volumes by where they are mounted
}

// MakeContainer makes a container, in the place of an old one where there is one: the
// new one is created beside it and takes its name, the old one is stopped, and the new one
// started. At every moment one of the two starts when the host does. The old one is kept
// until the new one is healthy, and removed by a change of its own, which nothing takes
// back.
type MakeContainer struct {
	Name     string            `json:"name"`
	Spec     spec              `json:"spec"`
	Image    string            `json:"image"`
	Secrets  map[string]string `json:"secrets,omitempty"`
	Old      *old              `json:"old,omitempty"`
	After    standing          `json:"after"`
	Wait     time.Duration     `json:"wait"`
	Files    files             `json:"files"`
	Diff     string            `json:"-"`
	Warnings []string          `json:"-"`
	Loses    []string          `json:"-"` // what the old one has and nobody declares
	// Gap is for how long nothing ran the last time; 0 where that isn't known.
	Gap time.Duration `json:"-"`
}

// Type is "docker.container.make/1".
func (*MakeContainer) Type() string { return "docker.container.make/1" }

// Want is what it is made of.
func (m *MakeContainer) Want() any {
	return MakeContainer{Name: m.Name, Spec: m.Spec, Image: m.Image, Secrets: m.Secrets}
}

// Describe shows what differs, and what recreation means.
func (m *MakeContainer) Describe() host.Description {
	d := host.Description{Action: host.Create, Target: "container " + m.Name, Diff: m.Diff}
	var impact []string
	if m.Old != nil {
		d.Action = host.Update
		gap := ""
		if m.Gap > 0 {
			gap = fmt.Sprintf(", for about %s by the last time", m.Gap.Round(10*time.Millisecond))
		}
		switch {
		case m.Old.Running && m.After.Running:
			impact = append(impact, "made anew: it doesn't answer while the old one stops and the new one starts"+gap)
		default:
			impact = append(impact, "made anew")
		}
		if len(m.Old.Anonymous) > 0 {
			impact = append(impact, "its volumes without a name go over to the new one")
		}
	}
	if len(m.Loses) > 0 {
		impact = append(impact, "loses what isn't declared: "+strings.Join(m.Loses, ", "))
	}
	d.Impact = strings.Join(append(impact, m.Warnings...), "; ")
	return d
}

// Effects is the container, its secrets, and what muster keeps of it.
func (m *MakeContainer) Effects() []host.Effect {
	list := []host.Effect{
		host.Is(host.Key{Space: containers, Name: m.Name}, m.After),
		{Key: host.File(state), State: host.Possible}, {Key: host.File(keyPath), State: host.Possible},
	}
	if m.Old != nil {
		list = append(list, host.Open(host.Files, gapPath(m.Name)))
	}
	if len(m.Secrets) > 0 {
		list = append(list, host.Begins(host.Files, secretsDir(m.Name)))
	}
	return append(list, m.Files.effects(m.Name)...)
}

// Apply makes it.
func (m *MakeContainer) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	c, err := acting(h)
	if err != nil {
		return host.Result{}, err
	}
	now, err := inspect(ctx, c, m.Name)
	switch {
	case errdefs.IsNotFound(err) && m.Old == nil:
	case err != nil && !errdefs.IsNotFound(err):
		return host.Result{}, unanswered(err)
	case m.Old == nil || now.ID != m.Old.ID || now.State.Running != m.Old.Running:
		return host.Result{}, fmt.Errorf("container %s: %w", m.Name, host.ErrMoved)
	}
	back := &PutBack{Name: m.Name, Wait: m.Wait}
	if m.Old != nil {
		back.Old = m.Old
	}
	key, err := ownKey()
	if err != nil {
		return host.Result{}, err
	}
	note, err := m.Files.sums()
	if err != nil {
		return host.Result{}, err
	}
	if err := h.Begin(host.Undo{Changes: []host.Change{back}}); err != nil {
		return host.Result{}, err
	}
	for _, suffix := range []string{newSuffix, oldSuffix} {
		if err := removeLeft(ctx, c, m.Name, suffix); err != nil {
			return host.Result{}, err
		}
	}
	id, err := m.create(ctx, c, key)
	if err != nil {
		return host.Result{}, fmt.Errorf("container %s: %w", m.Name, said(err))
	}
	if err := h.At("created the container"); err != nil {
		return host.Result{}, err
	}
	stopped := time.Now()
	if m.Old != nil {
		if stopped, err = m.change(ctx, h, c, id); err != nil {
			return host.Result{}, fmt.Errorf("container %s: %w", m.Name, said(err))
		}
	}
	if !m.After.Running {
		if err := m.release(ctx, h, c); err != nil {
			return host.Result{}, err
		}
	} else {
		if _, err := c.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
			return host.Result{}, fmt.Errorf("starting container %s: %w", m.Name, said(err))
		}
		gap := time.Since(stopped)
		if err := h.At("started the container"); err != nil {
			return host.Result{}, err
		}
		if err := m.release(ctx, h, c); err != nil {
			return host.Result{}, err
		}
		if err := awaitRunning(ctx, c, id, m.Wait); err != nil {
			return host.Result{}, fmt.Errorf("container %s: %w", m.Name, err)
		}
		started, err := inspect(ctx, c, id)
		if err != nil {
			return host.Result{}, err
		}
		if err := note.write(m.Name, started.State.StartedAt); err != nil {
			return host.Result{}, err
		}
		if m.Old != nil && m.Old.Running {
			if err := noteGap(m.Name, gap); err != nil {
				return host.Result{}, err
			}
			if h.Report != nil {
				h.Report(fmt.Sprintf("container %s didn't run for %s", m.Name, gap.Round(time.Millisecond)))
			}
		}
	}
	return host.Result{}, nil
}

// release has the old container not start with the host any more: the new one does.
func (m *MakeContainer) release(ctx context.Context, h *host.Host, c *client.Client) error {
	if m.Old == nil {
		return nil
	}
	if err := (limits{Restart: "no"}).update(ctx, c, m.Old.ID); err != nil {
		return fmt.Errorf("container %s: %w", m.Name, said(err))
	}
	return h.At("released the old container")
}

// change gives the new container the name and the place of the old one, which is stopped.
func (m *MakeContainer) change(ctx context.Context, h *host.Host, c *client.Client, id string) (stopped time.Time, err error) {
	rename := func(id, name string) func() error {
		return func() error {
			_, err := c.ContainerRename(ctx, id, client.ContainerRenameOptions{NewName: name})
			return err
		}
	}
	restart := func(id, policy string) func() error {
		return func() error { return limits{Restart: policy}.update(ctx, c, id) }
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"renamed the old container", rename(m.Old.ID, m.Name+oldSuffix)},
		{"named the new container", rename(id, m.Name)},
		// Docker starts no container with the host that was never started, and none that
		// was stopped, but where that one's policy is "always".
		{"had the new container start with the host", restart(id, m.Spec.Restart)},
		{"had the old container start with the host although it is stopped", restart(m.Old.ID, held(m.Old.Restart))},
		{"stopped the old container", func() error {
			stopped = time.Now()
			_, err := c.ContainerStop(ctx, m.Old.ID, client.ContainerStopOptions{})
			return err
		}},
	} {
		if err := step.do(); err != nil {
			return stopped, err
		}
		if err := h.At(step.what); err != nil {
			return stopped, err
		}
	}
	return stopped, nil
}

// held is the policy of a container that is stopped and is to start with the host all
// the same, where it did before.
func held(policy string) string {
	if policy == "unless-stopped" {
		return "always"
	}
	return policy
}

// removeLeft removes what a cut run has left of a container.
func removeLeft(ctx context.Context, c *client.Client, name, suffix string) error {
	left, err := inspect(ctx, c, name+suffix)
	if errdefs.IsNotFound(err) {
		return nil
	} else if err != nil {
		return err
	}
	if !leftOf(left.Config.Labels, name, suffix) {
		return fmt.Errorf("a container %s, which muster hasn't made, is in the way: rename or remove it", name+suffix)
	}
	return errors.Join(removeOne(ctx, c, left.ID), removeSecrets(left.Config.Labels[secretly]))
}

// create creates the container, with its secrets, and returns its ID.
func (m *MakeContainer) create(ctx context.Context, c *client.Client, key []byte) (string, error) {
	name, policy := m.Name, m.Spec.Restart
	if m.Old != nil {
		name, policy = m.Name+newSuffix, "no"
	}
	dir := ""
	if len(m.Secrets) > 0 {
		dir = newSecretsDir(m.Name)
		if err := writeSecrets(dir, m.Secrets, os.Geteuid(), os.Getegid()); err != nil {
			return "", err
		}
	}
	opts := m.options(key, policy, dir)
	opts.Name = name
	made, err := c.ContainerCreate(ctx, opts)
	if err != nil {
		return "", errors.Join(err, removeSecrets(dir))
	}
	for _, n := range m.Spec.Networks[min(1, len(m.Spec.Networks)):] {
		if _, err := c.NetworkConnect(ctx, n, client.NetworkConnectOptions{Container: made.ID, EndpointConfig: &network.EndpointSettings{Aliases: m.Spec.Aliases}}); err != nil {
			return "", err
		}
	}
	if dir != "" {
		uid, gid, err := m.ids(ctx, c, made.ID)
		if err != nil {
			return "", err
		}
		if err := writeSecrets(dir, m.Secrets, uid, gid); err != nil {
			return "", err
		}
	}
	return made.ID, nil
}

// options is what the container is created of.
func (m *MakeContainer) options(key []byte, policy, secrets string) client.ContainerCreateOptions {
	s := m.Spec
	labels := map[string]string{isOf: m.Name, sumLabel: s.sum(key)}
	maps.Copy(labels, s.Labels)
	if fields, err := json.Marshal(s.fields()); err == nil {
		labels[declared] = string(fields)
	}
	config := &container.Config{Image: m.Image, Cmd: s.Command, Entrypoint: s.Entrypoint, Labels: labels, User: s.User, Healthcheck: s.Health.config(), StopTimeout: s.StopAfter}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		config.Env = append(config.Env, name+"="+s.Env[name])
	}
	restart, times, _ := parseRestart(policy) // checked
	hc := &container.HostConfig{RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyMode(restart), MaximumRetryCount: times}}
	hc.Memory, hc.NanoCPUs = s.Memory, s.NanoCPUs
	config.ExposedPorts, hc.PortBindings = network.PortSet{}, network.PortMap{}
	for _, text := range s.Ports {
		p := publishedOf(text)
		address, _ := netip.ParseAddr(p.address)
		config.ExposedPorts[portKey(p)] = struct{}{}
		hc.PortBindings[portKey(p)] = append(hc.PortBindings[portKey(p)], network.PortBinding{HostIP: address, HostPort: p.port})
	}
	for _, v := range s.Volumes {
		source, _, _ := strings.Cut(v, ":")
		mnt := mount.Mount{Type: mount.TypeVolume, Source: source, Target: targetOf(v), ReadOnly: strings.HasSuffix(v, ":ro")}
		if path.IsAbs(source) {
			mnt.Type = mount.TypeBind
		}
		hc.Mounts = append(hc.Mounts, mnt)
	}
	if m.Old != nil {
		for _, target := range slices.Sorted(maps.Keys(m.Old.Anonymous)) {
			hc.Mounts = append(hc.Mounts, mount.Mount{Type: mount.TypeVolume, Source: m.Old.Anonymous[target], Target: target})
		}
	}
	if secrets != "" {
		labels[secretly] = secrets
		hc.Mounts = append(hc.Mounts, mount.Mount{Type: mount.TypeBind, Source: secrets, Target: secretsInside, ReadOnly: true})
	}
	opts := client.ContainerCreateOptions{Config: config, HostConfig: hc}
	if len(s.Networks) > 0 {
		hc.NetworkMode = container.NetworkMode(s.Networks[0])
		if !slices.Contains([]string{"host", "none", "bridge"}, s.Networks[0]) && !strings.HasPrefix(s.Networks[0], "container:") {
			opts.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{s.Networks[0]: {Aliases: s.Aliases}}}
		}
	}
	return opts
}

// ids are the numbers of the container's user, from its own files.
func (m *MakeContainer) ids(ctx context.Context, c *client.Client, id string) (uid, gid int, err error) {
	now, err := inspect(ctx, c, id)
	if err != nil {
		return 0, 0, err
	}
	read := func(path string) string {
		r, err := c.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: path})
		if err != nil {
			return ""
		}
		defer r.Content.Close()
		t := tar.NewReader(r.Content)
		if _, err := t.Next(); err != nil {
			return ""
		}
		data, _ := io.ReadAll(io.LimitReader(t, 1<<20))
		return string(data)
	}
	uid, gid, ok := idsOf(now.Config.User, read("/etc/passwd"), read("/etc/group"))
	if !ok {
		return 0, 0, fmt.Errorf("its image has no user %q, who is to read its secrets", now.Config.User)
	}
	return uid, gid, nil
}

// ownKey returns the key of sums, made if there is none.
func ownKey() ([]byte, error) {
	data, err := os.ReadFile(keyPath)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	d, err := host.MakeDirs(state, 0o700)
	if err != nil {
		return nil, err
	}
	d.Close()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return key, host.Put(keyPath, key, 0o600)
}

func gapPath(name string) string { return filepath.Join(state, "gap-"+name) }

// noteGap keeps for how long a container didn't run when it was made anew.
func noteGap(name string, gap time.Duration) error {
	return host.Put(gapPath(name), []byte(gap.String()+"\n"), 0o600)
}

// gapOf returns it, 0 where it isn't known.
func gapOf(ctx context.Context, v *host.View, name string) time.Duration {
	data, err := v.ReadFile(ctx, gapPath(name), 100)
	if err != nil {
		return 0
	}
	gap, _ := time.ParseDuration(strings.TrimSpace(string(data)))
	return gap
}
