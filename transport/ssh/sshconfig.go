package ssh

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// sshConfig is a user's ssh_config(5). It is read once and asked for each hop.
// Host, Match with "all", "host" and "originalhost", and Include are followed;
// other Match criteria are warned of and match nothing: muster runs no program
// that ssh_config names.
type sshConfig struct{ directives []directive }

// directive is one line; an Include holds the lines of the files it names.
type directive struct {
	key      string // in lower case
	args     []string
	included []directive
}

// settings are what ssh_config says of one host; the first value wins, but
// identity and certificate files add up.
type settings struct {
	values       map[string]string
	identities   []string
	certificates []string
}

// maxIncludes is how deep files may include one another (as OpenSSH's).
const maxIncludes = 16

// readConfig reads file. A missing one is empty.
func readConfig(file string, warn func(string)) (*sshConfig, error) {
	lines, err := readDirectives(file, filepath.Dir(file), 0, warn)
	if os.IsNotExist(err) {
		return &sshConfig{}, nil
	}
	return &sshConfig{directives: lines}, err
}

func readDirectives(file, sshDir string, depth int, warn func(string)) ([]directive, error) {
	if depth > maxIncludes {
		return nil, fmt.Errorf("reading %s: files include one another more than %d deep", file, maxIncludes)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []directive
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		words := splitDirective(s.Text())
		if len(words) == 0 {
			continue
		}
		d := directive{key: strings.ToLower(words[0]), args: words[1:]}
		switch d.key {
		case "match":
			if d.args, err = matchHosts(d.args); err != nil {
				warn(fmt.Sprintf("%s:%d: this Match block is ignored: %v", file, n, err))
			}
		case "proxycommand":
			warn(fmt.Sprintf("%s:%d: ProxyCommand is ignored: name a bastion with via, or use ProxyJump", file, n))
		case "include":
			for _, pattern := range d.args {
				names, err := filepath.Glob(includePath(pattern, sshDir))
				if err != nil {
					return nil, fmt.Errorf("%s:%d: %w", file, n, err)
				}
				for _, name := range names {
					more, err := readDirectives(name, sshDir, depth+1, warn)
					if err != nil {
						return nil, fmt.Errorf("%s:%d: %w", file, n, err)
					}
					// Each file starts in the state of the Include line.
					all = append(all, directive{key: "include", included: more})
				}
			}
			continue
		}
		all = append(all, d)
	}
	return all, s.Err()
}

func includePath(pattern, sshDir string) string {
	if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
		return filepath.Join(filepath.Dir(sshDir), rest)
	}
	if filepath.IsAbs(pattern) {
		return pattern
	}
	return filepath.Join(sshDir, pattern)
}

// matchHosts turns a Match line's criteria into a Host line's patterns; what
// can't be, matches nothing.
func matchHosts(args []string) ([]string, error) {
	switch {
	case len(args) == 1 && strings.EqualFold(args[0], "all"):
		return []string{"*"}, nil
	case len(args) == 2 && (strings.EqualFold(args[0], "host") || strings.EqualFold(args[0], "originalhost")):
		return strings.Split(args[1], ","), nil
	case len(args) == 0:
		return nil, fmt.Errorf("it names no criterion")
	}
	return nil, fmt.Errorf("only all, host and originalhost are followed, not %q", strings.Join(args, " "))
}

// splitDirective splits "Key value", "Key = value" and `Key "a b" c`.
func splitDirective(line string) []string {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return nil
	}
	end := strings.IndexAny(line, " \t=")
	if end < 0 {
		return []string{line}
	}
	words := []string{line[:end]}
	rest := strings.TrimLeft(line[end:], " \t")
	rest = strings.TrimLeft(strings.TrimPrefix(rest, "="), " \t")
	for rest != "" && rest[0] != '#' {
		var word string
		if rest[0] == '"' {
			word, rest, _ = strings.Cut(rest[1:], `"`)
		} else if i := strings.IndexAny(rest, " \t"); i >= 0 {
			word, rest = rest[:i], rest[i:]
		} else {
			word, rest = rest, ""
		}
		words = append(words, word)
		rest = strings.TrimLeft(rest, " \t")
	}
	return words
}

// lookup returns what the configuration says of alias.
func (c *sshConfig) lookup(alias string) settings {
	s := settings{values: map[string]string{}}
	s.collect(c.directives, alias, true)
	return s
}

func (s *settings) collect(lines []directive, alias string, active bool) {
	outer := active
	for _, d := range lines {
		switch {
		case d.key == "host" || d.key == "match":
			active = outer && matchesAny(d.args, alias)
		case !active || len(d.args) == 0 && d.included == nil:
		case d.key == "include":
			s.collect(d.included, alias, true)
		case d.key == "identityfile":
			s.identities = append(s.identities, d.args[0])
		case d.key == "certificatefile":
			s.certificates = append(s.certificates, d.args[0])
		default:
			if _, set := s.values[d.key]; !set {
				s.values[d.key] = strings.Join(d.args, " ")
			}
		}
	}
}

// matchesAny is ssh_config's PATTERNS: one must match, no negated one may.
func matchesAny(patterns []string, alias string) bool {
	found := false
	for _, p := range patterns {
		negated := strings.HasPrefix(p, "!")
		if glob(strings.TrimPrefix(p, "!"), alias) {
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}

// glob matches * and ? alone, as OpenSSH does, without regard to case.
func glob(pattern, s string) bool {
	pattern, s = strings.ToLower(pattern), strings.ToLower(s)
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == s // nearly all lines of a large known_hosts
	}
	pattern = strings.NewReplacer(`\`, `\\`, `[`, `\[`).Replace(pattern)
	// path.Match's * stops at slashes, which host names don't have.
	ok, err := path.Match(pattern, s)
	return ok && err == nil
}
