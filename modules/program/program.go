// Package program has the kinds that run a program or a script of the project.
package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "command", Output: Output{}, New: func() modules.Module { return &Command{} }},
		{Name: "script", Output: Output{}, New: func() modules.Module { return &Script{} }},
	}
}

// Output is what tasks that run a program offer.
type Output struct {
	// What it printed, without the newlines at the end; of more than 1 MiB, the
	// beginning and the end. What isn't UTF-8 in it is U+FFFD.
	Stdout string `json:"stdout"`
	// What it printed as errors, likewise.
	Stderr string `json:"stderr"`
	// The number it ended with; 128 + N where signal N ended it.
	ExitCode int `json:"exit_code"`
}

func encodeOutput(out host.Output) json.RawMessage {
	b, err := json.Marshal(Output{
		Stdout: strings.TrimRight(string(out.Stdout), "\r\n"), Stderr: strings.TrimRight(string(out.Stderr), "\r\n"),
		ExitCode: out.ExitCode,
	})
	if err != nil {
		panic("program: " + err.Error()) // strings and a number
	}
	return b
}

// Common is the arguments that command and script share.
type Common struct {
	// The directory to run in. Default: /.
	Dir string `arg:"dir,path"`
	// Environment variables, over a plain one that is the same on every host.
	// What is secret doesn't belong here: other users can read it.
	Env map[string]string `arg:"env"`
	// What the program reads from its standard input, as it is: no newline is added.
	Stdin *host.Content `arg:"stdin"`
	// A path or a pattern (*, ?, [a-z]) that the program makes: it isn't run
	// where something like that exists.
	Creates string `arg:"creates,path"`
	// A path or a pattern that the program takes away: it isn't run where
	// nothing like that exists.
	Removes string `arg:"removes,path"`
	// Run when a source is newer than the target, or the target is missing, as
	// make does.
	NewerThan *NewerThan `arg:"newer_than"`
	// The program only reads: it runs while planning too, its output is known
	// then, and it never counts as a change. Where something before it is
	// pending, it waits for that.
	ReadOnly bool `arg:"read_only" default:"false"`
	// Whether a run counts as a change. It usually reads the task's own output.
	ChangedWhen *bool `arg:"changed_when"`
	// Whether a run has failed, instead of an exit code other than 0. It
	// usually reads the task's own output.
	FailedWhen *bool `arg:"failed_when"`
}

// NewerThan compares modification times.
type NewerThan struct {
	// Paths or patterns of what the target is made from.
	Source modules.OneOrMore `arg:"source,required"`
	// The path of what the program makes.
	Target string `arg:"target,path,required"`
}

// Command runs a program, or a line of shell.
//
// Without creates, removes or newer_than nobody can tell whether it was done:
// it runs every time, which is shown and counts neither as drift nor as a
// state to be reached. Whatever is planned behind it is tentative.
//
// The output is null where it didn't run: where creates, removes or newer_than
// kept it from that, and where the task was skipped. Where it failed it may be
// null too. One that may be missing is read as
// try(task.command.LABEL.output.stdout, "").
type Command struct {
	// The program and its arguments, as they are: no shell looks at them.
	Argv []string `arg:"argv"`
	// A script for /bin/sh instead.
	Shell string `arg:"shell"`
	Common
}

// Check refuses contradictions.
func (c *Command) Check(unknown func(string) bool) []modules.ArgError {
	errs := c.Common.check(unknown)
	given := len(c.Argv) > 0 || unknown("argv")
	shell := c.Shell != "" || unknown("shell")
	switch {
	case given && shell:
		errs = append(errs, modules.ArgError{Arg: "shell", Summary: "Conflicting arguments", Detail: `Give "argv" or "shell", not both.`})
	case !given && !shell:
		errs = append(errs, modules.ArgError{Arg: "argv", Summary: "Missing argument", Detail: `What to run: give "argv" (a list) or "shell" (a string).`, Hint: `argv = ["systemctl", "is-active", "ssh"]`})
	case len(c.Argv) > 0 && c.Argv[0] == "" && !unknown("argv"):
		errs = append(errs, modules.ArgError{Arg: "argv", Path: "[0]", Summary: "Wrong value", Detail: "The program has no name."})
	}
	for i, a := range append(append([]string{}, c.Argv...), c.Shell) {
		if strings.ContainsRune(a, 0) {
			errs = append(errs, modules.ArgError{Arg: "argv", Path: fmt.Sprintf("[%d]", i), Summary: "Wrong value", Detail: "A program's arguments can't hold a NUL."})
		}
	}
	return errs
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (c *Common) check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	wrong := func(arg, path, summary, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: detail})
	}
	absolute := func(arg, path, value string) {
		if value != "" && !strings.HasPrefix(value, "/") {
			wrong(arg, path, "Wrong value", fmt.Sprintf("%q is no absolute path on the host: it has to begin with \"/\".", value))
		}
		if _, err := globMatch(value, ""); err != nil {
			wrong(arg, path, "Wrong value", fmt.Sprintf("%q is no pattern: a bracket isn't closed.", value))
		}
	}
	absolute("dir", "", c.Dir)
	absolute("creates", "", c.Creates)
	absolute("removes", "", c.Removes)
	if n := c.NewerThan; n != nil && !unknown("newer_than") {
		absolute("newer_than", ".target", n.Target)
		for i, s := range n.Source {
			absolute("newer_than", fmt.Sprintf(".source[%d]", i), s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if !envName.MatchString(name) {
			wrong("env", fmt.Sprintf("[%q]", name), "Wrong value", fmt.Sprintf("%q can't be a variable's name.", name))
		}
		if strings.ContainsRune(c.Env[name], 0) {
			wrong("env", fmt.Sprintf("[%q]", name), "Wrong value", "A variable can't hold a NUL.")
		}
	}
	if c.ReadOnly && (c.Creates != "" || c.Removes != "" || c.NewerThan != nil) {
		wrong("read_only", "", "Conflicting arguments", `A program that only reads neither creates nor removes anything.`)
	}
	return errs
}

func (c *Common) env() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		list = append(list, name+"="+c.Env[name])
	}
	return list
}

