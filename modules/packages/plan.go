package packages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// leastAge is the age at which lists are never fetched again: planning again
// after a refresh must not want another.
const leastAge = time.Minute

// Plan compares dpkg's database with what is wanted.
func (p *Package) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	db, err := readDatabase(v)
	if err != nil {
		return modules.Plan{}, err
	}
	todo, open, err := p.compare(ctx, v, db)
	if err != nil {
		return modules.Plan{}, err
	}
	if len(todo) == 0 && !open {
		plan, err := p.holds(v, db)
		if err != nil || len(plan.Changes) > 0 {
			return plan, err
		}
		return p.settled(v, db)
	}
	return p.work(ctx, v, db, todo, open)
}

// work plans what isn't as it is to be, or can't be told to be.
func (p *Package) work(ctx context.Context, v *host.View, db *database, todo []want, open bool) (modules.Plan, error) {
	forecast := []host.Description{p.forecast()}
	changing, err := sourcesPending(v)
	if err != nil {
		return modules.Plan{}, err
	}
	if _, err := pending(v); err != nil || open && !changing {
		// An earlier task decides what apt will know, or what dpkg will have.
		return modules.Plan{Then: forecast}, fmt.Errorf("%s: %w", p.target(), host.ErrNotYet)
	}
	if open {
		return p.refresh(forecast), nil
	}
	if broken := db.broken(); len(broken) > 0 || db.interrupted {
		return modules.Plan{Changes: []host.Change{&Finish{Packages: broken, Wait: p.wait()}}, Then: forecast}, nil
	}
	if p.State != "absent" {
		lists, err := readLists(v)
		if err != nil {
			return modules.Plan{}, err
		}
		old := p.UpdateCache != nil && time.Since(lists.since) > max(time.Duration(*p.UpdateCache), leastAge)
		if changing || lists.missing || lists.stale || old {
			return p.refresh(forecast), nil
		}
	}
	if p.State == "latest" {
		if todo, err = p.outdated(ctx, v, db, todo); err != nil || len(todo) == 0 {
			if err != nil {
				return modules.Plan{}, err
			}
			return p.settled(v, db)
		}
	}
	return p.install(ctx, v, db, todo)
}

// refresh plans new lists; what then follows is known after that.
func (p *Package) refresh(forecast []host.Description) modules.Plan {
	var names []string
	for _, w := range p.wants("") {
		names = append(names, w.name)
	}
	return modules.Plan{Changes: []host.Change{&Refresh{Then: names, Wait: p.wait()}}, Then: forecast}
}

func (p *Package) forecast() host.Description {
	d := host.Description{Action: host.Create, Target: p.target(), Impact: "version known after apply"}
	switch p.State {
	case "latest":
		d.Action, d.Impact = host.Update, "if there is a newer version then"
	case "absent":
		d.Action, d.Impact = host.Delete, ""
	}
	return d
}

func (p *Package) wait() time.Duration {
	if p.LockTimeout == nil {
		return 2 * time.Minute
	}
	return time.Duration(*p.LockTimeout)
}

// compare returns the packages that aren't as they are to be. With open, an
// earlier task leaves that undecided.
func (p *Package) compare(ctx context.Context, v *host.View, db *database) (todo []want, open bool, err error) {
	for _, w := range p.wants(db.native) {
		have, err := db.lookup(v, w.name)
		if errors.Is(err, host.ErrNotYet) {
			todo, open = append(todo, w), true
			continue
		}
		if err != nil {
			return nil, false, err
		}
		left := have == nil || !matches(w.version, have.Version)
		switch p.State {
		case "absent":
			if left = have != nil; !left {
				if left, err = db.remains(v, w.name, p.Purge); err != nil {
					return nil, false, err
				}
			}
		case "latest":
			// A held package stays where it is.
			left = have == nil || !have.Held
		}
		if left {
			todo = append(todo, w)
			continue
		}
		if p.State == "absent" && have == nil {
			others, err := db.providing(ctx, v, w.name)
			if err != nil {
				return nil, false, err
			}
			todo = append(todo, others...)
		}
	}
	return todo, open, nil
}

