package git

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"muster/host"
	"muster/modules"
)

// before is the ref that an update keeps at the commit that it began on, until it is through.
// What that commit has came from the repository, also where a branch or tag that was moved
// there no longer has it: an update that is cut off isn't taken for somebody's own commits.
const before = "refs/muster/before"

// state is a checkout as it is.
type state struct {
	Output
	origin  string
	changed []string // what is tracked and has changes that aren't committed
	begun   bool     // an update of it isn't through
	own     int      // commits of its submodules that no remote is known to have
}

func (s state) named() string {
	if s.Branch == "" {
		return s.Commit[:min(12, len(s.Commit))]
	}
	return s.Branch
}

// right is the plan for a checkout that is as it was to be.
func (s state) right() (modules.Plan, error) {
	out, err := json.Marshal(s.Output)
	return modules.Plan{Output: out}, err
}

// refused is the error for a checkout that only force would bring to what it was to be: why is
// what that would take from somebody.
func refused(path, why string, a ...any) (modules.Plan, error) {
	return modules.Plan{}, fmt.Errorf("%s isn't brought to what the repository has: %s, or give the task force = true, which takes that away", path, fmt.Sprintf(why, a...))
}

// checkout asks a checkout's git; it only reads.
type checkout struct {
	path string
	Access
	run func(ctx context.Context, c host.Command) (host.Output, error)
}

// seen is a checkout as a view has it.
func seen(v *host.View, path string, as Access) checkout {
	return checkout{path, as, func(ctx context.Context, c host.Command) (host.Output, error) {
		return v.Query(ctx, c, host.File(path), host.Key{Space: host.Files, Name: path + "/*"})
	}}
}

// ask returns what git prints, which must end well.
func (c checkout) ask(ctx context.Context, args ...string) (string, error) {
	out, err := c.run(ctx, c.command(append([]string{"-C", c.path}, args...)...))
	if err == nil && out.ExitCode != 0 {
		err = fmt.Errorf("%s: %s", c.path, out.LastWords())
	}
	return strings.TrimRight(string(out.Stdout), "\n"), err
}

// look asks a checkout what it is.
func (c checkout) look(ctx context.Context, submodules bool) (state, error) {
	s, err := c.status(ctx, submodules)
	if err != nil {
		return s, err
	}
	if s.origin, err = c.ask(ctx, "config", "--get", "remote.origin.url"); err != nil {
		return s, fmt.Errorf("%s has no remote called origin: %w", c.path, err)
	}
	begun, err := c.ask(ctx, "for-each-ref", "--format=%(objectname)", before)
	s.begun = begun != ""
	return s, err
}

// status asks what is checked out, and what of it was changed. Submodules are looked at by
// within: here they are left out, unless another commit of one is to be committed.
func (c checkout) status(ctx context.Context, submodules bool) (s state, err error) {
	text, err := c.ask(ctx, "status", "--porcelain=v2", "-z", "--branch", "--untracked-files=no")
	if err != nil {
		return s, err
	}
	entries := strings.Split(text, "\x00")
	for i := 0; i < len(entries); i++ {
		entry := entries[i]
		switch head, ok := strings.CutPrefix(entry, "# branch.head "); {
		case ok && head != "(detached)":
			s.Branch = head
		case strings.HasPrefix(entry, "# branch.oid "):
			s.Commit = strings.TrimPrefix(entry, "# branch.oid ")
		case submodules && strings.HasPrefix(entry, "1 .") && len(entry) > 5 && entry[5] == 'S':
		case entry != "" && entry[0] != '#':
			s.changed = append(s.changed, changedPath(entry))
			if entry[0] == '2' {
				i++ // a file that was moved: where it was follows
			}
		}
	}
	return s, nil
}

// changedPath is the path of a status entry: git-status(1), "Porcelain Format Version 2".
func changedPath(entry string) string {
	at := map[byte]int{'1': 8, '2': 9, 'u': 10}[entry[0]]
	fields := strings.SplitN(entry, " ", at+1)
	return fields[len(fields)-1]
}

// own counts the commits that a move to want would take from somebody: those of what is
// checked out, or of the branch that will be, that no remote is known to have.
func (c checkout) own(ctx context.Context, now state, want version) (n int, err error) {
	args := []string{"rev-list", "--count", "--ignore-missing"}
	if now.Branch == "" || want.branch == "" || now.Branch == want.branch {
		args = append(args, "HEAD") // another branch keeps what it has
	}
	if want.branch != "" {
		args = append(args, "refs/heads/"+want.branch)
	}
	text, err := c.ask(ctx, append(args, "--not", "--remotes", "--tags", "--glob=refs/muster")...)
	if err == nil {
		_, err = fmt.Sscan(text, &n)
	}
	return n, err
}

// untracked lists files and folders that git doesn't keep, those that it ignores included.
func (c checkout) untracked(ctx context.Context) ([]string, error) {
	text, err := c.ask(ctx, "ls-files", "-z", "--others", "--directory", "--no-empty-directory")
	if text == "" {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(text, "\x00"), "\x00"), err
}

// names lists some of many names.
func names(list []string) string {
	const most = 5
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
