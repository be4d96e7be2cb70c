package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/journal"
	"muster/internal/task"
	"muster/internal/wire"
)

// historyOf runs `muster history` in the working directory.
func historyOf(args ...string) (out, errs string, code int) {
	var o, e bytes.Buffer
	a := &app{out: &o, err: &e, in: os.Stdin}
	root := newRoot(a)
	root.SetArgs(append([]string{"history"}, args...))
	code = exitCode(a, root.Execute())
	return o.String(), e.String(), code
}

// journalIn makes a journal in a new project, which becomes the working directory.
func journalIn(t *testing.T) *journal.Journal {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "muster.hcl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	j, err := journal.Open(filepath.Join(dir, ".muster", "journal.db"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func beginIn(t *testing.T, j *journal.Journal, playbook string, hosts ...string) *journal.Run {
	t.Helper()
	r, err := j.Begin(journal.RunInfo{Playbook: playbook, Inventory: "inventory", Muster: "0.1.0", By: "ann@laptop", Command: "muster apply x\x1b.hcl", Tags: []string{"a", "b"}}, hosts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// cutOff makes a run one of an earlier boot.
func cutOff(t *testing.T, id string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(".muster", "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("UPDATE runs SET boot = 'earlier' WHERE id = ?", id)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// eventful is a run with a task of every end. What its hosts say is hostile.
func eventful(t *testing.T, j *journal.Journal) *journal.Run {
	t.Helper()
	r := beginIn(t, j, "playbooks/site.hcl", "web1", "web2", "web3")
	write := host.Description{Action: host.Update, Target: "/etc/motd", Diff: "-old\n+new \x1b[31m", Impact: "two\nlines"}
	task := func(path, kind, label, key string) engine.Granted {
		name := "task." + kind + "." + label
		id := "0/" + path + name
		if key != "" {
			id += fmt.Sprintf("[%q]", key)
		}
		return engine.Granted{Place: task.Place{Ref: task.Ref{Play: "web servers", Kind: kind}, ID: id, Name: name}, Changes: []host.Description{write}}
	}
	motd, same, fails, lost := task("", "file", "motd", "k"), task("", "file", "same", ""), task("role.web/", "command", "fails", ""), task("", "file", "lost", "")
	lost.On = "lb1"
	if err := r.Grant(t.Context(), "web1", []engine.Granted{motd, same, fails}); err != nil {
		t.Fatal(err)
	}
	r.Before("web1", motd.ID, &wire.Undo{Target: "/etc/motd", Steps: []wire.UndoStep{{Type: "file.remove/1"}}})
	r.Done("web1", motd.ID, &wire.Done{Status: wire.Changed, Changes: motd.Changes, Seconds: 0.25})
	r.Done("web1", same.ID, &wire.Done{Status: wire.Unchanged})
	r.Before("web1", fails.ID, &wire.Undo{Missing: "nothing takes it back"})
	r.Done("web1", fails.ID, &wire.Done{Status: wire.Failed, Undone: true, Error: "exit code 3\n\x1b]0;title\a"})
	r.HostEnd("web1", engine.HostFailed, "task.command.fails: exit code 3\r")
	r.HostEnd("web3", engine.HostDone, "")
	if err := r.Grant(t.Context(), "web2", []engine.Granted{lost}); err != nil {
		t.Fatal(err)
	}
	return r
}

var (
	clock    = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( \S+)?`)
	duration = regexp.MustCompile(`\b[\d.]+m?s\b`)
)

// steady gives text that tells of times the same ones.
func steady(text string) string {
	return duration.ReplaceAllString(clock.ReplaceAllString(text, "TIME"), "5ms")
}

func TestHistoryListsRunsNewestFirst(t *testing.T) {
	j := journalIn(t)
	first, second, third := beginIn(t, j, "site.hcl", "a", "b"), beginIn(t, j, "playbooks/größe.hcl", "a"), beginIn(t, j, "x\x1b[2J\ny.hcl")
	first.HostEnd("a", engine.HostDone, "")
	if err := first.End("failed"); err != nil {
		t.Fatal(err)
	}
	cutOff(t, second.ID())
	out, errs, code := historyOf()
	want := "run                 when                 took  outcome  hosts  playbook             by          command\n" +
		third.ID() + "  TIME  5ms   running  0/0    x\\x1b[2J\\ny.hcl      ann@laptop  muster apply x\\x1b.hcl\n" +
		second.ID() + "  TIME  -     cut off  0/1    playbooks/größe.hcl  ann@laptop  muster apply x\\x1b.hcl\n" +
		first.ID() + "  TIME  5ms   failed   1/2    site.hcl             ann@laptop  muster apply x\\x1b.hcl\n"
	lines := regexp.MustCompile(`(TIME|took) +(\S+) +`) // how wide this is depends on the time
	if got := lines.ReplaceAllString(steady(out), "$1 "); got != lines.ReplaceAllString(want, "$1 ") || code != 0 || errs != "" {
		t.Errorf("exit %d, %s\n%s\nwant\n%s", code, errs, got, want)
	}
	if out, _, _ := historyOf("-n", "1"); strings.Count(out, "\n") != 2 || !strings.Contains(out, third.ID()) {
		t.Error(out)
	}
	if _, errs, code := historyOf("-n", "-1"); code != 1 || !strings.Contains(errs, "-n is how many") {
		t.Error(code, errs)
	}
}

func TestHistoryShowsARunHostByHost(t *testing.T) {
	j := journalIn(t)
	r := eventful(t, j)
	cutOff(t, r.ID())
	head := r.ID() + `: cut off
  command     muster apply x\x1b.hcl
  playbook    playbooks/site.hcl
  inventory   inventory
  --tags      a,b
  began       TIME
  took        -
  by          ann@laptop
  muster      0.1.0

web1: failed
  task.command.fails: exit code 3\x0d
  web servers
    ~ file.motd["k"]  changed
        update /etc/motd  two\nlines
`
	tail := `
web2: unfinished
  web servers
    ? file.lost on lb1  whether it was made isn't known
        update /etc/motd  two\nlines
`
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"in short": {[]string{r.ID()}, head + `    ! role.web command.fails  failed, taken back
        exit code 3
        \x1b]0;title\x07
` + tail + "\nweb3: done\n"},
		"with all that is known": {[]string{"last", "-v"}, head + `          -old
          +new \x1b[31m
    = file.same  unchanged
    ! role.web command.fails  failed, taken back
        exit code 3
        \x1b]0;title\x07
` + tail + "          -old\n          +new \\x1b[31m\n\nweb3: done\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := historyOf(test.args...)
			if got := steady(out); got != test.want || code != 0 || errs != "" {
				t.Errorf("exit %d, %s\n%s\nwant\n%s", code, errs, got, test.want)
			}
		})
	}
}

func TestHistoryAsJSONIsAnObjectALine(t *testing.T) {
	j := journalIn(t)
	r := eventful(t, j)
	if err := r.End("failed"); err != nil {
		t.Fatal(err)
	}
	stamps := regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)
	run := `{"type":"run","run":"` + r.ID() + `","playbook":"playbooks/site.hcl","inventory":"inventory","tags":["a","b"],"command":"muster apply x\u001b.hcl","muster":"0.1.0","by":"ann@laptop","began":T,"ended":T,"outcome":"failed","hosts":3,"done":1}`
	change := `[{"action":"update","target":"/etc/motd","diff":"-old\n+new \u001b[31m","impact":"two\nlines"}]`
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"the list": {nil, []string{run}},
		"a run": {[]string{r.ID()}, []string{
			run,
			`{"type":"host","host":"web1","status":"failed","error":"task.command.fails: exit code 3\r","ended":T}`,
			`{"type":"task","host":"web1","play":"web servers","role":"","task":"motd","key":"k","kind":"file","status":"changed","changes":` + change + `,"seconds":0.25,"granted":T,"ended":T,"undoable":true}`,
			`{"type":"task","host":"web1","play":"web servers","role":"","task":"same","key":"","kind":"file","status":"unchanged","changes":[],"seconds":0,"granted":T,"ended":T,"undoable":false}`,
			`{"type":"task","host":"web1","play":"web servers","role":"web","task":"fails","key":"","kind":"command","status":"failed","changes":[],"error":"exit code 3\n\u001b]0;title\u0007","undone":true,"seconds":0,"granted":T,"ended":T,"undoable":false,"not_undoable":"nothing takes it back"}`,
			`{"type":"host","host":"web2","status":"unfinished","error":""}`,
			`{"type":"task","host":"web2","on":"lb1","play":"web servers","role":"","task":"lost","key":"","kind":"file","status":"unknown","changes":` + change + `,"seconds":0,"granted":T,"undoable":false}`,
			`{"type":"host","host":"web3","status":"done","error":"","ended":T}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := historyOf(append(test.args, "--output", "json")...)
			if code != 0 || errs != "" {
				t.Error(code, errs)
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			for i, l := range lines {
				if !json.Valid([]byte(l)) {
					t.Errorf("no JSON: %s", l)
				}
				if l = stamps.ReplaceAllString(l, "T"); i >= len(test.want) || l != test.want[i] {
					t.Errorf("line %d is\n%s", i, l)
				}
			}
			if len(lines) != len(test.want) {
				t.Errorf("%d lines, want %d", len(lines), len(test.want))
			}
		})
	}
}

func TestHistoryNamesTheNearestRun(t *testing.T) {
	j := journalIn(t)
	first, second := beginIn(t, j, "a"), beginIn(t, j, "b")
	near := strings.Replace(first.ID(), "-", "", 1)
	for id, want := range map[string]string{
		near:                               "did you mean " + first.ID() + "?",
		first.ID()[len(first.ID())-4:]:     "did you mean " + first.ID() + "?",
		"yesterday":                        "; the newest is " + second.ID(),
		"":                                 "; the newest is " + second.ID(),
		first.ID()[:8]:                     "2 runs begin with \"" + first.ID()[:8] + "\": " + second.ID() + ", " + first.ID(),
		second.ID() + "0":                  "did you mean " + second.ID() + "?",
		strings.ToUpper(first.ID()) + "\a": "there is no run ",
	} {
		out, errs, code := historyOf(id)
		if code != 1 || out != "" || !strings.Contains(errs, want) || strings.Contains(errs, "\a") {
			t.Errorf("%q: exit %d, %q, %q; want %q", id, code, out, errs, want)
		}
	}
}

func TestHistoryWithoutRunsSaysSo(t *testing.T) {
	t.Run("in a project that was never applied", func(t *testing.T) {
		journalIn(t)
		for _, args := range [][]string{nil, {"last"}} {
			out, errs, code := historyOf(args...)
			if code != 0 || errs != "" || !strings.HasPrefix(out, "Nothing was applied yet") || strings.Count(out, "\n") != 1 {
				t.Errorf("%q: exit %d, %q, %q", args, code, out, errs)
			}
		}
		if _, errs, code := historyOf("2026"); code != 1 || !strings.Contains(errs, `there is no run "2026"`) {
			t.Error(code, errs)
		}
	})
	t.Run("outside of one", func(t *testing.T) {
		state := t.TempDir()
		t.Chdir(t.TempDir())
		t.Setenv("XDG_STATE_HOME", state)
		out, _, code := historyOf()
		if code != 0 || !strings.Contains(out, filepath.Join(state, "muster", "journal.db")) {
			t.Error(code, out)
		}
		if files, err := os.ReadDir(state); err != nil || len(files) > 0 {
			t.Error("looking made files", files, err)
		}
		if out, _, code := historyOf("--output", "json"); code != 0 || out != "" {
			t.Error(code, out)
		}
		j, err := journal.Open(filepath.Join(state, "muster", "journal.db"), journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		id := beginIn(t, j, "a").ID()
		if out, _, _ := historyOf(); !strings.Contains(out, id) {
			t.Error(out)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestHistoryOfADamagedJournalIsAnError(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{"muster.hcl": "", ".muster/journal.db": strings.Repeat("noise", 2000)} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if out, errs, code := historyOf(); code != 1 || out != "" || !strings.Contains(errs, "damaged") || !strings.Contains(errs, "move it away") {
		t.Error(code, out, errs)
	}
}
