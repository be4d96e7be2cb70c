package mysql

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// The server's own program checks what it would be started with. MySQL has an option for
// that. MariaDB is asked to print its settings: where it stumbles over one it says so, for
// some with another exit code than 0 and for InnoDB's with a line alone. Neither opens the
// data, nor writes anything. What they print besides is each setting as they understand it:
// "1G" is 1073741824.

// optionCheck is what a server's program makes of its files.
type optionCheck struct {
	refused string            // the option that it doesn't take; "" where that can't be told
	why     string            // "": it takes all
	made    []string          // what it makes of some values: "max_connections: 9 → 10"
	starts  map[string]string // the settings that it would start with
}

// checkOptions has the server's program look at its files as they will be.
func checkOptions(ctx context.Context, run programs, program string, f flavor, text string, want map[string]string) (*optionCheck, error) {
	scratch, err := host.NewScratch()
	if err != nil {
		return nil, err
	}
	defer scratch.Remove()
	return checkIn(ctx, scratch, run, program, f, text, want)
}

// programs runs a program, as a view or a host does.
type programs func(ctx context.Context, c host.Command) (host.Output, error)

func checkIn(ctx context.Context, scratch *host.Scratch, run programs, program string, f flavor, text string, want map[string]string) (*optionCheck, error) {
	path, err := scratch.Write("my.cnf", []byte(text), 0o600)
	if err != nil {
		return nil, err
	}
	if err := scratch.MakeDir("data"); err != nil {
		return nil, err
	}
	// MariaDB tries out in its data folder whether names there have case.
	argv := []string{program, "--defaults-file=" + path, "--user=mysql", "--datadir=" + filepath.Join(scratch.Path(), "data")}
	v := &optionCheck{}
	if f == mysqlOwn {
		out, err := run(ctx, host.Command{Argv: append(slices.Clone(argv), "--validate-config", "--log-error-verbosity=2")})
		if err != nil {
			return nil, err
		}
		v.judge(out, want)
	}
	out, err := run(ctx, host.Command{Argv: append(argv, "--help", "--verbose")})
	if err != nil {
		return nil, err
	}
	if f == mariadb {
		v.judge(out, want)
	}
	v.starts = printedSettings(string(out.Stdout))
	delete(v.starts, "datadir")
	return v, nil
}

var (
	saidForm   = regexp.MustCompile(`^.*\[(ERROR|Warning)\] *(?:\[[^]]*\] *)*(?:Buffered (?:error|warning): *)?(.*)$`)
	madeForm   = regexp.MustCompile(`option '([^']+)': (?:un)?signed value (\S+) adjusted to (\d+)`)
	anyQuoted  = regexp.MustCompile(`'([^' ]+)'`) // a file, and not what is between two "Couldn't"
	quotedForm = regexp.MustCompile(`'(?:--)?([^'=]+)(?:=[^']*)?'`)
)

// judge reads what the program says. A complaint about something that isn't muster's counts
// only where the program itself takes it for fatal.
func (v *optionCheck) judge(out host.Output, want map[string]string) {
	var other []string
	for line := range strings.Lines(string(out.Stderr)) {
		line = strings.TrimSpace(line)
		m := saidForm.FindStringSubmatch(line)
		if m == nil {
			if line != "" {
				other = append(other, line)
			}
			continue
		}
		level, said := m[1], m[2]
		if made := madeForm.FindStringSubmatch(said); made != nil && level == "Warning" {
			if name := optionName(made[1]); want[name] != "" {
				v.made = append(v.made, fmt.Sprintf("%s: %s → %s", name, made[2], made[3]))
			}
			continue
		}
		wrong := level == "ERROR" || strings.Contains(said, "recognized") || strings.Contains(said, "invalid value")
		if !wrong || strings.Contains(said, "WSREP") || strings.HasPrefix(said, "Aborting") {
			continue
		}
		name := named(said, want)
		if name == "" {
			name = loads(said, want)
		}
		if name != "" && (v.refused == "" || v.why == "") {
			v.refused, v.why = name, said
		}
		other = append(other, said)
	}
	if v.why == "" && out.ExitCode != 0 {
		v.why = out.LastWords()
		if len(other) > 0 {
			v.why = other[0]
		}
		for name, value := range want { // 'utf9' of character_set_server
			if value != "" && strings.Contains(v.why, "'"+value+"'") && (v.refused == "" || name < v.refused) {
				v.refused = name
			}
		}
	}
}

