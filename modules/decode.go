package modules

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"muster/host"
)

// OneOrMore is a list of strings that playbooks may write as a single string.
type OneOrMore []string

// UnknownValue stands for a value that isn't known yet, anywhere in the
// arguments given to Decode: the field keeps its zero value.
type UnknownValue struct{}

// ArgError is a problem with one argument of a task.
type ArgError struct {
	Arg     string // the argument; "" where the problem is none's alone
	Path    string // where inside it: `keys[2].options`; "" for the whole
	Summary string // short and constant: "Wrong type"
	Detail  string // full sentences that say what to do
	Hint    string // what was probably meant: `mode = "0644"`
}

func (e ArgError) Error() string {
	at := e.Arg + e.Path
	if at == "" {
		return e.Summary + ": " + e.Detail
	}
	return at + ": " + e.Summary + ": " + e.Detail
}

// Decode returns a module of the kind with its arguments set. Values are
// those that JSON and CBOR decode to (string, bool, int64, uint64, float64,
// []any, map[string]any, nil for not given), host.Content, UnknownValue, for any
// string secret.String, and for an argument with a field for its versions Versions. It
// reports every problem; the module is valid where there is none.
func (r *Registry) Decode(kind string, args map[string]any) (Module, []ArgError) {
	s := r.Schema(kind)
	if s == nil {
		return nil, []ArgError{{Summary: "Unknown kind", Detail: fmt.Sprintf("There is no kind %q.", kind)}}
	}
	m := s.Kind.New()
	d := decoder{}
	args, _ = revealed(args).(map[string]any)
	d.object(reflect.ValueOf(m).Elem(), s.Args, args, "task "+strconv.Quote(kind))
	if c, ok := m.(Checker); ok && len(d.errs) == 0 {
		d.errs = append(d.errs, c.Check(func(name string) bool { return HoldsUnknown(args[name]) })...)
	}
	return m, d.errs
}

type decoder struct {
	arg  string
	path string
	errs []ArgError
}

func (d *decoder) fail(summary, hint, format string, a ...any) {
	d.errs = append(d.errs, ArgError{Arg: d.arg, Path: d.path, Summary: summary, Hint: hint, Detail: fmt.Sprintf(format, a...)})
}

// in runs f with the position moved to a part of the value.
func (d *decoder) in(part string, f func()) {
	arg, path := d.arg, d.path
	if d.arg == "" {
		d.arg = part
	} else {
		d.path += part
	}
	f()
	d.arg, d.path = arg, path
}

func (d *decoder) object(v reflect.Value, args []Arg, values map[string]any, what string) {
	known := make([]string, len(args))
	for i := range args {
		a := &args[i]
		known[i] = a.Name
		value, given := values[a.Name]
		if !given || value == nil {
			if a.Required {
				d.fail("Missing argument", "", "%s needs %q (%s).", what, a.Name, a.Type)
			}
			if a.Default != "" {
				field := v.FieldByIndex(a.field)
				filled, _ := defaultOf(field.Type(), a) // its kind was registered with it
				field.Set(filled)
			}
			continue
		}
		part := a.Name
		if d.arg != "" {
			part = "." + a.Name
		}
		d.in(part, func() {
			if a.versions != nil {
				value = d.versions(v.FieldByIndex(a.versions), value)
			}
			d.argument(v.FieldByIndex(a.field), a, value)
		})
	}
	var extra []string
	for name := range values {
		if !contains(known, name) {
			extra = append(extra, name)
		}
	}
	sort.Strings(extra)
	for _, name := range extra {
		part := name
		if d.arg != "" {
			part = "." + name
		}
		d.in(part, func() {
			hint := ""
			if near := Nearest(name, known); near != "" {
				hint = fmt.Sprintf("Did you mean %q?", near)
			}
			d.fail("Unknown argument", hint, "%s has no argument %q. It takes %s.", what, name, strings.Join(known, ", "))
		})
	}
}

