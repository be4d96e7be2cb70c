package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/host"
	"muster/internal/journal"
	"muster/internal/project"
	"muster/internal/task"
	"muster/internal/view"
	"muster/modules"
)

func newWhy(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "why HOST TARGET",
		Short: "Say which task last set something on a host, and who ran it",
		Long: "Why looks into the project's journal for what last set TARGET on HOST: a path, or what a plan calls it, as \"user app\" or haproxy.service. " +
			"It names the task with its line, the run and who made it, and what drift checks found since. No host is asked.",
		Example: "  muster why web1 /etc/motd\n  muster why web1 'user app'",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.checkFlags(); err != nil {
				return err
			}
			return a.why(args[0], args[1])
		},
	}
}

// openHistory opens the journal to be read, and says where it is; nil where there is none.
func (a *app) openHistory() (*journal.Journal, string, error) {
	p, diags := project.Find(".")
	if p.Dir == "" && diags.HasErrors() { // else what is wrong with its settings is no matter here
		return nil, "", a.fail(diags, nil)
	}
	j, err := journal.Open(p.Journal(), journal.Options{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, p.Journal(), nil
	}
	return j, p.Journal(), err
}

func (a *app) why(name, target string) (err error) {
	j, path, err := a.openHistory()
	if err != nil {
		return err
	}
	var list []journal.Changed
	if j != nil {
		defer func() { err = errors.Join(err, j.Close()) }()
		if list, err = j.Changes(time.Time{}, name); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("no run changed anything on %s, as far as %s knows", name, path)
	}
	c, d := lastOf(list, target)
	if c == nil {
		hint := ""
		if near := modules.Nearest(target, targetsOf(list)); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return fmt.Errorf("no run set %q on %s, as far as %s knows%s", target, name, path, hint)
	}
	check, found, err := j.DriftOf(c)
	if err != nil {
		return err
	}
	if a.output == "json" {
		line := changeLine(c)
		line.Type, line.Changes, line.Check = "why", []host.Description{d}, check
		if found != nil {
			line.DriftSince = stamp(found.Since)
		}
		return view.NewEncoder(a.out).Encode(line)
	}
	a.showWhy(name, d, c)
	switch {
	case check == "":
		fmt.Fprintln(a.text(), "  drift     not checked since")
	case found == nil:
		fmt.Fprintf(a.text(), "  drift     none in the last check, %s\n", view.CleanLine(check))
	default:
		fmt.Fprintf(a.text(), "  drift     since %s: the check %s found another state\n", found.Since.Local().Format("2006-01-02 15:04"), view.CleanLine(check))
	}
	return nil
}

func (a *app) showWhy(name string, d host.Description, c *journal.Changed) {
	sure := ""
	if !c.Known() {
		sure = " (begun, and nobody heard whether it was made)"
	}
	place := ""
	if c.File != "" {
		place = fmt.Sprintf(", %s:%d", c.File, c.Line)
	}
	fmt.Fprintf(a.text(), "%s on %s\n", view.CleanLine(d.Target), view.CleanLine(name))
	for _, f := range [][2]string{
		{"set by", taskName(&c.Task) + place + sure},
		{"in", fmt.Sprintf("%s, play %q", c.Info.Playbook, c.Play)},
		{"when", c.At().Local().Format("2006-01-02 15:04:05 MST")},
		{"run", c.Run + " by " + c.Info.By},
		{"command", c.Info.Command},
		{"action", strings.TrimSpace(view.ActionWord(d) + "  " + d.Impact)},
	} {
		if f[1] != "" {
			fmt.Fprintf(a.text(), "  %-9s %s\n", f[0], view.CleanLine(f[1]))
		}
	}
	if a.verbose && d.Diff != "" {
		a.block("    ", d.Diff)
	}
}

// taskName is a task's name as history shows it.
func taskName(t *journal.Task) string {
	name := strings.TrimPrefix(t.Name, "task.")
	if t.Key != "" {
		name += fmt.Sprintf("[%q]", t.Key)
	}
	if t.Role != "" {
		name = "role." + t.Role + " " + name
	}
	return name
}

// made is what a task changed, or was to change where nobody knows.
func made(c *journal.Changed) []host.Description {
	if !c.Known() {
		return c.Changes
	}
	return c.Made
}

// lastOf is the newest of changes that set a target; of a path that none did, the nearest
// folder above it that one did.
func lastOf(list []journal.Changed, target string) (*journal.Changed, host.Description) {
	for at := target; ; at = filepath.Dir(at) {
		for i := len(list) - 1; i >= 0; i-- {
			for _, d := range slices.Backward(made(&list[i])) {
				if d.Target == at {
					return &list[i], d
				}
			}
		}
		if !filepath.IsAbs(at) || at == "/" {
			return nil, host.Description{}
		}
	}
}

func targetsOf(list []journal.Changed) []string {
	var names []string
	for i := range list {
		for _, d := range made(&list[i]) {
			names = append(names, d.Target)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// jsonChange is a line of "history --changed", and the one of "why".
type jsonChange struct {
	Type     string `json:"type"`
	At       string `json:"at"`
	Playbook string `json:"playbook"`
	task.Ref
	Status     string             `json:"status"`
	Changes    []host.Description `json:"changes"`
	Run        string             `json:"run"`
	By         string             `json:"by"`
	File       string             `json:"file,omitempty"`
	Line       int                `json:"line,omitempty"`
	Check      string             `json:"check,omitempty"`
	DriftSince string             `json:"drift_since,omitempty"`
}

func changeLine(c *journal.Changed) jsonChange {
	l := jsonChange{
		Type: "change", At: stamp(c.At()), Playbook: c.Info.Playbook, Ref: c.Ref, Status: string(c.Status), Changes: made(c), Run: c.Run, By: c.Info.By, File: c.File, Line: c.Line,
	}
	if !c.Known() {
		l.Status = "unknown"
	}
	if l.Changes == nil {
		l.Changes = []host.Description{}
	}
	return l
}

// changes lists what was changed since a moment; "" for ever.
func (a *app) changes(since string) (err error) {
	from, err := moment(since, time.Now())
	if err != nil {
		return err
	}
	j, path, err := a.openHistory()
	if err != nil {
		return err
	}
	var list []journal.Changed
	if j != nil {
		defer func() { err = errors.Join(err, j.Close()) }()
		if list, err = j.Changes(from, ""); err != nil {
			return err
		}
		slices.SortStableFunc(list, func(a, b journal.Changed) int { return a.At().Compare(b.At()) })
	}
	if a.output == "json" {
		enc := view.NewEncoder(a.out)
		for i := range list {
			if err := enc.Encode(changeLine(&list[i])); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		fmt.Fprintf(a.text(), "Nothing was changed, as far as %s knows.\n", view.CleanLine(path))
	}
	for i := range list {
		c := &list[i]
		where := c.Host
		if c.On != "" {
			where += " on " + c.On
		}
		state := ""
		if !c.Known() {
			state = "  not known whether it was made"
		}
		line := fmt.Sprintf("%s  %s  %s  %s, run %s by %s%s", c.At().Local().Format("2006-01-02 15:04:05"), where, taskName(&c.Task), c.Info.Playbook, c.Run, c.Info.By, state)
		fmt.Fprintln(a.text(), view.CleanLine(line))
		for _, d := range made(c) {
			a.showChange(d)
		}
	}
	return nil
}

// moment reads a time span before now, or a moment of this machine's clock.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since takes a time span (90m, 24h, 7d) or a moment (2026-05-03, \"2026-05-03 22:00\"), not %q", text)
}
