package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"muster/host"
	"muster/internal/drift"
	"muster/internal/engine"
	"muster/internal/report"
	"muster/internal/task"
	"muster/internal/view"
	"muster/internal/wire"
	"muster/transport"
)

// hostile is what a host may say: it ends what each format has.
const hostile = "</pre></td></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'`|]]>--><![CDATA[" +
	"\n```\n# @everyone [x](javascript:alert(1))\n::error::owned\n\r::warning::owned\nmuster_drift{} 9\x1b[2J\u202e\xff\\"

func encoded(t *testing.T, format string, c *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Encode(&b, format, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// recorded is a drift check in which hosts and tasks are called by name, and say it.
func recorded(name string) *report.Report {
	r := report.Record(view.New(view.Options{Format: "plain", Out: io.Discard, Err: io.Discard}), "drift", time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))
	r.Playbook("playbooks/site.hcl")
	s := engine.NewSummary()
	tell := func(e engine.TaskEvent) {
		e.Play, e.Kind, e.Name, e.File, e.Line = name, "file", "task.file.a", "playbooks/site.hcl", 12
		r.Event(&e)
		s.Add(&e)
	}
	for _, h := range []string{"web1", "web2", name} {
		tell(engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: h, Key: name}, ID: "0/task.file.a"}, Planned: task.Planned{Status: wire.Pending, Certainty: wire.Known, Changes: []host.Description{{Action: host.Update, Target: name, Impact: name, Diff: "-old\n+" + name + "\n"}}}})
		tell(engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: h}, ID: "0/task.file.b"}, Planned: task.Planned{Status: wire.Unchanged}})
	}
	tell(engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: "web1"}, ID: "0/task.file.c"}, Planned: task.Planned{Status: wire.Failed, Error: name}})
	r.Event(&engine.HostEvent{Host: "away", Error: &transport.UnreachableError{Host: "away", Stage: transport.StageConnect, Err: errors.New(name)}})
	s.Hosts["away"] = &engine.Counts{Unreachable: true}
	s.Order = append(s.Order, "away")
	r.Summary(s, view.End{Seconds: 1.5})
	r.Warn(name)
	r.Error(errors.New(name))
	r.Drift(&drift.Check{ID: "c2", Last: "c1", LastBegan: time.Date(2026, 5, 3, 3, 2, 1, 0, time.UTC), Items: []drift.Item{
		{Place: drift.Place{Host: name}, Name: "task.file.a", Key: name, State: drift.New, Returned: 3, Contested: true, PutRight: drift.Run{ID: "r", By: name}},
		{Place: drift.Place{Host: "web1"}, Name: "task.file.a", State: drift.Still},
		{Place: drift.Place{Host: "web2"}, Name: "task.file.a", State: drift.Gone},
	}})
	return r.Report("ann@laptop", 4)
}

