package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/internal/schedule"
	"muster/internal/view"
	"muster/inventory"
	"muster/transport"
)

func newScheduleList(a *app) *cobra.Command {
	on, number := "", 3
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show schedules, when they run next, and what came of their last runs",
		Long: "List shows the schedules of a machine, of all projects there: the next three times, to which the random delay is added, and the last runs, newest first, with their exit codes and what they said. " +
			"What only root can read there, it asks sudo for, and shows what it gets.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if number < 1 || number > keptRuns {
				return fmt.Errorf("-n is from 1 to %d, which are kept, not %d", keptRuns, number)
			}
			return a.listSchedules(cmd.Context(), on, number)
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "those on `HOST` of the inventory")
	cmd.Flags().IntVarP(&number, "number", "n", number, "show the last `N` runs")
	return cmd
}

// lookScript prints what a machine's schedules are: a line "unit NAME", what systemd and the unit say, and a
// line "runs JSON".
const lookScript = `look() {
for f in /etc/systemd/system/muster-drift-*.service /etc/systemd/system/muster-rotations-*.service; do
[ -e "$f" ] || continue
u=${f##*/}; u=${u%.service}
echo "unit $u"
grep -E '^(X-Muster-[A-Za-z]+|User)=' "$f"
systemctl show --property=ExecMainStartTimestamp,ExecMainExitTimestamp,ExecMainStatus,Result --timestamp=unix "$u.service"
echo "Timer=$(systemctl is-active "$u.timer")"
d=$(sed -n 's/^X-Muster-Project=//p' "$f" | sed 's/%%/%/g')
k=${u#muster-}; k=${k%%-*}
echo "runs $(cat "$d/.muster/schedules/$k.json" 2>/dev/null)"
done
}
`

// installed is a schedule of a machine, by what lookScript prints.
type installed struct {
	unit   string
	fields map[string]string
	runs   []scheduledRun
	unread error
}

func (a *app) listSchedules(ctx context.Context, on string, number int) error {
	l, diags, err := a.load(ctx, false)
	if err != nil {
		return err
	}
	target := transport.Target{Name: "localhost", Local: true}
	if on != "" {
		if err := a.fail(diags, l.sources); err != nil {
			return err
		}
		h, ok := l.inventory.Host(on)
		if !ok {
			return fmt.Errorf("--on: there is no host %q in the inventory", on)
		}
		target = h.Target()
	} else if missing(systemdFolder) {
		return fmt.Errorf("this machine has no systemd: what its cron runs is in somebody's crontab (crontab -l)")
	} else {
		l.inventory = inventory.LocalOnly()
	}
	r, err := a.reach(l)
	if err != nil {
		return err
	}
	defer r.close()
	conn, err := r.mux.Dial(ctx, target)
	if err != nil {
		a.view().Error(err)
		return exitError(exitUnreachable)
	}
	defer conn.Close()
	list, err := lookAt(ctx, conn)
	if err != nil {
		return err
	}
	return a.showSchedules(list, number, time.Now())
}

// lookAt reads the schedules of a machine.
func lookAt(ctx context.Context, conn transport.Conn) ([]installed, error) {
	inner := transport.Quote(lookScript + "look")
	p, err := conn.Start(ctx, "if [ \"$(id -u)\" = 0 ]; then exec sh -c "+inner+"; fi\nsudo -n true 2>/dev/null && exec sudo -n sh -c "+inner+"\nexec sh -c "+inner)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	go func() { _, _ = io.Copy(io.Discard, p.Stderr) }()
	list, err := readFound(p.Stdout)
	if err != nil {
		return nil, err
	}
	return list, p.Wait()
}

func readFound(r io.Reader) (list []installed, err error) {
	lines := bufio.NewScanner(io.LimitReader(r, 4<<20))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if unit, ok := strings.CutPrefix(line, "unit "); ok {
			list = append(list, installed{unit: unit, fields: map[string]string{}})
			continue
		}
		if len(list) == 0 {
			continue
		}
		last := &list[len(list)-1]
		if data, ok := strings.CutPrefix(line, "runs "); ok {
			last.runs, last.unread = readRuns([]byte(data))
			continue
		}
		if name, value, ok := strings.Cut(line, "="); ok {
			last.fields[name] = strings.ReplaceAll(value, "%%", "%")
		}
	}
	return list, lines.Err()
}

