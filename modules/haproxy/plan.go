package haproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// planner plans a haproxy task.
type planner struct {
	*HAProxy
	v        *host.View
	daemon   *daemon
	path     string // of the configuration
	rendered rendered
	text     string // of the configuration that is wanted
	files    []wanted
	notes    []string
}

// wanted is a file besides the configuration.
type wanted struct {
	path      string
	content   []byte
	sensitive bool
	was       []byte // what stands there, nil where nothing does
	there     bool
}

func (p *planner) plan(ctx context.Context) (modules.Plan, error) {
	var none modules.Plan
	configs := p.daemon.configs()
	if len(configs) != 1 {
		return none, fmt.Errorf("%s reads %d configurations (%s), and a task makes one: give the unit one -f, and restart it", unit, len(configs), strings.Join(configs, ", "))
	}
	p.path = configs[0]
	if info, err := p.v.Stat(p.path); err != nil {
		return none, err
	} else if info.Type == host.Directory {
		return none, fmt.Errorf("%s reads all that is in the folder %s, and a task makes one file: have the unit read that", unit, p.path)
	}
	old, err := p.v.ReadFile(ctx, p.path, configLimit)
	if err != nil && !absent(err) {
		return none, err
	}
	if err := p.render(ctx, string(old)); err != nil {
		return none, err
	}
	changes, err := p.write(ctx, string(old))
	if err != nil {
		return none, err
	}
	sums := map[string]string{p.path: sumOf([]byte(p.text))}
	for _, f := range p.files {
		sums[f.path] = sumOf(f.content)
	}
	if err := p.others(sums); err != nil {
		return none, err
	}
	now, err := host.Read(p.v, loadedKey, func() (*loaded, error) {
		return loadedBy(p.daemon, p.path, slices.Sorted(maps.Keys(sums))), nil
	})
	if err != nil {
		return none, err
	}
	whole := maps.Clone(sums)
	whole[p.path] = sumOf([]byte(withoutMarks(p.text)))
	sum := sumFiles(whole)
	back, err := p.leftOut(ctx)
	if err != nil {
		return none, err
	}
	l := &Load{Verb: verbReload, Config: p.path, Files: sums, Sum: sum}
	if now.Running && now.Sum == sum {
		if len(changes) > 0 && !now.noted { // by the files' times it would seem not to have loaded them
			l.Verb = verbTell
			changes = append(changes, l)
		}
		if changes = append(changes, back...); len(changes) > 0 { // of what is loaded already
			return modules.Plan{Changes: changes, Notes: p.notes}, nil
		}
		return p.settled(ctx, l)
	}
	want := parse(p.text)
	if err := p.refused(ctx); err != nil && !isNotYet(err) {
		return none, err
	}
	if err := p.free(want); err != nil {
		return none, err
	}
	if err := p.rooted(want); err != nil {
		return none, err
	}
	switch {
	case !now.Running:
		l.Verb, l.Impact = verbStart, "it doesn't run"
	case now.text == "":
		l.Impact = "what it has loaded isn't known"
	default:
		l.Told, l.Certs, l.Maps, l.Impact = p.tell(now, want, whole)
		if l.Impact == "" {
			l.Verb = verbTell
		}
	}
	if now.Running {
		for _, t := range p.observe(ctx, parse(now.text), want).moved {
			if l.Verb == verbTell {
				l.Told = append(l.Told, t)
			} else {
				p.notes = append(p.notes, "Somebody has moved a server, which a reload has where it belongs: "+t.Shows+".")
			}
		}
	}
	if l.Verb == verbReload && !want.loadsState {
		p.notes = append(p.notes, "The template lacks server-state-file "+keptPath+` in its section global and load-server-state-from-file global in its defaults: what somebody has set of servers, a drain too, is lost when HAProxy is reloaded.`)
	}
	// Putting a server back is never taken back: it would be out again.
	return modules.Plan{Changes: append(append(changes, l), back...), Atomic: len(back) == 0, Notes: p.notes}, nil
}

