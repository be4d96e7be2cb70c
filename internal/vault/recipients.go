package vault

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2/hclwrite"
)

// What is done to recipients here is what people do in an editor: the store is sealed to
// them by the next Rekey.

// Join adds a recipient.
func (s *Store) Join(name, key string) error {
	r, err := NewRecipient(name, key)
	if err != nil {
		return err
	}
	for _, other := range s.recipients {
		if other.Name == r.Name || other.Key == r.Key {
			return fmt.Errorf("a recipient %q is there already: it has the name %q, or the key", other.Name, name)
		}
	}
	s.recipients, s.edited = append(s.recipients, r), true
	sortRecipients(s.recipients)
	return nil
}

// Part takes a recipient out.
func (s *Store) Part(name string) error {
	i, err := s.recipient(name)
	if err != nil {
		return err
	}
	if at := s.recipients[i].whole; at.Filename != "" {
		s.gone = append(s.gone, at)
	}
	s.recipients, s.edited = slices.Delete(slices.Clone(s.recipients), i, i+1), true
	return nil
}

// Move gives a recipient another key.
func (s *Store) Move(name, key string) error {
	i, err := s.recipient(name)
	if err != nil {
		return err
	}
	r, err := NewRecipient(name, key)
	if err != nil {
		return err
	}
	for _, other := range s.recipients {
		if other.Name != name && other.Key == r.Key {
			return fmt.Errorf("this is the key of the recipient %q already", other.Name)
		}
	}
	s.recipients, s.edited = slices.Clone(s.recipients), true
	s.recipients[i].Key = r.Key
	return nil
}

func (s *Store) recipient(name string) (int, error) {
	i := slices.IndexFunc(s.recipients, func(r Recipient) bool { return r.Name == name })
	if i < 0 {
		return 0, fmt.Errorf("the file has no recipient %q", name)
	}
	return i, nil
}

// writeRecipients puts the recipients into their blocks, and returns the blocks of those
// who have none.
func (s *Store) writeRecipients(blocks []*hclwrite.Block) (fresh []byte) {
	for _, r := range s.recipients {
		i := slices.IndexFunc(blocks, func(b *hclwrite.Block) bool { return b.Type() == "recipient" && b.Labels()[0] == r.Name })
		if i >= 0 {
			if a := blocks[i].Body().GetAttribute("key"); a == nil || !sameKey(r, literal(a)) {
				put(blocks[i].Body(), "key", r.Key)
			}
			continue
		}
		f := hclwrite.NewEmptyFile()
		put(f.Body().AppendNewBlock("recipient", []string{r.Name}).Body(), "key", r.Key)
		fresh = append(append(fresh, '\n'), hclwrite.Format(f.Bytes())...)
	}
	return fresh
}

// sameKey reports whether a recipient's key is written so: an SSH key's comment stays.
func sameKey(r Recipient, text string) bool {
	other, err := NewRecipient(r.Name, text)
	return err == nil && other.Key == r.Key
}
