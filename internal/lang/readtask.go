package lang

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/lang/refs"
	"muster/modules"
)

// steps reads the steps of a body in the order they are written in.
func (l *loader) steps(body *hclsyntax.Body, ctx around) []*plays.Step {
	var out []*plays.Step
	for _, b := range body.Blocks {
		switch b.Type {
		case "task":
			if t := l.task(b, ctx); t != nil {
				out = append(out, &plays.Step{Task: t})
			}
		case "block":
			out = append(out, &plays.Step{Block: l.block(b, ctx)})
		case "role":
			if r := l.role(b, ctx); r != nil {
				out = append(out, &plays.Step{Block: r})
			}
		case "barrier":
			if ctx.barriers {
				l.labels(b, 0, "barrier")
				l.attributes(b.Body, "barrier", nil, nil)
				out = append(out, &plays.Step{Barrier: &plays.Barrier{Range: header(b)}})
			}
		}
	}
	return out
}

// block reads block "LABEL" { … }.
func (l *loader) block(b *hclsyntax.Block, ctx around) *plays.Block {
	out := &plays.Block{Range: header(b)}
	switch len(b.Labels) {
	case 0:
	case 1:
		out.Label = b.Labels[0]
	default:
		l.labels(b, 1, `block "LABEL"`)
	}
	a := l.attributes(b.Body, "a block", blockArgs, append([]string{"rescue", "always"}, stepBlocks...))
	inner := ctx
	inner.barriers = false
	inner.tags = l.tags(ctx.unit, a["tags"], ctx.tags)
	l.conditions(out, a, ctx)
	out.Steps = l.steps(b.Body, inner)
	l.duplicateBlocks(b.Body, "rescue", "always")
	for _, x := range b.Body.Blocks {
		if x.Type != "rescue" && x.Type != "always" {
			continue
		}
		l.labels(x, 0, x.Type)
		l.attributes(x.Body, x.Type, nil, stepBlocks)
		side := inner
		side.conditional = ctx.conditional || x.Type == "rescue"
		steps := l.steps(x.Body, side)
		if x.Type == "rescue" {
			out.Rescue = append(out.Rescue, steps...)
		} else {
			out.Always = append(out.Always, steps...)
		}
	}
	return out
}

// duplicateBlocks reports blocks that may stand once in a body, and don't.
func (l *loader) duplicateBlocks(body *hclsyntax.Body, types ...string) {
	first := map[string]*hclsyntax.Block{}
	for _, b := range body.Blocks {
		switch {
		case !slices.Contains(types, b.Type):
		case first[b.Type] == nil:
			first[b.Type] = b
		default:
			l.errorAt(header(b), "Duplicate block", "", "This block has %q at %s already: write its steps there.", b.Type, diag.Place(header(first[b.Type])))
		}
	}
}

// conditions notes when and become of a block or role.
func (l *loader) conditions(b *plays.Block, a map[string]*hclsyntax.Attribute, ctx around) {
	seq := l.nextSeq()
	s := refs.Stand{Known: l.Known, Unit: ctx.unit, Play: ctx.play, Names: ctx.names, Seq: seq, Can: refs.Every &^ refs.Each, What: "a block"}
	l.later = append(l.later, func() {
		if a["when"] != nil {
			b.When = l.meta(a["when"].Expr, s)
		}
		if a["become"] != nil {
			s.Can &^= refs.Task | refs.Role
			b.Become = l.meta(a["become"].Expr, s)
		}
	})
}

func (l *loader) nextSeq() int {
	l.seq++
	return l.seq
}

// task reads task "KIND" "LABEL" { … }.
func (l *loader) task(b *hclsyntax.Block, ctx around) *plays.Task {
	if !l.labels(b, 2, `task "KIND" "LABEL"`) {
		return nil
	}
	t := &plays.Task{
		Kind: b.Labels[0], Label: b.Labels[1], Range: header(b), LabelAt: b.LabelRanges[1], Play: ctx.play, Tags: ctx.tags,
		Unit: ctx.unit, Names: ctx.names, Order: l.nextSeq(), Conditional: ctx.conditional,
		Called: plays.TaskName(b.Labels[0], b.Labels[1]),
	}
	if l.o.Kinds != nil {
		t.KindOf = l.o.Kinds.Kind(t.Kind)
	}
	if t.Label == "" {
		l.errorAt(b.LabelRanges[1], "Empty label", "", "A task's label says which one it is, among those of its kind.")
	}
	if first := ctx.names.Task(t.Kind, t.Label); first != nil {
		l.errorAt(b.LabelRanges[1], "Duplicate task", "", "%s stands at %s already. A kind and a label together name one task of a play or role: give this one another label.", t.Called, diag.Place(first.Range))
	} else {
		if ctx.names.Tasks[t.Kind] == nil {
			ctx.names.Tasks[t.Kind] = map[string]*plays.Task{}
		}
		ctx.names.Tasks[t.Kind][t.Label] = t
	}
	if t.KindOf != nil && t.KindOf.Companion {
		l.errorAt(b.LabelRanges[0], "Unknown kind", "", "The kind %q is what other kinds' tasks ask of another host: a playbook can't use it.", t.Kind)
		t.KindOf, t.Broken = &modules.Kind{Name: t.Kind}, true
		return t
	}
	if t.KindOf != nil && t.KindOf.Internal && !strings.HasPrefix(b.TypeRange.Filename, "rotation ") {
		t.KindOf = nil
	}
	if t.KindOf == nil {
		l.errorAt(b.LabelRanges[0], "Unknown kind", diag.DidYouMeanKind(t.Kind, l.kindNames()), "There is no kind %q. \"muster doc\" lists them.", t.Kind)
		t.KindOf, t.Broken = &modules.Kind{Name: t.Kind}, true
		return t
	}
	raw := l.taskBody(b.Body, t)
	l.later = append(l.later, func() { l.analyseTask(t, raw) })
	return t
}

