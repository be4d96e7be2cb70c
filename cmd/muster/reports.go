package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/internal/engine"
	"muster/internal/report"
)

// targets is the value of a flag that takes reports, with commas between them, and
// may be given several times.
type targets struct{ list *[]report.Target }

// Set adds the reports in text.
func (v targets) Set(text string) error {
	for _, one := range strings.Split(text, ",") {
		t, err := report.ParseTarget(strings.TrimSpace(one))
		if err != nil {
			return err
		}
		for _, other := range *v.list {
			if filepath.Clean(other.File) == filepath.Clean(t.File) {
				return fmt.Errorf("%s and %s would be written to one file, %s", other.Format, t.Format, t.File)
			}
		}
		*v.list = append(*v.list, t)
	}
	return nil
}

func (v targets) String() string {
	if v.list == nil {
		return ""
	}
	var list []string
	for _, t := range *v.list {
		list = append(list, t.Format+"="+t.File)
	}
	return strings.Join(list, ",")
}

// Type is what pflag calls the value.
func (v targets) Type() string { return "reports" }

// reportFlag is that of commands whose runs can be reported. They are kept from here
// on, also where nothing comes of them: a report of yesterday would mislead.
func (a *app) reportFlag(cmd *cobra.Command) {
	a.targetsFlag(cmd)
	inner := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.reported, a.began = cmd.Name(), time.Now()
		return inner(cmd, args)
	}
}

// targetsFlag is that of commands that take reports.
func (a *app) targetsFlag(cmd *cobra.Command) {
	cmd.Flags().Var(targets{&a.reports}, "report", "write a report: `FORMAT=FILE`, with commas between them; html, junit, markdown, metrics or github")
}

// reportsOn says which playbook the events that follow are of.
func (a *app) reportsOn(playbook string) {
	if len(a.reports) == 0 {
		return
	}
	if r, ok := a.view().(*report.Recorder); ok {
		r.Playbook(playbook)
	}
}

// writeReports writes the reports of a run that ends with an exit code, and returns the
// one that holds. A report that can't be written takes nothing from the others, nor from
// what was shown.
func (a *app) writeReports(code int) int {
	if len(a.reports) == 0 || a.reported == "" {
		return code
	}
	r, ok := a.view().(*report.Recorder)
	if !ok {
		return code
	}
	c := r.Report(whoami(), code)
	for _, t := range a.reports {
		if err := t.Write(c); err != nil {
			a.says(err.Error())
			a.view().Error(err)
			if code != exitInterrupted {
				code = exitUsage
			}
		}
	}
	return code
}

// say shows a heading.
func (a *app) say(text string) {
	if r, ok := a.view().(*report.Recorder); ok {
		r.Say(text)
		return
	}
	a.view().Event(&engine.NoticeEvent{Text: text})
}
