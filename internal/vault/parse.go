package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"filippo.io/age"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/hclguard"
)

// Read reads what stands in a store in clear, which is enough for names. It checks no seal.
// What is wrong with the file is hcl.Diagnostics.
func Read(path string) (*Store, error) {
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no store %s; \"muster secret init\" makes one", path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the store: %w", err)
	}
	return Parse(path, src)
}

// Parse is Read of a file's content.
func Parse(path string, src []byte) (*Store, error) {
	if d := conflict(path, src); d != nil {
		return nil, d
	}
	if s := parsePlain(path, src); s != nil {
		return s, nil
	}
	return parse(path, src, src)
}

// parse reads a store whose text is src, from a part of it.
func parse(path string, src, part []byte) (*Store, error) {
	f, diags := hclguard.Parse(path, part)
	if diags.HasErrors() {
		return nil, diags
	}
	r := &reader{s: &Store{Path: path, src: src, entries: map[string]*entry{}, sources: map[string]*source{}, elsewhere: map[string]*external{}, now: Today}}
	r.file(f.Body.(*hclsyntax.Body))
	if len(r.diags) > 0 {
		return nil, r.diags
	}
	return r.s, nil
}

// conflict finds the marks that git leaves in a file that it couldn't merge.
func conflict(path string, src []byte) error {
	line := 0
	for text := range bytes.Lines(src) {
		line++
		if bytes.HasPrefix(text, []byte("<<<<<<< ")) || bytes.HasPrefix(text, []byte(">>>>>>> ")) || bytes.HasPrefix(text, []byte("||||||| ")) {
			return problem("Merge conflict", "Git has left both sides of a conflict here. Stores are merged by \"muster secret merge\": \"muster secret init --git\" has git call it, and \"git checkout --merge FILE\" then merges again.",
				hcl.Range{Filename: path, Start: hcl.Pos{Line: line, Column: 1}, End: hcl.Pos{Line: line, Column: 8}})
		}
	}
	return nil
}

// reader reads a store, and collects what is wrong with it.
type reader struct {
	s     *Store
	diags hcl.Diagnostics
}

func (r *reader) fail(at hcl.Range, summary, detail string, args ...any) {
	r.diags = append(r.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: at.Ptr()})
}

func (r *reader) file(body *hclsyntax.Body) {
	for _, a := range body.Attributes {
		r.fail(a.NameRange, "Unknown setting", "A store has blocks \"recipient\", \"seal\", \"secret\" and \"source\", and nothing else.")
	}
	for _, b := range body.Blocks {
		labels := map[string]int{"recipient": 1, "secret": 1, "seal": 0, "source": 2}
		want, ok := labels[b.Type]
		switch {
		case !ok:
			r.fail(b.TypeRange, "Unknown block", "A store has blocks \"recipient\", \"seal\", \"secret\" and \"source\", and no %q.", b.Type)
		case len(b.Labels) != want:
			r.fail(b.TypeRange, "Wrong labels", "It is written: recipient \"NAME\" { … }, secret \"NAME\" { … }, source \"program\" \"NAME\" { … } and seal { … }.")
		case b.Type == "recipient":
			r.recipient(b)
		case b.Type == "secret" && b.Body.Attributes["from"] != nil:
			r.external(b)
		case b.Type == "secret":
			r.secret(b)
		case b.Type == "source":
			r.source(b)
		case r.s.format != 0:
			r.fail(b.TypeRange, "Second seal", "There is a seal in line %d already.", r.s.at.seal.Start.Line)
		default:
			r.seal(b)
		}
	}
	r.checkSources()
	if r.s.format == 0 && len(r.diags) == 0 && !r.s.onlyElsewhere() {
		r.fail(hcl.Range{Filename: r.s.Path, Start: hcl.InitialPos, End: hcl.InitialPos}, "No seal", "This is no store of secrets, or it was cut: it has no block \"seal\". Take it from git again; a new one is made by \"muster secret init\".")
	}
	sortRecipients(r.s.recipients)
}

// texts reads the attributes of a block, which are strings. Others than those named
// are mistakes.
func (r *reader) texts(b *hclsyntax.Block, known ...string) (map[string]string, map[string]hcl.Range) {
	values, at := map[string]string{}, map[string]hcl.Range{}
	for name, a := range b.Body.Attributes {
		if !slices.Contains(known, name) {
			r.fail(a.NameRange, "Unknown argument", "A block %q has %s, and no %q.", b.Type, strings.Join(known, ", "), name)
			continue
		}
		at[name] = a.SrcRange
		if name == "recipients" || name == "lineage" || name == "seen" || name == "argv" || name == "first_line" { // which their own readers take
			continue
		}
		v, diags := a.Expr.Value(nil)
		if diags.HasErrors() {
			r.diags = append(r.diags, diags...)
			continue
		}
		switch {
		case v.IsNull() || !v.IsKnown():
		case v.Type() == cty.String:
			values[name] = v.AsString()
			continue
		case v.Type() == cty.Number:
			values[name] = v.AsBigFloat().Text('f', -1)
			continue
		}
		r.fail(a.Expr.Range(), "Wrong type", "%q takes a string.", name)
	}
	return values, at
}

