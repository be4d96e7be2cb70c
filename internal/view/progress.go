package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/internal/engine"
)

// together is how long what a host says of its progress is held back, for others that say
// the same.
const together = time.Second

// progress is what hosts have said of how they get on.
type progress struct {
	text   string // without what stands in parentheses at its end
	detail string // that; "" where it isn't the same on all
	hosts  []string
}

// gets keeps what a host says, and shows it soon, together with those that say the same.
func (v *textView) gets(e *engine.ProgressEvent) {
	if !v.gather || v.o.Verbose {
		fmt.Fprintf(v.o.Err, "  %s: %s\n", CleanLine(e.Host), CleanLine(e.Text))
		return
	}
	p := &progress{text: e.Text, hosts: []string{e.Host}}
	if i := strings.LastIndex(e.Text, " ("); i > 0 && strings.HasSuffix(e.Text, ")") {
		p.text, p.detail = e.Text[:i], e.Text[i:]
	}
	for _, o := range v.going {
		if o.text != p.text {
			continue
		}
		if o.detail != p.detail {
			o.detail = ""
		}
		if !slices.Contains(o.hosts, e.Host) {
			o.hosts = append(o.hosts, e.Host)
		}
		return
	}
	if v.going = append(v.going, p); len(v.going) == 1 {
		time.AfterFunc(together, func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.showProgress()
		})
	}
}

// showProgress shows what was held back.
func (v *textView) showProgress() {
	for _, p := range v.going {
		v.plan.sort(p.hosts)
		who := v.names(p.hosts)
		if len(p.hosts) > 1 {
			who = host.Counted(len(p.hosts), "host", "hosts") + " (" + who + ")"
		}
		fmt.Fprintf(v.o.Err, "  %s: %s\n", who, CleanLine(p.text+p.detail))
	}
	v.going = nil
}

// gotOn shows what a host has said before more is told of it.
func (v *textView) gotOn(host string) {
	if slices.ContainsFunc(v.going, func(p *progress) bool { return slices.Contains(p.hosts, host) }) {
		v.showProgress()
	}
}
