package lang

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/hclguard"
	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/files"
	"muster/internal/lang/plays"
	"muster/modules"
)

// stateText is the play of StatePhase: the label is the secret's name.
const stateText = `play {
  hosts  = [%s]
  become = true
  task "rotation_state" %q {
    note = rotation.note
  }
}
`

var rotationPhases = []string{"accept", "consumers", "verify", "retire"}

// rotation reads rotation "NAME" { … }.
func (l *loader) rotation(u *plays.Unit, b *hclsyntax.Block) {
	if !l.labels(b, 1, `rotation "NAME"`) {
		return
	}
	r := &plays.Rotation{Name: b.Labels[0], Range: header(b), Applies: map[string]string{}}
	l.rotationNamed(b)
	for _, other := range l.p.Rotations {
		if other.Name == r.Name {
			l.errorAt(b.LabelRanges[0], "Duplicate rotation", "", "Rotation %q is declared at %s already.", r.Name, diag.Place(other.Range))
			return
		}
	}
	a := l.attributes(b.Body, "a rotation", []string{"secret", "every", "grace", "strategy", "accounts"}, append([]string{"generate"}, rotationPhases...))
	l.p.Rotations = append(l.p.Rotations, r)
	l.rotatedSecret(r, a["secret"])
	l.every(r, a["every"])
	if text := l.constString(a["grace"]); text != "" {
		var d modules.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			l.errorAt(a["grace"].Expr.Range(), "Wrong value", `grace = "1h"`, "%s.", diag.Capital(err.Error()))
		}
		r.Grace = time.Duration(d)
		l.graceInTime(r, a["grace"])
	}
	l.strategy(r, a["strategy"], a["accounts"])
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
				l.errorAt(header(inner), "Duplicate block", "", "The rotation has %s at %s already.", name, diag.Place(first))
				continue
			}
			seen[name] = header(inner)
			if word == "accept" {
				l.acceptsNew(r, inner)
			}
			if word == "generate" {
				l.generate(u, r, inner)
			} else {
				l.phase(u, r, inner, name)
			}
		}
	}
	l.complete(u, r, seen)
}

// acceptsNew warns of tasks that make no new value valid, since none reads it.
func (l *loader) acceptsNew(r *plays.Rotation, b *hclsyntax.Block) {
	reads := false
	_ = hclsyntax.VisitAll(b.Body, func(n hclsyntax.Node) hcl.Diagnostics {
		if t, ok := n.(*hclsyntax.ScopeTraversalExpr); ok {
			name := t.Traversal.RootName()
			reads = reads || name == "secret" || name == "local" || name == "rotation" && len(t.Traversal) > 1 && isAttribute(t.Traversal[1], "new")
		}
		return nil
	})
	if !reads && hasBlock(b, "task") && !hasBlock(b, "role") {
		l.diags = append(l.diags, diag.Warning(header(b), "Unused value", "rotation.new", "No task in here reads the new value of %s: nothing makes it valid.", r.Secret))
	}
}

func isAttribute(t hcl.Traverser, name string) bool {
	a, ok := t.(hcl.TraverseAttr)
	return ok && a.Name == name
}

// hasBlock reports whether a block has one of a type in it, at any depth.
func hasBlock(b *hclsyntax.Block, what string) bool {
	return slices.ContainsFunc(b.Body.Blocks, func(inner *hclsyntax.Block) bool { return inner.Type == what || hasBlock(inner, what) })
}

// complete reports what a rotation lacks, and reads the play that keeps its step.
func (l *loader) complete(u *plays.Unit, r *plays.Rotation, seen map[string]hcl.Range) {
	if _, ok := seen["accept"]; !ok {
		l.errorAt(r.Range, "Missing block", "accept { hosts = […] … }", "A rotation needs a block \"accept\": the tasks that make the new value valid.")
		return
	}
	_, retires := seen["retire"]
	switch {
	case r.Strategy == plays.Alternate && r.Generate.Type != "" && r.Generate.Type != plays.Password:
		l.errorAt(seen["generate"], "Conflicting arguments", "", "With the strategy \"alternate\" a value is ACCOUNT:PASSWORD: its type is a password.")
	case r.Strategy == plays.Cutover && retires:
		l.errorAt(seen["retire"], "Conflicting blocks", "", "With the strategy \"cutover\" the old value is no longer valid once the new one is accepted: there is nothing to retire.")
	case r.Strategy == plays.Cutover && r.Grace > 0:
		l.errorAt(r.Range, "Conflicting arguments", "", "With the strategy \"cutover\" the old value is no longer valid once the new one is accepted: leave out grace.")
	case r.Strategy != plays.Cutover && !retires:
		l.errorAt(r.Range, "Missing block", "retire { hosts = […] … }", "Both values are valid while a rotation is open: it needs a block \"retire\" with the tasks that end the old one, or strategy = \"cutover\" where the new one takes its place at once.")
	}
	if ph := l.o.Phase; ph == nil || ph.Rotation != r.Name || ph.Name != plays.StatePhase || len(r.Accept) == 0 {
		return
	}
	hosts := r.Accept[:1]
	if l.o.Phase.Hosts != nil {
		hosts = l.o.Phase.Hosts
	}
	quoted := make([]string, 0, len(hosts))
	for _, h := range hosts {
		quoted = append(quoted, strconv.Quote(h))
	}
	f, diags := hclguard.Parse("rotation "+r.Name, fmt.Appendf(nil, stateText, strings.Join(quoted, ", "), r.Secret))
	if diags.HasErrors() {
		l.diags = append(l.diags, diags...)
		return
	}
	l.playOf(u, f.Body.(*hclsyntax.Body).Blocks[0], r.Name+": "+plays.StatePhase)
}

