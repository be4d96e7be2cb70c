package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"muster/host"
	"muster/modules"
)

// RunCommand runs a program of the user's.
type RunCommand struct {
	Argv  []string `json:"argv,omitempty"`  // of a script: the interpreter and its options, or none
	Shell string   `json:"shell,omitempty"` // for /bin/sh, in place of Argv
	// Script is written to a private file, whose name follows Argv; Args follow that.
	Script *host.Content `json:"script,omitempty"`
	Args   []string      `json:"args,omitempty"`

	Dir   string        `json:"dir,omitempty"`
	Env   []string      `json:"env,omitempty"`
	Stdin *host.Content `json:"stdin,omitempty"`

	Creates   string     `json:"creates,omitempty"`
	Removes   string     `json:"removes,omitempty"`
	NewerThan *NewerThan `json:"newer_than,omitempty"`
	// Judged: another exit code than 0 isn't what makes a run a failure; Fails
	// is, where it is known beforehand.
	Judged bool `json:"judged,omitempty"`
	Fails  bool `json:"fails,omitempty"`

	Does   host.Description `json:"does"`
	Leaves []host.Effect    `json:"leaves,omitempty"`
}

// Type is "command.run/1".
func (*RunCommand) Type() string { return "command.run/1" }

// Describe is the command line.
func (r *RunCommand) Describe() host.Description { return r.Does }

// Effects is that anything may have been altered.
func (r *RunCommand) Effects() []host.Effect { return r.Leaves }

// Interruptible: the task's timeout ends the program; see Apply.
func (*RunCommand) Interruptible() {}

// stdinLimit is the size, in bytes, up to which content is given to a program.
const stdinLimit = 256 << 20

// Apply runs the program. When the task's time is over it is killed with all
// that it started in its process group; an interrupted run lets it end,
// because nobody could tell what half of it leaves.
func (r *RunCommand) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	v := host.NewView(h, nil)
	if r.guarded() {
		if due, err := r.due(v); err != nil || !due {
			return host.Result{}, err
		}
	}
	run := context.WithoutCancel(ctx)
	if at, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		run, cancel = context.WithDeadlineCause(run, at, errors.New("the task's time is over, and it was killed"))
		defer cancel()
	}
	c, done, err := r.command(run, h.Bodies.Open, host.NewScratch)
	if err != nil {
		return host.Result{}, err
	}
	defer done()
	out, err := h.Runner.Run(run, c)
	if err != nil {
		if words := out.LastWords(); words != "" && run.Err() != nil {
			err = &host.SaidError{Err: err, Said: words}
		}
		return host.Result{}, err
	}
	result := host.Result{Output: encodeOutput(out)}
	if err := r.judge(out); err != nil {
		return result, err
	}
	if err := h.At("ran " + r.line()); err != nil {
		return result, err
	}
	return result, r.kept(v)
}

// command returns what to run, and what to call when it has run.
func (r *RunCommand) command(ctx context.Context, open func(context.Context, host.Content) (io.ReadCloser, error), makeScratch func() (*host.Scratch, error)) (c host.Command, done func(), err error) {
	c = host.Command{Argv: r.Argv, Dir: r.Dir, Env: r.Env}
	done = func() {}
	if r.Shell != "" {
		c.Argv = []string{"/bin/sh", "-c", r.Shell}
	}
	if r.Stdin != nil {
		body, err := readBody(ctx, open, *r.Stdin)
		if err != nil {
			return c, nil, err
		}
		c.Stdin = bytes.NewReader(body)
	}
	if r.Script == nil {
		return c, done, nil
	}
	body, err := readBody(ctx, open, *r.Script)
	if err != nil {
		return c, nil, err
	}
	scratch, err := makeScratch()
	if err != nil {
		return c, nil, err
	}
	at, err := scratch.Write("script", body, 0o700)
	if err != nil {
		scratch.Remove()
		return c, nil, err
	}
	if len(c.Argv) == 0 {
		c.Argv = interpreter(body)
	}
	c.Argv = append(append(append([]string{}, c.Argv...), at), r.Args...)
	return c, scratch.Remove, nil
}

