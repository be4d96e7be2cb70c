package haproxy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// refused has HAProxy check a configuration as its unit would start it, on a private
// copy, in which certificates and maps are those that are wanted. It returns nil where
// HAProxy takes it without a warning, and host.ErrNotYet where what it depends on is
// still to come.
func (p *planner) refused(ctx context.Context) error {
	scratch, err := p.v.Scratch()
	if err != nil {
		return err
	}
	defer scratch.Remove()
	text := p.text
	places := map[string]string{} // where things stand in the copy, by where they do on the host
	for _, dir := range []string{certsFolder, mapsFolder} {
		if places[dir], err = p.mirror(ctx, scratch, dir); err != nil {
			return err
		}
	}
	state, err := scratch.Write("server-state", []byte(emptyState("")), 0o600)
	if err != nil {
		return err
	}
	places[keptPath] = state
	for from, to := range places {
		text = strings.ReplaceAll(text, from, to)
	}
	text = defaultPath.ReplaceAllString(text, "${1}default-path origin "+filepath.Dir(p.path)+"${3}")
	tmp, err := scratch.Write("haproxy.cfg", []byte(text), 0o600)
	if err != nil {
		return err
	}
	argv := p.daemon.checking(p.path, tmp)
	out, err := p.v.Query(ctx, host.Command{Argv: argv}, append(daemonKeys[:len(daemonKeys):len(daemonKeys)], host.Key{Space: host.Files, Name: "/etc/haproxy/" + host.All}, host.File("/etc/hosts"), host.File("/etc/resolv.conf"))...)
	if err != nil {
		return err
	}
	if out.ExitCode == 0 && out.Signal == "" {
		return nil
	}
	said := string(out.Stderr) + string(out.Stdout)
	places[p.path] = tmp
	for from, to := range places {
		said = strings.ReplaceAll(said, to, from)
	}
	return p.blame(said)
}

// defaultPath is a directive that has relative paths looked up beside the file, which the
// copy isn't.
var defaultPath = regexp.MustCompile(`(?m)^(\s*)default-path\s+(config|parent)(\s*)$`)

// mirror makes a folder's copy: what the task wants there, and links to what else is.
func (p *planner) mirror(ctx context.Context, scratch *host.Scratch, dir string) (string, error) {
	name := filepath.Base(dir)
	if err := scratch.MakeDir(name); err != nil {
		return "", err
	}
	names, err := p.v.ReadDir(dir)
	if err != nil && !absent(err) {
		return "", err
	}
	for _, f := range p.files {
		if filepath.Dir(f.path) == dir {
			if _, err := scratch.Write(filepath.Join(name, filepath.Base(f.path)), f.content, 0o600); err != nil {
				return "", err
			}
			names = slices.DeleteFunc(names, func(n string) bool { return n == filepath.Base(f.path) })
		}
	}
	for _, n := range names {
		info, err := p.v.Stat(filepath.Join(dir, n))
		if err != nil {
			return "", err
		}
		if info.Type != host.Regular {
			continue
		}
		data, err := p.v.ReadFile(ctx, filepath.Join(dir, n), configLimit)
		if err != nil {
			return "", err
		}
		if _, err := scratch.Write(filepath.Join(name, n), data, 0o600); err != nil {
			return "", err
		}
	}
	return filepath.Join(scratch.Path(), name), nil
}

var (
	// [ALERT]    (123) : config : parsing [/etc/haproxy/haproxy.cfg:37] : unknown keyword …
	told1     = regexp.MustCompile(`^\[(ALERT|WARNING)\]\s*(?:\S+\s+)?\(\d+\)\s*:\s*(.*)$`)
	atLine    = regexp.MustCompile(`\[?([^\s\[\]:]+):(\d+)\]?`)
	ofProxy   = regexp.MustCompile(`(?i)(?:proxy|frontend|backend|listen) '([^']+)'`)
	noise     = regexp.MustCompile(`(?i)^(config : )?(errors? (found|in configuration)|error\(s\) found|fatal errors found|some warnings were found|configuration file has no error|proxy '[^']+' .*ignored)`)
	prefixes  = regexp.MustCompile(`^(config : )?(parsing )?`)
	afterLine = regexp.MustCompile(`^\s*:\s*`)
)

// complaint is one thing that HAProxy finds wrong.
type complaint struct {
	line int // of the configuration, 0 where it says none
	text string
}

// complaints reads what HAProxy prints: what is wrong first, then, where nothing is,
// what it warns of.
func complaints(said, path string) (list []complaint) {
	var alerts, warnings []complaint
	for l := range strings.Lines(said) {
		m := told1.FindStringSubmatch(strings.TrimSpace(l))
		if m == nil || noise.MatchString(m[2]) {
			continue
		}
		c := complaint{text: m[2]}
		for _, at := range atLine.FindAllStringSubmatchIndex(m[2], -1) {
			if m[2][at[2]:at[3]] == path {
				c.line, _ = strconv.Atoi(m[2][at[4]:at[5]])
				c.text = prefixes.ReplaceAllString(m[2][:at[0]], "") + afterLine.ReplaceAllString(m[2][at[1]:], "")
				break
			}
		}
		c.text = strings.TrimSpace(prefixes.ReplaceAllString(c.text, ""))
		if m[1] == "ALERT" {
			alerts = append(alerts, c)
		} else {
			warnings = append(warnings, c)
		}
	}
	if alerts != nil {
		return alerts
	}
	return warnings
}

// blame says what HAProxy finds wrong, at the argument that the first of it is about.
func (p *planner) blame(said string) error {
	list := complaints(said, p.path)
	if len(list) == 0 {
		return fmt.Errorf("HAProxy refuses the configuration: %s", strings.TrimSpace(said))
	}
	lines := strings.Split(p.text, "\n")
	e := modules.ArgError{Summary: "HAProxy refuses the configuration"}
	var b strings.Builder
	for i, c := range list {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(c.text)
		if c.line > 0 && c.line <= len(lines) && strings.TrimSpace(lines[c.line-1]) != "" {
			fmt.Fprintf(&b, "\n  %s:%d: %s", p.path, c.line, strings.TrimSpace(lines[c.line-1]))
		}
		if e.Arg == "" {
			e.Arg, e.Path = p.argument(c)
		}
	}
	if e.Detail = b.String(); e.Arg == "" && p.Source != nil {
		e.Arg = "source"
	}
	return e
}

// argument is the one that a complaint is about, as far as that can be told.
func (p *planner) argument(c complaint) (arg, path string) {
	if c.line > 0 {
		return p.rendered.at(c.line)
	}
	if m := ofProxy.FindStringSubmatch(c.text); m != nil {
		for kind, there := range map[string]bool{"frontend": named(p.Frontend, m[1]), "backend": named(p.Backend, m[1]), "listen": named(p.Listen, m[1])} {
			if there {
				return kind, fmt.Sprintf("[%q]", m[1])
			}
		}
	}
	return "", ""
}

func named[T any](m map[string]T, name string) bool {
	_, ok := m[name]
	return ok
}

func isNotYet(err error) bool { return errors.Is(err, host.ErrNotYet) }