// named is which of muster's options a complaint is about.
func named(said string, want map[string]string) string {
	for _, m := range quotedForm.FindAllStringSubmatch(said, -1) {
		if _, ours := want[optionName(m[1])]; ours {
			return optionName(m[1])
		}
	}
	return ""
}

// loads is which of muster's options a complaint about a plugin's file is about: it names the
// file, and not the option. The server starts without such a plugin.
func loads(said string, want map[string]string) string {
	if !strings.Contains(said, "plugin") {
		return ""
	}
	var files []string
	for _, m := range anyQuoted.FindAllStringSubmatch(said, -1) {
		files = append(files, strings.TrimSuffix(filepath.Base(m[1]), ".so"))
	}
	for _, name := range []string{"plugin_load_add", "plugin_load", "early_plugin_load"} {
		for _, word := range strings.FieldsFunc(want[name], func(r rune) bool { return strings.ContainsRune(";:,= ", r) }) {
			if slices.Contains(files, strings.TrimSuffix(word, ".so")) {
				return name
			}
		}
	}
	return ""
}

// emptied is an option whose "" the server takes for something else, and for what.
func (v *optionCheck) emptied(want map[string]string) (name, value string) {
	for _, name := range sortedNames(want) {
		if want[name] == "" && v.starts[name] != "" {
			return name, v.starts[name]
		}
	}
	return "", ""
}

// printedSettings reads the table at the end of --help --verbose.
func printedSettings(out string) map[string]string {
	all := map[string]string{}
	_, table, _ := strings.Cut(out, "\nVariables (--variable-name=value)")
	_, table, _ = strings.Cut(table, "\n---")
	for line := range strings.Lines(table) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), " ")
		if !ok || strings.HasPrefix(name, "-") {
			if strings.TrimSpace(line) == "" && len(all) > 0 {
				break
			}
			continue
		}
		if value = strings.TrimSpace(value); value == "(No default value)" {
			value = ""
		}
		all[optionName(name)] = value
	}
	return all
}

// check has the server's program look at what is wanted, once for a plan.
func (p *serverPlanner) check(ctx context.Context) (*optionCheck, error) {
	if p.verdict != nil {
		return p.verdict, nil
	}
	scratch, err := p.v.Scratch()
	if err != nil {
		return nil, err
	}
	defer scratch.Remove()
	v, err := checkIn(ctx, scratch, p.query, p.program, p.flavor, p.files.with(p.text), p.want)
	if err != nil {
		return nil, err
	}
	if v.why != "" {
		return nil, p.refusal(ctx, v)
	}
	if name, value := v.emptied(p.want); name != "" {
		arg, path := p.place(name)
		return nil, modules.ArgError{Arg: arg, Path: path, Summary: "Wrong value", Detail: fmt.Sprintf("The server takes an empty %s for %s: write that, or null where it is to have its default.", name, value)}
	}
	p.verdict = v
	return v, nil
}

// refusal is the error for what the server's program doesn't take.
func (p *serverPlanner) refusal(ctx context.Context, v *optionCheck) error {
	arg, path := p.place(v.refused)
	if arg == "" {
		return fmt.Errorf("%s refuses its settings, muster's in %s among them: %s", p.program, p.files.own, v.why)
	}
	e := modules.ArgError{Arg: arg, Path: path, Summary: "The server refuses this", Detail: fmt.Sprintf("%s says: %s.", p.flavor, strings.TrimRight(v.why, "."))}
	if !strings.Contains(v.why, "unknown") {
		return e
	}
	e.Summary = "Unknown setting"
	e.Detail = fmt.Sprintf("%s %d.%d has no setting %q.", p.flavor, p.version[0], p.version[1], v.refused)
	names, err := p.names(ctx)
	if err != nil {
		return err
	}
	if near := modules.Nearest(v.refused, names); near != "" {
		e.Detail += fmt.Sprintf(" Did you mean %q?", near)
	}
	return e
}

// names are all settings that the server's program knows.
func (p *serverPlanner) names(ctx context.Context) ([]string, error) {
	scratch, err := p.v.Scratch()
	if err != nil {
		return nil, err
	}
	defer scratch.Remove()
	v, err := checkIn(ctx, scratch, p.query, p.program, p.flavor, "", nil)
	if err != nil {
		return nil, err
	}
	return sortedNames(v.starts), nil
}

func (p *serverPlanner) query(ctx context.Context, c host.Command) (host.Output, error) {
	return p.v.Query(ctx, c, host.File(p.program))
}
