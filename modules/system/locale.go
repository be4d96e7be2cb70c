package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Locale is a language that programs can speak on the host. Programs that run read it when they start.
type Locale struct {
	// The locale: "de_DE.UTF-8". Those of Debian are listed in /usr/share/i18n/SUPPORTED.
	Name string `arg:"name,key,required"`
	// Make it the host's own: LANG in /etc/default/locale, of which other lines stay.
	Default bool `arg:"default" default:"false"`
	// Other variables of /etc/default/locale: { LC_TIME = "C.UTF-8" }. It goes with default.
	Variables map[string]string `arg:"variables"`
	// "absent" takes it out of /etc/locale.gen and of what has been made of that.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

const (
	localeGen     = "/usr/sbin/locale-gen"
	localeList    = "/etc/locale.gen"
	localeDefault = "/etc/default/locale"
	supported     = "/usr/share/i18n/SUPPORTED"
)

var (
	localeForm   = regexp.MustCompile(`^[A-Za-z0-9]+(_[A-Z]+)?(\.[A-Za-z0-9-]+)?(@[A-Za-z0-9]+)?$`)
	categoryForm = regexp.MustCompile(`^(LC_[A-Z]+|LANGUAGE)$`)
	categoryText = regexp.MustCompile(`^[A-Za-z0-9_.@:-]+$`)
)

// Check refuses what is no locale.
func (l *Locale) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, path, summary, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(format, a...)})
		}
	}
	if !localeForm.MatchString(l.Name) {
		fail("name", "", "Wrong value", `%q is no locale: it takes one such as "de_DE.UTF-8".`, l.Name)
	}
	if l.State == "absent" && l.Default {
		fail("default", "", "Conflicting arguments", "A locale that is to be absent can't be the host's own.")
	}
	if l.Variables != nil && !l.Default && !unknown("default") {
		fail("variables", "", "Conflicting arguments", `They go with default = true: one task has the host's own language.`)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Variables)) {
		if !categoryForm.MatchString(name) || !categoryText.MatchString(l.Variables[name]) {
			fail("variables", fmt.Sprintf("[%q]", name), "Wrong value", `%s=%s is no variable of locale(7), such as LC_TIME = "C.UTF-8".`, name, l.Variables[name])
		}
	}
	return errs
}

// May is what is made, and the files.
func (l *Locale) May() []host.Effect {
	list := []host.Effect{host.Open("locale", plainLocale(l.Name)), host.Open(host.Files, localeList), host.Begins(host.Files, "/usr/lib/locale/")}
	if l.Default {
		list = append(list, host.Open(host.Files, localeDefault))
	}
	return list
}

// plainLocale is a name without regard to how its encoding is written: locale -a has "de_DE.utf8".
func plainLocale(name string) string {
	language, encoding, ok := strings.Cut(name, ".")
	if !ok {
		return name
	}
	encoding, modifier, _ := strings.Cut(encoding, "@")
	if modifier != "" {
		language += "@" + modifier
	}
	return language + "." + strings.ToLower(strings.ReplaceAll(encoding, "-", ""))
}

// builtin are locales that glibc brings: nothing makes them.
func builtin(name string) bool {
	return slices.Contains([]string{"C", "POSIX", "C.utf8"}, plainLocale(name))
}

// made reports whether the host has the locale.
func (l *Locale) made(ctx context.Context, v *host.View) (bool, error) {
	there, err := host.Read(v, host.Key{Space: "locale", Name: plainLocale(l.Name)}, func() (*bool, error) {
		all, err := host.Once(v, "locales", func() ([]string, error) {
			out, err := v.Query(ctx, host.Command{Argv: []string{"locale", "-a"}})
			return strings.Fields(string(out.Stdout)), err
		})
		yes := slices.ContainsFunc(all, func(have string) bool { return plainLocale(have) == plainLocale(l.Name) })
		if err != nil || !yes {
			return nil, err
		}
		return &yes, nil
	})
	return there != nil && *there, err
}

// Plan compares what has been made, what is made when the package is updated, and the host's own.
func (l *Locale) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	if !builtin(l.Name) {
		if err := l.generate(ctx, v, &plan); err != nil {
			return modules.Plan{}, err
		}
	}
	if l.Default {
		file, err := v.Rewrite(ctx, localeDefault, func(old string) (string, error) { return l.defaults(old), nil })
		if err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, file...)
	}
	if len(plan.Changes) > 0 && !host.IsRoot() {
		return modules.Plan{}, errors.New(`only root can change the host's languages: give the task "become = true"`)
	}
	return plan, nil
}

