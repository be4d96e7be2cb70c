package docker

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	vol "github.com/moby/moby/api/types/volume"

	"muster/host"
)

func TestWhatAVolumeIsComparedBy(t *testing.T) {
	declares := func(v Volume) Volume { v.Name, v.State = "data", "present"; return v }
	dir := t.TempDir()
	bind := declares(Volume{Driver: "local", Options: map[string]string{"type": "none", "o": "rw,bind", "device": dir}, Labels: map[string]string{"team": "web"}})
	for name, c := range map[string]struct {
		first, then Volume
		alter       func(*vol.Volume)
		says        string // what would differ
	}{
		"all of it is what it was":  {first: bind, then: bind},
		"nothing is declared of it": {first: declares(Volume{}), then: declares(Volume{})},
		"the words of o in another order": {first: bind, then: func() Volume {
			v := bind
			v.Options = map[string]string{"o": "bind,rw", "device": dir, "type": "none"}
			return v
		}()},
		"what was never declared stays": {first: declares(Volume{}), alter: func(v *vol.Volume) { v.Labels["theirs"] = "x"; v.Options = map[string]string{"size": "1G"} }, then: declares(Volume{})},
		"another option": {first: bind, then: func() Volume {
			v := bind
			v.Options = map[string]string{"type": "none", "o": "bind,ro", "device": dir}
			return v
		}(), says: "options: o = rw,bind → bind,ro"},
		"an option that is no longer declared":     {first: bind, then: func() Volume { v := bind; v.Options = nil; return v }(), says: "options: - device = "},
		"a label that is no longer declared":       {first: bind, then: func() Volume { v := bind; v.Labels = nil; return v }(), says: "labels: - team = web"},
		"another driver":                           {first: declares(Volume{}), then: declares(Volume{Driver: "nfs"}), says: "driver: local → nfs"},
		"a driver that is no longer declared":      {first: declares(Volume{Driver: "nfs"}), then: declares(Volume{}), says: "driver: nfs → local"},
		"a password among the options isn't shown": {first: declares(Volume{Options: map[string]string{"type": "cifs", "o": "addr=10.0.0.1,password=old-one", "device": "//nas/x"}}), then: declares(Volume{Options: map[string]string{"type": "cifs", "o": "addr=10.0.0.1,password=new-one", "device": "//nas/x"}}), says: "password=(hidden) → addr=10.0.0.1,password=(hidden)"},
		"nor is one that is an option of its own":  {first: declares(Volume{Driver: "nfs", Options: map[string]string{"password": "old-one"}}), then: declares(Volume{Driver: "nfs", Options: map[string]string{"password": "new-one"}}), says: "options: password = (hidden) → (hidden)"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &fakeDaemon{}
			h := fakeHost(t, d)
			first := mustPlan(t, h, &c.first)
			if text := shows(first); !strings.HasPrefix(text, "create volume data") || strings.Contains(text, "old-one") {
				t.Errorf("the plan shows\n%s", text)
			}
			if left := mustPlan(t, h, &c.first, first[0].Effects()...); len(left) > 0 {
				t.Errorf("on what its effects leave there is more to do:\n%s", shows(left))
			}
			made(t, h, first)
			made(t, h, first) // as after a cut
			if len(d.volumes) != 1 {
				t.Fatalf("made twice: %v", d.volumes)
			}
			if c.alter != nil {
				c.alter(&d.volumes[0])
			}
			p, err := planned(t, h, &c.then)
			switch {
			case c.says == "" && (err != nil || len(p.Changes) > 0):
				t.Errorf("the plan is %v %v", shows(p.Changes), err)
			case c.says != "" && (!strings.Contains(text(err), c.says) || !strings.Contains(text(err), "its data would be lost")):
				t.Errorf("the plan says %v, want %q", err, c.says)
			case strings.Contains(text(err), "-one"):
				t.Errorf("the plan shows a password: %v", err)
			}
		})
	}
}

