package view

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/wire"
)

// textView writes lines: with colours and signs for a terminal, plainly else.
type textView struct {
	mu     sync.Mutex // guards the rest, as who watches a run looks at it at any time
	o      Options
	phase  Phase
	play   string
	warned map[string]bool
	style  styles
	// gather says that there are several hosts: what they answer is kept in plan, or in made,
	// and shown together.
	gather   bool
	plan     plan
	made     made
	said     []*printed
	planned  map[string]string // by task and host: what a print says, as the plan has shown it
	lost     lost              // isn't shown yet
	gone     lost              // of this run
	failures []*failure
	going    []*progress // isn't shown yet
}

// flush shows what was gathered.
func (v *textView) flush() {
	v.showLost()
	v.flushTasks()
}

// flushTasks is that without the hosts that can't be used.
func (v *textView) flushTasks() {
	v.plan.each(v.o.Verbose, v.shown)
	v.plan.tasks, v.plan.index = nil, nil
	v.madeAll(v.made.begun())
	v.answers()
}

type styles struct {
	add, remove, change, fail, faint, bold, good lipgloss.Style
}

func newText(o Options) *textView {
	r := lipgloss.NewRenderer(o.Out)
	profile := termenv.Ascii
	if o.Color {
		profile = termenv.ANSI
	}
	r.SetColorProfile(profile)
	plain := r.NewStyle().TabWidth(lipgloss.NoTabConversion) // a diff shows what is there
	color := func(c string) lipgloss.Style { return plain.Foreground(lipgloss.Color(c)) }
	return &textView{o: o, warned: map[string]bool{}, style: styles{
		add: color("2"), remove: color("1"), change: color("3"), fail: color("1").Bold(true),
		faint: plain.Faint(true), bold: plain.Bold(true), good: color("2"),
	}}
}

func (v *textView) Plan(p Plan) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.o.Out, "Plan of %s, made %s by %s with muster %s\n", v.style.bold.Render(CleanLine(p.Playbook)),
		p.Created.Local().Format("2006-01-02 15:04:05 MST"), CleanLine(p.By), CleanLine(p.Muster))
	for _, f := range []struct {
		name   string
		values []string
	}{{"--limit", p.Limit}, {"--tags", p.Tags}, {"--skip-tags", p.SkipTags}} {
		if len(f.values) > 0 {
			fmt.Fprintf(v.o.Out, "  %s %s\n", f.name, CleanLine(strings.Join(f.values, ",")))
		}
	}
	if p.Sealed {
		fmt.Fprintln(v.o.Out, v.style.faint.Render("  what is sensitive in it is sealed"))
	}
}

// Begin implements View. A pass that plans begins a run.
func (v *textView) Begin(p Phase, hosts []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.showProgress()
	switch p {
	case Making:
		v.briefly()
	case Running: // its end tells it
		v.lost = nil
	default:
		v.showLost()
	}
	v.flushTasks()
	if p == Planning || p == PlanningFirst || p == Quiet {
		v.made, v.gone, v.failures = made{}, nil, nil
	}
	v.phase, v.play, v.plan = p, "", ordered(hosts)
	v.gather = len(hosts) > 1
	if p == Making {
		fmt.Fprintln(v.o.Out)
	}
}

func (v *textView) Event(e engine.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := e.(type) {
	case *engine.HostEvent:
		v.gotOn(e.Host)
		v.unusable(e)
	case *engine.RescueEvent:
		v.rescue(e)
	case *engine.NoticeEvent:
		text := indented(Clean(e.Text), "  ")
		if e.Fault {
			text = v.style.fail.Render("!") + " " + text
		}
		fmt.Fprintln(v.o.Out, text)
	case *engine.ProgressEvent:
		v.gets(e)
	case *engine.TaskEvent:
		v.gotOn(e.Host)
		v.task(e)
	}
}

func (v *textView) Rotation(r Rotation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.flush()
	fmt.Fprintf(v.o.Err, "%s: %s\n", CleanLine(r.Name), indented(Clean(r.Text), "  "))
}

