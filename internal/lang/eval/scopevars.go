package eval

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
)

// kept returns a cached value, or makes and keeps it once it waits for nothing.
// In a run, what isn't known yet isn't kept either: it may be at another turn.
func (s *Scope) kept(name string, get func() (cty.Value, Waits, hcl.Diagnostics)) (cty.Value, Waits, hcl.Diagnostics) {
	if v, ok := s.cache[name]; ok && !s.first {
		return v, nil, nil
	}
	v, waits, diags := get()
	if len(waits) > 0 || diags.HasErrors() {
		return cty.DynamicVal, waits, diags
	}
	if s.first || !v.IsWhollyKnown() && !s.checking() {
		return v, nil, diags
	}
	if s.cache == nil {
		s.cache = map[string]cty.Value{}
	}
	s.cache[name] = v
	return v, nil, diags
}

// Variable returns the value of var.NAME here: a role's input, or a
// playbook's variable as this host and play have it.
func (s *Scope) Variable(name string) (cty.Value, Waits, hcl.Diagnostics) {
	home := s.unitScope()
	get := home.playbookVariable
	if home.unit.Role != nil {
		get = home.input
	}
	_, had := home.cache["var."+name]
	had = had || home.validating[name]
	value, waits, diags := home.kept("var."+name, func() (cty.Value, Waits, hcl.Diagnostics) { return get(name) })
	if had || len(waits) > 0 || diags.HasErrors() || home.checking() {
		return value, waits, diags
	}
	// What Load couldn't know yet, because it was made of facts or outputs.
	v := home.unit.Variables[name]
	at := v.Range
	if home.unit.Role != nil && home.unit.Role.Inputs[name] != nil {
		at = home.unit.Role.Inputs[name].Raw.Range()
	}
	// A condition reads the variable itself, which isn't kept while it is unknown.
	if home.validating == nil {
		home.validating = map[string]bool{}
	}
	home.validating[name] = true
	diags = home.Validate(v, at, "")
	delete(home.validating, name)
	return value, nil, diags
}

func (s *Scope) playbookVariable(name string) (cty.Value, Waits, hcl.Diagnostics) {
	v, state := s.unit.Variables[name], s.unit.Values[name]
	if state.Final {
		return state.Value, nil, nil
	}
	if s.play != nil && !s.plain {
		for _, pv := range s.play.Vars {
			if pv.Name != name {
				continue
			}
			without := &Scope{p: s.p, play: s.play, host: s.host, r: s.r, unit: s.unit, path: s.path, plain: true, picks: s.picks}
			value, waits, diags := without.value(pv.Expr, layer{})
			if len(waits) > 0 || diags.HasErrors() {
				return value, waits, diags
			}
			out, err := v.Convert(value)
			if err != nil {
				return cty.DynamicVal, nil, diag.WrongType(pv.Expr.Expression, err, "%q is declared at %s with type %s", name, diag.Place(v.Range), diag.TypeText(v.Type))
			}
			return out, nil, nil
		}
	}
	if h := s.p.Inventory.ByName[s.host]; h != nil {
		if value, ok := h.Vars[name]; ok {
			out, err := v.Convert(value)
			if err != nil {
				// Load has reported it.
				return v.Unknown(), nil, nil
			}
			return out, nil, nil
		}
	}
	if state.Value == cty.NilVal {
		if s.p.Options.RequireValues && s.host != "" && !s.p.Inventory.Partial {
			return v.Unknown(), nil, hcl.Diagnostics{v.Missing(s.host)}
		}
		return v.Unknown(), nil, nil
	}
	return state.Value, nil, nil
}

// input evaluates a role's input where the role is used.
func (s *Scope) input(name string) (cty.Value, Waits, hcl.Diagnostics) {
	v := s.unit.Variables[name]
	given := s.unit.Role.Inputs[name]
	if given == nil {
		if v.Default == cty.NilVal {
			return v.Unknown(), nil, nil
		}
		return v.Default, nil, nil
	}
	value, waits, diags := s.parent.value(given.Expr, layer{each: s.each})
	if len(waits) > 0 || diags.HasErrors() {
		return value, waits, diags
	}
	out, err := v.Convert(value)
	if err != nil {
		return cty.DynamicVal, nil, diag.WrongType(given.Raw, err, "Input %q of role %q is declared at %s with type %s", name, s.unit.Role.Name, diag.Place(v.Range), diag.TypeText(v.Type))
	}
	return out, nil, nil
}

// Validate holds a variable's value against its validations. at is where the
// value was given, and origin says so in words.
func (s *Scope) Validate(v *plays.Variable, at hcl.Range, origin string) hcl.Diagnostics {
	var out hcl.Diagnostics
	for _, val := range v.Validation {
		ok, _, diags := s.value(val.Condition, layer{})
		if diags.HasErrors() {
			out = append(out, diags...)
			continue
		}
		ok, _ = ok.UnmarkDeep()
		if !ok.IsKnown() {
			continue
		}
		if ok.IsNull() || ok.Type() != cty.Bool {
			out = append(out, diag.Error(val.Condition.Range(), "Wrong type", "", "A validation's condition is true or false."))
			continue
		}
		if ok.True() {
			continue
		}
		text := "The value isn't valid."
		if m, _, diags := s.value(val.Message, layer{}); !diags.HasErrors() && !HasSensitive(m) {
			if said, ok := TextOf(m); ok {
				text = sentence(said)
			}
		}
		out = append(out, diag.Error(at, "Invalid value", "", "%s%s %q is declared at %s.", text, origin, v.Name, diag.Place(v.Range)))
	}
	return out
}

// sentence ends a text as a sentence, so that another can follow it.
func sentence(text string) string {
	text = strings.TrimRight(text, " \t\r\n")
	if text == "" || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// Local returns the value of local.NAME.
func (s *Scope) Local(name string) (cty.Value, Waits, hcl.Diagnostics) {
	home := s.unitScope()
	lo := home.unit.Locals[name]
	if lo == nil || lo.Expr == nil || lo.Expr.Bad {
		return cty.DynamicVal, nil, nil
	}
	return home.kept("local."+name, func() (cty.Value, Waits, hcl.Diagnostics) { return home.value(lo.Expr, layer{}) })
}
