package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"muster/host"
)

// CreateNetwork makes a network.
type CreateNetwork struct {
	Network networkSpec `json:"network"`
	Diff    string      `json:"diff,omitempty"`
}

// Type is "docker.network.create/1".
func (*CreateNetwork) Type() string { return "docker.network.create/1" }

// Want is the network.
func (c *CreateNetwork) Want() any { return c.Network }

// Describe shows what it is made of.
func (c *CreateNetwork) Describe() host.Description {
	return host.Description{Action: host.Create, Target: "network " + c.Network.Name, Diff: c.Diff}
}

// Effects is the network.
func (c *CreateNetwork) Effects() []host.Effect {
	return []host.Effect{host.Is(host.Key{Space: networks, Name: c.Network.Name}, c.Network)}
}

// Apply makes the network where there is none of the name: Docker itself would make a
// second one.
func (c *CreateNetwork) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	daemon, now, err := actingOn(ctx, h, c.Network.Name)
	switch {
	case err != nil:
		return host.Result{}, err
	case now != nil && now.isMadeOf(c.Network):
		return host.Result{}, nil
	case now != nil:
		return host.Result{}, fmt.Errorf("there is a network %s already: %w", c.Network.Name, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{Changes: []host.Change{&RemoveNetwork{Network: c.Network}}}); err != nil {
		return host.Result{}, err
	}
	n := c.Network
	options := client.NetworkCreateOptions{
		Driver: n.Driver, Options: n.Options, Labels: n.Labels, Internal: n.Internal, Attachable: n.Attachable,
		IPAM: &api.IPAM{Driver: n.IPAM, Options: n.IPAMWith},
	}
	if n.IPv6 {
		options.EnableIPv6 = &n.IPv6
	}
	for _, p := range n.Pools {
		options.IPAM.Config = append(options.IPAM.Config, api.IPAMConfig{Subnet: p.Subnet, Gateway: p.Gateway, IPRange: p.Range, AuxAddress: p.Others})
	}
	if _, err := daemon.NetworkCreate(ctx, n.Name, options); err != nil {
		return host.Result{}, fmt.Errorf("making the network %s: %w", n.Name, inWords(err))
	}
	return host.Result{}, h.At("made the network")
}

// RemoveNetwork removes a network that no container belongs to.
type RemoveNetwork struct {
	Network networkSpec `json:"network"`
	Note    string      `json:"note,omitempty"`
}

// Type is "docker.network.remove/1".
func (*RemoveNetwork) Type() string { return "docker.network.remove/1" }

// Want is that the network is gone.
func (r *RemoveNetwork) Want() any {
	return RemoveNetwork{Network: networkSpec{Name: r.Network.Name}, Note: r.Note}
}

// Describe names it.
func (r *RemoveNetwork) Describe() host.Description {
	return host.Description{Action: host.Delete, Target: "network " + r.Network.Name, Impact: r.Note}
}

// Effects is that the network is gone.
func (r *RemoveNetwork) Effects() []host.Effect {
	return []host.Effect{host.Gone(host.Key{Space: networks, Name: r.Network.Name})}
}

// Apply removes the very network that was seen. Another of its name is left.
func (r *RemoveNetwork) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	daemon, now, err := actingOn(ctx, h, r.Network.Name)
	if err != nil || now == nil {
		return host.Result{}, err
	}
	if r.Network.ID != "" && now.ID != r.Network.ID || !now.isMadeOf(r.Network) {
		return host.Result{}, fmt.Errorf("the network %s is another one by now: %w", r.Network.Name, host.ErrMoved)
	}
	names, err := holding(ctx, daemon, now.joins)
	if err != nil {
		return host.Result{}, err
	}
	if len(names) > 0 {
		return host.Result{}, fmt.Errorf("containers belong to the network %s by now, %s: %w", r.Network.Name, strings.Join(names, ", "), host.ErrMoved)
	}
	again := *now
	again.ID = ""
	if err := h.Begin(host.Undo{Changes: []host.Change{&CreateNetwork{Network: again}}}); err != nil {
		return host.Result{}, err
	}
	if _, err := daemon.NetworkRemove(ctx, now.ID, client.NetworkRemoveOptions{}); err != nil && !isNotFound(err) {
		return host.Result{}, fmt.Errorf("removing the network %s: %w", r.Network.Name, inWords(err))
	}
	return host.Result{}, h.At("removed the network")
}

// actingOn returns a client of the daemon, and the network of a name as it is.
func actingOn(ctx context.Context, h *host.Host, name string) (*client.Client, *networkSpec, error) {
	daemon, err := acting(h)
	if err != nil {
		return nil, nil, err
	}
	list, err := allNetworks(ctx, daemon)
	if err != nil {
		return nil, nil, err
	}
	now, err := named(list, name)
	return daemon, now, err
}

// isNotFound reports whether the daemon has answered that there is no such thing.
func isNotFound(err error) bool { return errors.Is(err, errdefs.ErrNotFound) }