// rescue says what would be run if a block failed.
func (v *textView) rescue(e *engine.RescueEvent) {
	if v.phase == Quiet {
		return
	}
	v.flush()
	var tasks []string
	for _, t := range e.Tasks {
		tasks = append(tasks, strings.TrimPrefix(t, "task."))
	}
	line := fmt.Sprintf("if block %q of %q fails  on %s  %s", e.Block, e.Play, v.names(e.Hosts), strings.Join(tasks, ", "))
	fmt.Fprintln(v.o.Out, "  "+v.style.faint.Render(CleanLine(line)))
}

// task shows a task that isn't as it should be. Those that are, only on request.
func (v *textView) task(e *engine.TaskEvent) {
	if v.gather {
		e = unmarkedEvent(e)
	}
	first := v.fails(e)
	if v.toldByPlan(e) {
		return
	}
	if v.phase == PlanningFirst && e.Status == wire.Pending && v.gather {
		v.made.expect(e)
	}
	switch {
	case v.phase == Quiet && e.Status != wire.Failed:
	case v.phase == Running:
		v.hear(e)
	case v.gather && v.phase == Quiet: // its end tells it
	case v.gather && v.phase == Making:
		v.making(e, first)
	case v.gather:
		if v.visible(e) {
			v.plan.add(e)
		}
	default:
		v.show(e, e.Host)
	}
}

// visible reports whether a task is shown at all.
func (v *textView) visible(e *engine.TaskEvent) bool {
	return v.o.Verbose || e.Kind == "print" || e.Status != wire.Unchanged && e.Status != wire.Skipped && e.Status != wire.NotReached
}

// show shows where a task stands on one host.
func (v *textView) show(e *engine.TaskEvent, host string) {
	v.shown(alone(&answer{event: e, hosts: []string{host}}))
}

// heading begins another play where a task belongs to one.
func (v *textView) heading(e *engine.TaskEvent) {
	if e.Play != v.play {
		v.play = e.Play
		fmt.Fprintln(v.o.Out, v.style.bold.Render(CleanLine(e.Play)))
	}
}

// line is the first of a task.
func (v *textView) line(e *engine.TaskEvent, hosts, notes string) {
	line := fmt.Sprintf("%s %s  %s", v.sign(e), taskName(e.Role, e.Name, e.Key, ""), v.style.faint.Render(CleanLine(placed(e, hosts))))
	if notes != "" {
		line += "  " + v.style.faint.Render(notes)
	}
	fmt.Fprintln(v.o.Out, "  "+line)
}

// shown shows where a task stands on hosts whose answers are nearly the same.
func (v *textView) shown(l *likeness) {
	e := l.shownAs()
	if !v.visible(e) {
		return
	}
	hosts := l.answers[0].hosts
	if len(l.answers) > 1 {
		hosts = slices.Clone(hosts)
		for _, a := range l.answers[1:] {
			hosts = append(hosts, a.hosts...)
		}
		v.plan.sort(hosts)
	}
	v.heading(e)
	notes := v.notes(e)
	v.line(e, v.names(hosts), notes)
	if e.Kind == "print" {
		v.message(e)
	}
	if v.phase == Making && e.Status == wire.Changed && !e.Unforeseen {
		return // what it was is in the plan above
	}
	for i, d := range e.Changes {
		if d.Impact == notes {
			d.Impact = "" // "runs every time" is said once
		}
		v.change(d, "")
		v.diff(d, i, l.answers)
	}
	after := ""
	if len(e.Changes) > 0 {
		after = " (then)"
	}
	for _, d := range e.Then {
		v.change(d, after)
		v.diff(d, 0, nil)
	}
	text := e.Error
	if first, _, more := strings.Cut(text, "\n"); more && v.gather && e.Status == wire.Failed && !e.Tolerated {
		text = first + " …" // all of it stands at the end
	}
	v.words(text)
}

// name is the task as the playbook has it.
func (v *textView) name(e *engine.TaskEvent) string { return taskName(e.Role, e.Name, e.Key, e.On) }

func (v *textView) sign(e *engine.TaskEvent) string {
	switch e.Status {
	case wire.Failed:
		return v.style.fail.Render("!")
	case wire.Unknown:
		return v.style.fail.Render("?")
	case wire.Unchanged:
		return v.style.good.Render("=")
	case wire.Skipped, wire.NotReached:
		return v.style.faint.Render("-")
	}
	return v.style.change.Render("~")
}