func TestAPageShowsWhatHostsSayAndRunsNothing(t *testing.T) {
	text := encoded(t, "html", recorded(hostile))
	for _, bad := range []string{"<script", "<img", "onerror=alert(1)>", "\x1b", "\u202e", " style=", "http://", "https://", "url(", "ZgotmplZ"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if !utf8.ValidString(text) {
		t.Error("the page isn't UTF-8")
	}
	for _, good := range []string{"&lt;script&gt;alert(1)", `content="default-src 'none'; style-src 'sha256-`, "contested", "on 3 hosts", `class="failed"`} {
		if !strings.Contains(text, good) {
			t.Errorf("the page hasn't %q", good)
		}
	}
	if n := strings.Count(text, "<style>"); n != 1 {
		t.Errorf("%d style sheets", n)
	}
	if n := strings.Count(text, "<details>"); n != 2 {
		t.Errorf("%d tasks, and hosts on which one stands the same are one group", n)
	}
}

func TestEveryElementOfAPageIsClosed(t *testing.T) {
	text := encoded(t, "html", recorded(hostile))
	var open []string
	for _, m := range regexp.MustCompile(`<(/?)([a-z][a-z0-9]*)[^>]*>`).FindAllStringSubmatch(text, -1) {
		switch name := m[2]; {
		case name == "meta" || name == "br":
		case m[1] == "":
			open = append(open, name)
		case len(open) == 0 || open[len(open)-1] != name:
			t.Fatalf("</%s> closes %v", name, open)
		default:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%v stay open", open)
	}
}

func TestJUnitIsReadBackAsItWasMeant(t *testing.T) {
	text := encoded(t, "junit", recorded(hostile))
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	// A host that is away and an error of muster; three drifts and a failed task.
	if got.Errors != 2 || got.Failures != 4 || got.Tests != 9 {
		t.Errorf("%d tests, %d failures, %d errors", got.Tests, got.Failures, got.Errors)
	}
	if !strings.Contains(got.Suites[0].Cases[0].Failure, "<script>alert(1)</script>") {
		t.Errorf("%q", got.Suites[0].Cases[0].Failure)
	}
	if got.Suites[2].Name != view.CleanLine(hostile) {
		t.Errorf("%q", got.Suites[2].Name)
	}
}

func TestMarkdownCallsNobodyAndLinksNowhere(t *testing.T) {
	text := encoded(t, "markdown", recorded(hostile))
	fence := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if ticks := regexp.MustCompile("^`{3,}").FindString(line); ticks != "" {
			switch {
			case fence == "":
				fence = ticks
				continue
			case ticks == fence && line == fence:
				fence = ""
				continue
			}
		}
		if fence != "" {
			continue
		}
		for _, bad := range []string{"@everyone", "<script", "](java", "<img"} {
			if strings.Contains(line, bad) {
				t.Errorf("%q is in %q", bad, line)
			}
		}
	}
	if fence != "" {
		t.Error("a fence stays open")
	}
	long := recorded("x")
	for i := range 1000 {
		e := *long.Tasks[0].TaskEvent
		e.ID, e.Error = fmt.Sprint("0/task.file.", i), strings.Repeat("x", 1000)
		long.Tasks = append(long.Tasks, report.Task{Playbook: "p", TaskEvent: &e})
	}
	if text := encoded(t, "markdown", long); len(text) > 60000 || !strings.Contains(text, "more tasks don't fit") {
		t.Errorf("%d bytes", len(text))
	}
}

// sample is a line of the text format: a name, labels whose values escape what would
// end them, and a number.
var sample = regexp.MustCompile(`^[a-z_]+(\{[a-z]+="([^"\\\n]|\\[\\n"])*"(,[a-z]+="([^"\\\n]|\\[\\n"])*")*\})? [0-9.e+]+$`)

func TestMetricsAreWellFormed(t *testing.T) {
	text := encoded(t, "metrics", recorded(hostile))
	families := map[string]bool{}
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			last, _, _ = strings.Cut(name, " ")
			if families[last] {
				t.Errorf("%s comes twice", last)
			}
			families[last] = true
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		if name, _, _ := strings.Cut(line, "{"); !sample.MatchString(line) || !strings.HasPrefix(name, last) {
			t.Errorf("%q", line)
		}
	}
	for _, want := range []string{
		`muster_drift{state="new"} 1`, `muster_drift{state="gone"} 1`, "muster_drift_contested 1", `muster_last_run_outcome{command="drift",outcome="failed"} 1`,
		`muster_host_checked{command="drift",host="away"} 0`, `muster_host_tasks{command="drift",host="web1",status="pending"} 1`,
		`muster_host_tasks{command="drift",host="web1",status="failed"} 1`, `muster_last_run_timestamp_seconds{command="drift"} 1777863721`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s isn't in\n%s", want, text)
		}
	}
}

func TestAnnotationsCannotBeForged(t *testing.T) {
	text := encoded(t, "github", recorded(hostile))
	n := 0
	for line := range strings.Lines(text) {
		n++
		if !regexp.MustCompile(`^::(error|warning|notice) title=[^:,\r\n]*(,file=[^:,\r\n]+,line=\d+)?::[^\r\n]+\n$`).MatchString(line) || strings.Contains(line, "::error::owned") && !strings.Contains(line, "%0A::error::owned") {
			t.Errorf("%q", line)
		}
	}
	if n != 5 { // a warning, an error, a host, and two tasks
		t.Errorf("%d annotations:\n%s", n, text)
	}
	if !strings.Contains(text, "file=playbooks/site.hcl,line=12::web1, web2, ") {
		t.Error(text)
	}
}

