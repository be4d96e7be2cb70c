package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// Command is a program to run.
type Command struct {
	Argv  []string
	Stdin io.Reader // nil: /dev/null
	Dir   string    // "": /
	Env   []string  // NAME=value, over the plain environment that System gives
	// Stdout, if not nil, takes what the program prints as it comes; nothing of it is kept.
	// Where writing to it fails the program is killed, with its process group, and that
	// error is returned.
	Stdout io.Writer
	// OutputLimit is how many bytes of each of stdout and stderr are kept:
	// the first half and the last. 0: DefaultOutputLimit.
	OutputLimit int
}

// DefaultOutputLimit is how much of a program's output is kept, in bytes.
const DefaultOutputLimit = 1 << 20

// Output is what a program left behind.
type Output struct {
	Stdout, Stderr []byte
	ExitCode       int    // 128+N where signal N killed it, as shells count
	Signal         string // its name, "" if none: "killed"
}

// Runner runs programs. An error is about running it; a program that ends
// with another code than 0 is none.
type Runner interface {
	Run(ctx context.Context, c Command) (Output, error)
}

// System runs programs on this machine, each in a process group of its own
// that is killed when ctx ends. A program that has ended but whose children
// hold its pipes open is waited for no longer than a second.
type System struct {
	// Started, if not nil, is told the number of each program's process.
	Started func(pid int)
}

// plainEnv is the environment of every program: independent of whoever
// started us, English, never asking questions.
func plainEnv() []string {
	home := os.Getenv("HOME")
	if home == "" {
		home = "/"
	}
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C.UTF-8", "LANG=C.UTF-8", "HOME=" + home, "USER=" + os.Getenv("USER"), "LOGNAME=" + os.Getenv("USER"), "SHELL=/bin/sh",
		"DEBIAN_FRONTEND=noninteractive", "SYSTEMD_PAGER=", "PAGER=cat",
	}
}

// environment is the key of a context's variables.
type environment struct{}

// WithEnvironment returns a context in which System gives programs variables, NAME=value, over
// the plain environment and below a Command's own.
func WithEnvironment(ctx context.Context, variables []string) context.Context {
	if len(variables) == 0 {
		return ctx
	}
	return context.WithValue(ctx, environment{}, variables)
}

// Environment returns the variables that a context has for programs.
func Environment(ctx context.Context) []string {
	list, _ := ctx.Value(environment{}).([]string)
	return list
}

// Run runs c.
func (s System) Run(ctx context.Context, c Command) (Output, error) {
	if len(c.Argv) == 0 {
		return Output{}, errors.New("no program named")
	}
	env := slices.Concat(plainEnv(), Environment(ctx), c.Env)
	path, err := lookPath(c.Argv[0], env)
	if err != nil {
		return Output{}, err
	}
	limit := c.OutputLimit
	if limit == 0 {
		limit = DefaultOutputLimit
	}
	stdout, stderr := &clipped{limit: limit}, &clipped{limit: limit}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	cmd := exec.CommandContext(ctx, path)
	cmd.Args = c.Argv
	cmd.Stdin = c.Stdin
	said, err := newDrain(stderr, false)
	if err != nil {
		return Output{}, fmt.Errorf("running %s: %w", c.Argv[0], err)
	}
	defer said.close()
	var printed *drain
	if c.Stdout == nil {
		printed, err = newDrain(stdout, false)
	} else {
		printed, err = newDrain(passing{c.Stdout, end}, true)
	}
	if err != nil {
		return Output{}, fmt.Errorf("running %s: %w", c.Argv[0], err)
	}
	defer printed.close()
	cmd.Stdout, cmd.Stderr = printed.to, said.to
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for what it doesn't read of its input
	err = cmd.Start()
	printed.to.Close() // they are the program's
	said.to.Close()
	if err == nil {
		if s.Started != nil {
			s.Started(cmd.Process.Pid)
		}
		err = cmd.Wait()
	}
	printed.finish(ctx)
	said.finish(ctx)
	out := Output{Stdout: stdout.bytes(), Stderr: stderr.bytes()}
	if ctx.Err() != nil {
		return out, fmt.Errorf("running %s: %w", c.Argv[0], context.Cause(ctx))
	}
	if cmd.ProcessState == nil {
		return out, fmt.Errorf("running %s: %w", c.Argv[0], err)
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		out.Signal, out.ExitCode = ws.Signal().String(), 128+int(ws.Signal())
		return out, nil
	}
	out.ExitCode = cmd.ProcessState.ExitCode()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return out, fmt.Errorf("running %s: %w", c.Argv[0], err)
	}
	return out, nil
}

// passing hands on what a program prints, and has the program ended where nobody takes it.
type passing struct {
	to  io.Writer
	end context.CancelCauseFunc
}

func (p passing) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	if err != nil {
		p.end(err)
	}
	return n, err
}

// ErrNoProgram is answered for a program that isn't installed.
var ErrNoProgram = errors.New("no such program")

func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	var path string
	for _, e := range env {
		if p, ok := strings.CutPrefix(e, "PATH="); ok {
			path = p
		}
	}
	for _, dir := range strings.Split(path, ":") {
		full := dir + "/" + name
		if st, err := os.Stat(full); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", fmt.Errorf("%w: %s (looked in %s)", ErrNoProgram, name, path)
}

