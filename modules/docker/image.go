package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"muster/host"
	"muster/modules"
)

// Image is an image that a host has. A tag stands for the same image on all hosts of a
// run: the first that has to ask the registry asks for all.
type Image struct {
	// The image: "registry:5000/app:1.4", "app@sha256:…". No tag is "latest".
	Name string `arg:"name,key,required"`
	// What the registry must have under that name ("sha256:…"): anything else is an
	// error of the plan.
	Digest string `arg:"digest"`
	// When it is pulled: where it is missing; where the registry has another one under
	// the tag, too ("always"); or not at all.
	Pull string `arg:"pull" oneof:"missing always never" default:"missing"`
	// For which platform: "linux/arm64".
	Platform string `arg:"platform" means:"the host's"`
	// "absent" removes it.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// ImageOutput is what a docker_image task offers.
type ImageOutput struct {
	// The digest that the registry has, "" for an image that came from none.
	Digest string `json:"digest"`
	// The image on this host.
	ID string `json:"id"`
}

// Check refuses what is no image.
func (i *Image) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: "Wrong value", Detail: detail})
	}
	r, err := parseRef(i.Name)
	if err != nil && !unknown("name") {
		fail("name", err.Error()+".")
	}
	if i.Digest != "" {
		if _, err := parseRef("x@" + i.Digest); err != nil {
			fail("digest", fmt.Sprintf("%q is no digest, which is sha256: and 64 digits from 0 to f.", i.Digest))
		} else if r.digest != "" && r.digest != i.Digest {
			fail("digest", "The image is named by another digest.")
		}
	}
	if os, arch, ok := strings.Cut(i.Platform, "/"); i.Platform != "" && (!ok || os == "" || arch == "") {
		fail("platform", fmt.Sprintf(`%q is no platform, such as "linux/amd64".`, i.Platform))
	}
	return errs
}

// May is the image.
func (i *Image) May() []host.Effect {
	r, err := parseRef(i.Name)
	if err != nil {
		return []host.Effect{host.Open(images, "")}
	}
	return []host.Effect{host.Open(images, r.String())}
}

// Plan pulls the image, or removes it.
func (i *Image) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	r, err := parseRef(i.Name)
	if err != nil {
		return modules.Plan{}, err
	}
	if i.State == "absent" {
		return i.remove(ctx, v, r)
	}
	f, err := find(ctx, v, r, i.Pull, i.Platform)
	if err != nil {
		return modules.Plan{}, err
	}
	if i.Digest != "" && f.Digest != i.Digest {
		return modules.Plan{}, fmt.Errorf("the image %s is %s, not %s", r.short(), f.identity(), i.Digest)
	}
	if i.Platform != "" && f.ID != "" {
		img, err := inspectedImage(ctx, v, f.ID)
		if err != nil && !errdefs.IsNotFound(err) {
			return modules.Plan{}, err
		}
		if err == nil && img.platform != strings.Join(strings.SplitN(i.Platform, "/", 3)[:2], "/") {
			return modules.Plan{}, fmt.Errorf("the image %s on this host is for %s, not for %s: remove it in an earlier task, or name the image by its digest", r.short(), img.platform, i.Platform)
		}
	}
	if change := pulling(f, i.Platform); change != nil {
		return modules.Plan{Changes: []host.Change{change}}, nil
	}
	output, err := host.Marshal(ImageOutput{f.Digest, f.ID})
	return modules.Plan{Output: output}, err
}

// pulling is the change that makes an image stand at its reference; nil where it does.
func pulling(f found, platform string) host.Change {
	if f.ID != "" && f.Tagged {
		return nil
	}
	return &PullImage{Ref: f.String(), Digest: f.Digest, Platform: platform, Former: f.Former, Here: f.ID != ""}
}

func (i *Image) remove(ctx context.Context, v *host.View, r ref) (modules.Plan, error) {
	value, laid, _, err := v.Look(host.Key{Space: images, Name: r.String()})
	if err != nil || laid && value == nil {
		return modules.Plan{}, err
	}
	list, err := listImages(ctx, v)
	if err != nil {
		return modules.Plan{}, err
	}
	for _, img := range list {
		if !has(img, r) {
			continue
		}
		if users, err := usersOf(ctx, v, img.ID); err != nil {
			return modules.Plan{}, err
		} else if len(users) > 0 && len(img.RepoTags) <= 1 {
			return modules.Plan{}, fmt.Errorf("the image %s is used by the containers %s: remove them in an earlier task", r.short(), strings.Join(users, ", "))
		}
		return modules.Plan{Changes: []host.Change{&RemoveImage{Ref: r.String(), ID: img.ID, Size: img.Size}}}, nil
	}
	return modules.Plan{}, nil
}

// usersOf names the containers of an image that will be there.
func usersOf(ctx context.Context, v *host.View, image string) ([]string, error) {
	list, err := listContainers(ctx, v)
	var users []string
	for _, c := range list {
		if c.ImageID != image {
			continue
		}
		value, laid, _, err := v.Look(host.Key{Space: containers, Name: nameOf(c)})
		if err != nil {
			return nil, err
		}
		if !laid || value != nil {
			users = append(users, nameOf(c))
		}
	}
	slices.Sort(users)
	return users, err
}

// nameOf is a container's own name: it has others where containers link to it.
func nameOf(c container.Summary) string {
	for _, n := range c.Names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	return c.ID
}
