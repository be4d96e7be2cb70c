package eval

import (
	"slices"
	"sync"

	"muster/secret"
)

// knownSecrets are the secrets that were read, by their values: what a task is made of is
// told by the values in it.
type knownSecrets struct {
	mu     sync.Mutex
	byText map[string][]string // what Evaluated.Made has, by the value
}

// note keeps that a secret's value was read.
func (k *knownSecrets) note(name string, value secret.String) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byText == nil {
		k.byText = map[string][]string{}
	}
	made := madeOf(name, value)
	if text := value.Reveal(); !slices.Contains(k.byText[text], made) {
		k.byText[text] = append(k.byText[text], made)
	}
}

// madeOf tells a secret's value, as Evaluated.Made does.
func madeOf(name string, value secret.String) string { return name + " " + secret.Digest(name, value) }

// made says of which values of secrets the texts that a task is made of are.
func (p *Playbook) made(texts []string) (list []string) {
	if len(texts) == 0 {
		return nil
	}
	p.known.mu.Lock()
	defer p.known.mu.Unlock()
	for _, text := range texts {
		for _, made := range p.known.byText[text] {
			if !slices.Contains(list, made) {
				list = append(list, made)
			}
		}
	}
	slices.Sort(list)
	return list
}
