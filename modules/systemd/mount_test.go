package systemd

import (
	"slices"
	"testing"

	"muster/host"
)

// What a mount brings into sight may appear when its unit is started, and not before.
func TestAMountBringsWhatIsBelowIt(t *testing.T) {
	for unit, at := range map[string]string{
		"srv-data.mount":           "/srv/data/",
		`srv-my\x2ddata.mount`:     "/srv/my-data/",
		`srv-mt\x20mount.mount`:    "/srv/mt mount/",
		"mnt.automount":            "/mnt/",
		"-.mount":                  "",
		"srv-data.service":         "",
		"systemd-tmpfiles-x.timer": "",
	} {
		brings := slices.ContainsFunc((&Act{Unit: unit, Target: unit, Verb: start}).Effects(), func(e host.Effect) bool {
			return e.Prefix && e.Key == host.File(at)
		})
		may := slices.ContainsFunc((&Service{Name: unit}).May(), func(e host.Effect) bool { return e.Prefix && e.Key == host.File(at) })
		if brings != (at != "") || may != brings {
			t.Errorf("%s brings something below %q: %t, and may: %t", unit, at, brings, may)
		}
		if slices.ContainsFunc((&Act{Unit: unit, Target: unit, Verb: stop}).Effects(), func(e host.Effect) bool { return e.Prefix }) {
			t.Errorf("%s brings something when it is stopped", unit)
		}
	}
}
