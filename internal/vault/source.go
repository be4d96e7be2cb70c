package vault

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/secret"
)

// source is a program that has secrets: a block of the file that people write. It is no
// part of what is sealed, and neither are the secrets that it has: a program that is run
// here can be named by a playbook's inventory, too.
type source struct {
	name      string
	argv      []string // "%s" in it is the secret's id
	timeout   time.Duration
	firstLine bool // of what it prints only that is the value
	at, whole hcl.Range
}

// external is a secret that a program has.
type external struct {
	Meta
	name, from, id string
	at, whole      hcl.Range
}

// askTimeout is how long a program may take where its block doesn't say.
const askTimeout = 30 * time.Second

func (r *reader) source(b *hclsyntax.Block) {
	if b.Labels[0] != "program" {
		r.fail(b.LabelRanges[0], "Unknown source", "Secrets come from a source \"program\", and there is no %q.", b.Labels[0])
		return
	}
	r.noBlocks(b, "")
	values, at := r.texts(b, "argv", "timeout", "first_line")
	x := &source{name: b.Labels[1], timeout: askTimeout, at: b.DefRange(), whole: b.Range()}
	if other, ok := r.s.sources[x.name]; ok {
		r.fail(x.at, "Duplicate source", "There is a source %q in line %d already.", x.name, other.at.Start.Line)
		return
	}
	if text, ok := values["timeout"]; ok {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > time.Hour {
			r.fail(at["timeout"], "Wrong time", "%q is no time to wait: write it as \"10s\" or \"2m\", of at most an hour.", text)
		}
		x.timeout = d
	}
	if a, ok := b.Body.Attributes["first_line"]; ok {
		v, diags := a.Expr.Value(nil)
		if diags.HasErrors() || v.IsNull() || v.Type() != cty.Bool {
			r.fail(a.Expr.Range(), "Wrong type", "\"first_line\" is true or false.")
		} else {
			x.firstLine = v.True()
		}
	}
	a, ok := b.Body.Attributes["argv"]
	if !ok {
		r.fail(b.TypeRange, "No program", "A source has argv: the program and its arguments, in which \"%%s\" is the secret's id.")
		return
	}
	x.argv = r.words(a)
	r.s.sources[x.name] = x
}

// words reads a list of strings.
func (r *reader) words(a *hclsyntax.Attribute) []string {
	v, diags := a.Expr.Value(nil)
	r.diags = append(r.diags, diags...)
	if diags.HasErrors() {
		return nil
	}
	var list []string
	if !v.IsNull() && v.Type().IsTupleType() {
		for _, word := range v.AsValueSlice() {
			if word.IsNull() || word.Type() != cty.String || strings.Contains(word.AsString(), "\x00") {
				list = nil
				break
			}
			list = append(list, word.AsString())
		}
	}
	if len(list) == 0 || list[0] == "" {
		r.fail(a.Expr.Range(), "Wrong type", "%q takes a list of strings: a program and its arguments.", a.Name)
	}
	return list
}

func (r *reader) external(b *hclsyntax.Block) {
	r.noBlocks(b, "")
	values, _ := r.texts(b, "from", "id", "description", "owner")
	x := &external{name: b.Labels[0], from: values["from"], id: values["id"], at: b.DefRange(), whole: b.Range()}
	x.Description, x.Owner = values["description"], values["owner"]
	if x.id == "" {
		x.id = x.name
	}
	if err := ValidName(x.name); err != nil {
		r.fail(b.LabelRanges[0], "Wrong name", "%s.", err)
		return
	}
	if other, ok := r.s.Info(x.name); ok {
		r.fail(x.at, "Duplicate secret", "There is a secret %q in line %d already.", x.name, other.Range.Start.Line)
		return
	}
	r.s.elsewhere[x.name] = x
}

func (r *reader) checkSources() {
	for _, name := range slices.Sorted(maps.Keys(r.s.elsewhere)) {
		if x := r.s.elsewhere[name]; r.s.sources[x.from] == nil {
			r.fail(x.at, "Unknown source", "There is no source %q in this file.", x.from)
		}
	}
}

