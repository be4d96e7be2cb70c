package view

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/wire"
)

// textView writes lines: with colours and signs for a terminal, plainly else.
type textView struct {
	o      Options
	phase  Phase
	play   string
	warned map[string]bool
	style  styles
	gather bool // what hosts answer is kept in plan and shown together
	plan   plan
	lost   lost
}

// flush shows what was gathered.
func (v *textView) flush() {
	v.showLost()
	v.plan.each(v.show)
	v.plan = plan{order: v.plan.order}
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

func (v *textView) Begin(p Phase, hosts []string) {
	v.flush()
	v.phase, v.play, v.plan.order = p, "", hosts
	v.gather = len(hosts) > 1 && (p == Planning || p == PlanningFirst)
	if p == Making {
		fmt.Fprintln(v.o.Out)
	}
}

func (v *textView) Event(e engine.Event) {
	switch e := e.(type) {
	case *engine.HostEvent:
		v.unusable(e)
	case *engine.RescueEvent:
		v.rescue(e)
	case *engine.NoticeEvent:
		text := Clean(e.Text)
		if e.Fault {
			text = v.style.fail.Render("!") + " " + text
		}
		fmt.Fprintln(v.o.Out, text)
	case *engine.ProgressEvent:
		fmt.Fprintf(v.o.Err, "  %s: %s\n", e.Host, CleanLine(e.Text))
	case *engine.TaskEvent:
		v.task(e)
	}
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
	line := fmt.Sprintf("if block %q of %q fails  on %s  %s", e.Block, e.Play, hostList(e.Hosts), strings.Join(tasks, ", "))
	fmt.Fprintln(v.o.Out, "  "+v.style.faint.Render(CleanLine(line)))
}

// task shows a task that isn't as it should be. Those that are, only on request.
func (v *textView) task(e *engine.TaskEvent) {
	if v.phase == Quiet && e.Status != wire.Failed {
		return
	}
	if v.phase == Running {
		v.printed(e)
		return
	}
	if v.gather {
		v.plan.add(e)
		return
	}
	v.show(e, e.Host)
}

// show shows where a task stands on the hosts named.
func (v *textView) show(e *engine.TaskEvent, hosts string) {
	quiet := e.Status == wire.Unchanged || e.Status == wire.Skipped
	if quiet && !v.o.Verbose && e.Kind != "print" {
		return
	}
	if e.Play != v.play {
		v.play = e.Play
		fmt.Fprintln(v.o.Out, v.style.bold.Render(CleanLine(e.Play)))
	}
	line := fmt.Sprintf("%s %s  %s", v.sign(e), v.name(e), v.style.faint.Render("on "+hosts))
	notes := v.notes(e)
	if notes != "" {
		line += "  " + v.style.faint.Render(notes)
	}
	fmt.Fprintln(v.o.Out, "  "+line)
	if e.Kind == "print" {
		v.message(e)
	}
	if v.phase == Making && e.Status == wire.Changed && !e.Unforeseen {
		return // what it was is in the plan above
	}
	for _, d := range e.Changes {
		if d.Impact == notes {
			d.Impact = "" // "runs every time" is said once
		}
		v.change(d, "")
	}
	after := ""
	if len(e.Changes) > 0 {
		after = " (then)"
	}
	for _, d := range e.Then {
		v.change(d, after)
	}
	if e.Error != "" {
		for l := range strings.SplitSeq(Clean(e.Error), "\n") { // lines rendered together are padded
			fmt.Fprintln(v.o.Out, "      "+v.style.fail.Render(l))
		}
	}
}

// printed shows what an ad hoc command said on one host.
func (v *textView) printed(e *engine.TaskEvent) {
	var out struct {
		Stdout   string `json:"stdout"`
		Stderr   string `json:"stderr"`
		ExitCode int    `json:"exit_code"`
	}
	_ = json.Unmarshal(e.Output, &out)
	head := v.style.bold.Render(e.Host)
	if e.Status == wire.Failed {
		head += " " + v.style.fail.Render("failed")
		if out.ExitCode != 0 {
			head += fmt.Sprintf(", exit code %d", out.ExitCode)
		}
	}
	fmt.Fprintln(v.o.Out, head)
	for _, text := range []string{out.Stdout, out.Stderr} {
		if text = strings.TrimRight(text, "\n"); text != "" {
			fmt.Fprintln(v.o.Out, indented("  "+Clean(text), "  "))
		}
	}
	if e.Error != "" && out.Stdout == "" && out.Stderr == "" {
		fmt.Fprintln(v.o.Out, indented("  "+Clean(e.Error), "  "))
	}
}

// name is the task as the playbook has it.
func (v *textView) name(e *engine.TaskEvent) string {
	s := strings.TrimPrefix(e.Name, "task.")
	if e.Key != "" {
		s += fmt.Sprintf("[%q]", e.Key)
	}
	if e.Role != "" {
		s = "role." + e.Role + " " + s
	}
	if e.On != "" {
		s += " on " + e.On
	}
	return CleanLine(s)
}

func (v *textView) sign(e *engine.TaskEvent) string {
	switch e.Status {
	case wire.Failed:
		return v.style.fail.Render("!")
	case wire.Unknown:
		return v.style.fail.Render("?")
	case wire.Unchanged:
		return v.style.good.Render("=")
	case wire.Skipped:
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
			list = append(list, fmt.Sprintf("%s:%d", e.File, e.Line))
		}
	case wire.Unchanged, wire.Skipped, wire.Changed, wire.Unknown:
		list = append(list, string(e.Status))
	}
	return strings.Join(list, ", ")
}

