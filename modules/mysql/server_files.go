package mysql

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

// What a server reads at its start is read here as the server does (MySQL's manual, "Using
// Option Files"; mysys/my_default.c): /etc/my.cnf, then /etc/mysql/my.cnf, with the files and
// folders that they include where they include them. Of one option the last counts.

const (
	ownName     = "zz-muster.cnf"
	optionLimit = 1 << 20
	ownHead     = "# Written by muster, by a task \"mysql_server\": what is changed here is overwritten.\n[mysqld]\n"
	deepest     = 10 // includes in includes that servers follow
)

// optionLine is a line of the files that sets something for a server.
type optionLine struct {
	file, name, value string
}

// optionFiles are all files that a server reads.
type optionFiles struct {
	own   string // the path of muster's own
	text  string // all of them as one, without muster's: where that stands is a line ownMark
	lines []optionLine
	after []optionLine // those that come behind muster's own
	past  bool
}

const ownMark = "# muster's own\n"

// readOptions reads them. Muster's own is in the last folder that they include.
func readOptions(ctx context.Context, v *host.View, f flavor) (*optionFiles, error) {
	o := &optionFiles{}
	folders := []string{}
	for _, pass := range []bool{false, true} { // first the folders, then all
		*o = optionFiles{own: o.own}
		for _, path := range []string{"/etc/my.cnf", "/etc/mysql/my.cnf"} {
			if err := o.read(ctx, v, f, path, 0, &folders); err != nil {
				return nil, err
			}
		}
		if !pass && len(folders) > 0 {
			o.own = filepath.Join(folders[len(folders)-1], ownName)
		}
	}
	if o.own == "" {
		return nil, errors.New("the server's files include no folder in which muster could put a file of its own: have /etc/mysql/my.cnf end with a line such as !includedir /etc/mysql/conf.d/")
	}
	if !o.past { // its folder doesn't exist
		o.text += ownMark
	}
	return o, nil
}

// read adds one file.
func (o *optionFiles) read(ctx context.Context, v *host.View, f flavor, path string, depth int, folders *[]string) error {
	if path == o.own {
		o.text, o.past = o.text+ownMark, true
		return nil
	}
	info, err := v.Stat(path)
	if err != nil || !info.Exists() || info.Type != host.Regular || info.Mode&0o002 != 0 { // servers pass over what anybody may write
		return err
	}
	data, err := v.ReadFile(ctx, path, optionLimit)
	if err != nil {
		return err
	}
	group := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "!include" && depth < deepest:
			err = o.read(ctx, v, f, strings.TrimSpace(rest), depth+1, folders)
		case word == "!includedir" && depth < deepest:
			err = o.folder(ctx, v, f, filepath.Clean(strings.TrimSpace(rest)), depth+1, folders)
		case strings.HasPrefix(line, "!"):
		default:
			if strings.HasPrefix(line, "[") {
				group = strings.Trim(strings.TrimSpace(strings.SplitN(line, "]", 2)[0]), "[ ")
			}
			if o.text += line + "\n"; forServer(f, group) {
				o.add(path, line)
			}
			continue
		}
		if err != nil {
			return err
		}
		o.text += "[" + group + "]\n"
	}
	o.text += "\n"
	return nil
}

func (o *optionFiles) add(path, line string) {
	name, value, ok := optionOf(line)
	if !ok {
		return
	}
	l := optionLine{path, name, value}
	if o.lines = append(o.lines, l); o.past {
		o.after = append(o.after, l)
	}
}

// folder adds the files of a folder.
func (o *optionFiles) folder(ctx context.Context, v *host.View, f flavor, path string, depth int, folders *[]string) error {
	names, err := v.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	*folders = append(*folders, path)
	if filepath.Dir(o.own) == path && !slices.Contains(names, ownName) {
		names = append(names, ownName)
		slices.Sort(names)
	}
	for _, n := range names {
		if strings.HasSuffix(n, ".cnf") {
			if err := o.read(ctx, v, f, filepath.Join(path, n), depth, folders); err != nil {
				return err
			}
		}
	}
	return nil
}

// forServer reports whether a server reads a section: those with its version are its own, too.
func forServer(f flavor, group string) bool {
	names := []string{"mysqld", "server"}
	if f == mariadb {
		names = append(names, "mariadb", "mariadbd", "galera")
	}
	return slices.ContainsFunc(names, func(n string) bool { return group == n || strings.HasPrefix(group, n+"-") })
}

// optionOf reads a line "name = value".
func optionOf(line string) (name, value string, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || strings.ContainsAny(line[:1], "#;[!") {
		return "", "", false
	}
	name, value, _ = strings.Cut(line, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if strings.Contains(value, `"`) || strings.Contains(value, "'") {
		return optionName(name), unquote(value), true
	}
	if at := strings.Index(value, " #"); at >= 0 {
		value = strings.TrimSpace(value[:at])
	}
	return optionName(name), value, true
}

func unquote(value string) string {
	for _, q := range []string{`"`, "'"} {
		if text, ok := strings.CutPrefix(value, q); ok {
			if end := strings.LastIndex(text, q); end >= 0 {
				return strings.ReplaceAll(text[:end], `\\`, `\`)
			}
		}
	}
	return value
}

// last is what the files but muster's own say of an option in the end.
func last(lines []optionLine, names ...string) *optionLine {
	for i := len(lines) - 1; i >= 0; i-- {
		if slices.Contains(names, lines[i].name) {
			return &lines[i]
		}
	}
	return nil
}

// with is all that the server reads where muster's own file has this text.
func (o *optionFiles) with(own string) string {
	return strings.Replace(o.text, ownMark, own+"\n", 1)
}

// ownText is muster's own file.
func ownText(want map[string]string) string {
	var b strings.Builder
	b.WriteString(ownHead)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		fmt.Fprintf(&b, "%s = %s\n", name, quoteOption(want[name]))
	}
	return b.String()
}

// quoteOption is a value as files have it: what would be a comment, an escape or a space at
// an end stands between quotes.
func quoteOption(value string) string {
	if value == "" || strings.ContainsAny(value, `#\'"`) {
		return `"` + strings.ReplaceAll(value, `\`, `\\`) + `"`
	}
	return value
}

// ownOptions reads muster's own file.
func ownOptions(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := optionOf(line); ok {
			all[name] = value
		}
	}
	return all
}
