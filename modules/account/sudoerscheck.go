package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"muster/host"
)

const visudo = "/usr/sbin/visudo"

// sudoersFile is where sudo begins to read.
const sudoersFile = "/etc/sudoers"

// rules is a file in sudoers.d as it is to be.
type rules struct {
	path      string
	body      []byte
	there     bool
	sensitive bool
}

// checkRules asks visudo about all of the host's rules, with one file as it is
// to be. What is wrong because of that file is the error: also an alias that is
// defined twice or no longer, in whichever file that shows. What was wrong
// before is returned as a note.
func checkRules(ctx context.Context, v *host.View, r rules) (note string, err error) {
	program, err := v.Stat(visudo)
	if errors.Is(err, host.ErrNotYet) || err == nil && !program.Exists() {
		return "", nil // a package brings it; it is checked before the file lands
	}
	if err != nil {
		return "", err
	}
	after, err := r.says(ctx, v)
	if errors.Is(err, host.ErrNotYet) {
		return "", nil
	}
	if err != nil || len(after) == 0 {
		return "", err
	}
	old, err := readRules(ctx, v, r.path)
	if err != nil {
		return "", err
	}
	before, err := old.says(ctx, v)
	if err != nil {
		return "", err
	}
	known := map[string]bool{}
	for _, line := range before {
		known[line] = true
	}
	var ours, others []string
	for _, line := range after {
		if strings.Contains(line, r.path+":") || !known[line] {
			ours = append(ours, line)
		} else {
			others = append(others, line)
		}
	}
	if len(ours) == 0 && r.there { // an error elsewhere may have kept visudo from ours
		if ours, err = r.alone(ctx, v); err != nil {
			return "", err
		}
	}
	if len(ours) > 0 {
		if r.sensitive {
			ours = withoutText(ours, r.path)
		}
		what := "visudo refuses the rules of " + r.path + ", together with those beside them"
		if !r.there {
			what = "other rules need " + r.path + ": without it visudo says"
		}
		return "", fmt.Errorf("%s:\n%s", what, strings.Join(ours, "\n"))
	}
	return "visudo says, and did before: " + strings.Join(others, "; "), nil
}

// readRules is the file as it is; one that can't be foreseen isn't there.
func readRules(ctx context.Context, v *host.View, path string) (rules, error) {
	info, err := v.Stat(path)
	if errors.Is(err, host.ErrNotYet) {
		err = nil
	}
	if err != nil || !info.Exists() {
		return rules{path: path}, err
	}
	body, err := v.ReadFile(ctx, path, sudoersLimit)
	return rules{path: path, body: body, there: true}, err
}

// says is what visudo finds wrong in all rules; nothing where it takes them.
func (r rules) says(ctx context.Context, v *host.View) ([]string, error) {
	main, err := v.Stat(sudoersFile)
	if err != nil {
		return nil, err
	}
	if !main.Exists() {
		return r.alone(ctx, v)
	}
	return inScratch(v, func(scratch *host.Scratch) ([]string, error) {
		c := &rulesCopy{scratch: scratch, replaced: r}
		file, err := c.file(ctx, v, sudoersFile)
		if err != nil {
			return nil, err
		}
		lines, err := runVisudo(ctx, v, c.names, "-c", "-s", "-f", file)
		if err != nil || len(lines) > 0 || c.used || !r.there {
			return lines, err
		}
		return r.alone(ctx, v) // /etc/sudoers doesn't include the folder
	})
}

// alone is what visudo finds wrong in the file itself.
func (r rules) alone(ctx context.Context, v *host.View) ([]string, error) {
	if !r.there {
		return nil, nil
	}
	return inScratch(v, func(scratch *host.Scratch) ([]string, error) {
		file, err := scratch.Write("rules", r.body, 0o400)
		if err != nil {
			return nil, err
		}
		return runVisudo(ctx, v, []string{file, r.path}, "-c", "-f", file)
	})
}

func inScratch(v *host.View, do func(*host.Scratch) ([]string, error)) ([]string, error) {
	scratch, err := v.Scratch()
	if err != nil {
		return nil, err
	}
	defer scratch.Remove()
	return do(scratch)
}

// runVisudo returns what visudo says, where it refuses, with the names of copies
// replaced in pairs by those that they stand for.
func runVisudo(ctx context.Context, v *host.View, names []string, args ...string) ([]string, error) {
	out, err := v.Query(ctx, host.Command{Argv: append([]string{visudo}, args...)}, host.Key{Space: host.Packages, Name: "sudo"})
	if err != nil || out.ExitCode == 0 {
		return nil, err
	}
	var lines []string
	text := strings.NewReplacer(names...).Replace(string(out.Stderr) + "\n" + string(out.Stdout))
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \r\n")
		if line != "" && !strings.HasSuffix(line, ": parsed OK") && !strings.HasPrefix(line, "Warning: ") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		lines = []string{fmt.Sprintf("exit code %d, without a word", out.ExitCode)}
	}
	return lines, nil
}

// withoutText leaves of what visudo says where it is said.
func withoutText(lines []string, path string) []string {
	var kept []string
	for _, line := range lines {
		if at := strings.Index(line, path); at >= 0 {
			end := at + len(path)
			for end < len(line) && strings.IndexByte(":0123456789", line[end]) >= 0 {
				end++
			}
			kept = append(kept, line[:end]+" (sensitive content)")
		}
	}
	if len(kept) == 0 {
		kept = []string{"(sensitive content)"}
	}
	return kept
}
