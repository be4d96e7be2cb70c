package lang

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// expr is an expression with what it reads.
type expr struct {
	hclsyntax.Expression
	reads *reads
	bad   bool // it has been reported: nothing is said of its value
}

// reads is what an expression reads, so that only that has to be at hand when
// it is evaluated. It is never changed once it is made.
type reads struct {
	vars, locals []string
	host, facts  bool // of the play's host: what the inventory says; facts
	onHost       bool
	groups, each bool
	self         bool
	rotation     bool
	rotated      []string // what is read of it
	hosts        []string // other hosts named
	allHosts     bool     // hosts, by a name that is computed
	hostFacts    bool     // of hosts: their facts too
	tasks        []taskRead
	roles        []roleRead
	secrets      []string
	allSecrets   bool
	factNames    []string
	allFacts     bool
	calls        bool       // functions, which need a context
	files        bool       // functions that read files
	bare         []bareName // of a template: what its vars must have
}

type bareName struct {
	name    string
	at      hcl.Range
	guarded bool
}

var readsNothing = &reads{}

func (r *reads) constant() bool { return r == readsNothing }
