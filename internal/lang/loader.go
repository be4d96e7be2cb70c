package lang

import (
	"fmt"
	"slices"
	"sort"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/files"
	"muster/internal/lang/plays"
	"muster/internal/lang/refs"
)

// loader holds what reading a playbook takes.
type loader struct {
	o *plays.Options
	p *eval.Playbook
	*refs.Known
	files *files.Reader
	diags hcl.Diagnostics
	roles map[string]*roleFile

	including  []string        // the playbooks being read, outermost first
	unreadable bool            // a playbook couldn't be: what it declares isn't known
	using      []string        // the roles being read
	rotating   *plays.Rotation // the one being read
	seq        int             // the last task's
	later      []func()        // what is analysed when a whole play is read
}

func (l *loader) errorAt(at hcl.Range, summary, hint, detail string, a ...any) {
	l.diags = append(l.diags, diag.Error(at, summary, hint, detail, a...))
}

func newLoader(file string, o plays.Options) *loader {
	p := eval.New(file, &o)
	return &loader{o: &o, p: p, Known: p.Known, files: p.Reader, roles: map[string]*roleFile{}}
}

// roleFile is a role.hcl as it was read, before it is used anywhere.
type roleFile struct {
	file   files.File
	dir    files.Folder
	body   *hclsyntax.Body
	unit   *plays.Unit // its variables, shared by all uses
	failed bool
}

// header is the range of a block's type and labels.
func header(b *hclsyntax.Block) hcl.Range {
	r := b.TypeRange
	if n := len(b.LabelRanges); n > 0 {
		r = hcl.RangeBetween(r, b.LabelRanges[n-1])
	}
	return r
}

// labels checks the number of a block's labels.
func (l *loader) labels(b *hclsyntax.Block, n int, form string) bool {
	if len(b.Labels) == n {
		return true
	}
	l.errorAt(header(b), "Wrong labels", form+" { … }", "%q has %s here, and %s written before its brace.", b.Type, diag.Count(len(b.Labels), "label"), diag.Count(n, "label"))
	return false
}

func sortedAttributes(b *hclsyntax.Body) []*hclsyntax.Attribute {
	out := make([]*hclsyntax.Attribute, 0, len(b.Attributes))
	for _, a := range b.Attributes {
		out = append(out, a)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].NameRange.Start.Byte < out[j].NameRange.Start.Byte })
	return out
}

// attributes returns a body's attributes by name, and reports attributes and
// blocks that have other names.
func (l *loader) attributes(b *hclsyntax.Body, what string, attrs, blocks []string) map[string]*hclsyntax.Attribute {
	out := make(map[string]*hclsyntax.Attribute, len(b.Attributes))
	for _, a := range sortedAttributes(b) {
		if slices.Contains(attrs, a.Name) {
			out[a.Name] = a
			continue
		}
		hint := diag.DidYouMean(a.Name, append([]string(nil), attrs...))
		if other := elsewhere[a.Name]; other != "" {
			hint = other
		}
		if slices.Contains(blocks, a.Name) {
			hint = fmt.Sprintf("%s { … }", a.Name)
		}
		l.errorAt(a.NameRange, "Unknown argument", hint, "There is no argument %q in %s. It takes %s.", a.Name, what, diag.List(append(append([]string(nil), attrs...), blocks...)))
	}
	for _, inner := range b.Blocks {
		if slices.Contains(blocks, inner.Type) {
			continue
		}
		hint := diag.DidYouMean(inner.Type, append([]string(nil), blocks...))
		if other := elsewhere[inner.Type]; other != "" {
			hint = other
		}
		if slices.Contains(attrs, inner.Type) {
			hint = fmt.Sprintf("%s = …", inner.Type)
		}
		if l.o.Kinds != nil && l.o.Kinds.Kind(inner.Type) != nil && slices.Contains(blocks, "task") {
			hint = fmt.Sprintf("task %q \"LABEL\" { … }", inner.Type)
		}
		l.errorAt(header(inner), "Unknown block", hint, "There is no block %q in %s. It takes %s.", inner.Type, what, diag.List(append(append([]string(nil), blocks...), attrs...)))
	}
	return out
}

// elsewhere is what to write for words that other tools have.
var elsewhere = map[string]string{
	"loop":            "for_each = […]",
	"with_items":      "for_each = […]",
	"count":           "for_each = toset([…])",
	"register":        "Every result can be read: task.KIND.LABEL.output",
	"notify":          "restart_on = [\"/path\"] of the service, or when = task.KIND.LABEL.changed",
	"ignore_errors":   "on_error = \"continue\"",
	"retries":         "retry { attempts = 3 }",
	"delay":           "retry { delay = \"1s\" }",
	"until":           "retry { until = … }",
	"delegate_to":     "on = [\"HOST\"]",
	"run_once":        "once = true",
	"become_user":     "become = \"USER\"",
	"sudo":            "become = true",
	"no_log":          "sensitive = true",
	"environment":     "environment = { NAME = \"value\" } of the play or of a task",
	"depends_on":      "Tasks run in the order they are written in.",
	"if":              "when = …",
	"serial":          "rolling { batches = [1, \"50%\"] }",
	"gather_facts":    "Facts are gathered by themselves: host.facts",
	"remote_user":     "The user who logs in is said in the inventory: user = \"ops\"",
	"handlers":        "restart_on = [\"/path\"] of the service",
	"handler":         "restart_on = [\"/path\"] of the service",
	"vars_files":      "--var-file FILE",
	"tasks":           "task \"KIND\" \"LABEL\" { … }",
	"roles":           "role \"NAME\" { … }",
	"input":           "variable \"NAME\" { … }",
	"import":          "include \"FILE\" {}",
	"import_playbook": "include \"FILE\" {}",
}
