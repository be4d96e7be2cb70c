package systemd

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
	"muster/modules/calendar"
)

// Timer is a command that systemd runs at certain times. NAME.timer says when and is started
// at boot, NAME.service says what; both are in /etc/systemd/system. A run that has begun ends before the next one begins, and "journalctl -u NAME" has what it
// printed. What a clock change skips isn't run that day, and what it repeats runs once: the
// plan tells such a time, and which zone counts where none is named.
type Timer struct {
	// The name of both units, without a type: "backup". A name that a package's unit
	// has is refused.
	Name string `arg:"name,key,required"`
	// When it runs, as systemd.time(7) has it: "daily", "*:0/15",
	// "Mon..Fri 03:00 Europe/Berlin". One or several. Without a zone times are of the
	// host's.
	OnCalendar modules.OneOrMore `arg:"on_calendar"`
	// What runs: a line for /bin/sh. Everybody on the host can read it: secrets belong
	// into files.
	Command string `arg:"command"`
	// What runs, in place of command: a program and its arguments, without a shell.
	Argv []string `arg:"argv"`
	// The user who runs it.
	User string `arg:"user" default:"root"`
	// The folder that it runs in.
	Dir string `arg:"dir" means:"/"`
	// Environment variables of the command. Everybody on the host can read them.
	Env map[string]string `arg:"env"`
	// A run that was missed because the host was down is made up for after boot.
	Persistent bool `arg:"persistent" default:"false"`
	// Each run begins up to this much later, so that not all hosts run at once.
	RandomizedDelay *modules.Duration `arg:"randomized_delay"`
	// "absent" stops the timer and removes both units; a run that has begun goes on.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

var (
	timerForm    = regexp.MustCompile(`^[A-Za-z0-9:_.][A-Za-z0-9:_.-]*$`)
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	loginForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$`)
)

// Check refuses what systemd wouldn't read, and what leaves open what is to run when.
func (t *Timer) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, format string, a ...any) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: fmt.Sprintf(format, a...)})
	}
	if stem, ok := strings.CutSuffix(t.Name, ".timer"); ok && !unknown("name") {
		errs = append(errs, modules.ArgError{Arg: "name", Summary: "Wrong value", Detail: "A timer is named without its unit's type.", Hint: fmt.Sprintf("%q", stem)})
	} else if !unknown("name") && (!timerForm.MatchString(t.Name) || len(t.Name) > 200) {
		fail("name", "Wrong value", `%q is no timer's name: that has letters, digits, ":", "_", "." and "-", and is no template.`, t.Name)
	}
	given := len(t.OnCalendar) > 0 || t.Command != "" || len(t.Argv) > 0
	switch {
	case unknown("state"):
	case t.State == "absent" && given:
		fail("state", "Conflicting arguments", "A timer that is to be absent has neither times nor a command.")
	case t.State == "absent":
	case len(t.OnCalendar) == 0 && !unknown("on_calendar"):
		fail("on_calendar", "Missing argument", `A timer needs its times, such as "daily" or "Mon..Fri 03:00 Europe/Berlin".`)
	case t.Command != "" && len(t.Argv) > 0:
		fail("argv", "Conflicting arguments", `What runs is a shell's "command" or a program's "argv", not both.`)
	case t.Command == "" && len(t.Argv) == 0 && !unknown("command") && !unknown("argv"):
		fail("command", "Missing argument", `A timer needs what it runs: "command", a line for the shell, or "argv", a program and its arguments.`)
	}
	for i, text := range t.OnCalendar {
		c, err := calendar.OnCalendar(text)
		if err == nil {
			err = c.CheckZone()
		}
		if err != nil && !unknown("on_calendar") {
			errs = append(errs, modules.ArgError{Arg: "on_calendar", Path: fmt.Sprintf("on_calendar[%d]", i), Summary: "Wrong schedule", Detail: fmt.Sprintf("systemd can't read %q as times: %v.", text, err)})
		}
	}
	return append(errs, t.checkCommand(unknown)...)
}

