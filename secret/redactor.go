package secret

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Short is the length, in bytes, under which a secret can't be told from ordinary
// text: hiding it would only garble what is shown.
const Short = 8

// minKnown is the length, in bytes, under which a secret isn't even noted.
const minKnown = 4

// Redactor takes known secrets out of text, however programs write them: as they are,
// broken over lines, escaped as in URLs, JSON, shells or HTML, in hex, and in base64
// wherever in it they begin. It is the last net, behind everything that isn't shown in the first
// place. It is safe for concurrent use; its zero value knows none.
type Redactor struct {
	mu      sync.RWMutex
	known   map[string]effort
	spared  map[string]bool
	needles needles // of those known that are hidden
}

// Add makes the redactor know secrets. Those that span lines are also known
// line by line, since that is how programs print them.
func (r *Redactor) Add(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range secrets {
		whole := strings.TrimSpace(s)
		for _, part := range append(strings.Split(s, "\n"), s) {
			part = strings.TrimSpace(part)
			worth := effortFor(len(whole), part == whole)
			if len(part) < minKnown || r.known[part] >= worth || part != whole && armour(part) {
				continue
			}
			if r.known == nil {
				r.known = map[string]effort{}
			}
			r.known[part] = worth
			if r.hides(part) {
				r.needles.add(part, worth)
			}
		}
	}
}

// effort is in which forms a secret is looked for: what is looked for is kept in memory, in
// each form.
type effort int

const (
	asItIs effort = iota + 1 // also where escapes are undone
	inBase                   // and in base64
	allForms
)

// effortFor is that for a part of a secret: what is larger than a password or a key is a file.
func effortFor(size int, whole bool) effort {
	switch {
	case size <= 4<<10:
		return allForms
	case size <= 64<<10 && whole:
		return inBase
	}
	return asItIs
}

// hides reports whether a secret is hidden; the mutex is held.
func (r *Redactor) hides(s string) bool { return len(s) >= Short && !r.spared[s] }

// armour reports whether a line is one of those around a PEM block, which are no secret.
func armour(line string) bool {
	return strings.HasPrefix(line, "-----BEGIN ") || strings.HasPrefix(line, "-----END ")
}

// Spare has texts stay although they are secrets: names of hosts, users and databases,
// without which nothing that is shown could be understood.
func (r *Redactor) Spare(names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if len(name) < Short || r.spared[name] { // shorter ones stay anyway
			continue
		}
		if r.spared == nil {
			r.spared = map[string]bool{}
		}
		r.spared[name] = true
		if r.known[name] > 0 {
			r.needles = needles{}
			for s, worth := range r.known {
				if r.hides(s) {
					r.needles.add(s, worth)
				}
			}
		}
	}
}

// Spares reports whether a secret stays because Spare has named it.
func (r *Redactor) Spares(s string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.spared[strings.TrimSpace(s)]
}

// Known returns the secrets that were added, in no order: also those that are too short
// to be hidden, or spared.
func (r *Redactor) Known() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Keys(r.known))
}

// maxLayers is how many encodings around one another are looked through, such as JSON in JSON.
const maxLayers = 4

// Redact returns text with every known secret replaced by Hidden. Where a text was cut, which
// "…" shows, what is left there of a secret is replaced, too.
func (r *Redactor) Redact(text string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := &r.needles
	if n.by == nil || len(text) < minPart {
		return text
	}
	v := newView(text)
	list := n.cut(v, n.find(v, nil))
	for range maxLayers {
		next := v.decoded()
		if next == nil {
			break
		}
		v = next
		list = n.find(v, list)
	}
	if list == nil {
		return text
	}
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out strings.Builder
	at := 0
	for i := 0; i < len(list); {
		s := list[i]
		for i++; i < len(list) && list[i].from < s.to; i++ {
			s.to = max(s.to, list[i].to)
		}
		out.WriteString(text[at:s.from])
		out.WriteString(Hidden)
		at = s.to
	}
	out.WriteString(text[at:])
	return out.String()
}
