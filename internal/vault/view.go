package vault

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/hclguard"
	"muster/secret"
)

// viewIntro stands at the top of what an editor is given.
const viewIntro = `# Secrets in clear. Save and leave the editor to seal them; leave it without a change,
# and nothing is written. A block that is taken out is removed, a new one is added.
# In values "${" is written "$${", and "%{" is "%%{". The line break that ends a
# text between <<EOT and EOT is no part of the value.

`

// View is the store in clear, for an editor. It belongs in memory, and in no file of a disk.
func (s *Store) View() ([]byte, error) {
	if err := s.editable(); err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString(viewIntro)
	for i, name := range s.order {
		v, err := s.Get(name)
		if err != nil {
			return nil, err
		}
		e := s.entries[name]
		f := hclwrite.NewEmptyFile()
		body := f.Body().AppendNewBlock("secret", []string{name}).Body()
		for _, part := range []struct{ name, value string }{{"description", e.Description}, {"owner", e.Owner}, {"every", e.Every}, {"due", string(e.Due)}} {
			if part.value != "" {
				body.SetAttributeValue(part.name, cty.StringVal(part.value))
			}
		}
		value := v.Current.Value.Reveal()
		if text, ok := heredoc(value); ok {
			body.SetAttributeRaw("value", hclwrite.Tokens{{Type: hclsyntax.TokenStringLit, Bytes: []byte(text)}})
		} else {
			body.SetAttributeValue("value", cty.StringVal(value))
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.Write(hclwrite.Format(f.Bytes()))
	}
	return []byte(b.String()), nil
}

// heredoc writes a text of several lines as people can edit it; ok is false where it has
// one line, or characters that an editor may not keep.
func heredoc(value string) (text string, ok bool) {
	if !strings.Contains(value, "\n") || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }) {
		return "", false
	}
	end := "EOT"
	for slices.Contains(strings.Fields(value), end) {
		end += "T"
	}
	escaped := strings.NewReplacer("${", "$${", "%{", "%%{").Replace(value)
	return "<<" + end + "\n" + escaped + "\n" + end, true
}

// viewed is a secret as it stands in a view.
type viewed struct {
	Meta
	value string
}

// parseView reads what an editor has left. Its errors show no line of it.
func parseView(src []byte) (map[string]viewed, []string, error) {
	const path = "edited"
	f, diags := hclguard.Parse(path, src)
	if diags.HasErrors() {
		return nil, nil, diags
	}
	r := &reader{s: &Store{Path: path}}
	list, order := map[string]viewed{}, []string(nil)
	body := f.Body.(*hclsyntax.Body)
	for _, a := range body.Attributes {
		r.fail(a.NameRange, "Unknown setting", "There are blocks \"secret\", and nothing else.")
	}
	for _, b := range body.Blocks {
		if b.Type != "secret" || len(b.Labels) != 1 {
			r.fail(b.TypeRange, "Unknown block", "There are blocks \"secret\", each with a name, and nothing else.")
			continue
		}
		name := b.Labels[0]
		r.noBlocks(b, "")
		values, at := r.texts(b, "description", "owner", "every", "due", "value")
		v := viewed{Meta: Meta{Description: values["description"], Owner: values["owner"], Every: values["every"]}, value: values["value"]}
		if text := values["due"]; text != "" {
			date, err := ParseDate(text)
			if err != nil {
				r.fail(at["due"], "Wrong date", "%s.", err)
			}
			v.Due = date
		}
		if a, ok := b.Body.Attributes["value"]; ok && strings.HasPrefix(string(a.Expr.Range().SliceBytes(src)), "<<") {
			v.value = strings.TrimSuffix(v.value, "\n")
		}
		if _, ok := list[name]; ok {
			r.fail(b.DefRange(), "Duplicate secret", "%q is there twice.", name)
		}
		if err := ValidName(name); err != nil {
			r.fail(b.LabelRanges[0], "Wrong name", "%s.", err)
		}
		list[name] = v
		order = append(order, name)
	}
	if len(r.diags) > 0 {
		return nil, nil, r.diags
	}
	return list, order, nil
}

// Edit is what somebody has done to a view.
type Edit struct {
	Added, Changed, Removed []string // names of secrets

	was, is map[string]viewed
}

// Compare finds out what was done to a view. What can't be read of it is hcl.Diagnostics,
// whose ranges are in the view: its lines are secret.
func Compare(before, after []byte) (*Edit, error) {
	was, order, err := parseView(before)
	if err != nil {
		return nil, err
	}
	is, now, err := parseView(after)
	if err != nil {
		return nil, err
	}
	e := &Edit{was: was, is: is}
	for _, name := range order {
		if _, ok := is[name]; !ok {
			e.Removed = append(e.Removed, name)
		}
	}
	for _, name := range now {
		switch old, ok := was[name]; {
		case !ok:
			e.Added = append(e.Added, name)
		case old != is[name]:
			e.Changed = append(e.Changed, name)
		}
		if err := CheckValue(secret.New(is[name].value)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return e, nil
}

// Value is what a secret that was added or changed is to be.
func (e *Edit) Value(name string) secret.String { return secret.New(e.is[name].value) }

// Nothing reports whether nothing was done.
func (e *Edit) Nothing() bool { return len(e.Added)+len(e.Changed)+len(e.Removed) == 0 }

// Make makes the edit in a store. A secret that isn't as it was in the view has been
// edited by somebody else meanwhile, which is an error.
func (s *Store) Make(e *Edit) error {
	for _, name := range slices.Concat(e.Added, e.Changed, e.Removed) {
		old, viewed := e.was[name]
		now, there := s.entries[name]
		if viewed != there {
			return fmt.Errorf("%s was added or removed by somebody else meanwhile", name)
		}
		if !there {
			continue
		}
		v, err := s.Get(name)
		if err != nil {
			return err
		}
		if v.Current.Value.Reveal() != old.value || now.Meta != old.Meta {
			return fmt.Errorf("%s was changed by somebody else meanwhile", name)
		}
	}
	for _, name := range e.Removed {
		if err := s.Remove(name); err != nil {
			return err
		}
	}
	for _, name := range slices.Concat(e.Changed, e.Added) {
		is := e.is[name]
		if _, err := s.Set(name, secret.New(is.value)); err != nil {
			return err
		}
		if old, ok := e.was[name]; !ok || old.Meta != is.Meta {
			if err := s.Describe(name, is.Meta); err != nil {
				return err
			}
		}
	}
	return nil
}
