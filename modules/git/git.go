// Package git has the kind that keeps a checkout of a repository.
package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

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
// from anybody: one that would have to lose changes that aren't committed or commits that
// aren't pushed for that, and one on another branch or from another repository, is an error
// that names them, unless force is given.
// A branch or a tag that was moved in the repository is a change like any other. Git has
// to be installed, and asks nobody for passwords. Run it as the user whose checkout it is,
// by user or become.
type Checkout struct {
	// Absolute path of the checkout. The folder that it lies in has to be there.
	Path string `arg:"path,key,path,required"`
	// The repository, as "git clone" takes it. A password doesn't belong in it: git
	// has keys and credential helpers for that.
	Repository string `arg:"repository,required"`
	// The branch, tag or commit (all 40 digits). By default the branch that the
	// repository itself names.
	Ref string `arg:"ref"`
	// How many commits of its history it has, at least: a clone has no more, which is less
	// to fetch, and one that has more keeps them. Without it the whole history is there, also
	// of a checkout that had less.
	Depth int `arg:"depth"`
	// Check out its submodules, too, and theirs, each at the commit that it has for them. One
	// with changes or commits of its own is an error, as for the whole checkout.
	Submodules bool `arg:"submodules" default:"false"`
	// Whom git runs as, and who owns what it makes; by default whoever the task runs as
	// (become). With root's rights it clones for a user into a folder that isn't theirs.
	User string `arg:"user"`
	// A private key of ssh's, without a passphrase: a secret. It is in no file on the host: an
	// agent of ssh's has it in memory for as long as git runs.
	Key *host.Content `arg:"key,sensitive"`
	// The keys of the repository's host, and of those of its submodules, each as
	// "ssh-ed25519 AAAA…": a host that has none of them isn't talked to. By default the keys in
	// ssh's own files count, which tasks of the kind known_hosts keep. A host that isn't
	// known is never asked about, and never taken.
	HostKeys []string `arg:"host_keys"`
	// Bring it to what the repository has whatever stands in the way. That takes away
	// changes that aren't committed, commits that aren't pushed, and untracked files where
	// the commit has files of their names; other untracked files stay. Another branch is
	// checked out instead, and another remote becomes the origin. The plan names what is lost.
	Force bool `arg:"force" default:"false"`
}

// Output is what a task offers.
type Output struct {
	// The commit that is checked out.
	Commit string `json:"commit"`
	// The branch that is checked out, "" for none.
	Branch string `json:"branch"`
}

