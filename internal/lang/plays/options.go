package plays

import (
	"errors"
	"io/fs"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/modules"
	"muster/secret"
)

// Fleet is what playbooks may know of the inventory.
type Fleet struct {
	Hosts []Host // in inventory order
	// Bastions are in no group, and in no loop over hosts: a play or an expression names them.
	Bastions []Host
	Groups   map[string][]string // names of hosts, in inventory order; "all" included
	// Match turns patterns into host names, in inventory order. The text of
	// its error is shown as it is. nil: only "all" and plain names match.
	Match func(patterns []string) ([]string, error)
	// Partial: there may be hosts, groups and vars that this doesn't know, because
	// no source was asked, or one couldn't be read. Names that are unknown are then
	// no mistake, and what depends on who there is isn't known.
	Partial bool
}

// Host is a host as the inventory describes it.
type Host struct {
	Name, Address string
	Groups        []string
	Vars          map[string]cty.Value // group and host vars, merged
}

// VarSource is a variable's value given outside the playbook.
type VarSource struct {
	Name string
	// Value is the value; cty.NilVal where it comes as Text, which a variable
	// of a type other than string reads as an HCL expression.
	Value  cty.Value
	Text   string
	Origin string     // for messages: "--var", "MUSTER_VAR_image", "prod.vars.hcl:3"
	Range  *hcl.Range // where it stands in a file, nil elsewhere
	// Optional values may name a variable that doesn't exist (the environment).
	Optional bool

	Expr hclsyntax.Expression // of Value, where it stands in a file
}

// Secrets is the store behind secret["NAME"]. One that has a method Partial() bool which
// returns true couldn't be read: any name may be in it.
type Secrets interface {
	// Names returns every secret's name, for checks and hints.
	Names() []string
	// Open returns the names of those that have more than one valid version.
	Open() []string
	// Versions returns a secret's values that are valid, and which the host is to use.
	Versions(host, name string) (SecretVersions, error)
}

// ErrLater is an error of Secrets.Versions for a secret that can't be read yet, and can
// later: a task that needs it has failed, which is tolerated.
var ErrLater = errors.New("it comes later")

// Options is what a playbook is read against. The zero value of each field is
// "none".
type Options struct {
	Kinds         *modules.Registry
	Fleet         *Fleet   // nil: one host, localhost
	Root          string   // the project's folder: Root/roles has its roles
	Reads         []string // what muster reads of the project, by its path from there: no task keeps copies in it
	EmbeddedRoles fs.FS    // NAME/role.hcl, for names that Root/roles lacks
	Vars          []VarSource
	Secrets       Secrets
	Facts         cty.Type // of host.facts; cty.NilType: anything
	// Place returns where the file of an absolute path in the playbook lies, when
	// the files of a saved plan were laid elsewhere; nil: at that path.
	Place func(name string) string
	// RequireValues makes a variable without a value an error (plan, apply);
	// otherwise it is unknown (validate).
	RequireValues bool
	// Phase chooses a part of a rotation; nil: the playbook's plays.
	Phase *Phase
	// Try are values of secrets, by name, that the checks are to be made with: where a task
	// can't carry one, that is among what is wrong with the playbook.
	Try map[string]secret.String
}

// SecretVersions are the values of a secret that are valid, newest first, and which of
// them a host is to use. Outside of a rotation there is one.
type SecretVersions struct {
	Valid []secret.String
	Use   int // an index into Valid
	// Only: what was made with another of them doesn't agree. What lets values in still keeps
	// all of them: in a part of a rotation the other one is valid until it is retired.
	Only bool
	// Ending are so many of Valid, from the last on, that are about to be retired: hosts may
	// have ended them already, and may know that they count no more.
	Ending int
}
