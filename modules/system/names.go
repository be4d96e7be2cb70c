package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"muster/host"
	"muster/modules"
)

// Hostname is the host's name, at once and after a boot. /etc/hosts is left
// as it is.
type Hostname struct {
	// The name: labels of letters, digits and "-", with dots between.
	Name string `arg:"name,key,required"`
}

// hostnameForm is RFC 1123, section 2.1; Linux takes 64 bytes (sethostname(2)).
var hostnameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// Check refuses what is no host's name.
func (n *Hostname) Check(unknown func(string) bool) []modules.ArgError {
	if unknown("name") || hostnameForm.MatchString(n.Name) && len(n.Name) <= 64 {
		return nil
	}
	return []modules.ArgError{{Arg: "name", Summary: "Wrong value", Detail: fmt.Sprintf("%q is no host name: labels of letters, digits and \"-\" with dots between, 64 characters at most.", n.Name)}}
}

// May is the one name that a host has, and its file.
func (n *Hostname) May() []host.Effect {
	return []host.Effect{{Key: hostnameKey(), State: host.Unknown}, host.Open(host.Files, "/etc/hostname")}
}

// hostnameKey is the kernel's parameter that the name is.
func hostnameKey() host.Key { return parameterKey("kernel.hostname") }

// Plan compares the file and the kernel's name.
func (n *Hostname) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	old, err := v.ReadFile(ctx, "/etc/hostname", 4096)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return plan, err
	}
	if configured(string(old)) != n.Name {
		if plan.Changes, err = v.Rewrite(ctx, "/etc/hostname", func(string) (string, error) { return n.Name + "\n", nil }); err != nil {
			return modules.Plan{}, err
		}
	}
	now, err := host.Read(v, hostnameKey(), func() (*string, error) {
		name, err := os.Hostname()
		return &name, err
	})
	if err != nil {
		return modules.Plan{}, err
	}
	if *now != n.Name {
		plan.Changes = append(plan.Changes, &SetHostname{Name: n.Name, Before: *now})
	}
	return plan, nil
}

// configured is the name in the text of /etc/hostname: hostname(5).
func configured(text string) string {
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

// SetHostname gives the running system its name.
type SetHostname struct {
	Name   string `json:"name"`
	Before string `json:"before"`
}

// Type is "hostname.set/1".
func (*SetHostname) Type() string { return "hostname.set/1" }

// Describe shows both names.
func (s *SetHostname) Describe() host.Description {
	return host.Description{Action: host.Update, Target: "hostname", Diff: fmt.Sprintf("hostname: %s → %s", s.Before, s.Name)}
}

// Effects is the name.
func (s *SetHostname) Effects() []host.Effect {
	return []host.Effect{host.Is(hostnameKey(), s.Name)}
}

// Apply sets the name; systemd-hostnamed and journald see it by themselves.
func (s *SetHostname) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	now, err := os.Hostname()
	if err != nil {
		return host.Result{}, err
	}
	if now != s.Before && now != s.Name {
		return host.Result{}, fmt.Errorf("the host's name is %s: %w", now, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{Changes: []host.Change{&SetHostname{Name: s.Before, Before: s.Name}}}); err != nil {
		return host.Result{}, err
	}
	if err := setHostname(s.Name); err != nil {
		return host.Result{}, fmt.Errorf("setting the host's name: %w", err)
	}
	return host.Result{}, h.At("set the name")
}

// Timezone is the host's time zone. Programs that run read it when they start.
type Timezone struct {
	// A zone of the tz database: "Europe/Berlin", "Etc/UTC".
	Name string `arg:"name,key,required"`
}

var zoneForm = regexp.MustCompile(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$`)

// Check refuses what is no zone's name.
func (z *Timezone) Check(unknown func(string) bool) []modules.ArgError {
	if unknown("name") || zoneForm.MatchString(z.Name) {
		return nil
	}
	return []modules.ArgError{{Arg: "name", Summary: "Wrong value", Detail: fmt.Sprintf("%q is no time zone: it takes a name of the tz database, such as \"Europe/Berlin\".", z.Name)}}
}

// May is the files that hold it.
func (z *Timezone) May() []host.Effect {
	return []host.Effect{host.Open(host.Files, "/etc/localtime"), host.Open(host.Files, "/etc/timezone")}
}

const zoneinfo = "/usr/share/zoneinfo"

// Plan compares the link /etc/localtime, and /etc/timezone where there is one.
func (z *Timezone) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	want := filepath.Join(zoneinfo, z.Name)
	info, err := v.Stat(want)
	if err != nil {
		return plan, err
	}
	if info.Type != host.Regular {
		return plan, fmt.Errorf("there is no time zone %q on this host (%s): check the name, or install tzdata first", z.Name, want)
	}
	before, err := v.Lstat("/etc/localtime")
	if err != nil {
		return plan, err
	}
	if before.Type == host.Directory {
		return plan, fmt.Errorf("/etc/localtime is a directory")
	}
	// The link may be relative, as systemd makes it, or absolute.
	target := before.Target
	if target != "" && !filepath.IsAbs(target) {
		target = filepath.Join("/etc", target)
	}
	if before.Type != host.Symlink || filepath.Clean(target) != want {
		plan.Changes = append(plan.Changes, &host.MakeLink{
			Path: "/etc/localtime", Target: want, Before: before, After: host.FileInfo{Type: host.Symlink, Target: want, Owner: "root", Group: "root"},
		})
	}
	old, err := v.ReadFile(ctx, "/etc/timezone", 4096)
	switch {
	case errors.Is(err, fs.ErrNotExist): // only Debian has it, up to 12
	case err != nil:
		return modules.Plan{}, err
	case strings.TrimSpace(string(old)) != z.Name:
		file, err := v.Rewrite(ctx, "/etc/timezone", func(string) (string, error) { return z.Name + "\n", nil })
		if err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, file...)
	}
	return plan, nil
}
