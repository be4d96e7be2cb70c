package git

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"muster/host"
)

// version is what is to be checked out.
type version struct{ commit, branch, tag string }

func (w version) named() string {
	if w.branch == "" {
		return w.commit[:12]
	}
	return w.branch
}

// wanted asks the repository, once for all hosts, what the ref stands for.
func (c *Checkout) wanted(ctx context.Context, v *host.View, as Access) (version, error) {
	if commitForm.MatchString(c.Ref) {
		return version{commit: c.Ref}, nil
	}
	name := fmt.Sprintf("%s of %s", c.Ref, c.Repository)
	if c.Ref == "" {
		name = "the branch of " + c.Repository
	}
	text, err := v.Pin(ctx, "git "+name, "", func(ctx context.Context) (string, error) {
		args := []string{"ls-remote", "--symref", "--", c.Repository, "HEAD"}
		if c.Ref != "" {
			args = []string{"ls-remote", "--", c.Repository, "refs/heads/" + c.Ref, "refs/tags/" + c.Ref, "refs/tags/" + c.Ref + "^{}"}
		}
		git, err := as.open(ctx, v.Body)
		if err != nil {
			return "", err
		}
		defer git.close()
		out, err := v.Query(ctx, git.command(args...), c.local()...)
		if err == nil && out.ExitCode != 0 {
			err = errors.New(out.LastWords())
		}
		if err != nil {
			return "", fmt.Errorf("asking %s: %w", c.Repository, err)
		}
		w, ok := c.parse(string(out.Stdout))
		if !ok {
			return "", fmt.Errorf("%s has no branch or tag %q", c.Repository, c.Ref)
		}
		return w.commit + " " + w.branch, nil
	})
	if err != nil {
		return version{}, err
	}
	w := version{}
	if w.commit, w.branch, _ = strings.Cut(text, " "); w.branch == "" {
		w.tag = c.Ref
	}
	return w, nil
}

// local are the keys of a repository that lies on the host itself.
func (c *Checkout) local() []host.Key {
	path := strings.TrimPrefix(c.Repository, "file://")
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	return []host.Key{host.File(path), {Space: host.Files, Name: strings.TrimSuffix(path, "/") + "/*"}}
}

// parse reads what ls-remote printed. A branch goes before a tag of its name, and what
// an annotated tag is of before the tag.
func (c *Checkout) parse(text string) (w version, ok bool) {
	refs, symbolic := map[string]string{}, ""
	for _, line := range strings.Split(text, "\n") {
		what, ref, _ := strings.Cut(line, "\t")
		if target, is := strings.CutPrefix(what, "ref: refs/heads/"); is {
			symbolic = target
		} else if commitForm.MatchString(what) {
			refs[ref] = what
		}
	}
	if c.Ref == "" {
		return version{commit: refs["HEAD"], branch: symbolic}, refs["HEAD"] != "" && refForm.MatchString(symbolic)
	}
	if commit := refs["refs/heads/"+c.Ref]; commit != "" {
		return version{commit: commit, branch: c.Ref}, true
	}
	for _, ref := range []string{"refs/tags/" + c.Ref + "^{}", "refs/tags/" + c.Ref} {
		if refs[ref] != "" {
			return version{commit: refs[ref]}, true
		}
	}
	return version{}, false
}
