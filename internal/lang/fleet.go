package lang

import (
	"fmt"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
)

// fleet is a Fleet as expressions read it.
type fleet struct {
	hosts  []Host
	byName map[string]*Host
	names  []string
	groups map[string][]string
	match  func(patterns []string) ([]string, error)

	groupNames []string
	groupsVal  cty.Value
	varNames   map[string]bool // of all hosts
	partial    bool
}

func newFleet(f *Fleet) *fleet {
	if f == nil {
		f = &Fleet{Hosts: []Host{{Name: "localhost", Address: "localhost"}}}
	}
	out := &fleet{hosts: f.Hosts, byName: map[string]*Host{}, groups: map[string][]string{}, match: f.Match, varNames: map[string]bool{}, partial: f.Partial}
	for i := range f.Hosts {
		h := &f.Hosts[i]
		out.byName[h.Name] = h
		out.names = append(out.names, h.Name)
		for name := range h.Vars {
			out.varNames[name] = true
		}
	}
	for name, hosts := range f.Groups {
		out.groups[name] = append([]string{}, hosts...) // nil is a group that isn't there
	}
	if out.groups["all"] == nil {
		out.groups["all"] = out.names
	}
	if out.match == nil {
		out.match = out.plainMatch
	}
	values := map[string]cty.Value{}
	for name, hosts := range out.groups {
		out.groupNames = append(out.groupNames, name)
		values[name] = stringList(hosts)
	}
	sort.Strings(out.groupNames)
	out.groupsVal = cty.ObjectVal(values)
	if out.partial {
		out.groupsVal = cty.DynamicVal
	}
	return out
}

// plainMatch knows names and groups, the least that patterns are.
func (f *fleet) plainMatch(patterns []string) ([]string, error) {
	want := map[string]bool{}
	for _, p := range patterns {
		name, exclude := strings.CutPrefix(p, "!")
		hosts, ok := f.groups[name]
		if !ok && f.byName[name] != nil {
			hosts, ok = []string{name}, true
		}
		if !ok {
			return nil, fmt.Errorf("there is no host or group %q", name)
		}
		for _, h := range hosts {
			want[h] = !exclude
		}
	}
	var out []string
	for _, name := range f.names {
		if want[name] {
			out = append(out, name)
		}
	}
	return out, nil
}

// unmatched reports patterns, the value of an expression, that match refused with
// an error: at the first that is wrong by itself.
func (f *fleet) unmatched(patterns []string, e hclsyntax.Expression, err error) *hcl.Diagnostic {
	at, summary, hint := e.Range(), "Wrong pattern", ""
	for i, pattern := range patterns {
		if _, err := f.match([]string{pattern}); err == nil {
			continue
		}
		if item := diag.TupleItem(e, i); item != nil {
			at = item.Range()
		}
		for name := range strings.SplitSeq(pattern, ",") {
			name = strings.Trim(name, "!& ")
			if name != "" && !strings.ContainsAny(name, `*?[\`) && f.groups[name] == nil && f.byName[name] == nil {
				summary, hint = "Unknown host or group", diag.DidYouMean(name, append(append([]string(nil), f.names...), f.groupNames...))
				break
			}
		}
		break
	}
	return diag.Error(at, summary, hint, "%s.", diag.Capital(strings.TrimSuffix(err.Error(), ".")))
}

func stringList(list []string) cty.Value {
	if len(list) == 0 {
		return cty.ListValEmpty(cty.String)
	}
	values := make([]cty.Value, len(list))
	for i, s := range list {
		values[i] = cty.StringVal(s)
	}
	return cty.ListVal(values)
}

// known is what the inventory says of a host, without its facts; partial: as
// far as it was read.
func (h *Host) known(partial bool) map[string]cty.Value {
	vars := cty.EmptyObjectVal
	if len(h.Vars) > 0 {
		vars = cty.ObjectVal(h.Vars)
	}
	address := h.Address
	if address == "" {
		address = h.Name
	}
	out := map[string]cty.Value{
		"name":    cty.StringVal(h.Name),
		"address": cty.StringVal(address),
		"groups":  stringList(h.Groups),
		"vars":    vars,
	}
	if partial {
		n := nobody()
		out["groups"], out["vars"] = n["groups"], n["vars"]
	}
	return out
}

// nobody is the host of a play that matches none: its values are unknown.
func nobody() map[string]cty.Value {
	return map[string]cty.Value{
		"name":    cty.UnknownVal(cty.String),
		"address": cty.UnknownVal(cty.String),
		"groups":  cty.UnknownVal(cty.List(cty.String)),
		"vars":    cty.DynamicVal,
	}
}
