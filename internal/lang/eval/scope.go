package eval

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"muster/internal/lang/diag"
	"muster/internal/lang/files"
	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
	"muster/internal/lang/refs"
	"muster/modules"
)

// Scope is where one host's expressions in one play are evaluated. Different
// scopes can be used at once; one scope is not safe for concurrent use, nor is
// it together with the scopes entered from it.
type Scope struct {
	p    *Playbook
	play *plays.Play // nil: what is the same for all plays
	host string      // "": no host in particular
	r    Results
	unit *plays.Unit
	path string

	parent *Scope       // that a block or role was entered from
	block  *plays.Block // the one entered
	home   *Scope       // the scope in which the unit begins; nil: this one
	key    string       // of a role's for_each
	each   cty.Value
	plain  bool // a play's vars are not seen: they are being evaluated
	first  bool // what the play consists of is being evaluated: facts are the run's first

	picks      picks                // versions of secrets other than the host's own
	cache      map[string]cty.Value // "var.x", "local.x"
	validating map[string]bool      // the variables whose validations are being evaluated
}

// Scope returns the scope of the play's own steps on a host.
func (p *Playbook) Scope(play *plays.Play, host string, r Results) *Scope {
	return &Scope{p: p, play: play, host: host, r: r, unit: play.Unit, path: fmt.Sprintf("%d/", play.Index)}
}

// Path is the prefix of the IDs of this scope's instances: "0/role.web/".
func (s *Scope) Path() string { return s.path }

// Role returns the labels of the roles that the scope is in, outermost first,
// with their keys of for_each: `web["x"]/certificate`; "" outside of roles.
func (s *Scope) Role() string {
	var list []string
	for at := s; at != nil; at = at.parent {
		if at.block == nil || at.block.Role == nil {
			continue
		}
		name := at.block.Role.Label
		if at.block.Role.ForEach != nil {
			name += fmt.Sprintf("[%q]", at.key)
		}
		list = append([]string{name}, list...)
	}
	return strings.Join(list, "/")
}

func (s *Scope) unitScope() *Scope {
	if s.home != nil {
		return s.home
	}
	return s
}

// layer is what an expression sees beside its scope.
type layer struct {
	each   cty.Value // NilVal: no for_each
	target string    // of on
	self   *Outcome
	task   *plays.Task // whose outcome self is
	id     string
}

// contexts are evaluation contexts with the functions that read files.
type contexts struct {
	mu    sync.Mutex
	byDir map[string]*hcl.EvalContext
}

// New is a playbook of which nothing has been read.
func New(file string, o *plays.Options) *Playbook {
	p := &Playbook{File: file, Options: o, Inventory: plays.NewInventory(o.Fleet), Reader: files.New(o.Root, o.Place)}
	p.templates = newTemplates(p.Reader)
	p.Known = refs.NewKnown(o, p.Inventory, func() []*plays.Play { return p.Plays })
	p.base = &hcl.EvalContext{Functions: funcs.Map(append(funcs.Pure(), funcs.Fleet(p.Inventory.Match, p.Inventory.Partial)...))}
	p.allHosts = map[string]map[string]cty.Value{}
	for i := range p.Inventory.Hosts {
		p.allHosts[p.Inventory.Hosts[i].Name] = p.Inventory.Hosts[i].Known(p.Inventory.Partial)
	}
	return p
}

// context returns the functions for files of a folder.
func (p *Playbook) context(dir files.Folder) *hcl.EvalContext {
	key := fmt.Sprint(dir.Embedded != nil, dir.Role, dir.Dir)
	p.contexts.mu.Lock()
	defer p.contexts.mu.Unlock()
	if ctx, ok := p.contexts.byDir[key]; ok {
		return ctx
	}
	ctx := p.base.NewChild()
	ctx.Functions = p.fileFunctions(dir)
	if p.contexts.byDir == nil {
		p.contexts.byDir = map[string]*hcl.EvalContext{}
	}
	p.contexts.byDir[key] = ctx
	return ctx
}

// templateContext is for templates that templatefile renders: they call
// everything but templatefile.
func (p *Playbook) templateContext(dir files.Folder) *hcl.EvalContext {
	ctx := p.context(dir).NewChild()
	ctx.Functions = map[string]function.Function{"templatefile": function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "arguments", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowMarked: true, AllowNull: true, AllowDynamicType: true},
		Type: func([]cty.Value) (cty.Type, error) {
			return cty.NilType, errors.New("a template that templatefile renders can't call it again")
		},
	})}
	return ctx
}

func (p *Playbook) fileFunctions(dir files.Folder) map[string]function.Function {
	return funcs.Map(funcs.Files(p.project(dir)))
}

