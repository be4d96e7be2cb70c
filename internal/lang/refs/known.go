package refs

import (
	"maps"
	"slices"
	"sync"

	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
)

// Known is what names in expressions mean, and notes which of them are read.
type Known struct {
	secrets plays.Secrets
	Fleet   *plays.Inventory
	Facts   cty.Type
	earlier func() []*plays.Play // those that are read already

	functionNames, fileFunctions, SecretNames map[string]bool

	readMu    sync.Mutex // of what expressions read: a run may still come to a template
	factNames []string
	anyFacts  bool

	secretsNoted []string
	anySecret    bool

	varsRead map[string]bool // vars of hosts
	anyVars  bool
}

// NewKnown is what the names of a playbook mean that is read with options.
func NewKnown(o *plays.Options, fleet *plays.Inventory, earlier func() []*plays.Play) *Known {
	k := &Known{secrets: o.Secrets, Fleet: fleet, Facts: o.Facts, earlier: earlier, SecretNames: map[string]bool{},
		functionNames: map[string]bool{}, fileFunctions: map[string]bool{}, varsRead: map[string]bool{}}
	if k.Facts == cty.NilType {
		k.Facts = cty.DynamicPseudoType
	}
	for _, name := range funcs.Names() {
		k.functionNames[name] = true
	}
	for _, f := range funcs.Files(funcs.Project{}) {
		k.fileFunctions[f.Name] = f.Name != "basename" && f.Name != "dirname"
	}
	if o.Secrets != nil {
		for _, name := range o.Secrets.Names() {
			k.SecretNames[name] = true
		}
	}
	return k
}

// NoteReads remembers which facts are read, so that only those need gathering, and
// which secrets.
func (k *Known) NoteReads(r *plays.Reads) {
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

// SecretsRead returns the names of the secrets that are read; of all where any may be.
func (k *Known) SecretsRead() []string {
	if k.anySecret {
		return slices.Sorted(maps.Keys(k.SecretNames))
	}
	return append([]string(nil), k.secretsNoted...)
}

// FactsRead returns the names of the facts that are read; nil for any.
func (k *Known) FactsRead() []string {
	if k.anyFacts {
		return nil
	}
	return append([]string{}, k.factNames...)
}

// NoteVars remembers which vars of hosts an expression reads.
func (k *Known) NoteVars(names []string, all bool) {
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

// ReadsVar reports whether a var of a host is read of that name, or any may be.
func (k *Known) ReadsVar(name string) bool {
	k.readMu.Lock()
	defer k.readMu.Unlock()
	return k.anyVars || k.varsRead[name]
}

// VarNames are the names of the vars of hosts that are read.
func (k *Known) VarNames() []string {
	k.readMu.Lock()
	defer k.readMu.Unlock()
	return slices.Sorted(maps.Keys(k.varsRead))
}
