package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Volume is a volume of Docker's, in which containers keep their data. Docker can't
// alter one, and making it anew would lose its data: where it has to be another that is
// an error. Options and labels that somebody else has set stay.
type Volume struct {
	// The volume's name.
	Name string `arg:"name,key,required"`
	// What keeps the data: local, or a plugin.
	Driver string `arg:"driver" means:"local"`
	// The driver's options. Those of the driver local are what mount takes: type, o
	// and device.
	Options map[string]string `arg:"options"`
	// Labels.
	Labels map[string]string `arg:"labels"`
	// Whether it is there at all. "absent" removes it with its data; one that a
	// container uses can't be removed.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// VolumeOutput is what a task of the kind offers.
type VolumeOutput struct {
	// Where its data lies on the host.
	Path string `json:"path"`
}

// Check refuses names and options that can't be, and contradictions.
func (d *Volume) Check(unknown func(string) bool) []modules.ArgError {
	c := &argErrors{unknown: unknown}
	c.name("volume", d.Name)
	c.keys("options", d.Options)
	c.keys("labels", d.Labels)
	if d.State == "absent" {
		c.absent("volume", map[string]bool{"driver": d.Driver != "", "options": d.Options != nil, "labels": d.Labels != nil})
	}
	if (d.Driver != "" && d.Driver != local) || unknown("driver") {
		return c.errs
	}
	for _, k := range sortedKeys(d.Options) {
		if !slices.Contains([]string{"type", "o", "device", "size"}, k) && strings.TrimSpace(k) != "" {
			hint := ""
			if near := modules.Nearest(k, []string{"type", "device"}); near != "" {
				hint = fmt.Sprintf("Did you mean %q?", near)
			}
			c.fail("options", fmt.Sprintf("[%q]", k), "Unknown option", hint, "The driver local has the options type, o and device, as mount has them, and size: not %s.", k)
		}
	}
	_, typ := d.Options["type"]
	_, device := d.Options["device"]
	if _, o := d.Options["o"]; typ != device || o && !typ {
		c.fail("options", "", "Missing option", "", `The driver local needs both type and device where one of type, o and device is given: a folder of the host is type = "none", o = "bind", device = "/srv/data".`)
	}
	if d.binds() && !filepath.IsAbs(d.Options["device"]) && device {
		c.fail("options", `["device"]`, "Wrong value", "", "%q is no absolute path on the host: it has to begin with \"/\".", d.Options["device"])
	}
	return c.errs
}

// local is Docker's own driver of volumes.
const local = "local"

// binds reports whether the volume is to be a folder of the host.
func (d *Volume) binds() bool {
	words := strings.Split(d.Options["o"], ",")
	return slices.Contains(words, "bind") || slices.Contains(words, "rbind")
}

// Withhold hides the lines of what is sensitive.
func (d *Volume) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "driver", "options", "labels")
}

// May is the volume.
func (d *Volume) May() []host.Effect { return []host.Effect{host.Open(volumes, d.Name)} }

// Plan compares the volume with what is declared of it.
func (d *Volume) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	now, err := readVolume(ctx, v, d.Name)
	switch {
	case err != nil:
		return modules.Plan{}, err
	case d.State == "absent" && now == nil:
		return modules.Plan{}, nil
	case d.State == "absent":
		return d.remove(ctx, v, *now)
	}
	was := volumeSpec{Name: d.Name, Driver: local}
	if now != nil {
		was = *now
	}
	want, diff := d.from(was)
	switch {
	case now != nil && diff == nil:
		var plan modules.Plan
		if now.Path != "" {
			plan.Output, err = json.Marshal(VolumeOutput{Path: now.Path})
		}
		return plan, err
	case now != nil:
		return modules.Plan{}, fmt.Errorf("the volume %s would have to be made anew (%s), since Docker can't alter one, and its data would be lost: declare what it is, or give the task another name and copy the data there, or remove the volume first, state = \"absent\"", d.Name, strings.Join(diff, "; "))
	}
	if err := driven(ctx, v, "volume", want.Driver); err != nil {
		return modules.Plan{}, err
	}
	if d.binds() {
		if err := folder(v, d.Options["device"]); err != nil {
			return modules.Plan{}, fmt.Errorf("the volume %s: %w", d.Name, err)
		}
	}
	return modules.Plan{Changes: []host.Change{&CreateVolume{Volume: want}}}, nil
}

// folder refuses what isn't a folder: Docker would find out when a container starts.
func folder(v *host.View, path string) error {
	switch info, err := v.Stat(path); {
	case err != nil:
		return err
	case !info.Exists():
		return fmt.Errorf("there is no %s on this host, and no earlier task makes it: a task \"directory\" does", path)
	case info.Type != host.Directory && info.Type != host.Regular:
		return fmt.Errorf("%s is a %s, not a folder", path, info.Type)
	}
	return nil
}

// remove plans that the volume goes.
func (d *Volume) remove(ctx context.Context, v *host.View, now volumeSpec) (modules.Plan, error) {
	names, err := usedBy(ctx, v, now.isIn)
	if err != nil {
		return modules.Plan{}, err
	}
	if len(names) > 0 {
		return modules.Plan{}, fmt.Errorf("the volume %s can't be removed while containers use it: %s. Remove these in an earlier task", d.Name, strings.Join(names, ", "))
	}
	return modules.Plan{Changes: []host.Change{&RemoveVolume{Volume: now}}}, nil
}
