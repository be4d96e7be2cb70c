package lang

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/zclconf/go-cty/cty"

	"muster/host"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/modules"
	"muster/secret"
)

var update = flag.Bool("update", false, "write what is found into the archives of testdata/good")

// fakeResults answers from what a fixture says, by host and ID; the rest is
// not settled, or known after apply where that is said.
type fakeResults struct {
	Outcomes map[string]map[string]fakeOutcome `json:"outcomes"`
	FactsOf  map[string]rawJSON                `json:"facts"`
	Planning bool                              `json:"planning"`
}

type rawJSON = json.RawMessage

type fakeOutcome struct {
	Changed bool            `json:"changed"`
	Failed  bool            `json:"failed"`
	Skipped bool            `json:"skipped"`
	Output  json.RawMessage `json:"output"`
}

func truthOf(b bool) modules.Truth {
	if b {
		return modules.True
	}
	return modules.False
}

func (f *fakeResults) Outcome(host, id string) (eval.Outcome, bool) {
	o, ok := f.Outcomes[host][id]
	if !ok {
		return eval.Outcome{Changed: modules.Maybe, Failed: modules.Maybe, Skipped: modules.Maybe}, f.Planning
	}
	return eval.Outcome{Changed: truthOf(o.Changed), Failed: truthOf(o.Failed), Skipped: truthOf(o.Skipped), Output: o.Output}, true
}

func (f *fakeResults) Facts(q eval.FactsRead) (cty.Value, bool) {
	raw, ok := f.FactsOf[q.Host]
	if !ok {
		return cty.UnknownVal(factsType), true
	}
	v, err := eval.FromJSON(raw, factsType)
	if err != nil {
		panic(err)
	}
	return v, true
}

// TestGood evaluates every task of the archives in testdata/good for every
// host, and compares with the archive's file "want".
func TestGood(t *testing.T) {
	paths, err := filepath.Glob("testdata/good/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			dir := unpack(t, a)
			r := &fakeResults{}
			if data, err := os.ReadFile(filepath.Join(dir, "results.json")); err == nil {
				if err := json.Unmarshal(data, r); err != nil {
					t.Fatal(err)
				}
			}
			p, diags := Load(filepath.Join(dir, "site.hcl"), testOptions(dir))
			for _, d := range diags {
				where, text := describe(dir, d)
				t.Errorf("%s: %s", where, text)
			}
			if t.Failed() {
				return
			}
			var b strings.Builder
			for _, play := range p.Plays {
				for _, h := range play.Hosts {
					s := p.Scope(play, h, r)
					var all []*plays.Step
					if play.Rolling != nil {
						all = append(all, play.Rolling.Before...)
					}
					all = append(all, play.Steps...)
					if play.Rolling != nil {
						all = append(all, play.Rolling.After...)
					}
					show(t, &b, dir, s, all, "")
				}
			}
			got := strings.ReplaceAll(b.String(), dir, "$DIR")
			for i, f := range a.Files {
				if f.Name != "want" {
					continue
				}
				if *update {
					a.Files[i].Data = []byte(got)
					if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
						t.Fatal(err)
					}
				} else if string(f.Data) != got {
					t.Errorf("want:\n%s\ngot:\n%s", f.Data, got)
				}
			}
		})
	}
}