// versions fills the field for all that is valid, and returns what is to be used.
func (d *decoder) versions(v reflect.Value, value any) any {
	x, ok := value.(Versions)
	if !ok {
		if s, ok := value.(string); ok {
			v.Set(reflect.ValueOf([]string{s}))
		}
		return value
	}
	valid := make([]string, len(x.Valid))
	for i, s := range x.Valid {
		valid[i] = s.Reveal()
	}
	v.Set(reflect.ValueOf(valid))
	return x.Use.Reveal()
}

// defaultOf returns the value that an absent argument has, in a field of type t.
func defaultOf(t reflect.Type, a *Arg) (reflect.Value, []ArgError) {
	v, d := reflect.New(t).Elem(), decoder{arg: a.Name}
	d.argument(v, a, a.Default)
	return v, d.errs
}

func (d *decoder) argument(v reflect.Value, a *Arg, value any) {
	before := len(d.errs)
	d.value(v, &a.Type, value)
	if d.empty(v, a, value); len(d.errs) > before || len(a.OneOf) == 0 || HoldsUnknown(value) {
		return
	}
	s, ok := value.(string)
	if !ok || !contains(a.OneOf, s) {
		hint := ""
		if near := Nearest(fmt.Sprint(value), a.OneOf); near != "" {
			hint = fmt.Sprintf("Did you mean %q?", near)
		}
		d.fail("Wrong value", hint, "%q isn't a value of %q: it takes %s.", fmt.Sprint(value), a.Name, quotedList(a.OneOf))
		return
	}
}

// empty refuses an empty string in the place of a name, a path or a pattern, and
// an empty list where one or more are needed. A module couldn't tell it from an
// argument that isn't given, and would do what nobody has asked for.
func (d *decoder) empty(v reflect.Value, a *Arg, value any) {
	list, isList := value.([]any)
	switch {
	case a.Empty || v.Kind() == reflect.Pointer:
	case a.Type.OneOrMore && isList:
		if len(list) == 0 && a.Required && !a.Key {
			d.fail("Empty value", "", "%q needs one or more.", a.Name)
		}
		for i, item := range list {
			if item == "" {
				d.in(fmt.Sprintf("[%d]", i), func() { d.fail("Empty value", "", "What %q lists can't be empty.", a.Name) })
			}
		}
	case value != "" || a.Type.Base != String && !a.Type.OneOrMore:
	case a.Required:
		d.fail("Empty value", "", "%q can't be empty.", a.Name)
	default:
		d.fail("Empty value", "", "%q can't be empty: write null, or leave it out, where nothing is meant.", a.Name)
	}
}

func (d *decoder) value(v reflect.Value, t *Type, value any) {
	if _, unknown := value.(UnknownValue); unknown || value == nil {
		return
	}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		d.value(p.Elem(), t, value)
		v.Set(p)
		return
	}
	switch t.Base {
	case Text, File, Template, Tree:
		d.content(v, t, value)
	case String:
		d.str(v, t, value)
	case Number:
		d.number(v, t, value)
	case Bool:
		switch b := value.(type) {
		case bool:
			v.SetBool(b)
		default:
			if s, ok := value.(string); ok && (s == "true" || s == "false") {
				v.SetBool(s == "true")
				return
			}
			d.wrongHint(t, value, d.boolHint(value))
		}
	case List:
		d.list(v, t, value)
	case Map:
		m, ok := value.(map[string]any)
		if !ok {
			d.wrong(t, value)
			return
		}
		out := reflect.MakeMapWithSize(v.Type(), len(m))
		for _, key := range sortedKeys(m) {
			e := reflect.New(v.Type().Elem()).Elem()
			d.in(fmt.Sprintf("[%q]", key), func() { d.value(e, t.Elem, m[key]) })
			out.SetMapIndex(reflect.ValueOf(key), e)
		}
		v.Set(out)
	case Object:
		m, ok := value.(map[string]any)
		if !ok {
			d.wrong(t, value)
			return
		}
		d.object(v, t.Fields, m, d.arg+d.path)
	case Any:
		v.Set(reflect.ValueOf(value))
	}
}

