// Package rotation keeps how far the rotation of a secret is on the host that accepts it.
package rotation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kind of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "rotation_state", Internal: true, Output: Note{}, New: func() modules.Module { return &State{} }}}
}

// State notes on a host how far a rotation is, so that two people who have different
// stores, or rotate at the same time, don't undo what the other does. Playbooks can't use
// it: "muster rotate" does.
type State struct {
	// The rotation's name.
	Name string `arg:"name,key,required"`
	// What is about to be done, or "done".
	Step string `arg:"step,required"`
	// The generation of the store that this is about.
	Generation int `arg:"generation,required"`
	// Who rotates.
	By string `arg:"by,required"`
}

// Note is what is noted.
type Note struct {
	Step       string `json:"step"`
	Generation int    `json:"generation"`
	By         string `json:"by"`
	Since      string `json:"since"` // of the step, RFC 3339
}

// Done is the step of a rotation that is over.
const Done = "done"

// stale is how long somebody else's step counts as being in hand.
const stale = 15 * time.Minute

const (
	dir   = "/var/lib/muster/rotations"
	limit = 4096
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Check refuses what can't be a file's name.
func (s *State) Check(unknown func(string) bool) []modules.ArgError {
	if !nameForm.MatchString(s.Name) && !unknown("name") {
		return []modules.ArgError{{Arg: "name", Summary: "Wrong value", Detail: fmt.Sprintf("%q is no name for a rotation: it is made of letters, digits, \".\", \"_\" and \"-\".", s.Name)}}
	}
	return nil
}

func (s *State) path() string { return filepath.Join(dir, s.Name+".json") }

// May is the note.
func (s *State) May() []host.Effect {
	if s.Name == "" {
		return []host.Effect{host.Begins(host.Files, dir)}
	}
	return effects(s.path())
}

func effects(path string) []host.Effect {
	return []host.Effect{host.Open(host.Files, path), {Key: host.File(dir), State: host.Possible}, {Key: host.File(filepath.Dir(dir)), State: host.Possible}}
}

// Plan compares what is noted with what is to be.
func (s *State) Plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	data, err := v.ReadFile(ctx, s.path(), limit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return plan, err
	}
	now := read(data)
	if err := s.newer(now); err != nil {
		return plan, err
	}
	if now.Step == s.Step && now.Generation == s.Generation && now.By == s.By {
		plan.Output = data
		return plan, nil
	}
	plan.Changes = []host.Change{&Keep{Path: s.path(), Note: Note{Step: s.Step, Generation: s.Generation, By: s.By}, From: string(data)}}
	return plan, nil
}

// read is a note as it was written; what can't be read is as if it weren't there.
func read(data []byte) (n Note) {
	if len(data) == 0 || json.Unmarshal(data, &n) != nil {
		return Note{}
	}
	return n
}

// newer is an error where the host knows of a later state of the store.
func (s *State) newer(now Note) error {
	if now.Generation > s.Generation {
		return fmt.Errorf("%s has rotated this with a later store (generation %d, and this one is %d): get that from the repository first; nothing is changed here", now.By, now.Generation, s.Generation)
	}
	return nil
}

// Keep writes the note.
type Keep struct {
	Path string `json:"path"`
	Note Note   `json:"note"`
	From string `json:"from"` // what is there
}

// Type is "rotation.keep/1".
func (*Keep) Type() string { return "rotation.keep/1" }

// Describe names the step.
func (c *Keep) Describe() host.Description {
	return host.Description{Action: host.Update, Target: "rotation " + filepath.Base(c.Path[:len(c.Path)-len(".json")]), Impact: c.Note.Step}
}

// Effects is the note.
func (c *Keep) Effects() []host.Effect { return effects(c.Path) }

// Apply writes the note, unless somebody else is at it.
func (c *Keep) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	data, err := os.ReadFile(c.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return host.Result{}, err
	}
	now := read(data)
	at, _ := time.Parse(time.RFC3339, now.Since)
	switch {
	case string(data) != c.From:
		return host.Result{}, host.ErrMoved
	case now.By != c.Note.By && now.Step != "" && now.Step != Done && time.Since(at) < stale:
		return host.Result{}, fmt.Errorf("%s is rotating this since %s (%s): it can be gone on with %d minutes after that", now.By, now.Since, now.Step, int(stale.Minutes()))
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	d, err := host.MakeDirs(filepath.Dir(c.Path), 0o700)
	if err != nil {
		return host.Result{}, err
	}
	d.Close()
	n := c.Note
	n.Since = time.Now().UTC().Format(time.RFC3339)
	text, err := json.Marshal(n)
	if err != nil {
		return host.Result{}, err
	}
	return host.Result{}, host.Put(c.Path, text, 0o600)
}
