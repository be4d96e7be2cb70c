package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"muster/internal/drift"
)

// Drift shows what a check found, held against the last one.
func (v *textView) Drift(c *drift.Check) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.flush()
	fmt.Fprintln(v.o.Out)
	switch {
	case c.Last == "":
		fmt.Fprintln(v.o.Out, v.style.bold.Render("The first check: all drift is new"))
	default:
		fmt.Fprintf(v.o.Out, "%s\n", v.style.bold.Render(fmt.Sprintf("Since the check of %s (%s)", shortTime(c.LastBegan), CleanLine(c.Last))))
	}
	host, name := 0, 0
	for i := range c.Items {
		host, name = max(host, len(CleanLine(where(&c.Items[i])))), max(name, len(CleanLine(taskOf(&c.Items[i]))))
	}
	for i := range c.Items {
		item := &c.Items[i]
		word, style := v.driftWord(item)
		line := fmt.Sprintf("%-*s  %-*s  %s", host, CleanLine(where(item)), name, CleanLine(taskOf(item)), CleanLine(driftNotes(item)))
		fmt.Fprintf(v.o.Out, "  %s  %s\n", style.Render(fmt.Sprintf("%-11s", word)), strings.TrimRight(line, " "))
		for _, text := range item.Known {
			fmt.Fprintf(v.o.Out, "  %11s  %s\n", "", v.style.faint.Render(CleanLine(text)))
		}
	}
	var hosts []string
	for _, l := range c.Unreached() {
		if !slices.Contains(hosts, l.Host) {
			hosts = append(hosts, l.Host)
		}
	}
	for _, name := range hosts {
		fmt.Fprintf(v.o.Out, "  %s  %s\n", v.style.fail.Render(fmt.Sprintf("%-11s", "not checked")), CleanLine(name))
	}
	fmt.Fprintf(v.o.Out, "%s\n", driftVerdict(c, len(hosts)))
}

// driftVerdict is a check in a sentence.
func driftVerdict(c *drift.Check, hosts int) string {
	text := fmt.Sprintf("Drift: %d new, %d still there, %d gone", c.Count(drift.New), c.Count(drift.Still), c.Count(drift.Gone))
	if n := c.Count(drift.Unchecked); n > 0 {
		text += fmt.Sprintf(", %d that couldn't be looked at", n)
	}
	if n := c.Contested(); n > 0 {
		text += fmt.Sprintf("; %d contested", n)
	}
	if hosts == 1 {
		text += "; a host couldn't be checked"
	} else if hosts > 1 {
		text += fmt.Sprintf("; %d hosts couldn't be checked", hosts)
	}
	return text
}

func (v *textView) driftWord(i *drift.Item) (string, lipgloss.Style) {
	switch {
	case i.State == drift.New && i.Returned > 0:
		return "back", v.style.fail
	case i.State == drift.New:
		return "new", v.style.change
	case i.State == drift.Still:
		return "still there", v.style.change
	case i.State == drift.Gone:
		return "gone", v.style.good
	}
	return "not checked", v.style.faint
}

func where(i *drift.Item) string {
	if i.On != "" {
		return i.Host + " on " + i.On
	}
	return i.Host
}

// taskOf names a task as its playbook does.
func taskOf(i *drift.Item) string {
	name := strings.TrimPrefix(i.Name, "task.")
	if i.Key != "" {
		name += fmt.Sprintf("[%q]", i.Key)
	}
	if i.Role != "" {
		name = "role." + i.Role + " " + name
	}
	return name
}

// driftNotes says where the task stands and what is known of its drift.
func driftNotes(i *drift.Item) string {
	notes := []string{fmt.Sprintf("%s:%d", i.File, i.Line)}
	by := fmt.Sprintf("by %s, run %s", i.PutRight.By, i.PutRight.ID)
	switch {
	case i.State == drift.New && i.Returned > 0 && i.PutRight.ID != "":
		notes = append(notes, "was put right "+by)
	case i.State == drift.New && i.Returned > 0:
		notes = append(notes, "was put right")
	case i.State == drift.Still, i.State == drift.Unchecked:
		notes = append(notes, "since "+shortTime(i.Since))
	case i.State == drift.Gone && i.PutRight.ID != "":
		notes = append(notes, "put right "+by)
	case i.State == drift.Gone:
		notes = append(notes, "not by a run from here")
	}
	if i.Altered {
		notes = append(notes, "it differs from what stood there then")
	}
	if i.Contested {
		notes = append(notes, fmt.Sprintf("contested: back for the %s time, so somebody else sets it", ordinal(i.Returned)))
	}
	return strings.Join(notes, "; ")
}

func shortTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n, suffix)
}
