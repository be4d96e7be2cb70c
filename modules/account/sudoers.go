package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"muster/host"
	"muster/modules"
)

// sudoersLimit is the size, in bytes, of the largest file of rules.
const sudoersLimit = 1 << 20

// Sudoers is a file of rules in /etc/sudoers.d: who may do what as whom. It is
// always checked with visudo, together with /etc/sudoers and the files beside
// it, while planning and again before it lands: a broken rule never takes sudo
// away. An alias is defined once, in the same file or one that is there before,
// and goes last.
type Sudoers struct {
	// The file's name in /etc/sudoers.d: "deploy". sudo doesn't read files with
	// a dot in their name.
	Name string `arg:"name,key,required"`
	// The rules, a line each: "deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart app".
	Rules []string `arg:"rules"`
	// The whole file, in place of rules.
	Content *host.Content `arg:"content"`
	// Whether the file is there at all.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// Check refuses names that sudo passes over, and contradictions.
func (s *Sudoers) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: detail})
	}
	if !unknown("name") && (s.Name == "" || strings.ContainsAny(s.Name, "./~ \t\n\x00")) {
		fail("name", "Wrong value", fmt.Sprintf(`%q is no name for a file of rules: sudo passes over names with a "." or "~", and it lies in /etc/sudoers.d.`, s.Name))
	}
	given := s.Rules != nil || s.Content != nil
	switch {
	case s.Rules != nil && s.Content != nil:
		fail("content", "Conflicting arguments", `The rules come from "rules" or from "content", not from both.`)
	case s.State == "absent" && given:
		fail("state", "Conflicting arguments", "A file that is to be absent has no rules.")
	case s.State != "absent" && !given && !unknown("rules") && !unknown("content"):
		fail("rules", "Missing argument", "Give the rules, as a list of lines or as content.")
	}
	for i, r := range s.Rules {
		if strings.ContainsAny(r, "\n\r\x00") {
			errs = append(errs, modules.ArgError{Arg: "rules", Path: fmt.Sprintf("[%d]", i), Summary: "Wrong value", Detail: "A rule is one line: split it, or use content."})
		} else if strings.HasSuffix(r, `\`) && i < len(s.Rules)-1 {
			errs = append(errs, modules.ArgError{Arg: "rules", Path: fmt.Sprintf("[%d]", i), Summary: "Wrong value", Detail: "The backslash at its end makes sudo read the next rule as a part of this one: write them as one, or use content."})
		}
	}
	return errs
}

func (s *Sudoers) path() string { return "/etc/sudoers.d/" + s.Name }

// May is the file.
func (s *Sudoers) May() []host.Effect {
	if s.Name == "" {
		return []host.Effect{host.Open(host.Files, "")}
	}
	return []host.Effect{host.Open(host.Files, s.path())}
}

// Plan compares the file with the rules.
func (s *Sudoers) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	at, err := v.Place(s.path(), false)
	if err != nil {
		return plan, err
	}
	before, err := v.Lstat(at)
	unforeseen := errors.Is(err, host.ErrNotYet)
	switch {
	case errors.Is(err, os.ErrPermission):
		return plan, fmt.Errorf(`reading %s: only root can: give the task "become = true"`, s.path())
	case err != nil && !unforeseen:
		return plan, err
	case before.Exists() && before.Type != host.Regular:
		return plan, fmt.Errorf("%s is a %s, not a file of rules: look at it, and remove it", s.path(), before.Type)
	case s.State == "absent" && unforeseen:
		return plan, err
	}
	if s.State == "absent" {
		if !before.Exists() {
			return plan, nil
		}
		r := &RemoveRules{host.Remove{Path: at, Before: before}}
		plan.Changes = []host.Change{r}
		if err := s.root(plan); err != nil {
			return plan, err
		}
		r.Note, err = checkRules(ctx, v, rules{path: s.path()})
		return plan, err
	}
	content, err := s.content(ctx, v)
	if err != nil {
		return plan, err
	}
	mode := host.Mode(0o440)
	after := host.FileInfo{Type: host.Regular, Mode: mode, Owner: "root", Group: "root", Sum: content.Sum, Size: content.Size, Sensitive: content.Sensitive}
	attr := host.Attr{Mode: &mode, Owner: "root", Group: "root"}
	if before.Exists() {
		if before.Sum, err = v.Sum(at); errors.Is(err, os.ErrPermission) {
			return plan, fmt.Errorf(`reading %s: only root can: give the task "become = true"`, s.path())
		} else if err != nil {
			return plan, err
		}
	}
	switch {
	case before.Sum != content.Sum || !before.Exists():
		w := &WriteRules{host.WriteFile{Path: at, Content: content, Attr: attr, Before: &before, After: after}}
		if unforeseen {
			w.Before, w.Note = nil, "replaces whatever an earlier task brings"
		}
		plan.Changes = []host.Change{w}
		if err := s.root(plan); err != nil {
			return plan, err
		}
		if err := s.directory(v); err != nil {
			return plan, err
		}
		return plan, s.show(ctx, v, w, before)
	case before.Mode != after.Mode || before.Owner != after.Owner || before.Group != after.Group:
		plan.Changes = []host.Change{&host.SetAttr{Path: at, Attr: attr, Before: before, After: after}}
	}
	return plan, s.root(plan)
}

func (s *Sudoers) root(plan modules.Plan) error {
	if len(plan.Changes) > 0 && !host.IsRoot() {
		return fmt.Errorf(`only root can change the rules of sudo: give the task "become = true"`)
	}
	return nil
}

func (s *Sudoers) content(_ context.Context, v *host.View) (host.Content, error) {
	if s.Content != nil {
		return *s.Content, nil
	}
	text := strings.Join(s.Rules, "\n")
	if text != "" {
		text += "\n"
	}
	return v.Keep([]byte(text), false), nil
}

// directory returns an error where sudo isn't, and won't be.
func (s *Sudoers) directory(v *host.View) error {
	info, err := v.Stat(filepath.Dir(s.path()))
	if err == nil && info.Type != host.Directory {
		return errors.New("there is no /etc/sudoers.d on this host: install sudo in an earlier task")
	}
	if errors.Is(err, host.ErrNotYet) {
		return nil
	}
	return err
}

// show checks the rules and adds the diff to the change, and what else visudo
// has to say.
func (s *Sudoers) show(ctx context.Context, v *host.View, w *WriteRules, before host.FileInfo) error {
	body, err := v.Body(ctx, w.Content, sudoersLimit)
	if err != nil {
		return err
	}
	if bytes.IndexByte(body, 0) >= 0 {
		return fmt.Errorf("the rules of %s hold a NUL, where sudo stops reading", s.path())
	}
	note, err := checkRules(ctx, v, rules{path: s.path(), body: body, there: true, sensitive: w.Content.Sensitive})
	if err != nil {
		return err
	}
	if w.Note != "" && note != "" {
		note = "; " + note
	}
	w.Note += note
	w.Diff = "(sensitive content)"
	if w.Content.Sensitive || before.Sensitive {
		return nil
	}
	var old []byte
	if before.Exists() {
		if old, err = v.ReadFile(ctx, w.Path, sudoersLimit); err != nil {
			return err
		}
	}
	w.Diff = host.Diff(old, body)
	return nil
}

// WriteRules writes a file of rules that visudo takes together with those beside it.
type WriteRules struct{ host.WriteFile }

// Type is "account.rules/1".
func (*WriteRules) Type() string { return "account.rules/1" }

// Apply checks the rules beside those that are there by then, and writes them.
func (w *WriteRules) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	body, err := h.Bodies.Read(ctx, w.Content, sudoersLimit)
	if err != nil {
		return host.Result{}, err
	}
	if _, err := os.Stat(visudo); err != nil {
		return host.Result{}, fmt.Errorf("checking %s: %w", w.Path, err)
	}
	if _, err := checkRules(ctx, host.NewView(h, nil), rules{path: w.Path, body: body, there: true, sensitive: w.Content.Sensitive}); err != nil {
		return host.Result{}, err
	}
	return w.WriteFile.Apply(ctx, h)
}

// RemoveRules removes a file of rules that those beside it don't need.
type RemoveRules struct{ host.Remove }

// Type is "account.norules/1".
func (*RemoveRules) Type() string { return "account.norules/1" }

// Apply checks the rules that are left, and removes the file.
func (r *RemoveRules) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	if _, err := checkRules(ctx, host.NewView(h, nil), rules{path: r.Path}); err != nil {
		return host.Result{}, err
	}
	return r.Remove.Apply(ctx, h)
}
