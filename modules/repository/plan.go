package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

const fileMode = host.Mode(0o644) // apt fetches as another user, and so reads it

// Plan compares the file with what is wanted. Only where it has to change is apt asked.
func (r *AptRepository) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	path, err := v.Place(r.path(), false)
	if err != nil {
		return modules.Plan{}, err
	}
	before, err := v.Lstat(path)
	if err != nil {
		return modules.Plan{}, err
	}
	if before.Exists() && before.Type != host.Regular && !(before.Type == host.Symlink && r.State == "absent") {
		return modules.Plan{}, fmt.Errorf("%s is a %s, not a regular file", path, before.Type)
	}
	if r.State == "absent" {
		if !before.Exists() {
			return modules.Plan{}, nil
		}
		return modules.Plan{Changes: []host.Change{&host.Remove{Path: path, Before: before, Note: "apt forgets what it offers when lists are next fetched"}}}, nil
	}
	var old string
	if before.Exists() {
		data, err := v.ReadFile(ctx, path, sourceLimit)
		if err != nil {
			return modules.Plan{}, err
		}
		if old = string(data); before.Sum == "" {
			if before.Sum, err = v.Sum(path); err != nil {
				return modules.Plan{}, err
			}
		}
	}
	have := parse(old)
	signed, keys, err := r.signed(ctx, v, have)
	if errors.Is(err, host.ErrNotYet) {
		return modules.Plan{Then: []host.Description{{Action: host.Update, Target: path, Impact: "its key is known after apply"}}}, err
	}
	if err != nil {
		return modules.Plan{}, err
	}
	want, text := r.desired(signed)
	if want.same(have) {
		plan := modules.Plan{}
		if err := unusable(keys, time.Now()); err != nil {
			plan.Notes = []string{fmt.Sprintf("Of the repository %s %s: apt takes nothing from it any more.", r.Name, err)}
		}
		if before.Mode != fileMode {
			after, mode := before, fileMode
			after.Mode = mode
			plan.Changes = []host.Change{&host.SetAttr{Path: path, Attr: host.Attr{Mode: &mode}, Before: before, After: after}}
		}
		return plan, nil
	}
	if err := unusable(keys, time.Now()); err != nil {
		return modules.Plan{}, fmt.Errorf("%w; %s", err, r.stays(before))
	}
	return r.write(ctx, v, path, old, text, before)
}

// stays says what becomes of apt's sources where a repository isn't taken.
func (r *AptRepository) stays(before host.FileInfo) string {
	if before.Exists() {
		return r.path() + " stays as it was"
	}
	return "apt's sources stay as they were"
}

// write plans the file.
func (r *AptRepository) write(ctx context.Context, v *host.View, path, old, text string, before host.FileInfo) (modules.Plan, error) {
	dir, err := v.Lstat(strings.TrimSuffix(folder, "/"))
	if err != nil && !errors.Is(err, host.ErrNotYet) {
		return modules.Plan{}, err
	}
	if err == nil && dir.Type != host.Directory {
		return modules.Plan{}, fmt.Errorf("there is no folder %s: the host has no apt", folder)
	}
	var plan modules.Plan
	said, err := r.prove(ctx, v, text)
	var refused *refusal
	switch {
	case errors.Is(err, host.ErrNotYet):
		plan.Notes = []string{"Whether apt can read the repository " + r.Name + " depends on an earlier task: that is tried right before its file is written."}
	case errors.Is(err, host.ErrNoProgram):
		return plan, errors.New("the host has no apt")
	case errors.As(err, &refused):
		return plan, fmt.Errorf("%w\n%s", err, r.stays(before))
	case err != nil:
		return plan, err
	}
	plan.Notes = append(plan.Notes, said...)
	mode := fileMode
	after := before
	if !before.Exists() {
		after = host.FileInfo{Type: host.Regular, Owner: "root", Group: "root"}
		if dir.Mode&0o2000 != 0 {
			after.Group = dir.Group
		}
	}
	content := v.Keep([]byte(text), false)
	after.Mode, after.Sum, after.Size = mode, content.Sum, content.Size
	diff := host.Diff([]byte(shown(old)), []byte(shown(text)))
	if before.Exists() && before.Mode != mode {
		diff = fmt.Sprintf("mode: %s → %s\n%s", before.Mode, mode, diff)
	}
	plan.Changes = []host.Change{&Source{
		WriteFile: host.WriteFile{Path: path, Content: content, Attr: host.Attr{Mode: &mode}, Before: &before, After: after, Diff: diff},
		Name:      r.Name, URIs: r.URIs, Architectures: r.Architectures,
	}}
	return plan, nil
}

