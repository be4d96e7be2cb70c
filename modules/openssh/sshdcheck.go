package openssh

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
)

// proposal is a drop-in as it is to be.
type proposal struct {
	path      string
	text      string
	there     bool
	sensitive bool
}

// words are a line of sshd_config(5): a keyword, in small letters, and its arguments. The
// keyword may be followed by "=", and an argument stand in double quotes.
func words(line string) (keyword string, args []string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", nil
	}
	end := strings.IndexAny(line, " \t=\"")
	if end < 0 {
		return strings.ToLower(line), nil
	}
	keyword, line = strings.ToLower(line[:end]), strings.TrimLeft(line[end:], " \t")
	line = strings.TrimLeft(strings.TrimPrefix(line, "="), " \t")
	for line != "" && line[0] != '#' {
		if line[0] == '"' {
			var arg string
			arg, line, _ = strings.Cut(line[1:], `"`)
			args = append(args, arg)
		} else if end := strings.IndexAny(line, " \t"); end >= 0 {
			args, line = append(args, line[:end]), line[end:]
		} else {
			args, line = append(args, line), ""
		}
		line = strings.TrimLeft(line, " \t")
	}
	return keyword, args
}

// included is a pattern of an Include line as an absolute path.
func included(pattern string) string {
	if !filepath.IsAbs(pattern) {
		return filepath.Join("/etc/ssh", pattern)
	}
	return pattern
}

// matching lists the files that an Include line's pattern stands for, with the proposal's
// among them or not, in sshd's order.
func (p proposal) matching(v *host.View, pattern string) ([]string, error) {
	pattern = included(pattern)
	names, err := v.ReadDir(filepath.Dir(pattern))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []string
	if ok, _ := filepath.Match(pattern, p.path); ok && p.there {
		list = append(list, p.path)
	}
	for _, name := range names {
		file := filepath.Join(filepath.Dir(pattern), name)
		// glob(7): a name that begins with a dot is matched by a dot alone.
		if ok, _ := filepath.Match(pattern, file); ok && file != p.path && (name[0] != '.' || strings.HasPrefix(filepath.Base(pattern), ".")) {
			list = append(list, file)
		}
	}
	slices.Sort(list)
	return list, nil
}

// read is a file as it is to be.
func (p proposal) read(ctx context.Context, v *host.View, path string) (string, error) {
	if path == p.path {
		return p.text, nil
	}
	data, err := v.ReadFile(ctx, path, sshdLimit)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // sshd itself says so where it matters
	}
	return string(data), err
}

// accepts returns an error where sshd doesn't accept its configuration with the proposal in
// it: a private copy, in which the lines that include the drop-ins lead to copies of them.
func accepts(ctx context.Context, v *host.View, p proposal) error {
	main, err := p.read(ctx, v, mainFile)
	if err != nil {
		return err
	}
	scratch, err := v.Scratch()
	if err != nil {
		return err
	}
	defer scratch.Remove()
	var names []string // of copies and what they stand for, in pairs
	var text strings.Builder
	folders := 0
	for line := range strings.Lines(main) {
		keyword, args := words(line)
		if keyword != "include" {
			text.WriteString(line)
			continue
		}
		for _, pattern := range args {
			if ok, _ := filepath.Match(included(pattern), p.path); !ok {
				fmt.Fprintf(&text, "Include %q\n", pattern)
				continue
			}
			folders++
			folder := fmt.Sprintf("%d", folders)
			if err := scratch.MakeDir(folder); err != nil {
				return err
			}
			files, err := p.matching(v, pattern)
			if err != nil {
				return err
			}
			for _, file := range files {
				body, err := p.read(ctx, v, file)
				if err != nil {
					return err
				}
				copied, err := scratch.Write(filepath.Join(folder, filepath.Base(file)), []byte(body), 0o600)
				if err != nil {
					return err
				}
				names = append(names, copied, file)
			}
			fmt.Fprintf(&text, "Include %s/%s/*\n", scratch.Path(), folder)
		}
	}
	if folders == 0 && p.there {
		return fmt.Errorf("sshd wouldn't read %s: %s has no line \"Include %s/*.conf\"; add it by an earlier task, at the top of the file", p.path, mainFile, dropIns)
	}
	file, err := scratch.Write("sshd_config", []byte(text.String()), 0o600)
	if err != nil {
		return err
	}
	names = append(names, file, mainFile)
	argv := []string{sshd, "-t", "-f", file}
	out, err := v.Query(ctx, host.Command{Argv: argv}, host.Key{Space: host.Packages, Name: "openssh-server"})
	if errors.Is(err, host.ErrNotYet) {
		return nil // it is checked before the file lands
	}
	if err != nil || out.ExitCode == 0 {
		return err
	}
	said := strings.TrimSpace(strings.NewReplacer(names...).Replace(string(out.Stderr) + string(out.Stdout)))
	if said == "" {
		said = fmt.Sprintf("exit code %d, without a word", out.ExitCode)
	}
	if p.sensitive {
		said = withoutText(said, p.path)
	}
	what := "with " + p.path + " as it is to be"
	if !p.there {
		what = "without " + p.path
	}
	return fmt.Errorf("sshd refuses its configuration %s, and nothing has been changed; it says:\n%s", what, said)
}

// withoutText leaves of what is said of a file with secrets the place alone.
func withoutText(said, path string) string {
	var kept []string
	for line := range strings.SplitSeq(said, "\n") {
		if at, _, ok := strings.Cut(line, ": "); strings.Contains(line, path) && ok {
			kept = append(kept, at+" (sensitive content)")
		}
	}
	if len(kept) == 0 {
		return "(sensitive content)"
	}
	return strings.Join(kept, "\n")
}

// shadowed returns an error where a file that sshd reads before sets one of the task's
// settings to something else: the task's would then count for nothing.
func (s *SSHD) shadowed(ctx context.Context, v *host.View, p proposal) error {
	wanted := map[string]string{}
	for name, values := range s.Settings {
		if lower := strings.ToLower(name); !slices.Contains(adding(), lower) {
			_, args := words(name + " " + strings.Join(values, " "))
			wanted[lower] = strings.Join(args, " ")
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	main, err := p.read(ctx, v, mainFile)
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(main) {
		number++
		keyword, args := words(line)
		if keyword == "match" {
			return nil
		}
		if keyword != "include" {
			if err := s.before(wanted, keyword, args, fmt.Sprintf("%s:%d", mainFile, number)); err != nil {
				return err
			}
			continue
		}
		for _, pattern := range args {
			files, err := p.matching(v, pattern)
			if err != nil {
				return err
			}
			for _, file := range files {
				if file == p.path {
					return nil
				}
				text, err := p.read(ctx, v, file)
				if err != nil {
					return err
				}
				if err := s.beforeIn(wanted, text, file); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *SSHD) beforeIn(wanted map[string]string, text, file string) error {
	number := 0
	for line := range strings.Lines(text) {
		number++
		keyword, args := words(line)
		if keyword == "match" { // what follows is of some connections alone
			return nil
		}
		if err := s.before(wanted, keyword, args, fmt.Sprintf("%s:%d", file, number)); err != nil {
			return err
		}
	}
	return nil
}

func (s *SSHD) before(wanted map[string]string, keyword string, args []string, at string) error {
	want, ok := wanted[keyword]
	if !ok {
		return nil
	}
	delete(wanted, keyword) // the first line counts
	if have := strings.Join(args, " "); !strings.EqualFold(have, want) {
		return fmt.Errorf("%s sets %s to %q before %s does, and sshd takes the first: change it there, or give the task a name that comes before", at, keyword, have, s.path())
	}
	return nil
}
