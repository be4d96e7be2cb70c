package haproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

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
		return none, fmt.Errorf("%s reads %d configurations (%s), and a task makes one: give the unit one -f", unit, len(configs), strings.Join(configs, ", "))
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
	changes, err := p.write(ctx)
	if err != nil {
		return none, err
	}
	sums := map[string]string{p.path: sumOf([]byte(p.text))}
	for _, f := range p.files {
		sums[f.path] = sumOf(f.content)
	}
	now, err := host.Read(p.v, loadedKey, func() (*loaded, error) {
		return loadedBy(p.daemon, p.path, slices.Sorted(maps.Keys(sums))), nil
	})
	if err != nil {
		return none, err
	}
	sum := sumFiles(sums)
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
		return p.settled(ctx, string(old))
	}
	want := parse(p.text)
	if err := p.refused(ctx); err != nil && !isNotYet(err) {
		return none, err
	}
	if err := p.free(want); err != nil {
		return none, err
	}
	switch {
	case !now.Running:
		l.Verb, l.Impact = verbStart, "it doesn't run"
	case now.text == "":
		l.Impact = "what it has loaded isn't known"
	default:
		l.Told, l.Certs, l.Maps, l.Impact = p.tell(now, want)
		if l.Impact == "" {
			l.Verb = verbTell
		}
	}
	if l.Verb == verbReload && !want.loadsState {
		p.notes = append(p.notes, "The template lacks server-state-file "+keptPath+` in its section global and load-server-state-from-file global in its defaults: a server that somebody has drained may take requests for a moment when HAProxy is reloaded.`)
	}
	// Putting a server back is never taken back: it would be out again.
	return modules.Plan{Changes: append(append(changes, l), back...), Atomic: len(back) == 0, Notes: p.notes}, nil
}

// leftOut plans that servers are put back that a run which didn't end has taken out.
func (p *planner) leftOut(ctx context.Context) (changes []host.Change, err error) {
	list, _ := leftOut(ctx, p.v) // where HAProxy doesn't answer, or not yet, nobody is out
	for _, n := range list {
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
		if withoutMarks(old) == p.text {
			p.text = old // what another writer notes for itself is no difference
		} else {
			p.notes = append(p.notes, fmt.Sprintf("%s is written by somebody else, too, as its line %q tells: the two undo each other's changes.", p.path, marks[0]))
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

// A data plane API keeps count of a file's versions in a comment at its top.
var mark = regexp.MustCompile(`^# _(version|md5hash)\s*=`)

func marksIn(text string) (list []string) {
	for l := range strings.Lines(text) {
		if mark.MatchString(l) {
			list = append(list, strings.TrimSpace(l))
		}
	}
	return list
}

func withoutMarks(text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		if !mark.MatchString(l) {
			b.WriteString(l)
		}
	}
	return b.String()
}

// write plans the files: what the configuration refers to first.
func (p *planner) write(ctx context.Context) (changes []host.Change, err error) {
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
				secret(w)
				w.Note = f.serials()
			}
		}
		changes = append(changes, write...)
	}
	write, err := p.v.Rewrite(ctx, p.path, func(string) (string, error) { return p.text, nil })
	if err != nil {
		return nil, err
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
				secret(w)
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

// secret keeps a file that is written from others, and from being shown.
func secret(w *host.WriteFile) {
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
		e := modules.ArgError{Summary: "HAProxy can't listen there", Detail: fmt.Sprintf("bind %s: %s", b.words[1], err)}
		if e.Arg, e.Path = p.rendered.at(b.line); e.Arg == "" && p.Source != nil {
			e.Arg = "source"
			e.Detail = fmt.Sprintf("%s:%d: %s", p.path, b.line, e.Detail)
		}
		return e
	}
	return nil
}

// mayGo reports whether a pending change may end who listens on a port.
func (p *planner) mayGo(err error) bool {
	if p.v.Tainted() {
		return true
	}
	text := err.Error()
	at := strings.LastIndex(text, ", ")
	if at < 0 {
		return false
	}
	_, ok, open, err := p.v.Look(host.Key{Space: host.Units, Name: strings.TrimSuffix(text[at+2:], ")")})
	return ok || open || err != nil
}

