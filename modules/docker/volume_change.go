package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/moby/client"

	"muster/host"
)

// CreateVolume makes a volume.
type CreateVolume struct {
	Volume volumeSpec `json:"volume"`
}

// Type is "docker.volume.create/1".
func (*CreateVolume) Type() string { return "docker.volume.create/1" }

// Describe shows what it is made of.
func (c *CreateVolume) Describe() host.Description {
	return host.Description{Action: host.Create, Target: "volume " + c.Volume.Name, Diff: strings.Join(c.Volume.lines(), "\n")}
}

// Effects is the volume.
func (c *CreateVolume) Effects() []host.Effect {
	return []host.Effect{host.Is(host.Key{Space: volumes, Name: c.Volume.Name}, c.Volume)}
}

// Apply makes the volume where there is none of the name: Docker itself would take
// another one for it.
func (c *CreateVolume) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	daemon, now, err := actingOnVolume(ctx, h, c.Volume.Name)
	switch {
	case err != nil:
		return host.Result{}, err
	case now != nil && now.isMadeOf(c.Volume):
		return host.Result{}, nil
	case now != nil:
		return host.Result{}, fmt.Errorf("there is a volume %s already: %w", c.Volume.Name, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{Changes: []host.Change{&RemoveVolume{Volume: c.Volume}}}); err != nil {
		return host.Result{}, err
	}
	d := c.Volume
	if _, err := daemon.VolumeCreate(ctx, client.VolumeCreateOptions{Name: d.Name, Driver: d.Driver, DriverOpts: d.Options, Labels: d.Labels}); err != nil {
		return host.Result{}, fmt.Errorf("making the volume %s: %w", d.Name, inWords(err))
	}
	return host.Result{}, h.At("made the volume")
}

// RemoveVolume removes a volume with its data.
type RemoveVolume struct {
	Volume volumeSpec `json:"volume"`
}

// Type is "docker.volume.remove/1".
func (*RemoveVolume) Type() string { return "docker.volume.remove/1" }

// Want is that the volume is gone.
func (r *RemoveVolume) Want() any { return RemoveVolume{Volume: volumeSpec{Name: r.Volume.Name}} }

// Describe says that its data is lost.
func (r *RemoveVolume) Describe() host.Description {
	return host.Description{Action: host.Delete, Target: "volume " + r.Volume.Name, Impact: r.loses()}
}

// loses says what goes with the volume.
func (r *RemoveVolume) loses() string {
	if device := r.Volume.Options["device"]; r.Volume.Driver == local && device != "" && r.Volume.Options["type"] != "tmpfs" {
		return "the data stays where it is: " + legible("device", device)
	}
	return "its data is lost"
}

// Effects is that the volume is gone.
func (r *RemoveVolume) Effects() []host.Effect {
	return []host.Effect{host.Gone(host.Key{Space: volumes, Name: r.Volume.Name})}
}

// Apply removes the very volume that was seen. Nothing brings back its data.
func (r *RemoveVolume) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	daemon, now, err := actingOnVolume(ctx, h, r.Volume.Name)
	if err != nil || now == nil {
		return host.Result{}, err
	}
	if r.Volume.Created != "" && now.Created != r.Volume.Created || !now.isMadeOf(r.Volume) {
		return host.Result{}, fmt.Errorf("the volume %s is another one by now: %w", r.Volume.Name, host.ErrMoved)
	}
	names, err := holding(ctx, daemon, now.isIn)
	if err != nil {
		return host.Result{}, err
	}
	if len(names) > 0 {
		return host.Result{}, fmt.Errorf("containers use the volume %s by now, %s: %w", r.Volume.Name, strings.Join(names, ", "), host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if _, err := daemon.VolumeRemove(ctx, r.Volume.Name, client.VolumeRemoveOptions{}); err != nil && !isNotFound(err) {
		return host.Result{}, fmt.Errorf("removing the volume %s: %w", r.Volume.Name, inWords(err))
	}
	return host.Result{}, h.At("removed the volume")
}

// actingOnVolume returns a client of the daemon, and the volume of a name as it is.
func actingOnVolume(ctx context.Context, h *host.Host, name string) (*client.Client, *volumeSpec, error) {
	daemon, err := acting(h)
	if err != nil {
		return nil, nil, err
	}
	list, err := allVolumes(ctx, daemon)
	if err != nil {
		return nil, nil, err
	}
	return daemon, volumeNamed(list, name), nil
}
