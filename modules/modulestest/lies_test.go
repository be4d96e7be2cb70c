package modulestest

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"muster/modules"
	"muster/modules/modulestest/watch"
)

// Each lie is a kind that lies in one way: the harness has to fail it, in words that
// name the lie.
func TestEveryLieOfAKindIsCaught(t *testing.T) {
	find := func(name string) *conformance {
		for _, l := range lies() {
			if l.name == name {
				kinds := []modules.Kind{{Name: l.name, New: l.kind}}
				return &conformance{testCase: caseOf(t, l.name, txtar.Parse([]byte(l.text()))), kinds: modules.NewRegistry(kinds...)}
			}
		}
		panic("there is no lie " + name)
	}
	if watch.Watched() {
		serve(t, find)
	}
	p := &processes{t: t, find: find}
	defer p.end()
	for _, l := range lies() {
		t.Run(l.name, func(t *testing.T) {
			v, err := p.ask(request{Case: l.name})
			if err == nil && !v.Failed {
				v, err = p.ask(request{Case: l.name, Later: true})
			}
			switch {
			case err != nil:
				t.Fatal(err)
			case l.says == "" && v.Text != "":
				t.Errorf("an honest kind is failed:\n%s", v.Text)
			case l.says != "" && !v.Failed:
				t.Error("the harness lets it pass")
			case !strings.Contains(v.Text, l.says):
				t.Errorf("the harness fails it with\n%s\nwant words with %q", v.Text, l.says)
			}
		})
	}
}

// lie is a kind, its case, and what the harness says of it; "" of an honest one.
type lie struct {
	name string
	says string
	kind func() modules.Module
	// before is what the file holds first, "" where it isn't there; extra are more
	// sections of the case.
	before, extra string
	// action is what the change shows; "" stands for that of an honest kind.
	action string
}

// text is the lie's case.
func (l lie) text() string {
	s := fmt.Sprintf("-- task --\n%s {\n  path = \"$ROOT/file\"\n  text = \"written by a kind\\n\"\n}\n", l.name)
	action := "create"
	if l.before != "" {
		s += "-- before/file --\n" + l.before + "\n"
		action = "update"
	}
	if l.action != "" {
		action = l.action
	}
	if !strings.Contains(l.extra, "-- changes --") {
		s += "-- changes --\n" + action + " $ROOT/file\n"
	}
	return s + l.extra
}
