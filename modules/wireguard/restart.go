package wireguard

import (
	"context"
	"errors"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
	"muster/modules/systemd"
)

// backScript puts the old configuration back and has wg-quick make the interface of it; of
// none there was none.
const backScript = `set -e
path=/etc/wireguard/$1.conf
cat >"$path.old"
if [ -s "$path.old" ]; then
	chmod --reference="$path" "$path.old" 2>/dev/null || chmod 600 "$path.old"
	mv "$path.old" "$path"
	if [ "$2" = up ]; then exec systemctl restart "wg-quick@$1.service"; fi
else
	rm -f "$path.old" "$path"
fi
exec systemctl stop "wg-quick@$1.service"
`

// again plans that wg-quick makes the interface of its configuration, on probation: the
// host may be reached through it, or its routes may take what leads to it.
func (e *editing) again(ctx context.Context, plan *modules.Plan) error {
	was, err := live(ctx, e.v, e.name, e.public)
	if err != nil {
		return err
	}
	write, err := e.written(ctx)
	if err != nil {
		return err
	}
	unit := unitOf(e.name)
	does := host.Description{Action: host.Create, Target: e.name, Diff: "state: down → up"}
	up := "down"
	if was != nil {
		up = "up"
		does.Action, does.Diff = host.Restart, strings.Join(e.why, "\n")
		does.Impact = "makes the interface anew: what goes through it stops for a moment"
		if n := was.sessions(); n > 0 {
			does.Impact += ", sessions of " + host.Counted(n, "peer", "peers") + " begin anew"
		}
		for _, key := range sortedKeys(was.Peers) {
			if e.conf.byKey(key) == nil && parse(e.name, e.text).byKey(key) == nil {
				does.Impact += "; the peer " + key + ", which only the running interface knows, is lost"
			}
		}
	}
	for _, n := range sortedKeys(e.moved) {
		if does.Impact != "" {
			does.Impact += "; "
		}
		does.Impact += "the route " + n + " " + e.moved[n]
	}
	after := e.conf.wants(func(path string) string { return e.shared(ctx, path) })
	if after.MTU == 0 && was != nil {
		after.MTU = was.MTU
	}
	start := &host.RunProgram{Argv: []string{"systemctl", "restart", unit}, Does: does, Leaves: []host.Effect{
		host.Is(deviceKey(e.name), after), host.Open(host.Units, unit), host.Open(host.Files, "/run/wireguard/"+e.name+".sock"), host.Begins(host.Files, "/run/wireguard"),
	}}
	plan.Changes = append(append(append(plan.Changes, e.before...), write...), start)
	plan.Probation = &modules.Probation{Changes: len(plan.Changes), Revert: e.back(up)}
	return nil
}

// back puts the old configuration back and has wg-quick make the interface of it, which was
// up or down.
func (e *editing) back(was string) host.Revert {
	return host.Revert{Argv: []string{"/bin/sh", "-c", backScript, "sh", e.name, was}, Input: []byte(e.text)}
}

// everything finds whether wg-quick has to make the interface anew because all addresses of a
// family are to lead to it, or no more are. What is up counts: a run may have been cut off
// behind the configuration.
func (e *editing) everything(was *device) {
	if was == nil || !e.conf.auto() {
		return
	}
	if want := e.conf.wants(func(string) string { return "" }).Everything; !slices.Equal(was.Everything, want) {
		e.restart, e.why = true, append(e.why, "all addresses (/0) are routed by rules of wg-quick's own")
	}
}

// made is the plan of what an editing has come to: in the interface that is up, or anew.
func (e *editing) made(ctx context.Context, was *device, blame func(n string) (modules.ArgError, bool)) (modules.Plan, error) {
	var plan modules.Plan
	e.everything(was)
	if err := e.ways(ctx, was, blame); err != nil {
		return plan, err
	}
	if e.restart {
		if err := e.again(ctx, &plan); err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, e.after...)
		return plan, nil
	}
	for _, c := range e.live {
		if r := c.(*host.RunProgram); r.Does.Action == host.Create {
			for n, what := range e.moved {
				if r.Does.Target == e.routeTo(n) {
					r.Does.Impact = what
				}
			}
		}
	}
	write, err := e.written(ctx)
	if err != nil {
		return plan, err
	}
	plan.Changes = slices.Concat(e.before, e.live, write, e.after)
	if e.risk && len(e.live) > 0 {
		plan.Probation = &modules.Probation{Changes: len(e.before) + len(e.live), Revert: e.back("up")}
	}
	return plan, nil
}

// remove plans that nothing of the interface is left.
func (w *Interface) remove(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	if !host.IsRoot() {
		return plan, tools(v)
	}
	var now *device
	program, err := v.Stat(wg)
	if err == nil && program.Exists() {
		now, err = live(ctx, v, w.Name, "")
	}
	if err != nil && !errors.Is(err, host.ErrNotYet) {
		return plan, err
	}
	unit := unitOf(w.Name)
	if now != nil {
		d := host.Description{Action: host.Delete, Target: w.Name, Diff: "state: up → down"}
		if n := len(now.Peers); n > 0 {
			d.Impact = host.Counted(n, "peer is", "peers are") + " cut off"
		}
		plan.Changes = append(plan.Changes, &host.RunProgram{
			Argv: []string{"/bin/sh", "-c", `systemctl stop "wg-quick@$1.service"; if ` + wg + ` show "$1" >/dev/null 2>&1; then ` + quick + ` down "$1"; fi`, "sh", w.Name}, Does: d,
			Leaves: []host.Effect{host.Gone(deviceKey(w.Name)), host.Open(host.Units, unit), host.Open(host.Files, "/run/wireguard/"+w.Name+".sock")},
		})
		plan.Probation = &modules.Probation{Changes: 1, Revert: host.Revert{Argv: []string{"systemctl", "start", unit}}}
	}
	disable, err := systemd.Disable(ctx, v, unit)
	if err != nil {
		return modules.Plan{}, err
	}
	plan.Changes = append(plan.Changes, disable...)
	in, err := v.Stat(folder)
	if err != nil || !in.Exists() {
		return plan, err
	}
	names, err := v.ReadDir(folder)
	if err != nil {
		return modules.Plan{}, err
	}
	// The configuration last: it tells what the other files are.
	var last []host.Change
	for _, name := range names {
		path := folder + "/" + name
		if path != confPath(w.Name) && path != keyPath(w.Name) && !strings.HasPrefix(path, pskPath(w.Name, "")) {
			continue
		}
		gone, err := drop(v, path)
		if err != nil {
			return modules.Plan{}, err
		}
		if path == confPath(w.Name) {
			last = gone
			continue
		}
		plan.Changes = append(plan.Changes, gone...)
	}
	plan.Changes = append(plan.Changes, last...)
	return plan, nil
}
