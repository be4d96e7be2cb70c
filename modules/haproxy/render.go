package haproxy

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"muster/modules"
)

// rendered is the text of haproxy.cfg, and where each of its lines comes from.
type rendered struct {
	text  string
	paths []string // paths[i] is the argument of line i+1: `frontend["web"].http_request[2]`; "" for none
}

// at returns the argument that a line comes from, and where in it, as modules.ArgError has
// them. Lines count from 1, as in HAProxy's messages. Both are empty for a line of no argument.
func (r rendered) at(line int) (arg, path string) {
	if line < 1 || line > len(r.paths) {
		return "", ""
	}
	return splitPath(r.paths[line-1])
}

func splitPath(path string) (arg, rest string) {
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// render returns haproxy.cfg for arguments in which check finds nothing. Equal arguments give
// equal text.
//
// Sections are global, defaults, the frontends, the listens and the backends, each by name,
// then what is raw. Where the defaults have what only HTTP knows, sections of another mode
// come behind all that, with a section defaults of their own.
func (c *Config) render() rendered {
	r := &renderer{}
	r.config(c)
	return rendered{text: r.text.String(), paths: r.paths}
}

// renderer turns arguments into lines. A field of the structs in config*.go becomes directives
// by its type:
//
//	string, number, duration   KEYWORD VALUE, where a string is one word
//	bool                       KEYWORD; behind a pointer also "no-KEYWORD"
//	list                       KEYWORD RULE for each, as it is written in HAProxy
//	map                        KEYWORD NAME VALUE for each, sorted by name
//	object                     all its fields' directives on one line, behind KEYWORD
//
// KEYWORD is the argument's name with "-" for "_". The tag cfg:"KEYWORD,FORM" changes that:
// a KEYWORD of "-" is none, and forms are
//
//	rule      a string is as it is written in HAProxy, of any number of words
//	option    a rule that "no" before it takes back
//	oneline   the rules of a list on one line
//	words     the words of a list on one line
//	commas    the words of a list as one, with commas
//	repeated  a list has a word behind the keyword each time
//	joined    a map has the keyword and the name as one word
//	each      an object's directives are lines, with the keyword before each
//	raw       a text has whole lines
//
// All text comes through clean, so that no argument can begin a directive of its own.
type renderer struct {
	text  strings.Builder
	paths []string           // of the lines of text
	errs  []modules.ArgError // what can't be rendered, and is left out

	without map[string]bool // arguments that are left out on purpose
}

// directive is one, or a part of one, with the argument that it comes from.
type directive struct{ path, text string }

// fail records a mistake in the argument at path.
func (r *renderer) fail(path, summary, hint, format string, args ...any) {
	arg, rest := splitPath(path)
	r.errs = append(r.errs, modules.ArgError{Arg: arg, Path: rest, Summary: summary, Hint: hint, Detail: fmt.Sprintf(format, args...)})
}

func (r *renderer) config(c *Config) {
	if c.Global != nil {
		r.section("global", "global", *c.Global)
	}
	if c.Defaults != nil {
		r.section("defaults", "defaults", *c.Defaults)
	}
	tcp, without, differs := c.Defaults.forTCP()
	apart := func(p Proxy) bool { return differs && c.modeOf(p) != "http" }
	r.sections(c, c.Defaults, func(p Proxy) bool { return !apart(p) })
	for i, text := range c.Raw {
		path := "raw" + element(c.Raw, i)
		r.blank()
		for _, d := range r.lines(path, text) {
			r.line(d)
		}
	}
	if slices.ContainsFunc(c.proxies(), func(p proxy) bool { return apart(p.Proxy) }) {
		r.without = without
		r.section("defaults", "defaults", tcp)
		r.without = nil
		r.sections(c, &tcp, apart)
	}
}

// sections renders the proxies that are picked, which have defaults d.
func (r *renderer) sections(c *Config, d *Defaults, pick func(Proxy) bool) {
	for _, name := range slices.Sorted(maps.Keys(c.Frontend)) {
		if s := c.Frontend[name]; pick(s.Proxy) {
			r.named("frontend", name, s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Listen)) {
		if s := c.Listen[name]; pick(s.Proxy) {
			s.Servers, s.Health = s.over(d).filled(s.Servers), s.Health.within(d, s.Options)
			r.named("listen", name, s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Backend)) {
		if s := c.Backend[name]; pick(s.Proxy) {
			s.Servers, s.Health = s.over(d).filled(s.Servers), s.Health.within(d, s.Options)
			r.named("backend", name, s)
		}
	}
}

func (r *renderer) named(keyword, name string, s any) {
	path := fmt.Sprintf("%s[%q]", keyword, name)
	r.section(keyword+" "+r.name(path, name), path, s)
}

func (r *renderer) section(head, path string, s any) {
	r.blank()
	r.line(directive{path, head})
	for _, d := range r.fields(reflect.ValueOf(s), path) {
		if d.text = "    " + d.text; !r.without[d.path] {
			r.line(d)
		}
	}
}

// blank parts a section from the one before it.
func (r *renderer) blank() {
	if len(r.paths) > 0 {
		r.line(directive{})
	}
}

func (r *renderer) line(d directive) {
	r.text.WriteString(strings.TrimRight(d.text, " \t") + "\n")
	r.paths = append(r.paths, d.path)
}

// fields returns the directives of an object's fields, in their order.
func (r *renderer) fields(v reflect.Value, path string) []directive {
	if f, ok := v.Interface().(interface{ filled() any }); ok {
		v = reflect.ValueOf(f.filled())
	}
	var list []directive
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, tagged := f.Tag.Lookup("arg")
		switch {
		case f.Anonymous:
			list = append(list, r.fields(v.Field(i), path)...)
		case tagged:
			name, _, _ = strings.Cut(name, ",")
			keyword, form, _ := strings.Cut(f.Tag.Get("cfg"), ",")
			keyword = cmp.Or(keyword, strings.ReplaceAll(name, "_", "-"))
			if keyword == "-" {
				keyword = ""
			}
			list = append(list, r.field(v.Field(i), keyword, form, path+"."+name)...)
		}
	}
	return list
}

func (r *renderer) field(v reflect.Value, keyword, form, path string) []directive {
	switch x := v.Interface().(type) {
	case *Health:
		return r.health(x, path)
	case *bool:
		switch {
		case x == nil:
			return nil
		case *x:
			return []directive{{path, keyword}}
		}
		return []directive{{path, "no-" + keyword}}
	case *modules.Duration:
		if x == nil {
			return nil
		}
		return []directive{{path, keyword + " " + hatime(*x)}}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return r.field(v.Elem(), keyword, form, path)
	case reflect.Bool:
		if v.Bool() {
			return []directive{{path, keyword}}
		}
	case reflect.Int:
		return []directive{{path, r.number(path, keyword, int(v.Int()))}}
	case reflect.String:
		if v.String() != "" {
			return []directive{{path, r.value(path, keyword, form, v.String())}}
		}
	case reflect.Slice:
		return r.list(v, keyword, form, path)
	case reflect.Map:
		return r.entries(v, keyword, form, path)
	case reflect.Struct:
		return r.object(v, keyword, form, path)
	}
	return nil
}

// object returns an object's directives: one, or one for each of its fields.
func (r *renderer) object(v reflect.Value, keyword, form, path string) []directive {
	list := r.fields(v, path)
	if form == "each" {
		for i := range list {
			list[i].text = keyword + " " + list[i].text
		}
		return list
	}
	text := keyword
	for _, d := range list {
		text = join(text, d.text)
	}
	return []directive{{path, text}}
}

func (r *renderer) list(v reflect.Value, keyword, form, path string) []directive {
	var list []directive
	var texts []string
	for i := range v.Len() {
		e, at := v.Index(i), fmt.Sprintf("%s[%d]", path, i)
		if one, ok := v.Interface().(modules.OneOrMore); ok {
			at = path + element(one, i)
		}
		switch {
		case e.Kind() == reflect.Struct:
			list = append(list, r.object(e, keyword, form, at)...)
		case form == "raw":
			list = append(list, r.rawLines(at, e.String())...)
		case form == "words":
			texts = append(texts, r.word(at, e.String()))
		case form == "commas":
			if strings.Contains(e.String(), ",") && !strings.Contains(e.String(), "(") {
				r.fail(at, "Wrong value", "", "%q has a comma: write each as an element of the list.", e.String())
			}
			texts = append(texts, r.clean(at, e.String()))
		case form == "repeated":
			list = append(list, directive{at, keyword + " " + r.word(at, e.String())})
		case form == "oneline":
			texts = append(texts, r.rule(at, keyword, e.String()))
		case form == "option":
			rest, no := strings.CutPrefix(e.String(), "no ")
			prefix := ""
			if no {
				prefix = "no "
			}
			list = append(list, directive{at, join(prefix+keyword, r.rule(at, keyword, rest))})
		default:
			list = append(list, directive{at, join(keyword, r.rule(at, keyword, e.String()))})
		}
	}
	switch {
	case len(texts) == 0:
	case form == "commas":
		list = append(list, directive{path, keyword + " " + quote(strings.Join(texts, ","))})
	default:
		list = append(list, directive{path, keyword + " " + strings.Join(texts, " ")})
	}
	return list
}

// entries returns the directives of a map, which name its keys.
func (r *renderer) entries(v reflect.Value, keyword, form, path string) []directive {
	var list []directive
	for _, key := range slices.Sorted(maps.Keys(keysOf(v))) {
		e, at := v.MapIndex(reflect.ValueOf(key)), fmt.Sprintf("%s[%q]", path, key)
		name := r.name(at, key)
		head := keyword + " " + name
		if form == "joined" {
			head = keyword + strings.ReplaceAll(name, "_", "-")
		}
		switch {
		case e.Kind() == reflect.Struct:
			list = append(list, r.object(e, head, form, at)...)
		case e.Kind() == reflect.Slice:
			list = append(list, r.list(e, head, form, at)...)
		default:
			list = append(list, directive{at, head + " " + r.word(at, e.String())})
		}
	}
	return list
}

func keysOf(v reflect.Value) map[string]bool {
	keys := map[string]bool{}
	for _, k := range v.MapKeys() {
		keys[k.String()] = true
	}
	return keys
}

// join puts a space between two texts that aren't empty.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}

// element is where in an argument that may be one or a list its i-th value stands.
func element(list modules.OneOrMore, i int) string {
	if len(list) == 1 {
		return ""
	}
	return fmt.Sprintf("[%d]", i)
}
