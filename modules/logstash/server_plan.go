package logstash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Plan compares the files, and what runs.
func (s *Server) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if !host.IsRoot() {
		return modules.Plan{}, errNotRoot
	}
	plan, err := s.plan(ctx, v)
	if isNotYet(err) {
		plan = modules.Plan{Then: []host.Description{
			{Action: host.Update, Target: settingsPath, Impact: "where it doesn't hold the settings by then"},
			{Action: host.Update, Target: jvmPath, Impact: "where it has another heap by then"},
			{Action: host.Update, Target: keystorePath, Impact: "where it doesn't hold the values by then"},
			{Action: host.Restart, Target: unit, Impact: "where it doesn't run with them"},
		}}
	}
	return plan, err
}

func (s *Server) plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	w, err := readWhole(ctx, v)
	if err != nil {
		return plan, err
	}
	now, err := readCurrent(ctx, v, w)
	if err != nil {
		return plan, err
	}
	if plan.Notes, err = s.notes(ctx, v, w); err != nil {
		return plan, err
	}
	removed, err := s.write(ctx, v, w, &plan)
	if err != nil {
		return plan, err
	}
	l, err := s.load(v, w, now, &plan, removed)
	if err != nil {
		return plan, err
	}
	if len(plan.Changes) > 0 {
		if err := s.tested(ctx, behind(v, plan.Changes), w); err != nil {
			return plan, err
		}
	}
	if l != nil {
		plan.Changes = append(plan.Changes, l)
	}
	if plan.Atomic = len(plan.Changes) > 0; plan.Atomic || now.laid {
		return plan, nil
	}
	out := Output{Pipelines: []string{}}
	if now.node != nil {
		out.Version = now.node.version
		for _, id := range slices.Sorted(maps.Keys(now.node.pipelines)) {
			if p := now.node.pipelines[id]; p.runs {
				out.Pipelines = append(out.Pipelines, id)
			}
			if why := now.node.pipelines[id].broken(); why != "" {
				plan.Notes = append(plan.Notes, fmt.Sprintf("The pipeline %q of Logstash: %s.", id, why))
			}
		}
	}
	plan.Output, err = json.Marshal(out)
	return plan, err
}

// notes tell of a heap that is too much for the host.
func (s *Server) notes(ctx context.Context, v *host.View, w *whole) ([]string, error) {
	if s.Heap == "" {
		return nil, nil
	}
	if options := w.env["LS_JAVA_OPTS"]; strings.Contains(options, "-Xm") {
		return nil, modules.ArgError{Arg: "heap", Summary: "Conflicting settings", Detail: fmt.Sprintf("LS_JAVA_OPTS in Logstash's environment (%s) has a heap, too, which Java would take instead: take -Xms and -Xmx out there.", strings.Join(envPaths(), ", "))}
	}
	total, err := memory(ctx, v)
	if err != nil {
		return nil, err
	}
	if note := tooMuch(s.Heap, total); note != "" {
		return []string{note}, nil
	}
	return nil, nil
}

// write plans the files, and puts what they will hold into the whole. It returns the
// pipelines that are taken out.
func (s *Server) write(ctx context.Context, v *host.View, w *whole, plan *modules.Plan) (removed []string, err error) {
	rewrite := func(path string, edit func(old string) (string, error)) error {
		changes, err := v.Rewrite(ctx, path, edit)
		plan.Changes = append(plan.Changes, changes...)
		return err
	}
	if s.Heap != "" {
		w.jvm = withHeap(w.jvm, s.Heap)
		if err := rewrite(jvmPath, func(string) (string, error) { return w.jvm, nil }); err != nil {
			return nil, err
		}
	}
	text, err := w.settings.with(flatSettings(s.Settings))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", settingsPath, err)
	}
	if w.settings, err = parseSettings(text); err != nil {
		return nil, err
	}
	if err := rewrite(settingsPath, func(string) (string, error) { return text, nil }); err != nil {
		return nil, err
	}
	if err := s.fill(ctx, v, w, plan); err != nil {
		return nil, err
	}
	if s.Pipelines == nil {
		return nil, nil
	}
	for _, e := range w.pipelines.entries {
		if !slices.Contains(*s.Pipelines, e.id) {
			removed = append(removed, e.id)
		}
	}
	if len(removed) > 0 {
		text := w.pipelines.without(removed)
		if w.pipelines, err = parsePipelines(text); err != nil {
			return nil, err
		}
		if err := rewrite(pipelinesPath, func(string) (string, error) { return text, nil }); err != nil {
			return nil, err
		}
	}
	left, err := leftovers(v, w)
	plan.Changes = append(plan.Changes, left...)
	return removed, err
}

