package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"muster/host"
)

// listNetworks asks for all networks of the host, once.
func listNetworks(ctx context.Context, v *host.View) ([]networkSpec, error) {
	c, err := asking(ctx, v)
	if err != nil {
		return nil, err
	}
	return host.Once(v, "docker networks", func() ([]networkSpec, error) { return allNetworks(ctx, c) })
}

func allNetworks(ctx context.Context, c *client.Client) ([]networkSpec, error) {
	r, err := c.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking Docker for its networks: %w", inWords(err))
	}
	var list []networkSpec
	for _, n := range r.Items {
		list = append(list, networkOf(n.Network))
	}
	return list, nil
}

// named returns the network of a name; nil where there is none. Docker takes a name
// twice, but nobody can tell then which one is meant.
func named(list []networkSpec, name string) (*networkSpec, error) {
	var found *networkSpec
	for i := range list {
		if list[i].Name != name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("there are two networks %s, %.12s and %.12s: remove one of them, docker network rm ID", name, found.ID, list[i].ID)
		}
		found = &list[i]
	}
	return found, nil
}

// readNetwork returns the network of a name as pending changes leave it; nil where
// there is none.
func readNetwork(ctx context.Context, v *host.View, name string) (*networkSpec, error) {
	list, err := listNetworks(ctx, v)
	if err != nil {
		return nil, err
	}
	return host.Read(v, host.Key{Space: networks, Name: name}, func() (*networkSpec, error) { return named(list, name) })
}

// overlaps refuses subnets that are another network's already. Those that the network
// itself has had are no trouble.
func overlaps(ctx context.Context, v *host.View, want, was networkSpec) error {
	list, err := listNetworks(ctx, v)
	if err != nil {
		return err
	}
	names := v.Laid(networks)
	for _, n := range list {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name == want.Name {
			continue
		}
		other, err := readNetwork(ctx, v, name)
		if err != nil || other == nil {
			continue // nobody can tell, or it goes
		}
		for _, o := range other.Pools {
			for _, p := range want.Pools {
				if p.Subnet.Overlaps(o.Subnet) && !was.has(p.Subnet) {
					return fmt.Errorf("the subnet %s of the network %s overlaps with %s of the network %s: give it another, or remove that one first", p.Subnet, want.Name, o.Subnet, name)
				}
			}
		}
	}
	return nil
}

// joins reports whether a container belongs to the network.
func (n networkSpec) joins(c container.Summary) bool {
	if c.NetworkSettings == nil {
		return false
	}
	for name, e := range c.NetworkSettings.Networks {
		if name == n.Name || n.ID != "" && e != nil && e.NetworkID == n.ID {
			return true
		}
	}
	return false
}

// usedBy returns the names of the containers that hold on to something, once pending
// changes are made: those that don't run are marked.
func usedBy(ctx context.Context, v *host.View, holds func(container.Summary) bool) ([]string, error) {
	all, err := listContainers(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("asking Docker for its containers: %w", inWords(err))
	}
	var names []string
	for _, c := range all {
		if !holds(c) {
			continue
		}
		key := host.Key{Space: containers, Name: containerName(c)}
		value, laid, _, err := v.Look(key)
		switch {
		case err != nil:
			return nil, err
		case laid && value == nil:
			continue
		case laid: // what it will hold on to can be asked once it is so
			return nil, host.NotYet(key)
		}
		names = append(names, marked(c))
	}
	slices.Sort(names)
	return names, nil
}

// holding returns the containers of the host that hold on to something, for a change.
func holding(ctx context.Context, c *client.Client, holds func(container.Summary) bool) ([]string, error) {
	r, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("asking Docker for its containers: %w", inWords(err))
	}
	var names []string
	for _, s := range r.Items {
		if holds(s) {
			names = append(names, marked(s))
		}
	}
	slices.Sort(names)
	return names, nil
}

func containerName(c container.Summary) string {
	for _, name := range c.Names { // others are links, "/web/alias"
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			return name
		}
	}
	return fmt.Sprintf("%.12s", c.ID)
}

func marked(c container.Summary) string {
	if c.State == container.StateRunning {
		return containerName(c)
	}
	return fmt.Sprintf("%s (%s)", containerName(c), c.State)
}

// inWords is an error of the daemon in its own words, with what to do where it is known.
func inWords(err error) error {
	if err == nil || errors.Is(err, host.ErrNotYet) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	text := strings.TrimSpace(strings.TrimPrefix(err.Error(), "Error response from daemon: "))
	for _, known := range []struct{ says, do string }{
		{"Pool overlaps with other one", "another network has that subnet, or a part of it: docker network ls"},
		{"address pool among the defaults", "Docker has no subnet left that it could choose: give the network one, subnet = \"10.20.0.0/24\""},
		{"is not a swarm manager", "networks of the driver overlay need a swarm: docker swarm init, or another driver"},
		{"No available addresses", "the subnet is too small: the host needs an address in it besides those of containers"},
		{"operation not supported", "the kernel of the host doesn't have what the driver needs"},
		{`" not found`, "no driver of that name is installed: docker plugin ls"},
		{"Chain ", "Docker's rules in the packet filter are gone: restart Docker, which sets them anew"},
	} {
		if strings.Contains(text, known.says) {
			return &daemonError{text: known.do + " (" + text + ")", err: err}
		}
	}
	return &daemonError{text: text, err: err}
}

// daemonError is what the daemon has answered, in words that tell what to do.
type daemonError struct {
	text string
	err  error
}

func (e *daemonError) Error() string { return e.text }

// Unwrap returns what the client has made of it.
func (e *daemonError) Unwrap() error { return e.err }
