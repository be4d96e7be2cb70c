package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"muster/host"
)

// configLimit is the size, in bytes, up to which files of HAProxy's are read.
const configLimit = 16 << 20

const (
	unit       = "haproxy.service"
	packageKey = "haproxy" // in host.Packages
)

// daemonKeys are what answers about the daemon depend on.
var daemonKeys = []host.Key{{Space: host.Packages, Name: packageKey}, {Space: host.Units, Name: unit}}

// daemon is HAProxy on a host, as its unit starts it.
type daemon struct {
	Active     string // systemd's word: active, inactive, failed, …
	Invocation string // of the unit
	PID        int    // of the master; 0 where it doesn't run
	// Argv is how the master runs, or is to be started.
	Argv []string
}

func (d *daemon) running() bool {
	return d.PID > 0 && (d.Active == "active" || d.Active == "reloading")
}

// masterSocket is the address of the master's command line (-S), "" where it has none.
func (d *daemon) masterSocket() string {
	if path, _, _ := strings.Cut(d.flag("-S"), ","); path != "" {
		return address(path)
	}
	return ""
}

// address is a socket of HAProxy's configuration as View.Dial takes it; "" for one that
// is none of a file (abstract ones, those handed over as numbers).
func address(bind string) string {
	bind = strings.TrimPrefix(bind, "unix@")
	switch {
	case strings.HasPrefix(bind, "/"):
		return "unix:" + bind
	case strings.Contains(bind, "@") || strings.Contains(bind, "%"):
		return ""
	}
	return "tcp:" + strings.TrimPrefix(bind, "*")
}

// configs are the files and folders that it reads its configuration from, in order.
func (d *daemon) configs() (list []string) {
	for i, a := range d.Argv {
		switch {
		case a == "--":
			return append(list, d.Argv[i+1:]...)
		case a == "-f" && i+1 < len(d.Argv):
			list = append(list, d.Argv[i+1])
		}
	}
	return list
}

func (d *daemon) flag(name string) string {
	if at := slices.Index(d.Argv, name); at >= 0 && at+1 < len(d.Argv) {
		return d.Argv[at+1]
	}
	return ""
}

// checking is the command that checks a configuration in place of one of the daemon's
// own: the unit's flags, without those that are about a process that runs.
func (d *daemon) checking(live, instead string) []string {
	argv := []string{d.Argv[0], "-c", "-dW"}
	for i := 1; i < len(d.Argv); i++ {
		a := d.Argv[i]
		switch {
		case a == "-W", a == "-Ws", a == "-D", a == "-db", a == "-c", a == "-q", a == "-dW":
		case a == "-p" || a == "-S" || a == "-x":
			i++
		case a == "-sf" || a == "-st": // followed by process numbers, up to the next flag
			for i+1 < len(d.Argv) && !strings.HasPrefix(d.Argv[i+1], "-") {
				i++
			}
		case a == live:
			argv = append(argv, instead)
		default:
			argv = append(argv, a)
		}
	}
	return argv
}

// findDaemon asks systemd for the unit; nil where there is none. Whether one appears
// behind pending changes is host.ErrNotYet.
func findDaemon(ctx context.Context, v *host.View) (*daemon, error) {
	d, err := host.Once(v, "haproxy unit", func() (*daemon, error) {
		return lookDaemon(func(c host.Command) (host.Output, error) { return v.Query(ctx, c, daemonKeys...) },
			func(path string) ([]byte, error) { return v.ReadFile(ctx, path, configLimit) })
	})
	if err != nil || d != nil {
		return d, err
	}
	for _, k := range daemonKeys {
		if _, _, open, err := v.Look(k); err != nil {
			return nil, err
		} else if open || v.Tainted() {
			return nil, host.NotYet(k)
		}
	}
	return nil, nil
}

// lookDaemon is findDaemon for whoever runs programs and reads files.
func lookDaemon(run func(host.Command) (host.Output, error), read func(path string) ([]byte, error)) (*daemon, error) {
	argv := []string{"systemctl", "show", "--property=LoadState,ActiveState,InvocationID,MainPID,ExecStart,Environment,EnvironmentFiles", "--", unit}
	out, err := run(host.Command{Argv: argv})
	if errors.Is(err, host.ErrNoProgram) {
		return nil, errors.New("HAProxy is run by systemd, which this host hasn't got")
	}
	if err == nil && out.ExitCode != 0 {
		err = &host.ExitError{Argv: argv, Output: out}
	}
	if err != nil {
		return nil, err
	}
	d := &daemon{}
	var start string
	env := map[string]string{}
	var files []string
	for line := range strings.Lines(string(out.Stdout)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch name {
		case "LoadState":
			switch value {
			case "not-found":
				return nil, nil
			case "masked":
				return nil, fmt.Errorf(`%s is masked, so that HAProxy can't run: task "service" "haproxy" { masked = false } ends that`, unit)
			}
		case "ActiveState":
			d.Active = value
		case "InvocationID":
			d.Invocation = value
		case "MainPID":
			d.PID, _ = strconv.Atoi(value)
		case "ExecStart":
			_, rest, _ := strings.Cut(value, "argv[]=")
			start, _, _ = strings.Cut(rest, " ; ")
		case "Environment":
			assign(env, words(value))
		case "EnvironmentFiles":
			path, _, _ := strings.Cut(value, " (")
			files = append(files, path)
		}
	}
	if d.running() {
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", d.PID)); err == nil && len(line) > 0 {
			d.Argv = strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
			return d, nil
		}
	}
	for _, f := range files {
		data, err := read(filepath.Clean(f))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") {
				assign(env, words(line))
			}
		}
	}
	for _, w := range words(start) {
		d.Argv = append(d.Argv, expand(w, env)...)
	}
	if len(d.Argv) == 0 {
		return nil, fmt.Errorf("%s starts nothing", unit)
	}
	return d, nil
}

func assign(env map[string]string, list []string) {
	for _, w := range list {
		if name, value, ok := strings.Cut(w, "="); ok {
			env[name] = value
		}
	}
}

// words splits a line as systemd does: at spaces, but for those in quotes.
func words(line string) (list []string) {
	var b strings.Builder
	quote, inside := rune(0), false
	end := func() {
		if inside {
			list = append(list, b.String())
		}
		b.Reset()
		inside = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inside = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			end()
		default:
			b.WriteRune(r)
			inside = true
		}
	}
	end()
	return list
}

// expand is a word of a command line with systemd's variables filled in: one that is a
// variable alone stands for as many words as its value has (systemd.service(5)).
func expand(word string, env map[string]string) []string {
	if name, ok := strings.CutPrefix(word, "$"); ok && !strings.HasPrefix(name, "{") && !strings.HasPrefix(name, "$") {
		return words(env[name])
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(word, "${")
		b.WriteString(before)
		if !found {
			return []string{strings.ReplaceAll(b.String(), "$$", "$")}
		}
		name, after, _ := strings.Cut(rest, "}")
		b.WriteString(env[name])
		word = after
	}
}
