// Package packages has the kind that installs and removes packages.
//
// Reading is done without a program: dpkg's database is parsed once for all
// tasks. Only where something is to be installed, upgraded or removed does apt
// work out, on a private cache, what else that brings or takes; the plan names
// all of it. Making it is one run of apt for one task.
package packages

import (
	"fmt"
	"strings"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "package", Output: Output{}, New: func() modules.Module { return &Package{} }},
	}
}

// Package installs, upgrades, holds or removes packages.
//
// Several names are one run of the package manager. Configuration files that
// were edited are kept. A service that a package brings is enabled as the
// package says, but started by a "service" task, once its configuration is in
// place, and not before; start_services starts it as the package says. What
// runs already is restarted by an upgrade as always.
type Package struct {
	// One package or several. "name:arch" is another architecture's,
	// "name=version" (which may end in "*") is a version. Patterns, "name/suite"
	// and "name-" aren't taken.
	Name modules.OneOrMore `arg:"name,key,required"`
	// "latest" also upgrades, to the newest version that the lists know. A name
	// that others provide is there where one of them is, and absent where none is:
	// all that provide it are then removed.
	State string `arg:"state" oneof:"present absent latest" default:"present"`
	// The version, of a single package; "*" stands for any text.
	Version string `arg:"version"`
	// Keep the package at its version when the system is upgraded, or cease to.
	// What isn't given is left as it is. With hold = true this task alone moves
	// the package, which stays held.
	Hold *bool `arg:"hold"`
	// Let a version be replaced by an older one.
	AllowDowngrade bool `arg:"allow_downgrade" default:"false"`
	// Remove configuration and data too, with state "absent".
	Purge bool `arg:"purge" default:"false"`
	// How old the package lists may be when something is to be installed:
	// older ones are fetched anew first. Without it they are only fetched
	// where there are none, or where the repositories have changed since.
	UpdateCache *modules.Duration `arg:"update_cache"`
	// How long to wait for another program that is installing packages.
	LockTimeout *modules.Duration `arg:"lock_timeout" default:"2m"`
	// Install what packages recommend too. By default apt's own settings
	// decide (Debian: yes).
	Recommends *bool `arg:"recommends"`
	// Let new services start when their package is installed.
	StartServices bool `arg:"start_services" default:"false"`
	// The package manager; it is found by itself.
	Backend string `arg:"backend" oneof:"apt"`
}

// Output is what a package task offers.
type Output struct {
	// The installed versions by name; absent ones aren't listed.
	Versions map[string]string `json:"versions"`
}

// Check refuses names that aren't any, and contradictions.
func (p *Package) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, path, summary, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: detail})
	}
	if len(p.Name) == 0 && !unknown("name") {
		fail("name", "", "Wrong value", `"name" is empty: it takes a package or a list of them.`)
	}
	seen := map[string]bool{}
	for i, name := range p.Name {
		if name == "" && unknown("name") {
			continue
		}
		path := ""
		if len(p.Name) > 1 {
			path = fmt.Sprintf("[%d]", i)
		}
		m := nameForm.FindStringSubmatch(name)
		switch {
		case misread(name, m) != nil:
			e := misread(name, m)
			e.Arg, e.Path = "name", path
			errs = append(errs, *e)
		case m[3] != "" && p.Version != "":
			fail("version", "", "Conflicting arguments", fmt.Sprintf("%q already names a version.", name))
		case m[3] != "" && p.State != "" && p.State != "present":
			fail("state", "", "Conflicting arguments", fmt.Sprintf("A version (%q) goes with state \"present\" only.", name))
		case seen[m[1]+":"+m[2]]:
			fail("name", path, "Wrong value", fmt.Sprintf("%q stands twice in the list.", name))
		default:
			seen[m[1]+":"+m[2]] = true
		}
	}
	switch {
	case p.Version == "":
	case len(p.Name) > 1:
		fail("version", "", "Conflicting arguments", `"version" is for a single package: in a list, write "name=version".`)
	case p.State == "latest" || p.State == "absent":
		fail("version", "", "Conflicting arguments", fmt.Sprintf("A version goes with state \"present\" only, not with %q.", p.State))
	case !versionForm.MatchString(p.Version) || strings.HasSuffix(p.Version, "-"):
		fail("version", "", "Wrong value", fmt.Sprintf("%q is no version.", p.Version))
	}
	if p.Purge && p.State != "absent" && !unknown("state") {
		fail("purge", "", "Conflicting arguments", `"purge" goes with state = "absent".`)
	}
	if p.State == "absent" && p.Hold != nil {
		fail("hold", "", "Conflicting arguments", `A package that is to be absent can't be held.`)
	}
	return errs
}

// target names the task's packages, always all of them, so that a forecast and
// what becomes of it have the same target.
func (p *Package) target() string {
	if len(p.Name) == 1 {
		return "package " + p.Name[0]
	}
	return "packages " + strings.Join(p.Name, ", ")
}

// May is what a package task may alter whatever its lists turn out to say: its
// packages, and whatever they bring.
func (p *Package) May() []host.Effect {
	list := []host.Effect{{Key: transactionKey(), State: host.Unknown}, host.May(host.Packages), host.May(remainsSpace)}
	for _, name := range p.Name {
		if m := nameForm.FindStringSubmatch(name); m != nil {
			list = append(list, host.Open(host.Packages, m[1]), host.Open(remainsSpace, m[1]))
		}
	}
	if len(p.Name) == 0 {
		list = append(list, host.Open(host.Packages, ""))
	}
	return append(list, brings()...)
}