// tell returns what the running HAProxy is told in place of a reload; why, where it has to
// be reloaded.
func (p *planner) tell(now *loaded, want *parsed) (list []told, certs, mapFiles []string, why string) {
	list, ok := runtime(parse(now.text), want)
	if !ok {
		return nil, nil, nil, "for what can't be told while it runs"
	}
	for _, f := range p.files {
		switch {
		case f.there && string(f.was) == string(f.content):
		case !f.there:
			return nil, nil, nil, "for a file that is new"
		case f.sensitive:
			certs = append(certs, f.path)
		default:
			mapFiles = append(mapFiles, f.path)
		}
	}
	if s, err := p.daemon.worker(nil, []byte(now.text)); err != nil || s.address == "" {
		return nil, nil, nil, "it has no socket on which it can be told"
	}
	if len(list)+len(certs)+len(mapFiles) == 0 && strings.TrimSpace(now.text) == "" {
		return nil, nil, nil, "it hasn't loaded its files"
	}
	return list, certs, mapFiles, ""
}

// settled is the plan where nothing is to be done.
func (p *planner) settled(ctx context.Context, text string) (modules.Plan, error) {
	plan := modules.Plan{Notes: p.notes}
	s, err := p.daemon.worker(func(ctx context.Context, address string) (net.Conn, error) {
		return p.v.Dial(ctx, address, append(daemonKeys[:len(daemonKeys):len(daemonKeys)], loadedKey)...)
	}, []byte(text))
	if err != nil {
		return plan, nil // it can't be asked, and needn't be
	}
	answers, err := host.Once(p.v, "haproxy states", func() ([2]string, error) {
		var a [2]string
		var err1, err2 error
		a[0], err1 = s.ask(ctx, "show servers state")
		a[1], err2 = s.ask(ctx, "show info")
		return a, errors.Join(err1, err2)
	})
	if err != nil {
		return plan, nil
	}
	out := Output{Set: []string{}}
	for l := range strings.Lines(answers[1]) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "Version: "); ok {
			out.Version = v
		}
	}
	list, _ := rows(answers[0])
	for _, r := range list {
		if r.set() {
			out.Set = append(out.Set, r[colProxy]+"/"+r[colName])
		}
	}
	plan.Output, err = host.Marshal(out)
	return plan, err
}

// mapLine says why a key and its value can't be a line of a map, "" where they can.
func mapLine(key, value string) string {
	if key == "" || strings.ContainsFunc(key, unicode.IsSpace) || strings.HasPrefix(key, "#") {
		return fmt.Sprintf("%q can't be a key of a map: a key is one word, and doesn't begin with #.", key)
	}
	if value == "" || strings.ContainsFunc(value, unicode.IsControl) || strings.TrimSpace(value) != value {
		return fmt.Sprintf("%q can't be a value of a map: a value is the rest of a line, and not empty.", value)
	}
	return ""
}

// mapText is a map's file.
func mapText(m map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s %s\n", key, m[key])
	}
	return b.String()
}

// keeping is a configuration in which servers' states are taken up from muster's file when
// it is loaded.
func (r rendered) keeping() rendered {
	out := rendered{}
	add := func(text, path string) { out.text += text + "\n"; out.paths = append(out.paths, path) }
	lines := strings.Split(strings.TrimSuffix(r.text, "\n"), "\n")
	if strings.Contains(r.text, "server-state") {
		return r
	}
	global, defaults := "\tserver-state-file "+keptPath, "\tload-server-state-from-file global"
	if !slices.Contains(lines, "global") {
		add("global", "")
		add(global, "")
	}
	if !slices.ContainsFunc(lines, beginsDefaults) {
		add("defaults", "")
		add(defaults, "")
	}
	for i, l := range lines {
		add(l, r.paths[i])
		switch {
		case l == "global":
			add(global, "")
		case beginsDefaults(l):
			add(defaults, "")
		}
	}
	return out
}

func beginsDefaults(line string) bool {
	return line == "defaults" || strings.HasPrefix(line, "defaults ")
}
