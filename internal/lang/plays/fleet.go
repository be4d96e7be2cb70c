package plays

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
)

// Inventory is a Fleet as expressions read it.
type Inventory struct {
	Hosts  []Host // bastions last
	ByName map[string]*Host
	Names  []string // of those that aren't bastions
	Groups map[string][]string
	Match  func(patterns []string) ([]string, error)

	GroupNames []string
	GroupsVal  cty.Value
	VarNames   map[string]bool // of all hosts
	Partial    bool
}

// NewInventory is what expressions read of a fleet; of nil, one host, localhost.
func NewInventory(f *Fleet) *Inventory {
	if f == nil {
		f = &Fleet{Hosts: []Host{{Name: "localhost", Address: "localhost"}}}
	}
	out := &Inventory{Hosts: slices.Concat(f.Hosts, f.Bastions), ByName: map[string]*Host{}, Groups: map[string][]string{}, Match: f.Match, VarNames: map[string]bool{}, Partial: f.Partial}
	for i := range out.Hosts {
		h := &out.Hosts[i]
		out.ByName[h.Name] = h
		if i < len(f.Hosts) {
			out.Names = append(out.Names, h.Name)
		}
		for name := range h.Vars {
			out.VarNames[name] = true
		}
	}
	for name, hosts := range f.Groups {
		out.Groups[name] = append([]string{}, hosts...) // nil is a group that isn't there
	}
	if out.Groups["all"] == nil {
		out.Groups["all"] = out.Names
	}
	if out.Match == nil {
		out.Match = out.plainMatch
	}
	values := map[string]cty.Value{}
	for name, hosts := range out.Groups {
		out.GroupNames = append(out.GroupNames, name)
		values[name] = stringList(hosts)
	}
	sort.Strings(out.GroupNames)
	out.GroupsVal = cty.ObjectVal(values)
	if out.Partial {
		out.GroupsVal = cty.DynamicVal
	}
	return out
}

// plainMatch knows names and groups, the least that patterns are.
func (f *Inventory) plainMatch(patterns []string) ([]string, error) {
	want := map[string]bool{}
	for _, p := range patterns {
		name, exclude := strings.CutPrefix(p, "!")
		hosts, ok := f.Groups[name]
		if !ok && f.ByName[name] != nil {
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
	for _, name := range f.Names {
		if want[name] {
			out = append(out, name)
		}
	}
	return out, nil
}

// Unmatched reports patterns, the value of an expression, that match refused with
// an error: at the first that is wrong by itself.
func (f *Inventory) Unmatched(patterns []string, e hclsyntax.Expression, err error) *hcl.Diagnostic {
	at, summary, hint := e.Range(), "Wrong pattern", ""
	for i, pattern := range patterns {
		if _, err := f.Match([]string{pattern}); err == nil {
			continue
		}
		if item := diag.TupleItem(e, i); item != nil {
			at = item.Range()
		}
		for name := range strings.SplitSeq(pattern, ",") {
			name = strings.Trim(name, "!& ")
			if name != "" && !strings.ContainsAny(name, `*?[\`) && f.Groups[name] == nil && f.ByName[name] == nil {
				summary, hint = "Unknown host or group", diag.DidYouMean(name, append(append([]string(nil), f.Names...), f.GroupNames...))
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

// Known is what the inventory says of a host, without its facts; partial: as
// far as it was read.
func (h *Host) Known(partial bool) map[string]cty.Value {
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
		n := Nobody()
		out["groups"], out["vars"] = n["groups"], n["vars"]
	}
	return out
}

// Nobody is the host of a play that matches none: its values are unknown.
func Nobody() map[string]cty.Value {
	return map[string]cty.Value{
		"name":    cty.UnknownVal(cty.String),
		"address": cty.UnknownVal(cty.String),
		"groups":  cty.UnknownVal(cty.List(cty.String)),
		"vars":    cty.DynamicVal,
	}
}
