package inventory

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// sshConfigSource lists the hosts that an ssh_config(5) names: the words of
// its Host lines that are no patterns. What a host is jumped through becomes
// a bastion, so it is no host of its own.
type sshConfigSource struct{}

func (sshConfigSource) Arguments() []Argument {
	return []Argument{{Name: "path", Type: cty.String, Required: true}}
}

func (sshConfigSource) Remote() bool { return false }

func (sshConfigSource) Open(b Block) (Lister, error) {
	path, err := b.Path("path")
	if err != nil {
		return nil, err
	}
	return sshConfigFile(path), nil
}

type sshConfigFile string

// List reads the file and what it includes.
func (f sshConfigFile) List(context.Context) (*Listing, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, fmt.Errorf("finding the home folder: %w", err)
	}
	c := &sshConfig{home: home, bastions: map[string]bool{}}
	if err := c.read(string(f), 0); err != nil {
		return nil, err
	}
	c.hosts()
	return &c.listing, nil
}

// sshConfig turns the lines of an ssh_config into a Listing.
type sshConfig struct {
	home     string
	lines    []sshLine
	listing  Listing
	bastions map[string]bool // listed already
}

// sshLine is a line of an ssh_config, with the Host lines it stands under:
// all of them must match, one of each Include on the way.
type sshLine struct {
	keyword string // in lower case
	words   []string
	under   [][]string
	at      hcl.Range
}

// maxIncludes is how deep files may include one another, as OpenSSH's limit.
const maxIncludes = 16

// read adds the lines of a file, which stands under the given Host lines.
func (c *sshConfig) read(file string, depth int, under ...[]string) error {
	if depth > maxIncludes {
		return fmt.Errorf("%s: files include one another more than %d deep", file, maxIncludes)
	}
	src, err := readFile(file)
	if err != nil {
		return err
	}
	within := under
	for i, text := range strings.Split(string(src), "\n") {
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		end := strings.IndexAny(text+" ", " \t=")
		at := lineRange(file, i+1, text)
		rest := strings.TrimLeft(text[end:], " \t")
		words, err := splitWords(strings.TrimLeft(strings.TrimPrefix(rest, "="), " \t"))
		if err != nil {
			return &FileError{at, err}
		}
		line := sshLine{keyword: strings.ToLower(text[:end]), words: words, at: at}
		switch line.keyword {
		case "match":
			line.words = c.match(words, at)
			fallthrough
		case "host":
			within = append(slices.Clip(under), line.words)
			line.under = under
		case "include":
			for _, pattern := range words {
				if err := c.include(pattern, depth, at, within); err != nil {
					return err
				}
			}
			continue
		default:
			line.under = within
		}
		c.lines = append(c.lines, line)
	}
	return nil
}

func (c *sshConfig) include(pattern string, depth int, at hcl.Range, under [][]string) error {
	files, err := filepath.Glob(beside(filepath.Join(c.home, ".ssh", "config"), pattern, c.home))
	if err != nil {
		return &FileError{at, fmt.Errorf("%s: %w", quote(pattern), err)}
	}
	for _, file := range files {
		if err := c.read(file, depth+1, under...); err != nil {
			return err
		}
	}
	return nil
}

// match turns a Match line into the words of a Host line. What it can't be
// turned into matches nothing.
func (c *sshConfig) match(words []string, at hcl.Range) []string {
	switch {
	case len(words) == 1 && strings.EqualFold(words[0], "all"):
		return []string{"*"}
	case len(words) == 2 && (strings.EqualFold(words[0], "host") || strings.EqualFold(words[0], "originalhost")):
		return strings.Split(words[1], ",")
	}
	c.warn(at, "this Match block is left out: only all, host and originalhost are followed")
	return nil
}

func (c *sshConfig) warn(at hcl.Range, format string, args ...any) {
	w := FileError{at, fmt.Errorf(format, args...)}
	if !slices.ContainsFunc(c.listing.Warnings, func(had FileError) bool { return had.Error() == w.Error() }) {
		c.listing.Warnings = append(c.listing.Warnings, w)
	}
}

