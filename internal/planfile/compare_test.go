package planfile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/host"
	"muster/internal/planfile"
	"muster/internal/wire"
)

func TestCompareSaysWhatMoved(t *testing.T) {
	create := host.Description{Action: host.Create, Target: "/etc/x"}
	updated := host.Description{Action: host.Update, Target: "/etc/x", Diff: "-a\n"}
	known := planned("web1", "0/task.file.x", wire.Pending, "d1", updated)
	with := func(edit func(t *planfile.Task)) []planfile.Task {
		other := known
		edit(&other)
		return []planfile.Task{other}
	}
	for name, test := range map[string]struct {
		saved, now []planfile.Task
		want       string
	}{
		"nothing moved": {[]planfile.Task{known}, []planfile.Task{known}, ""},
		"a diff is worded otherwise": {[]planfile.Task{known}, with(func(t *planfile.Task) {
			t.Changes = []host.Description{{Action: host.Update, Target: "/etc/x", Diff: "other"}}
		}), ""},
		"it fails for another reason": {with(func(t *planfile.Task) { t.Status, t.Error = wire.Failed, "a" }), with(func(t *planfile.Task) { t.Status, t.Error = wire.Failed, "b" }), ""},
		"another action": {[]planfile.Task{known}, with(func(t *planfile.Task) { t.Changes, t.Digest = []host.Description{create}, "d2" }),
			"task.file.x: was update /etc/x, is now create /etc/x"},
		"another change of the same words": {[]planfile.Task{known}, with(func(t *planfile.Task) { t.Digest = "d2" }),
			"task.file.x: update /etc/x: its change is no longer the same"},
		"it was done by someone": {[]planfile.Task{known}, with(func(t *planfile.Task) { t.Status, t.Changes, t.Digest = wire.Unchanged, nil, "" }),
			""},
		"it is no longer known": {[]planfile.Task{known}, with(func(t *planfile.Task) { t.Certainty = wire.Tentative }),
			"task.file.x: was update /etc/x, is now update /etc/x (tentative)"},
		"what made it tentative was done": {with(func(t *planfile.Task) { t.Certainty = wire.Tentative }), []planfile.Task{known}, ""},
		"what made it tentative was done, and it changes": {with(func(t *planfile.Task) { t.Certainty, t.Digest = wire.Tentative, "d2" }), []planfile.Task{known},
			"task.file.x: update /etc/x: its change is no longer the same"},
		"it foresees something else": {with(func(t *planfile.Task) { t.Then = []host.Description{create} }), with(func(t *planfile.Task) { t.Then = []host.Description{updated} }),
			"task.file.x: was update /etc/x, then create /etc/x, is now update /etc/x, then update /etc/x"},
		"it stood behind others, and wants the same": {with(func(t *planfile.Task) { t.Behind, t.Wants, t.Changes = true, "w", []host.Description{create} }),
			with(func(t *planfile.Task) { t.Wants, t.Digest = "w", "d2" }), ""},
		"it stood behind others, and wants something else": {with(func(t *planfile.Task) { t.Behind, t.Wants = true, "w" }),
			with(func(t *planfile.Task) { t.Wants, t.Digest = "v", "d2" }), "task.file.x: update /etc/x: its change is no longer the same"},
		"it stood behind nothing, and wants the same": {with(func(t *planfile.Task) { t.Wants = "w" }),
			with(func(t *planfile.Task) { t.Wants, t.Digest = "w", "d2" }), "task.file.x: update /etc/x: its change is no longer the same"},
		"it was known after apply, and does what was forecast": {
			with(func(t *planfile.Task) {
				t.Certainty, t.Changes, t.Then = wire.Deferred, nil, []host.Description{create}
			}), []planfile.Task{known}, ""},
		"it was known after apply, and does more": {
			with(func(t *planfile.Task) {
				t.Certainty, t.Changes, t.Then = wire.Deferred, nil, []host.Description{create}
			}),
			with(func(t *planfile.Task) {
				t.Changes = []host.Description{updated, {Action: host.Update, Target: "/etc/y"}}
			}),
			"task.file.x: was then create /etc/x (deferred), is now update /etc/x, update /etc/y"},
		"it is gone": {[]planfile.Task{known}, nil, "task.file.x: was update /etc/x, and is no longer in the plan"},
		"it is new":  {nil, with(func(t *planfile.Task) { t.Key, t.Role = "a", "web" }), `role web: task.file.x["a"]: was not in the plan, is now update /etc/x`},
		"the same task for another host": {with(func(t *planfile.Task) { t.On = "lb1" }), with(func(t *planfile.Task) { t.On = "lb2" }),
			"task.file.x: was update /etc/x, and is no longer in the plan; task.file.x: was not in the plan, is now update /etc/x"},
		"a name that isn't UTF-8 came from a file": {with(func(t *planfile.Task) { t.Changes = []host.Description{{Action: host.Update, Target: "/\ufffd"}} }),
			with(func(t *planfile.Task) { t.Changes = []host.Description{{Action: host.Update, Target: "/\xff"}} }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for i, m := range planfile.Compare(test.saved, test.now) {
				if i > 0 {
					got += "; "
				}
				got += m.Text
				if m.Host != "web1" || m.ID != known.ID {
					t.Errorf("%+v is of no task", m)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