// every reads how often a rotation is due.
func (l *loader) every(r *plays.Rotation, a *hclsyntax.Attribute) {
	text := l.constString(a)
	if text == "" {
		return
	}
	if !everyForm.MatchString(text) {
		l.errorAt(a.Expr.Range(), "Wrong value", `every = "30d"`, "A rotation is due every so many days or weeks.")
		return
	}
	r.Every = text
}

// strategy reads the strategy, and the accounts that belong to it.
func (l *loader) strategy(r *plays.Rotation, a, accounts *hclsyntax.Attribute) {
	all := []string{plays.Dual, plays.Alternate, plays.Cutover}
	r.Strategy, r.StrategyRange = l.constString(a), r.Range
	if a != nil {
		r.StrategyRange = a.Expr.Range()
	}
	switch {
	case a == nil:
		r.Strategy = plays.Dual
	case r.Strategy != "" && !slices.Contains(all, r.Strategy):
		l.errorAt(a.Expr.Range(), "Wrong value", diag.DidYouMean(r.Strategy, all), "A rotation's strategy is \"dual\", where both values are valid until the old one is retired, \"alternate\", where two accounts have values in turn, or \"cutover\", where the new one takes the old one's place at once.")
	}
	if accounts == nil {
		if r.Strategy == plays.Alternate {
			l.errorAt(r.Range, "Missing argument", `accounts = ["app_a", "app_b"]`, "With the strategy \"alternate\" two accounts have values in turn: name them.")
		}
		return
	}
	if r.Strategy != plays.Alternate && r.Strategy != "" {
		l.errorAt(accounts.NameRange, "Conflicting arguments", `strategy = "alternate"`, "Accounts belong to the strategy \"alternate\", in which they have values in turn.")
		return
	}
	v, diags := accounts.Expr.Value(nil)
	list, _ := eval.Plain(v).([]any)
	for _, e := range list {
		if name, ok := e.(string); ok && accountForm.MatchString(name) && !slices.Contains(r.Accounts, name) {
			r.Accounts = append(r.Accounts, name)
		}
	}
	if diags.HasErrors() || len(list) != 2 || len(r.Accounts) != 2 {
		l.errorAt(accounts.Expr.Range(), "Wrong value", `accounts = ["app_a", "app_b"]`, "Accounts are the names of two, without a \":\", which ends them in the value.")
	}
}

var (
	everyForm   = regexp.MustCompile(`^[1-9][0-9]{0,4}[dw]$`)
	accountForm = regexp.MustCompile(`^[^:[:space:][:cntrl:]]+$`)
)

// rotatedSecret reads the name of the secret, which has to be one of the store's own.
func (l *loader) rotatedSecret(r *plays.Rotation, a *hclsyntax.Attribute) {
	if a == nil {
		l.errorAt(r.Range, "Missing argument", `secret = "mysql/app"`, "A rotation needs the name of the secret that it changes.")
		return
	}
	r.Secret = l.constString(a)
	if l.ownSecret(a, r.Secret) {
		l.NoteReads(&plays.Reads{Secrets: []string{r.Secret}})
	}
}

// ownSecret reports a name that isn't of one of the store's secrets.
func (l *loader) ownSecret(a *hclsyntax.Attribute, name string) (ok bool) {
	switch {
	case name == "":
	case l.o.Secrets == nil:
		l.errorAt(a.Expr.Range(), "No secret store", "Name it in muster.hcl: secrets = \"secrets/….hcl\"", "The project has no store that this secret could come from.")
	case !l.SecretNames[name]:
		if p, ok := l.o.Secrets.(interface{ Partial() bool }); !ok || !p.Partial() {
			l.errorAt(a.Expr.Range(), "Unknown secret", diag.DidYouMean(name, slices.Sorted(maps.Keys(l.SecretNames))), "The secret store has no %q. \"muster secret set %s\" adds it.", name, name)
		}
	default:
		return true
	}
	return false
}

// phase reads a phase: tasks, or the playbook that is applied.
func (l *loader) phase(u *plays.Unit, r *plays.Rotation, b *hclsyntax.Block, name string) {
	r.Phases = append(r.Phases, name)
	if x := b.Body.Attributes["apply"]; x != nil && b.Type == "consumers" {
		l.attributes(b.Body, name, []string{"apply"}, nil)
		path := l.constString(x)
		f := l.files.At(u.Dir, path)
		if _, err := l.files.Source(f); err != nil {
			l.errorAt(x.Expr.Range(), "No such file", "", "%s. Paths are relative to the file they stand in.", diag.Capital(files.PlainError(err).Error()))
		}
		r.Applies[name] = filepath.Clean(f.Path)
		return
	}
	if ph := l.o.Phase; ph != nil && (ph.Rotation != r.Name || ph.Name != name) {
		if b.Type == "accept" && ph.Rotation == r.Name { // its hosts are asked for
			r.Accept = l.hostsOf(u, b)
		}
		return
	}
	p := l.playOf(u, b, r.Name+": "+name)
	for _, h := range p.Hosts {
		r.Hosts = plays.AddName(r.Hosts, h)
	}
	switch b.Type {
	case "accept":
		r.Accept = p.Hosts
		l.keepsBoth(r, p)
	case "retire":
		l.retiresAll(r, p, header(b))
	}
}

// hostsOf are the hosts of a phase whose tasks aren't read.
func (l *loader) hostsOf(u *plays.Unit, b *hclsyntax.Block) []string {
	if b.Body.Attributes["hosts"] == nil {
		return nil
	}
	p := &plays.Play{Name: l.rotating.Name + ": " + b.Type, Unit: u, HostSet: map[string]bool{}, OfRotation: true}
	l.playHosts(u, p, b.Body.Attributes["hosts"])
	return p.Hosts
}
