package git

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/host"
)

// Update brings a checkout to another commit, or to what it was to be in other ways.
type Update struct {
	Path string `json:"path"`
	From string `json:"from"`
	Source
	Access
	// Unshallow fetches the whole history, Deepen as much of it as the Depth is: with a
	// depth and without Deepen there is enough.
	Unshallow bool `json:"unshallow,omitempty"`
	Deepen    bool `json:"deepen,omitempty"`
	// Origins and Branches are the one that is and the one that will be, where they differ.
	Origins  []string `json:"origins,omitempty"`
	Branches []string `json:"branches,omitempty"`
	// Differ are the submodules that aren't as the commit From has them.
	Differ []string `json:"differ,omitempty"`
	// Force takes away what is in the way: changes to the files Changed, the Own commits
	// that no remote has, and those of the Untracked files that the commit has, too.
	Force     bool     `json:"force,omitempty"`
	Changed   []string `json:"changed,omitempty"`
	Own       int      `json:"own,omitempty"`
	Untracked []string `json:"untracked,omitempty"`
}

// Type is "git.update/2".
func (*Update) Type() string { return "git.update/2" }

// Describe shows what differs, and what is lost.
func (u *Update) Describe() host.Description {
	var lines []string
	differs := func(what, is, will string) { lines = append(lines, fmt.Sprintf("%s: %s → %s", what, is, will)) }
	if u.From != u.Commit {
		differs("commit", u.From[:min(12, len(u.From))], u.Commit[:12])
	}
	if u.Branches != nil {
		differs("branch", u.Branches[0], u.Branches[1])
	}
	if u.Origins != nil {
		differs("origin", u.Origins[0], u.Origins[1])
	}
	switch {
	case u.Unshallow:
		differs("history", "shallow", "whole")
	case u.Deepen:
		differs("history", "fewer commits", strconv.Itoa(u.Depth))
	}
	lines = append(lines, u.Differ...)
	if lines == nil && !u.loses() {
		lines = append(lines, "an update that was cut off is made to its end")
	}
	return host.Description{Action: host.Update, Target: u.Path, Diff: strings.Join(lines, "\n"), Impact: u.impact()}
}

func (u *Update) loses() bool { return u.Force && len(u.Changed) > 0 }

// impact is what force takes away.
func (u *Update) impact() string {
	var lost []string
	if u.loses() {
		lost = append(lost, "the changes to "+names(u.Changed))
	}
	if u.Force && u.Own > 0 {
		lost = append(lost, commits(u.Own))
	}
	if len(u.Untracked) > 0 {
		lost = append(lost, "of the untracked "+names(u.Untracked)+" what the commit has files for")
	}
	if lost == nil {
		return ""
	}
	return "loses " + strings.Join(lost, "; ")
}

func commits(n int) string {
	return host.Counted(n, "commit that isn't pushed", "commits that aren't pushed")
}

// Effects is anything: the checkout's hooks and filters are programs of others.
func (u *Update) Effects() []host.Effect {
	return []host.Effect{host.Open(host.Files, u.Path), host.Open(host.All, host.All)}
}

// Interruptible: one that is cut off is gone on with.
func (*Update) Interruptible() {}

// Apply fetches, and checks out. Without force git itself refuses to overwrite what isn't
// committed.
func (u *Update) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	at := checkout{u.Path, u.Access, h.Runner.Run}
	now, err := at.status(ctx, u.Submodules)
	if err == nil && u.Submodules {
		_, err = at.within(ctx, &now)
	}
	if err != nil {
		return host.Result{}, err
	}
	if now.Commit != u.From && now.Commit != u.Commit {
		return host.Result{}, fmt.Errorf("%s is at %s: %w", u.Path, now.Commit, host.ErrMoved)
	}
	for _, path := range now.changed {
		if u.Force && !slices.Contains(u.Changed, path) {
			return host.Result{}, fmt.Errorf("%s in %s has been changed: %w", path, u.Path, host.ErrMoved)
		}
	}
	git, err := u.open(ctx, h.Bodies.Read)
	if err != nil {
		return host.Result{}, err
	}
	defer git.close()
	begin := [][]string{{"update-ref", before, now.Commit}}
	if u.Origins != nil {
		begin = append(begin, []string{"remote", "set-url", "origin", u.Origins[1]})
	}
	if err := git.run(ctx, h, in(u.Path, append(begin, u.fetch())...)); err != nil {
		return host.Result{}, err
	}
	if err := u.complete(ctx, h, git, u.Path); err != nil {
		return host.Result{}, err
	}
	if err := git.run(ctx, h, in(u.Path, slices.Concat([][]string{u.move()}, u.submodules(u.Force), [][]string{{"update-ref", "-d", before}})...)); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("updated " + u.Path)
}

// fetch gets what the repository has: of a shallow checkout, no more than it needs.
func (u *Update) fetch() []string {
	if u.Depth > 0 {
		return u.alone()
	}
	args := []string{"fetch", "--quiet", "--tags", "--force"}
	if u.Unshallow {
		args = append(args, "--unshallow")
	}
	return append(args, "origin")
}

// move checks out.
func (u *Update) move() []string {
	args := []string{"checkout", "--quiet"}
	if u.Force {
		args = append(args, "--force")
	}
	if u.Branch != "" {
		return append(args, "-B", u.Branch, u.Commit)
	}
	return append(args, "--detach", u.Commit)
}