// noBlocks refuses blocks in a block, but for those of a type.
func (r *reader) noBlocks(b *hclsyntax.Block, but string) {
	for _, inner := range b.Body.Blocks {
		if inner.Type != but {
			r.fail(inner.TypeRange, "Unknown block", "There is no block %q in a block %q.", inner.Type, b.Type)
		}
	}
}

func (r *reader) recipient(b *hclsyntax.Block) {
	r.noBlocks(b, "")
	values, at := r.texts(b, "key")
	key, ok := values["key"]
	if !ok {
		if len(at) == 0 {
			r.fail(b.TypeRange, "No key", "A recipient has a key: the public one of age, or of SSH.")
		}
		return
	}
	one, err := NewRecipient(b.Labels[0], key)
	if err != nil {
		r.fail(b.DefRange(), "Wrong recipient", "This can't be sealed to: %s.", err) // the line itself may be a private key
		return
	}
	one.Range, one.whole = b.DefRange(), b.Range()
	for _, other := range r.s.recipients {
		if other.Name == one.Name || other.Key == one.Key {
			r.fail(one.Range, "Duplicate recipient", "%q in line %d has the same name or key.", other.Name, other.Range.Start.Line)
			return
		}
	}
	r.s.recipients = append(r.s.recipients, one)
}

func (r *reader) seal(b *hclsyntax.Block) {
	r.noBlocks(b, "left")
	values, at := r.texts(b, "format", "generation", "key", "recipients", "lineage", "mac")
	s := r.s
	s.at = ranges{seal: b.DefRange(), mac: at["mac"]}
	s.sealedKey, s.mac = values["key"], values["mac"]
	s.format, s.generation = r.number(values["format"]), r.number(values["generation"])
	if values["format"] != "1" {
		if s.format > format {
			r.fail(at["format"], "Store of a later muster", "This store has the format %d, and this muster knows %d.", s.format, format)
		} else {
			r.fail(b.DefRange(), "Damaged seal", "The seal has no format, or an unknown one. Take the file from git again.")
		}
		s.format = -1
		return
	}
	if s.generation < 1 || s.sealedKey == "" || s.mac == "" {
		r.fail(b.DefRange(), "Damaged seal", "The seal has no generation, key or mac. Take the file from git again.")
	}
	if a, ok := b.Body.Attributes["recipients"]; ok {
		for name, key := range r.object(a) {
			s.sealedTo = append(s.sealedTo, Recipient{Name: name, Key: key})
		}
	}
	sortRecipients(s.sealedTo)
	if a, ok := b.Body.Attributes["lineage"]; ok {
		r.lineageOf(a)
	}
	for _, l := range b.Body.Blocks {
		if l.Type == "left" {
			r.leftBlock(l)
		}
	}
	sortLeft(s.left)
}

func (r *reader) leftBlock(b *hclsyntax.Block) {
	if len(b.Labels) != 1 {
		r.fail(b.TypeRange, "Wrong labels", "It is written: left \"NAME\" { … }.")
		return
	}
	r.noBlocks(b, "")
	values, _ := r.texts(b, "key", "date", "seen")
	d := &Departed{Name: b.Labels[0], Key: values["key"], Date: Date(values["date"]), Seen: map[string]int{}}
	if a, ok := b.Body.Attributes["seen"]; ok {
		for name, number := range r.object(a) {
			d.Seen[name] = r.number(number)
		}
	}
	for _, other := range r.s.left {
		if other.Key == d.Key {
			r.fail(b.DefRange(), "Duplicate block", "%q has the same key.", other.Name)
		}
	}
	r.s.left = append(r.s.left, d)
}

// number reads a number; 0 where it is none that muster writes.
func (r *reader) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || strconv.Itoa(n) != text || n > 1<<31 {
		return 0
	}
	return n
}

// object reads an object of strings or numbers.
func (r *reader) object(a *hclsyntax.Attribute) map[string]string {
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		r.diags = append(r.diags, diags...)
		return nil
	}
	m := map[string]string{}
	if v.IsNull() || !v.IsKnown() || !v.Type().IsObjectType() {
		r.fail(a.Expr.Range(), "Wrong type", "%q takes an object.", a.Name)
		return nil
	}
	for key, v := range v.AsValueMap() {
		switch {
		case v.IsNull() || !v.IsKnown():
			r.fail(a.Expr.Range(), "Wrong type", "%q has no value.", key)
		case v.Type() == cty.String:
			m[key] = v.AsString()
		case v.Type() == cty.Number:
			m[key] = v.AsBigFloat().Text('f', -1)
		default:
			r.fail(a.Expr.Range(), "Wrong type", "%q takes a string.", key)
		}
	}
	return m
}

