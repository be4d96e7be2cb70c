package modulestest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"muster/host"
	"muster/modules"
)

// note is an honest kind, a file that holds a text; its fields below the arguments
// are how it lies.
type note struct {
	Path string `arg:"path,key,path,required"`
	Text string `arg:"text"`

	plans   func(n *note, v *host.View) error      // besides
	settled func(n *note, v *host.View) bool       // what it takes for nothing left to do
	alters  func(c *write)                         // the change, once planned
	effects func(c *write) []host.Effect           // in place of the honest ones
	shows   func(d *host.Description)              // of the honest description
	begins  func(c *write, u host.Undo) *host.Undo // nil: doesn't call Begin
	applies func(c *write, h *host.Host) error     // in place of the honest edit
	output  func() string
	atomic  bool
}

func (n *note) May() []host.Effect {
	return []host.Effect{host.Open(host.Files, n.Path), host.Begins(host.Files, n.Path+"."), host.Open(host.Files, n.Path+".done")}
}

func (n *note) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if n.plans != nil {
		if err := n.plans(n, v); err != nil {
			return modules.Plan{}, err
		}
	}
	if n.settled != nil && n.settled(n, v) {
		return modules.Plan{}, nil
	}
	changes, err := v.Rewrite(ctx, n.Path, func(string) (string, error) { return n.Text, nil })
	if err != nil {
		return modules.Plan{}, err
	}
	p := modules.Plan{Atomic: n.atomic}
	if n.output != nil {
		p.Output = json.RawMessage(fmt.Sprintf("%q", n.output()))
	}
	for _, c := range changes {
		w := &write{WriteFile: *c.(*host.WriteFile), note: n}
		if n.alters != nil {
			n.alters(w)
		}
		p.Changes = append(p.Changes, w)
	}
	return p, nil
}

// write is the note's change.
type write struct {
	host.WriteFile
	Mark string `json:"mark,omitempty"`
	note *note
}

func (*write) Type() string { return "note.write/1" }

func (w *write) Describe() host.Description {
	d := w.WriteFile.Describe()
	if w.note.shows != nil {
		w.note.shows(&d)
	}
	return d
}

func (w *write) Effects() []host.Effect {
	if w.note.effects != nil {
		return w.note.effects(w)
	}
	return w.WriteFile.Effects()
}

func (w *write) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	if w.note.applies != nil {
		return host.Result{}, w.note.applies(w, h)
	}
	own := *h
	own.Undo = func(u host.Undo) error {
		told := &u
		if w.note.begins != nil {
			told = w.note.begins(w, u)
		}
		if told == nil {
			return nil
		}
		return h.Begin(*told)
	}
	return w.WriteFile.Apply(ctx, &own)
}

// elsewhere is outside of every case's folder.
var elsewhere = filepath.Join(os.TempDir(), "muster-lie")

const secretText = "correct horse/battery"

