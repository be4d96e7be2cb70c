// Package cron has the kind that keeps jobs of cron.
package cron

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
	"muster/modules/calendar"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "cron", New: func() modules.Module { return &Job{} }}}
}

// Job is a command that cron runs at certain times. It is a line of a user's crontab under a
// comment with its name, or a file of its own in /etc/cron.d. All other lines stay as they are. Times are of the
// host's zone, which the plan names; cron knows no other. What a clock change skips is run
// right after it, and what it repeats is run once. A timer task says the zone, and keeps
// what the command prints.
type Job struct {
	// What the job is called. Ansible's job of that name in the same crontab becomes this one.
	Name string `arg:"name,key,required"`
	// Whose crontab it is in, and who runs it.
	User string `arg:"user" default:"root"`
	// When it runs: five fields ("30 3 * * mon-fri"), or "@reboot", "@daily", "@hourly" and
	// so on, as crontab(5) has them.
	Schedule string `arg:"schedule"`
	// The fields by themselves, in place of schedule. A field without one of
	// those before it would run far more often than meant, and is refused.
	Minute string `arg:"minute"`
	// The hour, 0 to 23.
	Hour string `arg:"hour" means:"*"`
	// The day of the month.
	Day string `arg:"day" means:"*"`
	// The month: a number, or "jan" to "dec".
	Month string `arg:"month" means:"*"`
	// The day of the week: 0 to 7, where 0 and 7 are Sunday, or "sun" to "sat". With a day of the month
	// besides, either is enough for cron.
	Weekday string `arg:"weekday" means:"*"`
	// "reboot", "daily" and so on, in place of schedule.
	Special string `arg:"special" oneof:"reboot yearly annually monthly weekly daily midnight hourly"`
	// What runs: one line for the shell. Percent signs are written as cron wants them.
	Command string `arg:"command"`
	// Environment variables of the command. Those that cron itself reads (MAILTO, SHELL)
	// would count for other jobs, too, and need a file of the job's own.
	Env map[string]string `arg:"env"`
	// Keep the job as a comment, so that it doesn't run.
	Disabled bool `arg:"disabled" default:"false"`
	// A file of the job's own in /etc/cron.d, in place of the user's crontab:
	// "/etc/cron.d/backup". Nothing else stands in it.
	File string `arg:"file"`
	// "absent" takes the job out.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// commandMost is the length, in bytes, of what cron takes as a command; MAX_COMMAND in its
// source.
const commandMost = 998

var (
	// run-parts(8): cron passes over files of other names.
	fileForm     = regexp.MustCompile(`^/etc/cron\.d/[A-Za-z0-9_-]+$`)
	loginForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$`)
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// crons are variables that cron itself reads: crontab(5).
func crons() []string {
	return []string{"MAILTO", "MAILFROM", "SHELL", "HOME", "LOGNAME", "USER", "CRON_TZ", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING", "RANDOM_DELAY"}
}

// Check refuses what cron wouldn't read, or would run at other times than meant.
func (j *Job) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: fmt.Sprintf(format, a...)})
		}
	}
	if strings.ContainsAny(j.Name, "\n\r\x00") || j.Name != strings.TrimSpace(j.Name) {
		fail("name", "Wrong value", "%q can't be a job's name: it stands in a comment, on one line, without spaces at its ends.", j.Name)
	}
	if !loginForm.MatchString(j.User) {
		fail("user", "Wrong value", "%q is no user's name.", j.User)
	}
	if j.File != "" && !fileForm.MatchString(j.File) {
		fail("file", "Wrong value", `%q is no file that cron reads: it takes a path such as "/etc/cron.d/backup", with only letters, digits, "_" and "-" in the name.`, j.File)
	}
	if j.State == "absent" {
		if j.Command != "" || j.Schedule+j.fields() != "" {
			fail("state", "Conflicting arguments", "A job that is to be absent has neither times nor a command.")
		}
		return errs
	}
	errs = append(errs, j.checkTimes(unknown)...)
	switch {
	case unknown("state"):
	case j.Command == "":
		fail("command", "Missing argument", "A job needs its command, a line for the shell.")
	case strings.ContainsAny(j.Command, "\n\r\x00"):
		fail("command", "Wrong value", "A job's command is one line: put more into a script, and run that.")
	case strings.TrimSpace(j.Command) != j.Command:
		fail("command", "Wrong value", "A job's command has no spaces at its ends: cron takes them away.")
	case len(j.line()) > commandMost:
		fail("command", "Wrong value", "With its variables the command has %d bytes, and cron takes %d: put it into a script, and run that.", len(j.line()), commandMost)
	}
	for name, value := range j.Env {
		path := "env." + name
		add := func(detail string) {
			if !unknown("env") {
				errs = append(errs, modules.ArgError{Arg: "env", Path: path, Summary: "Wrong variable", Detail: detail})
			}
		}
		switch {
		case !variableForm.MatchString(name):
			add(fmt.Sprintf(`%q is no variable's name: that has letters, digits and "_".`, name))
		case strings.ContainsAny(value, "\n\r\x00"):
			add("A variable's value in a crontab is one line.")
		case j.File == "" && !unknown("file") && slices.Contains(crons(), name):
			add(fmt.Sprintf("cron reads %s itself, for all lines behind it: give the job a file of its own (file = \"/etc/cron.d/NAME\"), where it counts for this job alone.", name))
		case j.File != "" && strings.ContainsAny(value, `"`) && strings.ContainsAny(value, `'`):
			add("cron reads no value with both kinds of quotes.")
		}
	}
	slices.SortFunc(errs, func(a, b modules.ArgError) int { return strings.Compare(a.Path, b.Path) })
	return errs
}

