// Package eval evaluates a playbook for one host of one play: which instances a task has
// there, whether it runs, and the arguments that modules.Decode takes.
//
// It depends on no inventory, transport or store: it is told of the fleet and of secrets
// through plays.Options, and of facts and earlier tasks' results through Results.
package eval

import (
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/files"
	"muster/internal/lang/plays"
	"muster/internal/lang/refs"
)

// Playbook is a playbook that has been read and found free of errors, or,
// beside errors, as much of it as could be read. It is safe for concurrent use.
type Playbook struct {
	File      string
	Plays     []*plays.Play // those of included playbooks stand where they are included
	Variables []*plays.Variable
	// Sources is every file read as text (HCL, templates, what file() read),
	// by the name that ranges give, for diagnostics and saved plans.
	Sources map[string][]byte
	// Facts is the names of the facts that expressions read of hosts, sorted:
	// {"os"} for host.facts.os.id. It is nil where any may be read.
	Facts []string
	// Secrets is the names of the secrets that expressions read, sorted; of all, where
	// a name is computed.
	Secrets []string
	// Rotations are those that the file declares. They aren't among Plays.
	Rotations []*plays.Rotation

	Options   *plays.Options
	Inventory *plays.Inventory
	Reader    *files.Reader

	Known     *refs.Known // what is read, and what names mean in templates
	templates *templates
	Units     []*plays.Unit // the playbook and those it includes
	Rendering []*plays.Task // those with a template
	Failed    bool          // it has errors

	templatesNoted sync.Once

	base     *hcl.EvalContext                // pure functions
	contexts contexts                        // and those that read files, by folder
	allHosts map[string]map[string]cty.Value // what the inventory says of each
	known    knownSecrets
}

// Jinja warns of what looks like Jinja in the templates that have been looked at.
func (p *Playbook) Jinja() hcl.Diagnostics { return p.templates.jinja() }