func (d *decoder) list(v reflect.Value, t *Type, value any) {
	items, ok := value.([]any)
	switch value.(type) {
	case string, bool, int, int64, uint64, float64:
		if t.OneOrMore { // as a single string is
			items, ok = []any{value}, true
		}
	}
	if !ok {
		d.wrongHint(t, value, d.listHint(t, value))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.in(fmt.Sprintf("[%d]", i), func() {
			if item == nil {
				d.fail("Wrong type", "", "An element of a %s can't be null.", t)
				return
			}
			d.value(out.Index(i), t.Elem, item)
		})
	}
	v.Set(out)
}

func (d *decoder) str(v reflect.Value, t *Type, value any) {
	var s string
	switch x := value.(type) {
	case string:
		s = x
	case bool, int, int64, uint64, float64:
		s = plain(x)
		if t.Quoted {
			d.fail("Wrong type", fmt.Sprintf("%s = %q", d.arg, s), "%q takes a string: write it in quotes.", d.arg)
			return
		}
	default:
		d.wrong(t, value)
		return
	}
	if t.parse == nil {
		v.SetString(s)
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		d.fail("Wrong value", "", "%s.", capital(err.Error()))
	}
}

func (d *decoder) number(v reflect.Value, t *Type, value any) {
	var f float64
	switch n := value.(type) {
	case int:
		f = float64(n)
	case int64:
		f = float64(n)
	case uint64:
		f = float64(n)
	case float64:
		f = n
	case string:
		p, err := strconv.ParseFloat(n, 64)
		if err != nil {
			d.wrong(t, value)
			return
		}
		f = p
	default:
		d.wrong(t, value)
		return
	}
	if !t.Whole {
		v.SetFloat(f)
		return
	}
	if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		d.fail("Wrong value", "", "%q takes a whole number, not %s.", d.arg, plain(f))
		return
	}
	v.SetInt(int64(f))
}

func (d *decoder) content(v reflect.Value, t *Type, value any) {
	switch x := value.(type) {
	case host.Content:
		v.Set(reflect.ValueOf(x))
	case string:
		if t.Base != Text {
			d.wrong(t, value)
			return
		}
		v.Set(reflect.ValueOf(host.ContentOf([]byte(x), false)))
	case bool, int, int64, uint64, float64:
		if t.Base != Text {
			d.wrong(t, value)
			return
		}
		v.Set(reflect.ValueOf(host.ContentOf([]byte(plain(x)), false)))
	default:
		d.wrong(t, value)
	}
}

func (d *decoder) wrong(t *Type, value any) { d.wrongHint(t, value, "") }

// boolHint is the bool that was meant by a word for it.
func (d *decoder) boolHint(value any) string {
	word, _ := value.(string)
	switch {
	case d.path != "":
	case contains([]string{"yes", "on"}, word):
		return d.arg + " = true"
	case contains([]string{"no", "off"}, word):
		return d.arg + " = false"
	}
	return ""
}

// listHint is the list of a text's words, where a list of strings was meant.
func (d *decoder) listHint(t *Type, value any) string {
	text, _ := value.(string)
	words := strings.Fields(text)
	if d.path != "" || t.Elem.Base != String || len(words) == 0 || len(words) > 8 {
		return ""
	}
	for i, w := range words {
		words[i] = strconv.Quote(w)
	}
	return d.arg + " = [" + strings.Join(words, ", ") + "]"
}

func (d *decoder) wrongHint(t *Type, value any, hint string) {
	article := "a"
	if t.Base == Object {
		article = "an"
	}
	d.fail("Wrong type", hint, "%q takes %s %s, not %s.", d.arg+d.path, article, t, describe(value))
}

func describe(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case bool:
		return "a bool"
	case int, int64, uint64, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "a map or object"
	case host.Content:
		return "content"
	}
	return fmt.Sprintf("%T", value)
}

func plain(x any) string {
	if f, ok := x.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(x)
}

// HoldsUnknown reports whether a value is UnknownValue or holds one anywhere.
func HoldsUnknown(value any) bool {
	switch x := value.(type) {
	case UnknownValue:
		return true
	case []any:
		for _, e := range x {
			if HoldsUnknown(e) {
				return true
			}
		}
	case map[string]any:
		for _, e := range x {
			if HoldsUnknown(e) {
				return true
			}
		}
	}
	return false
}
