package planfile

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"muster/internal/lang/plays"
)

// Variable is a variable's value given outside the playbook. A withheld one
// has no value, but a sum that tells whether the value given anew is the same.
type Variable struct {
	Name     string          `json:"name"`
	Origin   string          `json:"origin"` // as in lang.VarSource
	Withheld bool            `json:"withheld,omitempty"`
	Text     string          `json:"text,omitempty"`  // as in lang.VarSource, where Type is nil
	Type     json.RawMessage `json:"type,omitempty"`  // of Value, as cty has it
	Value    json.RawMessage `json:"value,omitempty"` // nil: Text
	Sum      string          `json:"sum,omitempty"`   // of a withheld one, keyed
}

// Variables returns what a plan saves of the values given to a playbook.
// Declared is every variable that the playbook or one it includes declares.
// Values of sensitive ones, and of those that are not in declared, are
// withheld; what the environment holds of undeclared ones isn't saved.
func Variables(key []byte, given []plays.VarSource, declared []*plays.Variable) ([]Variable, error) {
	last := map[string]*plays.VarSource{} // a later value stands before an earlier one
	for i := range given {
		last[given[i].Name] = &given[i]
	}
	var list []Variable
	for name, src := range last {
		is := slices.ContainsFunc(declared, func(v *plays.Variable) bool { return v.Name == name })
		if !is && src.Optional {
			continue
		}
		v, err := variable(src)
		if err != nil {
			return nil, fmt.Errorf("saving the variable %s: %w", name, err)
		}
		if !is || sensitive(declared, name) {
			v = Variable{Name: name, Origin: v.Origin, Withheld: true, Sum: v.sum(key)}
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func sensitive(declared []*plays.Variable, name string) bool {
	return slices.ContainsFunc(declared, func(v *plays.Variable) bool { return v.Name == name && v.Sensitive })
}

// HoldsSensitive reports whether the inventory sets a sensitive variable, so
// that it has to be sealed.
func HoldsSensitive(hosts []plays.Host, declared []*plays.Variable) bool {
	for _, v := range declared {
		if v.Sensitive && slices.ContainsFunc(hosts, func(h plays.Host) bool { _, ok := h.Vars[v.Name]; return ok }) {
			return true
		}
	}
	return false
}

// variable encodes a value. Text is one that is given as text, whatever way.
func variable(src *plays.VarSource) (Variable, error) {
	v := Variable{Name: src.Name, Origin: src.Origin, Text: src.Text}
	if src.Value == cty.NilVal {
		return v, nil
	}
	value, _ := src.Value.UnmarkDeep()
	if value.Type() == cty.String && value.IsKnown() && !value.IsNull() {
		v.Text = value.AsString()
	}
	var err error
	if v.Type, err = ctyjson.MarshalType(value.Type()); err != nil {
		return v, err
	}
	v.Value, err = ctyjson.Marshal(value, value.Type())
	return v, err
}

// sum is the same for a text given on the command line, in the environment or
// in a file.
func (v *Variable) sum(key []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "variable %d:%s", len(v.Name), v.Name)
	if v.Value == nil || string(v.Type) == `"string"` && string(v.Value) != "null" {
		fmt.Fprintf(h, " text %s", v.Text)
	} else {
		fmt.Fprintf(h, " value %d:%s%s", len(v.Type), v.Type, v.Value)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (v *Variable) check() error {
	switch {
	case v.Withheld && (v.Text != "" || v.Type != nil || v.Value != nil):
		return errors.New("it is withheld, and there")
	case v.Withheld != (v.Sum != ""):
		return errors.New("it has a sum, or should have one")
	case (v.Type == nil) != (v.Value == nil):
		return errors.New("it has no type, or no value")
	}
	_, err := v.source()
	return err
}

func (v *Variable) source() (plays.VarSource, error) {
	src := plays.VarSource{Name: v.Name, Origin: v.Origin, Text: v.Text}
	if v.Value == nil {
		return src, nil
	}
	t, err := ctyjson.UnmarshalType(v.Type)
	if err != nil {
		return src, err
	}
	src.Text = ""
	src.Value, err = ctyjson.Unmarshal(v.Value, t)
	return src, err
}

// VarSources returns the values to read the plan's playbook with: the saved
// ones, and of the given ones those that were withheld, which have to be the
// same as when the plan was made. A plan can't be applied with other values:
// giving one is an error, except in the environment, which isn't asked. The
// plan must have been unsealed.
func (p *Plan) VarSources(given []plays.VarSource) ([]plays.VarSource, error) {
	if p.Sealed() {
		return nil, ErrSealed
	}
	last := map[string]*plays.VarSource{}
	for i := range given {
		last[given[i].Name] = &given[i]
	}
	var list []plays.VarSource
	var errs []error
	for i := range p.Variables {
		saved := &p.Variables[i]
		src := last[saved.Name]
		if !saved.Withheld {
			s, err := saved.source()
			if err != nil {
				return nil, fmt.Errorf("the saved variable %s: %w", saved.Name, err)
			}
			list = append(list, s)
			continue
		}
		delete(last, saved.Name)
		if src == nil {
			errs = append(errs, fmt.Errorf("the variable %s is sensitive, so the plan doesn't hold its value: give it again, as MUSTER_VAR_%s, with --var-file or with --var (it came from %s)", saved.Name, saved.Name, saved.Origin))
			continue
		}
		v, err := variable(src)
		if err != nil {
			return nil, fmt.Errorf("the variable %s: %w", saved.Name, err)
		}
		if !hmac.Equal([]byte(v.sum(p.Key)), []byte(saved.Sum)) {
			errs = append(errs, fmt.Errorf("the variable %s (from %s) isn't what the plan was made with: give the same value, or plan again", saved.Name, src.Origin))
			continue
		}
		list = append(list, *src)
	}
	for _, src := range given {
		if last[src.Name] != nil && !src.Optional {
			delete(last, src.Name)
			errs = append(errs, fmt.Errorf("%s sets %s, but a saved plan is applied with the values it was made with: leave it out, or plan again", src.Origin, src.Name))
		}
	}
	return list, errors.Join(errs...)
}
