package file

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"muster/host"
	"muster/modules"
)

// loginSpace is the space of files of users, by path: what is planned of their users,
// the hashes that have a salt left out.
const loginSpace = "htpasswd"

// SetLogins sets the users of a file.
type SetLogins struct {
	Path   string        `json:"path"` // resolved
	Edit   loginEdit     `json:"edit"`
	Attr   host.Attr     `json:"attr"`
	Before host.FileInfo `json:"before"`
	After  host.FileInfo `json:"after"`
	// Then is the file as it will be, with what stands for hashes that are to be made.
	Then host.Content `json:"then"`
	Diff string       `json:"diff"`
	Note string       `json:"note"`
}

// Type is "htpasswd.set/1".
func (*SetLogins) Type() string { return "htpasswd.set/1" }

// Describe names the users. How many they are may be seen where their names are hidden.
func (s *SetLogins) Describe() host.Description {
	d := s.write(host.Content{}).Describe()
	d.Diff, d.Impact = s.Diff, strings.Trim(s.Note+"; "+d.Impact, "; ")
	return d
}

// Want is the users, and the attributes that were asked for.
func (s *SetLogins) Want() any { return SetLogins{Path: s.Path, Edit: s.Edit, Attr: s.Attr} }

// Effects are the file, with a content that nobody can tell before it is made, and for
// tasks of these kinds what they can.
func (s *SetLogins) Effects() []host.Effect {
	list := s.write(host.Content{}).Effects()
	return append(list, host.Is(host.Key{Space: loginSpace, Name: s.Path}, s.Then))
}

// Obstacle is why the file couldn't be written.
func (s *SetLogins) Obstacle(v *host.View) error { return s.write(host.Content{}).Obstacle(v) }

// write is the edit of the file.
func (s *SetLogins) write(content host.Content) *host.WriteFile {
	return &host.WriteFile{Path: s.Path, Content: content, Attr: s.Attr, Before: &s.Before, After: s.After}
}

// Apply reads the file again, makes the hashes and replaces it.
func (s *SetLogins) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	e := s.Edit
	e.Users = nil
	for _, u := range s.Edit.Users {
		if !e.Absent {
			secret, err := h.Bodies.Read(ctx, u.Secret, 1024)
			if err != nil {
				return host.Result{}, err
			}
			u.secret = string(secret)
		}
		e.Users = append(e.Users, u)
	}
	var lines []textLine
	v := host.NewView(h, nil)
	w := s.write(host.Content{})
	if s.Before.Exists() {
		data, err := v.ReadFile(ctx, s.Path, textLimit)
		if err != nil {
			return host.Result{}, fmt.Errorf("%w: %w", host.ErrMoved, err)
		}
		lines = splitLines(data)
		// What was read is what is replaced, also where the plan couldn't tell it.
		before := s.Before
		if before.Sum == "" {
			before.Sum = host.ContentOf(data, true).Sum
		}
		w.Before = &before
	}
	lines, _, err := e.apply(lines, made{})
	if err != nil {
		return host.Result{}, fmt.Errorf("%s: %w: %w", s.Path, host.ErrMoved, err)
	}
	w.Content = h.Bodies.Keep(joinLines(lines), true)
	return w.Apply(ctx, h)
}

// planLogins returns the one change that makes the users of a file what they are to be,
// or its attributes, or none.
func planLogins(ctx context.Context, v *host.View, d desired, e loginEdit) (modules.Plan, error) {
	path, err := v.Place(d.path, true)
	if err != nil {
		return modules.Plan{}, err
	}
	before, err := v.Lstat(path)
	switch {
	case err != nil:
		return modules.Plan{}, err
	case before.Exists() && before.Type != host.Regular:
		return modules.Plan{}, fmt.Errorf("%s is a %s, not a regular file", path, before.Type)
	case !before.Exists() && e.Absent:
		return modules.Plan{}, nil
	}
	dir, err := parent(v, path)
	if err != nil {
		return modules.Plan{}, err
	}
	if err := owners(ctx, v, d.owner, d.group); err != nil {
		return modules.Plan{}, err
	}
	for i, u := range e.Users {
		if !e.Absent {
			e.Users[i].Secret = v.Keep([]byte(u.secret), true)
		}
	}
	data, err := standing(ctx, v, path, &before)
	if err != nil {
		return modules.Plan{}, err
	}
	lines, done, err := e.apply(splitLines(data), planned{v})
	if err != nil {
		return modules.Plan{}, fmt.Errorf("%s: %w", path, err)
	}
	after := before
	if !before.Exists() {
		after = fresh(host.Regular, 0o640, dir)
	}
	if d.mode != nil {
		after.Mode = d.mode.Apply(after.Mode, false)
	}
	after.Owner, after.Group = ownership(ctx, v, d.owner, d.group, after)
	if before.Exists() {
		if err := mayGive(path, before, after); err != nil {
			return modules.Plan{}, err
		}
	}
	s := &SetLogins{Path: path, Edit: e, Attr: d.attr(after), Before: before, After: after, Then: v.Keep(joinLines(lines), true)}
	switch attrs := differing(before, after); {
	case len(done) == 0 && before.Exists() && attrs == (host.Attr{}):
		return modules.Plan{}, nil
	case len(done) == 0 && before.Exists():
		return wanting(modules.Plan{Changes: []host.Change{&host.SetAttr{Path: path, Attr: attrs, Before: before, After: after}}}, nil,
			path, e, d.mode, d.owner, d.group)
	}
	if !before.Exists() {
		s.Attr.Mode = &after.Mode
		s.Diff = d.given(after)
	} else {
		s.Diff = host.AttrDiff(before, after)
	}
	s.Diff = strings.Trim(s.Diff+"\n"+strings.Join(done, "\n"), "\n")
	s.After.Sum, s.After.Size, s.After.Sensitive, s.After.Withheld = "", 0, true, true
	s.Note = host.Counted(len(done), "user", "users")
	return modules.Plan{Changes: []host.Change{s}}, nil
}

// standing is what a file of users holds: where it is planned, with what stands for hashes
// that are to be made.
func standing(ctx context.Context, v *host.View, path string, info *host.FileInfo) ([]byte, error) {
	if !info.Exists() {
		return nil, nil
	}
	if info.Withheld && info.Sum == "" {
		then, err := host.Read(v, host.Key{Space: loginSpace, Name: path}, func() (*host.Content, error) { return nil, nil })
		if err != nil {
			return nil, err
		}
		if then == nil {
			return nil, host.NotYet(host.File(path))
		}
		return v.Body(ctx, *then, textLimit)
	}
	data, err := v.ReadFile(ctx, path, textLimit)
	if err != nil {
		return nil, err
	}
	if info.Sum, err = v.Sum(path); err != nil && !errors.Is(err, host.ErrNotYet) {
		return nil, err
	}
	return data, nil
}

// salted reports whether a planned file has hashes in it that are to be made: what it
// holds can't be foreseen, but isn't what anybody else could ask for.
func salted(v *host.View, path string, info host.FileInfo) bool {
	if !info.Withheld || info.Sum != "" {
		return false
	}
	then, err := host.Read(v, host.Key{Space: loginSpace, Name: path}, func() (*host.Content, error) { return nil, nil })
	return err == nil && then != nil
}
