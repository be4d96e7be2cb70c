package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// Prune removes images that nothing uses. What any container was made of stays, also of
// one that doesn't run, and so do the newest images of each repository, for a rollback.
// Images that have neither a tag nor a digest of a registry go as well.
//
// Earlier tasks of the run are counted in: what a container of theirs is made of is in
// use, what one is no longer made of isn't. So its place is behind them.
type Prune struct {
	// How many images of each repository stay besides those in use: the newest, by when
	// they were built.
	Keep int `arg:"keep" default:"2"`
	// Only images that were built longer ago go: "7d". Docker doesn't tell when an image
	// was last used.
	ImagesOlderThan *modules.Duration `arg:"images_older_than"`
	// Also removes volumes without a name that no container has, with their data. A volume
	// that has a name stays.
	Volumes bool `arg:"volumes"`
}

// PruneOutput is what a docker_prune task offers.
type PruneOutput struct {
	// How many bytes the images had that it removed, as Docker tells their sizes: what
	// several images share counts with each.
	Freed int64 `json:"freed"`
}

// Check refuses a negative number.
func (p *Prune) Check(unknown func(string) bool) []modules.ArgError {
	if p.Keep < 0 && !unknown("keep") {
		return []modules.ArgError{{Arg: "keep", Summary: "Wrong value", Detail: "It is a number of images, from 0 on."}}
	}
	return nil
}

// May is any image, and any volume where these go.
func (p *Prune) May() []host.Effect {
	list := []host.Effect{host.Open(images, "")}
	if p.Volumes {
		list = append(list, host.Open(volumes, ""))
	}
	return list
}

// began is what ages are counted from, so that nothing comes of age during a run.
var began = time.Now()

// Plan names what nothing will use once earlier changes are made.
func (p *Prune) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	for _, space := range []string{containers, images, volumes} { // of all of them something is left open
		if _, _, _, err := v.Look(host.Key{Space: space, Name: host.All}); err != nil && (space != volumes || p.Volumes) {
			return modules.Plan{}, err
		}
	}
	used, err := imagesInUse(ctx, v)
	if err != nil {
		return modules.Plan{}, err
	}
	held, err := heldImages(ctx, v, used)
	if err != nil {
		return modules.Plan{}, err
	}
	gone, err := parentsKept(ctx, v, held, p.choose(held))
	if err != nil {
		return modules.Plan{}, err
	}
	var plan modules.Plan
	if p.Volumes {
		unmounted, err := unmountedVolumes(ctx, v)
		if err != nil {
			return modules.Plan{}, err
		}
		for _, vol := range unmounted {
			plan.Changes = append(plan.Changes, &RemoveVolume{Volume: vol})
		}
	}
	freed := int64(0)
	for _, img := range gone {
		freed += img.size
		plan.Changes = append(plan.Changes, &PruneImage{ID: img.id, Refs: img.refs(), Size: img.size, Freed: freed})
	}
	if len(plan.Changes) == 0 {
		plan.Output, err = json.Marshal(PruneOutput{})
	}
	return plan, err
}

// choose returns the images to be removed, by name.
func (p *Prune) choose(held []*heldImage) []*heldImage {
	repositories := map[string][]*heldImage{}
	var list []*heldImage
	for _, img := range held {
		if img.used {
			continue
		}
		list = append(list, img)
		for _, name := range img.repositories() {
			repositories[name] = append(repositories[name], img)
		}
	}
	newestFirst := func(a, b *heldImage) int {
		if a.created != b.created {
			return int(max(-1, min(1, b.created-a.created)))
		}
		return strings.Compare(a.id, b.id)
	}
	stays := map[*heldImage]bool{}
	for _, all := range repositories {
		slices.SortFunc(all, newestFirst)
		for _, img := range all[:min(p.Keep, len(all))] {
			stays[img] = true
		}
	}
	list = slices.DeleteFunc(list, func(img *heldImage) bool {
		young := p.ImagesOlderThan != nil && began.Sub(time.Unix(img.created, 0)) < time.Duration(*p.ImagesOlderThan)
		return stays[img] || young
	})
	slices.SortFunc(list, func(a, b *heldImage) int {
		return cmp.Or(slices.Compare(a.refs(), b.refs()), strings.Compare(a.id, b.id))
	})
	return list
}

// unmountedVolumes are the volumes without a name that no container will have. Of a
// container that is about to be made anew nobody can tell which it goes on with.
func unmountedVolumes(ctx context.Context, v *host.View) ([]volumeSpec, error) {
	all, err := listVolumes(ctx, v)
	if err != nil {
		return nil, err
	}
	list, err := listContainers(ctx, v)
	if err != nil {
		return nil, err
	}
	mounted := map[string]bool{}
	for _, c := range list {
		key := host.Key{Space: containers, Name: nameOf(c)}
		value, laid, _, err := v.Look(key)
		if err != nil {
			return nil, err
		}
		for _, m := range c.Mounts {
			switch {
			case m.Type != "volume" || !anonymous.MatchString(m.Name) || laid && value == nil:
			case laid, leftBehind(v, c):
				return nil, host.NotYet(key)
			default:
				mounted[m.Name] = true
			}
		}
	}
	var unmounted []volumeSpec
	for _, vol := range all {
		_, laid, _, err := v.Look(host.Key{Space: volumes, Name: vol.Name})
		if err != nil {
			return nil, err
		}
		if anonymous.MatchString(vol.Name) && !mounted[vol.Name] && !laid {
			unmounted = append(unmounted, vol)
		}
	}
	slices.SortFunc(unmounted, func(a, b volumeSpec) int { return strings.Compare(a.Name, b.Name) })
	return unmounted, nil
}

// bytesOf is a size for people, in units of 1000 as docker shows it.
func bytesOf(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%d kB", (n+999)/1000)
}
