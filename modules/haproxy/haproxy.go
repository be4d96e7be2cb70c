// Package haproxy has the kinds that set up HAProxy: its configuration, with
// certificates and maps, and the state of its servers.
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "haproxy", Output: Output{}, Undoes: []host.Change{&Load{}}, New: func() modules.Module { return &HAProxy{} }},
		{Name: "haproxy_server", Output: ServerOutput{}, Undoes: []host.Change{&PutServer{}}, New: func() modules.Module { return &LiveServer{} }},
	}
}

// HAProxy is its configuration, with its certificates and maps, and that it runs with
// them. The file is the task's as a whole: what it had besides goes, and the plan shows
// it. HAProxy has to be installed by an earlier task; the role "haproxy" does all of it.
//
// HAProxy itself checks the configuration while planning, and muster that the addresses
// to listen on are free. Then the files are written, and HAProxy is told through its socket
// where that is enough (a server's weight or address, certificates, the lines of maps),
// else reloaded. A reload keeps what was set through sockets: a drained server stays
// drained. Then the worker is asked whether it has all of it; where it hasn't, what stood
// there comes back, and the task fails.
type HAProxy struct {
	Config
	// A template in the place of those blocks.
	Source *host.Content `arg:"source,template"`
	// Certificates by name: each becomes /etc/haproxy/certs/NAME.pem, for binds.
	Certificates map[string]Certificate `arg:"certificates,sensitive"`
	// Maps by name: each becomes /etc/haproxy/maps/NAME.map, a line for each key with its
	// value.
	Maps map[string]map[string]string `arg:"maps"`
}

// Output is what a haproxy task offers.
type Output struct {
	// Its version.
	Version string `json:"version"`
	// Servers that were put into a state through a socket, as "BACKEND/SERVER".
	Set []string `json:"set"`
}

const (
	certsFolder = "/etc/haproxy/certs"
	mapsFolder  = "/etc/haproxy/maps"
)

var fileName = regexp.MustCompile(`^[A-Za-z0-9_*-][A-Za-z0-9_.*-]*$`)

// Check refuses what can't be a configuration.
func (h *HAProxy) Check(unknown func(string) bool) []modules.ArgError {
	errs := h.check(unknown)
	fail := func(arg, path, summary, format string, a ...any) {
		errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(format, a...)})
	}
	switch given := h.given(); {
	case given && (h.Source != nil || unknown("source")):
		fail("source", "", "Conflicting arguments", "The configuration is either a template of one's own or made of blocks.")
	case !given && h.Source == nil && !unknown("source") && !slices.ContainsFunc([]string{"global", "defaults", "frontend", "backend", "listen", "raw"}, unknown):
		fail("", "", "Missing argument", `task "haproxy" needs a configuration: blocks such as "frontend" and "backend", or "source".`)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Certificates)) {
		if !fileName.MatchString(name) {
			fail("certificates", fmt.Sprintf("[%q]", name), "Wrong name", "%q can't be a file's name: letters, digits, _ . * and - can.", name)
		}
		if c := h.Certificates[name]; !unknown("certificates") {
			errs = append(errs, c.check(fmt.Sprintf("[%q]", name), time.Now())...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.Maps)) {
		if !fileName.MatchString(name) {
			fail("maps", fmt.Sprintf("[%q]", name), "Wrong name", "%q can't be a file's name: letters, digits, _ . * and - can.", name)
		}
		for _, key := range slices.Sorted(maps.Keys(h.Maps[name])) {
			if err := mapLine(key, h.Maps[name][key]); err != "" {
				fail("maps", fmt.Sprintf("[%q][%q]", name, key), "Wrong value", "%s", err)
			}
		}
	}
	return errs
}

// May is the files, and HAProxy.
func (h *HAProxy) May() []host.Effect {
	return append(keeps(),
		host.Begins(host.Files, "/etc/haproxy/"), host.Open(host.Files, "/etc/haproxy/haproxy.cfg"),
		host.Open(host.Files, certsFolder), host.Open(host.Files, mapsFolder),
		host.Begins(host.Files, certsFolder+"/"), host.Begins(host.Files, mapsFolder+"/"),
		host.Open(host.Units, unit), host.Open(loadedKey.Space, loadedKey.Name),
		host.Open(serverSpace, ""), host.Begins(host.Files, notesDir), host.Effect{Key: host.File("/var/lib/muster"), State: host.Possible})
}

// keeps are the files that muster keeps.
func keeps() (list []host.Effect) {
	for _, path := range []string{folder, goodPath, keptPath, stampPath} {
		list = append(list, host.Open(host.Files, path))
	}
	return list
}

// Withhold shows the diffs of the configuration where only certificates are sensitive:
// their keys are in none.
func (h *HAProxy) Withhold(diff string, sensitive []string) (string, bool) {
	return diff, !slices.ContainsFunc(sensitive, func(s string) bool { return s != "certificates" })
}

// Plan compares the files, and what HAProxy has loaded of them.
func (h *HAProxy) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if !host.IsRoot() {
		return modules.Plan{}, errors.New(`only root may set up HAProxy: give the task "become = true"`)
	}
	p := &planner{HAProxy: h, v: v}
	d, err := findDaemon(ctx, v)
	switch {
	case isNotYet(err):
		return modules.Plan{Then: []host.Description{{Action: host.Update, Target: "/etc/haproxy/haproxy.cfg", Impact: "once HAProxy is installed"}, {Action: host.Reload, Target: unit}}}, err
	case err != nil:
		return modules.Plan{}, err
	case d == nil:
		return modules.Plan{}, fmt.Errorf(`there is no %s on this host: install HAProxy in an earlier task, task "package" "haproxy" {}, or with the role "haproxy"`, unit)
	}
	p.daemon = d
	return p.plan(ctx)
}

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// certPath is the file of a certificate.
func certPath(name string) string { return filepath.Join(certsFolder, name+".pem") }

// mapPath is the file of a map.
func mapPath(name string) string { return filepath.Join(mapsFolder, name+".map") }