var (
	commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)
	userForm   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$`)
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
	if c.Depth < 0 {
		errs = append(errs, modules.ArgError{Arg: "depth", Summary: "Wrong value", Detail: fmt.Sprintf("%d is no number of commits: it takes 1 or more.", c.Depth)})
	}
	if c.User != "" && !userForm.MatchString(c.User) {
		errs = append(errs, modules.ArgError{Arg: "user", Summary: "Wrong value", Detail: fmt.Sprintf("%q is no user's name.", c.User)})
	}
	for i, key := range c.HostKeys {
		if fields := strings.Fields(key); !unknown("host_keys") && (len(fields) < 2 || strings.ContainsAny(key, "\n\x00") || !strings.HasPrefix(fields[1], "AAAA")) {
			errs = append(errs, modules.ArgError{Arg: "host_keys", Path: fmt.Sprintf("[%d]", i), Summary: "Wrong value", Detail: fmt.Sprintf("%q is no host's key: it takes the type and the key, such as \"ssh-ed25519 AAAA…\", without a name before it.", key)})
		}
	}
	if unknown("repository") {
		return errs
	}
	if strings.HasPrefix(c.Repository, "-") || strings.ContainsAny(c.Repository, "\n\x00") {
		errs = append(errs, modules.ArgError{Arg: "repository", Summary: "Wrong value", Detail: "It is no repository's address."})
	}
	if c.Key != nil && (strings.HasPrefix(c.Repository, "http://") || strings.HasPrefix(c.Repository, "https://")) {
		errs = append(errs, modules.ArgError{Arg: "key", Summary: "Conflicting arguments", Detail: "A key is for a repository that ssh leads to, and this one's address is a web server's."})
	}
	if u, err := url.Parse(c.Repository); err == nil && u.User != nil {
		if _, given := u.User.Password(); given {
			errs = append(errs, modules.ArgError{Arg: "repository", Summary: "A password in an address", Detail: "Everybody could read it on the host: take a key, or a credential helper of git's."})
		}
	}
	return errs
}

// Withhold shows the diff where the key alone is sensitive, which is in none.
func (c *Checkout) Withhold(diff string, sensitive []string) (string, bool) {
	return diff, len(sensitive) == 1 && sensitive[0] == "key"
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
	as, err := c.access(ctx, v)
	if err != nil {
		return modules.Plan{}, err
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
		return c.clone(ctx, v, path, as)
	}
	if inside, err := v.Lstat(path + "/.git"); err != nil || !inside.Exists() {
		return modules.Plan{}, errors.Join(err, fmt.Errorf("%s is a %s, and no checkout of git's: move it away, or give another path", path, info.Type))
	}
	if c.User != "" && info.Owner != c.User {
		return modules.Plan{}, fmt.Errorf("%s is %s's, not %s's: move it away, or give it to them with all that is in it (chown -R)", path, info.Owner, c.User)
	}
	return c.update(ctx, v, seen(v, path, as))
}

// update compares what is checked out.
func (c *Checkout) update(ctx context.Context, v *host.View, at checkout) (modules.Plan, error) {
	now, err := at.look(ctx, c.Submodules)
	if err != nil {
		return modules.Plan{}, err
	}
	u := &Update{Path: at.path, From: now.Commit, Force: c.Force, Access: at.Access}
	if c.Submodules {
		if u.Differ, err = at.within(ctx, &now); err != nil {
			return modules.Plan{}, err
		}
	}
	u.Changed = now.changed
	if now.origin != c.Repository {
		if !c.Force {
			return refused(at.path, "it comes from %s, not from %s: run \"git -C %s remote set-url origin %s\"", now.origin, c.Repository, at.path, c.Repository)
		}
		u.Origins = []string{now.origin, c.Repository}
	}
	want, err := c.wanted(ctx, v, at.Access)
	if err != nil {
		return modules.Plan{}, err
	}
	u.Source = c.source(want, 0)
	if err := c.history(ctx, v, at, u); err != nil {
		return modules.Plan{}, err
	}
	if want.branch != "" && now.Branch != want.branch {
		u.Branches = []string{now.named(), want.named()}
	}
	moves := now.Commit != want.commit || u.Branches != nil || u.Differ != nil
	if !moves && !now.begun && !u.Unshallow && !u.Deepen && u.Origins == nil && (!c.Force || len(now.changed) == 0) {
		return now.right()
	}
	if u.Own, err = at.own(ctx, now, want); err != nil {
		return modules.Plan{}, err
	}
	u.Own += now.own
	switch {
	case c.Force || !moves:
	case len(now.changed) > 0:
		return refused(at.path, "it has changes that aren't committed, to %s: commit and push them", names(now.changed))
	case u.Branches != nil && now.Branch != "":
		return refused(at.path, "it has %s checked out, not %s: check that out", now.named(), want.named())
	case u.Own > 0:
		return refused(at.path, "it has %s: push them", commits(u.Own))
	}
	if c.Force && moves {
		u.Untracked, err = at.untracked(ctx)
	}
	return modules.Plan{Changes: []host.Change{u}}, err
}

// history plans how much of its history a checkout gets. A shallow one ends at the commits
// that .git/shallow names.
func (c *Checkout) history(ctx context.Context, v *host.View, at checkout, u *Update) error {
	ends, err := v.ReadFile(ctx, at.path+"/.git/shallow", 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil
	case err != nil:
		return err
	case c.Depth == 0:
		u.Unshallow = true
		return nil
	}
	u.Depth = c.Depth
	text, err := at.ask(ctx, "rev-list", "--first-parent", "--max-count", strconv.Itoa(c.Depth), "HEAD")
	chain := strings.Fields(text)
	u.Deepen = len(chain) < c.Depth && len(chain) > 0 && slices.Contains(strings.Fields(string(ends)), chain[len(chain)-1])
	return err
}

func (c *Checkout) clone(ctx context.Context, v *host.View, path string, as Access) (modules.Plan, error) {
	dir := path[:strings.LastIndexByte(path, '/')+1]
	switch info, err := v.Stat(dir); {
	case err != nil:
		return modules.Plan{}, err
	case info.Type != host.Directory:
		return modules.Plan{}, fmt.Errorf("%s isn't there to clone into: add a directory task before this one", dir)
	}
	want, err := c.wanted(ctx, v, as)
	if err != nil {
		return modules.Plan{}, err
	}
	return modules.Plan{Changes: []host.Change{&Clone{Path: path, Repository: c.Repository, Source: c.source(want, c.Depth), Access: as}}}, nil
}
