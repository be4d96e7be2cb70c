package view_test

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"muster/internal/engine"
	"muster/internal/view"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// ago is when something began that has taken so many seconds at noon.
func ago(seconds int) time.Time { return noon.Add(-time.Duration(seconds) * time.Second) }

func TestTheFooterSaysForWhomARunWaits(t *testing.T) {
	db1 := engine.Standing{Host: "db1", Stage: engine.StageApply, Name: "task.package.chrony", Since: ago(14), Bound: 5 * time.Minute}
	for _, tt := range []struct {
		name string
		list []engine.Standing
		most int
		want []string
		line string
	}{
		{"one host", []engine.Standing{{Host: "web1", Stage: engine.StageReach, Since: ago(2)}}, 3, []string{
			"1 host: 1 connecting  1m12s",
			"  web1: connecting 2s",
		}, "1m12s: 1 host: 1 connecting; waiting for web1: connecting 2s"},
		{"whoever takes longest comes first, and who waits for another last", []engine.Standing{
			{Host: "web1", Stage: engine.StagePlan, For: "db1", Since: ago(40)},
			{Host: "web2", Stage: engine.StagePlanned, Since: ago(9)},
			{Host: "web3", Stage: engine.StageFailed, Since: ago(9)},
			db1,
			{Host: "web4", Stage: engine.StageApply, Role: `r["x"]`, Name: "task.file.f", Key: "k", On: "lb1", Since: ago(15)},
		}, 3, []string{
			"5 hosts: 1 planned, 2 applying, 1 planning, 1 failed  1m12s",
			`  web4: role.r["x"] file.f["k"] on lb1 15s`,
			"  db1: package.chrony 14s of ≤5m",
			"  web1: waiting for db1 40s",
		}, `1m12s: 5 hosts: 1 planned, 2 applying, 1 planning, 1 failed; waiting for web4: role.r["x"] file.f["k"] on lb1 15s, db1: package.chrony 14s of ≤5m, web1: waiting for db1 40s`},
		{"of many the first are named", []engine.Standing{db1, db1, db1, {Host: "db2", Stage: engine.StageTurn}}, 2, []string{
			"4 hosts: 3 applying, 1 waiting for their turn  1m12s",
			"  db1: package.chrony 14s of ≤5m",
			"  … and 2 more hosts",
		}, "1m12s: 4 hosts: 3 applying, 1 waiting for their turn; waiting for db1: package.chrony 14s of ≤5m, db1: package.chrony 14s of ≤5m, db1: package.chrony 14s of ≤5m"},
		{"all is done", []engine.Standing{{Host: "a", Stage: engine.StageDone}, {Host: "b", Stage: engine.StageDone}}, 3,
			[]string{"2 hosts: 2 done  1m12s"}, "1m12s: 2 hosts: 2 done"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, view.Footer(tt.list, ago(72), noon, tt.most)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.line, view.Line(tt.list, ago(72), noon)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWhatIsInHandIsNamedWhenARunIsStopped(t *testing.T) {
	got := view.InHand([]engine.Standing{
		{Host: "db1", Stage: engine.StageApply, Name: "task.package.chrony", Since: ago(14)},
		{Host: "db2", Stage: engine.StageApply, Since: ago(3)},
		{Host: "db3", Stage: engine.StageDone},
	}, noon)
	if d := cmp.Diff([]string{"db1: package.chrony 14s"}, got); d != "" {
		t.Error(d)
	}
}

// terminal is as much of a terminal as a footer needs: it keeps lines, moves up and
// erases lines, and breaks what is too long.
type terminal struct {
	t       *testing.T
	columns int
	rows    []string
	at      int
}

func (x *terminal) size() (int, int) { return x.columns, 24 }

func (x *terminal) Write(p []byte) (int, error) {
	for s := string(p); s != ""; {
		switch {
		case strings.HasPrefix(s, ansi.CUU1):
			s = s[len(ansi.CUU1):]
			if x.at--; x.at < 0 {
				x.t.Fatal("the cursor went above the screen")
			}
		case strings.HasPrefix(s, ansi.EraseEntireLine):
			s = s[len(ansi.EraseEntireLine):]
			x.row("")
		case s[0] == '\r':
			s = s[1:]
		case s[0] == '\n':
			s = s[1:]
			x.row(x.here())
			x.at++
		default:
			i := strings.IndexAny(s, "\r\n\x1b")
			if i < 0 {
				i = len(s)
			}
			x.row(x.here() + s[:i])
			s = s[i:]
		}
	}
	return len(p), nil
}

func (x *terminal) here() string {
	if x.at < len(x.rows) {
		return x.rows[x.at]
	}
	return ""
}

func (x *terminal) row(text string) {
	for len(x.rows) <= x.at {
		x.rows = append(x.rows, "")
	}
	x.rows[x.at] = text
}

// resize makes it narrower or wider, as terminals do that break lines anew.
func (x *terminal) resize(columns int) {
	x.row(x.here())
	var rows []string
	at := 0
	for i, row := range x.rows {
		if i == x.at {
			at = len(rows)
		}
		for ansi.StringWidth(row) > columns {
			head := ansi.Truncate(row, columns, "")
			rows, row = append(rows, head), strings.TrimPrefix(row, head)
		}
		rows = append(rows, row)
	}
	x.rows, x.columns, x.at = rows, columns, at
}

func (x *terminal) shows(want ...string) {
	x.t.Helper()
	got := strings.TrimRight(strings.Join(x.rows, "\n"), "\n")
	if d := cmp.Diff(strings.Join(want, "\n"), got); d != "" {
		x.t.Error(d)
	}
}

func TestAFooterStandsBelowWhatIsWrittenAndIsTakenAway(t *testing.T) {
	x := &terminal{t: t, columns: 40}
	s := view.NewScreen(x, x, x.size, true)
	say := func(text string) {
		if _, err := s.Out().Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	say("one\n")
	s.Footer([]string{"2 hosts", "  a: " + strings.Repeat("long ", 20)})
	x.shows("one", "2 hosts", "  a: long long long long long long lon…")
	say("two\n")
	s.Footer([]string{"1 host"})
	x.shows("one", "two", "1 host")
	s.Footer([]string{"日本語日本語日本語日本語日本語日本語日本語"}) // wide: two columns each
	x.shows("one", "two", "日本語日本語日本語日本語日本語日本語日…")
	x.resize(20)
	s.Footer([]string{"3 hosts: 1 done"})
	x.shows("one", "two", "3 hosts: 1 done")
	x.resize(80)
	s.Footer([]string{"3 hosts: 2 done"})
	x.shows("one", "two", "3 hosts: 2 done")
	s.Footer(nil)
	x.shows("one", "two")
	say("done? ")
	s.Footer([]string{"never behind a question"})
	x.shows("one", "two", "done? ")
}

func TestWithoutATerminalNothingIsDrawn(t *testing.T) {
	var out, errs strings.Builder
	s := view.NewScreen(&out, &errs, nil, false)
	s.Footer([]string{"x"})
	_, _ = s.Out().Write([]byte("result\n"))
	_, _ = s.Err().Write([]byte("warning\n"))
	if out.String() != "result\n" || errs.String() != "warning\n" {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
}

// Results that go elsewhere hold nothing of the footer.
func TestAFooterIsNoPartOfWhatIsPiped(t *testing.T) {
	var out strings.Builder
	x := &terminal{t: t, columns: 80}
	s := view.NewScreen(&out, x, x.size, false)
	s.Footer([]string{"x"})
	_, _ = s.Out().Write([]byte("half a"))
	s.Footer([]string{"y"})
	x.shows("y") // the terminal has no part of that line
	_, _ = s.Out().Write([]byte(" result\n"))
	s.Footer(nil)
	if x.shows(); out.String() != "half a result\n" {
		t.Errorf("%q", out.String())
	}
}
