// Package refs finds out what an expression reads, and reports names that don't exist, or
// can't be read where it stands.
package refs

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/lang/diag"
	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
)

// Roots is a set of the names that expressions begin with.
type Roots uint16

// The names that expressions begin with, and what can be read at most places.
const (
	Var Roots = 1 << iota
	Local
	Host
	Hosts
	Groups
	Task
	Role
	Secret
	Each
	OnHost
	Self
	Rotation
	Facts // host.facts and hosts[…].facts, beside the root itself

	Every    = Var | Local | Host | Hosts | Groups | Task | Role | Secret | Each | Facts
	Template = Var | Host | Hosts | Groups | Facts
	Static   = Var | Local | Groups
)

var rootNames = []struct {
	name string
	root Roots
}{
	{"var", Var}, {"local", Local}, {"host", Host}, {"hosts", Hosts}, {"groups", Groups},
	{"task", Task}, {"role", Role}, {"secret", Secret}, {"each", Each}, {"on_host", OnHost}, {"self", Self}, {"rotation", Rotation},
}

// Stand is where an expression stands: what it can see from there.
type Stand struct {
	Known *Known
	Unit  *plays.Unit
	Play  *plays.Play  // nil outside plays
	Names *plays.Names // of tasks and roles; nil where none can be read
	Seq   int          // of the task, in the order of the play
	Self  *plays.Task  // the task itself, where it may read its own outcome
	Can   Roots
	Bare  bool   // in a template: other names are its vars
	What  string // for messages: "a play's hosts", "a template"
}

// Analyse finds out what an expression reads and reports names that don't exist.
func (s Stand) Analyse(e hclsyntax.Expression) (*plays.Expr, hcl.Diagnostics) {
	if e == nil {
		return nil, nil
	}
	switch x := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return &plays.Expr{Expression: e, Reads: plays.ReadsNothing}, nil
	case *hclsyntax.TemplateExpr:
		if x.IsStringLiteral() {
			return &plays.Expr{Expression: e, Reads: plays.ReadsNothing}, nil
		}
	}
	w := &walker{Stand: s, reads: &plays.Reads{}}
	hclsyntax.Walk(e, w)
	s.Known.NoteReads(w.reads)
	s.Known.NoteVars(w.readVars, w.allVars)
	out := &plays.Expr{Expression: e, Reads: w.reads, Bad: w.broken || w.diags.HasErrors()}
	if !w.any {
		out.Reads = plays.ReadsNothing
	}
	return out, w.diags
}

// walker walks an expression.
type walker struct {
	Stand
	reads  *plays.Reads
	diags  hcl.Diagnostics
	locals []localNames // of for expressions around
	guard  int          // calls of try and can around
	any    bool         // it isn't constant
	broken bool         // it reads what couldn't be read itself: nothing is said of it

	loops    []loop                        // for expressions around
	parted   *hclsyntax.ScopeTraversalExpr // "hosts" whose elements are looked at one by one
	readVars []string                      // vars of hosts
	allVars  bool                          // any of them
}

// localNames is the names that a for gives to what is written in it.
type localNames struct {
	names map[string]struct{}
	loop
}

func (w *walker) fail(at hcl.Range, summary, hint, detail string, a ...any) {
	w.diags = append(w.diags, diag.Error(at, summary, hint, detail, a...))
}

// Enter implements hclsyntax.Walker.
func (w *walker) Enter(n hclsyntax.Node) hcl.Diagnostics {
	switch x := n.(type) {
	case hclsyntax.ChildScope:
		w.locals = append(w.locals, localNames{x.LocalNames, w.loops[len(w.loops)-1]})
	case *hclsyntax.FunctionCallExpr:
		w.any, w.reads.Calls = true, true
		if x.Name == "try" || x.Name == "can" {
			w.guard++
		}
		w.function(x)
	case *hclsyntax.RelativeTraversalExpr:
		w.any = true
		if i, ok := x.Source.(*hclsyntax.IndexExpr); ok && w.isRoot(i.Collection, "hosts") && len(x.Traversal) > 0 {
			w.parted, _ = i.Collection.(*hclsyntax.ScopeTraversalExpr)
			w.computedHost(x.Traversal)
		} else if at := w.mention(x.Traversal); at >= 0 {
			w.noteFact(x.Traversal[at+1:])
		}
	case *hclsyntax.IndexExpr:
		w.any = true
	case *hclsyntax.ScopeTraversalExpr:
		w.any = true
		if at := w.mention(x.Traversal[1:]); at >= 0 && w.isLocal(x.Traversal.RootName()) {
			w.noteFact(x.Traversal[at+2:])
		}
		if w.isHost(x.Traversal.RootName()) {
			w.hostElement(x.Traversal)
		}
		w.traversal(x)
	case *hclsyntax.ForExpr:
		w.any = true
		w.forHosts(x)
	case *hclsyntax.SplatExpr:
		w.any = true
		w.splatHosts(x)
	case *hclsyntax.ObjectConsExpr:
		w.diags = append(w.diags, diag.DuplicateKeys(x)...)
	}
	return nil
}

// Exit implements hclsyntax.Walker.
func (w *walker) Exit(n hclsyntax.Node) hcl.Diagnostics {
	switch x := n.(type) {
	case hclsyntax.ChildScope:
		w.locals = w.locals[:len(w.locals)-1]
	case *hclsyntax.ForExpr:
		w.loops = w.loops[:len(w.loops)-1]
	case *hclsyntax.FunctionCallExpr:
		if x.Name == "try" || x.Name == "can" {
			w.guard--
		}
	}
	return nil
}