// leftOut plans that servers are put back that a run which didn't end has taken out.
func (p *planner) leftOut(ctx context.Context) (changes []host.Change, err error) {
	list, _ := leftOut(ctx, p.v) // where HAProxy doesn't answer, or not yet, nobody is out
	want := parse(p.text)
	for _, n := range list {
		if s := want.server(n.Backend, n.Server); s == nil || s.disabled {
			continue // the configuration has it out
		}
		if !n.Passing {
			p.notes = append(p.notes, fmt.Sprintf("The server %s/%s is out of HAProxy since run %s: a task haproxy_server has it so, and one with state = \"ready\" puts it back.", n.Backend, n.Server, brief(n.Run)))
			continue
		}
		plan, err := (&LiveServer{Server: n.Server, Backend: n.Backend, State: ready}).Plan(ctx, p.v)
		if err != nil {
			return nil, err
		}
		changes = append(changes, plan.Changes...)
	}
	return changes, nil
}

// others adds the files that stand in the folder of certificates besides: HAProxy loads
// all of it, or, where one is bad, doesn't start.
func (p *planner) others(sums map[string]string) error {
	if !strings.Contains(p.text, certsFolder) {
		return nil
	}
	names, err := p.v.ReadDir(certsFolder)
	if err != nil && !absent(err) {
		return err
	}
	for _, n := range names {
		path := filepath.Join(certsFolder, n)
		if info, err := p.v.Stat(path); err != nil {
			return err
		} else if info.Type != host.Regular || sums[path] != "" {
			continue
		}
		if sums[path], err = p.v.Sum(path); err != nil {
			return err
		}
	}
	return nil
}

// render makes the texts that are wanted.
func (p *planner) render(ctx context.Context, old string) error {
	if p.Source != nil {
		data, err := p.v.Body(ctx, *p.Source, configLimit)
		if err != nil {
			return err
		}
		p.text = string(data)
	} else {
		p.rendered = p.Config.render().keeping()
		p.text = p.rendered.text
	}
	marks := marksIn(old)
	if len(marks) > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%s is written by somebody else, too, as its line %q tells: the two undo each other's changes.", p.path, marks[0]))
		if withoutMarks(old) == p.text {
			p.text = old // what another writer notes for itself is no difference
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Certificates)) {
		p.files = append(p.files, wanted{path: certPath(name), content: []byte(p.Certificates[name].pem()), sensitive: true})
	}
	for _, name := range slices.Sorted(maps.Keys(p.Maps)) {
		p.files = append(p.files, wanted{path: mapPath(name), content: []byte(mapText(p.Maps[name]))})
	}
	return nil
}

// write plans the files: what the configuration refers to first.
func (p *planner) write(ctx context.Context, old string) (changes []host.Change, err error) {
	for _, dir := range []string{certsFolder, mapsFolder} {
		if !slices.ContainsFunc(p.files, func(f wanted) bool { return filepath.Dir(f.path) == dir }) {
			continue
		}
		info, err := p.v.Stat(dir)
		if err != nil {
			return nil, err
		}
		if !info.Exists() {
			mode := host.Mode(0o755)
			if dir == certsFolder {
				mode = 0o700
			}
			changes = append(changes, &host.MakeDir{Path: dir, Attr: host.Attr{Mode: &mode}, After: host.FileInfo{Type: host.Directory, Mode: mode, Owner: "root", Group: "root"}})
		}
	}
	for i := range p.files {
		f := &p.files[i]
		f.was, err = p.v.ReadFile(ctx, f.path, configLimit)
		f.there = err == nil
		if err != nil && !absent(err) {
			return nil, err
		}
		write, err := p.v.Rewrite(ctx, f.path, func(string) (string, error) { return string(f.content), nil })
		if err != nil {
			return nil, err
		}
		for _, c := range write {
			if w, ok := c.(*host.WriteFile); ok && f.sensitive {
				conceal(w)
				w.Note = f.serials()
			}
		}
		changes = append(changes, write...)
	}
	write, err := p.v.Rewrite(ctx, p.path, func(string) (string, error) { return p.text, nil })
	if err != nil {
		return nil, err
	}
	for _, c := range write {
		if w, ok := c.(*host.WriteFile); ok {
			w.Diff = host.Diff([]byte(hidden(old)), []byte(hidden(p.text)))
		}
	}
	if write, err = p.guard(write); err != nil {
		return nil, err
	}
	return append(changes, write...), nil
}