// secretArguments are what a secret has, in the order in which they are written.
func secretArguments() []string {
	return []string{"description", "owner", "every", "due", "created", "rotated", "current", "pending", "previous", "seal"}
}

func (r *reader) secret(b *hclsyntax.Block) {
	r.noBlocks(b, "")
	values, at := r.texts(b, secretArguments()...)
	e := &entry{Info: Info{Name: b.Labels[0], Range: b.DefRange()}, sealAt: at["seal"], seal: values["seal"], whole: b.Range()}
	if err := ValidName(e.Name); err != nil {
		r.fail(b.LabelRanges[0], "Wrong name", "%s.", err)
		return
	}
	if other, ok := r.s.Info(e.Name); ok {
		r.fail(e.Range, "Duplicate secret", "There is a secret %q in line %d already.", e.Name, other.Range.Start.Line)
		return
	}
	e.Description, e.Owner, e.Every = values["description"], values["owner"], values["every"]
	for name, to := range map[string]*Date{"due": &e.Due, "created": &e.Created, "rotated": &e.Rotated} {
		if text, ok := values[name]; ok {
			d, err := ParseDate(text)
			if err != nil {
				r.fail(at[name], "Wrong date", "%s.", err)
			}
			*to = d
		}
	}
	if e.Every != "" {
		if _, err := parseEvery(e.Every); err != nil {
			r.fail(at["every"], "Wrong interval", "%s.", err)
		}
	}
	for name, to := range map[string]**box{"current": &e.current, "pending": &e.pending, "previous": &e.previous} {
		text, ok := values[name]
		if !ok {
			continue
		}
		number, sealed, _ := strings.Cut(text, ":")
		if *to = (&box{r.number(number), sealed}); (*to).number == 0 || sealed == "" {
			r.fail(at[name], "Damaged value", "A value is a version's number, \":\", and what is sealed. Take the line from git again.")
		}
	}
	if e.current == nil && len(r.diags) == 0 {
		r.fail(e.Range, "No value", "This secret has no value. One is given with: muster secret set %s.", e.Name)
	}
	r.s.entries[e.Name] = e
	r.s.order = append(r.s.order, e.Name)
}

// Unlock opens the store and checks that it is whole. Nothing is opened but the data key.
func (s *Store) Unlock(identities ...age.Identity) error {
	if s.format == 0 {
		return problem("No seal", "Nothing is sealed in this file: all of its secrets come from programs.", hcl.Range{Filename: s.Path, Start: hcl.InitialPos, End: hcl.InitialPos})
	}
	if len(identities) == 0 {
		return problem("No identity", "There is no identity to open the store with. Name the file of one in MUSTER_IDENTITY, or put it at ~/.config/muster/identity; SSH keys in ~/.ssh are tried, too.", s.at.seal)
	}
	k, err := openKey(s.sealedKey, identities)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		var names []string
		for _, r := range s.sealedTo {
			names = append(names, r.Name)
		}
		return &WrongKeyError{problem("Sealed to others", fmt.Sprintf("It is sealed to %s, and none of your identities is one of theirs, or its key was altered. One of them adds you as a recipient and runs \"muster secret rekey\".", strings.Join(names, ", ")), s.at.seal)}
	case err != nil:
		return problem("Damaged seal", fmt.Sprintf("The key of the store can't be opened: %s. Take the file from git again.", err), s.at.seal)
	}
	var diags hcl.Diagnostics
	for _, name := range s.order {
		e := s.entries[name]
		if !same(k.sealOf(e), e.seal) {
			at := e.sealAt
			if at.Start.Line == 0 {
				at = e.Range
			}
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Broken seal", Subject: at.Ptr(),
				Detail: fmt.Sprintf("The block of %q, which begins in line %d, isn't what muster has written: a line of it was edited, or it is another secret's. Take it from git again; what is said of a secret is changed by \"muster secret describe\", and values by \"muster secret set\".", name, e.Range.Start.Line)})
		}
	}
	if len(diags) > 0 {
		return diags
	}
	if !same(k.macOf(s), s.mac) {
		return problem("Broken seal", "The file as a whole isn't what muster has written: secrets were taken out or put in, some are from an older file, the seal's own lines were edited, or the file was merged by hand. Take it from git again; two sides are merged by \"muster secret merge\".", s.at.mac)
	}
	s.keys = k
	return nil
}

// WrongKeyError says that no identity opens a store.
type WrongKeyError struct{ err error }

func (e *WrongKeyError) Error() string { return e.err.Error() }

// Unwrap returns the hcl.Diagnostics.
func (e *WrongKeyError) Unwrap() error { return e.err }