// unixTime is a time as systemd gives it: "@1764385200".
func unixTime(text string) time.Time {
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "@"), 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// unkept is a run that systemd knows of and that didn't keep what came of it, if the last one
// is such.
func (f *installed) unkept() *scheduledRun {
	ended := unixTime(f.fields["ExecMainExitTimestamp"])
	if ended.IsZero() || len(f.runs) > 0 && ended.Sub(f.runs[len(f.runs)-1].Ended) < 5*time.Second {
		return nil
	}
	code, _ := strconv.Atoi(f.fields["ExecMainStatus"])
	return &scheduledRun{Began: unixTime(f.fields["ExecMainStartTimestamp"]), Ended: ended, Code: code,
		Said: []string{"it didn't keep what came of it (systemd: " + f.fields["Result"] + "): journalctl -u " + f.unit + " has what it said"}}
}

// meaning is what an exit code says of a scheduled run.
func meaning(code int) string {
	switch code {
	case 0:
		return "all is as it should be"
	case exitPending:
		return "drift"
	case exitFailed:
		return "failed on a host"
	case exitUnreachable:
		return "a host could not be reached"
	case exitInterrupted:
		return "interrupted"
	}
	return "an error"
}

func (a *app) showSchedules(list []installed, number int, now time.Time) error {
	if a.output == "json" {
		return a.schedulesJSON(list, number, now)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.text(), "There are no schedules of muster here.")
	}
	for i := range list {
		f := &list[i]
		fmt.Fprintf(a.text(), "%s  %s\n", view.CleanLine(f.unit), view.CleanLine(f.fields["X-Muster-Schedule"]))
		fmt.Fprintf(a.text(), "  as %s in %s\n", view.CleanLine(f.fields["User"]), view.CleanLine(f.fields["X-Muster-Project"]))
		if f.fields["Timer"] != "active" {
			fmt.Fprintf(a.text(), "  its timer doesn't run (%s): install it again\n", view.CleanLine(f.fields["Timer"]))
		}
		for _, t := range f.next(now) {
			fmt.Fprintf(a.text(), "  next  %s\n", t.Format("Mon 2006-01-02 15:04 MST"))
		}
		if f.unread != nil {
			fmt.Fprintf(a.text(), "  what came of its runs can't be read: %s\n", view.CleanLine(f.unread.Error()))
		}
		runs := f.last(number)
		for _, r := range runs {
			fmt.Fprintf(a.text(), "  last  %s  %s (exit code %d)\n", r.Began.Format("Mon 2006-01-02 15:04 MST"), meaning(r.Code), r.Code)
			for _, text := range r.Said {
				fmt.Fprintf(a.text(), "          %s\n", view.CleanLine(text))
			}
		}
		if len(runs) == 0 {
			fmt.Fprintln(a.text(), "  it hasn't run yet")
		}
	}
	return nil
}

// next are the next three times, in the schedule's own zone.
func (f *installed) next(now time.Time) []time.Time {
	s, err := schedule.Parse(f.fields["X-Muster-Schedule"])
	if err != nil {
		return nil
	}
	return s.Next(now, 3)
}

// last are the last runs, the newest first.
func (f *installed) last(number int) (runs []scheduledRun) {
	if r := f.unkept(); r != nil {
		runs = append(runs, *r)
	}
	for i := len(f.runs) - 1; i >= 0 && len(runs) < number; i-- {
		runs = append(runs, f.runs[i])
	}
	return runs
}

// scheduleLine is a schedule as JSON.
type scheduleLine struct {
	Type    string         `json:"type"` // "schedule"
	Unit    string         `json:"unit"`
	When    string         `json:"when"`
	User    string         `json:"user"`
	Project string         `json:"project"`
	Active  bool           `json:"active"`
	Next    []time.Time    `json:"next"`
	Last    []scheduledRun `json:"last"`
}

func (a *app) schedulesJSON(list []installed, number int, now time.Time) error {
	a.view() // its first line is the version
	enc := view.NewEncoder(a.out)
	for i := range list {
		f := &list[i]
		line := scheduleLine{"schedule", f.unit, f.fields["X-Muster-Schedule"], f.fields["User"], f.fields["X-Muster-Project"], f.fields["Timer"] == "active", f.next(now), f.last(number)}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
