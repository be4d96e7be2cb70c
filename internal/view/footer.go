package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"muster/host"
	"muster/internal/engine"
)

// How often a footer is drawn, and how often a line takes its place where there is none.
const (
	footerEvery = 200 * time.Millisecond
	lineEvery   = 10 * time.Second
)

// Runner is a run that tells where its hosts stand.
type Runner interface {
	Standings() []engine.Standing
}

// Watch says how a run that began then gets on, until stop is called: in a footer on a terminal, else in
// a line every ten seconds. What is being made is shown with it, as v has gathered it.
func Watch(s *Screen, v View, run Runner, began time.Time) (stop func()) {
	w := &watch{screen: s, run: run, began: began}
	for {
		inner, ok := v.(interface{ Unwrap() View })
		if !ok {
			break
		}
		v = inner.Unwrap()
	}
	w.text, _ = v.(*textView)
	if !s.Terminal() && w.text == nil {
		return func() {} // JSON has events for it
	}
	every := lineEvery
	if s.Terminal() {
		every = footerEvery
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				w.show(now)
			}
		}
	}()
	var once sync.Once
	return func() {
		once.Do(func() {
			close(done)
			<-ended
			s.Footer(nil)
		})
	}
}

// watch is a run that is watched.
type watch struct {
	screen *Screen
	run    Runner
	text   *textView // nil: what is shown is JSON
	began  time.Time
}

func (w *watch) show(now time.Time) {
	list := w.run.Standings()
	if !w.screen.Terminal() {
		w.text.news()
		fmt.Fprintln(w.screen.Err(), "  "+Line(list, w.began, now))
		return
	}
	_, rows := w.screen.Size()
	var lines []string
	faint := func(s string) string { return s }
	if w.text != nil {
		lines = w.text.open(min(8, rows/3))
		faint = func(s string) string { return w.text.style.faint.Render(s) }
	}
	for i, line := range Footer(list, w.began, now, min(3, max(1, rows/6))) {
		if i > 0 {
			line = faint(line)
		}
		lines = append(lines, line)
	}
	w.screen.Footer(lines)
}

// Footer says in its first line how many hosts have come how far, and in up to most others
// for whom the run waits, longest first.
func Footer(list []engine.Standing, began, now time.Time, most int) []string {
	lines := []string{fmt.Sprintf("%s  %s", tally(list), span(now.Sub(began)))}
	waits := waiting(list)
	for i, s := range waits {
		if i == most-1 && len(waits) > most {
			return append(lines, fmt.Sprintf("  … and %d more hosts", len(waits)-i))
		}
		lines = append(lines, "  "+doing(s, now))
	}
	return lines
}

// Line is a footer in one line.
func Line(list []engine.Standing, began, now time.Time) string {
	text := span(now.Sub(began)) + ": " + tally(list)
	waits := waiting(list)
	for i, s := range waits[:min(len(waits), 3)] {
		sep := ", "
		if i == 0 {
			sep = "; waiting for "
		}
		text += sep + doing(s, now)
	}
	if n := len(waits) - 3; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// tally counts hosts by how far they have come, none left out.
func tally(list []engine.Standing) string {
	var n [engine.StageFailed + 1]int
	for _, s := range list {
		n[s.Stage]++
	}
	var parts []string
	for _, p := range []struct {
		stage engine.Stage
		word  string
	}{
		{engine.StagePlanned, "planned"}, {engine.StageDone, "done"}, {engine.StageApply, "applying"}, {engine.StagePlan, "planning"},
		{engine.StageReach, "connecting"}, {engine.StageTurn, "waiting for their turn"}, {engine.StageFailed, "failed"},
	} {
		if n[p.stage] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[p.stage], p.word))
		}
	}
	return host.Counted(len(list), "host", "hosts") + ": " + strings.Join(parts, ", ")
}

// waiting are the hosts that the run waits for, longest first; who waits for another host
// itself isn't the one to look at, and comes last.
func waiting(list []engine.Standing) []*engine.Standing {
	type place struct {
		idle, since int64
		*engine.Standing
	}
	var places []place
	for i := range list {
		s := &list[i]
		switch s.Stage {
		case engine.StageReach, engine.StagePlan, engine.StageApply:
		default:
			continue
		}
		p := place{0, s.Since.Unix(), s} // to the second, as it is shown: lines that change places can't be read
		if s.Stage != engine.StageReach && s.Name == "" {
			p.idle = 1
		}
		places = append(places, p)
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.idle, b.idle), cmp.Compare(a.since, b.since)) })
	waits := make([]*engine.Standing, len(places))
	for i := range places {
		waits[i] = places[i].Standing
	}
	return waits
}

// doing says what a host does, and for how long it has: "db1: package.chrony 14s of ≤5m".
func doing(s *engine.Standing, now time.Time) string {
	what := "waiting for other hosts"
	switch {
	case s.Stage == engine.StageReach:
		what = "connecting"
	case s.Waits != "":
		what = "waiting for " + CleanLine(s.Waits)
	case s.Name != "":
		what = taskName(s.Role, s.Name, s.Key, s.On)
	case s.For != "":
		what = "waiting for " + s.For
	case s.Stage == engine.StagePlan:
		what = "planning"
	}
	text := fmt.Sprintf("%s: %s %s", CleanLine(s.Host), what, span(now.Sub(s.Since)))
	if s.Bound > 0 && s.Waits == "" && s.Stage == engine.StageApply {
		text += " of ≤" + short(s.Bound)
	}
	return text
}

// InHand says which changes are being made, a line for each host.
func InHand(list []engine.Standing, now time.Time) []string {
	var lines []string
	for i := range list {
		if s := &list[i]; s.Stage == engine.StageApply && s.Name != "" && s.Waits == "" {
			lines = append(lines, doing(s, now))
		}
	}
	return lines
}

// taskName is a task as the playbook has it.
func taskName(role, name, key, on string) string {
	s := strings.TrimPrefix(name, "task.")
	if key != "" {
		s += fmt.Sprintf("[%q]", key)
	}
	if role != "" {
		s = "role." + role + " " + s
	}
	if on != "" {
		s += " on " + on
	}
	return CleanLine(s)
}

// span is a time that has passed, to the second.
func span(d time.Duration) string { return max(0, d).Truncate(time.Second).String() }

// short is a duration without what is zero at its end: 5m, not 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