// providing returns the packages that are installed, or that an earlier task installs,
// and provide a name, sorted. apt removes none by such a name, and says nothing.
func (db *database) providing(ctx context.Context, v *host.View, name string) ([]want, error) {
	names := slices.Clone(db.providers[name])
	before, err := pending(v)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(before.Steps, func(s step) bool { return s.New != "" }) {
		coming, err := providers(ctx, v, name)
		if err != nil {
			return nil, err
		}
		names = append(names, coming...)
	}
	slices.Sort(names)
	var list []want
	for _, other := range slices.Compact(names) {
		have, err := db.lookup(v, other)
		if errors.Is(err, host.ErrNotYet) || err == nil && have == nil || other == name {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, want{name: other})
	}
	return list, nil
}

// remains reports whether a package that isn't installed has left something
// that is to go: half of itself, or with purge its configuration.
func (db *database) remains(v *host.View, name string, purge bool) (bool, error) {
	left, err := host.Read(v, remainsKey(name), func() (*remains, error) {
		r := db.packages[name]
		if r == nil || r.installed() || !r.broken() && r.status == "not-installed" {
			return nil, nil
		}
		return &remains{Broken: r.broken()}, nil
	})
	return left != nil && (left.Broken || purge), err
}

// remains is what a package that isn't installed has left: its configuration, or
// half of itself.
type remains struct {
	Broken bool `json:"broken,omitempty"`
}

const remainsSpace = "remains of package"

func remainsKey(name string) host.Key { return host.Key{Space: remainsSpace, Name: name} }

// outdated returns those of list that aren't installed or have a newer version.
func (p *Package) outdated(ctx context.Context, v *host.View, db *database, list []want) ([]want, error) {
	newest, err := candidates(ctx, v, db)
	if err != nil {
		return nil, err
	}
	var todo []want
	for _, w := range list {
		have, err := db.lookup(v, w.name)
		if err != nil {
			return nil, err
		}
		if have != nil && newest[w.name] != "" && compareVersions(newest[w.name], have.Version) <= 0 {
			continue
		}
		todo = append(todo, w)
	}
	return todo, nil
}

// install plans one run of apt.
func (p *Package) install(ctx context.Context, v *host.View, db *database, todo []want) (modules.Plan, error) {
	var args []string
	for _, w := range todo {
		args = append(args, w.asked(db.native, p.State == "absent"))
	}
	// A name that nobody knows is no pattern: "mt.app" isn't mt-app.
	options := []string{"-o=APT::Cmd::Pattern-Only=true"}
	if p.Purge {
		options = append(options, "--purge")
	}
	if p.Recommends != nil {
		options = append(options, fmt.Sprintf("-o=APT::Install-Recommends=%t", *p.Recommends))
	}
	steps, err := simulate(ctx, v, options, args)
	if err != nil {
		return modules.Plan{}, p.explain(v, db, err)
	}
	for i := range steps {
		if steps[i].Old == "" && steps[i].New == "" { // only its configuration is left, and goes
			steps[i].Old = "configuration"
		}
	}
	for _, w := range todo { // configuration that a removed package left may be no step of apt's
		if !p.Purge || has(steps, w.name) {
			continue
		}
		left, err := db.remains(v, w.name, true)
		if err != nil {
			return modules.Plan{}, err
		}
		if left {
			steps = append(steps, step{Name: w.name, Old: "configuration"})
		}
	}
	if len(steps) == 0 { // a virtual package whose provider is there
		plan, err := p.holds(v, db)
		if err != nil || len(plan.Changes) > 0 {
			return plan, err
		}
		return p.settled(v, db)
	}
	if err := p.judge(v, db, steps); err != nil {
		return modules.Plan{}, err
	}
	before, err := pending(v)
	if err != nil {
		return modules.Plan{}, err
	}
	run := &AptRun{
		Target: p.target(), Options: options, Args: args, Steps: steps, Wait: p.wait(), Start: p.StartServices,
		Downgrade: p.AllowDowngrade, Held: p.Hold != nil,
		before: before, keeps: map[string]bool{},
	}
	for _, s := range steps {
		have, err := db.lookup(v, s.Name)
		if err != nil {
			return modules.Plan{}, err
		}
		run.keeps[s.Name] = have != nil && have.Held && (p.Hold == nil || *p.Hold)
	}
	run.vanish = vanishing(v, db, steps, p.Purge)
	plan := modules.Plan{Changes: []host.Change{run}}
	if p.Hold != nil && *p.Hold {
		held, err := p.holdChange(v, db, steps)
		if err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, held...)
	} else if p.Hold != nil {
		held, err := p.holdChange(v, db, nil)
		if err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(held, plan.Changes...)
	}
	return plan, nil
}