// mention notes that facts are read of whatever host, and returns where in a
// traversal; -1 if nowhere.
func (w *walker) mention(t hcl.Traversal) int {
	for i, step := range t {
		if name, ok := diag.StepName(step); ok && name == "facts" {
			w.reads.HostFacts = true
			return i
		}
	}
	return -1
}

// noteFact notes which fact is read, by what follows "facts".
func (w *walker) noteFact(t hcl.Traversal) {
	if len(t) > 0 {
		if name, ok := diag.StepName(t[0]); ok {
			w.reads.FactNames = plays.AddName(w.reads.FactNames, name)
			return
		}
	}
	w.reads.AllFacts = true
}

func (w *walker) isRoot(e hclsyntax.Expression, name string) bool {
	t, ok := e.(*hclsyntax.ScopeTraversalExpr)
	return ok && len(t.Traversal) == 1 && t.Traversal.RootName() == name && !w.isLocal(name)
}

func (w *walker) isLocal(name string) bool {
	for _, l := range w.locals {
		if _, ok := l.names[name]; ok {
			return true
		}
	}
	return false
}

func (w *walker) function(x *hclsyntax.FunctionCallExpr) {
	if w.Known.fileFunctions[x.Name] {
		w.reads.Files = true
	}
	if w.Known.functionNames[x.Name] {
		return
	}
	if why, ok := funcs.Excluded()[x.Name]; ok {
		w.fail(x.NameRange, "No such function here", "", "%s() is left out: %s", x.Name, why)
		return
	}
	w.fail(x.NameRange, "Unknown function", diag.DidYouMean(x.Name, funcs.Names()), "There is no function %q.", x.Name)
}

// traversal handles a name with what follows it: var.x, host.facts.os.
func (w *walker) traversal(x *hclsyntax.ScopeTraversalExpr) {
	t := x.Traversal
	name := t.RootName()
	at := t[0].SourceRange()
	if w.isLocal(name) {
		return
	}
	var root Roots
	for _, r := range rootNames {
		if r.name == name {
			root = r.root
		}
	}
	if root == 0 || root&w.Can == 0 && w.Bare {
		if w.Bare {
			w.reads.Bare = append(w.reads.Bare, plays.BareName{Name: name, At: at, Guarded: w.guard > 0})
			return
		}
		w.unknownName(name, at)
		return
	}
	if root == Rotation && w.Play != nil && w.Play.OfRotation && w.Can&Secret != 0 {
		w.rotationRead(t)
		return
	}
	if root&w.Can == 0 {
		w.cannot(name, root, at)
		return
	}
	switch root {
	case Var:
		w.variable(t)
	case Local:
		w.local(t)
	case Host:
		w.hostAttribute(t)
	case Hosts:
		w.otherHost(t, x == w.parted)
	case Groups:
		w.group(t)
	case Task:
		w.task(t[1:], at, "", false)
	case Role:
		w.role(t[1:], at, "", false)
	case Secret:
		w.secret(t)
	case Each:
		w.eachAttribute(t)
	case OnHost:
		w.reads.OnHost = true
		w.attribute(t, hostAttributes)
		w.hostVars(t[1:])
		if second, ok := diag.SecondName(t); !ok || second == "facts" {
			w.reads.HostFacts = true
			w.factPath(t, 2)
		}
	case Self:
		w.reads.Self = true
		w.outcome(w.Self, t[1:])
	}
}

// HostsOfPlay is what stands for a play's hosts in messages.
const HostsOfPlay = "a play's hosts"

func (w *walker) unknownName(name string, at hcl.Range) {
	var names []string
	for _, r := range rootNames {
		if r.root&w.Can != 0 {
			names = append(names, r.name)
		}
	}
	hint := diag.DidYouMean(name, names)
	switch {
	case w.Unit != nil && w.Unit.Variables[name] != nil:
		hint = "Did you mean var." + name + "?"
	case w.Unit != nil && w.Unit.Locals[name] != nil:
		hint = "Did you mean local." + name + "?"
	case name == "yes", name == "on":
		hint = "For a bool write true."
	case name == "no", name == "off":
		hint = "For a bool write false."
	case name == "all" && w.What == HostsOfPlay:
		hint = `hosts = ["all"]`
	case name == "root":
		hint = `For the text itself write "root".`
	case hint != "":
	case w.Known.Fleet.Groups[name] != nil && w.Can&Groups != 0:
		hint = "Did you mean groups." + name + "?"
	case strings.HasPrefix(name, "ansible_"):
		hint = "Facts are read as host.facts."
	default:
		hint = fmt.Sprintf("For the text itself write %q.", name)
	}
	w.fail(at, "Unknown name", hint, "There is no %q here. Expressions read %s.", name, diag.List(names))
}

func (w *walker) cannot(name string, root Roots, at hcl.Range) {
	what := w.What
	if what == "" {
		what = "this place"
	}
	why := ""
	switch root {
	case Each:
		why = " It belongs to a task or role with for_each."
	case Task:
		why = " Results of tasks are known only when the play runs."
	case OnHost:
		why = " It belongs to a task with \"on\"."
	case Rotation:
		why = " It belongs to the tasks of a rotation."
	case Self:
		why = " It belongs to until, changed_when and failed_when."
	case Host:
		why = " It differs from host to host."
	}
	w.fail(at, "Can't be read here", "", "%q can't be read in %s.%s", name, what, why)
}
