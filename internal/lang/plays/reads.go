package plays

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Expr is an expression with what it reads.
type Expr struct {
	hclsyntax.Expression
	Reads *Reads
	Bad   bool // it has been reported: nothing is said of its value
}

// Reads is what an expression reads, so that only that has to be at hand when
// it is evaluated. It is never changed once it is made.
type Reads struct {
	Vars, Locals []string
	Host, Facts  bool // of the play's host: what the inventory says; facts
	OnHost       bool
	Groups, Each bool
	Self         bool
	Rotation     bool
	Rotated      []string // what is read of it
	Hosts        []string // other hosts named
	AllHosts     bool     // hosts, by a name that is computed
	HostFacts    bool     // of hosts: their facts too
	Tasks        []TaskRead
	Roles        []RoleRead
	Secrets      []string
	AllSecrets   bool
	FactNames    []string
	AllFacts     bool
	Calls        bool       // functions, which need a context
	Files        bool       // functions that read files
	Bare         []BareName // of a template: what its vars must have
}

// BareName is a name in a template that its vars are to have.
type BareName struct {
	Name    string
	At      hcl.Range
	Guarded bool
}

// ReadsNothing is what constants read.
var ReadsNothing = &Reads{}

// Constant reports whether an expression with these is the same everywhere.
func (r *Reads) Constant() bool { return r == ReadsNothing }
