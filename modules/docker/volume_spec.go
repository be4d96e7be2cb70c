package docker

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	api "github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"muster/host"
)

// volumeSpec is a volume that the daemon has, or that is to be made.
type volumeSpec struct {
	Name    string            `json:"name"`
	Driver  string            `json:"driver"`
	Options map[string]string `json:"options,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Created string            `json:"created,omitempty"` // when; "" of one that is still to come
	Path    string            `json:"path,omitempty"`
}

func volumeOf(v api.Volume) volumeSpec {
	return volumeSpec{Name: v.Name, Driver: v.Driver, Options: v.Options, Labels: v.Labels, Created: v.CreatedAt, Path: v.Mountpoint}
}

// listVolumes asks for all volumes of the host, once.
func listVolumes(ctx context.Context, v *host.View) ([]volumeSpec, error) {
	c, err := asking(ctx, v)
	if err != nil {
		return nil, err
	}
	return host.Once(v, "docker volumes", func() ([]volumeSpec, error) { return allVolumes(ctx, c) })
}

func allVolumes(ctx context.Context, c *client.Client) ([]volumeSpec, error) {
	r, err := c.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking Docker for its volumes: %w", inWords(err))
	}
	var list []volumeSpec
	for _, v := range r.Items {
		list = append(list, volumeOf(v))
	}
	return list, nil
}

// volumeNamed returns the volume of a name, nil where there is none.
func volumeNamed(list []volumeSpec, name string) *volumeSpec {
	if i := slices.IndexFunc(list, func(v volumeSpec) bool { return v.Name == name }); i >= 0 {
		return &list[i]
	}
	return nil
}

// readVolume returns the volume of a name as pending changes leave it; nil where there
// is none.
func readVolume(ctx context.Context, v *host.View, name string) (*volumeSpec, error) {
	list, err := listVolumes(ctx, v)
	if err != nil {
		return nil, err
	}
	return host.Read(v, host.Key{Space: volumes, Name: name}, func() (*volumeSpec, error) { return volumeNamed(list, name), nil })
}

// from returns the volume as it has to be, given as what it is, and lines that tell
// what differs.
func (d *Volume) from(was volumeSpec) (want volumeSpec, diff []string) {
	noted := notes(was.Labels)
	want = volumeSpec{Name: was.Name, Driver: was.Driver}
	switch {
	case d.Driver != "":
		want.Driver = d.Driver
	case noted["driver"]:
		want.Driver = local
	}
	options := was.Options
	if want.Driver != was.Driver {
		diff = append(diff, fmt.Sprintf("driver: %s → %s", was.Driver, want.Driver))
		options = nil // these are another driver's
	}
	var lines []string
	want.Options, lines = merged("options", options, d.Options, noted, func(key, a, b string) bool {
		return want.Driver == local && key == "o" && slices.Equal(mountWords(a), mountWords(b))
	})
	diff = append(diff, lines...)
	want.Labels, lines = merged("labels", was.Labels, d.Labels, noted, nil)
	diff = append(diff, lines...)
	declared := append(keyed("options", d.Options), keyed("labels", d.Labels)...)
	if d.Driver != "" {
		declared = append(declared, "driver")
	}
	note(want.Labels, declared)
	return want, diff
}

// mountWords are mount's options, whose order is no difference.
func mountWords(o string) []string {
	words := strings.Split(o, ",")
	slices.Sort(words)
	return words
}

// isIn reports whether a container uses the volume.
func (d volumeSpec) isIn(c container.Summary) bool {
	return slices.ContainsFunc(c.Mounts, func(m container.MountPoint) bool { return m.Type == mount.TypeVolume && m.Name == d.Name })
}

// isMadeOf reports whether the volume is what another was made as.
func (d volumeSpec) isMadeOf(o volumeSpec) bool {
	return d.Driver == o.Driver && maps.Equal(d.Options, o.Options) && maps.Equal(d.Labels, o.Labels)
}

// lines tells what a volume is made of.
func (d volumeSpec) lines() []string {
	var list []string
	if d.Driver != local {
		list = append(list, "driver: "+d.Driver)
	}
	return append(append(list, added("options", d.Options)...), added("labels", d.Labels)...)
}

// secretWords are what mounts of network file systems and drivers take passwords by.
var secretWords = regexp.MustCompile(`(?i)((?:^|,)[^,=]*(?:pass|secret|token)[^,=]*=)[^,]*`)

// legible is an option's or a label's value without a password that stands in it.
func legible(key, value string) string {
	if secretWords.MatchString(key + "=") {
		return "(hidden)"
	}
	return secretWords.ReplaceAllString(value, "${1}(hidden)")
}