// fields are those that were given by themselves, all in one.
func (j *Job) fields() string {
	return j.Minute + j.Hour + j.Day + j.Month + j.Weekday + j.Special
}

// checkTimes refuses times that are given in two ways, or that leave out what would make
// the job run far more often than meant.
func (j *Job) checkTimes(unknown func(string) bool) []modules.ArgError {
	for _, arg := range []string{"schedule", "minute", "hour", "day", "month", "weekday", "special", "state"} {
		if unknown(arg) {
			return nil
		}
	}
	wrong := func(arg, summary, format string, a ...any) []modules.ArgError {
		return []modules.ArgError{{Arg: arg, Summary: summary, Detail: fmt.Sprintf(format, a...)}}
	}
	larger := j.Day + j.Month + j.Weekday
	switch {
	case j.Schedule+j.fields() == "":
		return wrong("schedule", "Missing argument", `A job needs its times: schedule, such as "30 3 * * *" or "@daily", or minute, hour and so on.`)
	case j.Schedule != "" && j.fields() != "":
		return wrong("schedule", "Conflicting arguments", "Times come from schedule or from fields by themselves, not from both.")
	case j.Special != "" && j.fields() != j.Special:
		return wrong("special", "Conflicting arguments", "Times come from special or from fields, not from both.")
	case j.Schedule == "" && j.Special == "" && j.Minute == "":
		return wrong("minute", "Missing argument", `Without a minute the job would run in each of them: write minute = "0", or "*" where that is meant.`)
	case j.Schedule == "" && j.Special == "" && j.Hour == "" && larger != "":
		return wrong("hour", "Missing argument", `Without an hour the job would run in each of them: write hour = "0", or "*" where that is meant.`)
	}
	for _, f := range []struct{ arg, value string }{{"minute", j.Minute}, {"hour", j.Hour}, {"day", j.Day}, {"month", j.Month}, {"weekday", j.Weekday}} {
		if strings.ContainsAny(f.value, " \t\n\r") {
			return wrong(f.arg, "Wrong schedule", "%q is more than one field.", f.value)
		}
	}
	if _, err := calendar.Cron(j.times()); err != nil {
		return wrong(j.timesArg(err), "Wrong schedule", "cron can't read %q as times: %v.", j.times(), err)
	}
	return nil
}

// timesArg is the argument that an error of the times is about.
func (j *Job) timesArg(err error) string {
	if j.Schedule != "" {
		return "schedule"
	}
	for _, f := range []struct{ arg, value string }{{"minute", j.Minute}, {"hour", j.Hour}, {"day", j.Day}, {"month", j.Month}, {"weekday", j.Weekday}} {
		if f.value != "" && strings.Contains(err.Error(), f.arg) {
			return f.arg
		}
	}
	return "minute"
}

// times are the fields of the crontab's line.
func (j *Job) times() string {
	switch {
	case j.Schedule != "":
		return strings.Join(strings.Fields(j.Schedule), " ")
	case j.Special != "":
		return "@" + j.Special
	}
	words := []string{j.Minute, j.Hour, j.Day, j.Month, j.Weekday}
	for i, w := range words {
		if w == "" {
			words[i] = "*"
		}
	}
	return strings.Join(words, " ")
}

// line is the command as cron has it: with its variables, which the shell sets, where other
// jobs stand behind it, and percent signs escaped.
func (j *Job) line() string {
	command := j.Command
	if j.File == "" && len(j.Env) > 0 {
		var words []string
		for _, name := range j.names() {
			words = append(words, name+"='"+strings.ReplaceAll(j.Env[name], `'`, `'\''`)+"'")
		}
		command = "export " + strings.Join(words, " ") + "; " + command
	}
	return strings.ReplaceAll(command, "%", `\%`)
}

// names are those of the variables, in order.
func (j *Job) names() []string {
	var names []string
	for name := range j.Env {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// entry is the job's line.
func (j *Job) entry() string {
	words := []string{j.times()}
	if j.File != "" {
		words = append(words, j.User)
	}
	line := strings.Join(append(words, j.line()), " ")
	if j.Disabled {
		return "# " + line
	}
	return line
}

// path is the file that the job is in.
func (j *Job) path() string {
	if j.File != "" {
		return j.File
	}
	return filepath.Join(spool, j.User)
}

// spool is where Debian's cron has users' crontabs.
const spool = "/var/spool/cron/crontabs"

// May is the file.
func (j *Job) May() []host.Effect {
	if j.File == "" && j.User == "" {
		return []host.Effect{host.Open(host.Files, "")}
	}
	return []host.Effect{host.Open(host.Files, j.path())}
}
