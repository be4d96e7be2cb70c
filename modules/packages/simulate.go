package packages

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"muster/host"
)

// step is what apt will do to one package.
type step struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"` // "" where it isn't installed
	New  string `json:"new,omitempty"` // "" where it is removed
}

// private keeps apt from writing anything: even with -s, as root it writes its
// caches and a log of what the planner was asked (/var/log/apt/eipp.log.xz).
func private() []string {
	return []string{"-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "-o", "Dir::Log::Planner=/dev/null", "-o", "Dir::Log::Solver=/dev/null", "-o", "Debug::NoLocking=true"}
}

// transaction is everything that apt was told to do by the tasks planned so
// far: arguments of "apt-get install", and the steps they come to. It lies in
// the preview, so that the next task plans on what will be there.
type transaction struct {
	Args  []string `json:"args"`
	Steps []step   `json:"steps"`
}

// transactionKey is where it lies.
func transactionKey() host.Key { return host.Key{Space: "apt", Name: "transaction"} }

func pending(v *host.View) (transaction, error) {
	t, err := host.Read(v, transactionKey(), func() (*transaction, error) { return nil, nil })
	if err != nil || t == nil {
		return transaction{}, err
	}
	return *t, nil
}

// simulate returns what "apt-get install ARGS" would do after the tasks
// planned so far, those tasks' own part left out.
func simulate(ctx context.Context, v *host.View, options, args []string) ([]step, error) {
	before, err := pending(v)
	if err != nil {
		return nil, err
	}
	// Each package is asked for once, so that the order says nothing. Without one, each look
	// back from the end of the plan would be another question than the last task's own.
	all := slices.Sorted(slices.Values(append(others(before.Args, args), args...)))
	steps, err := host.Once(v, "apt simulation "+strings.Join(options, " ")+" "+strings.Join(all, " "), func() ([]step, error) {
		return runSimulation(ctx, v, append(append([]string{}, options...), "install"), all)
	})
	if err != nil {
		return nil, err
	}
	done := map[string]step{}
	for _, s := range before.Steps {
		done[s.Name] = s
	}
	var rest []step
	for _, s := range before.Steps {
		// What an earlier task removes and all together don't, this one brings back: by
		// a name that it provides.
		if s.New == "" && s.Old != "" && s.Old != "configuration" && !has(steps, s.Name) {
			rest = append(rest, step{Name: s.Name, New: s.Old})
		}
		// What an earlier task installs and this one removes is no step of all together.
		if s.New != "" && removes(args, s.Name) && !has(steps, s.Name) {
			rest = append(rest, step{Name: s.Name, Old: s.New})
		}
	}
	for _, s := range steps {
		was, ok := done[s.Name]
		if ok && was.New == s.New {
			continue
		}
		if ok {
			s.Old = was.New
		}
		rest = append(rest, s)
	}
	return rest, nil
}

// others are arguments without those about a package that args are about, too: of two
// about one package, the later counts.
func others(list, args []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(arg string) bool {
		return slices.ContainsFunc(args, func(a string) bool { return argName(a) == argName(arg) })
	})
}

// argName is the package that an argument of apt's is about, see want.asked.
func argName(arg string) string {
	name, _, _ := strings.Cut(arg[:len(arg)-1], "=")
	return name
}

// removes reports whether arguments remove a package, by its name with or without an
// architecture.
func removes(args []string, name string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		bare, _, _ := strings.Cut(argName(a), ":")
		return strings.HasSuffix(a, "-") && (argName(a) == name || bare == name)
	})
}

func runSimulation(ctx context.Context, v *host.View, options, args []string) ([]step, error) {
	argv := append([]string{"apt-get", "-s", "-y", "-q", "--allow-downgrades", "--allow-change-held-packages"}, private()...)
	argv = append(append(argv, options...), args...)
	out, err := v.Query(ctx, host.Command{Argv: argv, OutputLimit: 8 << 20})
	if err != nil {
		return nil, fmt.Errorf("asking apt what would be done: %w", err)
	}
	if out.ExitCode != 0 {
		return nil, &refusal{out: out}
	}
	return parseSimulation(string(out.Stdout)), nil
}

// refusal is apt's "no".
type refusal struct {
	out    host.Output
	native string // the host's architecture, which names are shown without
}

