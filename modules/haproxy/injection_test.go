package haproxy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/modules"
)

// leaf is a string argument, or a name.
type leaf struct {
	path string
	name bool
	form string // as in the tag cfg
	word bool   // rendered as one word of its own
}

// section is the path of the section that it is in.
func (l leaf) section() string {
	s, _, _ := strings.Cut(l.path, "]")
	if s == l.path {
		s, _, _ = strings.Cut(l.path, ".")
		return s
	}
	return s + "]"
}

// filler makes a Config that has everything, with a text of the caller's at one leaf.
type filler struct {
	at     int // the leaf
	text   string
	leaves []leaf
}

func (f *filler) config() *Config {
	c := &Config{}
	f.leaves = nil
	f.fill(reflect.ValueOf(c).Elem(), "", "", false)
	return c
}

func (f *filler) next(l leaf) string {
	f.leaves = append(f.leaves, l)
	if len(f.leaves)-1 == f.at {
		return f.text
	}
	switch {
	case l.form == "raw" && l.path == "raw[0]" || l.path == "raw[1]":
		return "resolvers r"
	case strings.HasSuffix(l.path, ".mode"):
		return "http"
	}
	return fmt.Sprintf("v%d", len(f.leaves))
}

func (f *filler) fill(v reflect.Value, path, form string, word bool) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), path, form, word)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1e9)
	case reflect.String:
		v.SetString(f.next(leaf{path: path, form: form, word: word}))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		one := form == "words" || form == "repeated" || form == "commas"
		for i := range 2 {
			f.fill(v.Index(i), fmt.Sprintf("%s[%d]", path, i), form, one)
		}
	case reflect.Map:
		key := f.next(leaf{path: path, name: true})
		l := &f.leaves[len(f.leaves)-1]
		l.path = fmt.Sprintf("%s[%q]", path, key)
		e := reflect.New(v.Type().Elem()).Elem()
		f.fill(e, l.path, form, v.Type().Elem().Kind() == reflect.String)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(key), e)
	case reflect.Struct:
		for i := range v.NumField() {
			t := v.Type().Field(i)
			arg, ok := t.Tag.Lookup("arg")
			switch {
			case t.Anonymous:
				f.fill(v.Field(i), path, "", false)
			case ok:
				name, _, _ := strings.Cut(arg, ",")
				_, form, _ := strings.Cut(t.Tag.Get("cfg"), ",")
				at := path + "." + name
				if path == "" {
					at = name
				}
				if at == "raw" {
					form = "raw"
				}
				f.fill(v.Field(i), at, form, t.Type.Kind() == reflect.String && form != "rule")
			}
		}
	}
}

// rendered returns what comes of a Config, whatever is wrong with it.
func (f *filler) rendered() (rendered, []modules.ArgError) {
	r := &renderer{}
	r.config(f.config())
	return rendered{text: r.text.String(), paths: r.paths}, r.errs
}

// allLeaves returns the leaves.
func allLeaves() []leaf {
	f := &filler{at: -1}
	f.config()
	return f.leaves
}

// TestNoArgumentBeginsADirective puts the end of a line into each string that there is.
func TestNoArgumentBeginsADirective(t *testing.T) {
	base, errs := (&filler{at: -1}).rendered()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	leaves := allLeaves()
	if len(leaves) < 300 {
		t.Fatalf("only %d leaves", len(leaves))
	}
	others := []string{"\n", "x\x00", "x\ry", "x\x1b[0m", "x\x7f"}
	for i := range leaves {
		for _, text := range []string{"x\nbackend evil", others[i%len(others)]} {
			f := &filler{at: i, text: text}
			r, errs := f.rendered()
			l := f.leaves[i]
			found := slices.ContainsFunc(errs, func(e modules.ArgError) bool { return e.Arg+e.Path == l.path })
			if whole := strings.HasPrefix(l.path, "raw["); whole && strings.HasPrefix(text, "x\n") {
				continue // check refuses its first line
			}
			if !found {
				t.Errorf("%s = %q is no error", l.path, text)
			}
			if l.form == "raw" || l.path == fmt.Sprintf("%s.mode", l.section()) {
				continue // one of a few values, which Decode sees to
			}
			if n := strings.Count(r.text, "\n"); n != len(r.paths) || n > len(base.paths) {
				t.Errorf("%s = %q: %d lines of %d paths, where there were %d", l.path, text, n, len(r.paths), len(base.paths))
			}
		}
	}
}

// cut cuts a line into words as HAProxy does: parse_line in its src/tools.c.
func cut(line string) (list []string, ok bool) {
	word, in, quote := []byte(nil), false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'' && c != '\'':
			word = append(word, c)
		case c == '\'' && quote == 0, c == '"' && quote == 0:
			in, quote = true, c
		case c == quote:
			quote = 0
		case c == '\\' && i+1 < len(line):
			i++
			word, in = append(word, line[i]), true
		case c == '#' && quote == 0:
			return nil, false
		case (c == ' ' || c == '\t') && quote == 0:
			if in {
				list, word, in = append(list, string(word)), nil, false
			}
		default:
			word, in = append(word, c), true
		}
	}
	if in {
		list = append(list, string(word))
	}
	return list, quote == 0
}

// FuzzRender holds what is one word to be one word, as it was given, and everything to stay in
// its line.
func FuzzRender(f *testing.F) {
	base, _ := (&filler{at: -1}).rendered()
	leaves := allLeaves()
	texts := []string{"two words", "it's", `"`, `a\`, "$HOME", "#x", "a'b\"c\\d$e #f", "\t", "é ü", "x\ny", "'", `\'`, "''"}
	for i := range leaves {
		f.Add(uint(i), texts[i%len(texts)])
	}
	f.Fuzz(func(t *testing.T, n uint, text string) {
		i := int(n % uint(len(leaves)))
		fill := &filler{at: i, text: text}
		r, errs := fill.rendered()
		l := fill.leaves[i]
		if l.form == "raw" || l.path == l.section()+".mode" || text == "" {
			return // "" is not given: Decode refuses it elsewhere
		}
		if len(r.paths) > len(base.paths) || strings.Count(r.text, "\n") != len(r.paths) {
			t.Fatalf("%s = %q adds a line:\n%s", l.path, text, cmp.Diff(base.text, r.text))
		}
		if len(errs) > 0 || l.name || !l.word {
			return
		}
		old, lines := strings.Split(base.text, "\n"), strings.Split(r.text, "\n")
		if len(old) != len(lines) {
			return // left out, or two texts that are alike
		}
		for j := range lines {
			if old[j] == lines[j] {
				continue
			}
			was, _ := cut(old[j])
			is, ok := cut(lines[j])
			if !ok || len(was) != len(is) {
				t.Fatalf("%s = %q: %s", l.path, text, lines[j])
			}
			for k := range is {
				if was[k] != is[k] && is[k] != text && !(l.form == "commas" && slices.Contains(strings.Split(is[k], ","), text)) {
					t.Fatalf("%s = %q reads as %q in: %s", l.path, text, is[k], lines[j])
				}
			}
		}
	})
}
