package lang

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"muster/modules"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/lang/refs"
)

var stepBlocks = []string{"task", "role", "block"}

// around is what steps take from what stands around them.
type around struct {
	play  *plays.Play
	unit  *plays.Unit
	names *plays.Names
	tags  []string
	// barriers may stand among the steps.
	barriers bool
	// conditional steps (rescue) may never be run.
	conditional bool
}

func (l *loader) play(u *plays.Unit, b *hclsyntax.Block) {
	name := ""
	if len(b.Labels) > 0 {
		name = b.Labels[0]
	}
	l.labels(b, 1, `play "NAME"`)
	l.playOf(u, b, name)
}

// playOf reads a play, or the part of a rotation that is one.
func (l *loader) playOf(u *plays.Unit, b *hclsyntax.Block, name string) *plays.Play {
	p := &plays.Play{Name: name, Index: len(l.p.Plays), Range: header(b), Unit: u, Names: plays.NewNames(), HostSet: map[string]bool{}, OfRotation: l.rotating != nil}
	attrs := []string{"hosts", "become", "vars", "tags", "environment"}
	a := l.attributes(b.Body, "a play", attrs, append([]string{"barrier", "rolling"}, stepBlocks...))
	l.p.Plays = append(l.p.Plays, p)
	l.playHosts(u, p, a["hosts"])
	p.Tags = l.tags(u, a["tags"], nil)
	l.seq = 1
	l.later = nil

	if a["vars"] != nil {
		l.playVars(u, p, a["vars"].Expr)
	}
	for _, inner := range b.Body.Blocks {
		if inner.Type != "rolling" {
			continue
		}
		if p.Rolling != nil {
			l.errorAt(header(inner), "Duplicate block", "", "The play has a rolling block at %s already.", diag.Place(p.Rolling.Range))
			continue
		}
		p.Rolling = &plays.Rolling{Range: header(inner)}
	}
	ctx := around{play: p, unit: u, names: p.Names, tags: p.Tags}
	for _, inner := range b.Body.Blocks {
		if inner.Type == "rolling" && p.Rolling.Range == header(inner) {
			l.rolling(ctx, p.Rolling, inner, true)
		}
	}
	own := ctx
	own.barriers = true
	p.Steps = l.steps(b.Body, own)
	for _, inner := range b.Body.Blocks {
		if inner.Type == "rolling" && p.Rolling.Range == header(inner) {
			l.rolling(ctx, p.Rolling, inner, false)
		}
	}
	if a["become"] != nil {
		p.Become = l.meta(a["become"].Expr, refs.Stand{Known: l.Known, Unit: u, Play: p, Can: refs.Var | refs.Local | refs.Host | refs.Groups | refs.Facts, What: "a play's become"})
	}
	p.Environment = l.environment(a["environment"], refs.Stand{Known: l.Known, Unit: u, Play: p, Can: refs.Var | refs.Local | refs.Host | refs.Groups | refs.Facts, What: "a play's environment"})
	for _, f := range l.later {
		f()
	}
	l.later = nil
	return p
}

// meta analyses an expression and reports what is wrong with it.
func (l *loader) meta(e hclsyntax.Expression, s refs.Stand) *plays.Expr {
	x, diags := s.Analyse(e)
	l.diags = append(l.diags, diags...)
	return x
}

func (l *loader) playHosts(u *plays.Unit, p *plays.Play, a *hclsyntax.Attribute) {
	if a == nil {
		l.errorAt(p.Range, "Missing argument", `hosts = ["all"]`, "Play %q needs hosts: groups, hosts, or patterns of their names.", p.Name)
		return
	}
	v, ok := l.static(u, a.Expr, refs.HostsOfPlay)
	if !ok {
		return
	}
	patterns, known, ok := l.patterns(v, a.Expr)
	if !ok || !known {
		return
	}
	p.Patterns = patterns
	hosts, err := l.Fleet.Match(patterns)
	if err != nil {
		l.diags = append(l.diags, l.Fleet.Unmatched(patterns, a.Expr, err))
		return
	}
	p.Hosts = hosts
	for _, h := range hosts {
		p.HostSet[h] = true
	}
	if len(hosts) == 0 && !l.Fleet.Partial {
		what := "runs on no host of this inventory"
		if len(patterns) == 0 {
			what = "runs on no host: its list of hosts is empty"
		}
		if r := l.rotating; r != nil {
			l.noHost(r, a.Expr.Range(), strings.TrimPrefix(p.Name, r.Name+": "), what)
			return
		}
		l.diags = append(l.diags, diag.Warning(a.Expr.Range(), "No host matches", "", "Play %q %s.", p.Name, what))
	}
}

