package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"muster/host"
	"muster/internal/drift"
	"muster/internal/engine"
	"muster/internal/task"
	"muster/internal/view"
	"muster/internal/wire"
	"muster/transport"
)

// line is a line that the JSON view prints, with every field set.
type line struct {
	text   string // as it is printed
	kind   string // its "type"
	fields map[string]json.RawMessage
}

// field is a field of the structs that lines are made from.
type field struct {
	name     string
	optional bool // left out where it is empty
	any      bool // of any type
}

// samples prints an event of every sort through the view itself.
func samples() ([]line, error) {
	var out bytes.Buffer
	v := view.New(view.Options{Format: "json", Out: &out})
	v.Plan(view.Plan{
		Playbook: "playbooks/site.hcl", Created: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), By: "ann@laptop", Muster: view.Version,
		Limit: []string{"databases", "!db3"}, Tags: []string{"config"}, SkipTags: []string{"slow"}, Sealed: true,
	})
	v.Event(&engine.PlayEvent{Play: "databases"})
	v.Event(&engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: "db1", On: "lb1", Play: "databases", Role: "mariadb", Task: "config", Key: "main", Kind: "template"}, File: "site.hcl", Line: 12}, Planned: task.Planned{Status: wire.Pending, Certainty: wire.Known, Always: true, Tolerated: true, Error: "exit code 1", Changes: []host.Description{{Action: "update", Target: "/etc/x.conf", Diff: "-a\n+b\n", Impact: "restarts x"}}, Then: []host.Description{{Action: "restart", Target: "x.service"}}}, Output: []byte(`{"stdout":"ok"}`), Seconds: 0.004})
	v.Event(&engine.ProgressEvent{Host: "db1", Task: "packages", Text: "unpacking 12 of 80"})
	v.Event(&engine.RescueEvent{Play: "application", Block: "check", Hosts: []string{"app1"}, Tasks: []string{"task.command.logs"}})
	v.Event(&engine.NoticeEvent{Text: "application: failed on app1, which is more than max_failures allows: app3, app4 are left as they are"})
	v.Rotation(view.Rotation{Name: "shop", Secret: "mysql/shop", Step: "consumers app", Text: "consumers: app"})
	v.Event(&engine.HostEvent{Host: "db2", Error: &transport.UnreachableError{Host: "db2", Stage: transport.StageConnect, Err: errors.New("dialing 10.0.1.32:22: connection refused")}})
	v.Diagnostics(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Unknown argument", Detail: `task "file" has no argument "contents".`,
		Extra: hinted{}, Subject: &hcl.Range{Filename: "site.hcl", Start: hcl.Pos{Line: 5, Column: 5}}}}, nil)
	v.Summary(&engine.Summary{Outcome: engine.OutcomeFailed, Hosts: map[string]*engine.Counts{
		"db1": {Unchanged: 11, Changed: 1, Failed: 1, NotReached: 2, Actions: map[host.Action]int{host.Update: 1}},
	}}, view.End{Seconds: 1.42, Run: "20260504-0302-7f3a", Next: "muster apply playbooks/site.hcl --resume"})
	v.Drift(&drift.Check{
		ID: "20260504-0302-7f3a", Last: "20260503-0302-1c20", Playbooks: []string{"playbooks/site.hcl"},
		Looks: []drift.Look{{Host: "db2", Error: "db2: connecting: connection refused"}},
		Items: []drift.Item{{
			Place: drift.Place{Playbook: "playbooks/site.hcl", Host: "db1", On: "lb1", Play: "databases"}, Role: "mariadb", Label: "config", Key: "main", Kind: "template",
			State: drift.New, Certainty: wire.Known, Since: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Altered: true, Returned: 3, Contested: true, Known: []string{"/etc/x.conf was written at 2026-05-03 22:14:07 UTC; it belongs to root"},
			Changes:  []host.Description{{Action: "update", Target: "/etc/x.conf", Diff: "-a\n+b\n"}},
			PutRight: drift.Run{ID: "20260503-0914-22b0", By: "ann@laptop"}, File: "playbooks/site.hcl", Line: 12,
		}},
	})
	var list []line
	for text := range strings.Lines(out.String()) {
		l := line{text: strings.TrimSpace(text)}
		if err := json.Unmarshal([]byte(text), &l.fields); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(l.fields["type"], &l.kind); err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

// hinted is the hint of a diagnostic.
type hinted struct{}

// Hint is what was probably meant.
func (hinted) Hint() string { return `Did you mean "content"?` }

// structs returns the fields of every struct in the file whose first one is
// "type": of each sort of line.
func structs(file string) ([][]field, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil, err
	}
	var list [][]field
	ast.Inspect(f, func(n ast.Node) bool {
		st, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		var fields []field
		for _, f := range st.Fields.List {
			if sel, _ := f.Type.(*ast.SelectorExpr); len(f.Names) == 0 && sel != nil && sel.Sel.Name == "Ref" {
				for _, f := range reflect.VisibleFields(reflect.TypeFor[task.Ref]()) {
					name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
					fields = append(fields, field{name, rest == "omitempty", false})
				}
				continue
			}
			if f.Tag != nil {
				name, rest, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
				sel, _ := f.Type.(*ast.SelectorExpr)
				fields = append(fields, field{name, strings.Contains(rest, "omitempty"), sel != nil && sel.Sel.Name == "RawMessage"})
			}
		}
		if len(fields) > 0 && fields[0].name == "type" {
			list = append(list, fields)
		}
		return true
	})
	return list, nil
}