func (l *loader) kindNames() []string {
	var names []string
	if l.o.Kinds != nil {
		for _, k := range l.o.Kinds.Kinds() {
			names = append(names, k.Name)
		}
	}
	return names
}

// taskBody sorts a task's arguments.
func (l *loader) taskBody(body *hclsyntax.Body, t *plays.Task) plays.RawTask {
	schema := l.o.Kinds.Schema(t.Kind)
	raw := plays.RawTask{}
	add := func(name string, at hcl.Range, e hclsyntax.Expression) {
		arg := schema.Arg(name)
		if arg == nil && !(name == "vars" && hasTemplate(schema)) {
			l.unknownArgument(name, at, schema)
			return
		}
		if name == "changed_when" || name == "failed_when" {
			raw[name] = &hclsyntax.Attribute{Name: name, Expr: e, NameRange: at}
			return
		}
		a := &plays.Argument{Name: name, At: at, Arg: arg, Raw: e}
		if name == "vars" && hasTemplate(schema) {
			t.Vars = a
			return
		}
		t.Args = append(t.Args, a)
	}
	for _, a := range sortedAttributes(body) {
		if slices.Contains(modules.TaskArgs(), a.Name) {
			if a.Name == "retry" {
				l.errorAt(a.NameRange, "Wrong form", "retry { attempts = 3 }", "\"retry\" is a block: it is written without \"=\".")
				continue
			}
			raw[a.Name] = a
			continue
		}
		add(a.Name, a.NameRange, a.Expr)
	}
	blocks := map[string][]*hclsyntax.Block{}
	var order []string
	for _, b := range body.Blocks {
		if b.Type == "retry" {
			l.retry(b, t)
			continue
		}
		if blocks[b.Type] == nil {
			order = append(order, b.Type)
		}
		blocks[b.Type] = append(blocks[b.Type], b)
	}
	for _, name := range order {
		if slices.Contains(modules.TaskArgs(), name) {
			l.errorAt(header(blocks[name][0]), "Wrong form", name+" = …", "%q is an argument: it is written with \"=\".", name)
			continue
		}
		if e := l.blockValue(name, blocks[name], schema, body); e != nil {
			add(name, header(blocks[name][0]), e)
		}
	}
	t.Once = l.constBool(raw["once"], false)
	t.Sensitive = l.constBool(raw["sensitive"], false)
	t.Tags = l.tags(t.Unit, raw["tags"], t.Tags)
	return raw
}

func (l *loader) unknownArgument(name string, at hcl.Range, schema *modules.Schema) {
	var known []string
	for _, a := range schema.Args {
		known = append(known, a.Name)
	}
	hint := elsewhere[name]
	if hint == "" {
		hint = diag.DidYouMean(name, append(append([]string(nil), known...), modules.TaskArgs()...))
	}
	l.errorAt(at, "Unknown argument", hint, "task %q has no argument %q. It takes %s, and what every task takes: %s.", schema.Kind.Name, name, strings.Join(known, ", "), strings.Join(modules.TaskArgs(), ", "))
}

func (l *loader) retry(b *hclsyntax.Block, t *plays.Task) {
	if t.Retry != nil {
		l.errorAt(header(b), "Duplicate block", "", "The task has a retry block at %s already.", diag.Place(t.Retry.At))
		return
	}
	l.labels(b, 0, "retry")
	a := l.attributes(b.Body, "retry", []string{"attempts", "delay", "until"}, nil)
	t.Retry = &plays.RetryBlock{At: header(b), Raw: a}
	if a["attempts"] == nil {
		l.errorAt(header(b), "Missing argument", "attempts = 3", "retry needs the number of attempts.")
	}
}

// hasTemplate reports whether a kind renders a template, and so takes vars.
func hasTemplate(schema *modules.Schema) bool {
	for i := range schema.Args {
		if schema.Args[i].Type.Base == modules.Template {
			return true
		}
	}
	return false
}

// stand is where the task's arguments stand.
func (l *loader) stand(t *plays.Task) refs.Stand {
	can := refs.Every
	if t.ForEach == nil {
		can &^= refs.Each
	}
	if t.On != nil {
		can |= refs.OnHost
	}
	return refs.Stand{Known: l.Known, Unit: t.Unit, Play: t.Play, Names: t.Names, Seq: t.Order, Can: can, What: "this task"}
}

