// Package planfile saves plans and reads them back.
//
// A plan file is one zip archive that holds all a run was read from (the files
// of the playbook, the inventory as it was, variables, facts, pins), what was
// shown, and the digest of each task's changes. It can be applied another day
// and from another machine: Read checks it, Lay writes its files to a folder
// that lang and inventory load like any other, and Compare says what has moved
// on the hosts since.
//
// Nothing sensitive is in it in clear. Values of sensitive variables are not
// in it at all; sensitive files and the key of the digests are sealed with age.
//
// The checksum at a plan file's end finds accidents and careless edits, not
// forgery: like a playbook, a plan file is to be applied only where it comes
// from someone trusted. Reading one is safe wherever it comes from.
package planfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"muster/internal/task"

	"filippo.io/age"
)

// Format is the version of the files that Write writes and Read reads.
const Format = 2

// Plan is a saved plan. Muster, Dir, Playbook, Files and Key are needed to write
// one; the rest may be zero.
type Plan struct {
	Muster  string    // version of the muster that planned
	Created time.Time // when, to the second, UTC
	By      string    // by whom: "ann@laptop"

	// Playbook is the playbook's path as it was given, one of Files; Dir the
	// working directory that relative paths begin in, and Root the project's
	// folder ("" without a project), both absolute.
	Playbook, Dir, Root string
	// Limit, Tags and SkipTags are the flags of these names.
	Limit, Tags, SkipTags []string

	Files     []File
	Inventory [][]byte // the files of inventory.Snapshot; none: localhost alone
	// SealInventory is true where the inventory holds something sensitive.
	SealInventory bool
	Variables     []Variable
	Secrets       []Secret                   // by Name
	Facts         map[string]json.RawMessage // of hosts, by name
	Pins          map[string]string          // what names resolved to
	Tasks         []Task                     // in the order in which they were shown
	Rescues       []Rescue

	// Key is what digests and the sums of variables are keyed with, 32 bytes.
	// Read leaves it nil where it is sealed: see Sealed.
	Key []byte
	// Recipients may open what Write seals. Read leaves it nil.
	Recipients []age.Recipient

	sealed      []byte // what Unseal has still to open
	manifestSum string // of what was sealed with it
	parts       int    // files of a sealed inventory
}

// Secret is a version of a secret that was used. Its value isn't saved.
type Secret struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Rescue is what would be run where a block fails on hosts.
type Rescue struct {
	Play  string   `json:"play"`
	Block string   `json:"block"`
	Hosts []string `json:"hosts"`
	Tasks []string `json:"tasks"` // as references call them
}

// Task is what was planned for one task on one host.
type Task struct {
	task.Place
	task.Planned
}

// The ways in which a file is no plan to go by. Trying again doesn't help.
var (
	// ErrNotPlan is a file that never was a plan.
	ErrNotPlan = errors.New("this is no plan file")
	// ErrCut is a file whose end is missing: a download or a full disk.
	ErrCut = errors.New("the plan file is cut short, or was added to: its end isn't that of a plan; copy it again, or plan again")
	// ErrEdited is a file that isn't as it was written, or was written by
	// something else.
	ErrEdited = errors.New("the plan file was changed since it was written, and isn't used; plan again")
	// ErrSealed is a plan whose key is needed and has not been unsealed.
	ErrSealed = errors.New("the plan is sealed, and has to be opened with an identity first")
)

// VersionError is a plan that another muster wrote.
type VersionError struct {
	Format int    // of the file
	Muster string // that wrote it; "" where the format is another
	Want   string // the version that reads it
}

func (e *VersionError) Error() string {
	if e.Format != Format {
		return fmt.Sprintf("the plan file is of format %d, and this muster reads format %d: apply it with the muster that made it, or plan again", e.Format, Format)
	}
	return fmt.Sprintf("the plan file was made by muster %s, and this is %s, which may plan otherwise: apply it with the muster that made it, or plan again", e.Muster, e.Want)
}

// Sealed reports whether Unseal is needed before Key, Inventory and Files are
// whole.
func (p *Plan) Sealed() bool { return p.sealed != nil }

// sensitive says what in the plan has to be sealed, for messages; "" if
// nothing.
func (p *Plan) sensitive() string {
	for i := range p.Variables {
		if p.Variables[i].Withheld {
			return "the variable " + p.Variables[i].Name
		}
	}
	for i := range p.Files {
		if p.Files[i].Sensitive {
			return "the file " + p.Files[i].Name
		}
	}
	for i := range p.Tasks {
		if p.Tasks[i].Sensitive {
			return fmt.Sprintf("%s on %s", p.Tasks[i].Name, p.Tasks[i].Host)
		}
	}
	switch {
	case len(p.Secrets) > 0:
		return "the secret " + p.Secrets[0].Name
	case p.SealInventory:
		return "the inventory"
	}
	return ""
}
