package lang

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/files"
	"muster/internal/lang/plays"
	"muster/internal/lang/refs"
)

// roleFile returns the role of a name, read once.
func (l *loader) roleFile(name string, at hcl.Range) *roleFile {
	if r, ok := l.roles[name]; ok {
		return r
	}
	f, ok := l.findRole(name)
	if !ok {
		l.errorAt(at, "Unknown role", diag.DidYouMean(name, l.roleNames()), "There is no role %q: neither %s nor a role that comes with muster.", name, path.Join(nearPath(l.o.Root), "roles", name, "role.hcl"))
		l.roles[name] = nil
		return nil
	}
	r := &roleFile{file: f, dir: files.Folder{Embedded: f.Embedded, Dir: path.Dir(f.Path), Role: true}}
	l.roles[name] = r
	r.body = l.parse(f, &at)
	if r.body == nil {
		r.failed = true
		return r
	}
	l.attributes(r.body, "a role", []string{"description"}, append([]string{"variable", "locals", "output"}, stepBlocks...))
	r.unit = &plays.Unit{Name: f.Name, Dir: r.dir, Role: &plays.RoleUse{Name: name, Label: name}}
	l.declarations(r.unit, r.body, true)
	return r
}

func (l *loader) findRole(name string) (files.File, bool) {
	if name == "" || name != path.Base(name) || name == "." || name == ".." {
		return files.File{}, false
	}
	f := files.Folder{Dir: filepath.Join(nearPath(l.o.Root), "roles", name)}.At("role.hcl")
	if _, err := f.Stat(); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return f, true
	}
	if l.o.EmbeddedRoles != nil {
		f := files.Folder{Embedded: l.o.EmbeddedRoles, Dir: name}.At("role.hcl")
		if _, err := f.Stat(); err == nil {
			return f, true
		}
	}
	return files.File{}, false
}

// nearPath writes a folder as it is seen from the working directory, where it
// lies in it, so that messages and sources name files as the user does.
func nearPath(dir string) string {
	wd, err := os.Getwd()
	if err != nil || !filepath.IsAbs(dir) {
		return dir
	}
	if rel, err := filepath.Rel(wd, dir); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return rel
	}
	return dir
}

