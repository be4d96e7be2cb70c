package vault

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"muster/secret"
)

// Policy says how a value is made.
type Policy struct {
	Length int
	// Classes are names of sorts of characters: lower, upper, digits, symbols, hex. Each
	// of them is in the value at least once. None: lower, upper and digits.
	Classes []string
	// From are the characters themselves, in the place of classes.
	From string
}

// class returns the characters of a class. Its symbols need no quoting in shells, URLs,
// INI files, YAML or HCL.
func class(name string) string {
	switch name {
	case "lower":
		return "abcdefghijklmnopqrstuvwxyz"
	case "upper":
		return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	case "digits":
		return "0123456789"
	case "symbols":
		return "-_.~"
	case "hex":
		return "0123456789abcdef"
	}
	return ""
}

// Generate makes a random value.
func Generate(p Policy) (secret.String, error) {
	sets := []string{p.From}
	if p.From == "" {
		sets = nil
		if p.Classes == nil {
			p.Classes = []string{"lower", "upper", "digits"}
		}
		for _, name := range p.Classes {
			set := class(name)
			if set == "" {
				return secret.String{}, fmt.Errorf("there are no characters %q: there are lower, upper, digits, symbols and hex", name)
			}
			sets = append(sets, set)
		}
	}
	var all []rune
	for _, set := range sets {
		for _, r := range set {
			if r < ' ' || r == 0x7f || r == '\uFFFD' {
				return secret.String{}, fmt.Errorf("%q is no character for a value", r)
			}
			if !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	switch {
	case len(all) < 2:
		return secret.String{}, fmt.Errorf("a value of %q is no secret: give more characters", string(all))
	case p.Length < 8 || p.Length > 4096:
		return secret.String{}, fmt.Errorf("a length of %d isn't made: from 8 to 4096 is", p.Length)
	}
	for {
		value := make([]rune, p.Length)
		for i := range value {
			n, err := rand.Int(rand.Reader, big.NewInt(int64(len(all))))
			if err != nil {
				return secret.String{}, fmt.Errorf("making a value: %w", err)
			}
			value[i] = all[n.Int64()]
		}
		if p.From != "" || !slices.ContainsFunc(sets, func(set string) bool { return !strings.ContainsAny(string(value), set) }) {
			return secret.New(string(value)), nil
		}
	}
}