// ownStand is where what is asked of the task's own outcome stands.
func (l *loader) ownStand(t *plays.Task) refs.Stand {
	s := l.stand(t)
	s.Can |= refs.Self
	s.Self = t
	return s
}

// analyseTask looks at what the task's expressions read, when all tasks of the
// play are known.
func (l *loader) analyseTask(t *plays.Task, raw plays.RawTask) {
	t.NeedsOther = l.p.Accompanied(t)
	get := func(name string, s refs.Stand) *plays.Expr {
		if raw[name] == nil {
			return nil
		}
		return l.meta(raw[name].Expr, s)
	}
	s := l.stand(t)
	once := s
	once.Can &^= refs.Task | refs.Role | refs.Each | refs.OnHost
	once.What = "for_each"
	t.ForEach = get("for_each", once)
	s = l.stand(t)
	s.Can &^= refs.Task | refs.Role
	s.What = "\"on\""
	t.On = get("on", s)
	s = l.stand(t)
	t.When = get("when", s)
	fixed := s
	fixed.Can &^= refs.Task | refs.Role
	fixed.What = "this argument"
	t.Become = get("become", fixed)
	t.Timeout = get("timeout", fixed)
	t.Environment = l.environment(raw["environment"], fixed)
	if t.Environment != nil && t.KindOf != nil && t.KindOf.NoPrograms {
		l.errorAt(t.Environment.At, "Argument without use", "", "%q runs no program: there is nothing to have an environment.", t.Kind)
	}
	t.OnError = get("on_error", fixed)
	t.ChangedWhen = l.judgement(t, raw, "changed_when")
	t.FailedWhen = l.judgement(t, raw, "failed_when")
	if r := t.Retry; r != nil {
		raw = r.Raw
		r.Attempts, r.Delay, r.Until = get("attempts", fixed), get("delay", fixed), get("until", l.ownStand(t))
	}
	for _, a := range t.Args {
		a.Expr = l.meta(a.Raw, s)
		if a.Arg.Type.Base == modules.Template {
			l.p.Rendering = append(l.p.Rendering, t)
		}
	}
	if t.Vars != nil {
		t.Vars.Expr = l.meta(t.Vars.Raw, s)
		if !slices.ContainsFunc(t.Args, func(a *plays.Argument) bool { return a.Arg.Type.Base == modules.Template }) {
			l.errorAt(t.Vars.At, "Argument without use", "", "\"vars\" are what a template reads, and the task has none.")
		}
	}
	l.label(t)
}

// judgement analyses changed_when or failed_when. One that reads the task's own
// outcome is decided here, after the task; any other is an argument like others.
func (l *loader) judgement(t *plays.Task, raw plays.RawTask, name string) *plays.Expr {
	if raw[name] == nil {
		return nil
	}
	x := l.meta(raw[name].Expr, l.ownStand(t))
	own := x.Reads.Self
	for _, r := range x.Reads.Tasks {
		own = own || r.Task == t
	}
	if own {
		return x
	}
	t.Args = append(t.Args, &plays.Argument{Name: name, At: raw[name].NameRange, Arg: l.o.Kinds.Schema(t.Kind).Arg(name), Raw: raw[name].Expr})
	return nil
}

// label decides whether the label stands for the kind's key argument.
func (l *loader) label(t *plays.Task) {
	schema := l.o.Kinds.Schema(t.Kind)
	key := schema.Key()
	if key == nil {
		return
	}
	given := t.Arg(key.Name)
	fits := !key.Path || strings.HasPrefix(t.Label, "/")
	switch {
	case given == nil && t.ForEach != nil:
		l.errorAt(t.Range, "Missing argument", fmt.Sprintf("%s = each.value", key.Name), "Under for_each the label can't stand for %q: set it, so that each element has its own.", key.Name)
		t.NoKey = true
	case given == nil && fits:
		t.KeyLabel = &plays.Argument{Name: key.Name, At: t.LabelAt, Arg: key, Raw: &hclsyntax.LiteralValueExpr{Val: cty.StringVal(t.Label), SrcRange: t.LabelAt}}
	case given == nil && key.Required:
		l.errorAt(t.Range, "Missing argument", fmt.Sprintf("%s = \"/…\"", key.Name), "task %q needs %q. A label stands for it only where it is an absolute path.", t.Kind, key.Name)
		t.NoKey = true
	case given != nil && key.Path && fits && t.ForEach == nil && given.Expr.Reads.Constant():
		v, diags := given.Expr.Value(nil)
		if s, ok := eval.TextOf(v); !diags.HasErrors() && ok && s != t.Label {
			l.errorAt(given.Raw.Range(), "Label hides argument", fmt.Sprintf("task %q \"NAME\"", t.Kind), "The label says %q and %q says %q. Where the label is a path it is the one meant: leave out %q, or give the task another label.", t.Label, key.Name, s, key.Name)
		}
	}
}
