package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"muster/internal/view"
	"muster/internal/wire"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Time    string     `xml:"time,attr"`
	File    string     `xml:"file,attr,omitempty"`
	Line    int        `xml:"line,attr,omitempty"`
	Failure *junitText `xml:"failure"`
	Error   *junitText `xml:"error"`
	Skipped *junitText `xml:"skipped"`
	Out     string     `xml:"system-out,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes a suite for each host and a case for each task. A task that failed
// is a failure, and in a drift check one that has drifted; a host that can't be used and
// what went wrong with muster itself are errors.
func writeJUnit(w io.Writer, c *Report) error {
	all := junitSuites{Name: "muster " + c.Command, Time: fmt.Sprintf("%.3f", c.Seconds)}
	at := map[string]int{}
	suite := func(name string) *junitSuite {
		i, ok := at[name]
		if !ok {
			i = len(all.Suites)
			at[name] = i
			all.Suites = append(all.Suites, junitSuite{Name: view.CleanLine(name), Timestamp: c.Began.UTC().Format(time.RFC3339)})
		}
		return &all.Suites[i]
	}
	for i := range c.Hosts {
		h := &c.Hosts[i]
		s := suite(h.Name)
		for _, text := range h.Errors {
			s.Cases = append(s.Cases, junitCase{Class: "host", Name: h.State(), Time: "0.000", Error: &junitText{h.State(), view.Clean(text)}})
		}
	}
	for i := range c.Tasks {
		s := suite(c.Tasks[i].Host)
		s.Cases = append(s.Cases, caseOf(c, &c.Tasks[i]))
	}
	for _, n := range c.Notes {
		if n.Level == "error" {
			s := suite("muster")
			s.Cases = append(s.Cases, junitCase{Class: "muster", Name: c.Command, Time: "0.000", File: n.File, Line: n.Line, Error: &junitText{firstLine(n.Text), view.Clean(n.Text)}})
		}
	}
	for i := range all.Suites {
		s := &all.Suites[i]
		for _, test := range s.Cases {
			s.Tests++
			switch {
			case test.Failure != nil:
				s.Failures++
			case test.Error != nil:
				s.Errors++
			case test.Skipped != nil:
				s.Skipped++
			}
		}
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func caseOf(c *Report, t *Task) junitCase {
	name := t.Full()
	if t.On != "" {
		name += " on " + t.On
	}
	test := junitCase{
		Class: view.CleanLine(t.Playbook + ": " + t.Play), Name: view.CleanLine(name), Time: fmt.Sprintf("%.3f", t.TaskEvent.Seconds), File: t.File, Line: t.Line,
	}
	text := view.Clean(changesText(t))
	switch {
	case t.Bad():
		test.Failure = &junitText{firstLine(t.Error), view.Clean(t.Error)}
	case t.Pending() && c.Command == "drift":
		test.Failure = &junitText{"drift", text}
	case t.Status == wire.Skipped || t.Status == wire.NotReached:
		test.Skipped = &junitText{}
	default:
		test.Out = text
	}
	return test
}

// changesText is a task's changes as lines.
func changesText(t *Task) string {
	var b strings.Builder
	for _, d := range t.Changes {
		fmt.Fprintf(&b, "%s %s", d.Action, view.CleanLine(d.Target))
		if d.Impact != "" {
			b.WriteString("  " + d.Impact)
		}
		b.WriteString("\n")
		if d.Diff != "" {
			b.WriteString(strings.TrimRight(d.Diff, "\n") + "\n")
		}
	}
	return b.String()
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return view.CleanLine(line)
}
