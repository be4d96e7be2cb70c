package git

import (
	"context"
	"strconv"

	"muster/host"
)

// fetched is the ref of a commit that was fetched by its number, and that no branch or tag
// may lead to.
const fetched = "refs/muster/fetched"

// Source is what is fetched and checked out.
type Source struct {
	Commit string `json:"commit"`
	Branch string `json:"branch,omitempty"`
	Tag    string `json:"tag,omitempty"`
	// Depth is how many commits are fetched; 0: the whole history.
	Depth int `json:"depth,omitempty"`
	// Submodules are checked out, too, and theirs.
	Submodules bool `json:"submodules,omitempty"`
}

func (c *Checkout) source(w version, depth int) Source {
	return Source{Commit: w.commit, Branch: w.branch, Tag: w.tag, Depth: depth, Submodules: c.Submodules}
}

// alone fetches nothing but what is to be checked out.
func (s Source) alone() []string {
	switch {
	case s.Branch != "":
		return s.by("+refs/heads/" + s.Branch + ":refs/remotes/origin/" + s.Branch)
	case s.Tag != "":
		return s.by("+refs/tags/" + s.Tag + ":refs/tags/" + s.Tag)
	}
	return s.by("+" + s.Commit + ":" + fetched)
}

func (s Source) by(refspec string) []string {
	args := []string{"fetch", "--quiet", "--force", "--no-tags"}
	if s.Depth > 0 {
		args = append(args, "--depth", strconv.Itoa(s.Depth))
	}
	return append(args, "origin", refspec)
}

// complete fetches the commit by its number where what was fetched hasn't brought it: its
// branch may have gone on since, or none lead to it.
func (s Source) complete(ctx context.Context, h *host.Host, git *reach, path string) error {
	out, err := h.Runner.Run(ctx, git.Access.command("-C", path, "cat-file", "-e", s.Commit+"^{commit}"))
	if err != nil || out.ExitCode == 0 {
		return err
	}
	return git.run(ctx, h, in(path, s.by("+"+s.Commit+":"+fetched)))
}

// in are steps of git in a checkout.
func in(path string, steps ...[]string) [][]string {
	var list [][]string
	for _, args := range steps {
		list = append(list, append([]string{"-C", path}, args...))
	}
	return list
}