// roleNames lists the roles that there are, sorted.
func (l *loader) roleNames() []string {
	var names []string
	entries, _ := os.ReadDir(filepath.Join(nearPath(l.o.Root), "roles"))
	if l.o.EmbeddedRoles != nil {
		more, _ := fs.ReadDir(l.o.EmbeddedRoles, ".")
		entries = append(entries, more...)
	}
	for _, e := range entries {
		if _, ok := l.findRole(e.Name()); ok && !e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return slices.Compact(names)
}

// role reads role "NAME" ["LABEL"] { … } and the role it names.
func (l *loader) role(b *hclsyntax.Block, ctx around) *plays.Block {
	if len(b.Labels) != 2 && !l.labels(b, 1, `role "NAME"`) {
		return nil
	}
	name := b.Labels[0]
	use := &plays.RoleUse{Name: name, Label: b.Labels[len(b.Labels)-1], Inputs: map[string]*plays.Argument{}}
	out := &plays.Block{Label: use.Label, Role: use, Range: header(b)}
	use.Block = out
	if first := ctx.names.Roles[use.Label]; first != nil {
		l.errorAt(b.LabelRanges[len(b.Labels)-1], "Duplicate role", fmt.Sprintf("role %q \"OTHER NAME\" { … }", name), "Role %q is used at %s already. A second label tells them apart.", use.Label, diag.Place(first.Block.Range))
	} else {
		ctx.names.Roles[use.Label] = use
	}
	for i, open := range l.using {
		if open == name {
			l.errorAt(b.LabelRanges[0], "Role uses itself", "", "Role %q is made of itself: %s.", name, strings.Join(append(append([]string(nil), l.using[i:]...), name), " uses "))
			return nil
		}
	}
	r := l.roleFile(name, b.LabelRanges[0])
	if r == nil || r.failed {
		return nil
	}
	u := r.unitOf(use, ctx.unit)
	use.Unit = u
	raw := l.inputs(use, b, r)
	l.conditions(out, raw, ctx)
	use.Seq = l.seq
	s := refs.Stand{Known: l.Known, Unit: ctx.unit, Play: ctx.play, Names: ctx.names, Seq: use.Seq, What: "for_each"}
	l.later = append(l.later, func() { l.analyseRole(use, raw, s) })

	l.using = append(l.using, name)
	inner := around{play: ctx.play, unit: u, names: u.Names, tags: l.tags(ctx.unit, raw["tags"], ctx.tags), conditional: ctx.conditional}
	out.Steps = l.steps(r.body, inner)
	l.using = l.using[:len(l.using)-1]
	use.End = l.nextSeq()
	for _, tasks := range u.Names.Tasks {
		for _, t := range tasks {
			ctx.names.Inner = append(ctx.names.Inner, t)
		}
	}
	ctx.names.Inner = append(ctx.names.Inner, u.Names.Inner...)
	l.later = append(l.later, func() {
		l.analyseUnit(u)
		s := refs.Stand{Known: l.Known, Unit: u, Play: ctx.play, Names: u.Names, Seq: use.End, Can: refs.Every &^ refs.Each, What: "an output"}
		for _, n := range slices.Sorted(maps.Keys(u.Outputs)) {
			u.Outputs[n].Expr = l.meta(u.Outputs[n].Raw, s)
		}
	})
	return out
}

// unitOf is the role's file as it is in one use: its locals and outputs are that
// use's own.
func (r *roleFile) unitOf(use *plays.RoleUse, parent *plays.Unit) *plays.Unit {
	u := &plays.Unit{
		Name: r.unit.Name, Dir: r.dir, Order: r.unit.Order, Variables: r.unit.Variables,
		Outputs: map[string]*plays.Output{}, Locals: map[string]*plays.Local{}, Role: use, Parent: parent, Names: plays.NewNames(),
	}
	for n, lo := range r.unit.Locals {
		u.Locals[n] = &plays.Local{Name: n, At: lo.At, Raw: lo.Raw}
	}
	for n, o := range r.unit.Outputs {
		u.Outputs[n] = &plays.Output{Name: n, At: o.At, Raw: o.Raw, Sensitive: o.Sensitive}
	}
	return u
}

// inputs sorts the arguments of a role in use.
func (l *loader) inputs(use *plays.RoleUse, b *hclsyntax.Block, r *roleFile) map[string]*hclsyntax.Attribute {
	raw := map[string]*hclsyntax.Attribute{}
	for _, inner := range b.Body.Blocks {
		l.errorAt(header(inner), "Unknown block", inner.Type+" = { … }", "A role takes arguments alone: its tasks stand in %s.", r.file.Name)
	}
	for _, a := range sortedAttributes(b.Body) {
		if slices.Contains(roleArgs, a.Name) {
			raw[a.Name] = a
			continue
		}
		v := r.unit.Variables[a.Name]
		if v == nil {
			known := append([]string(nil), r.unit.Order...)
			l.errorAt(a.NameRange, "Unknown input", diag.DidYouMean(a.Name, append(known, roleArgs...)), "Role %q declares no input %q in %s. It takes %s.", use.Name, a.Name, r.file.Name, diag.List(r.unit.Order))
			continue
		}
		if v.Deprecated != "" {
			l.diags = append(l.diags, diag.Warning(a.NameRange, "Deprecated input", v.Deprecated, "Input %q of role %q, declared at %s, is deprecated.", a.Name, use.Name, diag.Place(v.Range)))
		}
		use.Inputs[a.Name] = &plays.Argument{Name: a.Name, At: a.NameRange, Raw: a.Expr}
	}
	for _, name := range r.unit.Order {
		v := r.unit.Variables[name]
		if use.Inputs[name] == nil && v.Default == cty.NilVal {
			l.errorAt(use.Block.Range, "Missing input", name+" = …", "Role %q needs %q, declared at %s without a default.", use.Name, name, diag.Place(v.Range))
		}
	}
	return raw
}

func (l *loader) analyseRole(use *plays.RoleUse, raw map[string]*hclsyntax.Attribute, s refs.Stand) {
	if raw["for_each"] != nil {
		s.Can = refs.Every &^ (refs.Task | refs.Role | refs.Each)
		use.ForEach = l.meta(raw["for_each"].Expr, s)
	}
	s.Can, s.What = refs.Every&^refs.Each, "a role's input"
	if use.ForEach != nil {
		s.Can |= refs.Each
	}
	for _, name := range slices.Sorted(maps.Keys(use.Inputs)) {
		in := use.Inputs[name]
		in.Expr = l.meta(in.Raw, s)
		v := use.Unit.Variables[name]
		whose := fmt.Sprintf("input %q of role %q, declared at %s,", name, use.Name, diag.Place(v.Range))
		l.diags = append(l.diags, diag.StrayAttributes(in.Raw, v.Type, whose)...)
	}
}
