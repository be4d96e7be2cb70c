package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
)

// What the daemon is started with stands in its unit: the files are read, and not
// systemd asked, so that a drop-in counts which an earlier task is to bring.

// unitFolders are where unit files are, the first that has one of a name wins:
// systemd.unit(5).
func unitFolders() []string {
	return []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
}

const unitLimit = 1 << 20

// unitStart is how the unit starts the daemon.
type unitStart struct {
	program string
	flags   []unitFlag
}

// unitFlag is an option on the daemon's command line.
type unitFlag struct {
	name, value string
	from        string // the file that it stands in
}

// unitStartOf returns how the unit starts the daemon, nil where there is no such unit.
func unitStartOf(ctx context.Context, v *host.View) (*unitStart, error) {
	main := ""
	drops := map[string]string{}
	for _, dir := range unitFolders() {
		info, err := v.Stat(filepath.Join(dir, unit))
		if err != nil {
			return nil, err
		}
		if info.Exists() && main == "" {
			main = filepath.Join(dir, unit)
			if info.Type != host.Regular {
				return nil, fmt.Errorf(`%s is masked, so that Docker can't run: task "service" "docker" { masked = false } ends that`, unit)
			}
		}
		folder := filepath.Join(dir, unit+".d")
		names, err := v.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, name := range names {
			if _, taken := drops[name]; !taken && strings.HasSuffix(name, ".conf") {
				drops[name] = filepath.Join(folder, name)
			}
		}
	}
	if main == "" {
		return nil, nil
	}
	p := unitParser{vars: map[string]unitVariable{}}
	files := []string{main}
	for _, name := range slices.Sorted(maps.Keys(drops)) {
		files = append(files, drops[name])
	}
	for _, file := range files {
		text, err := readUnit(ctx, v, file)
		if err != nil {
			return nil, err
		}
		p.unit(file, text)
	}
	for _, file := range p.env {
		path, optional := strings.CutPrefix(file, "-")
		text, err := readUnit(ctx, v, path)
		if err != nil && (!optional || errors.Is(err, host.ErrNotYet)) {
			return nil, err
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if name, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") {
				p.vars[strings.TrimSpace(name)] = unitVariable{strings.Join(unitWords(value), " "), path}
			}
		}
	}
	return p.start(), nil
}

func readUnit(ctx context.Context, v *host.View, path string) (string, error) {
	path, err := v.Follow(path)
	if err != nil {
		return "", err
	}
	data, err := v.ReadFile(ctx, path, unitLimit)
	return string(data), err
}

// unitVariable is one of the unit's environment, and the file that sets it.
type unitVariable struct{ value, from string }

// unitParser gathers what a unit's files say of its start.
type unitParser struct {
	exec, execFrom string
	env            []string
	vars           map[string]unitVariable
}

// unit reads a file: a setting without value empties the list before it.
func (p *unitParser) unit(file, text string) {
	section := ""
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || section != "[Service]" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "ExecStart":
			p.exec, p.execFrom = value, file
		case "EnvironmentFile":
			if p.env = append(p.env, value); value == "" {
				p.env = nil
			}
		case "Environment":
			if value == "" {
				p.vars = map[string]unitVariable{}
			}
			for _, w := range unitWords(value) {
				if name, value, ok := strings.Cut(w, "="); ok {
					p.vars[name] = unitVariable{value, file}
				}
			}
		}
	}
}

// start is the command line with its variables filled in.
func (p *unitParser) start() *unitStart {
	type word struct{ text, from string }
	var line []word
	for _, w := range unitWords(strings.TrimLeft(p.exec, "-@:+!")) {
		name, found := strings.CutPrefix(w, "$")
		name = strings.Trim(name, "{}")
		if v, set := p.vars[name]; found && set {
			for _, part := range unitWords(v.value) {
				line = append(line, word{part, v.from})
			}
		} else if !found {
			line = append(line, word{w, p.execFrom})
		}
	}
	s := &unitStart{}
	if len(line) == 0 {
		return s
	}
	s.program = line[0].text
	for i := 1; i < len(line); i++ {
		w := line[i]
		var name, value string
		var ok bool
		if long, isLong := strings.CutPrefix(w.text, "--"); isLong {
			name, value, ok = strings.Cut(long, "=")
		} else if short, isShort := strings.CutPrefix(w.text, "-"); isShort && short != "" {
			name, value = short[:1], strings.TrimPrefix(short[1:], "=")
			ok = value != ""
		} else {
			continue
		}
		if !ok && i+1 < len(line) && !strings.HasPrefix(line[i+1].text, "-") {
			i++
			value = line[i].text
		}
		s.flags = append(s.flags, unitFlag{name, value, w.from})
	}
	return s
}

// of returns the flag that means the same as a key of daemon.json, nil where there is
// none.
func (s *unitStart) of(key string) *unitFlag {
	for i, f := range s.flags {
		if slices.Contains(daemonSettings()[key].names(key), f.name) {
			return &s.flags[i]
		}
	}
	return nil
}

func (f unitFlag) String() string {
	dash := "--"
	if len(f.name) == 1 {
		dash = "-"
	}
	return strings.TrimSpace(dash + f.name + " " + f.value)
}

// unitWords splits a line as systemd does: at blanks, outside of quotes.
func unitWords(line string) (list []string) {
	var word strings.Builder
	quote, inWord := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				list = append(list, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		list = append(list, word.String())
	}
	return list
}
