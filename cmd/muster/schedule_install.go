package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/zclconf/go-cty/cty"

	"muster/internal/keypair/sshkey"
	"muster/inventory"
)

// ofSchedule loads the project that a schedule is of.
func (a *app) ofSchedule(ctx context.Context, i *installing) (*loaded, error) {
	l, diags, err := a.load(ctx, false)
	if err != nil {
		return nil, err
	}
	if err := a.fail(diags, l.sources); err != nil {
		return nil, err
	}
	if i.loaded = l; l.project.Dir == "" {
		return nil, errors.New("there is no project here (no muster.hcl in this folder or above): a schedule needs one")
	}
	return l, nil
}

// installSchedule sets up a schedule. Everything that can be found wrong without a host is,
// before anything is written.
func (a *app) installSchedule(ctx context.Context, i *installing) error {
	l, err := a.ofSchedule(ctx, i)
	if err != nil {
		return err
	}
	if !i.plans && l.project.Commit == nil {
		return errors.New("rotations write the store, and nobody would commit it: name the program that does in muster.hcl, secrets_commit = [\"./commit-secrets.sh\"]")
	}
	if err := i.filesInProject(a); err != nil {
		return err
	}
	r, err := a.scheduleRuns(i)
	if err != nil {
		return err
	}
	hosts, left, err := a.scheduleHosts(i)
	if err != nil {
		return err
	}
	if err := i.knowsHosts(hosts); err != nil {
		return err
	}
	a.warnOfClock(i, time.Now())
	switch {
	case len(left) == 0:
	case i.on != "" || !missing(systemdFolder):
		return fmt.Errorf("%s has connection = \"local\": from within a unit that may write nothing and become nobody, its machine isn't what it is; leave it out (--limit 'all,!%s'), or have it reached by SSH, at an address", strings.Join(left, ", "), strings.Join(left, ",!"))
	default:
		a.view().Warn(fmt.Sprintf("the schedule's key has no part in %s, to which no connection leads: what is looked at there is looked at as %s", strings.Join(left, ", "), r.user))
	}
	fmt.Fprintf(a.out, "Install on %s, as %s: %s at %s\n", i.where(), r.user, i.what, i.when)
	if len(hosts) > 0 {
		fmt.Fprintf(a.out, "Give its key the login %s, which %s, on %s\n", i.login, map[bool]string{true: "can only plan", false: "can change what muster can"}[i.plans], strings.Join(hostNames(hosts), ", "))
	}
	if !i.yes {
		if err := a.confirm(ctx, "Make these changes?"); err != nil {
			return err
		}
	}
	return a.setUpSchedule(ctx, i, r, hosts)
}

// setUpSchedule makes what installSchedule has found to be right: the login before the timer
// that uses it.
func (a *app) setUpSchedule(ctx context.Context, i *installing, r *runs, hosts []*inventory.Host) error {
	private, public, err := i.key()
	if err != nil {
		return err
	}
	checks, given := i.checks, *a.given()
	a.take(&options{})
	if len(hosts) > 0 {
		if err := a.makeLogins(ctx, i, public, hosts); err != nil {
			return err
		}
	}
	if err := a.makeRunner(ctx, i, r, private); err != nil {
		return err
	}
	a.take(&given)
	if i.plans && len(hosts) > 0 {
		err = a.firstCheck(ctx, checks)
	}
	fmt.Fprintf(a.out, "Installed. \"muster schedule list%s\" shows when it runs, and what came of it.\n", map[bool]string{true: " --on " + i.on}[i.on != ""])
	return err // what couldn't be planned can't be by the schedule
}

// systemdFolder is there where systemd runs: sd_booted(3).
const systemdFolder = "/run/systemd/system"

// filesInProject refuses files that a copy of the project wouldn't have.
func (i *installing) filesInProject(a *app) error {
	if i.on == "" {
		return nil
	}
	files := slices.Concat(i.checks, a.varFiles)
	if a.inventoryFile != "" {
		files = append(files, a.inventoryFile)
	}
	for _, f := range files {
		if filepath.IsAbs(i.inProject(f)) {
			return fmt.Errorf("%s lies outside of the project, of which %s gets a copy: move it there", f, i.on)
		}
	}
	return nil
}

