// Package rotation keeps how far the rotation of a secret is on the host that accepts it.
package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kind of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "rotation_state", Internal: true, Output: Note{}, New: func() modules.Module { return &State{} }}}
}

// State notes on a host how far the rotation of a secret is, so that two people who have
// different stores, or rotate at the same time, don't undo what the other does. Playbooks
// can't use it: "muster rotate" does.
type State struct {
	// The secret's name.
	Secret string `arg:"secret,key,required"`
	// What is to be noted: a Note, as JSON.
	Note string `arg:"note,required"`

	want Note
}

// Note is what is noted.
type Note struct {
	Secret string `json:"secret"` // its name
	// What is about to be done, or "done".
	Step string `json:"step"`
	// The newest version of the secret that is to be known, and a digest that tells it from
	// another value of that number.
	Version int    `json:"version"`
	Digest  string `json:"digest"`
	// The digest of the store's current value, which is another one than the newest while that
	// is pending.
	Current string `json:"current,omitempty"`
	// The digest of a newer version that counts no more, since whoever made it has given it up.
	GivenUp string `json:"given_up,omitempty"`
	// The digests of values that count no more: what is made with one is refused on this
	// host. See Outdated.
	Retired []string `json:"retired,omitempty"`
	// Which is the strategy: it can't be changed in the middle.
	Strategy string `json:"strategy,omitempty"`
	// The first host that accepts the secret, with its address: it tells two projects apart
	// that have a secret of one name.
	Accepts string `json:"accepts,omitempty"`
	By      string `json:"by"`
	// Grows with each note, so that one of the same step tells that somebody is still at it.
	Turn  int64  `json:"turn"`
	Since string `json:"since,omitempty"` // of the step, RFC 3339
}

// The steps that count here: of a rotation that is about to begin, of one that is being given
// up, and of one that is over.
const (
	Begin = "begin"
	Back  = "back"
	Done  = "done"
)

// stale is how long somebody else's step counts as being in hand after they were heard of
// last. Who is at work is so every few minutes (Renew), and stops where it can't be.
const stale = 15 * time.Minute

const (
	dir   = "/var/lib/muster/rotations"
	limit = 4096
)

// Check reads what is to be noted.
func (s *State) Check(unknown func(string) bool) []modules.ArgError {
	if unknown("note") {
		return nil
	}
	if err := json.Unmarshal([]byte(s.Note), &s.want); err != nil {
		return []modules.ArgError{{Arg: "note", Summary: "Wrong value", Detail: "This is no note of a rotation: " + err.Error() + "."}}
	}
	return nil
}

// path is a file of the secret's own. A name has slashes, and no more than 200 bytes: where
// that makes too long a file name, a sum stands for it.
func (s *State) path() string {
	name := url.PathEscape(s.Secret)
	if len(name) > 200 {
		name = fmt.Sprintf("%x", sha256.Sum256([]byte(s.Secret)))
	}
	return filepath.Join(dir, "secret."+name+".json")
}