// guard keeps a configuration from others that has passwords in it: it is root's alone,
// who starts HAProxy.
func (p *planner) guard(write []host.Change) ([]host.Change, error) {
	sensitive := p.Source != nil && p.Source.Sensitive
	if !sensitive && !parse(p.text).secretive() {
		return write, nil
	}
	for _, c := range write {
		if w, ok := c.(*host.WriteFile); ok {
			if sensitive {
				conceal(w)
			}
			mode := host.Mode(0o600)
			w.Attr.Mode, w.After.Mode = &mode, mode
		}
	}
	if len(write) > 0 {
		return write, nil
	}
	path, err := p.v.Follow(p.path)
	if err != nil {
		return nil, err
	}
	before, err := p.v.Lstat(path)
	if err != nil || before.Mode&0o077 == 0 {
		return nil, err
	}
	mode, after := host.Mode(0o600), before
	after.Mode = mode
	return []host.Change{&host.SetAttr{Path: path, Attr: host.Attr{Mode: &mode}, Before: before, After: after}}, nil
}

// conceal keeps a file that is written from others, and from being shown.
func conceal(w *host.WriteFile) {
	mode := host.Mode(0o600)
	w.Diff, w.Content.Sensitive, w.After.Sensitive = "", true, true
	w.Attr.Mode, w.After.Mode = &mode, mode
}

// serials says which certificate takes the place of which.
func (f *wanted) serials() string {
	is := Certificate{Certificate: string(f.content)}.leaf()
	text := fmt.Sprintf("certificate %s, good until %s", serial(is), is.NotAfter.UTC().Format("2006-01-02"))
	if was := (Certificate{Certificate: string(f.was)}).leaf(); was != nil && f.there {
		text += ", in place of " + serial(was)
	}
	return text
}

// free returns an error where somebody else listens where HAProxy is to.
func (p *planner) free(want *parsed) error {
	own := []int{}
	if p.daemon.running() {
		own = family(p.daemon.PID)
	}
	for _, b := range want.binds {
		err := b.occupied(own)
		if err == nil {
			continue
		}
		if p.v.Pending() && p.mayGo(err) {
			continue // at its turn it is looked at once more
		}
		e := modules.ArgError{Summary: "HAProxy can't listen there", Detail: fmt.Sprintf("%s: %s", strings.Join(b.words[:min(3, len(b.words))], " "), err)}
		if e.Arg, e.Path = p.place(b.line); p.Source != nil {
			e.Detail = fmt.Sprintf("%s:%d: %s", p.path, b.line, e.Detail)
		}
		return e
	}
	return nil
}

// rooted returns an error where the folder that HAProxy shuts itself into isn't there: its
// check doesn't look, and without it HAProxy ends.
func (p *planner) rooted(want *parsed) error {
	if want.chroot == "" {
		return nil
	}
	info, err := p.v.Stat(want.chroot)
	if err != nil || info.Type == host.Directory {
		if isNotYet(err) {
			return nil
		}
		return err
	}
	e := modules.ArgError{Summary: "There is no such folder", Detail: fmt.Sprintf("chroot %s: make it in an earlier task, owned by root; Debian's is /var/lib/haproxy.", want.chroot)}
	e.Arg, e.Path = p.place(want.chrootLine)
	return e
}

// place is the argument that a line of the configuration came from.
func (p *planner) place(line int) (arg, path string) {
	if p.Source != nil {
		return "source", ""
	}
	return p.rendered.at(line)
}

// mayGo reports whether a pending change may end who listens on a port.
func (p *planner) mayGo(err error) bool {
	var t *portTaken
	if p.v.Tainted() || !errors.As(err, &t) || t.by == nil || t.by.unit == "" {
		return p.v.Tainted()
	}
	_, ok, open, err := p.v.Look(host.Key{Space: host.Units, Name: t.by.unit})
	return ok || open || err != nil
}

// tell returns what the running HAProxy is told in place of a reload; why, where it has to
// be reloaded.
func (p *planner) tell(now *loaded, want *parsed, files map[string]string) (list []told, certs, mapFiles []string, why string) {
	list, ok := runtime(parse(now.text), want)
	if !ok {
		return nil, nil, nil, "for what can't be told while it runs"
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		was, there := now.files[path]
		switch {
		case path == p.path || was == files[path]:
		case !there:
			return nil, nil, nil, "for " + path + ", which is new"
		case filepath.Dir(path) == certsFolder:
			certs = append(certs, path)
		default:
			mapFiles = append(mapFiles, path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(now.files)) {
		if files[path] == "" && filepath.Dir(path) == certsFolder {
			return nil, nil, nil, "for " + path + ", which has gone"
		}
	}
	if s, err := p.daemon.worker(nil, []byte(now.text)); err != nil || s.address == "" {
		return nil, nil, nil, "it has no socket on which it can be told"
	}
	return list, certs, mapFiles, ""
}
