package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"muster/internal/engine"
	"muster/internal/identity"
	"muster/internal/journal"
	"muster/internal/view"
)

// kept is the journal's part of a run.
type kept struct {
	journal *journal.Journal
	run     *journal.Run
}

// keep begins to keep a run that is about to change hosts. Where it can't be
// kept, nothing is changed.
func (a *app) keep(r *prepared) (*kept, error) {
	o := journal.Options{}
	id, err := a.identity()
	switch {
	case err == nil:
		o.Recipients = id.Recipients
	case !errors.Is(err, identity.ErrNone): // what stood there before isn't kept then
		return nil, err
	}
	path := r.loaded.project.Journal()
	if err := notForGit(filepath.Dir(path)); err != nil {
		return nil, notKept(err)
	}
	j, err := journal.Open(path, o)
	if err != nil {
		return nil, notKept(err)
	}
	info := journal.RunInfo{
		Playbook: r.loaded.project.Rel(r.file), Inventory: r.loaded.project.Rel(r.loaded.path), PlanFile: r.planFile, Resumes: r.resumes,
		Limit: a.limit, Tags: a.tags, SkipTags: a.skipTags, Muster: view.Version, By: whoami(), Command: a.commandLine(r), Began: r.start,
	}
	if r.adHoc != "" {
		info.Playbook, info.Inventory = r.adHoc, ""
	}
	run, err := j.Begin(info, r.run.Hosts())
	if err != nil {
		return nil, errors.Join(notKept(err), j.Close())
	}
	run.NameFiles(func(file string) string {
		if r.name != nil {
			file = r.name(file)
		}
		if file == "" || missing(file) { // it is in no file of this machine
			return file
		}
		return r.loaded.project.Rel(file)
	})
	r.run.Keep(run)
	return &kept{journal: j, run: run}, nil
}

// notForGit makes the journal's folder, which is no part of what a project's
// repository holds.
func notForGit(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".gitignore"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString("*\n")
	return errors.Join(err, f.Close())
}

func notKept(err error) error {
	return fmt.Errorf("the journal can't be kept, so nothing is changed: %w", err)
}

// conclude keeps a run that has nothing to change. Where it can't be kept, that is
// only said: nothing is lost but the history of nothing. It returns the run's ID, "" where
// it isn't kept.
func (a *app) conclude(r *prepared, s *engine.Summary) string {
	k, err := a.keep(r)
	if err == nil {
		r.run.Conclude()
		err = k.end(s)
	}
	if err != nil {
		a.view().Warn("this run isn't in the history: " + err.Error())
		return ""
	}
	return k.run.ID()
}

// end ends what keep began. Its error is why not everything was kept.
func (k *kept) end(s *engine.Summary) error {
	return errors.Join(k.run.End(string(s.Outcome)), k.journal.Close())
}

// resume limits a run to the hosts on which the last one of the playbook didn't
// finish, with its tags.
func (a *app) resume(cmd *cobra.Command, l *loaded, q *request) error {
	for _, name := range []string{"limit", "tags", "skip-tags"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s can't be given with --resume, which takes hosts and tags of the run that it goes on with", name)
		}
	}
	last, err := a.lastRun(l, q.file)
	if err != nil {
		return err
	}
	var left, gone []string
	for _, h := range last.PerHost {
		if h.Status == engine.HostDone {
			continue
		}
		if _, ok := l.inventory.Host(h.Name); !ok {
			gone = append(gone, h.Name)
			continue
		}
		left = append(left, h.Name)
	}
	if len(gone) > 0 {
		a.view().Warn(fmt.Sprintf("no longer in the inventory, and left out: %s", strings.Join(gone, ", ")))
	}
	if len(left) == 0 {
		return fmt.Errorf("nothing to resume: the last run of %s, %s, is done on every host; apply it without --resume", q.file, last.ID)
	}
	a.view().Event(&engine.NoticeEvent{Text: fmt.Sprintf("Going on with %s on %s", last.ID, strings.Join(left, ", "))})
	slices.Sort(left)
	a.limit, a.tags, a.skipTags, q.resumes, q.left = left, last.Tags, last.SkipTags, last.ID, left
	return nil
}

// lastRun is the newest run of a playbook with this inventory.
func (a *app) lastRun(l *loaded, file string) (*journal.Detail, error) {
	never := fmt.Errorf("nothing to resume: %s was never applied here with this inventory", file)
	path := l.project.Journal()
	j, err := journal.Open(path, journal.Options{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, never
	}
	if err != nil {
		return nil, err
	}
	defer j.Close()
	last, err := j.Latest(l.project.Rel(file), l.project.Rel(l.path))
	switch {
	case err != nil:
		return nil, err
	case last == nil:
		return nil, never
	case last.State == journal.Running:
		return nil, fmt.Errorf("nothing to resume: %s is still being made, by %s", last.ID, last.By)
	case last.PlanFile != "":
		return nil, fmt.Errorf("%s made the saved plan %s, which can't be resumed: plan again", last.ID, filepath.Base(last.PlanFile))
	}
	return last, nil
}
