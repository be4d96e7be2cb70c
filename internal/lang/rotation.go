package lang

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/hclguard"
	"muster/internal/lang/funcs"
	"muster/modules"
	"muster/secret"
)

// Rotation is how a secret is changed where it is used, as a rotation block says.
type Rotation struct {
	Name   string
	Secret string
	Range  hcl.Range
	Every  string        // how often: "30d"; "" where nothing is said
	Grace  time.Duration // from the last consumer's proof until the old value is retired
	// Cutover: the old value is no longer valid once the new one is accepted.
	Cutover  bool
	Generate Generate
	Accept   []string // the hosts that accept the value, in order
	// Phases are the names of those with tasks, in the order in which they are made:
	// "accept", "consumers NAME", "verify", "retire".
	Phases []string
	// Applies are the playbooks that are applied for a phase, by its name.
	Applies map[string]string
}

// Generate says how a new value is made.
type Generate struct {
	Length     int      // 0: 32
	Characters []string // of which classes; nil: letters and digits
}

// Phase chooses one part of a rotation: its tasks are the playbook's only play.
type Phase struct {
	Rotation string
	Name     string // as in Rotation.Phases, or StatePhase
	// State is what its expressions read as rotation.NAME.
	State RotationState
}

// StatePhase is the phase that keeps a rotation's step on the first host that accepts it.
const StatePhase = "state"

// RotationState is what the tasks of a rotation read as rotation.NAME.
type RotationState struct {
	New, Old   secret.String
	Step       string
	Generation int    // of the store
	By         string // who rotates
}

// stateText is the play of StatePhase.
const stateText = `play {
  hosts  = [%q]
  become = true
  task "rotation_state" %q {
    step       = rotation.step
    generation = rotation.generation
    by         = rotation.by
  }
}
`

var rotationPhases = []string{"accept", "consumers", "verify", "retire"}

// rotation reads rotation "NAME" { … }.
func (l *loader) rotation(u *unit, b *hclsyntax.Block) {
	if !l.labels(b, 1, `rotation "NAME"`) {
		return
	}
	r := &Rotation{Name: b.Labels[0], Range: header(b), Applies: map[string]string{}}
	for _, other := range l.p.Rotations {
		if other.Name == r.Name {
			l.errorAt(b.LabelRanges[0], "Duplicate rotation", "", "Rotation %q is declared at %s already.", r.Name, place(other.Range))
			return
		}
	}
	a := l.attributes(b.Body, "a rotation", []string{"secret", "every", "grace", "strategy"}, append([]string{"generate"}, rotationPhases...))
	l.p.Rotations = append(l.p.Rotations, r)
	l.rotatedSecret(r, a["secret"])
	r.Every = l.constString(a["every"])
	if text := l.constString(a["grace"]); text != "" {
		var d modules.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			l.errorAt(a["grace"].Expr.Range(), "Wrong value", `grace = "1h"`, "%s.", capital(err.Error()))
		}
		r.Grace = time.Duration(d)
	}
	switch text := l.constString(a["strategy"]); text {
	case "", "dual":
	case "cutover":
		r.Cutover = true
	default:
		l.errorAt(a["strategy"].Expr.Range(), "Wrong value", didYouMean(text, []string{"dual", "cutover"}), "A rotation's strategy is \"dual\", where both values are valid until the old one is retired, or \"cutover\", where the new one takes the old one's place at once.")
	}
	l.rotating = r
	defer func() { l.rotating = nil }()
	seen := map[string]hcl.Range{}
	for _, word := range append([]string{"generate"}, rotationPhases...) {
		for _, inner := range b.Body.Blocks {
			if inner.Type != word {
				continue
			}
			name := word
			if word == "consumers" {
				if !l.labels(inner, 1, `consumers "NAME"`) {
					continue
				}
				name += " " + inner.Labels[0]
			} else if !l.labels(inner, 0, word) {
				continue
			}
			if first, ok := seen[name]; ok {
				l.errorAt(header(inner), "Duplicate block", "", "The rotation has %s at %s already.", name, place(first))
				continue
			}
			seen[name] = header(inner)
			if word == "generate" {
				l.generate(r, inner)
			} else {
				l.phase(u, r, inner, name)
			}
		}
	}
	l.complete(u, r, seen)
}

// complete reports what a rotation lacks, and reads the play that keeps its step.
func (l *loader) complete(u *unit, r *Rotation, seen map[string]hcl.Range) {
	if _, ok := seen["accept"]; !ok {
		l.errorAt(r.Range, "Missing block", "accept { hosts = […] … }", "A rotation needs a block \"accept\": the tasks that make the new value valid.")
		return
	}
	_, retires := seen["retire"]
	switch {
	case r.Cutover && retires:
		l.errorAt(seen["retire"], "Conflicting blocks", "", "With the strategy \"cutover\" the old value is no longer valid once the new one is accepted: there is nothing to retire.")
	case r.Cutover && r.Grace > 0:
		l.errorAt(r.Range, "Conflicting arguments", "", "With the strategy \"cutover\" the old value is no longer valid once the new one is accepted: leave out grace.")
	case !r.Cutover && !retires:
		l.errorAt(r.Range, "Missing block", "retire { hosts = […] … }", "Both values are valid while a rotation is open: it needs a block \"retire\" with the tasks that end the old one, or strategy = \"cutover\" where the new one takes its place at once.")
	}
	if ph := l.o.Phase; ph == nil || ph.Rotation != r.Name || ph.Name != StatePhase || len(r.Accept) == 0 {
		return
	}
	f, diags := hclguard.Parse("rotation "+r.Name, fmt.Appendf(nil, stateText, r.Accept[0], r.Name))
	if diags.HasErrors() {
		l.diags = append(l.diags, diags...)
		return
	}
	l.playOf(u, f.Body.(*hclsyntax.Body).Blocks[0], r.Name+": "+StatePhase)
}

