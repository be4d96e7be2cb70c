package lang

import (
	"maps"
	"slices"
	"sync"

	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
)

// known is what names in expressions mean, and notes which of them are read.
type known struct {
	secrets plays.Secrets
	fleet   *plays.Inventory
	facts   cty.Type
	plays   func() []*plays.Play // those that are read already

	functionNames, fileFunctions, secretNames map[string]bool

	readMu    sync.Mutex // of what expressions read: a run may still come to a template
	factNames []string
	anyFacts  bool

	secretsNoted []string
	anySecret    bool

	varsRead map[string]bool // vars of hosts
	anyVars  bool
}

// newKnown is what the names of a playbook mean that is read with options.
func newKnown(o *plays.Options, fleet *plays.Inventory, plays func() []*plays.Play) *known {
	k := &known{secrets: o.Secrets, fleet: fleet, facts: o.Facts, plays: plays, secretNames: map[string]bool{},
		functionNames: map[string]bool{}, fileFunctions: map[string]bool{}, varsRead: map[string]bool{}}
	if k.facts == cty.NilType {
		k.facts = cty.DynamicPseudoType
	}
	for _, name := range funcs.Names() {
		k.functionNames[name] = true
	}
	for _, f := range funcs.Files(funcs.Project{}) {
		k.fileFunctions[f.Name] = f.Name != "basename" && f.Name != "dirname"
	}
	if o.Secrets != nil {
		for _, name := range o.Secrets.Names() {
			k.secretNames[name] = true
		}
	}
	return k
}

// noteReads remembers which facts are read, so that only those need gathering, and
// which secrets.
func (k *known) noteReads(r *plays.Reads) {
	k.readMu.Lock()
	defer k.readMu.Unlock()
	k.anyFacts = k.anyFacts || r.AllFacts
	for _, name := range r.FactNames {
		k.factNames = plays.AddName(k.factNames, name)
	}
	k.anySecret = k.anySecret || r.AllSecrets
	for _, name := range r.Secrets {
		k.secretsNoted = plays.AddName(k.secretsNoted, name)
	}
}

// secretsRead returns the names of the secrets that are read; of all where any may be.
func (k *known) secretsRead() []string {
	if k.anySecret {
		return slices.Sorted(maps.Keys(k.secretNames))
	}
	return append([]string(nil), k.secretsNoted...)
}

// factsRead returns the names of the facts that are read; nil for any.
func (k *known) factsRead() []string {
	if k.anyFacts {
		return nil
	}
	return append([]string{}, k.factNames...)
}

// noteVars remembers which vars of hosts an expression reads.
func (k *known) noteVars(names []string, all bool) {
	if len(names) == 0 && !all {
		return
	}
	k.readMu.Lock()
	defer k.readMu.Unlock()
	k.anyVars = k.anyVars || all
	for _, name := range names {
		k.varsRead[name] = true
	}
}

// readsVar reports whether a var of a host is read of that name, or any may be.
func (k *known) readsVar(name string) bool {
	k.readMu.Lock()
	defer k.readMu.Unlock()
	return k.anyVars || k.varsRead[name]
}

// varNames are the names of the vars of hosts that are read.
func (k *known) varNames() []string {
	k.readMu.Lock()
	defer k.readMu.Unlock()
	return slices.Sorted(maps.Keys(k.varsRead))
}
