package plays

import (
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/keypair"
	"muster/secret"
)

// Rotation is how a secret is changed where it is used, as a rotation block says.
type Rotation struct {
	Name   string
	Secret string
	Range  hcl.Range
	Every  string        // how often: "30d"; "" where nothing is said
	Grace  time.Duration // from the last consumer's proof until the old value is retired
	// Strategy is Dual, Alternate or Cutover.
	Strategy      string
	StrategyRange hcl.Range // where that is said; the header where it isn't
	// Accounts are the two that have the value in turn, of Alternate.
	Accounts []string
	Generate Generate
	Accept   []string // the hosts that accept the value, in order
	Hosts    []string // those of all its own parts
	// Phases are the names of those with tasks, in the order in which they are made:
	// "accept", "consumers NAME", "verify", "retire".
	Phases []string
	// Applies are the playbooks that are applied for a phase, by its name.
	Applies map[string]string
}

// The strategies of rotations.
const (
	Dual      = "dual"      // both values are valid until the old one is retired
	Alternate = "alternate" // two accounts have values in turn: a value is ACCOUNT:PASSWORD
	Cutover   = "cutover"   // the old value is no longer valid once the new one is accepted
)

// Phase chooses one part of a rotation: its tasks are the playbook's only play.
type Phase struct {
	Rotation string
	Name     string // as in Rotation.Phases, or StatePhase
	// Hosts are those of StatePhase; nil: the first that accepts the value.
	Hosts []string
	// State is what its expressions read as rotation.NAME.
	State RotationState
}

// StatePhase is the phase that keeps a rotation's step on hosts.
const StatePhase = "state"

// RotationState is what the tasks of a rotation read as rotation.NAME.
type RotationState struct {
	New, Old secret.String
	// Note is what StatePhase keeps, as JSON.
	Note string
}

// ValueType is a sort of value that can be made.
type ValueType string

// The sorts of values.
const (
	Password       ValueType = "password" // random characters
	SSHKey         ValueType = "ssh_key"
	CertificateKey ValueType = "certificate" // a certificate with its key
)

// ValueTypes lists the sorts of values.
func ValueTypes() []string {
	return []string{string(Password), string(SSHKey), string(CertificateKey)}
}

// Generate says how a new value is made.
type Generate struct {
	Type ValueType // "": a password

	// Of a password.
	Length     int      // 0: 32
	Characters []string // of which classes; nil: letters and digits

	// Of an SSH key.
	Comment string // "": the secret's name

	// Of a certificate.
	CommonName string
	Names      []string
	Days       int    // 0: keypair.DefaultDays
	Authority  bool   // it signs others
	CA         string // the secret of the authority that signs it; "" for its own key
}

// Options lists what can be said of a sort of value.
func (t ValueType) Options() []string {
	switch t {
	case SSHKey:
		return []string{"comment"}
	case CertificateKey:
		return []string{"common_name", "names", "days", "authority", "ca"}
	}
	return []string{"length", "characters"}
}

// Request is what a certificate is to say, but for its issuer.
func (g Generate) Request() keypair.Request {
	return keypair.Request{CommonName: g.CommonName, Names: g.Names, Days: g.Days, Authority: g.Authority}
}

// Interval is how long it is from one rotation to when the next is due; 0 where nothing is said.
func (r *Rotation) Interval() time.Duration {
	if r.Every == "" {
		return 0
	}
	n, _ := strconv.Atoi(r.Every[:len(r.Every)-1])
	if strings.HasSuffix(r.Every, "w") {
		n *= 7
	}
	return time.Duration(n) * 24 * time.Hour
}
