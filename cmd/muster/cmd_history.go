package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/journal"
	"muster/internal/project"
	"muster/internal/task"
	"muster/internal/view"
	"muster/internal/wire"
	"muster/modules"
)

func newHistory(a *app) *cobra.Command {
	number, changed, since := 20, false, ""
	cmd := &cobra.Command{
		Use:   "history [RUN]",
		Short: "Show what was applied, when and by whom",
		Long: "History lists the newest runs, also those that had nothing to change, from the project's journal (without a project, the user's).\n\n" +
			"Given a run's id, the begin of one, or \"last\", it shows that run host by host: what was changed, what failed, and what was begun and " +
			"never heard of again. -v adds diffs, and tasks that changed nothing.\n\n" +
			"With --changed it lists what was changed, anywhere and by whom, oldest first; with --since only what is not older than that.",
		Example: "  muster history\n  muster history last -v\n  muster history --changed --since 24h",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkFlags(); err != nil {
				return err
			}
			if changed || since != "" {
				if len(args) > 0 || cmd.Flags().Changed("number") {
					return errors.New("--changed and --since list what was changed in any run: give neither a run nor -n with them")
				}
				return a.changes(since)
			}
			if number < 0 {
				return fmt.Errorf("-n is how many runs are shown, and 0 all, not %d", number)
			}
			return a.history(number, args)
		},
	}
	cmd.Flags().IntVarP(&number, "number", "n", number, "show `N` runs; 0: all")
	cmd.Flags().BoolVar(&changed, "changed", false, "list changes, of all runs")
	cmd.Flags().StringVar(&since, "since", "", "list changes that are not older than `TIME`: 90m, 24h, 7d, 2026-05-03 or \"2026-05-03 22:00\"")
	return cmd
}

func (a *app) history(number int, args []string) (err error) {
	p, diags := project.Find(".")
	if p.Dir == "" && diags.HasErrors() { // else what is wrong with its settings is no matter here
		return a.fail(diags, nil)
	}
	j, err := journal.Open(p.Journal(), journal.Options{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return a.noRuns(p.Journal(), args)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if len(args) == 1 {
		d, err := j.Find(args[0])
		var none *journal.NotFoundError
		if errors.As(err, &none) {
			return a.noRun(j, p.Journal(), args)
		}
		if err != nil {
			return err
		}
		if a.output == "json" {
			return a.runLines(d)
		}
		a.showRun(d)
		return nil
	}
	list, err := j.Runs(number)
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return a.noRuns(p.Journal(), args)
	case a.output == "json":
		enc := view.NewEncoder(a.out)
		for i := range list {
			if err := enc.Encode(runLine(&list[i])); err != nil {
				return err
			}
		}
		return nil
	}
	a.listRuns(list)
	return nil
}

// noRuns says that the journal is empty, which is no error unless a certain
// run is asked for.
func (a *app) noRuns(path string, args []string) error {
	if len(args) > 0 && args[0] != "last" {
		return fmt.Errorf("there is no run %q: nothing was applied yet, as far as %s knows", args[0], path)
	}
	if a.output != "json" {
		fmt.Fprintf(a.text(), "Nothing was applied yet, as far as %s knows.\n", view.CleanLine(path))
	}
	return nil
}

// noRun is the error for an id that no run has, with the one that was
// probably meant.
func (a *app) noRun(j *journal.Journal, path string, args []string) error {
	list, err := j.Runs(0)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return a.noRuns(path, args)
	}
	id := args[0]
	ids := make([]string, len(list))
	near := ""
	for i, s := range list {
		ids[i] = s.ID
		if near == "" && id != "" && strings.HasSuffix(s.ID, id) {
			near = s.ID
		}
	}
	if near == "" {
		near = modules.Nearest(id, ids)
	}
	if near == "" {
		return fmt.Errorf("there is no run %q; the newest is %s", id, ids[0])
	}
	return fmt.Errorf("there is no run %q; did you mean %s?", id, near)
}

