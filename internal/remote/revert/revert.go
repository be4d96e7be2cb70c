// Package revert arms programs that take a change back after a while, whatever becomes
// of the process that armed them.
//
// What is armed is a folder: a script, and the program's input under the name "armed".
// Renaming that file decides, once, who has it: the script, which then runs the program,
// or who disarms it. The script is started by a timer of systemd's, or by a process
// of its own where there is no systemd. The folder lies where a restart of the host
// removes it, and ends the timer: nothing is taken back that isn't there any more.
package revert

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"muster/host"
)

// prefix is how the names of the folders begin.
const prefix = "revert-"

// running is how long a revert may run that somebody waits for.
const running = 30 * time.Second

// Options say what is armed.
type Options struct {
	Dir    string // where its folder is made; only its owner may write there
	Revert host.Revert
	After  time.Duration // when it is run
	// Plain has a process of its own wait for that, not systemd.
	Plain bool
}

// Armed is a revert that is run by itself unless it is disarmed in time.
type Armed struct {
	dir, name string
	unit      string        // the timer's; "" where a process waits
	sleeper   int           // that process
	slept     chan struct{} // closed at its end
}

// Arm arms a revert. Where it can't be, nothing is left of it.
func Arm(ctx context.Context, o Options) (*Armed, error) {
	a := &Armed{dir: o.Dir, name: prefix + strings.ToLower(rand.Text()[:16])}
	err := a.lay(o)
	if err == nil && (o.Plain || a.timer(ctx, o.After) != nil) {
		err = a.sleep(o.After)
	}
	if err != nil {
		a.remove()
		return nil, fmt.Errorf("arming what takes it back: %w", err)
	}
	return a, nil
}

func (a *Armed) path(name string) string { return filepath.Join(a.dir, a.name, name) }

// lay makes the folder. Its time is when the revert is to be run.
func (a *Armed) lay(o Options) error {
	d, err := host.MakeDirs(filepath.Join(a.dir, a.name), 0o700)
	if err != nil {
		return err
	}
	d.Close()
	sweep(a.dir)
	due := time.Now().Add(o.After).UnixMilli()
	for name, text := range map[string]string{"run": script(filepath.Join(a.dir, a.name), o.Revert.Argv), "armed": string(o.Revert.Input), "due": strconv.FormatInt(due, 10)} {
		if err := host.Put(a.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// script is what runs a revert, once: whoever has renamed its input.
func script(dir string, argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = quote(w)
	}
	return "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8\nexport PATH LC_ALL\n" +
		"cd " + quote(dir) + " || exit 1\n" +
		"mv armed fired 2>/dev/null || exit 0\n" +
		strings.Join(words, " ") + " <fired >said 2>&1\n" +
		"echo $? >code.part\nmv code.part code\n"
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// timer has systemd run the script.
func (a *Armed) timer(ctx context.Context, after time.Duration) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil || !host.IsRoot() {
		return errors.New("there is no systemd to ask") // as sd_booted(3) has it
	}
	unit := "muster-" + a.name
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := host.New().Run(ctx, host.Command{Argv: []string{
		"systemd-run", "--quiet", "--collect", "--unit=" + unit, "--description=Takes back a change of muster's that no login has proven",
		"--on-active=" + strconv.FormatInt(after.Milliseconds(), 10) + "ms", "--timer-property=AccuracySec=100ms", "/bin/sh", a.path("run")}})
	if err == nil {
		a.unit = unit
	}
	return err
}

// sleep has a process in a session of its own run the script.
func (a *Armed) sleep(after time.Duration) error {
	cmd := exec.Command("/bin/sh", "-c", `sleep "$1"; exec /bin/sh "$2"`, "muster-revert", strconv.FormatFloat(after.Seconds(), 'f', 3, 64), a.path("run"))
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	a.sleeper, a.slept = cmd.Process.Pid, make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(a.slept)
	}()
	return nil
}

// Disarm keeps the revert from being run. Where it was run already, or is being run,
// this waits for its end, and returns what came of it.
func (a *Armed) Disarm() (fired bool, err error) {
	d, err := host.OpenDir(filepath.Join(a.dir, a.name))
	if err == nil {
		err = d.Rename("armed", "disarmed")
		d.Close()
	}
	switch {
	case err == nil:
		a.stop()
		a.remove()
		return false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("disarming what takes it back: %w", err)
	}
	return true, a.end()
}

// Fire runs the revert at once, unless that has begun, and returns at its end.
func (a *Armed) Fire() error {
	cmd := exec.Command("/bin/sh", a.path("run"))
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true} // it goes on without this process
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the host does it by itself in a moment: %w", err)
	}
	go cmd.Wait()
	return a.end()
}

// end waits for the end of a revert that has begun.
func (a *Armed) end() error {
	for deadline := time.Now().Add(running); ; time.Sleep(10 * time.Millisecond) {
		code, err := os.ReadFile(a.path("code"))
		switch text := strings.TrimSpace(string(code)); {
		case err == nil && text == "0":
			a.stop()
			a.remove()
			return nil
		case err == nil:
			said, _ := os.ReadFile(a.path("said"))
			return fmt.Errorf("exit code %s\n%s", text, host.Output{Stdout: said}.LastWords())
		case time.Now().After(deadline):
			return fmt.Errorf("it hasn't ended after %s", running)
		}
	}
}

// stop ends what was to run the script. It has nothing left to do.
func (a *Armed) stop() {
	if a.unit != "" {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _ = host.New().Run(ctx, host.Command{Argv: []string{"systemctl", "stop", a.unit + ".timer"}})
	} else if a.sleeper != 0 {
		select {
		case <-a.slept:
		default:
			_ = syscall.Kill(-a.sleeper, syscall.SIGKILL)
		}
	}
}

func (a *Armed) remove() { remove(a.dir, a.name) }

func remove(dir, name string) {
	if d, err := host.OpenDir(dir); err == nil {
		_ = d.RemoveAll(name)
		d.Close()
	}
}

// sweep removes what reverts of processes that are gone have left.
func sweep(dir string) {
	for _, a := range all(dir) {
		if _, err := os.Stat(a.path("code")); err == nil || a.stale() {
			a.remove()
		}
	}
}

// all returns the reverts in a folder.
func all(dir string) (list []*Armed) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			list = append(list, &Armed{dir: dir, name: e.Name()})
		}
	}
	return list
}

// stale reports whether a revert should have been run by this time, so that what was
// to run it is gone.
func (a *Armed) stale() bool {
	text, err := os.ReadFile(a.path("due"))
	if err != nil {
		info, err := os.Stat(a.path("."))
		return err != nil || time.Since(info.ModTime()) > running // it is being laid
	}
	due, err := strconv.ParseInt(string(text), 10, 64)
	return err != nil || time.Since(time.UnixMilli(due)) > running
}

// waits reports whether a revert will be run, or is being run.
func (a *Armed) waits() bool {
	_, err := os.Stat(a.path("code"))
	return err != nil && !a.stale()
}

// Await waits until no revert in a folder is armed: what was left by a process that is
// gone would be run under the hands of whoever looks at the host, or changes it. It
// calls tell where it waits.
func Await(ctx context.Context, dir string, tell func()) error {
	for {
		waits := false
		for _, a := range all(dir) {
			waits = waits || a.waits()
		}
		if !waits {
			return nil
		}
		if tell != nil {
			tell()
			tell = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