// May is the note.
func (s *State) May() []host.Effect {
	if s.Secret == "" {
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
	if err := now.refuses(s.want); err != nil {
		return plan, err
	}
	if now.goesBack(s.want) { // who asked is told by the output, and nothing is noted
		plan.Output = data
		return plan, nil
	}
	want := s.want
	if now.wayBack(want) {
		want.Version, want.Digest, want.GivenUp = now.Version, now.Digest, now.GivenUp
	}
	want.Secret, want.Retired = s.Secret, now.retiredAnd(want)
	same := want
	if same.Since = now.Since; now.Since != "" && reflect.DeepEqual(now, same) {
		plan.Output = data
		return plan, nil
	}
	plan.Changes = []host.Change{&Keep{Path: s.path(), Note: want, From: string(data)}}
	return plan, nil
}

// read is a note as it was written; what can't be read is as if it weren't there.
func read(data []byte) (n Note) {
	if len(data) == 0 || json.Unmarshal(data, &n) != nil {
		return Note{}
	}
	return n
}

// wayBack reports whether a value is given up once more: that was cut off before the store
// has forgotten it. What is known stays, so that the store that has isn't the older one.
func (n Note) wayBack(want Note) bool {
	return want.Step == Back && n.Digest == want.Current && slices.Contains(n.Retired, want.Digest)
}

// goesBack reports whether the value that is to be gone on with is on its way back: there is
// no other way until that is over.
func (n Note) goesBack(want Note) bool {
	return n.Step == Back && n.Version == want.Version && n.Digest == want.Digest && want.Digest != want.Current && want.Step != Back && want.GivenUp == ""
}

// mostRetired is how many values that count no more are kept.
const mostRetired = 20

// retiredAnd is what counts no more, with what another note has, without its newest value.
func (n Note) retiredAnd(want Note) (list []string) {
	for _, d := range slices.Concat(n.Retired, want.Retired) {
		if d != want.Digest && !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list[max(0, len(list)-mostRetired):]
}

// refuses is an error where what the host knows is not of the store that wants to note
// something else: that one is older, or has gone another way.
func (n Note) refuses(want Note) error {
	const pull = "get the store that it was done with first (git pull); nothing is changed here"
	elsewhere := n.Accepts != "" && want.Accepts != "" && n.Accepts != want.Accepts
	switch {
	case n.Step == "" || n.wayBack(want):
		return nil
	case elsewhere && n.Digest != want.Digest && n.Digest != want.Current && !slices.Contains(want.Retired, n.Digest):
		return fmt.Errorf("%s has rotated a secret of this name, which %s accepts, and here %s does: where that is another project, one of the two secrets needs another name (or the note %s is taken away, where that project is no more); else %s", n.By, n.Accepts, want.Accepts, (&State{Secret: n.Secret}).path(), pull)
	case want.GivenUp != "" && n.Digest == want.GivenUp:
		return nil
	case n.Version > want.Version:
		return fmt.Errorf("%s has rotated this with a later store, which has version %d of it, and this one has %d: %s", n.By, n.Version, want.Version, pull)
	case n.Version == want.Version && n.Digest != want.Digest:
		return fmt.Errorf("%s has made another version %d of it than this store has: %s", n.By, n.Version, pull)
	case want.Digest != want.Current && slices.Contains(n.Retired, want.Digest):
		return fmt.Errorf("%s has given up the version %d that this store has as the newest: get the store that it was done with first (git pull), or give it up in this one, too (muster rotate --back); nothing is changed here", n.By, want.Version)
	case n.Version == want.Version && slices.Contains(n.Retired, want.Current):
		return fmt.Errorf("%s has rotated this with a later store, and the current value of this one counts no more: %s", n.By, pull)
	case n.Step == Done && n.Version == want.Version && want.Current != "" && want.Current != want.Digest:
		return fmt.Errorf("%s has ended this rotation with a later store, in which version %d is the current one, and in this one it is pending: %s", n.By, n.Version, pull)
	case n.Step != Done && want.Step != Begin && (n.Version == want.Version || n.Digest == want.Current) && n.Strategy != want.Strategy:
		return fmt.Errorf("its rotation was begun with the strategy %q, and is to go on with %q: write strategy = %q again, and end it (muster rotate) or give it up (muster rotate --back) before that is changed", n.Strategy, want.Strategy, n.Strategy)
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
	return host.Description{Action: host.Update, Target: filepath.Base(c.Path[:len(c.Path)-len(".json")]), Impact: c.Note.Step}
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
	switch {
	case string(data) != c.From:
		return host.Result{}, host.ErrMoved
	case now.By != c.Note.By && now.Step != "" && now.Step != Done && time.Since(heard(c.Path, now)) < stale:
		return host.Result{}, fmt.Errorf("%s is rotating this since %s (%s), and was heard of at %s: it can be gone on with %d minutes after that", now.By, now.Since, now.Step, heard(c.Path, now).UTC().Format(time.RFC3339), int(stale.Minutes()))
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