// patterns reads a list of host patterns, or a single one.
func (l *loader) patterns(v cty.Value, e hclsyntax.Expression) (out []string, known, ok bool) {
	out, known, err := eval.PatternsOf(v)
	if err != nil {
		l.errorAt(e.Range(), "Wrong type", `hosts = ["all"]`, "%s.", diag.Capital(err.Error()))
		return nil, false, false
	}
	return out, known, true
}

func (l *loader) tags(u *plays.Unit, a *hclsyntax.Attribute, outer []string) []string {
	if a == nil {
		return outer
	}
	v, ok := l.static(u, a.Expr, "tags")
	if !ok {
		return outer
	}
	if eval.HasSensitive(v) {
		l.errorAt(a.Expr.Range(), "Sensitive tags", "", "Tags are shown everywhere: they can't be sensitive.")
		return outer
	}
	v, _ = v.UnmarkDeep()
	if v.IsKnown() && !v.IsNull() && v.Type() == cty.String {
		v = cty.TupleVal([]cty.Value{v})
	}
	bad := v.IsNull() || !v.Type().IsTupleType() && !v.Type().IsListType() && !v.Type().IsSetType()
	out := append([]string(nil), outer...)
	empty := false
	if !bad && v.IsWhollyKnown() {
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			if e.IsNull() || e.Type() != cty.String {
				bad = true
				break
			}
			if empty = empty || e.AsString() == ""; !slices.Contains(out, e.AsString()) {
				out = append(out, e.AsString())
			}
		}
	}
	if bad {
		l.errorAt(a.Expr.Range(), "Wrong type", `tags = ["web"]`, "Tags are a list of strings.")
		return outer
	}
	if empty {
		l.errorAt(a.Expr.Range(), "Empty value", "", "A tag can't be empty: no --tags would choose it.")
		return outer
	}
	return out
}

func (l *loader) playVars(u *plays.Unit, p *plays.Play, e hclsyntax.Expression) {
	object, ok := diag.Unwrap(e).(*hclsyntax.ObjectConsExpr)
	if !ok {
		l.errorAt(e.Range(), "Wrong type", `vars = { name = "value" }`, "A play's vars are written out as an object.")
		return
	}
	s := refs.Stand{Known: l.Known, Unit: u, Play: p, Can: refs.Var | refs.Host | refs.Hosts | refs.Groups | refs.Secret, What: "a play's vars"}
	l.diags = append(l.diags, diag.DuplicateKeys(object)...)
	for _, item := range object.Items {
		name := diag.ItemKey(item.KeyExpr)
		v := u.Variables[name]
		if v == nil {
			hint := diag.DidYouMean(name, slices.Sorted(maps.Keys(u.Variables)))
			if hint == "" {
				hint = fmt.Sprintf("Declare it: variable %q {}", name)
			}
			l.errorAt(item.KeyExpr.Range(), "Unknown variable", hint, "%s declares no variable %q that the play could set.", u.What(), name)
			continue
		}
		l.diags = append(l.diags, diag.StrayAttributes(item.ValueExpr, v.Type, v.Declared())...)
		p.Vars = append(p.Vars, &plays.PlayVar{Name: name, At: item.KeyExpr.Range(), Expr: l.meta(item.ValueExpr, s), Variable: v})
	}
}