func has(steps []step, name string) bool {
	for _, s := range steps {
		if s.Name == name {
			return true
		}
	}
	return false
}

// explain adds what to do to apt's refusal.
func (p *Package) explain(v *host.View, db *database, err error) error {
	var r *refusal
	if errors.As(err, &r) {
		err = &refusal{r.out, db.native}
	}
	if !unknownPackage(err) {
		return err
	}
	for _, w := range p.wants(db.native) {
		if bare := strings.TrimSuffix(w.name, "+"); bare != w.name {
			err = fmt.Errorf("%w; if %s is meant, leave out the \"+\", which only the apt command takes", err, bare)
		}
	}
	lists, lerr := readLists(v)
	if lerr != nil || lists.since.IsZero() {
		return fmt.Errorf(`%w; check the name, and whether an apt_repository task has to come first`, err)
	}
	return fmt.Errorf(`%w; the package lists are of %s: check the name, set update_cache = "1h" to fetch newer ones, or add an apt_repository task before this one`,
		err, lists.since.UTC().Format("2006-01-02 15:04 MST"))
}

// judge refuses what the task doesn't allow: an older version, and moving
// what is held.
func (p *Package) judge(v *host.View, db *database, steps []step) error {
	for _, s := range steps {
		if s.Old == "" || s.Old == s.New || s.Old == "configuration" {
			continue
		}
		if s.New != "" && compareVersions(s.New, s.Old) < 0 && !p.AllowDowngrade {
			return fmt.Errorf("%s would go back from %s to %s: set allow_downgrade = true if that is wanted", s.Name, s.Old, s.New)
		}
		have, err := db.lookup(v, s.Name)
		if err != nil {
			return err
		}
		if have == nil || !have.Held {
			continue
		}
		if p.Hold != nil && p.named(db, s.Name) && s.New != "" {
			continue // the task keeps it at a version of its own
		}
		what := "be removed"
		if s.New != "" {
			what = "change to " + s.New
		}
		return fmt.Errorf("%s is held at %s and would %s: set hold in its own task to decide, or release it with apt-mark unhold %s", s.Name, s.Old, what, s.Name)
	}
	return nil
}

func (p *Package) named(db *database, name string) bool {
	for _, w := range p.wants(db.native) {
		if w.name == name {
			return true
		}
	}
	return false
}

// holds plans what is left of "hold" where the packages are as they are to be.
func (p *Package) holds(v *host.View, db *database) (modules.Plan, error) {
	if p.Hold == nil {
		return modules.Plan{}, nil
	}
	changes, err := p.holdChange(v, db, nil)
	return modules.Plan{Changes: changes}, err
}

func (p *Package) holdChange(v *host.View, db *database, steps []step) ([]host.Change, error) {
	h := &Hold{Target: p.target(), Hold: *p.Hold, Wait: p.wait(), Packages: map[string]string{}}
	for _, w := range p.wants(db.native) {
		have, err := db.lookup(v, w.name)
		if err != nil {
			return nil, err
		}
		for _, s := range steps {
			if s.Name == w.name && s.New != "" {
				have = &Installed{Version: s.New, Held: have != nil && have.Held}
			}
		}
		if have != nil && have.Held != *p.Hold {
			h.Packages[w.name] = have.Version
		}
	}
	if len(h.Packages) == 0 {
		return nil, nil
	}
	return []host.Change{h}, nil
}

// settled is the plan of a task with nothing left to do.
func (p *Package) settled(v *host.View, db *database) (modules.Plan, error) {
	out := Output{Versions: map[string]string{}}
	for _, w := range p.wants(db.native) {
		have, err := db.lookup(v, w.name)
		if err != nil {
			return modules.Plan{}, err
		}
		if have != nil {
			out.Versions[w.name] = have.Version
		}
	}
	data, err := json.Marshal(out)
	return modules.Plan{Output: data}, err
}

// list joins names, at most twenty of them.
func list(names []string) string {
	sort.Strings(names)
	if len(names) > 20 {
		return strings.Join(names[:20], ", ") + fmt.Sprintf(" and %d more", len(names)-20)
	}
	return strings.Join(names, ", ")
}
