package view

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/wire"
)

// End is what is said at the end of a pass beside its summary.
type End struct {
	Seconds float64
	Run     string // as the history has it; "": it isn't kept there
	Next    string // the command that goes on with what failed; "": none is to be said
	Asks    bool   // whether to make what was planned is asked below
}

// many is from how many hosts on those of which the same is to be said share a line.
const many = 11

// Summary shows what a pass came to: the hosts, then what failed on which, and at last
// the whole in a sentence.
func (v *textView) Summary(s *engine.Summary, end End) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.showProgress()
	v.flushTasks()
	fmt.Fprintln(v.o.Out)
	shown := s.Order
	if v.phase == Running { // what the others answered stands above
		shown = slices.DeleteFunc(slices.Clone(shown), func(name string) bool { c := s.Hosts[name]; return c.Changed+c.Failed > 0 && !c.Unreachable })
	}
	v.hostLines(s, shown)
	v.endLost(s)
	v.endFailures(s)
	if text := totals(s); text != "" && v.phase != Running {
		fmt.Fprintf(v.o.Out, "\n%s\n", text)
	}
	took := " in"
	if s.Outcome == engine.OutcomeUnreachable {
		took = ", after" // the time isn't what they could not be reached in
	}
	verdict := v.verdict(s)
	if end.Asks && s.Outcome == engine.OutcomeFailed { // nothing has ended yet
		verdict = fmt.Sprintf("Planned, but failed on %d of %s,", failed(s), host.Counted(len(s.Order), "host", "hosts"))
	}
	if s.Open() > 0 {
		verdict += ", but not all is proved,"
	}
	run := ""
	if end.Run != "" {
		run = ", run " + end.Run
	}
	fmt.Fprintf(v.o.Out, "%s%s %.1fs%s\n", v.style.bold.Render(verdict), took, end.Seconds, run)
	if n := s.Unknown(); n > 0 {
		fmt.Fprintln(v.o.Out, v.notKnown(n))
	}
	if end.Next != "" {
		fmt.Fprintf(v.o.Out, "%s%s\n", goOn, CleanLine(end.Next))
	}
}

// notKnown says what is true of tasks that were begun and of which no end was heard.
func (v *textView) notKnown(n int) string {
	if v.phase == Running {
		return fmt.Sprintf("Whether it was run on %s isn't known: it may still be running there.", host.Counted(n, "host", "hosts"))
	}
	return fmt.Sprintf("Whether %s made isn't known, and it may still be going on: a plan shows what is left to do then, but a command without a guard runs again.",
		host.Counted(n, "task was", "tasks were"))
}

// failed counts the hosts on which a task failed.
func failed(s *engine.Summary) int {
	n := 0
	for _, c := range s.Hosts {
		if c.Failed > c.Tolerated {
			n++
		}
	}
	return n
}