func show(t *testing.T, b *strings.Builder, dir string, s *eval.Scope, steps []*plays.Step, indent string) {
	t.Helper()
	for _, step := range steps {
		switch {
		case step.Barrier != nil:
			fmt.Fprintf(b, "%s%s barrier\n", indent, s.Host())
		case step.Block != nil:
			scopes, waits, diags := s.Enter(step.Block)
			if len(waits) > 0 || diags.HasErrors() {
				fmt.Fprintf(b, "%s%s block %q waits %v %v\n", indent, s.Host(), step.Block.Label, waits, diags)
				continue
			}
			for _, inner := range scopes {
				fmt.Fprintf(b, "%s%s block %q %s\n", indent, s.Host(), step.Block.Label, inner.Path())
				show(t, b, dir, inner, step.Block.Steps, indent+"  ")
				if len(step.Block.Rescue) > 0 {
					fmt.Fprintf(b, "%s rescue\n", indent)
					show(t, b, dir, inner, step.Block.Rescue, indent+"  ")
				}
				if len(step.Block.Always) > 0 {
					fmt.Fprintf(b, "%s always\n", indent)
					show(t, b, dir, inner, step.Block.Always, indent+"  ")
				}
			}
		case step.Task != nil:
			instances, waits, diags := s.Instances(step.Task)
			if len(waits) > 0 || diags.HasErrors() {
				fmt.Fprintf(b, "%s%s %s waits %v %v\n", indent, s.Host(), step.Task.Name(), waits, diags)
			}
			for _, i := range instances {
				on := ""
				if i.Target != i.Host {
					on = " on " + i.Target
				}
				e, waits, diags := s.Evaluate(i)
				if diags.HasErrors() {
					_, text := describe(dir, diags[0])
					fmt.Fprintf(b, "%s%s %s%s error %s\n", indent, s.Host(), i.ID, on, text)
					continue
				}
				if len(waits) > 0 {
					fmt.Fprintf(b, "%s%s %s%s waits %v\n", indent, s.Host(), i.ID, on, waits)
					continue
				}
				fmt.Fprintf(b, "%s%s %s%s %s\n", indent, s.Host(), i.ID, on, showEvaluated(i.Task, e))
			}
		}
	}
}

func showEvaluated(t *plays.Task, e *eval.Evaluated) string {
	if e.Skip {
		return "skip"
	}
	var parts []string
	if e.When != nil {
		c, _ := json.Marshal(e.When)
		parts = append(parts, "when="+string(c))
	}
	if e.Undecided {
		parts = append(parts, "undecided")
	}
	for _, name := range slices.Sorted(maps.Keys(e.Args)) {
		parts = append(parts, name+"="+showArg(e.Args[name]))
	}
	add := func(cond bool, text string) {
		if cond {
			parts = append(parts, text)
		}
	}
	for _, other := range e.Others {
		var differ []string
		for _, name := range slices.Sorted(maps.Keys(other)) {
			if one := showArg(other[name]); one != showArg(e.Args[name]) {
				differ = append(differ, name+"="+one)
			}
		}
		parts = append(parts, "or("+strings.Join(differ, " ")+")")
	}
	add(e.Become.User != "", "become:"+e.Become.User)
	add(e.Timeout != 0, "timeout:"+e.Timeout.String())
	add(e.OnError != eval.Fail, "on_error:"+string(e.OnError))
	add(e.Retry != nil, fmt.Sprintf("retry:%+v", e.Retry))
	add(e.Sensitive, "sensitive")
	add(len(e.Secrets) > 0, fmt.Sprintf("secrets:%q", e.Secrets))
	for _, value := range []string{"now-1001", "old-1001"} { // of testOptions, one of which is ending
		add(slices.Contains(e.Made, "retiring/db "+secret.Digest("retiring/db", secret.New(value))), "counts:"+value)
	}
	add(len(t.Tags) > 0, fmt.Sprintf("tags:%q", t.Tags))
	for _, body := range e.Bodies {
		text := "data"
		if body.Path != "" {
			text = body.Path
		}
		parts = append(parts, fmt.Sprintf("body:%d:%s", body.Size, text))
	}
	return strings.Join(parts, " ")
}

func showArg(v any) string {
	switch x := v.(type) {
	case modules.UnknownValue:
		return "?"
	case secret.String:
		return fmt.Sprintf("!%q", x.Reveal())
	case modules.Versions:
		var valid []string
		for _, v := range x.Valid {
			valid = append(valid, v.Reveal())
		}
		return fmt.Sprintf("!%q of %q", x.Use.Reveal(), valid)
	case host.Content:
		s := ""
		if x.Sensitive {
			s = "!"
		}
		if x.Data != nil {
			return fmt.Sprintf("%s<%q>", s, x.Data)
		}
		return fmt.Sprintf("%s<%d bytes>", s, x.Size)
	case []any:
		var parts []string
		for _, e := range x {
			parts = append(parts, showArg(e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case map[string]any:
		var parts []string
		for k, e := range x {
			parts = append(parts, k+":"+showArg(e))
		}
		sort.Strings(parts)
		return "{" + strings.Join(parts, " ") + "}"
	}
	return fmt.Sprintf("%#v", v)
}
