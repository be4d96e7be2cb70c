package report

import (
	"fmt"
	"io"
	"strings"

	"muster/host"
	"muster/internal/drift"
	"muster/internal/view"
)

// commentLimit is how many bytes of changes a Markdown report holds: what a comment of
// a pull request takes (65,536 characters at GitHub), with room for the rest.
const commentLimit = 48 << 10

// writeMarkdown writes what a reviewer reads: the hosts with something to say, and the
// changes, folded.
func writeMarkdown(w io.Writer, c *Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### muster %s: %s\n\n", c.Command, c.Outcome)
	fmt.Fprintf(&b, "%s, in %.1f s.\n", markdownLine(strings.Join(c.Playbooks, ", ")), c.Seconds)
	if k := c.Check; k != nil {
		fmt.Fprintf(&b, "\nDrift: %d new, %d still there, %d gone, %d not checked, %d contested.\n", k.Count(drift.New), k.Count(drift.Still), k.Count(drift.Gone), k.Count(drift.Unchecked), k.Contested())
	}
	b.WriteString("\n| host | state | pending | changed | failed | unchanged |\n|---|---|--:|--:|--:|--:|\n")
	same := 0
	for i := range c.Hosts {
		h := &c.Hosts[i]
		if h.State() == "unchanged" {
			same++
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d |\n", markdownLine(h.Name), h.State(), h.Drifted(), h.Changed, h.Failed-h.Tolerated, h.Unchanged)
	}
	fmt.Fprintf(&b, "\nHosts with nothing to say: %d.\n", same)
	for i := range c.Hosts {
		for _, text := range c.Hosts[i].Errors {
			fmt.Fprintf(&b, "\n- **%s**: %s", markdownLine(c.Hosts[i].Name), markdownLine(text))
		}
	}
	for _, n := range c.Notes {
		fmt.Fprintf(&b, "\n- %s: %s", n.Level, markdownLine(n.Text))
	}
	b.WriteString("\n")
	left := 0
	for _, g := range c.Groups() {
		text := view.Clean(changesText(&g.Task) + g.Error)
		block := fmt.Sprintf("\n<details><summary>%s: %s, on %s</summary>\n\n%s\n</details>\n", markdownLine(g.Full()), g.Status, markdownLine(strings.Join(g.Hosts, ", ")), fenced(text))
		if b.Len()+len(block) > commentLimit {
			left++
			continue
		}
		b.WriteString(block)
	}
	if left > 0 {
		fmt.Fprintf(&b, "\n%s into this comment: the HTML report has the rest.\n", host.Counted(left, "more task doesn't fit", "more tasks don't fit"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fenced is text in a fence that it can't close.
func fenced(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + "diff\n" + strings.TrimRight(text, "\n") + "\n" + fence
}

// markdownLine is text that stays on its line and is read as nothing else. An @ would
// call somebody, and a # or an address would make a link.
func markdownLine(text string) string {
	var b strings.Builder
	for _, r := range view.CleanLine(text) {
		switch {
		case r == '<' || r == '>' || r == '&' || r == '@' || r == '#' || r == ':':
			fmt.Fprintf(&b, "&#%d;", r)
		case strings.ContainsRune("\\`*_{}[]()!|~$", r):
			b.WriteString("\\" + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// writeMetrics writes the text format of Prometheus, for node_exporter's textfile
// collector.
func writeMetrics(w io.Writer, c *Report) error {
	var b strings.Builder
	family := func(name, help string) { fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name) }
	command := label("command", c.Command)
	family("muster_last_run_timestamp_seconds", "When the last run began.")
	fmt.Fprintf(&b, "muster_last_run_timestamp_seconds{%s} %d\n", command, c.Began.Unix())
	family("muster_last_run_duration_seconds", "How long the last run took.")
	fmt.Fprintf(&b, "muster_last_run_duration_seconds{%s} %g\n", command, c.Seconds)
	family("muster_last_run_outcome", "1 for what the last run came to.")
	for _, o := range []string{"unchanged", "changed", "pending", "drift", "failed", "unreachable", "interrupted", "error"} {
		n := 0
		if o == c.Outcome {
			n = 1
		}
		fmt.Fprintf(&b, "muster_last_run_outcome{%s,%s} %d\n", command, label("outcome", o), n)
	}
	family("muster_host_tasks", "How many tasks of a host stand so.")
	for i := range c.Hosts {
		h := &c.Hosts[i]
		for _, s := range []struct {
			status string
			n      int
		}{{"unchanged", h.Unchanged}, {"changed", h.Changed}, {"pending", h.Drifted()}, {"failed", h.Failed - h.Tolerated}, {"unknown", h.Unknown}, {"skipped", h.Skipped}, {"not reached", h.NotReached}} {
			fmt.Fprintf(&b, "muster_host_tasks{%s,%s,%s} %d\n", command, label("host", h.Name), label("status", s.status), s.n)
		}
	}
	family("muster_host_checked", "1 where a host could be used.")
	for i := range c.Hosts {
		n := 1
		if c.Hosts[i].Unreachable || len(c.Hosts[i].Errors) > 0 {
			n = 0
		}
		fmt.Fprintf(&b, "muster_host_checked{%s,%s} %d\n", command, label("host", c.Hosts[i].Name), n)
	}
	if k := c.Check; k != nil {
		family("muster_drift", "How many drifts the last check found in a state.")
		for _, s := range []drift.State{drift.New, drift.Still, drift.Gone, drift.Unchecked} {
			fmt.Fprintf(&b, "muster_drift{%s} %d\n", label("state", string(s)), k.Count(s))
		}
		family("muster_drift_contested", "How many of them somebody else sets.")
		fmt.Fprintf(&b, "muster_drift_contested %d\n", k.Contested())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// label is a label as the text format escapes it.
func label(name, value string) string {
	value = strings.ToValidUTF8(value, "\uFFFD")
	return name + `="` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(value) + `"`
}

// writeGitHub writes workflow commands: annotations at the lines of tasks. Each task is
// one, with its hosts, since GitHub shows ten of a step.
func writeGitHub(w io.Writer, c *Report) error {
	var b strings.Builder
	line := func(level, title, file string, line int, text string) {
		fmt.Fprintf(&b, "::%s title=%s", level, property(title))
		if file != "" {
			fmt.Fprintf(&b, ",file=%s,line=%d", property(file), line)
		}
		fmt.Fprintf(&b, "::%s\n", message(text))
	}
	for _, n := range c.Notes {
		line(n.Level, "muster "+c.Command, n.File, n.Line, n.Text)
	}
	for i := range c.Hosts {
		if h := &c.Hosts[i]; len(h.Errors) > 0 {
			line("error", h.Name+" "+h.State(), "", 0, strings.Join(h.Errors, "\n"))
		}
	}
	for _, g := range c.Groups() {
		level, text := "notice", changesText(&g.Task)
		switch {
		case g.Bad():
			level, text = "error", g.Error
		case g.Pending():
			level = "warning"
		}
		line(level, fmt.Sprintf("%s %s", g.Full(), g.Status), g.File, g.Line, strings.Join(g.Hosts, ", ")+":\n"+text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// message is the text of a workflow command: what would end it is escaped.
func message(text string) string {
	text = strings.TrimRight(view.Clean(text), "\n")
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func property(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(text))
}
