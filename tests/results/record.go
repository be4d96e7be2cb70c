package results

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is a line of `go test -json` and of `go tool test2json`: go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a package that isn't built
	Test       string
	Elapsed    float64
	Output     string
}

// Record copies the events of one stage from r to file, and writes what people
// read of them to out: a line for each package, and what a test that failed has
// printed. Lines that are no events are shown as they are. It returns what the
// stage came to; a package that doesn't end, since its program was killed, counts
// as failed.
func Record(r io.Reader, file, out io.Writer) (Stage, error) {
	s := Stage{tests: map[Test]string{}, reasons: map[Test]string{}}
	open := map[string]*packageLog{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if e, ok := parse(line); ok {
			if _, err := io.WriteString(file, strings.TrimSuffix(line, "\n")+"\n"); err != nil {
				return s, err
			}
			show(e, open, &s, out)
		} else if strings.TrimSpace(line) != "" {
			fmt.Fprint(out, line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return s, err
		}
	}
	for name, p := range open {
		s.failed++
		fmt.Fprintf(out, "%sFAIL\t%s: it hasn't ended\n", p.said(true), name)
	}
	return s, nil
}

func parse(line string) (e event, ok bool) {
	return e, strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &e) == nil && e.Action != ""
}

// show counts an event and shows it, or keeps it until its package has ended.
func show(e event, open map[string]*packageLog, s *Stage, out io.Writer) {
	if e.Action == "build-output" {
		fmt.Fprint(out, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := open[e.Package]
	if p == nil {
		p = &packageLog{output: map[string]*strings.Builder{}, ended: map[string]string{}}
		open[e.Package] = p
	}
	p.add(e)
	s.add(e)
	if e.Test != "" || !ends(e.Action) {
		return
	}
	delete(open, e.Package)
	name := Folder(e.Package)
	switch passed, skipped := p.count("pass"), p.count("skip"); {
	case e.Action == "fail":
		fmt.Fprint(out, p.said(false))
	case passed+skipped == 0: // it has no tests
	case skipped > 0:
		fmt.Fprintf(out, "ok\t%s\t%.1f s, %d passed, %d skipped\n", name, e.Elapsed, passed, skipped)
	default:
		fmt.Fprintf(out, "ok\t%s\t%.1f s, %d passed\n", name, e.Elapsed, passed)
	}
}

func ends(action string) bool { return action == "pass" || action == "fail" || action == "skip" }

// packageLog is what a package's tests have printed so far.
type packageLog struct {
	order  []string // of the tests, as they began; "" is the package itself
	output map[string]*strings.Builder
	ended  map[string]string // how each test ended
}

func (p *packageLog) add(e event) {
	if p.output[e.Test] == nil {
		p.output[e.Test] = &strings.Builder{}
		p.order = append(p.order, e.Test)
	}
	switch {
	case e.Action == "output" && !strings.HasPrefix(e.Output, "=== "):
		p.output[e.Test].WriteString(e.Output)
	case ends(e.Action):
		p.ended[e.Test] = e.Action
	}
}

// said is what was printed by the tests that failed or haven't ended, and by the
// package itself.
func (p *packageLog) said(cut bool) string {
	var text strings.Builder
	for _, test := range p.order {
		if test != "" && (p.ended[test] == "fail" || p.ended[test] == "") {
			text.WriteString(p.output[test].String())
			if p.ended[test] == "" && cut {
				fmt.Fprintf(&text, "--- %s hasn't ended\n", test)
			}
		}
	}
	if own := p.output[""]; own != nil {
		text.WriteString(own.String())
	}
	return text.String()
}

func (p *packageLog) count(action string) int {
	n := 0
	for test, how := range p.ended {
		if test != "" && how == action {
			n++
		}
	}
	return n
}
