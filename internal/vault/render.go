package vault

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// Bytes returns the file with the edits in it, sealed. Without an edit it is the file
// as it was read. Else only the lines of what was edited differ, and the seal's:
// comments and order stay. A file that is formatted stays so.
func (s *Store) Bytes() ([]byte, error) {
	if !s.edited {
		return s.src, nil
	}
	if s.keys == nil {
		return nil, ErrLocked
	}
	s.forgive()
	s.generation++
	f, diags := hclwrite.ParseConfig(s.without(s.gone), s.Path, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	var fresh bytes.Buffer
	blocks := map[string]*hclwrite.Block{}
	var seal *hclwrite.Block
	for _, b := range f.Body().Blocks() {
		switch b.Type() {
		case "seal":
			seal = b
		case "secret":
			blocks[b.Labels()[0]] = b
		}
	}
	if seal == nil {
		return nil, fmt.Errorf("writing %s: it has no seal", s.Path)
	}
	fresh.Write(s.writeRecipients(f.Body().Blocks()))
	for _, name := range s.order {
		e := s.entries[name]
		switch e.state {
		case changed:
			e.seal = s.keys.sealOf(e)
			e.write(blocks[name].Body())
		case added:
			e.seal = s.keys.sealOf(e)
			fresh.WriteByte('\n')
			fresh.Write(e.block())
		}
	}
	s.mac = s.keys.macOf(s)
	s.writeSeal(seal.Body())
	out := f.Bytes()
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	out = append(out, fresh.Bytes()...)
	if bytes.Equal(hclwrite.Format(s.src), s.src) {
		out = hclwrite.Format(out)
	}
	return out, nil
}

// block is a secret that wasn't in the file.
func (e *entry) block() []byte {
	if e.text != nil {
		return e.text
	}
	f := hclwrite.NewEmptyFile()
	e.write(f.Body().AppendNewBlock("secret", []string{e.Name}).Body())
	return hclwrite.Format(f.Bytes())
}

// without is the file without some blocks, the comments right above them and an empty line
// behind each.
func (s *Store) without(gone []hcl.Range) []byte {
	out := s.src
	slices.SortFunc(gone, func(a, b hcl.Range) int { return b.Start.Byte - a.Start.Byte })
	for _, at := range gone {
		from, to := lead(s.src, at.Start.Byte), lineEnd(s.src, at.End.Byte)
		if next := lineEnd(s.src, to); len(bytes.TrimSpace(s.src[to:next])) == 0 {
			to = next
		}
		out = slices.Concat(out[:from], out[to:])
	}
	if len(gone) > 0 {
		out = append(bytes.TrimRight(out, " \t\r\n"), '\n')
	}
	return out
}

// lead is where the comment begins that stands right above the line at a place; that
// line's begin where there is none.
func lead(src []byte, at int) int {
	from := bytes.LastIndexByte(src[:at], '\n') + 1
	for from > 0 {
		above := bytes.LastIndexByte(src[:from-1], '\n') + 1
		text := bytes.TrimSpace(src[above : from-1])
		if !bytes.HasPrefix(text, []byte("#")) && !bytes.HasPrefix(text, []byte("//")) {
			break
		}
		from = above
	}
	return from
}

// lineEnd is where the line behind the one at a place begins.
func lineEnd(src []byte, at int) int {
	if i := bytes.IndexByte(src[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(src)
}

// write puts a secret into its block.
func (e *entry) write(body *hclwrite.Body) {
	values := map[string]string{
		"description": e.Description, "owner": e.Owner, "every": e.Every, "due": string(e.Due), "created": string(e.Created), "rotated": string(e.Rotated),
		"current": e.current.text(), "pending": e.pending.text(), "previous": e.previous.text(), "seal": e.seal,
	}
	for _, name := range secretArguments() {
		put(body, name, values[name])
	}
}

func (b *box) text() string {
	if b == nil {
		return ""
	}
	return strconv.Itoa(b.number) + ":" + b.sealed
}

// put sets a text, where it isn't what stands there. "" takes it away.
func put(body *hclwrite.Body, name, value string) {
	at := body.GetAttribute(name)
	switch {
	case value == "":
		body.RemoveAttribute(name)
	case at == nil || literal(at) != value:
		body.SetAttributeValue(name, cty.StringVal(value))
	}
}

// literal is the text of an argument; "" where it is none.
func literal(a *hclwrite.Attribute) string {
	src := a.Expr().BuildTokens(nil).Bytes()
	expr, diags := hclsyntax.ParseExpression(src, "", hcl.InitialPos)
	if diags.HasErrors() {
		return ""
	}
	v, diags := expr.Value(nil)
	if diags.HasErrors() || v.IsNull() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

func (s *Store) writeSeal(body *hclwrite.Body) {
	body.SetAttributeValue("format", cty.NumberIntVal(int64(s.format)))
	body.SetAttributeValue("generation", cty.NumberIntVal(int64(s.generation)))
	put(body, "key", s.sealedKey)
	to := map[string]cty.Value{}
	for _, r := range s.sealedTo {
		to[r.Name] = cty.StringVal(r.Key)
	}
	if a := body.GetAttribute("recipients"); a == nil || !sameObject(a, to) {
		body.SetAttributeValue("recipients", cty.ObjectVal(to))
	}
	if want := s.lineageValue(); len(s.lineage) > 0 && !sameTuple(body.GetAttribute("lineage"), want) {
		body.SetAttributeValue("lineage", want)
	}
	put(body, "mac", s.mac)
	s.writeLeft(body)
}

// writeLeft makes the blocks of those who left anew where they are others.
func (s *Store) writeLeft(body *hclwrite.Body) {
	have := map[string]*hclwrite.Block{}
	for _, b := range body.Blocks() {
		if a := b.Body().GetAttribute("key"); a != nil && b.Type() == "left" {
			have[literal(a)] = b
		}
	}
	for _, d := range s.left {
		b, ok := have[d.Key]
		delete(have, d.Key)
		if !ok {
			b = body.AppendNewBlock("left", []string{d.Name})
		}
		put(b.Body(), "key", d.Key)
		put(b.Body(), "date", string(d.Date))
		seen := map[string]cty.Value{}
		for name, number := range d.Seen {
			seen[name] = cty.NumberIntVal(int64(number))
		}
		if a := b.Body().GetAttribute("seen"); a == nil || !sameObject(a, seen) {
			b.Body().SetAttributeRaw("seen", lines(seen))
		}
	}
	for _, b := range have {
		body.RemoveBlock(b)
	}
}

// sameTuple reports whether an argument, which may be nil, is a list of strings.
func sameTuple(a *hclwrite.Attribute, want cty.Value) bool {
	if a == nil {
		return false
	}
	expr, diags := hclsyntax.ParseExpression(a.Expr().BuildTokens(nil).Bytes(), "", hcl.InitialPos)
	if diags.HasErrors() {
		return false
	}
	v, diags := expr.Value(nil)
	return !diags.HasErrors() && v.RawEquals(want)
}

func sameObject(a *hclwrite.Attribute, want map[string]cty.Value) bool {
	expr, diags := hclsyntax.ParseExpression(a.Expr().BuildTokens(nil).Bytes(), "", hcl.InitialPos)
	if diags.HasErrors() {
		return false
	}
	v, diags := expr.Value(nil)
	if diags.HasErrors() || v.IsNull() || !v.Type().IsObjectType() {
		return false
	}
	return maps.EqualFunc(v.AsValueMap(), want, func(a, b cty.Value) bool { return a.RawEquals(b) })
}

// lines writes an object with a line for each of its values, so that a secret that was
// rotated takes one line away.
func lines(m map[string]cty.Value) hclwrite.Tokens {
	var attrs []hclwrite.ObjectAttrTokens
	for _, name := range slices.Sorted(maps.Keys(m)) {
		attrs = append(attrs, hclwrite.ObjectAttrTokens{Name: hclwrite.TokensForValue(cty.StringVal(name)), Value: hclwrite.TokensForValue(m[name])})
	}
	return hclwrite.TokensForObject(attrs)
}