// value evaluates an expression. Where it waits, the value is unknown.
func (s *Scope) value(e *plays.Expr, l layer) (cty.Value, Waits, hcl.Diagnostics) {
	if e.Bad {
		return cty.DynamicVal, nil, nil
	}
	if e.Reads.Constant() {
		v, diags := e.Value(nil)
		return v, nil, Polish(diags, nil)
	}
	ctx, waits, diags := s.context(e.Reads, l, s.unit.Dir)
	if len(waits) > 0 || diags.HasErrors() {
		return cty.DynamicVal, waits, diags
	}
	v, diags := e.Value(ctx)
	if !diags.HasErrors() {
		if large := tooLarge(v, e.Range()); large != nil {
			return cty.DynamicVal, nil, append(diags, large...)
		}
	}
	return v, nil, Polish(diags, ctx)
}

// context makes the values that reads names available.
func (s *Scope) context(reads *plays.Reads, l layer, dir files.Folder) (*hcl.EvalContext, Waits, hcl.Diagnostics) {
	ctx := s.p.context(dir).NewChild()
	b := builder{s: s, l: l}
	vars := map[string]cty.Value{}
	ctx.Variables = vars
	if len(reads.Vars) > 0 {
		vars["var"] = b.object(reads.Vars, s.Variable)
	}
	if len(reads.Locals) > 0 {
		vars["local"] = b.object(reads.Locals, s.Local)
	}
	if reads.Host {
		vars["host"] = b.host(s.host, reads.Facts, reads)
	}
	if reads.OnHost {
		vars["on_host"] = b.host(l.target, reads.HostFacts, reads)
	}
	if reads.Groups {
		vars["groups"] = s.p.Inventory.GroupsVal
	}
	if reads.Each {
		vars["each"] = l.each
		if l.each == cty.NilVal {
			vars["each"] = cty.DynamicVal
		}
	}
	if reads.Self && l.self != nil {
		vars["self"] = outcomeValue(l.task, l.task.Called, *l.self)
	}
	if reads.Rotation {
		vars["rotation"] = b.rotationValue()
	}
	if len(reads.Secrets) > 0 || reads.AllSecrets {
		vars["secret"] = b.secrets(reads)
	}
	if len(reads.Tasks) > 0 {
		b.tasks(reads, vars)
	}
	if len(reads.Roles) > 0 {
		b.roles(reads, vars)
	}
	if len(reads.Hosts) > 0 || reads.AllHosts {
		vars["hosts"] = b.hosts(reads)
	}
	return ctx, b.waits, b.diags
}

// builder collects values, and what they wait for.
type builder struct {
	s       *Scope
	l       layer
	waits   Waits
	diags   hcl.Diagnostics
	tasksOf map[string]map[string]cty.Value // tasks of other hosts, by host
	// rolesOf are the outputs of roles of other hosts, by host.
	rolesOf map[string]map[string]cty.Value
}

func (b *builder) add(v cty.Value, waits Waits, diags hcl.Diagnostics) cty.Value {
	b.waits = append(b.waits, waits...)
	b.diags = append(b.diags, diags...)
	if len(waits) > 0 || diags.HasErrors() {
		return cty.DynamicVal
	}
	return v
}

func (b *builder) object(names []string, get func(string) (cty.Value, Waits, hcl.Diagnostics)) cty.Value {
	attrs := make(map[string]cty.Value, len(names))
	for _, name := range names {
		attrs[name] = b.add(get(name))
	}
	return cty.ObjectVal(attrs)
}

// host returns what is known of a host; "" is a host of which nothing is.
func (b *builder) host(name string, facts bool, r *plays.Reads) cty.Value {
	known := b.s.p.allHosts[name]
	if known == nil {
		known = plays.Nobody()
	}
	attrs := make(map[string]cty.Value, len(known)+1)
	for k, v := range known {
		attrs[k] = v
	}
	if facts {
		attrs["facts"] = b.facts(name, r)
	}
	return cty.ObjectVal(attrs)
}

func (b *builder) facts(name string, r *plays.Reads) cty.Value {
	if name == "" {
		return cty.UnknownVal(b.s.p.Known.Facts)
	}
	q := FactsRead{Host: name}
	if !b.s.first && b.s.play != nil {
		q.Play = b.s.play.Index
	}
	if !r.AllFacts {
		q.Names = r.FactNames
	}
	v, settled := b.s.r.Facts(q)
	if !settled {
		b.waits = append(b.waits, Wait{Host: name, Facts: q})
		return cty.UnknownVal(b.s.p.Known.Facts)
	}
	if v == cty.NilVal {
		return cty.UnknownVal(b.s.p.Known.Facts)
	}
	return v
}

