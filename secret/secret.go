// Package secret keeps secrets from being shown.
package secret

import (
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Hidden is what stands where a secret would.
const Hidden = "(sensitive)"

// String is a secret that never prints itself, whatever verb or encoder is used.
type String struct{ value string }

// New returns the secret s.
func New(s string) String { return String{s} }

// Reveal returns the secret itself: for the one place that needs it.
func (s String) Reveal() string { return s.value }

// String returns Hidden.
func (String) String() string { return Hidden }

// GoString returns Hidden.
func (String) GoString() string { return Hidden }

// MarshalText returns Hidden: a secret is never encoded by accident.
func (String) MarshalText() ([]byte, error) { return []byte(Hidden), nil }

// Redactor removes known secrets from text. It is safe for concurrent use; its
// zero value knows none.
type Redactor struct {
	mu       sync.RWMutex
	known    map[string]bool
	replacer *strings.Replacer
}

// minLength is the length, in bytes, under which a secret can't be told from
// ordinary text, so that hiding it would only garble what is shown.
const minLength = 4

// Add makes the redactor know secrets. Those that span lines are also known
// line by line, since that is how programs print them.
func (r *Redactor) Add(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	grown := false
	for _, s := range secrets {
		for _, part := range append(strings.Split(s, "\n"), s) {
			part = strings.TrimSpace(part)
			if len(part) < minLength || r.known[part] {
				continue
			}
			if r.known == nil {
				r.known = map[string]bool{}
			}
			r.known[part], grown = true, true
		}
	}
	if !grown {
		return
	}
	list := make([]string, 0, len(r.known))
	for s := range r.known {
		list = append(list, s)
	}
	// The longest first, so that a secret that begins with another goes whole.
	sort.Slice(list, func(i, j int) bool {
		if len(list[i]) != len(list[j]) {
			return len(list[i]) > len(list[j])
		}
		return list[i] < list[j]
	})
	pairs := make([]string, 0, 2*len(list))
	for _, s := range list {
		pairs = append(pairs, s, Hidden)
	}
	r.replacer = strings.NewReplacer(pairs...)
}

// Known returns the secrets that the redactor hides, in no order.
func (r *Redactor) Known() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Keys(r.known))
}

// Redact returns text with every known secret replaced by Hidden.
func (r *Redactor) Redact(text string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.replacer == nil {
		return text
	}
	return r.replacer.Replace(text)
}
