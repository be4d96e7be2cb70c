package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	vol "github.com/moby/moby/api/types/volume"

	"muster/host"
	"muster/modules"
)

// anImage is one that was built some days ago, with tags and digests.
func anImage(n, days int, names ...string) image.Summary {
	i := image.Summary{ID: fmt.Sprintf("sha256:%064d", n), Created: time.Now().AddDate(0, 0, -days).Unix(), Size: 5e6}
	for _, name := range names {
		if strings.Contains(name, "@") {
			i.RepoDigests = append(i.RepoDigests, name)
		} else {
			i.RepoTags = append(i.RepoTags, name)
		}
	}
	return i
}

// digestNumber is a digest of a registry's.
func digestNumber(n int) string { return fmt.Sprintf("sha256:%064d", 1000+n) }

func uses(name, state string, i image.Summary, vols ...string) container.Summary {
	c := joined(name, state, nil, vols...)
	c.ImageID = i.ID
	return c
}

func TestWhatIsPruned(t *testing.T) {
	one, two, three := anImage(1, 30, "app:1", "app@"+digestNumber(1)), anImage(2, 20, "app:2", "app@"+digestNumber(2)), anImage(3, 10, "app:3", "app@"+digestNumber(3))
	four := anImage(4, 1, "app:4", "app@"+digestNumber(4))
	all := []image.Summary{one, four, three, two}
	week := modules.Duration(7 * 24 * time.Hour)
	app := func(s standing) host.Effect { return host.Is(host.Key{Space: containers, Name: "app"}, s) }
	imageKey := func(name string) host.Key { return host.Key{Space: images, Name: "docker.io/library/" + name} }
	dangling := image.Summary{ID: "sha256:" + strings.Repeat("d", 64), RepoTags: []string{"<none>:<none>"}, RepoDigests: []string{"<none>@<none>"}, Created: time.Now().AddDate(0, 0, -2).Unix()}
	hex, other := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	for name, c := range map[string]struct {
		task       Prune
		images     []image.Summary
		containers []container.Summary
		volumes    []vol.Volume
		effects    []host.Effect
		says       string // targets that go, or of the error
	}{
		"the newest stay":                              {task: Prune{Keep: 2}, images: all, says: "app:1 app:2"},
		"what is in use stays besides":                 {task: Prune{Keep: 2}, images: all, containers: []container.Summary{uses("app", "running", four)}, says: "app:1"},
		"also of a container that is stopped":          {task: Prune{}, images: all, containers: []container.Summary{uses("app", "running", four), uses("job", "exited", one)}, says: "app:2 app:3"},
		"and of one that was kept to be put back":      {task: Prune{}, images: all, containers: []container.Summary{uses("app", "running", four), uses("app.muster-old", "exited", three)}, says: "app:1 app:2"},
		"only what is old enough":                      {task: Prune{ImagesOlderThan: &week}, images: all, says: "app:1 app:2 app:3"},
		"each repository has its own":                  {task: Prune{Keep: 1}, images: append([]image.Summary{anImage(9, 90, "db:1")}, all...), says: "app:1 app:2 app:3"},
		"an image of two repositories":                 {task: Prune{Keep: 1}, images: []image.Summary{one, two, anImage(9, 90, "app:0", "db:1")}, says: "app:1"},
		"images that are known by digest alone":        {task: Prune{Keep: 1}, images: []image.Summary{anImage(1, 3, "app@"+digestNumber(1)), anImage(2, 2, "app@"+digestNumber(2))}, says: "app@sha256:000000000000"},
		"one without a name":                           {task: Prune{Keep: 2}, images: []image.Summary{dangling, one}, says: "dddddddddddd"},
		"one without a name that is young":             {task: Prune{Keep: 2, ImagesOlderThan: &week}, images: []image.Summary{dangling}},
		"one without a name that is used":              {task: Prune{}, images: []image.Summary{dangling}, containers: []container.Summary{uses("app", "created", dangling)}},
		"what another one was built on stays":          {task: Prune{Keep: 1}, images: []image.Summary{one, {ID: "sha256:" + strings.Repeat("c", 64), RepoTags: []string{"app:9"}, ParentID: one.ID, Created: time.Now().Unix()}}},
		"what is built on another goes before it":      {task: Prune{}, images: []image.Summary{four, {ID: "sha256:" + strings.Repeat("c", 64), RepoTags: []string{"old:9"}, ParentID: four.ID}}, says: "old:9 app:4"},
		"behind another image":                         {task: Prune{}, images: all, containers: []container.Summary{uses("app", "running", three)}, effects: []host.Effect{app(standing{Image: digestNumber(4), Running: true})}, says: "app:1 app:2 app:3"},
		"behind another image that only this host has": {task: Prune{}, images: all, effects: []host.Effect{app(standing{Image: "image " + four.ID})}, says: "app:1 app:2 app:3"},
		"behind an image that is pulled for a container": {task: Prune{Keep: 1}, images: []image.Summary{one, two}, containers: []container.Summary{uses("app", "running", two)},
			effects: []host.Effect{host.Is(imageKey("app:3"), kept{Digest: digestNumber(3)}), app(standing{Image: digestNumber(3), Running: true})}, says: "app:1"},
		"behind an image that is pulled for nobody": {task: Prune{Keep: 1}, images: []image.Summary{one, two}, effects: []host.Effect{host.Is(imageKey("app:3"), kept{Digest: digestNumber(3)})}, says: host.ErrNotYet.Error()},
		"behind a tag that moves":                   {task: Prune{Keep: 1}, images: []image.Summary{one, two}, effects: []host.Effect{host.Is(imageKey("app:2"), kept{Digest: digestNumber(1)})}, says: "app:1"},
		"behind a container that goes":              {task: Prune{}, images: []image.Summary{one}, containers: []container.Summary{uses("app", "running", one)}, effects: []host.Effect{host.Gone(host.Key{Space: containers, Name: "app"})}, says: "app:1"},
		"behind an image that goes":                 {task: Prune{}, images: []image.Summary{one, two}, effects: []host.Effect{host.Gone(imageKey("app:1"))}, says: "app:2"},
		"behind what isn't known":                   {task: Prune{}, images: all, effects: []host.Effect{host.Open(containers, "app")}, says: host.ErrNotYet.Error()},
		"behind what may pull anything":             {task: Prune{}, effects: []host.Effect{host.Open(images, "")}, says: host.ErrNotYet.Error()},
		"behind the engine":                         {task: Prune{}, effects: []host.Effect{host.Open(host.Units, unit)}, says: host.ErrNotYet.Error()},
		"volumes without a name":                    {task: Prune{Volumes: true}, volumes: []vol.Volume{{Name: hex}, {Name: other}, {Name: "data"}}, containers: []container.Summary{joined("app", "exited", nil, other)}, says: hex},
		"volumes stay where nobody says so":         {task: Prune{}, volumes: []vol.Volume{{Name: hex}}},
		"the volume of a container that goes":       {task: Prune{Volumes: true}, volumes: []vol.Volume{{Name: hex}}, containers: []container.Summary{joined("app", "exited", nil, hex)}, effects: []host.Effect{host.Gone(host.Key{Space: containers, Name: "app"})}, says: hex},
		"the volume of one that is made anew":       {task: Prune{Volumes: true}, volumes: []vol.Volume{{Name: hex}}, containers: []container.Summary{joined("app", "exited", nil, hex)}, effects: []host.Effect{app(standing{Image: digestNumber(1)})}, says: host.ErrNotYet.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			d := &fakeDaemon{images: slices.Clone(c.images), containers: c.containers, volumes: slices.Clone(c.volumes)}
			h := fakeHost(t, d)
			plan, err := planned(t, h, &c.task, c.effects...)
			var gone []string
			effects := c.effects
			for _, change := range plan.Changes {
				target := change.Describe().Target
				gone = append(gone, target[strings.Index(target, " ")+1:])
				effects = append(effects, change.Effects()...)
			}
			if got := strings.Join(gone, " ") + text(err); err == nil && got != c.says || !strings.Contains(got, c.says) {
				t.Errorf("it removes %q, want %q", got, c.says)
			}
			if left := mustPlanOr(t, h, &c.task, err, effects...); len(left) > 0 {
				t.Errorf("on what its effects leave there is more to do:\n%s", shows(left))
			}
			if c.effects == nil && len(plan.Changes) > 0 {
				made(t, h, plan.Changes)
				made(t, h, plan.Changes) // as after a cut
				if left := mustPlan(t, h, &c.task); len(left) > 0 {
					t.Errorf("there is more to do:\n%s", shows(left))
				}
			}
		})
	}
}