// message shows what a print task has to say.
func (v *textView) message(e *engine.TaskEvent) {
	var out struct {
		Message string `json:"message"`
	}
	if e.Sensitive {
		fmt.Fprintln(v.o.Out, "      (sensitive)")
	} else if json.Unmarshal(e.Output, &out) == nil && out.Message != "" {
		fmt.Fprintln(v.o.Out, indented("      "+Clean(out.Message), "      "))
	}
}

// change shows one change: its action, target, impact and diff.
func (v *textView) change(d host.Description, after string) {
	style := v.style.change
	switch d.Action {
	case host.Create:
		style = v.style.add
	case host.Delete:
		style = v.style.remove
	}
	line := style.Render(CleanLine(string(d.Action))) + " " + CleanLine(d.Target)
	if d.Impact != "" {
		line += "  " + v.style.faint.Render(indented(Clean(d.Impact), "      "))
	}
	fmt.Fprintln(v.o.Out, "      "+line+after)
	if d.Diff == "" {
		return
	}
	for _, l := range strings.Split(Clean(d.Diff), "\n") {
		style := v.style.faint
		switch {
		case strings.HasPrefix(l, "+"):
			style = v.style.add
		case strings.HasPrefix(l, "-"):
			style = v.style.remove
		}
		fmt.Fprintln(v.o.Out, "        "+style.Render(l))
	}
}

// indented puts later lines of text below the first.
func indented(text, by string) string { return strings.ReplaceAll(text, "\n", "\n"+by) }

func (v *textView) Warn(text string) {
	if !v.warned[text] {
		v.warned[text] = true
		fmt.Fprintf(v.o.Err, "%s %s\n", v.style.change.Render("warning:"), Clean(text))
	}
}

func (v *textView) Error(err error) {
	fmt.Fprintf(v.o.Err, "%s %s\n", v.style.fail.Render("error:"), Clean(err.Error()))
}

func (v *textView) Summary(s *engine.Summary, seconds float64) {
	v.flush()
	width := 4
	for _, name := range s.Order {
		width = max(width, len(name))
	}
	fmt.Fprintln(v.o.Out)
	for _, name := range s.Order {
		v.host(v.o.Out, name, width, s.Hosts[name])
	}
	took := " in"
	if s.Outcome == engine.OutcomeUnreachable {
		took = ", after" // the time isn't what they could not be reached in
	}
	verdict := v.verdict(s)
	if s.Open() > 0 {
		verdict += ", but not all is proved,"
	}
	fmt.Fprintf(v.o.Out, "%s%s %.1fs\n", v.style.bold.Render(verdict), took, seconds)
	if n := s.Unknown(); n > 0 {
		fmt.Fprintf(v.o.Out, "Whether %s made isn't known: apply again to find out.\n", counted(n))
	}
}

func (v *textView) host(w io.Writer, name string, width int, c *engine.Counts) {
	var parts []string
	add := func(n int, what string, style lipgloss.Style) {
		if n > 0 {
			parts = append(parts, style.Render(fmt.Sprintf("%d %s", n, what)))
		}
	}
	add(c.Unchanged-c.Open, "unchanged", v.style.good)
	add(c.Open, "not proved", v.style.change)
	add(c.Changed, "changed", v.style.change)
	add(c.Pending-c.Always-c.Checks, "pending", v.style.change)
	add(c.Always, "run every time", v.style.faint)
	add(c.Checks, "to check", v.style.faint)
	add(c.Failed-c.Tolerated, "failed", v.style.fail)
	add(c.Tolerated, "failed and tolerated", v.style.faint)
	add(c.Unknown, "unknown", v.style.fail)
	add(c.Skipped, "skipped", v.style.faint)
	if c.Unreachable {
		parts = append(parts, v.style.fail.Render("unreachable"))
	}
	if len(parts) == 0 {
		parts = append(parts, v.style.faint.Render("no tasks"))
	}
	fmt.Fprintf(w, "  %-*s  %s\n", width, name, strings.Join(parts, ", "))
}

// counted counts tasks, with the verb.
func counted(n int) string {
	if n == 1 {
		return "one task was"
	}
	return fmt.Sprintf("%d tasks were", n)
}

// verdict is the run in a sentence.
func (v *textView) verdict(s *engine.Summary) string {
	switch s.Outcome {
	case engine.OutcomeUnchanged:
		return "Nothing to change"
	case engine.OutcomeChanged:
		return "Changed"
	case engine.OutcomePending:
		return "Changes are pending"
	case engine.OutcomeUnreachable:
		return "Not all hosts could be reached"
	case engine.OutcomeFailed:
		return "Failed"
	}
	return "Interrupted"
}