func jsonPage(root string) (string, error) {
	lines, err := samples()
	if err != nil {
		return "", err
	}
	sorts, err := structs(filepath.Join(root, "internal/view/json.go"))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# JSON lines\n\n%s`--output json` prints one object a line to standard output, diagnostics too. The first is the version: "+
		"its `format` is %s, and the first number moves where a reader of an older one would be misled: since 2.0 a task that never came to its turn is not_reached, which in 1.0 was skipped, with an error. Fields may be added at any time: "+
		"pass over those you don't know. All of it is UTF-8: where what a host says isn't, U+FFFD stands in its place. What could upset a terminal is escaped.\n", generated, view.Format)
	texts, described := fieldTexts(), 0
	for _, l := range lines {
		i := slices.IndexFunc(sorts, func(s []field) bool { return covers(s, l.fields) })
		if i < 0 {
			return "", fmt.Errorf("no struct of internal/view/json.go has the fields of %s", l.text)
		}
		described++
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```json\n%s\n```\n\n| field | type | |\n|---|---|---|\n", l.kind, texts[l.kind], l.text)
		for _, f := range sorts[i] {
			text := texts[l.kind+"."+f.name]
			if f.name == "type" {
				text = fmt.Sprintf("%q.", l.kind)
			}
			if text == "" {
				return "", fmt.Errorf("nothing is said of the field %s.%s: add it to tests/docs/fields.go", l.kind, f.name)
			}
			typ := typeOf(l.fields[f.name])
			switch {
			case f.optional && typ == "bool":
				text += " Left out where it is false."
			case f.optional:
				text += " Left out where there is none."
			}
			if f.any {
				typ = "any"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, typ, cell(text))
		}
	}
	if described != len(sorts) {
		return "", fmt.Errorf("internal/view/json.go has %d sorts of lines, tests/docs/json.go prints %d of them", len(sorts), described)
	}
	b.WriteString("\n" + texts["end"] + "\n")
	return b.String(), nil
}

// covers reports whether a struct has exactly the fields of a line.
func covers(s []field, fields map[string]json.RawMessage) bool {
	if len(s) != len(fields) {
		return false
	}
	return !slices.ContainsFunc(s, func(f field) bool { _, ok := fields[f.name]; return !ok })
}

// typeOf is the type of a JSON value.
func typeOf(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		if len(raw) > 1 && raw[1] == '"' {
			return "list of strings"
		}
		return "list of objects"
	case 't', 'f':
		return "bool"
	}
	return "number"
}
