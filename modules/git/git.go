// Package git has the kind that keeps a checkout of a repository.
package git

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "git", Output: Output{}, New: func() modules.Module { return &Checkout{} }}}
}

// Checkout is a checkout of a git repository.
//
// It is cloned where there is none, and brought up to date where that takes nothing
// from anybody: one with changes that aren't committed, with commits that aren't
// pushed, or on another branch is left as it is, which is said. Git has to be
// installed, and asks nobody for passwords. Run it as the user whose checkout it is
// (become).
type Checkout struct {
	// Absolute path of the checkout. The folder that it lies in has to be there.
	Path string `arg:"path,key,path,required"`
	// The repository, as "git clone" takes it. A password doesn't belong in it: git
	// has keys and credential helpers for that.
	Repository string `arg:"repository,required"`
	// The branch, tag or commit (all 40 digits). By default the branch that the
	// repository itself names.
	Ref string `arg:"ref"`
}

// Output is what a task offers.
type Output struct {
	// The commit that is checked out.
	Commit string `json:"commit"`
	// The branch that is checked out, "" for none.
	Branch string `json:"branch"`
}

const program = "/usr/bin/git"

var (
	commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)
	refForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./+@-]*$`)
)

// Check refuses what git would take for an option, and passwords.
func (c *Checkout) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	if !unknown("path") && !strings.HasPrefix(c.Path, "/") {
		errs = append(errs, modules.ArgError{Arg: "path", Summary: "Wrong value", Detail: fmt.Sprintf("%q is no absolute path on the host: it has to begin with \"/\".", c.Path)})
	}
	if !unknown("ref") && c.Ref != "" && (!refForm.MatchString(c.Ref) || strings.Contains(c.Ref, "..") || strings.HasSuffix(c.Ref, ".lock")) {
		errs = append(errs, modules.ArgError{Arg: "ref", Summary: "Wrong value", Detail: fmt.Sprintf("%q is no branch, tag or commit.", c.Ref)})
	}
	if unknown("repository") {
		return errs
	}
	if strings.HasPrefix(c.Repository, "-") || strings.ContainsAny(c.Repository, "\n\x00") {
		errs = append(errs, modules.ArgError{Arg: "repository", Summary: "Wrong value", Detail: "It is no repository's address."})
	}
	if u, err := url.Parse(c.Repository); err == nil && u.User != nil {
		if _, given := u.User.Password(); given {
			errs = append(errs, modules.ArgError{Arg: "repository", Summary: "A password in an address", Detail: "Everybody could read it on the host: take a key, or a credential helper of git's."})
		}
	}
	return errs
}

// May is the checkout, and what is in it.
func (c *Checkout) May() []host.Effect {
	if c.Path == "" {
		return []host.Effect{host.Open(host.Files, "")}
	}
	return []host.Effect{host.Open(host.All, host.All)}
}

// Plan compares the checkout with what the repository has.
func (c *Checkout) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	switch info, err := v.Stat(program); {
	case err != nil:
		return modules.Plan{}, err
	case !info.Exists():
		return modules.Plan{}, fmt.Errorf("there is no git on this host (%s): install it in an earlier task", program)
	}
	path, err := v.Place(c.Path, false)
	if err != nil {
		return modules.Plan{}, err
	}
	info, err := v.Lstat(path)
	if err != nil {
		return modules.Plan{}, err
	}
	if !info.Exists() {
		return c.clone(ctx, v, path)
	}
	if inside, err := v.Lstat(path + "/.git"); err != nil || !inside.Exists() {
		return modules.Plan{}, errors.Join(err, fmt.Errorf("%s is a %s, and no checkout of git's: move it away, or give another path", path, info.Type))
	}
	now, err := look(ctx, v, path)
	if err != nil {
		return modules.Plan{}, err
	}
	if now.origin != c.Repository {
		return now.left(path, fmt.Sprintf("it comes from %s, not from %s: \"git -C %s remote set-url origin %s\" takes that", now.origin, c.Repository, path, c.Repository))
	}
	want, err := c.wanted(ctx, v)
	switch {
	case err != nil:
		return modules.Plan{}, err
	case now.Commit == want.commit && (want.branch == "" || now.Branch == want.branch):
		return now.left(path, "")
	case now.changed:
		return now.left(path, "it has changes that aren't committed")
	case want.branch != "" && now.Branch != want.branch, want.branch == "" && now.Branch != "" && c.Ref == "":
		return now.left(path, fmt.Sprintf("it has %s checked out, not %s", now.named(), want.named()))
	case now.own > 0:
		return now.left(path, fmt.Sprintf("%d of its commits aren't pushed", now.own))
	}
	return modules.Plan{Changes: []host.Change{&Update{Path: path, From: now.Commit, Commit: want.commit, Branch: want.branch}}}, nil
}

func (c *Checkout) clone(ctx context.Context, v *host.View, path string) (modules.Plan, error) {
	dir := path[:strings.LastIndexByte(path, '/')+1]
	switch info, err := v.Stat(dir); {
	case err != nil:
		return modules.Plan{}, err
	case info.Type != host.Directory:
		return modules.Plan{}, fmt.Errorf("%s isn't there to clone into: add a directory task before this one", dir)
	}
	want, err := c.wanted(ctx, v)
	if err != nil {
		return modules.Plan{}, err
	}
	return modules.Plan{Changes: []host.Change{&Clone{Path: path, Repository: c.Repository, Commit: want.commit, Branch: want.branch}}}, nil
}

// state is a checkout as it is.
type state struct {
	Output
	origin  string
	changed bool // something tracked is, that isn't committed
	own     int  // commits that no remote is known to have
}

func (s state) named() string {
	if s.Branch == "" {
		return s.Commit[:min(12, len(s.Commit))]
	}
	return s.Branch
}

// left is the plan for a checkout that stays as it is, and why that isn't as it was to be.
func (s state) left(path, why string) (modules.Plan, error) {
	out, err := json.Marshal(s.Output)
	plan := modules.Plan{Output: out}
	if why != "" {
		plan.Notes = []string{fmt.Sprintf("%s is left as it is: %s.", path, why)}
	}
	return plan, err
}

// look asks a checkout what it is.
func look(ctx context.Context, v *host.View, path string) (state, error) {
	var s state
	ask := func(args ...string) (string, error) {
		out, err := v.Query(ctx, command(append([]string{"-C", path}, args...)...), host.File(path), host.Key{Space: host.Files, Name: path + "/*"})
		if err == nil && out.ExitCode != 0 {
			err = fmt.Errorf("%s: %s", path, out.LastWords())
		}
		return strings.TrimSpace(string(out.Stdout)), err
	}
	text, err := ask("status", "--porcelain=v2", "--branch", "--untracked-files=no")
	if err != nil {
		return s, err
	}
	for _, line := range strings.Split(text, "\n") {
		switch head, ok := strings.CutPrefix(line, "# branch.head "); {
		case ok && head != "(detached)":
			s.Branch = head
		case strings.HasPrefix(line, "# branch.oid "):
			s.Commit = strings.TrimPrefix(line, "# branch.oid ")
		case line != "" && !strings.HasPrefix(line, "#"):
			s.changed = true
		}
	}
	if s.origin, err = ask("config", "--get", "remote.origin.url"); err != nil {
		return s, fmt.Errorf("%s has no remote called origin: %w", path, err)
	}
	if text, err = ask("rev-list", "--count", "HEAD", "--not", "--remotes", "--tags"); err == nil {
		_, err = fmt.Sscan(text, &s.own)
	}
	return s, err
}

// command is a git that asks nobody, and writes nothing by itself.
func command(args ...string) host.Command {
	return host.Command{
		Argv: append([]string{program, "-c", "core.fsmonitor=false"}, args...),
		Env:  []string{"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false", "GIT_SSH_COMMAND=ssh -o BatchMode=yes", "GIT_OPTIONAL_LOCKS=0"},
	}
}

// version is what is to be checked out.
type version struct{ commit, branch string }

func (w version) named() string {
	if w.branch == "" {
		return w.commit[:12]
	}
	return w.branch
}

// wanted asks the repository, once for all hosts, what the ref stands for.
func (c *Checkout) wanted(ctx context.Context, v *host.View) (version, error) {
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
		out, err := v.Query(ctx, command(args...), c.local()...)
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
	commit, branch, _ := strings.Cut(text, " ")
	return version{commit, branch}, nil
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
		return version{refs["HEAD"], symbolic}, refs["HEAD"] != "" && refForm.MatchString(symbolic)
	}
	if commit := refs["refs/heads/"+c.Ref]; commit != "" {
		return version{commit, c.Ref}, true
	}
	for _, ref := range []string{"refs/tags/" + c.Ref + "^{}", "refs/tags/" + c.Ref} {
		if refs[ref] != "" {
			return version{commit: refs[ref]}, true
		}
	}
	return version{}, false
}