// lies is the table: every lie, and an honest kind.
func lies() []lie {
	is := func(n note) func() modules.Module { return func() modules.Module { m := n; return &m } }
	file := func(path, text string) func() {
		return func() { _ = os.WriteFile(path, []byte(text), 0o644) }
	}
	hidden := "-- hidden --\n" + secretText + "\n"
	tells := func(form func(string) string) func() modules.Module {
		return is(note{shows: func(d *host.Description) { d.Impact = "uses " + form(secretText) + " for it" }})
	}
	return []lie{
		{name: "honest", kind: is(note{}), before: "old"},
		{name: "honest_new", kind: is(note{})},
		{name: "honest_atomic", kind: is(note{atomic: true}), before: "old", extra: hidden},

		{name: "writes_beside_while_planning", says: "planning has touched the host", kind: is(note{plans: func(n *note, _ *host.View) error {
			file(n.Path+".seen", "x")()
			return nil
		}})},
		{name: "writes_elsewhere_while_planning", says: "planning has altered " + elsewhere, kind: is(note{plans: func(*note, *host.View) error {
			defer os.Remove(elsewhere)
			file(elsewhere, "x")()
			return nil
		}})},
		{name: "has_a_program_write_while_planning", says: "planning has altered " + elsewhere, kind: is(note{plans: func(_ *note, v *host.View) error {
			_, err := v.Query(context.Background(), host.Command{Argv: []string{"sh", "-c", "date +%N > " + elsewhere}})
			return err
		}})},
		{name: "reads_past_its_view", says: "file.conf past the view", kind: is(note{plans: func(n *note, _ *host.View) error {
			_, _ = os.ReadFile(n.Path + ".conf")
			return nil
		}})},
		{name: "reads_elsewhere_past_its_view", says: "planning has looked at /etc/fstab past the view", kind: is(note{plans: func(*note, *host.View) error {
			_, _ = os.Stat("/etc/fstab")
			return nil
		}})},
		{name: "queries_without_a_key", says: "none of its query's keys names", before: "old", kind: is(note{plans: func(n *note, v *host.View) error {
			_, err := v.Query(context.Background(), host.Command{Argv: []string{"cat", n.Path + ".conf"}})
			return err
		}})},
		{name: "queries_elsewhere_without_a_key", says: "none of its query's keys names", kind: is(note{plans: func(_ *note, v *host.View) error {
			_, err := v.Query(context.Background(), host.Command{Argv: []string{"sh", "-c", "cat /etc/fstab || true"}})
			return err
		}})},
		{name: "queries_with_a_key", before: "old", kind: is(note{plans: func(n *note, v *host.View) error {
			_, err := v.Query(context.Background(), host.Command{Argv: []string{"cat", n.Path + ".conf"}}, host.File(n.Path+".conf"))
			if errors.Is(err, host.ErrNotYet) {
				return nil
			}
			return err
		}})},
		{name: "random_field", says: "its changes are encoded in two ways", kind: is(note{alters: func(c *write) { c.Mark = rand.Text() }})},
		{name: "clock_in_field", says: "its changes are encoded in two ways", kind: is(note{alters: func(c *write) { c.Mark = time.Now().Format(time.TimeOnly) }})},
		{name: "unstable_output", says: "planned twice on one host, it is", before: "written by a kind", extra: "-- changes --\n",
			kind: is(note{output: rand.Text})},
		{name: "unstable_description", says: "planned twice on one host, it is", kind: is(note{shows: func(d *host.Description) { d.Impact = rand.Text() }})},

		{name: "no_effect", says: "which none of its effects names", kind: is(note{effects: func(*write) []host.Effect { return nil }})},
		{name: "effect_elsewhere", says: "its effects don't tell", kind: is(note{effects: func(c *write) []host.Effect {
			return []host.Effect{host.Is(host.File(c.Path+"x"), c.After)}
		}})},
		{name: "effect_of_another_mode", says: "has the mode 0600, but it has 0644", kind: is(note{effects: func(c *write) []host.Effect {
			after := c.After
			after.Mode = 0o600
			return []host.Effect{host.Is(host.File(c.Path), after)}
		}})},
		{name: "effect_of_other_content", says: "has the content", kind: is(note{alters: func(c *write) {
			c.Content = host.ContentOf([]byte("other\n"), false)
		}})},
		{name: "effect_absent", says: "its effects don't tell", kind: is(note{effects: func(c *write) []host.Effect {
			return []host.Effect{host.Gone(host.File(c.Path))}
		}})},
		{name: "backup_without_effect", says: "which none of its effects names", before: "old", kind: is(note{
			alters:  func(c *write) { c.Backup = true },
			effects: func(c *write) []host.Effect { return c.WriteFile.Effects()[:1] },
		})},
		{name: "unsettled_on_its_own_preview", says: "planned on what it leaves itself", before: "old", kind: is(note{effects: func(c *write) []host.Effect {
			after := c.After
			after.Sum, after.Size = c.Before.Sum, c.Before.Size
			return []host.Effect{host.Is(host.File(c.Path), after)}
		}})},
		{name: "writes_elsewhere", says: "which none of its effects names", kind: is(note{applies: func(c *write, h *host.Host) error {
			_, err := c.WriteFile.Apply(context.Background(), h)
			file(c.Path+".log", "x")()
			return err
		}})},

		{name: "writes_elsewhere_on_the_host", says: "it has changed " + elsewhere, kind: is(note{applies: func(c *write, h *host.Host) error {
			_, err := c.WriteFile.Apply(context.Background(), h)
			file(elsewhere, rand.Text())()
			return err
		}})},
		{name: "notes_that_it_is_done_before_it_is", says: "the next run ends in", kind: is(note{
			settled: func(n *note, v *host.View) bool {
				info, err := v.Lstat(n.Path + ".done")
				return err == nil && info.Exists()
			},
			effects: func(c *write) []host.Effect {
				return append(c.WriteFile.Effects(), host.Is(host.File(c.Path+".done"), host.FileInfo{Type: host.Regular, Mode: 0o644}))
			},
			applies: func(c *write, h *host.Host) error {
				file(c.Path+".done", "")()
				h.Step = nil // it names no point
				_, err := c.WriteFile.Apply(context.Background(), h)
				return err
			},
		})},
		{name: "leaves_something_temporary_where_it_is_cut", says: "the next run ends in", kind: is(note{effects: func(c *write) []host.Effect {
			return append(c.WriteFile.Effects(), host.Begins(host.Files, c.Path+"."))
		}, applies: func(c *write, h *host.Host) error {
			tmp := c.Path + "." + rand.Text()
			file(tmp, c.note.Text)()
			if err := h.Begin(host.Undo{Changes: []host.Change{&host.Remove{Path: c.Path, Before: c.After}}}); err != nil {
				return err
			}
			return os.Rename(tmp, c.Path)
		}})},

		{name: "says_create", says: "it says that it will create", before: "old", action: "create", kind: is(note{shows: func(d *host.Description) { d.Action = host.Create }})},
		{name: "says_update", says: "it says that it will update", action: "update", kind: is(note{shows: func(d *host.Description) { d.Action = host.Update }})},
		{name: "says_delete", says: "it says that it will delete", before: "old", action: "delete", kind: is(note{shows: func(d *host.Description) { d.Action = host.Delete }})},
		{name: "says_another_target", says: "where it has changed nothing", extra: "-- changes --\ncreate $ROOT/filex\n", kind: is(note{shows: func(d *host.Description) { d.Target += "x" }})},
		{name: "shows_another_diff", says: "but it has made", before: "old", kind: is(note{shows: func(d *host.Description) { d.Diff = "@@ -1 +1 @@\n-old\n+new" }})},
		{name: "shows_another_mode", says: "whose mode was", before: "old", kind: is(note{shows: func(d *host.Description) { d.Diff = "mode: 0644 → 0600" }})},

		{name: "tells_a_secret", says: "holds the secret", extra: hidden, kind: tells(func(s string) string { return s })},
		{name: "tells_a_secret_as_hex", says: "as hex", extra: hidden, kind: tells(func(s string) string { return hex.EncodeToString([]byte(s)) })},
		{name: "tells_a_secret_as_base64", says: "as base64", extra: hidden, kind: tells(func(s string) string { return base64.StdEncoding.EncodeToString([]byte("user:" + s + "!")) })},
		{name: "tells_a_secret_in_a_url", says: "URL-escaped", extra: hidden, kind: tells(url.QueryEscape)},

		{name: "no_undo", says: "without a call of Begin", before: "old", kind: is(note{begins: func(*write, host.Undo) *host.Undo { return nil }})},
		{name: "no_undo_in_an_atomic_plan", says: "tells Begin nothing that takes back", before: "old", kind: is(note{atomic: true, begins: func(*write, host.Undo) *host.Undo { return &host.Undo{} }})},
		{name: "undo_to_other_content", says: "what takes it back leaves", before: "old", kind: is(note{begins: func(c *write, u host.Undo) *host.Undo {
			back := *u.Changes[0].(*host.WriteFile)
			back.Content = host.ContentOf([]byte("other\n"), false)
			return &host.Undo{Changes: []host.Change{&back}}
		}})},
		{name: "undo_that_alters_more", says: "what takes it back leaves", before: "old", kind: is(note{begins: func(c *write, u host.Undo) *host.Undo {
			content := host.ContentOf([]byte("x"), false)
			return &host.Undo{Changes: append(u.Changes, &host.WriteFile{Path: c.Path + ".undone", Content: content})}
		}})},
		{name: "overwrites_a_moved_host", says: "overwritten without a word", before: "old", kind: is(note{applies: func(c *write, h *host.Host) error {
			blind := c.WriteFile
			blind.Before = nil
			_, err := blind.Apply(context.Background(), h)
			return err
		}})},
	}
}
