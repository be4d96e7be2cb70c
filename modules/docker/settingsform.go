package docker

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"muster/modules"
)

// form is what a value in daemon.json has to be.
type form struct {
	kind   formKind
	elem   *form           // of a list and a map
	fields map[string]form // of an object
	folded bool            // the names of fields are matched whatever their case
	values []string        // the only ones, of text
	holds  func(v any) string
}

type formKind int

const (
	textForm formKind = iota
	boolForm
	numberForm // a whole one
	listForm
	mapForm
	objectForm
	anyForm
)

func (f form) String() string {
	switch f.kind {
	case boolForm:
		return "a bool"
	case numberForm:
		return "a whole number"
	case listForm:
		return "a list"
	case mapForm, objectForm:
		return "a map"
	}
	return "a string"
}

func listOf(e form) form                       { return form{kind: listForm, elem: &e} }
func mapOf(e form) form                        { return form{kind: mapForm, elem: &e} }
func objectOf(fields map[string]form) form     { return form{kind: objectForm, fields: fields} }
func (f form) anyCase() form                   { f.folded = true; return f }
func (f form) oneOf(values ...string) form     { f.values = values; return f }
func (f form) holding(w func(any) string) form { f.holds = w; return f }

// checker finds what is wrong with settings.
type checker struct{ errs []modules.ArgError }

func (c *checker) fail(at, summary, hint, detail string, args ...any) {
	c.errs = append(c.errs, modules.ArgError{Arg: "settings", Path: at, Summary: summary, Hint: hint, Detail: fmt.Sprintf(detail, args...)})
}

// take returns a value as daemon.json has it: numbers and bools are strings where these
// are wanted, and the other way round, as in all arguments. What isn't known yet is nil.
func (c *checker) take(f form, at string, value any) any {
	if _, unknown := value.(modules.UnknownValue); unknown || value == nil {
		return nil
	}
	switch f.kind {
	case textForm, boolForm, numberForm:
		return c.plain(f, at, value)
	case listForm:
		items, ok := value.([]any)
		if !ok {
			return c.wrong(f, at, value)
		}
		out := []any{}
		for i, item := range items {
			if v := c.take(*f.elem, fmt.Sprintf("%s[%d]", at, i), item); v != nil {
				out = append(out, v)
			}
		}
		return out
	case mapForm, objectForm:
		m, ok := value.(map[string]any)
		if !ok {
			return c.wrong(f, at, value)
		}
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			in := fmt.Sprintf("%s[%q]", at, name)
			elem, ok := f.field(name)
			if !ok {
				c.unknown(in, name, slices.Sorted(maps.Keys(f.fields)))
				continue
			}
			if v := c.take(elem, in, m[name]); v != nil {
				out[name] = v
			}
		}
		return out
	}
	return value
}

func (f form) field(name string) (form, bool) {
	if f.kind == mapForm {
		return *f.elem, true
	}
	for n, e := range f.fields {
		if n == name || f.folded && strings.EqualFold(n, name) {
			return e, true
		}
	}
	return form{}, false
}

func (c *checker) unknown(at, name string, known []string) {
	hint := ""
	if near := modules.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("Did you mean %q?", near)
	}
	c.fail(at, "Unknown setting", hint, "Docker's daemon.json has no %q here.", name)
}

func (c *checker) plain(f form, at string, value any) any {
	text, isText := value.(string)
	var got any
	switch f.kind {
	case textForm:
		switch value.(type) {
		case string, bool, int, int64, uint64, float64:
			got = strings.Trim(encodeSetting(value), `"`)
			if isText {
				got = text
			}
		}
	case boolForm:
		if b, ok := value.(bool); ok {
			got = b
		} else if text == "true" || text == "false" {
			got = text == "true"
		}
	case numberForm:
		if n, err := strconv.ParseFloat(encodeSetting(value), 64); err == nil && !isText && n == math.Trunc(n) {
			got = int64(n)
		} else if n, err := strconv.ParseInt(text, 10, 64); err == nil && isText {
			got = n
		}
	}
	if got == nil {
		return c.wrong(f, at, value)
	}
	if s, _ := got.(string); f.values != nil && !slices.Contains(f.values, s) {
		hint := ""
		if near := modules.Nearest(s, f.values); near != "" {
			hint = fmt.Sprintf("Did you mean %q?", near)
		}
		c.fail(at, "Wrong value", hint, "%q isn't taken here: it is one of %s.", s, strings.Join(f.values, ", "))
	}
	if f.holds != nil {
		if why := f.holds(got); why != "" {
			c.fail(at, "Wrong value", "", "%s %s.", encodeSetting(got), why)
		}
	}
	return got
}

func (c *checker) wrong(f form, at string, value any) any {
	is := "another type"
	switch value.(type) {
	case string:
		is = "a string"
	case bool:
		is = "a bool"
	case int, int64, uint64, float64:
		is = "the number " + encodeSetting(value)
	case []any:
		is = "a list"
	case map[string]any:
		is = "a map"
	}
	c.fail(at, "Wrong type", "", "This takes %s, not %s.", f, is)
	return nil
}

// encodeSetting is a value as JSON, on one line. Its keys are in order.
func encodeSetting(value any) string {
	b := &strings.Builder{}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if e.Encode(value) != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// sameSetting reports whether two values are one in JSON.
func sameSetting(a, b any) bool { return encodeSetting(a) == encodeSetting(b) }

func settingPath(v any) string {
	if !path.IsAbs(v.(string)) {
		return `is no absolute path: it has to begin with "/"`
	}
	return ""
}

func settingAddress(v any) string {
	if _, err := netip.ParseAddr(v.(string)); err != nil {
		return "is no IP address"
	}
	return ""
}

func settingSubnet(v any) string {
	if _, err := netip.ParsePrefix(v.(string)); err != nil {
		return `is no address with its network's size, such as "172.30.0.1/16"`
	}
	return ""
}

func settingCount(v any) string {
	if v.(int64) < 0 {
		return "is below 0"
	}
	return ""
}

func settingPair(v any) string {
	if name, _, ok := strings.Cut(v.(string), "="); !ok || name == "" {
		return `isn't of the form "name=value"`
	}
	return ""
}

// settingSize is what go-units reads as a size in RAM.
func settingSize(v any) string {
	if !regexp.MustCompile(`(?i)^\d+(\.\d+)? ?([kmgtp]i?)?b?$`).MatchString(v.(string)) {
		return `is no size, such as "64M"`
	}
	return ""
}

func settingMirror(v any) string {
	u, err := url.Parse(v.(string))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return `is no mirror: it takes a URL such as "https://mirror.example.com", without a user`
	}
	return ""
}

func settingRegistry(v any) string {
	if s := v.(string); strings.Contains(s, "://") || strings.ContainsAny(s, " ,") || s == "" {
		return `is no registry: it takes "host", "host:port" or a network such as "10.0.0.0/8", without "http://"`
	}
	return ""
}

func settingListen(v any) string {
	scheme, rest, ok := strings.Cut(v.(string), "://")
	if !ok || !slices.Contains([]string{"fd", "unix", "tcp"}, scheme) || scheme != "fd" && rest == "" {
		return `is no address to listen on: it takes "fd://", "unix:///run/docker.sock" or "tcp://127.0.0.1:2376"`
	}
	return ""
}