func TestPageLooksBackOnDrift(t *testing.T) {
	night := func(n int) time.Time { return time.Date(2026, 5, n, 3, 0, 0, 0, time.UTC) }
	c := &drift.Check{Past: drift.Past{Checks: []time.Time{night(3), night(4)}}}
	for n := range 103 {
		name := fmt.Sprintf("web%03d<b>", n)
		c.Past.Hosts = append(c.Past.Hosts, drift.PastRow{Name: name, Found: []drift.Found{{Looked: true, N: 7}, {Looked: true, Unchecked: true}}})
	}
	c.Past.Tasks = []drift.PastRow{{Name: "file.motd", Found: []drift.Found{{Looked: true, N: 103}, {Looked: true}}}}
	text := encoded(t, "html", &report.Report{Command: "drift", Check: c})
	for _, want := range []string{
		"The last 2 checks", ">05-03<br>03:00<", "<td>web000&lt;b&gt;</td><td class=\"n drift\">7</td><td class=\"n unreachable\">?</td>",
		"3 more aren't listed", "<td>file.motd</td><td class=\"n drift\">103</td><td class=\"n\">·</td>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s isn't in\n%.3000s", want, text)
		}
	}
	if strings.Contains(text, "web100") {
		t.Error("more hosts are listed than there is room for")
	}
}

// quiet is a view that shows nothing.
type quiet struct{ view.View }

func (quiet) Event(engine.Event)                {}
func (quiet) Summary(*engine.Summary, view.End) {}

func TestThePageOfALargeFleetStaysSmall(t *testing.T) {
	r := report.Record(quiet{}, "plan", time.Now())
	r.Playbook("site.hcl")
	s := engine.NewSummary()
	for h := range 1000 {
		for n := range 200 {
			e := engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: fmt.Sprintf("web%03d", h), Play: "p", Kind: "file"}, ID: fmt.Sprintf("0/task.file.t%d", n), Name: fmt.Sprintf("task.file.t%d", n), File: "site.hcl", Line: n}, Planned: task.Planned{Status: wire.Unchanged}}
			if n < 20 {
				e.Status, e.Changes = wire.Pending, []host.Description{{Action: host.Update, Target: "/x", Diff: strings.Repeat("+x\n", 300)}}
			}
			if n == 0 { // each host its own
				e.Changes[0].Diff = fmt.Sprintf("+%d\n", h) + strings.Repeat("+yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n", 100)
			}
			r.Event(&e)
		}
		s.Order = append(s.Order, fmt.Sprintf("web%03d", h))
		s.Hosts[s.Order[h]] = &engine.Counts{Unchanged: 180, Pending: 20}
	}
	r.Summary(s, view.End{Seconds: 1})
	text := encoded(t, "html", r.Report("ann@laptop", 0))
	if len(text) > 5<<20 {
		t.Errorf("%d bytes", len(text))
	}
	if !strings.Contains(text, "more lines are left out") || strings.Count(text, "<details>") != 1019 {
		t.Errorf("%d tasks", strings.Count(text, "<details>"))
	}
}

// A browser takes a time for a line that grows with the square of its length.
func TestNoLineOfAPageIsLongerThanABrowserLikes(t *testing.T) {
	for line := range strings.Lines(encoded(t, "html", recorded(strings.Repeat("ä", 50_000)))) {
		for _, word := range regexp.MustCompile(`ä+`).FindAllString(line, -1) {
			if len(word) > 1000 {
				t.Fatalf("%d bytes without a break", len(word))
			}
		}
	}
	if text := encoded(t, "html", recorded(strings.Repeat("x", 5000))); !strings.Contains(text, "… (4000 more bytes)") {
		t.Error("what is left out isn't said")
	}
}

func TestAReportIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "r.html")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := report.ParseTarget("html=" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Write(recorded("x")); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(dir)
	if text, _ := os.ReadFile(file); err != nil || len(list) != 1 || !strings.HasPrefix(string(text), "<!DOCTYPE html>") {
		t.Error(list, err)
	}
	err = report.Target{Format: "junit", File: filepath.Join(dir, "none", "r.xml")}.Write(recorded("x"))
	if err == nil || !strings.Contains(err.Error(), "the junit report isn't written") || !strings.Contains(err.Error(), "a folder that exists") {
		t.Error(err)
	}
	err = report.Target{Format: "junit", File: dir}.Write(recorded("x"))
	if list, _ := os.ReadDir(filepath.Dir(dir)); err == nil || len(list) != 1 {
		t.Error("a folder is in the way, and something is left behind:", list, err)
	}
	for _, text := range []string{"", "pdf=x", "html", "html=", "=x"} {
		if _, err := report.ParseTarget(text); err == nil {
			t.Errorf("%q is a report", text)
		}
	}
}
