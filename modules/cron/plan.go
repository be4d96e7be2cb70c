package cron

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
	"muster/modules/calendar"
)

// Plan compares the job's line, or its file.
func (j *Job) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if !host.IsRoot() {
		return modules.Plan{}, fmt.Errorf(`only root can edit cron's tables on this host: give the task "become = true", with user = %q`, j.User)
	}
	if err := j.possible(ctx, v); err != nil {
		return modules.Plan{}, err
	}
	at, err := v.Place(j.path(), false)
	if err != nil {
		return modules.Plan{}, err
	}
	before, err := v.Lstat(at)
	if err != nil {
		return modules.Plan{}, err
	}
	if before.Exists() && before.Type != host.Regular {
		return modules.Plan{}, fmt.Errorf("%s is a %s, not a crontab: look at it, and remove it", at, before.Type)
	}
	change, err := j.compare(ctx, v, at, before)
	if err != nil || change == nil {
		return modules.Plan{}, err
	}
	plan := modules.Plan{Changes: []host.Change{change}}
	if j.State == "absent" {
		return plan, nil
	}
	plan.Notes, err = j.told(ctx, v)
	if errors.Is(err, host.ErrNotYet) {
		err = nil
	}
	return plan, err
}

// possible returns an error where nobody would run the job.
func (j *Job) possible(ctx context.Context, v *host.View) error {
	dir := spool
	if j.File != "" {
		dir = "/etc/cron.d"
	}
	where, err := v.Stat(dir)
	if err != nil {
		return err
	}
	if where.Type != host.Directory {
		if j.State == "absent" {
			return nil
		}
		return fmt.Errorf("there is no %s on this host, and no earlier task brings it: install cron by a package task before this one, or make the job a timer", dir)
	}
	if j.State == "absent" {
		return nil
	}
	u, err := v.User(ctx, j.User)
	if err == nil && u == nil {
		return fmt.Errorf("there is no user %s on this host, and no earlier task makes one", j.User)
	}
	return err
}

// compare returns the change that is left to do; nil: none.
func (j *Job) compare(ctx context.Context, v *host.View, at string, before host.FileInfo) (host.Change, error) {
	var old []byte
	var err error
	if before.Exists() {
		if old, err = v.ReadFile(ctx, at, 1<<20); err != nil {
			return nil, err
		}
		if before.Sum, err = v.Sum(at); err != nil {
			return nil, err
		}
	}
	text := j.whole()
	switch {
	case j.File != "" && j.State == "absent":
		text = ""
	case j.File == "":
		if text, err = j.edit(string(old)); err != nil {
			return nil, err
		}
	}
	after := j.attributes(before)
	switch {
	case j.State == "absent" && !before.Exists(), text == string(old) && before.Exists() && before.Mode == after.Mode && before.Owner == after.Owner && before.Group == after.Group:
		return nil, nil
	case empty(text):
		return &host.Remove{Path: at, Before: before, Note: "it holds nothing else"}, nil
	}
	w := &host.WriteFile{Path: at, Content: v.Keep([]byte(text), before.Sensitive), Before: &before, After: after}
	w.Attr = host.Attr{Mode: &after.Mode, Owner: after.Owner, Group: after.Group}
	w.After.Sum, w.After.Size = w.Content.Sum, w.Content.Size
	if w.Diff = host.Diff(old, []byte(text)); text == string(old) {
		w.Diff = host.AttrDiff(before, after)
	}
	if j.File == "" {
		return w, j.readable(text)
	}
	return w, nil
}

// attributes are those that cron asks for: cron(8). It passes over a crontab of anybody
// else's.
func (j *Job) attributes(before host.FileInfo) host.FileInfo {
	if j.File != "" {
		return host.FileInfo{Type: host.Regular, Mode: 0o644, Owner: "root", Group: "root"}
	}
	after := host.FileInfo{Type: host.Regular, Mode: 0o600, Owner: j.User, Group: "crontab"}
	if before.Exists() {
		after.Group = before.Group
	}
	return after
}

// empty reports whether a crontab has nothing but what crontab(1) puts before it.
func empty(text string) bool {
	if strings.HasPrefix(text, header) {
		lines := strings.SplitAfterN(text, "\n", 4)
		text = lines[len(lines)-1]
	}
	return strings.TrimSpace(text) == ""
}

// told says which zone counts, and what clock changes do.
func (j *Job) told(ctx context.Context, v *host.View) ([]string, error) {
	c, err := calendar.Cron(j.times())
	if err != nil {
		return nil, fmt.Errorf("the job %s: %w", j.Name, err)
	}
	told, err := c.Tell(ctx, v, time.Now().Year())
	if err != nil || told.Zone == "" {
		return nil, err
	}
	notes := []string{fmt.Sprintf("The times of %s, %s, are of this host's zone, %s.", j.Name, c.Text, told.Zone)}
	runs := [2]string{"runs right after it", "runs once"}
	if !c.Exactly() {
		runs = [2]string{"doesn't run at that time then", "runs at both"}
	}
	if s := told.Skipped; s != nil {
		notes = append(notes, fmt.Sprintf("The clock skips %s on %s in %s: %s %s.", s.At, s.Day.Format(time.DateOnly), told.Zone, j.Name, runs[0]))
	}
	if r := told.Twice; r != nil {
		notes = append(notes, fmt.Sprintf("The clock shows %s twice on %s in %s: %s %s.", r.At, r.Day.Format(time.DateOnly), told.Zone, j.Name, runs[1]))
	}
	return notes, nil
}