func TestWhatAVolumeIsRefusedFor(t *testing.T) {
	mine := vol.Volume{Name: "data", Driver: "local", CreatedAt: "then"}
	gone := &Volume{Name: "data", State: "absent"}
	bind := func(path string) *Volume {
		return &Volume{Name: "data", State: "present", Options: map[string]string{"type": "none", "o": "bind", "device": path}}
	}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file+"s", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		daemon  *fakeDaemon
		task    *Volume
		effects []host.Effect
		says    string
	}{
		"removed while it is used": {&fakeDaemon{volumes: []vol.Volume{mine}, containers: []container.Summary{joined("web", "running", nil, "data"), joined("old", "exited", nil, "data"), joined("db", "running", nil, "others")}}, gone, nil, "can't be removed while containers use it: old (exited), web."},
		"what it uses goes":        {&fakeDaemon{volumes: []vol.Volume{mine}, containers: []container.Summary{joined("web", "running", nil, "data")}}, gone, []host.Effect{host.Gone(host.Key{Space: containers, Name: "web"})}, ""},
		"behind the engine":        {&fakeDaemon{}, gone, []host.Effect{host.Open(host.Units, unit)}, host.ErrNotYet.Error()},
		"no folder to bind":        {&fakeDaemon{}, bind(file), nil, "there is no " + file},
		"an earlier task makes it": {&fakeDaemon{}, bind(file), []host.Effect{host.Is(host.File(file), host.FileInfo{Type: host.Directory, Mode: 0o755})}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := planned(t, fakeHost(t, c.daemon), c.task, c.effects...)
			if got := text(err); c.says == "" && err != nil || !strings.Contains(got, c.says) {
				t.Errorf("it says %q, want %q", got, c.says)
			}
		})
	}
}

func TestAVolumeIsRemovedOnlyAsItWasSeen(t *testing.T) {
	ctx := context.Background()
	d := &fakeDaemon{volumes: []vol.Volume{{Name: "data", Driver: "local", CreatedAt: "then"}}}
	h := fakeHost(t, d)
	gone := mustPlan(t, h, &Volume{Name: "data", State: "absent"})
	if impact := gone[0].Describe().Impact; impact != "its data is lost" {
		t.Errorf("the plan says %q", impact)
	}
	d.containers = []container.Summary{joined("web", "running", nil, "data")}
	if _, err := gone[0].Apply(ctx, h); !errors.Is(err, host.ErrMoved) || !strings.Contains(err.Error(), "web") {
		t.Errorf("a container uses it by now: %v", err)
	}
	d.containers = nil
	d.volumes[0].CreatedAt = "later"
	if _, err := gone[0].Apply(ctx, h); !errors.Is(err, host.ErrMoved) {
		t.Errorf("another volume of the name is removed: %v", err)
	}
	d.volumes[0].CreatedAt = "then"
	made(t, h, gone)
	made(t, h, gone) // as after a cut
	if len(d.volumes) != 0 {
		t.Errorf("it is still there: %v", d.volumes)
	}
}

func TestArgumentsOfAVolume(t *testing.T) {
	for want, v := range map[string]Volume{
		"":                                      {Name: "data", Options: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=10m"}},
		"name: is no name":                      {Name: "x"},
		`options["typ"]: not typ`:               {Name: "data", Options: map[string]string{"typ": "nfs"}},
		"options: needs both type and device":   {Name: "data", Options: map[string]string{"type": "nfs"}},
		`options["device"]: no absolute path`:   {Name: "data", Options: map[string]string{"type": "none", "o": "bind", "device": "srv"}},
		`labels["muster.declared"]: muster's`:   {Name: "data", Labels: map[string]string{"muster.declared": "x"}},
		"labels: A volume that is to be absent": {Name: "data", State: "absent", Labels: map[string]string{"a": "b"}},
	} {
		got := ""
		for _, e := range v.Check(func(string) bool { return false }) {
			got += e.Arg + e.Path + ": " + e.Detail + "\n"
		}
		at, part, _ := strings.Cut(want, ": ")
		if want == "" && got != "" || !strings.HasPrefix(got, at) || !strings.Contains(got, part) || strings.Count(got, "\n") > 1 {
			t.Errorf("%q says %q", want, got)
		}
	}
	if errs := (&Volume{Name: "data", Driver: "rclone", Options: map[string]string{"anything": "x"}}).Check(func(string) bool { return false }); len(errs) > 0 {
		t.Errorf("options of another driver: %v", errs)
	}
}