// onlyElsewhere reports whether nothing of the store is sealed.
func (s *Store) onlyElsewhere() bool {
	return len(s.sources) > 0 && len(s.entries)+len(s.recipients) == 0
}

// Sealed reports whether the store has anything that an identity has to open.
func (s *Store) Sealed() bool { return s.format != 0 }

// Ask asks the program that has a secret. It is run in the store's folder, without standard
// input, and killed with what it has started when its time is over. One line break at the end
// is no part of the value.
func (s *Store) Ask(ctx context.Context, name string) (secret.String, error) {
	x, ok := s.elsewhere[name]
	if !ok {
		return secret.String{}, fmt.Errorf("%q: %w", name, ErrNotFound)
	}
	from := s.sources[x.from]
	ctx, cancel := context.WithTimeout(ctx, from.timeout)
	defer cancel()
	argv := make([]string, len(from.argv))
	for i, word := range from.argv {
		argv[i] = word
		if i > 0 {
			argv[i] = strings.ReplaceAll(word, "%s", x.id)
		}
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = filepath.Dir(s.Path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out, said bounded
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return secret.String{}, fmt.Errorf("asking %s for %q: it took more than %s", argv[0], x.id, from.timeout)
	case err != nil:
		why := ""
		if lines := strings.Fields(said.String()); len(lines) > 0 {
			why = ": " + strings.Join(lines, " ")
		}
		return secret.String{}, fmt.Errorf("asking %s for %q: %w%s", argv[0], x.id, err, why[:min(len(why), 500)])
	}
	text := out.String()
	if from.firstLine {
		text, _, _ = strings.Cut(text, "\n")
	}
	value := secret.New(strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"))
	if err := CheckValue(value); err != nil {
		return secret.String{}, fmt.Errorf("asking %s for %q: %w", argv[0], x.id, err)
	}
	return value, nil
}

// bounded keeps what a program prints, up to a little more than a value may have.
type bounded struct{ kept bytes.Buffer }

func (b *bounded) String() string { return b.kept.String() }

func (b *bounded) Write(p []byte) (int, error) {
	if left := MaxValue + 3 - b.kept.Len(); left > 0 {
		b.kept.Write(p[:min(len(p), left)])
	}
	return len(p), nil
}

// elsewhere brings over what the other side has changed of sources, and of the secrets that
// they have. Added is what is to stand at the file's end.
func (m *merge) elsewhere(replace func(from, to int, text []byte)) (added []byte, err error) {
	base, to, from := m.base.handwritten(), m.to.handwritten(), m.from.handwritten()
	var names []string
	for name := range from {
		names = append(names, name)
	}
	for name := range base {
		if _, ok := from[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	clash := &ConflictError{}
	for _, name := range names {
		b, t, f := m.base.slice(base[name]), m.to.slice(to[name]), m.from.slice(from[name])
		switch at := to[name]; {
		case bytes.Equal(f, b) || bytes.Equal(f, t):
		case !bytes.Equal(t, b) && !m.decided:
			clash.Names = append(clash.Names, name)
		case !bytes.Equal(t, b) && !m.take:
		case t == nil:
			added = append(append(append(added, '\n'), f...), '\n')
		default:
			replace(lead(m.to.src, at.Start.Byte), at.End.Byte, f)
		}
	}
	if clash.Names != nil {
		return nil, clash
	}
	return added, nil
}

// handwritten are the blocks of sources, and of secrets that they have.
func (s *Store) handwritten() map[string]hcl.Range {
	m := map[string]hcl.Range{}
	for name, x := range s.sources {
		m["source "+name] = x.whole
	}
	for name, x := range s.elsewhere {
		m[name] = x.whole
	}
	return m
}

// slice is a block's text with the comments right above it; nil where there is none.
func (s *Store) slice(at hcl.Range) []byte {
	if at.Start.Line == 0 {
		return nil
	}
	return s.src[lead(s.src, at.Start.Byte):at.End.Byte]
}