func readBody(ctx context.Context, open func(context.Context, host.Content) (io.ReadCloser, error), c host.Content) ([]byte, error) {
	if c.Size > stdinLimit {
		return nil, fmt.Errorf("content of %d bytes is larger than the %d that a program is given", c.Size, stdinLimit)
	}
	r, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// interpreter reads a script's first line as the kernel does: the program and
// at most one argument. It is run by name, so that the script's own file may
// lie where nothing can be executed. Without such a line it is /bin/sh.
func interpreter(script []byte) []string {
	line, _, _ := bytes.Cut(script, []byte("\n"))
	rest, ok := strings.CutPrefix(strings.TrimRight(string(line), " \t\r"), "#!")
	if !ok {
		return []string{"/bin/sh"}
	}
	rest = strings.Trim(rest, " \t")
	name, arg, _ := strings.Cut(strings.ReplaceAll(rest, "\t", " "), " ")
	if name == "" {
		return []string{"/bin/sh"}
	}
	if arg = strings.Trim(arg, " "); arg == "" {
		return []string{name}
	}
	return []string{name, arg}
}

// judge returns the error of a run that has failed.
func (r *RunCommand) judge(out host.Output) error {
	failed := out.ExitCode != 0
	if r.Judged {
		failed = r.Fails
	}
	if !failed {
		return nil
	}
	return &host.ExitError{Argv: []string{r.line()}, Output: out, Whole: host.AsJSON}
}

// kept returns an error where a program that ran hasn't kept what its guard
// promises: it would run again every time.
func (r *RunCommand) kept(v *host.View) error {
	if !r.guarded() {
		return nil
	}
	if r.Creates != "" {
		found, err := exists(v, r.Creates)
		if err != nil || !found {
			return errors.Join(err, fmt.Errorf("%s has run, but %s isn't there: creates names what it makes", r.line(), r.Creates))
		}
		return nil
	}
	if r.Removes != "" {
		found, err := exists(v, r.Removes)
		if err != nil || found {
			return errors.Join(err, fmt.Errorf("%s has run, but %s is still there: removes names what it takes away", r.line(), r.Removes))
		}
		return nil
	}
	if due, err := r.due(v); err != nil || due {
		return errors.Join(err, fmt.Errorf("%s has run, but %s isn't newer than its source: newer_than names what it makes", r.line(), r.NewerThan.Target))
	}
	return nil
}

// read runs a program that only reads.
func (r *RunCommand) read(ctx context.Context, v *host.View) (modules.Plan, error) {
	if v.Pending() {
		return modules.Plan{Then: []host.Description{{Action: host.Check, Target: r.line(), Impact: "once what is pending before it is done"}}},
			fmt.Errorf("the answer of %s is %w", r.line(), host.ErrNotYet)
	}
	open := func(ctx context.Context, c host.Content) (io.ReadCloser, error) {
		body, err := v.Body(ctx, c, stdinLimit)
		return io.NopCloser(bytes.NewReader(body)), err
	}
	c, done, err := r.command(ctx, open, v.Scratch)
	if err != nil {
		return modules.Plan{}, err
	}
	defer done()
	out, err := v.Query(ctx, c, host.Key{Space: host.All, Name: host.All})
	if err != nil {
		return modules.Plan{}, err
	}
	return modules.Plan{Output: encodeOutput(out)}, r.judge(out)
}

// shownLine is how many characters of a program and its arguments are shown in a line.
const shownLine = 200

// line is the command as a shell would take it, cut to a line.
func (r *RunCommand) line() string {
	text := uncommented(r.Shell)
	if text == "" {
		var words []string
		for _, a := range r.Argv {
			words = append(words, quote(a))
		}
		if r.Script != nil {
			words = append(words, fmt.Sprintf("script:%.12s", r.Script.Sum))
		}
		for _, a := range r.Args {
			words = append(words, quote(a))
		}
		text = strings.Join(words, " ")
	}
	if first, _, more := strings.Cut(text, "\n"); more {
		text = first + " …"
	}
	if r := []rune(text); len(r) > shownLine {
		text = string(r[:shownLine]) + "…"
	}
	return text
}

// uncommented is a script from its first line on that is no comment.
func uncommented(shell string) string {
	text := strings.TrimSpace(shell)
	for strings.HasPrefix(text, "#") {
		_, rest, more := strings.Cut(text, "\n")
		if !more {
			return text // there is nothing else
		}
		text = strings.TrimSpace(rest)
	}
	return text
}

// lines is all that the shell is to run, where line doesn't show it: who agrees to a plan has
// seen it. Each is set off, so that none is taken for what a diff adds or takes away.
func (r *RunCommand) lines() string {
	text := strings.Trim(r.Shell, "\n")
	if len(text) <= shownLine && !strings.Contains(text, "\n") {
		return ""
	}
	if len(text) > host.DiffLimit {
		text = strings.ToValidUTF8(text[:host.DiffLimit], "") + " …"
	}
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}

func quote(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