// generate plans the line in /etc/locale.gen, and what is made of it.
func (l *Locale) generate(ctx context.Context, v *host.View, plan *modules.Plan) error {
	program, err := v.Stat(localeGen)
	if err != nil {
		return err
	}
	made, err := l.made(ctx, v)
	switch {
	case err != nil:
		return err
	case !program.Exists() && l.State == "absent":
		return nil
	case !program.Exists() && made: // a package has brought them all
		return nil
	case !program.Exists():
		return errors.New(`there is no locale-gen on this host: install it in an earlier task, task "package" "locales" {}`)
	}
	line, err := l.line(ctx, v)
	if err != nil {
		return err
	}
	file, err := v.Rewrite(ctx, localeList, func(old string) (string, error) { return l.listed(old, line), nil })
	if err != nil {
		return err
	}
	plan.Changes = append(plan.Changes, file...)
	if made == (l.State != "absent") {
		return nil
	}
	run := &host.RunProgram{
		Argv: []string{localeGen}, Env: []string{"LC_ALL=C"},
		Does: host.Description{Action: host.Update, Target: l.Name, Diff: "made: no → yes", Impact: "makes all languages of " + localeList},
	}
	key := host.Key{Space: "locale", Name: plainLocale(l.Name)}
	run.Leaves = []host.Effect{host.Is(key, true)}
	if l.State == "absent" {
		run.Does.Diff, run.Leaves = "made: yes → no", []host.Effect{host.Gone(key)}
	}
	run.Leaves = append(run.Leaves, host.Open(host.Files, "/usr/lib/locale"), host.Begins(host.Files, "/usr/lib/locale/"))
	plan.Changes = append(plan.Changes, run)
	return nil
}

// offered are the locales that the host can make, each with its character set.
func offered(ctx context.Context, v *host.View) (list [][]string, err error) {
	data, err := v.ReadFile(ctx, supported, 1<<20)
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 2 {
			list = append(list, f)
		}
	}
	return list, err
}

// line is the locale with its character set, as /etc/locale.gen has it.
func (l *Locale) line(ctx context.Context, v *host.View) (string, error) {
	all, err := host.Once(v, "supported locales", func() ([][]string, error) { return offered(ctx, v) })
	if errors.Is(err, fs.ErrNotExist) {
		_, encoding, _ := strings.Cut(l.Name, ".")
		encoding, _, _ = strings.Cut(encoding, "@")
		return l.Name + " " + encoding, nil
	}
	if err != nil {
		return "", err
	}
	for _, f := range all {
		if plainLocale(f[0]) == plainLocale(l.Name) {
			return f[0] + " " + f[1], nil
		}
	}
	if l.State == "absent" {
		return l.Name, nil
	}
	hint := ""
	for _, f := range all {
		if strings.HasPrefix(f[0], strings.Split(l.Name, ".")[0]) {
			hint = ", and it has " + f[0]
			break
		}
	}
	return "", fmt.Errorf("there is no locale %s on this host: %s doesn't list it%s", l.Name, supported, hint)
}

// listed is /etc/locale.gen with the line, in the place of the comment with it, or without.
func (l *Locale) listed(old, line string) string {
	var out strings.Builder
	done := l.State == "absent"
	for raw := range strings.Lines(old) {
		bare := strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(raw), "#"))
		f := strings.Fields(bare)
		switch on := !strings.HasPrefix(strings.TrimSpace(raw), "#"); {
		case len(f) == 0 || plainLocale(f[0]) != plainLocale(l.Name) || len(f) > 2:
			out.WriteString(raw)
		case l.State == "absent" && on:
			out.WriteString("# " + bare + "\n")
		case l.State == "absent" || done && !on:
			out.WriteString(raw)
		case on:
			done = true
			out.WriteString(raw)
		case hasLine(old, l.Name): // another line has it
			out.WriteString(raw)
		default:
			done = true
			out.WriteString(line + "\n")
		}
	}
	if done {
		return out.String()
	}
	text := out.String()
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n"
}

// hasLine reports whether a line that is no comment names the locale.
func hasLine(text, name string) bool {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 && f[0][0] != '#' && plainLocale(f[0]) == plainLocale(name) {
			return true
		}
	}
	return false
}

// defaults is /etc/default/locale with the variables.
func (l *Locale) defaults(old string) string {
	want := map[string]string{"LANG": l.Name}
	maps.Copy(want, l.Variables)
	var out strings.Builder
	done := map[string]bool{}
	for raw := range strings.Lines(old) {
		name, value, ok := strings.Cut(strings.TrimSpace(raw), "=")
		wanted, ours := want[name]
		switch {
		case !ok || !ours:
			out.WriteString(raw)
		case done[name]: // the last one would count
		case strings.Trim(value, `"'`) == wanted:
			out.WriteString(raw)
		default:
			out.WriteString(name + "=" + wanted + "\n")
		}
		done[name] = done[name] || ok && ours
	}
	maps.DeleteFunc(want, func(name, _ string) bool { return done[name] })
	text := out.String()
	if len(want) > 0 && text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		text += name + "=" + want[name] + "\n"
	}
	return text
}