// clipped keeps the first and the last half of limit bytes written to it.
type clipped struct {
	limit      int
	head, tail []byte
	lost       int64
}

func (c *clipped) Write(p []byte) (int, error) {
	n, half := len(p), c.limit/2
	if room := half - len(c.head); room > 0 {
		take := min(room, len(p))
		c.head = append(c.head, p[:take]...)
		p = p[take:]
	}
	c.tail = append(c.tail, p...)
	if over := len(c.tail) - half; over > half {
		c.lost += int64(over)
		c.tail = append(c.tail[:0], c.tail[over:]...)
	}
	return n, nil
}

func (c *clipped) bytes() []byte {
	if over := len(c.tail) - c.limit/2; over > 0 {
		c.lost += int64(over)
		c.tail = c.tail[over:]
	}
	if c.lost == 0 {
		return append(c.head, c.tail...)
	}
	head, tail := whole(c.head), wholeTail(c.tail)
	c.lost += int64(len(c.head) - len(head) + len(c.tail) - len(tail))
	return append(append(head, fmt.Sprintf("\n[… %d bytes left out …]\n", c.lost)...), tail...)
}

// maxWords is the size, in bytes, and wordLines the lines up to which last words of each
// stream are kept.
const (
	maxWords  = 4096
	wordLines = 20
)

// whole returns text that was cut at its end, without the part of a character that
// is left there; wholeTail does so for text that was cut at its beginning.
func whole(text []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if last := text[len(text)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return text[:len(text)-i]
			}
			break
		}
	}
	return text
}

func wholeTail(text []byte) []byte {
	for i := 0; i < utf8.UTFMax-1 && len(text) > 0 && !utf8.RuneStart(text[0]); i++ {
		text = text[1:]
	}
	return text
}

// LastWords returns the last lines of what a program said, for an error message: those of
// stderr, then those of stdout, as some programs print their error there and a warning
// on stderr. What is left out is marked.
func (o Output) LastWords() string { return o.lastWords("") }

// lastWords is LastWords with where all of it can be read, "" where that is nowhere.
func (o Output) lastWords(whole string) string {
	errs, out := lastLines(o.Stderr, whole), lastLines(o.Stdout, whole)
	switch {
	case errs == "":
		return out
	case out == "":
		return errs
	}
	return errs + "\nstdout:\n" + out
}

// lastLines returns up to wordLines lines and maxWords bytes of the end of a text, below a
// mark that counts the lines before.
func lastLines(all []byte, whole string) string {
	all = bytes.TrimSpace(all)
	from := len(all)
	for range wordLines {
		if from = bytes.LastIndexByte(all[:from], '\n'); from < 0 {
			break
		}
	}
	from++ // behind the line's end, or 0
	text := string(all[from:])
	if len(text) > maxWords {
		tail := wholeTail(all[len(all)-maxWords:])
		from, text = len(all)-len(tail), "…"+string(tail)
	}
	before := bytes.Count(all[:from], []byte("\n"))
	if before == 0 {
		return text
	}
	mark := "… " + Counted(before, "line", "lines") + " before"
	if whole != "" {
		mark += "; all of it is in " + whole
	}
	return mark + "\n" + text
}

// AsJSON is where all that a task's program said is shown: its output has it.
const AsJSON = "--output json"

// ExitError is a program that ended with another code than 0.
type ExitError struct {
	Argv   []string
	Output Output
	Whole  string // where all that it said can be read; "": nowhere
}

func (e *ExitError) Error() string {
	how := fmt.Sprintf("exit code %d", e.Output.ExitCode)
	if e.Output.Signal != "" {
		how = "signal: " + e.Output.Signal
	}
	s := fmt.Sprintf("%s: %s", strings.Join(e.Argv, " "), how)
	if words := e.Words(); words != "" {
		s += "\n" + words
	}
	return s
}

// Words is what of the error's text the program said.
func (e *ExitError) Words() string { return e.Output.lastWords(e.Whole) }

// SaidError is an error together with what a program had said till then.
type SaidError struct {
	Err  error
	Said string
}

func (e *SaidError) Error() string { return e.Err.Error() + "\n" + e.Said }
func (e *SaidError) Unwrap() error { return e.Err }

// Words is what of the error's text the program said.
func (e *SaidError) Words() string { return e.Said }

// Wordless returns the text of an error without what programs said: for tasks
// of which nothing may be shown.
func Wordless(err error) string {
	text := err.Error()
	var said interface {
		error
		Words() string
	}
	if errors.As(err, &said) && said.Words() != "" {
		text = strings.Replace(text, "\n"+said.Words(), " (what it said isn't shown: the task is sensitive)", 1)
	}
	return text
}

// Run runs a program that must end with code 0 and returns what it printed.
func (h *Host) Run(ctx context.Context, c Command) (Output, error) {
	out, err := h.Runner.Run(ctx, c)
	if err == nil && out.ExitCode != 0 {
		err = &ExitError{Argv: c.Argv, Output: out}
	}
	return out, err
}