// notes are what a user must know beside the changes themselves.
func (v *textView) notes(e *engine.TaskEvent) string {
	var list []string
	switch e.Status {
	case wire.Pending:
		if e.Conditional {
			list = append(list, "only if its condition holds, known after apply")
		}
		switch {
		case e.Always && e.Conditional:
		case e.Always:
			list = append(list, "runs every time")
		case e.Conditional:
		case e.Certainty == wire.Tentative:
			list = append(list, "tentative: something before it can't be foreseen")
		case e.Certainty == wire.Deferred:
			list = append(list, "known after apply")
		}
	case wire.Failed:
		if e.Tolerated {
			list = append(list, "failed, tolerated")
		} else {
			list = append(list, "failed")
		}
		if e.File != "" { // what takes a cut-off run back is in no playbook
			list = append(list, fmt.Sprintf("%s:%d", CleanLine(e.File), e.Line))
		}
	case wire.NotReached:
		return "not reached"
	case wire.Unchanged, wire.Changed, wire.Unknown, wire.Skipped:
		list = append(list, string(e.Status))
		switch {
		case !e.Conditional || e.Status != wire.Unchanged:
		case e.Kind == "print": // what it says may not be said
			list = []string{"only if its condition holds, known after apply"}
		default:
			list = append(list, "whether its condition holds or not")
		}
	}
	return strings.Join(list, ", ")
}

// printedMessage is the output of a print task.
type printedMessage struct {
	Message string `json:"message"`
}

// toldByPlan reports whether a print says what its plan has shown of it already.
func (v *textView) toldByPlan(e *engine.TaskEvent) bool {
	if e.Kind != "print" || v.o.Verbose {
		return false
	}
	at, text := idOf(e)+"\x00"+e.Host, messageOf(e)
	switch v.phase {
	case PlanningFirst:
		if text != "" && !e.Conditional {
			if v.planned == nil {
				v.planned = map[string]string{}
			}
			v.planned[at] = text
		}
	case Making:
		told, ok := v.planned[at]
		return ok && told == text && e.Status != wire.Failed
	case Planning, Quiet, Running:
	}
	return false
}

// messageOf is what a print task has to say; "" of others.
func messageOf(e *engine.TaskEvent) string {
	var out printedMessage
	if e.Kind != "print" || json.Unmarshal(e.Output, &out) != nil {
		return ""
	}
	return out.Message
}

// message shows what a print task has to say.
func (v *textView) message(e *engine.TaskEvent) {
	if text := messageOf(e); e.Sensitive {
		fmt.Fprintln(v.o.Out, "      (sensitive)")
	} else if text != "" {
		fmt.Fprintln(v.o.Out, indented("      "+Clean(text), "      "))
	}
}

// change shows one change: its action, target and impact.
func (v *textView) change(d host.Description, after string) {
	style := v.style.change
	switch d.Action {
	case host.Create:
		style = v.style.add
	case host.Delete:
		style = v.style.remove
	}
	line := style.Render(CleanLine(ActionWord(d))) + " " + CleanLine(d.Target)
	if d.Impact != "" {
		line += "  " + v.style.faint.Render(indented(Clean(d.Impact), "      "))
	}
	fmt.Fprintln(v.o.Out, "      "+line+after)
}

// diffStyle is how a line of a diff is shown.
func (v *textView) diffStyle(line string) lipgloss.Style {
	switch {
	case strings.HasPrefix(line, "+"):
		return v.style.add
	case strings.HasPrefix(line, "-"):
		return v.style.remove
	}
	return v.style.faint
}

// indented puts later lines of text below the first.
func indented(text, by string) string { return strings.ReplaceAll(text, "\n", "\n"+by) }

func (v *textView) Warn(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.warned[text] {
		v.warned[text] = true
		fmt.Fprintf(v.o.Err, "%s %s\n", v.style.change.Render("warning:"), indented(Clean(text), "  "))
	}
}

func (v *textView) Error(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.o.Err, "%s %s\n", v.style.fail.Render("error:"), indented(Clean(err.Error()), "  "))
}