func (b *builder) hosts(reads *plays.Reads) cty.Value {
	if b.s.p.Inventory.Partial {
		return cty.DynamicVal
	}
	names := reads.Hosts
	if reads.AllHosts {
		names = b.s.p.Inventory.Names
	}
	attrs := make(map[string]cty.Value, len(names))
	for _, name := range names {
		h := b.host(name, reads.HostFacts, reads)
		if tasks := b.tasksOf[name]; tasks != nil {
			m := h.AsValueMap()
			m["task"] = kinds(tasks)
			h = cty.ObjectVal(m)
		}
		if roles := b.rolesOf[name]; roles != nil {
			m := h.AsValueMap()
			m["role"] = cty.ObjectVal(roles)
			h = cty.ObjectVal(m)
		}
		attrs[name] = h
	}
	if len(attrs) == 0 {
		return cty.EmptyObjectVal
	}
	return cty.ObjectVal(attrs)
}

func (b *builder) secrets(reads *plays.Reads) cty.Value {
	store := b.s.p.Options.Secrets
	names := reads.Secrets
	if reads.AllSecrets {
		names = store.Names()
	}
	attrs := make(map[string]cty.Value, len(names))
	for _, name := range names {
		v := cty.UnknownVal(cty.String)
		if try, ok := b.s.p.Options.Try[name]; ok {
			v = cty.StringVal(try.Reveal())
		} else if !b.s.checking() {
			all, err := store.Versions(b.s.host, name)
			if err != nil {
				d := diag.Error(b.s.play.Range, "Secret can't be read", "", "Reading secret %q: %s.", name, err)
				if errors.Is(err, plays.ErrLater) {
					d.Extra = comesLater{}
				}
				b.diags = append(b.diags, d)
				continue
			}
			use := all.Use
			if n, ok := b.s.picks[name]; ok {
				use = n
			}
			v = cty.StringVal(all.Valid[use].Reveal())
			if use == all.Use || !all.Only && use < len(all.Valid)-all.Ending { // what isn't to be used goes on being valid, and no more
				b.s.p.known.note(name, all.Valid[use])
			}
		}
		attrs[name] = funcs.Hide(v)
	}
	return cty.ObjectVal(attrs)
}

// checking reports whether this is a check before any connection.
func (s *Scope) checking() bool {
	_, ok := s.r.(unsettled)
	return ok
}

// unsettled are the results before a run: nothing is known of them, and
// nothing waits for them.
type unsettled struct{ p *Playbook }

func (u unsettled) Outcome(string, string) (Outcome, bool) {
	return Outcome{Changed: modules.Maybe, Failed: modules.Maybe, Skipped: modules.Maybe}, true
}

func (u unsettled) Facts(FactsRead) (cty.Value, bool) { return cty.UnknownVal(u.p.Known.Facts), true }

// Constant evaluates an expression that reads nothing and calls pure functions.
func (p *Playbook) Constant(x *plays.Expr) (cty.Value, hcl.Diagnostics) {
	v, diags := x.Value(p.base)
	return v, Polish(diags, p.base)
}

// Static evaluates an expression of a unit that is the same for all hosts.
func (p *Playbook) Static(u *plays.Unit, x *plays.Expr) (cty.Value, hcl.Diagnostics) {
	s := &Scope{p: p, unit: u, r: unsettled{p}}
	v, _, diags := s.value(x, layer{})
	return v, diags
}

// rotationValue is what expressions read as rotation.NAME.
func (b *builder) rotationValue() cty.Value {
	o := b.s.p.Options
	if o.Phase == nil || b.s.checking() && o.Try == nil {
		hidden := cty.UnknownVal(cty.String).Mark(funcs.Sensitive)
		return cty.ObjectVal(map[string]cty.Value{"new": hidden, "old": hidden, "note": cty.UnknownVal(cty.String)})
	}
	st := o.Phase.State
	return cty.ObjectVal(map[string]cty.Value{
		"new": funcs.Hide(cty.StringVal(st.New.Reveal())), "old": funcs.Hide(cty.StringVal(st.Old.Reveal())), "note": cty.StringVal(st.Note),
	})
}

// BeforeRun is the scope of a play's own steps on a host before the run: results and facts are
// unknown, and nothing waits for them.
func (p *Playbook) BeforeRun(play *plays.Play, host string) *Scope {
	return p.Scope(play, host, unsettled{p})
}

// BeforePlays is the scope of what is the same for all plays, before the run.
func (p *Playbook) BeforePlays(u *plays.Unit, host string) *Scope {
	return &Scope{p: p, unit: u, r: unsettled{p}, host: host}
}

// Host is the scope's host; "" where it is no host's in particular.
func (s *Scope) Host() string { return s.host }

// Blocks are the blocks and roles that the scope is in, from within, each with the unit
// that it stands in.
func (s *Scope) Blocks() iter.Seq2[*plays.Block, *plays.Unit] {
	return func(yield func(*plays.Block, *plays.Unit) bool) {
		for at := s; at != nil; at = at.parent {
			if at.block != nil && !yield(at.block, at.parent.unit) {
				return
			}
		}
	}
}

func (s *Scope) playScope() *Scope {
	for s.parent != nil {
		s = s.parent
	}
	return s
}
