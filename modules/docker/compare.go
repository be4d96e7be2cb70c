package docker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// difference is a field of a container that isn't as declared.
type difference struct {
	field    string // of the task: "env"
	old, new string
}

// live are the fields that Docker alters without making the container anew.
var live = []string{"restart", "memory", "cpus"}

// compare returns what of have isn't as want declares, or isn't declared any more
// although it was.
func compare(have, want spec, was []string) []difference {
	var list []difference
	add := func(field string, old, new any) {
		if o, n := shown(old), shown(new); o != n {
			list = append(list, difference{field, o, n})
		}
	}
	gone := func(name string, isDeclared bool) bool { return !isDeclared && slices.Contains(was, name) }
	field := func(name, label string, isDeclared bool, old, new any, unset any) {
		switch {
		case isDeclared:
			add(name, old, new)
		case gone(label, isDeclared):
			add(name, old, unset)
		}
	}
	const images = "the image's"
	field("command", "command", want.Command != nil, have.Command, want.Command, images)
	field("entrypoint", "entrypoint", want.Entrypoint != nil, have.Entrypoint, want.Entrypoint, images)
	for _, name := range slices.Sorted(maps.Keys(want.Env)) {
		if value, ok := have.Env[name]; !ok || value != want.Env[name] {
			old := "none"
			if ok {
				old = name + "=" + value
			}
			list = append(list, difference{"env", old, name + "=" + want.Env[name]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want.Labels)) {
		if value, ok := have.Labels[name]; !ok || value != want.Labels[name] {
			old := "none"
			if ok {
				old = name + "=" + value
			}
			list = append(list, difference{"labels", old, name + "=" + want.Labels[name]})
		}
	}
	for _, label := range was {
		if name, ok := strings.CutPrefix(label, "env."); ok {
			if _, still := want.Env[name]; !still {
				list = append(list, difference{"env", name + "=" + have.Env[name], images})
			}
		}
		if name, ok := strings.CutPrefix(label, "labels."); ok {
			if _, still := want.Labels[name]; !still {
				list = append(list, difference{"labels", name + "=" + have.Labels[name], "none"})
			}
		}
	}
	field("ports", "ports", want.Ports != nil, each(have.Ports, plainPort), each(want.Ports, plainPort), "none")
	field("volumes", "volumes", want.Volumes != nil, each(have.Volumes, plainMount), each(want.Volumes, plainMount), "none")
	field("networks", "networks", want.Networks != nil, have.Networks, want.Networks, "[bridge]")
	field("aliases", "aliases", want.Aliases != nil, have.Aliases, want.Aliases, "none")
	field("restart", "restart", want.Restart != "", have.Restart, want.Restart, "no")
	field("user", "user", want.User != "", have.User, want.User, images)
	field("memory", "memory", want.Memory != 0, have.Memory, want.Memory, int64(0))
	field("cpus", "nano_cpus", want.NanoCPUs != 0, float64(have.NanoCPUs)/1e9, float64(want.NanoCPUs)/1e9, 0.0)
	field("health", "health", want.Health != nil, have.Health, want.Health.over(have.Health), images)
	field("stop_timeout", "stop_timeout", want.StopAfter != nil, have.StopAfter, want.StopAfter, "10s")
	return list
}

// over is a health check as declared, with what isn't declared of it as it is: Docker
// takes that from the image.
func (h *health) over(have *health) *health {
	if h == nil || have == nil || slices.Equal(h.Test, none) {
		return h
	}
	o := *h
	for _, f := range []struct{ mine, theirs *time.Duration }{{&o.Interval, &have.Interval}, {&o.Timeout, &have.Timeout}, {&o.StartPeriod, &have.StartPeriod}} {
		if *f.mine == 0 {
			*f.mine = *f.theirs
		}
	}
	if o.Retries == 0 {
		o.Retries = have.Retries
	}
	return &o
}

func each(list []string, f func(string) string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = f(s)
	}
	return out
}

// plainPort is a port as people write it: "8080:80".
func plainPort(s string) string { return strings.TrimSuffix(strings.TrimPrefix(s, ":"), "/tcp") }

// plainMount is a mount as people write it: "data:/srv".
func plainMount(s string) string { return strings.TrimSuffix(s, ":rw") }

// shown is a value as a plan shows it.
func shown(v any) string {
	switch x := v.(type) {
	case string:
		if x == "" {
			return "none"
		}
		return x
	case []string:
		if len(x) == 0 {
			return "none"
		}
		return "[" + strings.Join(x, ", ") + "]"
	case int64:
		if x == 0 {
			return "none"
		}
		return size(x)
	case float64:
		if x == 0 {
			return "none"
		}
		return fmt.Sprint(x)
	case *int:
		if x == nil {
			return "10s"
		}
		return fmt.Sprintf("%ds", *x)
	case *health:
		if x == nil || slices.Equal(x.Test, none) {
			return "none"
		}
		return fmt.Sprintf("%q every %s, %s long, %d times, after %s", x.Test, cmp.Or(x.Interval, 30*time.Second), cmp.Or(x.Timeout, 30*time.Second), cmp.Or(x.Retries, 3), x.StartPeriod)
	}
	return fmt.Sprint(v)
}

// size is a number of bytes in the largest unit that it is whole in.
func size(n int64) string {
	unit := 0
	for ; unit < 3 && n%1024 == 0; unit++ {
		n /= 1024
	}
	return fmt.Sprintf("%d%s", n, []string{"b", "k", "m", "g"}[unit])
}

// diff is the differences as a plan shows them.
func diff(list []difference) string {
	var lines []string
	for _, d := range list {
		lines = append(lines, fmt.Sprintf("%s: %s → %s", d.field, oneLine(d.old), oneLine(d.new)))
	}
	return strings.Join(lines, "\n")
}

func oneLine(s string) string {
	if strings.ContainsAny(s, "\n\r") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