// checkCommand refuses what can't be written into a unit.
func (t *Timer) checkCommand(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: "Wrong value", Detail: fmt.Sprintf(format, a...)})
		}
	}
	if len(t.Argv) > 0 && (t.Argv[0] == "" || strings.ContainsRune("@-:+!|", rune(t.Argv[0][0])) || strings.Contains(t.Argv[0], "/") && !filepath.IsAbs(t.Argv[0])) {
		fail("argv", "%q is no program: it takes an absolute path, or a name that systemd finds in its folders of programs.", t.Argv[0])
	}
	for _, text := range append([]string{t.Command}, t.Argv...) {
		if strings.ContainsRune(text, 0) {
			fail("command", "%q has a NUL, which no command can have.", text)
		}
	}
	if t.User != "" && !loginForm.MatchString(t.User) {
		fail("user", "%q is no user's name.", t.User)
	}
	if t.Dir != "" && (!filepath.IsAbs(t.Dir) || strings.ContainsAny(t.Dir, "\n\r\x00")) {
		fail("dir", `%q is no absolute path on the host: it has to begin with "/".`, t.Dir)
	}
	for name, value := range t.Env {
		if !variableForm.MatchString(name) || strings.ContainsRune(value, 0) {
			fail("env", `%q is no variable: its name has letters, digits and "_", and its value no NUL.`, name)
		}
	}
	return errs
}

// Reads is nothing.
func (t *Timer) Reads() []string { return nil }

// Writes are the two units.
func (t *Timer) Writes() []string {
	if t.Name == "" || t.State == "absent" {
		return nil
	}
	return []string{"the unit " + t.Name + ".service", "the unit " + t.Name + ".timer"}
}

// May is both units with their files, and what systemd notes of a timer's last run.
func (t *Timer) May() []host.Effect {
	if t.Name == "" {
		return []host.Effect{host.Open(host.Files, ""), host.Open(host.Units, "")}
	}
	service, timer := t.units(nil, nil)
	return slices.Concat(service.May(), timer.May(), t.running().May(), []host.Effect{host.Open(host.Files, t.stamp())})
}

// stamp is where systemd keeps when a persistent timer ran last: systemd.timer(5).
func (t *Timer) stamp() string { return "/var/lib/systemd/timers/stamp-" + t.Name + ".timer" }

// units are the unit files, with their content.
func (t *Timer) units(service, timer *host.Content) (s, at *UnitFile) {
	return &UnitFile{Name: t.Name + ".service", Content: service, State: t.State}, &UnitFile{Name: t.Name + ".timer", Content: timer, State: t.State}
}

// running is the timer's state: it runs, now and after a boot.
func (t *Timer) running() *Service {
	on := true
	return &Service{Name: t.Name + ".timer", State: "running", Enabled: &on, Scope: "system"}
}

// service is the text of the unit that runs the command.
func (t *Timer) service() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by muster: the timer %s.\n[Unit]\nDescription=%s\n\n[Service]\nType=oneshot\n", t.Name, t.Name)
	if t.User != "root" {
		fmt.Fprintf(&b, "User=%s\n", t.User)
	}
	if t.Dir != "" {
		fmt.Fprintf(&b, "WorkingDirectory=%s\n", Percent(t.Dir))
	}
	var names []string
	for name := range t.Env {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "Environment=%s\n", quoted(Percent(name+"="+t.Env[name])))
	}
	argv := t.Argv
	if t.Command != "" {
		argv = []string{"/bin/sh", "-c", t.Command}
	}
	var words []string
	for _, w := range argv {
		words = append(words, Word(w))
	}
	fmt.Fprintf(&b, "ExecStart=%s\n", strings.Join(words, " "))
	return b.String()
}

// timer is the text of the unit that says when.
func (t *Timer) timer(times []*calendar.Calendar) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by muster: the timer %s.\n[Unit]\nDescription=When %s runs\n\n[Timer]\n", t.Name, t.Name)
	seconds := false
	for _, c := range times {
		fmt.Fprintf(&b, "OnCalendar=%s\n", c.Text)
		seconds = seconds || c.Seconds()
	}
	if seconds {
		b.WriteString("AccuracySec=1s\n") // a minute else
	}
	if t.RandomizedDelay != nil {
		fmt.Fprintf(&b, "RandomizedDelaySec=%dms\n", time.Duration(*t.RandomizedDelay).Milliseconds())
	}
	if t.Persistent {
		b.WriteString("Persistent=yes\n")
	}
	b.WriteString("\n[Install]\nWantedBy=timers.target\n")
	return b.String()
}

// plain is a word that a unit's line takes as it stands.
var plain = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// Percent returns text of a unit in which systemd expands no specifier.
func Percent(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// Word returns a word of a command line in a unit, as systemd.syntax(7) reads it. Nothing in
// it is expanded.
func Word(s string) string { return quoted(strings.ReplaceAll(Percent(s), "$", "$$")) }

// quoted puts a word into quotes, where it needs them.
func quoted(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(s) + `"`
}