// leftovers plans that texts of muster's go that no pipeline reads.
func leftovers(v *host.View, w *whole) (changes []host.Change, err error) {
	names, err := v.ReadDir(textsFolder)
	if err != nil && !gone(err) {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		id, ok := strings.CutSuffix(name, ".conf")
		if !ok || w.pipelines.find(id) != nil {
			continue
		}
		before, err := v.Lstat(textPath(id))
		if err != nil {
			return nil, err
		}
		if before.Type == host.Regular {
			changes = append(changes, &host.Remove{Path: textPath(id), Before: before, Note: "no pipeline reads it"})
		}
	}
	return changes, nil
}

// fill plans the keystore.
func (s *Server) fill(ctx context.Context, v *host.View, w *whole, plan *modules.Plan) error {
	if len(s.Keystore) == 0 {
		return nil
	}
	ring, err := pendingKeys(v)
	if err != nil {
		return err
	}
	var noted filling
	p := &PutKeystore{}
	if ring == nil {
		if noted, p.Before, err = readFilling(ctx, v); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Keystore)) {
		value := s.Keystore[name]
		e := secretEntry{strings.ToLower(name), v.Keep([]byte(value), true)}
		right := ring != nil && ring[e.Name] == e.Value.Sum
		if noted.File != "" && noted.Keys[e.Name] != "" {
			mark, err := noted.derived(value)
			if err != nil {
				return err
			}
			right = mark == noted.Keys[e.Name]
		}
		if right {
			p.Keep = append(p.Keep, e)
		} else {
			p.Set = append(p.Set, e)
		}
	}
	others := noted.Names
	if ring != nil {
		others = slices.Sorted(maps.Keys(ring))
	} else if noted.File == "" && p.Before != "" {
		if others, err = keyNames(ctx, v, w.env); err != nil {
			return err
		}
	}
	for _, name := range others {
		if _, ours := p.ring().Keys[name]; !ours {
			p.Others = append(p.Others, name)
		}
	}
	w.keys = slices.Sorted(maps.Keys(p.ring().Keys))
	if len(p.Set) > 0 {
		if ring != nil {
			return host.NotYet(keysKey) // an earlier task fills it, and this one otherwise
		}
		plan.Changes = append(plan.Changes, p)
	}
	return nil
}

// load finds out how Logstash comes to run with its files; nil where it does.
func (s *Server) load(v *host.View, w *whole, now *current, plan *modules.Plan, removed []string) (*Load, error) {
	next := behind(v, plan.Changes)
	own, pipelines := w.names()
	l := &Load{Names: slices.Concat(own, pipelines), Runs: w.ready(), Gone: removed, Sums: planned(plan.Changes)}
	if s.Heap != "" {
		l.Heap, _ = heapBytes(s.Heap)
	}
	ownChanged, err := now.changed(next, own)
	if err != nil {
		return nil, err
	}
	listChanged, err := now.changed(next, pipelines[:1])
	if err != nil {
		return nil, err
	}
	switch {
	case len(l.Runs) == 0 && !now.Running, len(l.Runs) == 0 && removed == nil:
		return nil, nil
	case len(l.Runs) == 0:
		l.Verb, l.For, l.Gone = verbStop, []string{"it has no pipeline left"}, nil
	case !now.Running:
		l.Verb = verbStart
	case now.mute != nil:
		l.Verb, l.For = verbRestart, []string{"its API doesn't answer"}
	case len(ownChanged) > 0:
		l.Verb, l.For = verbRestart, ownChanged
	case l.Heap > 0 && now.node != nil && l.verify(now.node) != nil:
		l.Verb, l.For = verbRestart, []string{"its heap"}
	case len(removed) > 0 || len(listChanged) > 0:
		l.Verb, l.For = verbReload, listChanged
	default:
		return nil, nil
	}
	return l, l.lay(next)
}

// lay notes what Logstash has loaded then.
func (l *Load) lay(next *host.View) (err error) {
	if l.Verb == verbStop {
		return nil
	}
	l.leaves.Running = true
	l.leaves.Sums, err = leaves(next, l.Names)
	return err
}

// planned are the sums of the files that changes write.
func planned(changes []host.Change) map[string]string {
	sums := map[string]string{}
	for _, c := range changes {
		if w, ok := c.(*host.WriteFile); ok {
			sums[w.Path] = w.Content.Sum
		}
	}
	return sums
}

// tested has all of it tested: by muster what Logstash doesn't test, then by Logstash.
func (s *Server) tested(ctx context.Context, v *host.View, w *whole) error {
	for _, name := range slices.Sorted(maps.Keys(w.settings.values)) {
		n := w.settings.values[name]
		err := w.defined(ctx, v, needsOf(valueOf(n), n.Line), settingsPath)
		if _, given := flatSettings(s.Settings)[name]; given {
			err = placed(err, "settings", fmt.Sprintf("[%q]", name))
		}
		if err != nil {
			return err
		}
	}
	return placed(w.test(ctx, v, false), "settings", "")
}

// placed is an error of what an argument holds.
func placed(err error, arg, path string) error {
	var e modules.ArgError
	if !errors.As(err, &e) || e.Arg != "" {
		return err
	}
	e.Arg, e.Path = arg, path
	return e
}