func (r *refusal) Error() string {
	words := aptWords(r.out)
	if r.native != "" {
		words = strings.ReplaceAll(words, ":"+r.native, "")
	}
	return "apt refuses: " + words
}

// unknownPackage reports whether apt has never heard of what it was asked for.
func unknownPackage(err error) bool {
	var r *refusal
	if !errors.As(err, &r) {
		return false
	}
	text := string(r.out.Stderr) + string(r.out.Stdout)
	return strings.Contains(text, "Unable to locate package") || strings.Contains(text, "has no installation candidate") || strings.Contains(text, "was not found")
}

// aptWords is the part of apt's output that says what is wrong: its errors,
// or the packages that can't be reconciled.
func aptWords(out host.Output) string {
	var list []string
	for _, line := range strings.Split(string(out.Stderr), "\n") {
		text, ok := strings.CutPrefix(line, "E: ")
		if ok && !strings.HasPrefix(text, "Unable to correct problems") && !strings.HasPrefix(text, "Couldn't find any package by") {
			list = append(list, text)
		}
	}
	_, unmet, ok := strings.Cut(string(out.Stdout), "unmet dependencies:")
	if ok {
		for _, line := range strings.Split(strings.TrimSpace(unmet), "\n") {
			if line = strings.Join(strings.Fields(line), " "); line != "" && len(list) < 12 {
				list = append(list, line)
			}
		}
	}
	if len(list) == 0 {
		return out.LastWords()
	}
	return strings.Join(list, "; ")
}

// stepForm is a line of apt-get -s: apt-get(8), "-s".
var stepForm = regexp.MustCompile(`(?m)^(Inst|Remv|Purg) (\S+)(?: \[([^\]]+)\])?(?: \((\S+) )?`)

func parseSimulation(text string) []step {
	var list []step
	for _, m := range stepForm.FindAllStringSubmatch(text, -1) {
		s := step{Name: m[2], Old: m[3]}
		if m[1] == "Inst" {
			s.New = m[4]
		}
		list = append(list, s)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	// A removal with purge shows twice.
	var out []step
	for _, s := range list {
		if n := len(out); n > 0 && out[n-1].Name == s.Name {
			if s.New != "" {
				out[n-1].New = s.New
			}
			if out[n-1].Old == "" {
				out[n-1].Old = s.Old
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// providers returns the packages that provide a name, whether they are installed or not.
func providers(ctx context.Context, v *host.View, name string) ([]string, error) {
	return host.Once(v, "apt providers of "+name, func() ([]string, error) {
		argv := append(append([]string{"apt-cache"}, private()...), "showpkg", name)
		out, err := v.Query(ctx, host.Command{Argv: argv, OutputLimit: 1 << 20})
		if err != nil {
			return nil, fmt.Errorf("asking apt what provides %s: %w", name, err)
		}
		var list []string
		_, text, _ := strings.Cut(string(out.Stdout), "\nReverse Provides:") // nothing where apt knows no such name
		for line := range strings.Lines(text) {
			if words := strings.Fields(line); len(words) > 1 {
				list = append(list, words[0])
			}
		}
		return list, nil
	})
}

// candidates returns the version that apt would install of each package that
// is installed, by name; one program run answers for all tasks.
func candidates(ctx context.Context, v *host.View, db *database) (map[string]string, error) {
	return host.Once(v, "apt candidates", func() (map[string]string, error) {
		argv := append(append([]string{"apt-cache"}, private()...), "policy")
		for name, r := range db.packages {
			if r.installed() {
				argv = append(argv, name)
			}
		}
		sort.Strings(argv[len(private())+2:])
		out, err := v.Query(ctx, host.Command{Argv: argv, OutputLimit: 64 << 20})
		if err != nil {
			return nil, fmt.Errorf("asking apt for the newest versions: %w", err)
		}
		if out.ExitCode != 0 {
			return nil, &refusal{out: out}
		}
		return parsePolicy(string(out.Stdout)), nil
	})
}

func parsePolicy(text string) map[string]string {
	found, name := map[string]string{}, ""
	for _, line := range strings.Split(text, "\n") {
		if line != "" && line[0] != ' ' {
			name = strings.TrimSuffix(line, ":")
			continue
		}
		if c, ok := strings.CutPrefix(line, "  Candidate: "); ok && c != "(none)" {
			found[name] = c
		}
	}
	return found
}