// readSpace is what a program that only reads is about: nobody else's key, so that
// a task which waits for its turn leaves nothing open.
const readSpace = "read-only program"

// May is anything, unless the program only reads.
func (c *Command) May() []host.Effect { return c.Common.may(c.run()) }

func (c *Common) may(r *RunCommand) []host.Effect {
	if c.ReadOnly {
		return []host.Effect{host.Open(readSpace, r.line())}
	}
	return []host.Effect{host.Open(host.All, host.All)}
}

func (c *Command) run() *RunCommand { return &RunCommand{Argv: c.Argv, Shell: c.Shell} }

// Plan runs nothing, unless the program only reads.
func (c *Command) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	return c.Common.plan(ctx, v, c.run())
}

// plan completes r by the common arguments and decides whether it is to run.
func (c *Common) plan(ctx context.Context, v *host.View, r *RunCommand) (modules.Plan, error) {
	r.Dir, r.Env, r.Stdin = c.Dir, c.env(), c.Stdin
	r.Creates, r.Removes, r.NewerThan = c.Creates, c.Removes, c.NewerThan
	r.Judged = c.FailedWhen != nil
	r.Fails = r.Judged && *c.FailedWhen
	if c.Dir != "" {
		switch info, err := v.Stat(c.Dir); {
		case errors.Is(err, host.ErrNotYet):
		case err != nil:
			return modules.Plan{}, err
		case !info.Exists():
			return modules.Plan{}, fmt.Errorf("the directory %s doesn't exist: add a directory task before this one", c.Dir)
		case info.Type != host.Directory:
			return modules.Plan{}, fmt.Errorf("%s is a %s, not a directory", c.Dir, info.Type)
		}
	}
	if c.ReadOnly {
		return r.read(ctx, v)
	}
	for _, key := range r.patterns() {
		if _, _, _, err := v.Look(key); err != nil {
			return modules.Plan{}, err
		}
	}
	if due, err := r.due(v); err != nil || !due {
		return modules.Plan{}, err
	}
	r.Does = host.Description{Action: host.Run, Target: r.line(), Diff: r.lines()}
	r.Leaves = []host.Effect{{Key: host.Key{Space: host.All, Name: host.All}, State: host.Unknown}}
	quiet := c.ChangedWhen != nil && !*c.ChangedWhen
	if quiet {
		r.Does.Action, r.Leaves = host.Check, nil
	}
	if !r.guarded() {
		if !quiet {
			r.Does.Impact = "runs every time"
		}
		return modules.Plan{Changes: []host.Change{r}, Always: true}, nil
	}
	for _, made := range []string{r.Creates, r.target()} {
		if made != "" && !isGlob(made) {
			if path, err := v.Resolve(made); err == nil {
				r.Leaves = append(r.Leaves, host.Effect{Key: host.File(path), State: host.Unknown})
			}
		}
	}
	if r.Removes != "" && !isGlob(r.Removes) {
		if path, err := v.Resolve(r.Removes); err == nil {
			left := host.Gone(host.File(path))
			if r.Creates != "" { // what it makes keeps it from running again; see kept
				left = host.Effect{Key: left.Key, State: host.Unknown}
			}
			r.Leaves = append(r.Leaves, left)
		}
	}
	for _, key := range r.patterns() {
		r.Leaves = append(r.Leaves, host.Open(key.Space, key.Name))
	}
	return modules.Plan{Changes: []host.Change{r}}, nil
}

// patterns are the keys of guards that are patterns: which files match them is
// known once the program has run.
func (r *RunCommand) patterns() []host.Key {
	var keys []host.Key
	for _, guard := range []string{r.Creates, r.Removes} {
		if isGlob(guard) {
			keys = append(keys, host.Key{Space: "pattern", Name: guard})
		}
	}
	return keys
}