// signed is what the file says of the key, a text or a path, and the keys that this stands
// for.
func (r *AptRepository) signed(ctx context.Context, v *host.View, have stanza) (string, []key, error) {
	var data []byte
	var keys []key
	var err error
	switch {
	case r.SignedBy == "":
		return "", nil, nil
	case strings.HasPrefix(r.SignedBy, "/"):
		if data, err = v.ReadFile(ctx, r.SignedBy, sourceLimit); err != nil {
			return "", nil, err
		}
		if keys, err = keysOf(data); err == nil {
			err = r.fits(keys)
		}
		if err != nil {
			return "", nil, modules.ArgError{Arg: "signed_by", Summary: "Wrong key", Detail: fmt.Sprintf("Of %s on the host: %s.", r.SignedBy, err)}
		}
		return r.SignedBy, keys, nil
	case !address(r.SignedBy):
		data, keys, err = material(r.SignedBy)
		return strings.Join(armor(data), "\n"), keys, err
	}
	// The key that is there is the right one as long as it has the fingerprint and is good.
	if data, err = dearmor(have[strings.ToLower(signedBy)]); err == nil && data != nil {
		if keys, err = keysIn(data); err == nil && r.fits(keys) == nil && unusable(keys, time.Now()) == nil {
			return strings.Join(armor(data), "\n"), keys, nil
		}
	}
	if data, err = fetch(ctx, v, r.SignedBy); err != nil {
		return "", nil, err
	}
	if keys, err = keysOf(data); err == nil {
		err = r.fits(keys)
	}
	if err != nil {
		return "", nil, fmt.Errorf("of what is at %s: %w", r.SignedBy, err)
	}
	if plain, _ := dearmor(string(data)); plain != nil {
		data = plain
	}
	return strings.Join(armor(data), "\n"), keys, nil
}

// keysOf reads a file of keys, armored or not.
func keysOf(data []byte) ([]key, error) {
	plain, err := dearmor(string(data))
	if err != nil {
		return nil, err
	}
	if plain != nil {
		data = plain
	}
	return keysIn(data)
}

// Source writes a file of sources, once apt has read the repository with it.
type Source struct {
	host.WriteFile
	Name          string   `json:"name"`
	URIs          []string `json:"uris"`
	Architectures []string `json:"architectures,omitempty"`
}

// Type is "apt.source/1".
func (*Source) Type() string { return "apt.source/1" }

// Interruptible: what takes long, fetching, alters nothing.
func (*Source) Interruptible() {}

// Want is the file.
func (s *Source) Want() any { return s.WriteFile.Want() }

// Apply has apt read the repository, and writes the file.
func (s *Source) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	text, err := h.Bodies.Read(ctx, s.Content, sourceLimit)
	if err != nil {
		return host.Result{}, err
	}
	r := &AptRepository{Name: s.Name, URIs: s.URIs, Architectures: s.Architectures}
	if _, err := r.prove(ctx, host.NewView(h, nil), string(text)); err != nil {
		var refused *refusal
		if errors.As(err, &refused) {
			err = fmt.Errorf("%w\n%s", err, r.stays(*s.Before))
		}
		return host.Result{}, err
	}
	if err := h.At("apt has read the repository"); err != nil {
		return host.Result{}, err
	}
	return s.WriteFile.Apply(ctx, h)
}
