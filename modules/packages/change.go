package packages

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"muster/host"
)

// brings are the effects of a package's files and scripts, whatever it is.
func brings() []host.Effect {
	return []host.Effect{host.May(host.Files), host.May(host.Units), host.May(host.Users), host.May(host.Groups)}
}

// AptRun installs, upgrades or removes packages in one run of apt.
type AptRun struct {
	Target    string        `json:"target"`
	Options   []string      `json:"options,omitempty"`
	Args      []string      `json:"args"`  // what apt is asked for
	Steps     []step        `json:"steps"` // what that comes to
	Wait      time.Duration `json:"wait"`  // for apt's lock
	Start     bool          `json:"start,omitempty"`
	Downgrade bool          `json:"downgrade,omitempty"`
	Held      bool          `json:"held,omitempty"` // may change held packages

	before transaction     // planned by earlier tasks
	keeps  map[string]bool // packages that are held, and stay so
	vanish []host.Effect   // of the files of removed packages
}

// Type is "apt.run/1".
func (*AptRun) Type() string { return "apt.run/1" }

// Describe names every package that comes, goes or changes.
func (a *AptRun) Describe() host.Description {
	d := host.Description{Target: a.Target, Action: host.Delete}
	var lines, removed, down []string
	for _, s := range a.Steps {
		lines = append(lines, fmt.Sprintf("%s: %s → %s", s.Name, or(s.Old, "absent"), or(s.New, "absent")))
		switch {
		case s.New == "":
			removed = append(removed, s.Name)
		case s.Old == "":
			d.Action = host.Create
		case d.Action != host.Create:
			d.Action = host.Update
		}
		if s.Old != "" && s.New != "" && compareVersions(s.New, s.Old) < 0 {
			down = append(down, s.Name)
		}
	}
	var impact []string
	switch {
	case len(removed) == 1:
		impact = append(impact, "removes "+removed[0])
	case len(removed) > 1:
		impact = append(impact, fmt.Sprintf("removes %d packages: %s", len(removed), list(removed)))
	}
	if len(down) > 0 {
		impact = append(impact, "downgrades "+list(down))
	}
	impact = append(impact, "can't be undone")
	d.Diff, d.Impact = strings.Join(lines, "\n"), strings.Join(impact, "; ")
	return d
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

// Effects are the packages, and whatever their files and scripts bring.
func (a *AptRun) Effects() []host.Effect {
	var list []host.Effect
	for _, s := range a.Steps {
		key := host.Key{Space: host.Packages, Name: s.Name}
		left := host.Gone(remainsKey(s.Name))
		if s.New == "" {
			list = append(list, host.Gone(key))
			if !slices.Contains(a.Options, "--purge") {
				left = host.Is(remainsKey(s.Name), remains{})
			}
		} else {
			list = append(list, host.Is(key, Installed{Version: s.New, Held: a.keeps[s.Name]}))
		}
		list = append(list, left)
	}
	all := transaction{
		Args:  append(append([]string{}, a.before.Args...), a.Args...),
		Steps: append(append([]step{}, a.before.Steps...), a.Steps...),
	}
	list = append(list, host.Is(transactionKey(), all))
	list = append(list, brings()...)
	return append(list, a.vanish...)
}

// Apply runs apt. Apt itself goes on where an earlier run was cut off.
func (a *AptRun) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	db, err := loadDatabase(admin)
	if err != nil {
		return host.Result{}, err
	}
	for _, s := range a.Steps {
		r, now := db.packages[s.Name], ""
		if r != nil && r.installed() {
			now = r.version
		}
		if now != s.Old && now != s.New && s.Old != "configuration" {
			return host.Result{}, fmt.Errorf("%s is %s, not %s: %w", s.Name, or(now, "absent"), or(s.Old, "absent"), host.ErrMoved)
		}
	}
	argv := []string{"apt-get", "-y", "-q", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0"}
	if a.Downgrade {
		argv = append(argv, "--allow-downgrades")
	}
	if a.Held {
		argv = append(argv, "--allow-change-held-packages")
	}
	argv = append(append(append(argv, a.Options...), "install"), a.Args...)
	if err := a.purgeLeft(ctx, h, db); err != nil {
		return host.Result{}, err
	}
	env := []string{"APT_LISTCHANGES_FRONTEND=none", "NEEDRESTART_MODE=l", "NEEDRESTART_SUSPEND=1"}
	if !a.Start {
		policy, err := holdServices(db)
		if err != nil {
			return host.Result{}, err
		}
		defer policy.remove()
		env = append(env, policy.env...)
	}
	if err := h.At("before apt"); err != nil {
		return host.Result{}, err
	}
	run := exclusive{locks: []string{admin + "/lock-frontend", admin + "/lock", "/var/cache/apt/archives/lock"}, wait: a.Wait}
	err = run.run(ctx, h, host.Command{Argv: argv, Env: env})
	if err = errors.Join(err, a.hold(context.WithoutCancel(ctx), h, db)); err != nil {
		return host.Result{}, hint(err)
	}
	if changedAt(stamp).IsZero() {
		return host.Result{}, h.At("ran apt")
	}
	// The lists were young enough before; the time this took doesn't count.
	if err := touchStamp(); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("ran apt")
}

// hold holds again what was held before and apt has released by moving it, also
// where apt failed half-way. was is what dpkg knew before.
func (a *AptRun) hold(ctx context.Context, h *host.Host, was *database) error {
	now, err := loadDatabase(admin)
	if err != nil {
		return err
	}
	var names []string
	for _, s := range a.Steps {
		if had, has := was.packages[s.Name], now.packages[s.Name]; had != nil && had.installed() && had.held && s.New != "" && has != nil && !has.held {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	run := exclusive{locks: []string{admin + "/lock-frontend", admin + "/lock"}, wait: a.Wait}
	if err := run.run(ctx, h, host.Command{Argv: append([]string{"apt-mark", "-q", "hold"}, names...)}); err != nil {
		return fmt.Errorf("holding %s again, which were held before: %w", list(names), err)
	}
	return nil
}

// purgeLeft removes the configuration of packages that are removed already:
// apt has no step for them.
func (a *AptRun) purgeLeft(ctx context.Context, h *host.Host, db *database) error {
	var names []string
	for _, s := range a.Steps {
		if s.Old == "configuration" && db.packages[s.Name] != nil {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	run := exclusive{locks: []string{admin + "/lock-frontend", admin + "/lock"}, wait: a.Wait}
	return run.run(ctx, h, host.Command{Argv: append([]string{"dpkg", "--purge"}, names...)})
}

// hint says what to do about lists that are older than the repository.
func hint(err error) error {
	if text := err.Error(); strings.Contains(text, "404  Not Found") || strings.Contains(text, "Failed to fetch") {
		return fmt.Errorf("%w\nthe package lists may be older than the repository: update_cache = \"1h\" fetches new ones first", err)
	}
	return err
}

// vanishing are the effects of removing packages' files and units: those that
// dpkg lists, without configuration unless that goes too.
func vanishing(v *host.View, db *database, steps []step, purge bool) []host.Effect {
	var effects []host.Effect
	for _, s := range steps {
		if s.New != "" || s.Old == "" {
			continue
		}
		files := db.files(s.Name)
		for i, path := range files {
			is, err := v.Lstat(path)
			// A folder of the package's comes right before what is in it, and may be a
			// link on the host that other packages go through, such as /lib.
			folder := i+1 < len(files) && strings.HasPrefix(files[i+1], path+"/")
			if err == nil && !is.Exists() || is.Type == host.Directory || folder || strings.HasPrefix(path, "/etc/") && !purge {
				continue
			}
			effects = append(effects, host.Gone(host.File(path)))
			if filepath.Base(filepath.Dir(path)) == "system" && strings.Contains(path, "/systemd/") {
				effects = append(effects, host.Gone(host.Key{Space: host.Units, Name: filepath.Base(path)}))
			}
		}
	}
	return effects
}

// Refresh fetches the package lists.
type Refresh struct {
	Then []string      `json:"then"` // packages that are then installed
	Wait time.Duration `json:"wait"`
}

// Type is "apt.refresh/1".
func (*Refresh) Type() string { return "apt.refresh/1" }

// Describe names the lists; fetching them is no drift.
func (*Refresh) Describe() host.Description {
	return host.Description{Action: host.Refresh, Target: "package lists"}
}

// Effects are those of the installation that follows: what it brings can't be
// known before.
func (r *Refresh) Effects() []host.Effect {
	list := []host.Effect{{Key: transactionKey(), State: host.Unknown}}
	for _, name := range r.Then {
		list = append(list, host.Effect{Key: host.Key{Space: host.Packages, Name: name}, State: host.Unknown})
	}
	return append(list, brings()...)
}

// Apply runs apt-get update. A repository that can't be had or trusted fails
// it: apt would go on with its old list.
func (r *Refresh) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	run := exclusive{locks: []string{listsDir + "/lock"}, wait: r.Wait}
	if err := touch(unfetched); err != nil {
		return host.Result{}, err
	}
	err := run.run(ctx, h, host.Command{Argv: []string{"apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any"}})
	if err != nil {
		return host.Result{}, err
	}
	if err := touchStamp(); err != nil {
		return host.Result{}, err
	}
	if err := host.Drop(unfetched); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("fetched the package lists")
}

// Finish goes on with what an interrupted dpkg left undone.
type Finish struct {
	Packages []string      `json:"packages"`
	Wait     time.Duration `json:"wait"`
}

// Type is "dpkg.finish/1".
func (*Finish) Type() string { return "dpkg.finish/1" }

// Describe names the packages in whose middle dpkg was interrupted.
func (f *Finish) Describe() host.Description {
	d := host.Description{Action: host.Run, Target: "dpkg --configure -a", Impact: "dpkg was interrupted"}
	if len(f.Packages) > 0 {
		d.Impact += " in the middle of " + list(append([]string{}, f.Packages...))
	}
	return d
}

// Effects are the packages, and whatever their scripts bring.
func (f *Finish) Effects() []host.Effect {
	list := []host.Effect{{Key: transactionKey(), State: host.Unknown}}
	for _, name := range f.Packages {
		list = append(list, host.Effect{Key: host.Key{Space: host.Packages, Name: name}, State: host.Unknown})
	}
	return append(list, brings()...)
}

// Apply runs dpkg, and apt where a package has to be unpacked anew.
func (f *Finish) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	db, err := loadDatabase(admin)
	if err != nil {
		return host.Result{}, err
	}
	policy, err := holdServices(db, db.broken()...)
	if err != nil {
		return host.Result{}, err
	}
	defer policy.remove()
	run := exclusive{locks: []string{admin + "/lock-frontend", admin + "/lock"}, wait: f.Wait}
	if err := run.run(ctx, h, host.Command{Argv: []string{"dpkg", "--force-confdef", "--force-confold", "--configure", "-a"}, Env: policy.env}); err != nil {
		return host.Result{}, fmt.Errorf("finishing what an interrupted dpkg left: %w", err)
	}
	if db, err = loadDatabase(admin); err != nil {
		return host.Result{}, err
	}
	if broken := db.broken(); len(broken) > 0 {
		argv := []string{"apt-get", "-y", "-q", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "-f", "install"}
		if err := run.run(ctx, h, host.Command{Argv: argv, Env: policy.env}); err != nil {
			return host.Result{}, fmt.Errorf("finishing %s: %w", list(broken), err)
		}
	}
	return host.Result{}, h.At("finished dpkg")
}

// Hold keeps packages at their version, or ceases to.
type Hold struct {
	Target   string            `json:"target"`
	Hold     bool              `json:"hold"`
	Packages map[string]string `json:"packages"` // name → version
	Wait     time.Duration     `json:"wait"`
}

// Type is "dpkg.hold/1".
func (*Hold) Type() string { return "dpkg.hold/1" }

func (c *Hold) names() []string {
	var names []string
	for name := range c.Packages {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Describe says whether they are to be held.
func (c *Hold) Describe() host.Description {
	var lines []string
	for _, name := range c.names() {
		lines = append(lines, fmt.Sprintf("%s held: %t → %t", name, !c.Hold, c.Hold))
	}
	return host.Description{Action: host.Update, Target: c.Target, Diff: strings.Join(lines, "\n")}
}

// Effects are the packages, held or not.
func (c *Hold) Effects() []host.Effect {
	var list []host.Effect
	for _, name := range c.names() {
		list = append(list, host.Is(host.Key{Space: host.Packages, Name: name}, Installed{Version: c.Packages[name], Held: c.Hold}))
	}
	return list
}

// Apply tells dpkg.
func (c *Hold) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	verb, back := "hold", "unhold"
	if !c.Hold {
		verb, back = back, verb
	}
	undo := &host.RunProgram{Argv: append([]string{"apt-mark", "-q", back}, c.names()...), Does: host.Description{Action: host.Update, Target: c.Target}}
	if err := h.Begin(host.Undo{Changes: []host.Change{undo}}); err != nil {
		return host.Result{}, err
	}
	run := exclusive{locks: []string{admin + "/lock-frontend", admin + "/lock"}, wait: c.Wait}
	if err := run.run(ctx, h, host.Command{Argv: append([]string{"apt-mark", "-q", verb}, c.names()...)}); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("set the hold")
}
