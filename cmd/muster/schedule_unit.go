package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"muster/modules/systemd"
)

// runs is the command line of a schedule, and what its unit lets it write to.
type runs struct {
	user, dir string
	argv      []string
	writes    []string
	home      bool // its files lie in somebody's home
}

// service is the unit that runs a schedule. Drift is found, not a fault of the check: only
// what kept it from being made is.
func (i *installing) service(r *runs) string {
	var words []string
	for _, w := range r.argv {
		words = append(words, systemd.Word(w))
	}
	var writes []string
	for _, w := range r.writes {
		writes = append(writes, systemd.Word("-"+w))
	}
	home := "yes"
	if r.home {
		home = "read-only"
	}
	return fmt.Sprintf(`# Made by "muster schedule install": change it there.
[Unit]
Description=muster: %s of %s
Wants=network-online.target
After=network-online.target
X-Muster-Schedule=%s
X-Muster-Project=%s

[Service]
Type=oneshot
User=%s
WorkingDirectory=%s
ExecStart=%s
SuccessExitStatus=2
TimeoutStartSec=6h
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=%s
ReadWritePaths=%s
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
`, i.what, systemd.Percent(filepath.Base(i.loaded.project.Dir)), systemd.Percent(i.when.String()), systemd.Percent(r.dir), r.user, systemd.Percent(r.dir), strings.Join(words, " "), home, strings.Join(writes, " "))
}

// timer is the unit that says when.
func (i *installing) timer() string {
	var lines []string
	for _, on := range i.when.OnCalendar() {
		lines = append(lines, "OnCalendar="+on)
	}
	return fmt.Sprintf(`# Made by "muster schedule install": change it there.
[Unit]
Description=muster: when %s is made

[Timer]
%s
RandomizedDelaySec=%d
Persistent=true

[Install]
WantedBy=timers.target
`, i.what, strings.Join(lines, "\n"), int(i.delay.Seconds()))
}

// cron is what crontab(5) has in place of both, where there is no systemd.
func (i *installing) cron(r *runs, here *time.Location) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# muster: %s, at %s\n", i.what, i.when)
	if zone := i.when.Zone().String(); zone != here.String() {
		fmt.Fprintf(&b, "CRON_TZ=%s\n", zone)
	}
	var words []string
	for _, w := range r.argv {
		words = append(words, strings.ReplaceAll(shellWord(w), "%", `\%`))
	}
	for _, fields := range i.when.Cron() {
		fmt.Fprintf(&b, "%s cd %s && %s\n", fields, shellWord(r.dir), strings.Join(words, " "))
	}
	return b.String()
}

// command is what the schedule runs, in a project's folder, with a key.
func (i *installing) command(a *app, program, key string) []string {
	argv := []string{program}
	if i.plans {
		argv = append(argv, "drift", "--scheduled")
		for _, file := range i.checks {
			argv = append(argv, i.inProject(file))
		}
	} else {
		argv = append(argv, "rotate", "--due", "--yes", "--scheduled")
	}
	argv = append(argv, "--login", i.login, "--login-key", key, "--no-color", "--output", "plain")
	if a.inventoryFile != "" {
		argv = append(argv, "--inventory", i.inProject(a.inventoryFile))
	}
	if a.storeFile != "" {
		argv = append(argv, "--store", i.inProject(a.storeFile))
	}
	if len(a.limit) > 0 && i.plans {
		argv = append(argv, "--limit", strings.Join(a.limit, ","))
	}
	for _, v := range a.vars {
		argv = append(argv, "--var", v)
	}
	for _, f := range a.varFiles {
		argv = append(argv, "--var-file", i.inProject(f))
	}
	for _, t := range a.reports {
		argv = append(argv, "--report", t.Format+"="+i.inProject(t.File))
	}
	return argv
}

// inProject names a file from the project's folder, in which schedules run.
func (i *installing) inProject(file string) string { return i.loaded.project.Rel(file) }

// reportFolders are the folders that reports are written to.
func (i *installing) reportFolders(a *app, dir string) (list []string) {
	for _, t := range a.reports {
		at := i.inProject(t.File)
		if !filepath.IsAbs(at) {
			at = filepath.Join(dir, at)
		}
		if at = filepath.Dir(at); !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	return list
}
