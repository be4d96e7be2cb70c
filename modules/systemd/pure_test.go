package systemd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/host"
	"muster/modules"
)

const shown = `Type=notify
MainPID=39
Result=success
ReloadResult=success
NRestarts=2
RemainAfterExit=no
ExecMainStartTimestamp=Sun 2026-11-22 23:49:47.804673 UTC
Id=ssh.service
Names=ssh.service sshd.service
LoadState=loaded
ActiveState=active
SubState=running
FragmentPath=/lib/systemd/system/ssh.service
DropInPaths=/etc/systemd/system/ssh.service.d/a.conf
UnitFileState=enabled
StateChangeTimestamp=Sun 2026-11-22 23:49:48.104018 UTC
ActiveEnterTimestamp=Sun 2026-11-22 23:49:48.104018 UTC
CanReload=yes
NeedDaemonReload=yes
InvocationID=9150

Id=x.timer
Names=x.timer
LoadState=not-found
ActiveState=inactive
ExecMainStartTimestamp=
`

func TestWhatSystemctlShowsIsRead(t *testing.T) {
	list, err := parseShow([]byte(shown), nil)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	at := func(us int) time.Time { return time.Date(2026, 11, 22, 23, 49, 0, us*1000, time.UTC) }
	want := &Unit{
		ID: "ssh.service", Names: []string{"ssh.service", "sshd.service"}, Load: "loaded", Active: "active", Sub: "running", File: "enabled",
		Fragment: "/lib/systemd/system/ssh.service", DropIns: []string{"/etc/systemd/system/ssh.service.d/a.conf"}, Reread: true,
		Invocation: "9150", Restarts: 2, Type: "notify", Reloads: true, Result: "success", PID: 39,
		Started: at(47804673), Reloaded: at(48104018),
	}
	if d := cmp.Diff(want, list[0]); d != "" {
		t.Error(d)
	}
	failed, _ := parseShow([]byte(strings.Replace(shown, "ReloadResult=success", "ReloadResult=exit-code", 1)), nil)
	if !failed[0].Reloaded.Equal(failed[0].Started) {
		t.Error("a failed reload counts as one")
	}
	if got := parseTime("Sun 2026-11-22 23:49:47 UTC"); got.IsZero() {
		t.Error("times without microseconds aren't read")
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	registry := modules.NewRegistry(Kinds()...)
	for _, test := range []struct {
		name, kind string
		args       map[string]any
		want       string // "" where they are right
	}{
		{"a name", "service", map[string]any{"name": "haproxy"}, ""},
		{"an instance", "service", map[string]any{"name": "getty@tty1.service"}, ""},
		{"a template", "service", map[string]any{"name": "getty@"}, "is a template"},
		{"a pattern", "service", map[string]any{"name": "ssh*"}, "is no unit's name"},
		{"an option", "service", map[string]any{"name": "--all"}, "is no unit's name"},
		{"masked and running", "service", map[string]any{"name": "x", "masked": true, "state": "running"}, "can't run"},
		{"masked and enabled", "service", map[string]any{"name": "x", "masked": true, "enabled": true}, "can't be enabled"},
		{"masked with files", "service", map[string]any{"name": "x", "masked": true, "restart_on": []any{"/etc/x"}}, "has no restart_on"},
		{"masked, stopped and disabled", "service", map[string]any{"name": "x", "masked": true, "state": "stopped", "enabled": false}, ""},
		{"masked alone", "service", map[string]any{"name": "x", "masked": true}, ""},
		{"stopped with files", "service", map[string]any{"name": "x", "state": "stopped", "restart_on": []any{"/etc/x"}}, "has no restart_on"},
		{"a relative path", "service", map[string]any{"name": "x", "reload_on": []any{"etc/x"}}, "no absolute path"},
		{"a unit", "unit", map[string]any{"name": "x.service", "content": "x"}, ""},
		{"a drop-in", "unit", map[string]any{"name": "x.service.d/a.conf", "content": "x"}, ""},
		{"a unit without type", "unit", map[string]any{"name": "x", "content": "x"}, "no unit file's name"},
		{"a unit elsewhere", "unit", map[string]any{"name": "../x.service", "content": "x"}, "no unit file's name"},
		{"a unit without content", "unit", map[string]any{"name": "x.service"}, "needs its"},
		{"content of what is absent", "unit", map[string]any{"name": "x.service", "content": "x", "state": "absent"}, "has no content"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, errs := registry.Decode(test.kind, test.args)
			var all []string
			for _, e := range errs {
				all = append(all, e.Error())
			}
			got := strings.Join(all, "\n")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatBecameOfAUnit(t *testing.T) {
	first := Unit{Active: "active", Sub: "running", Type: "simple", Invocation: "a"}
	for _, test := range []struct {
		name string
		now  func(u *Unit)
		died bool
	}{
		{"it runs", func(u *Unit) {}, false},
		{"it failed", func(u *Unit) { u.Active = "failed" }, true},
		{"it waits to be started again", func(u *Unit) { u.Active, u.Sub = "activating", "auto-restart" }, true},
		{"it reads active and is another process", func(u *Unit) { u.Invocation = "b" }, true},
		{"it ended", func(u *Unit) { u.Active = "inactive" }, true},
		{"a oneshot ended", func(u *Unit) { u.Active, u.Type = "inactive", "oneshot" }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := first
			test.now(&now)
			if got := died(&first, &now); (got != "") != test.died {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestUnitsThatTasksWillAskForAreAskedForAtOnce(t *testing.T) {
	units := map[string]*Unit{}
	for _, n := range []string{"a.service", "b.timer", "c.service"} {
		units[n] = &Unit{ID: n, Load: "loaded"}
	}
	for name, test := range map[string]struct {
		expected []string
		asked    []string
	}{
		"nothing is expected":      {asked: []string{"a.service", "*.timer", "b.timer", "*.service", "c.service", "gone.service"}},
		"all are expected":         {expected: []string{"a", "b.timer", "c", "gone"}, asked: []string{"a.service b.timer c.service gone.service"}},
		"one can't be answered":    {expected: []string{"b.timer", "bad"}, asked: []string{"a.service b.timer bad.service", "a.service", "*.timer", "b.timer", "*.service", "c.service", "gone.service"}},
		"names that none can have": {expected: []string{"*", "-x", "c"}, asked: []string{"a.service c.service", "*.timer", "b.timer", "*.service", "gone.service"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := host.NewView(host.New(), nil)
			expect(v, test.expected)
			us := manager{}.units(v)
			var asked []string
			us.ask = func(_ context.Context, _ *host.View, names ...string) ([]*Unit, error) {
				asked = append(asked, strings.Join(names, " "))
				var list []*Unit
				for _, n := range names {
					switch {
					case n == "bad.service":
						return nil, errors.New("invalid")
					case strings.HasPrefix(n, "*"): // none of them is loaded
					case units[n] != nil:
						list = append(list, units[n])
					default:
						list = append(list, &Unit{ID: n, Load: "not-found"})
					}
				}
				return list, nil
			}
			for _, n := range []string{"a.service", "b.timer", "c.service", "gone.service", "b.timer"} {
				if u, err := us.get(t.Context(), v, n); u != units[n] || err != nil {
					t.Errorf("%s is %v, %v", n, u, err)
				}
			}
			if diff := cmp.Diff(test.asked, asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}
