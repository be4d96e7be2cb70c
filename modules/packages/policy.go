package packages

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"muster/host"
)

// policyPath is asked by packages' scripts before they start a service
// (Debian's policy 9.3.3.2, invoke-rc.d(8), deb-systemd-invoke(1)).
const policyPath = "/usr/sbin/policy-rc.d"

// policyScript denies (101) the start of a service that is new. It does that
// only for programs that we started: what a kill leaves behind does nothing.
// Restarts, and services that were there before, are as the packages say.
const policyScript = `#!/bin/sh
# Made by muster while it installs packages, and removed after.
[ -n "$MUSTER_KNOWN_UNITS" ] && [ -r "$MUSTER_KNOWN_UNITS" ] || exit 0
case $2 in start|restart) ;; *) exit 0 ;; esac
case $1 in *.service) unit=$1 ;; *.*) exit 0 ;; *) unit=$1.service ;; esac
base=$unit
case $unit in *@*) base=${unit%%@*}@.service ;; esac
grep -qxF -e "$unit" -e "$base" "$MUSTER_KNOWN_UNITS" && exit 0
exit 101
`

// policy is the script in its place.
type policy struct {
	env   []string
	known *host.Scratch // holds the list of the services there were before
	ours  bool
}

// holdServices puts the script in its place, unless the host's administrator
// has one: that is followed.
//
// broken are packages that were unpacked before: where none of their versions
// ran, their services are new too.
func holdServices(db *database, broken ...string) (*policy, error) {
	scratch, err := host.NewScratch()
	if err != nil {
		return nil, fmt.Errorf("keeping new services from starting: %w", err)
	}
	p := &policy{known: scratch}
	known, err := scratch.Write("units", []byte(strings.Join(knownServices(db.newUnits(broken)), "\n")+"\n"), 0o600)
	if err != nil {
		p.remove()
		return nil, fmt.Errorf("keeping new services from starting: %w", err)
	}
	p.env = []string{"MUSTER_KNOWN_UNITS=" + known}
	have, err := os.ReadFile(policyPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil || !bytes.Equal(have, []byte(policyScript)):
		return p, nil
	}
	p.ours = true
	if err := host.Put(policyPath, []byte(policyScript), 0o755); err != nil {
		p.remove()
		return nil, fmt.Errorf("keeping new services from starting: %w", err)
	}
	return p, nil
}

func (p *policy) remove() {
	if have, err := os.ReadFile(policyPath); p.ours && err == nil && bytes.Equal(have, []byte(policyScript)) {
		_ = host.Drop(policyPath)
	}
	p.known.Remove()
}

// knownServices are the services whose unit, or script where there is no unit,
// is there already. A script alone that a removed package left isn't one.
func knownServices(fresh map[string]bool) []string {
	names := map[string]bool{}
	for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".service") && !fresh[e.Name()] && !dangling(filepath.Join(dir, e.Name())) {
				names[e.Name()] = true
			}
		}
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil { // another init
		scripts, _ := os.ReadDir("/etc/init.d")
		for _, e := range scripts {
			names[e.Name()+".service"] = true
		}
	}
	list := make([]string, 0, len(names))
	for n := range names {
		list = append(list, n)
	}
	sort.Strings(list)
	return list
}

// dangling reports a link to nowhere: an enablement that outlived its unit.
func dangling(path string) bool {
	_, err := os.Stat(path)
	return err != nil
}

// newUnits are the units in packages that were unpacked but never configured.
func (db *database) newUnits(names []string) map[string]bool {
	units := map[string]bool{}
	for _, name := range names {
		if r := db.packages[name]; r != nil && r.fresh {
			for _, path := range db.files(name) {
				if strings.HasSuffix(path, ".service") {
					units[filepath.Base(path)] = true
				}
			}
		}
	}
	return units
}
