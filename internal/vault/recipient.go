package vault

import (
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/hashicorp/hcl/v2"
)

// Recipient is somebody who can open the store.
type Recipient struct {
	Name  string
	Key   string // "age1…", "ssh-ed25519 …" or "ssh-rsa …", without a comment
	Range hcl.Range
	whole hcl.Range // its block; none of one that isn't in the file yet
}

// NewRecipient checks a recipient. An SSH key's comment is left out.
func NewRecipient(name, key string) (Recipient, error) {
	r := Recipient{Name: name, Key: strings.TrimSpace(key)}
	if strings.HasPrefix(r.Key, "ssh-") {
		words := strings.Fields(r.Key)
		r.Key = strings.Join(words[:min(len(words), 2)], " ")
	}
	if ok := strings.TrimSpace(name) == name && name != "" && len(name) < 200 && !strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }); !ok {
		return r, fmt.Errorf("%q is no name for a recipient", name)
	}
	_, err := r.parse()
	return r, err
}

func (r Recipient) parse() (age.Recipient, error) {
	var parsed age.Recipient
	var err error
	switch {
	case strings.HasPrefix(r.Key, "ssh-"):
		parsed, err = agessh.ParseRecipient(r.Key)
	case strings.HasPrefix(r.Key, "age1pq1"):
		parsed, err = age.ParseHybridRecipient(r.Key)
	case strings.HasPrefix(r.Key, "age1"):
		parsed, err = age.ParseX25519Recipient(r.Key)
	case strings.HasPrefix(r.Key, "AGE-SECRET-KEY-") || strings.Contains(r.Key, "PRIVATE KEY"):
		return nil, fmt.Errorf("the key of %s is a private one: take it out of the file and make another; its public half begins with \"age1\" or \"ssh-\"", r.Name)
	default:
		return nil, fmt.Errorf("the key of %s is none that can be sealed to: it begins with \"age1\", \"ssh-ed25519\" or \"ssh-rsa\"", r.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("the key of %s: %w", r.Name, err)
	}
	return parsed, nil
}

// Changed compares the recipients in the file with those that it is sealed to: who
// is to join, and who is to leave. Somebody with another key leaves with the old one
// and joins with the new one.
func (s *Store) Changed() (join, leave []Recipient) {
	return without(s.recipients, s.sealedTo), without(s.sealedTo, s.recipients)
}

// without are those of a list whose keys aren't in another.
func without(list, other []Recipient) []Recipient {
	var rest []Recipient
	for _, r := range list {
		if !slices.ContainsFunc(other, func(o Recipient) bool { return o.Key == r.Key && o.Name == r.Name }) {
			rest = append(rest, r)
		}
	}
	return rest
}

// sortRecipients puts recipients into the order in which they are summed.
func sortRecipients(list []Recipient) {
	slices.SortFunc(list, func(a, b Recipient) int { return strings.Compare(a.Name, b.Name) })
}
