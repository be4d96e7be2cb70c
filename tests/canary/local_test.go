// Package canary plants a recognisable value from a store in every place of a playbook where a
// secret can stand, runs everything, and looks for it wherever it could have got to.
//
// On this machine alone it is part of make test; make canary does the same on a lab's hosts.
package canary

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"muster/tests/await"
	"muster/tests/canary/scan"
	"muster/tests/program"
)

// project is a project with a store, in which values are planted.
type project struct {
	t       *testing.T
	dir     string // with the folders home, tmp and site
	bin     string
	values  []scan.Value
	scanner *scan.Scanner
	mayHold func(h scan.Hit) bool
	wrap    func(*exec.Cmd) *exec.Cmd // has it run elsewhere; or nil
	said    bytes.Buffer              // all that was printed
	found   []scan.Hit
}

func newProject(t *testing.T, bin, source string, values ...scan.Value) *project {
	t.Helper()
	p := &project{t: t, dir: t.TempDir(), bin: bin, values: values, scanner: scan.New(values...)}
	if err := os.CopyFS(filepath.Join(p.dir, "site"), os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"home", "tmp"} {
		if err := os.Mkdir(filepath.Join(p.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(p.dir, "site", "secrets")); err != nil {
		t.Fatal(err)
	}
	p.ends(0, "", "secret", "init")
	first := values[0]
	p.ends(0, first.Text, "secret", "set", first.Place)
	var more strings.Builder
	for _, v := range values[1:] {
		fmt.Fprintf(&more, "secret %q {\n  value = %q\n}\n", v.Place, v.Text)
	}
	if err := os.WriteFile(p.path("more"), []byte(more.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EDITOR", "cat "+p.path("more")+" >>")
	p.ends(0, "", "secret", "edit")
	if err := os.Remove(p.path("more")); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *project) path(name string) string { return filepath.Join(p.dir, name) }

// command is muster in the project. Its environment is the test's but for what a user's would
// have of their own.
func (p *project) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.bin, args...)
	cmd.Dir = p.path("site")
	cmd.Env = append(os.Environ(), "HOME="+p.path("home"), "TMPDIR="+p.path("tmp"), "XDG_CACHE_HOME="+p.path("home")+"/.cache", "USER=root", "MUSTER_VAR_dir="+p.dir, "GOTRACEBACK=all")
	if p.wrap != nil {
		return p.wrap(cmd)
	}
	return cmd
}

// run runs muster, and looks at all processes meanwhile, and at what it has said.
func (p *project) run(stdin string, args ...string) (out string, code int) {
	p.t.Helper()
	cmd := p.command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	stop := p.scanner.Watch()
	err := cmd.Run()
	p.take("processes of muster "+strings.Join(args, " "), stop())
	p.say(said.Bytes(), args...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return said.String(), cmd.ProcessState.ExitCode()
}

func (p *project) say(said []byte, args ...string) {
	p.take("", p.scanner.Bytes("what muster "+strings.Join(args, " ")+" says", said))
	p.said.Write(said)
}

// copy copies a file of the project.
func (p *project) copy(from, to string) {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.path("site"), from))
	if err == nil {
		err = os.WriteFile(filepath.Join(p.path("site"), to), data, 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// ends is run with the exit code that is expected.
func (p *project) ends(want int, stdin string, args ...string) string {
	p.t.Helper()
	out, code := p.run(stdin, args...)
	if code != want {
		p.t.Fatalf("muster %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, want, out)
	}
	return out
}

// take keeps what was found where nothing may be.
func (p *project) take(where string, hits []scan.Hit) {
	for _, h := range hits {
		if where != "" {
			h.Where = where + ": " + h.Where
		}
		if p.mayHold == nil || !p.mayHold(h) {
			p.found = append(p.found, h)
		}
	}
}

// check reports what was found where it may not be.
func (p *project) check() {
	p.t.Helper()
	if lines := p.leaks(); lines != nil {
		p.t.Errorf("found where it may not be:\n%s", strings.Join(lines, "\n"))
	}
}

// leaks looks through all files of the project, its home and its temporary files, and those of the
// machine that a run leaves something in. It tells these and what was found before.
func (p *project) leaks() (lines []string) {
	p.take("", p.scanner.Tree(p.dir, nil))
	for _, dir := range []string{"/run/muster", "/var/lib/muster", "/var/cache/muster"} {
		p.take("", p.scanner.Tree(dir, nil))
	}
	for _, h := range p.found {
		if line := h.String(); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// names of the places in testdata/local that hold a value.
var local = strings.Fields("vars local content encoded template line block stdin output role print assert fails message before waits behind argv env name key tag")

func localProject(t *testing.T) *project {
	if os.Geteuid() != 0 {
		t.Skip("it acts on localhost as root")
	}
	var values []scan.Value
	for _, place := range local {
		values = append(values, scan.Quoted(place))
	}
	p := newProject(t, program.Muster(t), "testdata/local", values...)
	given := scan.Quoted("given")
	p.values = append(p.values, given)
	p.scanner = scan.New(p.values...)
	// Where a value was to be written it may stand: in its own file, and in those that tell what
	// else they have.
	files := map[string][]string{
		"content": {"content"}, "all": {"vars", "local", "given", "encoded"}, "template": {"template"}, "line": {"line"}, "block": {"block"},
		"output": {"output"}, "role": {"role"}, "role-output": {"role"}, "before": {"before"}, "behind": {"behind"},
	}
	p.mayHold = func(h scan.Hit) bool {
		rel, err := filepath.Rel(p.path("out"), h.Where)
		return err == nil && slices.Contains(files[rel], h.Place)
	}
	return p
}

func TestNoSecretIsLeftBehindOnThisMachine(t *testing.T) {
	p := localProject(t)
	given := filepath.Join(p.dir, "given.vars.hcl")
	value := scan.Quoted("given").Text
	if err := os.WriteFile(given, []byte("given = "+strconv.Quote(value)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := []string{"--var-file", given}
	run := func(want int, args ...string) string { t.Helper(); return p.ends(want, "", append(args, with...)...) }

	run(0, "validate", "site.hcl")
	run(0, "plan", "site.hcl", "-v")
	run(0, "plan", "site.hcl", "--output", "json")
	run(0, "plan", "site.hcl", "--save", p.path("site.plan"))
	p.ends(0, "", "show", p.path("site.plan"))
	p.ends(0, "", "show", p.path("site.plan"), "--output", "json")
	run(4, "apply", p.path("site.plan"), "--yes", "-v")
	run(4, "apply", "site.hcl", "--yes", "--output", "json")
	out := run(4, "apply", "site.hcl", "--yes", "-v")
	for _, want := range []string{"exit code 3", "exit code 4", "(sensitive)"} {
		if !strings.Contains(out, want) {
			t.Errorf("it isn't readable: no %q in\n%s", want, out)
		}
	}
	p.ends(0, "", "history")
	p.ends(0, "", "history", "last", "-v")
	p.ends(0, "", "history", "last", "--output", "json")
	p.ends(0, "", "secret", "list", "--output", "json")
	p.ends(0, "", "secret", "check")
	p.ends(0, "", "secret", "textconv", "secrets/production.hcl")
	// Both sides have changed one.
	for _, side := range []string{"theirs", "ours"} {
		p.ends(0, "", "secret", "merge", "secrets/production.hcl", "secrets/production.hcl", "secrets/production.hcl")
		p.copy("secrets/production.hcl", "base.hcl")
		p.ends(0, scan.Quoted("content").Text+side, "secret", "set", "content")
		if side == "theirs" {
			p.copy("secrets/production.hcl", "theirs.hcl")
			p.copy("base.hcl", "secrets/production.hcl")
		}
	}
	p.ends(1, "", "secret", "merge", "base.hcl", "secrets/production.hcl", "theirs.hcl")
	p.ends(0, "", "secret", "merge", "--take", "theirs", "base.hcl", "secrets/production.hcl", "theirs.hcl")
	p.ends(0, "", "secret", "check")
	if err := os.Remove(given); err != nil { // it is the user's own
		t.Fatal(err)
	}
	p.check()
}

// TestADeliberateLeakIsFound has tasks bring values where none may be: into a file, a command
// line, an environment, and past muster to where it prints.
func TestADeliberateLeakIsFound(t *testing.T) {
	p := localProject(t)
	p.ends(0, "", "apply", "leaks.hcl", "--yes")
	p.say([]byte("level=debug password="+scan.Quoted("print").Text), "(a build of it that logs)")
	found := strings.Join(p.leaks(), "\n")
	for place, where := range map[string]string{"content": p.path("tmp/leak"), "stdin": "cmdline of sleep", "output": "environ of sleep", "print": "what muster (a build of it that logs) says"} {
		if !strings.Contains(found, where+": the value of \""+place+"\"") {
			t.Errorf("the value of %q isn't found in %s; found were\n%s", place, where, found)
		}
	}
}

// TestNoSecretIsLeftBehindWhereARunIsCutOff has muster, and then what it has started on the host,
// end with the stacks of all of its goroutines, which is what a panic prints, while a secret is in hand.
func TestNoSecretIsLeftBehindWhereARunIsCutOff(t *testing.T) {
	for _, who := range []string{"muster", "the host's part"} {
		t.Run(who, func(t *testing.T) {
			p := localProject(t)
			if err := os.Mkdir(p.path("out"), 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := p.command("apply", "waits.hcl", "--yes", "-v")
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			stop := p.scanner.Watch()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var remote int
			await.Until(t, "the task waits", func() bool {
				data, err := os.ReadFile(p.path("waiting"))
				if err != nil {
					return false
				}
				remote, err = strconv.Atoi(strings.TrimSpace(string(data)))
				return err == nil
			})
			pid := cmd.Process.Pid
			if who != "muster" {
				pid = remote
			}
			if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p.path("go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			p.take("processes", stop())
			p.say(said.Bytes(), "that was cut off")
			if !strings.Contains(said.String(), "goroutine") && who == "muster" {
				t.Errorf("it printed no stacks:\n%s", said.String())
			}
			p.ends(0, "", "history", "last", "-v")
			p.run("", "apply", "waits.hcl", "--yes", "--resume", "-v")
			p.ends(0, "", "apply", "waits.hcl", "--yes", "-v")
			p.check()
		})
	}
}

// TestWhatWouldShowASecretIsRefused: what is shown everywhere, or read by everybody, takes none.
func TestWhatWouldShowASecretIsRefused(t *testing.T) {
	p := localProject(t)
	for name, task := range map[string]string{
		"for_each":    `task "file" "x" { for_each = toset([secret["key"]])` + "\n" + `path = each.key` + "\n" + `content = "x" }`,
		"a key":       `task "file" "x" { for_each = { (secret["key"]) = 1 }` + "\n" + `path = "/tmp/x"` + "\n" + `content = "x" }`,
		"argv":        `task "command" "x" { argv = ["echo", secret["argv"]] }`,
		"shell":       `task "command" "x" { shell = "echo ${secret["argv"]}" }`,
		"environment": `task "command" "x" { argv = ["true"]` + "\n" + `env = { TOKEN = secret["env"] } }`,
		"tags":        `task "command" "x" { argv = ["true"]` + "\n" + `tags = [secret["tag"]] }`,
		"a condition": `task "print" "x" { message = "x"` + "\n" + `when = secret["key"] }`,
		"a function":  `task "print" "x" { message = parseint(secret["key"], 10) }`,
	} {
		task = strings.NewReplacer("{ ", "{\n", " }", "\n}").Replace(task)
		task = strings.NewReplacer("{\n(", "{ (", "= 1\n}", "= 1 }", "{\nTOKEN", "{ TOKEN").Replace(task)
		if err := os.WriteFile(filepath.Join(p.path("site"), "wrong.hcl"), []byte("play \"p\" {\n  hosts = [\"localhost\"]\n"+task+"\n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"plan", "wrong.hcl"}, {"plan", "wrong.hcl", "--output", "json"}, {"apply", "wrong.hcl", "--yes", "-v"}} {
			if out, code := p.run("", args...); code == 0 || !strings.Contains(strings.ToLower(out), "sensitive") && name != "a condition" && name != "tags" {
				t.Errorf("%s: muster %s ends with %d:\n%s", name, args[0], code, out)
			}
		}
	}
	// A path may have one in it. It is the file's name then, and shown nowhere else.
	path := filepath.Join(p.dir, "named-")
	if err := os.WriteFile(filepath.Join(p.path("site"), "named.hcl"), []byte("play \"p\" {\n  hosts = [\"localhost\"]\n  task \"file\" \"x\" {\n    path    = \""+path+"${replace(secret[\"name\"], \"/\", \"_\")}\"\n    content = \"x\"\n  }\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run("", "plan", "named.hcl", "-v")
	p.run("", "plan", "named.hcl", "--output", "json")
	p.run("", "apply", "named.hcl", "--yes", "-v")
	p.run("", "apply", "named.hcl", "--yes", "--output", "json")
	if err := os.Remove(path + scan.Quoted("name").Text); err != nil {
		t.Error(err)
	}
	p.check()
}
