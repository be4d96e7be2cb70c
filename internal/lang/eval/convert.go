package eval

import (
	"errors"

	"github.com/zclconf/go-cty/cty"

	"muster/host"
	"muster/internal/lang/diag"
	"muster/internal/lang/files"
	"muster/internal/lang/plays"
	"muster/modules"
	"muster/secret"
)

// convert turns an argument's value into what modules.Decode takes; nil where
// that failed.
func (e *evaluation) convert(a *plays.Argument, v cty.Value) *plays.Converted {
	c := &converter{e: e, a: a}
	before := len(e.diags)
	sensitive := e.t.Sensitive || a.Arg != nil && a.Arg.Sensitive
	out := &plays.Converted{Value: c.value(v, &a.Arg.Type, sensitive)}
	if len(e.diags) > before {
		e.out.Args[a.Name] = modules.UnknownValue{}
		return nil
	}
	out.Bodies, out.Sensitive, out.Unknown = c.bodies, c.sensitive || sensitive, c.unknown
	return out
}

type converter struct {
	e         *evaluation
	a         *plays.Argument
	bodies    []files.Body
	sensitive bool
	unknown   bool
}

func (c *converter) value(v cty.Value, t *modules.Type, sensitive bool) any {
	if v.IsMarked() {
		sensitive = sensitive || isMarked(v)
		v, _ = v.Unmark()
	}
	c.sensitive = c.sensitive || sensitive
	if !v.IsKnown() {
		c.unknown = true
		return unknownOf(v.Type(), t)
	}
	if v.IsNull() {
		return nil
	}
	switch t.Base {
	case modules.Text:
		if text, ok := TextOf(v); ok {
			return c.content([]byte(text), sensitive)
		}
	case modules.File, modules.Tree:
		if v.Type() == cty.String {
			return c.local(v.AsString(), t, sensitive)
		}
	}
	switch typ := v.Type(); {
	case typ.IsListType(), typ.IsSetType(), typ.IsTupleType():
		elem := plays.AnyType
		if t.Base == modules.List {
			elem = t.Elem
		}
		out := make([]any, 0, v.LengthInt())
		for it := v.ElementIterator(); it.Next(); {
			_, x := it.Element()
			out = append(out, c.value(x, elem, sensitive))
		}
		return out
	case typ.IsMapType(), typ.IsObjectType():
		out := make(map[string]any, v.LengthInt())
		for it := v.ElementIterator(); it.Next(); {
			k, x := it.Element()
			out[k.AsString()] = c.value(x, plays.FieldType(t, k.AsString()), sensitive)
		}
		return out
	case typ == cty.String && sensitive:
		return secret.New(v.AsString())
	}
	return Plain(v)
}

// unknownOf stands for a value that isn't known yet: where its type is known,
// and is one that the argument can't take, an empty value of that type, so that
// the mistake is told before the value is known.
func unknownOf(given cty.Type, t *modules.Type) any {
	one := t.Base != modules.List && t.Base != modules.Map && t.Base != modules.Object && t.Base != modules.Any
	switch {
	case given.IsObjectType(), given.IsMapType():
		if one || t.Base == modules.List {
			return map[string]any{}
		}
	case given.IsListType(), given.IsSetType(), given.IsTupleType():
		if one || t.Base == modules.Map || t.Base == modules.Object {
			return []any{}
		}
	case t.Base == modules.Map, t.Base == modules.Object, t.Base == modules.List && !t.OneOrMore:
		switch given {
		case cty.String:
			return ""
		case cty.Number:
			return int64(0)
		case cty.Bool:
			return false
		}
	}
	return modules.UnknownValue{}
}

// content makes a content of bytes, and their body where they are too large to
// travel along.
func (c *converter) content(data []byte, sensitive bool) host.Content {
	content := host.ContentOf(data, sensitive)
	if content.Size > host.InlineLimit {
		c.bodies = append(c.bodies, files.Body{Sum: content.Sum, Size: content.Size, Data: data})
		content.Data = nil
	}
	return content
}

// local makes a content of a file or folder of the project. In checks it only
// looks whether it is there, and an empty content stands for it: a kind's Check
// sees that it is given. Only where the kind checks the file itself it is read.
func (c *converter) local(path string, t *modules.Type, sensitive bool) any {
	e, at, base := c.e, c.a.Raw.Range(), t.Base
	if sensitive && c.a != e.t.KeyLabel { // a label is shown wherever its task is
		e.secrets[path] = true
	}
	f, info, err := e.s.p.Reader.Find(e.s.unit.Dir, path, "files")
	var missing *files.Missing
	switch {
	case path == "":
		e.fail(at, "No such file", "", "The path is empty.")
		return nil
	case errors.As(err, &missing):
		summary := "No such file"
		if base == modules.Tree {
			summary = "No such folder"
		}
		e.fail(at, summary, diag.DidYouMean(path, e.s.p.Reader.Neighbours(e.s.unit.Dir, path, "files")), "%s. Paths are relative to the file they stand in.", diag.Capital(err.Error()))
		return nil
	case err != nil:
		e.fail(at, "Can't read file", "", "%s.", diag.Capital(err.Error()))
		return nil
	case base == modules.Tree && !info.IsDir():
		e.fail(at, "Not a folder", "", "%s is a file; %q takes a folder.", f.Name, c.a.Name)
		return nil
	case base == modules.File && !info.Mode().IsRegular():
		e.fail(at, "Not a file", "", "%s is a %s; %q takes a file.", f.Name, fileKind(info), c.a.Name)
		return nil
	}
	if base == modules.Tree {
		e.s.p.Reader.Copies(f, sensitive)
	}
	if e.s.checking() {
		var data []byte
		if t.Read && info.Size() <= modules.ReadLimit {
			if data, err = f.Read(); err != nil {
				e.fail(at, "Can't read file", "", "Reading %s: %s.", f.Name, files.PlainError(err))
				return nil
			}
		}
		return host.ContentOf(data, sensitive)
	}
	if base == modules.Tree {
		content, bodies, err := e.s.p.Reader.TreeContent(f, sensitive)
		if err != nil {
			e.fail(at, "Can't read folder", "", "Reading %s: %s.", f.Name, err)
			return nil
		}
		c.bodies = append(c.bodies, bodies...)
		return content
	}
	content, body, err := e.s.p.Reader.Content(f, info, sensitive)
	if err != nil {
		e.fail(at, "Can't read file", "", "Reading %s: %s.", f.Name, files.PlainError(err))
		return nil
	}
	if content.Data == nil && content.Size > 0 {
		c.bodies = append(c.bodies, body)
	}
	return content
}

func fileKind(info interface{ IsDir() bool }) string {
	if info.IsDir() {
		return "folder"
	}
	return "special file"
}