// rotatedSecret reads the name of the secret, which has to be one of the store's own.
func (l *loader) rotatedSecret(r *Rotation, a *hclsyntax.Attribute) {
	if a == nil {
		l.errorAt(r.Range, "Missing argument", `secret = "mysql/app"`, "A rotation needs the name of the secret that it changes.")
		return
	}
	r.Secret = l.constString(a)
	switch {
	case r.Secret == "":
	case l.o.Secrets == nil:
		l.errorAt(a.Expr.Range(), "No secret store", "Name it in muster.hcl: secrets = \"secrets/….hcl\"", "The project has no store that this secret could come from.")
	case !l.secretNames[r.Secret]:
		if p, ok := l.o.Secrets.(interface{ Partial() bool }); !ok || !p.Partial() {
			l.errorAt(a.Expr.Range(), "Unknown secret", didYouMean(r.Secret, sortedKeys(l.secretNames)), "The secret store has no %q. \"muster secret set %s\" adds it.", r.Secret, r.Secret)
		}
	default:
		l.secretsNoted = addName(l.secretsNoted, r.Secret)
	}
}

func (l *loader) generate(r *Rotation, b *hclsyntax.Block) {
	a := l.attributes(b.Body, "generate", []string{"length", "characters"}, nil)
	if x := a["length"]; x != nil {
		v, diags := x.Expr.Value(nil)
		n, whole := int64(0), false
		if !diags.HasErrors() && v.IsKnown() && !v.IsNull() {
			n, whole = plainValue(v).(int64)
		}
		if !whole || n < 8 || n > 4096 {
			l.errorAt(x.Expr.Range(), "Wrong value", "length = 32", "A value's length is a whole number from 8 to 4096.")
		}
		r.Generate.Length = int(n)
	}
	if x := a["characters"]; x != nil {
		v, diags := x.Expr.Value(nil)
		list, ok := plainValue(v).([]any)
		for _, e := range list {
			s, text := e.(string)
			ok = ok && text && isOneOf(s, []string{"lower", "upper", "digits", "symbols", "hex"})
			r.Generate.Characters = append(r.Generate.Characters, s)
		}
		if diags.HasErrors() || !ok || len(list) == 0 {
			l.errorAt(x.Expr.Range(), "Wrong value", `characters = ["lower", "digits"]`, "Characters are a list of lower, upper, digits, symbols and hex.")
		}
	}
}

// phase reads a phase: tasks, or the playbook that is applied.
func (l *loader) phase(u *unit, r *Rotation, b *hclsyntax.Block, name string) {
	r.Phases = append(r.Phases, name)
	if x := b.Body.Attributes["apply"]; x != nil && b.Type == "consumers" {
		l.attributes(b.Body, name, []string{"apply"}, nil)
		path := l.constString(x)
		f := l.files.at(u.dir, path)
		if _, err := l.files.source(f); err != nil {
			l.errorAt(x.Expr.Range(), "No such file", "", "%s. Paths are relative to the file they stand in.", capital(plainPathError(err).Error()))
		}
		r.Applies[name] = filepath.Clean(f.path)
		return
	}
	if ph := l.o.Phase; ph != nil && (ph.Rotation != r.Name || ph.Name != name) {
		if b.Type == "accept" && ph.Rotation == r.Name { // its hosts are asked for
			r.Accept = l.hostsOf(u, b)
		}
		return
	}
	p := l.playOf(u, b, r.Name+": "+name)
	if b.Type == "accept" {
		r.Accept = p.Hosts
	}
}

// hostsOf are the hosts of a phase whose tasks aren't read.
func (l *loader) hostsOf(u *unit, b *hclsyntax.Block) []string {
	if b.Body.Attributes["hosts"] == nil {
		return nil
	}
	p := &Play{unit: u, hosts: map[string]bool{}}
	l.playHosts(u, p, b.Body.Attributes["hosts"])
	return p.Hosts
}

var rotationAttributes = []string{"new", "old", "step", "generation", "by"}

// rotationRead handles rotation.NAME.
func (w *walker) rotationRead(t hcl.Traversal) {
	w.reads.rotation = true
	w.attribute(t, rotationAttributes)
}

// rotationValue is what expressions read as rotation.NAME.
func (b *builder) rotationValue() cty.Value {
	if b.s.checking() || b.s.p.o.Phase == nil {
		hidden := cty.UnknownVal(cty.String).Mark(funcs.Sensitive)
		return cty.ObjectVal(map[string]cty.Value{"new": hidden, "old": hidden, "step": cty.UnknownVal(cty.String), "generation": cty.UnknownVal(cty.Number), "by": cty.UnknownVal(cty.String)})
	}
	st := b.s.p.o.Phase.State
	return cty.ObjectVal(map[string]cty.Value{
		"new": funcs.Hide(cty.StringVal(st.New.Reveal())), "old": funcs.Hide(cty.StringVal(st.Old.Reveal())),
		"step": cty.StringVal(st.Step), "generation": cty.NumberIntVal(int64(st.Generation)), "by": cty.StringVal(st.By),
	})
}