// hosts lists the names that Host lines hold, but for bastions.
func (c *sshConfig) hosts() {
	var entries []Entry
	seen := map[string]bool{}
	for _, line := range c.lines {
		if line.keyword != "host" {
			continue
		}
		for _, name := range line.words {
			if seen[name] || strings.ContainsAny(name, "*?!") {
				continue
			}
			seen[name] = true
			entries = append(entries, Entry{Name: name, Settings: c.settings(name), At: line.at})
		}
	}
	for _, e := range entries {
		if !c.bastions[e.Name] {
			c.listing.Hosts = append(c.listing.Hosts, e)
		}
	}
}

// settings says how ssh reaches name; its bastions are listed on the way.
func (c *sshConfig) settings(name string) []Value {
	found := map[string]sshLine{}
	for _, line := range c.lines {
		if line.keyword == "host" || line.keyword == "match" || len(line.words) == 0 {
			continue
		}
		_, set := found[line.keyword]
		if !set && !slices.ContainsFunc(line.under, func(patterns []string) bool { return !matches(patterns, name) }) {
			found[line.keyword] = line // the first value holds
		}
	}
	address, port, login := name, "22", ""
	if l, ok := found["hostname"]; ok {
		address = strings.NewReplacer("%%", "%", "%h", name).Replace(l.words[0])
	}
	if l, ok := found["port"]; ok {
		port = l.words[0]
	}
	if l, ok := found["user"]; ok {
		login = l.words[0]
	}
	values := []Value{{Name: "address", Value: cty.StringVal(address), At: found["hostname"].at}}
	if l, ok := found["port"]; ok {
		values = append(values, Value{Name: "port", Value: literal(port), At: l.at})
	}
	if l, ok := found["user"]; ok {
		values = append(values, Value{Name: "user", Value: cty.StringVal(login), At: l.at})
	}
	if l, ok := found["identityfile"]; ok && l.words[0] != "none" {
		local := ""
		if u, err := user.Current(); err == nil {
			local = u.Username
		}
		path := strings.NewReplacer("%%", "%", "%d", c.home, "%h", address, "%n", name, "%p", port, "%r", login, "%u", local).Replace(l.words[0])
		values = append(values, Value{Name: "identity", Value: cty.StringVal(path), At: l.at})
	}
	for _, keyword := range []string{"ProxyCommand", "HostKeyAlias"} {
		if l, ok := found[strings.ToLower(keyword)]; ok && l.words[0] != "none" {
			c.warn(l.at, "%s of the host %s is left out", keyword, quote(name))
		}
	}
	if l, ok := found["proxyjump"]; ok && !strings.EqualFold(l.words[0], "none") {
		values = append(values, Value{Name: "via", Value: cty.StringVal(c.jump(l.words[0], l.at)), At: l.at})
	}
	return values
}

// jump lists the bastions of a ProxyJump, "[user@]host[:port]" from first to
// last with commas between, and returns the name of the last.
func (c *sshConfig) jump(jumps string, at hcl.Range) string {
	via := ""
	for hop := range strings.SplitSeq(jumps, ",") {
		hop = strings.TrimPrefix(strings.TrimSpace(hop), "ssh://")
		login, host, ok := cutLast(hop, '@')
		if !ok {
			login, host = "", hop
		}
		name, port := splitPort(host)
		name = strings.Trim(name, "[]")
		if !c.bastions[name] {
			c.bastions[name] = true // first, for hosts that jump in a circle
			own := c.settings(name)
			set := func(setting string, v cty.Value) {
				own = slices.DeleteFunc(own, func(o Value) bool { return o.Name == setting })
				own = append(own, Value{Name: setting, Value: v, At: at})
			}
			if login != "" {
				set("user", cty.StringVal(login))
			}
			if port != "" {
				set("port", literal(port))
			}
			if via != "" { // as ssh does: a chain stands for the jumps of those in it
				set("via", cty.StringVal(via))
			}
			c.listing.Bastions = append(c.listing.Bastions, Entry{Name: name, Settings: own, At: at})
		}
		via = name
	}
	return via
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// matches is ssh_config's PATTERNS: one must match, and none with a "!".
func matches(patterns []string, name string) bool {
	found := false
	for _, p := range patterns {
		not := strings.HasPrefix(p, "!")
		if ok, err := filepath.Match(strings.NewReplacer("[", `\[`, `\`, `\\`).Replace(strings.TrimPrefix(p, "!")), name); ok && err == nil {
			if not {
				return false
			}
			found = true
		}
	}
	return found
}