// mustPlanOr plans a module again, where it could be planned at all.
func mustPlanOr(t *testing.T, h *host.Host, m modules.Module, err error, effects ...host.Effect) []host.Change {
	t.Helper()
	if err != nil {
		return nil
	}
	return mustPlan(t, h, m, effects...)
}

func TestWhatCameToBeUsedIsNotPruned(t *testing.T) {
	one := anImage(1, 30, "app:1", "app:stable", "app@"+digestNumber(1))
	d := &fakeDaemon{images: []image.Summary{one}}
	h := fakeHost(t, d)
	gone := mustPlan(t, h, &Prune{})
	if says := gone[0].Describe(); says.Target != "image app:1" || says.Impact != "5.0 MB, 000000000000, also app:stable" {
		t.Errorf("the plan says %q %q", says.Target, says.Impact)
	}
	d.containers = []container.Summary{uses("job", "exited", one)}
	if _, err := gone[0].Apply(context.Background(), h); !errors.Is(err, host.ErrMoved) || !strings.Contains(err.Error(), "app:1 by now, job (exited)") {
		t.Errorf("a container uses it by now: %v", err)
	}
	d.containers = nil
	d.images[0].RepoTags = append(d.images[0].RepoTags, "app:new")
	if _, err := gone[0].Apply(context.Background(), h); !errors.Is(err, host.ErrMoved) {
		t.Errorf("it has got another tag: %v", err)
	}
	d.images[0].RepoTags = []string{"app:stable"} // as after a cut
	r, err := gone[0].Apply(context.Background(), h)
	if err != nil || len(d.images) > 0 || string(r.Output) != `{"freed":5000000}` {
		t.Errorf("it left %v and says %s, %v", d.images, r.Output, err)
	}
	plan, err := planned(t, h, &Prune{})
	if err != nil || string(plan.Output) != `{"freed":0}` {
		t.Errorf("then it says %s, %v", plan.Output, err)
	}
}

func TestAnUnchangedPruneAsksForListsAlone(t *testing.T) {
	d := &fakeDaemon{images: []image.Summary{anImage(1, 1, "app:1")}, volumes: []vol.Volume{{Name: "data"}}}
	v := host.NewView(fakeHost(t, d), nil)
	for range 3 {
		if p, err := (&Prune{Keep: 2, Volumes: true}).Plan(context.Background(), v); err != nil || len(p.Changes) > 0 {
			t.Fatalf("%v %v", shows(p.Changes), err)
		}
	}
	for what, n := range d.asked {
		if n > 1 || !strings.Contains("GET /images/json GET /containers/json GET /volumes HEAD /_ping GET /_ping", what) {
			t.Errorf("%s was asked %d times", what, n)
		}
	}
}