// rolling reads a rolling block in two goes: what runs before the play's own
// steps, and what runs after them.
func (l *loader) rolling(ctx around, r *plays.Rolling, b *hclsyntax.Block, first bool) {
	if !first {
		r.Own[1] = l.seq
		l.duplicateBlocks(b.Body, "before", "after")
		for _, inner := range b.Body.Blocks {
			if inner.Type == "after" && l.labels(inner, 0, "after") {
				l.attributes(inner.Body, "after", nil, stepBlocks)
				r.After = append(r.After, l.steps(inner.Body, ctx)...)
			}
		}
		return
	}
	l.labels(b, 0, "rolling")
	a := l.attributes(b.Body, "rolling", []string{"batches", "max_failures", "keep_on_failure"}, []string{"before", "after"})
	r.Batches = []plays.Amount{{Hosts: 1}}
	if x := a["batches"]; x != nil {
		r.Batches = nil
		if v, ok := l.static(ctx.unit, x.Expr, "rolling"); ok {
			l.batches(r, v, x.Expr)
		}
		if len(r.Batches) == 0 {
			r.Batches = []plays.Amount{{Hosts: 1}}
		}
	}
	if x := a["max_failures"]; x != nil {
		if v, ok := l.static(ctx.unit, x.Expr, "rolling"); ok {
			r.MaxFailures, _ = l.amount(v, x.Expr, 0)
		}
	}
	r.KeepOnFailure = l.constBool(a["keep_on_failure"], false)
	for _, inner := range b.Body.Blocks {
		if inner.Type == "before" && l.labels(inner, 0, "before") {
			l.attributes(inner.Body, "before", nil, stepBlocks)
			r.Before = append(r.Before, l.steps(inner.Body, ctx)...)
		}
	}
	r.Own[0] = l.seq
}

func (l *loader) batches(r *plays.Rolling, v cty.Value, e hclsyntax.Expression) {
	v, _ = v.UnmarkDeep()
	if !v.IsWhollyKnown() {
		return
	}
	if v.IsNull() || !v.Type().IsTupleType() && !v.Type().IsListType() {
		if amount, ok := l.amount(v, e, 1); ok {
			r.Batches = []plays.Amount{amount}
		}
		return
	}
	i := 0
	for it := v.ElementIterator(); it.Next(); i++ {
		_, x := it.Element()
		at := diag.TupleItem(e, i)
		if at == nil {
			at = e
		}
		if amount, ok := l.amount(x, at, 1); ok {
			r.Batches = append(r.Batches, amount)
		}
	}
	if i == 0 {
		l.errorAt(e.Range(), "Wrong value", `batches = [1, "50%"]`, "There must be one batch at least.")
	}
}

// amount reads a number of hosts, or a percentage of them as "50%".
func (l *loader) amount(v cty.Value, e hclsyntax.Expression, least int) (plays.Amount, bool) {
	v, _ = v.UnmarkDeep()
	if !v.IsKnown() {
		return plays.Amount{Hosts: least}, true
	}
	text, ok := eval.TextOf(v)
	if ok {
		share, percent := strings.CutSuffix(text, "%")
		if n, err := strconv.Atoi(share); err == nil && !percent && n >= least {
			return plays.Amount{Hosts: n}, true
		}
		if f, err := strconv.ParseFloat(share, 64); err == nil && percent && f >= 0 && f <= 100 && (f > 0 || least == 0) {
			return plays.Amount{Percent: f}, true
		}
	}
	hint := `batches = [1, "50%"]`
	if least == 0 {
		hint = `max_failures = 1 or max_failures = "10%"`
	}
	l.errorAt(e.Range(), "Wrong value", hint, "This is to be a whole number of hosts, %d at least, or a share of them such as \"50%%\".", least)
	return plays.Amount{}, false
}

// environment reads an argument of that name; nil where there is none.
func (l *loader) environment(a *hclsyntax.Attribute, s refs.Stand) *plays.Argument {
	if a == nil {
		return nil
	}
	arg := &modules.Arg{Name: "environment", Type: modules.Type{Base: modules.Map, Elem: &modules.Type{Base: modules.String}}}
	return &plays.Argument{Name: arg.Name, At: a.NameRange, Arg: arg, Raw: a.Expr, Expr: l.meta(a.Expr, s)}
}
