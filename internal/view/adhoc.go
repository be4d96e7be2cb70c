package view

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"muster/internal/engine"
	"muster/internal/wire"
)

// printed is what an ad hoc command said on a host.
type printed struct {
	head  string // how it failed; "" where it didn't
	text  string
	hosts []string
}

// hear keeps what an ad hoc command said on one host.
func (v *textView) hear(e *engine.TaskEvent) {
	var out struct {
		Stdout   string `json:"stdout"`
		Stderr   string `json:"stderr"`
		ExitCode int    `json:"exit_code"`
	}
	_ = json.Unmarshal(e.Output, &out) // no output is none to show
	p := &printed{hosts: []string{e.Host}}
	switch {
	case e.Status == wire.Failed && out.ExitCode != 0:
		p.head = fmt.Sprintf("failed, exit code %d", out.ExitCode)
	case e.Status == wire.Failed, e.Status == wire.Unknown:
		p.head = string(e.Status)
	}
	var texts []string
	for _, text := range []string{out.Stdout, out.Stderr} {
		if text = strings.TrimRight(text, "\n"); text != "" {
			texts = append(texts, Clean(text))
		}
	}
	if texts == nil && e.Error != "" {
		texts = []string{Clean(e.Error)}
	}
	p.text = strings.Join(texts, "\n")
	for _, o := range v.said {
		if o.head == p.head && o.text == p.text {
			o.hosts = append(o.hosts, e.Host)
			return
		}
	}
	v.said = append(v.said, p)
}

// answers shows what was said, the hosts in the order of the inventory: an answer of one
// line beside its hosts, a longer one below them.
func (v *textView) answers() {
	list := v.said
	v.said = nil
	width := 0
	for _, p := range list {
		v.plan.sort(p.hosts)
		if w := ansi.StringWidth(v.names(p.hosts)); !strings.Contains(p.text, "\n") && w <= 40 {
			width = max(width, w)
		}
	}
	slices.SortStableFunc(list, func(a, b *printed) int { return v.plan.at(a.hosts[0]) - v.plan.at(b.hosts[0]) })
	for _, p := range list {
		names := v.names(p.hosts)
		head := v.style.bold.Render(names)
		if p.head != "" {
			head += "  " + v.style.fail.Render(p.head)
		}
		switch {
		case p.text == "":
			if p.head == "" {
				head += strings.Repeat(" ", max(0, width-ansi.StringWidth(names))) + "  " + v.style.faint.Render("said nothing")
			}
			fmt.Fprintln(v.o.Out, head)
		case strings.Contains(p.text, "\n") || p.head != "":
			fmt.Fprintln(v.o.Out, head)
			fmt.Fprintln(v.o.Out, indented("  "+p.text, "  "))
		default:
			fmt.Fprintln(v.o.Out, head+strings.Repeat(" ", max(0, width-ansi.StringWidth(names)))+"  "+p.text)
		}
	}
}