// listRuns shows runs in columns.
func (a *app) listRuns(list []journal.Summary) {
	rows := [][]string{{"run", "when", "took", "outcome", "hosts", "playbook", "by", "command"}}
	for i := range list {
		s := &list[i]
		rows = append(rows, []string{
			s.ID, s.Began.Local().Format("2006-01-02 15:04:05"), took(s), s.State, fmt.Sprintf("%d/%d", s.Done, s.Hosts), s.Playbook, s.By, s.Command,
		})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = view.CleanLine(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		fmt.Fprintln(a.text(), strings.TrimRight(b.String(), " "))
	}
}

// took is how long a run took, or has taken so far; "-" where nobody knows.
func took(s *journal.Summary) string {
	end := s.Ended
	switch {
	case s.State == journal.Running:
		end = time.Now()
	case end.IsZero():
		return "-"
	}
	d := max(end.Sub(s.Began), 0) // a clock may have been set back
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// showRun shows a run host by host.
func (a *app) showRun(d *journal.Detail) {
	fmt.Fprintf(a.text(), "%s: %s\n", view.CleanLine(d.ID), view.CleanLine(d.State))
	for _, f := range [][2]string{
		{"command", d.Command}, {"playbook", d.Playbook}, {"inventory", d.Inventory}, {"plan", d.PlanFile}, {"resumes", d.Resumes},
		{"--limit", strings.Join(d.Limit, ",")}, {"--tags", strings.Join(d.Tags, ",")}, {"--skip-tags", strings.Join(d.SkipTags, ",")},
		{"began", d.Began.Local().Format("2006-01-02 15:04:05 MST")}, {"took", took(&d.Summary)}, {"by", d.By}, {"muster", d.Muster},
	} {
		if f[1] != "" {
			fmt.Fprintf(a.text(), "  %-11s %s\n", f[0], view.CleanLine(f[1]))
		}
	}
	for i := range d.PerHost {
		a.showHistory(&d.PerHost[i], !d.Ended.IsZero())
	}
}

// showHistory shows what became of a run, which has ended or may have been cut off, on a
// host.
func (a *app) showHistory(h *journal.Host, ended bool) {
	fmt.Fprintf(a.text(), "\n%s: %s\n", view.CleanLine(h.Name), view.CleanLine(string(h.Status)))
	if h.Error != "" {
		a.block("  ", h.Error)
	}
	play := ""
	open := h.Open(ended)
	for i := range h.Tasks {
		t := &h.Tasks[i]
		if t.Status == "" && !open[i] {
			t.Status, t.Error = wire.NotReached, notBegun
		}
		if (t.Status == wire.Unchanged || t.Status == wire.Skipped || t.Status == wire.NotReached) && !a.verbose {
			continue
		}
		if t.Play != play {
			play = t.Play
			fmt.Fprintf(a.text(), "  %s\n", view.CleanLine(play))
		}
		a.showTask(t)
	}
}

// notBegun is said of a task that was granted behind one whose end isn't known.
const notBegun = "not begun when the run ended"

func (a *app) showTask(t *journal.Task) {
	sign, what, changes := "~", string(t.Status), t.Made
	switch t.Status {
	case wire.Unchanged:
		sign = "="
	case wire.Skipped:
		sign = "-"
	case wire.NotReached:
		sign, what = "-", "not reached"
	case wire.Failed:
		sign = "!"
		if t.Tolerated {
			what += ", tolerated"
		}
	case "", wire.Unknown:
		sign, what, changes = "?", engine.EndUnknown, t.Changes
	}
	if t.Undone {
		what += ", taken back"
	}
	name := strings.TrimPrefix(t.Name, "task.")
	if t.Key != "" {
		name += fmt.Sprintf("[%q]", t.Key)
	}
	if t.Role != "" {
		name = "role." + t.Role + " " + name
	}
	if t.On != "" {
		name += " on " + t.On
	}
	fmt.Fprintf(a.text(), "    %s %s  %s\n", sign, view.CleanLine(name), view.CleanLine(what))
	for _, d := range changes {
		a.showChange(d)
	}
	if t.Error != "" {
		a.block("        ", t.Error)
	}
}

func (a *app) showChange(d host.Description) {
	impact := ""
	if d.Impact != "" {
		impact = "  " + view.CleanLine(d.Impact)
	}
	fmt.Fprintf(a.text(), "        %s %s%s\n", view.CleanLine(view.ActionWord(d)), view.CleanLine(d.Target), impact)
	if a.verbose && d.Diff != "" {
		a.block("          ", d.Diff)
	}
}

// block shows text of several lines.
func (a *app) block(indent, text string) {
	text = strings.TrimRight(view.Clean(text), "\n")
	fmt.Fprintln(a.text(), indent+strings.ReplaceAll(text, "\n", "\n"+indent))
}

// stamp is a moment in JSON; "" where it hasn't come to that.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

type jsonRun struct {
	Type string `json:"type"`
	Run  string `json:"run"`
	journal.RunInfo
	Began   string `json:"began"`
	Ended   string `json:"ended,omitempty"`
	Outcome string `json:"outcome"`
	Hosts   int    `json:"hosts"`
	Done    int    `json:"done"`
}

func runLine(s *journal.Summary) jsonRun {
	return jsonRun{"run", s.ID, s.RunInfo, stamp(s.Began), stamp(s.Ended), s.State, s.Hosts, s.Done}
}

type jsonRunHost struct {
	Type   string `json:"type"`
	Host   string `json:"host"`
	Status string `json:"status"`
	Error  string `json:"error"`
	Ended  string `json:"ended,omitempty"`
}

type jsonRunTask struct {
	Type string `json:"type"`
	task.Ref
	Status      string             `json:"status"`
	Changes     []host.Description `json:"changes"`
	Error       string             `json:"error,omitempty"`
	Tolerated   bool               `json:"tolerated,omitempty"`
	Undone      bool               `json:"undone,omitempty"`
	Seconds     float64            `json:"seconds"`
	Granted     string             `json:"granted"`
	Ended       string             `json:"ended,omitempty"`
	Undoable    bool               `json:"undoable"`
	NotUndoable string             `json:"not_undoable,omitempty"`
}

// runLines prints a run as JSON: the run, then each host with its tasks.
func (a *app) runLines(d *journal.Detail) error {
	enc := view.NewEncoder(a.out)
	err := enc.Encode(runLine(&d.Summary))
	for i := range d.PerHost {
		h := &d.PerHost[i]
		err = errors.Join(err, enc.Encode(jsonRunHost{"host", h.Name, string(h.Status), h.Error, stamp(h.Ended)}))
		open := h.Open(!d.Ended.IsZero())
		for j := range h.Tasks {
			t := &h.Tasks[j]
			if t.Status == "" && !open[j] {
				t.Status, t.Error = wire.NotReached, notBegun
			}
			line := jsonRunTask{
				Type: "task", Ref: t.Ref,
				Status: string(t.Status), Changes: t.Made, Error: t.Error, Tolerated: t.Tolerated, Undone: t.Undone, Seconds: t.Seconds,
				Granted: stamp(t.GrantedAt), Ended: stamp(t.Ended), Undoable: t.Undoable, NotUndoable: t.NotUndoable,
			}
			if t.Status == "" || t.Status == wire.Unknown {
				line.Status, line.Changes = "unknown", t.Changes
			}
			if line.Changes == nil {
				line.Changes = []host.Description{}
			}
			err = errors.Join(err, enc.Encode(line))
		}
	}
	return err
}
