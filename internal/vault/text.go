package vault

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// Text is the file with a digest in the place of each value, and without seals: what
// people compare. A digest is keyed, belongs to one secret's name, and stays the same
// when the value is sealed anew with the same data key.
func (s *Store) Text() ([]byte, error) {
	if s.keys == nil {
		return nil, ErrLocked
	}
	f, diags := hclwrite.ParseConfig(s.src, s.Path, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	for _, b := range f.Body().Blocks() {
		switch b.Type() {
		case "seal":
			b.Body().RemoveAttribute("mac")
			b.Body().RemoveAttribute("lineage")
			b.Body().SetAttributeValue("key", cty.StringVal(s.keys.sum(s.keys.digests, "key", s.sealedKey)[:digestSize]))
		case "secret":
			name := b.Labels()[0]
			b.Body().RemoveAttribute("seal")
			e := s.entries[name]
			for part, box := range map[string]*box{"current": e.current, "pending": e.pending, "previous": e.previous} {
				if box == nil {
					continue
				}
				value, err := s.keys.open(name, box)
				if err != nil {
					return nil, problem("Value can't be opened", err.Error(), e.Range)
				}
				digest := *box
				digest.sealed = s.keys.sum(s.keys.digests, "value", name, value)[:digestSize]
				b.Body().SetAttributeValue(part, cty.StringVal(digest.text()))
			}
		}
	}
	return hclwrite.Format(f.Bytes()), nil
}

// digestSize is how much of a digest is shown, in characters of 6 bits.
const digestSize = 16