// hostLines shows what became of the tasks of hosts.
func (v *textView) hostLines(s *engine.Summary, names []string) {
	width := 4
	if len(names) < many || v.o.Verbose {
		for _, name := range names {
			width = max(width, len(name))
		}
		for _, name := range names {
			v.host(v.o.Out, name, width, s.Hosts[name])
		}
		return
	}
	type alike struct {
		counts *engine.Counts
		hosts  []string
	}
	var list []*alike
	index := map[string]*alike{}
	for _, name := range names {
		key := fmt.Sprint(*s.Hosts[name])
		a := index[key]
		if a == nil {
			a = &alike{counts: s.Hosts[name]}
			index[key], list = a, append(list, a)
		}
		a.hosts = append(a.hosts, name)
	}
	for _, a := range list {
		width = max(width, len(v.names(a.hosts)))
	}
	for _, a := range list {
		v.host(v.o.Out, v.names(a.hosts), width, a.counts)
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
	add(c.NotReached, "not reached", v.style.change)
	if c.Unreachable {
		parts = append(parts, v.style.fail.Render("unreachable"))
	}
	if c.Stopped {
		parts = append(parts, v.style.change.Render("not planned"))
	}
	if len(parts) == 0 {
		parts = append(parts, v.style.faint.Render("no tasks"))
	}
	fmt.Fprintf(w, "  %-*s  %s\n", width, CleanLine(name), strings.Join(parts, ", "))
}

// failure is a task that failed in the same way on some hosts.
type failure struct {
	event *engine.TaskEvent
	words common // of the error
	hosts []string
}

// fails keeps a failure for the end. It reports whether it is the first of its like.
func (v *textView) fails(e *engine.TaskEvent) bool {
	if e.Status != wire.Failed || e.Tolerated || v.phase == Running {
		return false
	}
	for _, f := range v.failures {
		if idOf(f.event) != idOf(e) {
			continue
		}
		if slices.Contains(f.hosts, e.Host) && f.event.Error == e.Error {
			return false // it was told
		}
		if words, ok := f.words.with(e.Error, e.Host); ok {
			f.words, f.hosts = words, append(f.hosts, e.Host)
			return false
		}
	}
	v.failures = append(v.failures, &failure{e, commonOf(e.Error, e.Host), []string{e.Host}})
	return true
}

// endFailures shows once more what failed on which hosts, where it stands among much
// else above: by host, with the words of the program.
func (v *textView) endFailures(s *engine.Summary) {
	if len(s.Order) < 2 || len(v.failures) == 0 {
		return
	}
	for _, f := range v.failures {
		v.plan.sort(f.hosts)
	}
	list := slices.Clone(v.failures)
	slices.SortStableFunc(list, func(a, b *failure) int { return v.plan.at(a.hosts[0]) - v.plan.at(b.hosts[0]) })
	fmt.Fprintf(v.o.Out, "\n%s\n", v.style.fail.Render("Failed"))
	for _, f := range list {
		line := v.name(f.event)
		if f.event.File != "" {
			line += fmt.Sprintf("  %s:%d", CleanLine(f.event.File), f.event.Line)
		}
		fmt.Fprintf(v.o.Out, "  %s  %s\n", v.style.bold.Render(v.names(f.hosts)), line)
		v.words(f.words.text)
	}
	if totals(s) == "" {
		fmt.Fprintln(v.o.Out)
	}
}

// words shows what a program said.
func (v *textView) words(text string) {
	if text == "" {
		return
	}
	for l := range strings.SplitSeq(Clean(text), "\n") { // lines rendered together are padded
		fmt.Fprintln(v.o.Out, "      "+v.style.fail.Render(l))
	}
}

// install and remove are what is done to packages.
const install, remove host.Action = "install", "remove"

// actions are what is counted in a summary, in its order, with the words for what is to be
// done and for what was.
var actions = []struct {
	action   host.Action
	to, done string
}{
	{host.Create, "create", "created"}, {install, "install", "installed"}, {host.Update, "update", "updated"},
	{host.Delete, "delete", "deleted"}, {remove, "remove", "removed"},
	{host.Restart, "restart", "restarted"}, {host.Reload, "reload", "reloaded"}, {host.Run, "run", "run"},
}

// totals counts what is to be done, or was, over all hosts: "3 to create, 1 to update; 8
// hosts alike". "" where that is nothing.
func totals(s *engine.Summary) string {
	to, done, on := map[host.Action]int{}, map[host.Action]int{}, 0
	same := true
	var first string
	for _, name := range s.Order {
		c := s.Hosts[name]
		if len(c.Actions) == 0 {
			continue
		}
		sum := done
		if c.Pending > 0 {
			sum = to
		}
		for a, n := range c.Actions {
			sum[a] += n
		}
		for from, to := range map[host.Action]host.Action{host.Create: install, host.Delete: remove} {
			sum[from] -= c.Packages[from]
			sum[to] += c.Packages[from]
		}
		key := fmt.Sprint(c.Actions, c.Packages, c.Pending > 0)
		if on++; on == 1 {
			first = key
		}
		same = same && key == first
	}
	if on == 0 {
		return ""
	}
	by := 1
	if same {
		by = on
	}
	var parts []string
	for _, a := range actions {
		if n := to[a.action] / by; n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, a.to))
		}
	}
	for _, a := range actions {
		if n := done[a.action] / by; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, a.done))
		}
	}
	text := strings.Join(parts, ", ")
	switch {
	case on == 1 && len(s.Order) == 1:
		return text
	case on == 1:
		return text + "; on one host"
	case same:
		return fmt.Sprintf("%s; %d hosts alike", text, on)
	}
	return fmt.Sprintf("%s; on %d hosts in all", text, on)
}

// verdict is the run in a sentence.
func (v *textView) verdict(s *engine.Summary) string {
	switch s.Outcome {
	case engine.OutcomeUnchanged:
		return "Nothing to change" + everyTime(s)
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

// everyTime counts what is done though nothing is to change.
func everyTime(s *engine.Summary) string {
	always, checks, hosts, same := 0, 0, 0, true
	var first *engine.Counts
	for _, name := range s.Order {
		c := s.Hosts[name]
		if c.Pending == 0 {
			continue
		}
		if first == nil {
			first = c
		}
		hosts++
		same = same && c.Always == first.Always && c.Checks == first.Checks
		always, checks = always+c.Always, checks+c.Checks
	}
	if hosts == 0 {
		return ""
	}
	on := ""
	switch {
	case hosts > 1 && same:
		always, checks, on = first.Always, first.Checks, fmt.Sprintf(" on each of %d hosts", hosts)
	case hosts > 1:
		on = fmt.Sprintf(" on %d hosts", hosts)
	}
	var parts []string
	if always > 0 {
		parts = append(parts, host.Counted(always, "command runs", "commands run")+" every time")
	}
	if checks > 0 {
		parts = append(parts, host.Counted(checks, "check is made", "checks are made"))
	}
	return "; " + strings.Join(parts, ", ") + on
}