// knowsHosts refuses hosts whose keys the project itself doesn't know, where it is copied:
// what the user knows besides isn't.
func (i *installing) knowsHosts(hosts []*inventory.Host) error {
	if i.on == "" || i.loaded.project.AcceptNew {
		return nil
	}
	text, err := os.ReadFile(i.loaded.project.KnownHosts())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 2 {
			for _, name := range strings.Split(fields[0], ",") {
				known[name] = true
			}
		}
	}
	var lacks []string
	for _, h := range slices.Concat(hosts, i.loaded.inventory.Bastions()) {
		if !known[h.Name] {
			lacks = append(lacks, h.Name)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("the project doesn't know the host keys of %s, and %s gets a copy of the project alone: \"muster trust %s\" puts them into it", strings.Join(lacks, ", "), i.on, strings.Join(lacks, ","))
}

// scheduleRuns is what the schedule runs, and as whom.
func (a *app) scheduleRuns(i *installing) (*runs, error) {
	for _, file := range i.checks {
		if missing(file) {
			return nil, fmt.Errorf("there is no playbook %s", file)
		}
	}
	if i.on != "" {
		if _, ok := i.loaded.inventory.Host(i.on); !ok {
			return nil, fmt.Errorf("--on: there is no host %q in the inventory", i.on)
		}
		for _, t := range a.reports {
			if !filepath.IsAbs(t.File) {
				return nil, fmt.Errorf("--report: %s would be in the copy of the project on %s, which nobody writes to: name a file in a folder there that muster-night may write to, by its whole path", t.File, i.on)
			}
		}
		dir := i.dir() + "/project"
		r := &runs{user: "muster-night", dir: dir, argv: i.command(a, "/usr/local/bin/muster", i.dir()+"/key")}
		r.writes = append([]string{i.dir() + "/state"}, i.reportFolders(a, dir)...)
		return r, nil
	}
	dir := i.loaded.project.Dir
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil, fmt.Errorf("%s belongs to root, and a schedule runs as an unprivileged user, whose the project has to be: give it to one (chown -R), or install the schedule on a host (--on), which gets a copy", dir)
	}
	u, err := user.LookupId(strconv.Itoa(int(st.Uid)))
	if err != nil {
		return nil, fmt.Errorf("%s belongs to nobody here: %w", dir, err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &runs{user: u.Username, dir: dir, argv: i.command(a, program, i.keyFile())}
	r.writes = append([]string{filepath.Dir(i.loaded.project.Journal())}, i.reportFolders(a, dir)...)
	if !i.plans {
		r.writes = []string{dir} // the store
	}
	for _, at := range append([]string{dir, program}, r.writes...) {
		r.home = r.home || strings.HasPrefix(at, u.HomeDir+"/") || strings.HasPrefix(at, "/home/") || strings.HasPrefix(at, "/root/")
	}
	return r, nil
}

// scheduleHosts are the hosts that are to have the login, and those that no connection
// leads to.
func (a *app) scheduleHosts(i *installing) (hosts []*inventory.Host, local []string, err error) {
	all, err := a.within(i.loaded.inventory, i.loaded.inventory.Hosts())
	if err != nil {
		return nil, nil, err
	}
	var nobody []string
	for _, h := range all {
		switch t := h.Target(); {
		case t.Local:
			local = append(local, h.Name)
			continue
		case t.User == "":
			nobody = append(nobody, h.Name)
		}
		hosts = append(hosts, h)
	}
	if len(nobody) > 0 {
		a.view().Warn("the inventory has no user for " + strings.Join(nobody, ", ") + ": tasks that don't become anybody are looked at as whoever runs muster, which is somebody else by a schedule")
	}
	return hosts, local, nil
}

// warnOfClock says at which times of the schedule the clock is changed.
func (a *app) warnOfClock(i *installing, now time.Time) {
	for _, c := range i.when.ClockChanges(now) {
		day := c.Day.Format("Mon 2006-01-02")
		if c.Skipped {
			a.view().Warn(fmt.Sprintf("%s has no %s on %s, when its clocks are set on: nothing runs for that time", i.when.Zone(), c.At, day))
			continue
		}
		a.view().Warn(fmt.Sprintf("%s has %s twice on %s, when its clocks are set back: it runs at the first, by cron at both", i.when.Zone(), c.At, day))
	}
}

// key is the schedule's key, which is made where there is none.
func (i *installing) key() (private, public string, err error) {
	path := i.keyFile()
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		private = string(text)
	case !errors.Is(err, os.ErrNotExist):
		return "", "", err
	default:
		made, err := sshkey.New("muster " + i.name + " of " + notInUnit.ReplaceAllString(filepath.Base(i.loaded.project.Dir), "_"))
		if err != nil {
			return "", "", err
		}
		if err := i.writeKey(path, made.Reveal()); err != nil {
			return "", "", fmt.Errorf("keeping the schedule's key: %w", err)
		}
		private = made.Reveal()
	}
	public, err = sshkey.Public(private)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return private, public, err
}

// writeKey writes the private key, for the project's owner.
func (i *installing) writeKey(path, private string) error {
	if err := notForGit(filepath.Dir(i.loaded.project.Journal())); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(private)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	info, err := os.Stat(i.loaded.project.Dir)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	for _, at := range []string{path, filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		if err := os.Chown(at, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return nil
}

// firstCheck plans what the schedule will, by those who may change the hosts: from then on
// these know its tasks.
func (a *app) firstCheck(ctx context.Context, checks []string) error {
	fmt.Fprintln(a.out, "Planning once, so that hosts know what the schedule may ask for.")
	a.asRoot = true
	defer func() { a.asRoot = false }()
	d := &drifting{app: a}
	defer d.close()
	if err := d.prepare(ctx, checks); err != nil {
		return err
	}
	for _, p := range d.plans {
		d.plan(ctx, p)
	}
	if err := worst(d.ended); err != nil && !errors.Is(err, exitError(exitPending)) {
		return err
	}
	return nil
}

// makeLogins gives the key its login on hosts, and on the bastions on the way to them.
func (a *app) makeLogins(ctx context.Context, i *installing, public string, hosts []*inventory.Host) error {
	var bastions, opens []string
	for _, h := range hosts {
		for at := h.Target(); at.Via != nil; at = *at.Via {
			if _, ok := i.loaded.inventory.Host(at.Via.Name); ok && !slices.Contains(bastions, at.Via.Name) {
				bastions = append(bastions, at.Via.Name)
			}
			port := 22
			if at.Port != 0 {
				port = at.Port
			}
			address := at.Address
			if address == "" {
				address = at.Name
			}
			if to := net.JoinHostPort(address, strconv.Itoa(port)); !slices.Contains(opens, to) {
				opens = append(opens, to)
			}
		}
	}
	sums := map[string]cty.Value{}
	sources := map[string]func(path string) error{}
	for _, arch := range (remotes{}).Arches() {
		b, err := remotes{}.Open(arch)
		if err != nil {
			return err
		}
		sums[arch] = cty.StringVal(b.Sum)
		sources["remote-"+arch] = unpacked(b)
	}
	vars := map[string]cty.Value{
		"user": cty.StringVal(i.login), "key": cty.StringVal(strings.TrimSpace(public)), "plans": cty.BoolVal(i.plans),
		"hosts": texts(hostNames(hosts)), "sum": cty.MapVal(sums),
	}
	parts := []string{"logins.hcl", "hosts.hcl"}
	if len(bastions) > 0 {
		parts = []string{"logins.hcl", "bastions.hcl", "hosts.hcl"}
		vars["bastions"], vars["opens"] = texts(bastions), texts(opens)
	}
	return a.applyOwn(ctx, i.loaded, own{parts: parts, vars: vars, sources: sources})
}

// makeRunner makes what the schedule needs where it runs.
func (a *app) makeRunner(ctx context.Context, i *installing, r *runs, private string) error {
	vars := map[string]cty.Value{"runner": cty.StringVal("localhost"), "name": cty.StringVal(i.unit()), "service": cty.StringVal(i.service(r)), "timer": cty.StringVal(i.timer())}
	if i.on == "" {
		if missing(systemdFolder) {
			fmt.Fprintf(a.out, "This machine has no systemd. For the crontab of %s (crontab -e):\n\n%s\n", r.user, i.cron(r, time.Local))
			return nil
		}
		return a.applyOwn(ctx, i.here(), own{parts: []string{"runner.hcl"}, vars: vars})
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	vars["runner"], vars["dir"], vars["private"] = cty.StringVal(i.on), cty.StringVal(i.dir()), cty.StringVal(private)
	return a.applyOwn(ctx, i.loaded, own{parts: []string{"runner.hcl", "copy.hcl"}, vars: vars, sources: map[string]func(string) error{
		"muster":  func(path string) error { return os.Symlink(program, path) },
		"project": func(path string) error { return copyProject(i.loaded.project.Dir, path) },
	}})
}

// here is this machine, in place of the inventory.
func (i *installing) here() *loaded {
	l := *i.loaded
	l.inventory = inventory.LocalOnly()
	return &l
}

// removeSchedule takes a schedule away, and its key.
func (a *app) removeSchedule(ctx context.Context, i *installing) error {
	l, err := a.ofSchedule(ctx, i)
	if err != nil {
		return err
	}
	if _, ok := l.inventory.Host(i.on); i.on != "" && !ok {
		return fmt.Errorf("--on: there is no host %q in the inventory", i.on)
	}
	hosts, _, err := a.scheduleHosts(i)
	if err != nil {
		return err
	}
	names := hostNames(hosts)
	for _, b := range l.inventory.Bastions() {
		names = append(names, b.Name)
	}
	fmt.Fprintf(a.out, "Remove %s from %s\n", i.unit(), i.where())
	if len(names) > 0 {
		fmt.Fprintf(a.out, "Take its key from %s\n", strings.Join(names, ", "))
	}
	if !i.yes {
		if err := a.confirm(ctx, "Make these changes?"); err != nil {
			return err
		}
	}
	a.take(&options{})
	vars := map[string]cty.Value{"runner": cty.StringVal("localhost"), "name": cty.StringVal(i.unit())}
	on := i.here()
	if i.on != "" {
		vars["runner"], on = cty.StringVal(i.on), l
	}
	if i.on != "" || !missing(systemdFolder) {
		if err := a.applyOwn(ctx, on, own{parts: []string{"gone.hcl"}, vars: vars}); err != nil {
			return err
		}
	}
	if missing(i.keyFile()) {
		fmt.Fprintln(a.out, "No key of it is here, so that none was taken from hosts.")
		return nil
	}
	_, public, err := i.key()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return os.Remove(i.keyFile())
	}
	away := map[string]cty.Value{"user": cty.StringVal(i.login), "key": cty.StringVal(strings.TrimSpace(public)), "hosts": texts(names)}
	if err := a.applyOwn(ctx, l, own{parts: []string{"away.hcl"}, vars: away}); err != nil {
		return err
	}
	return os.Remove(i.keyFile())
}
