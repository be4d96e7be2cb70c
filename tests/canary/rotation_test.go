package canary

import (
	"bytes"
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
	"muster/tests/operator"
	"muster/tests/program"
)

// learn has a value that muster has made looked for from here on, and in all that was said
// so far. It returns the value.
func (p *project) learn(place, name, version string) string {
	p.t.Helper()
	out, err := p.command("secret", "get", name, "--version", version).Output()
	if err != nil {
		p.t.Fatalf("the %s value of %s: %v", version, name, err)
	}
	value := scan.Value{Place: place, Text: strings.TrimSuffix(string(out), "\n")}
	p.values = append(p.values, value)
	p.scanner = scan.New(p.values...)
	p.take("", p.scanner.Bytes("what muster has said so far", p.said.Bytes()))
	return value.Text
}

// rotated is a host on which a secret is rotated.
type rotated struct {
	dir string                     // there, of what uses the secret
	sh  func(script string) string // has it run a script
	// scan looks through its files, for the values that are known by now.
	scan func()
}

func TestNoValueOfARotationIsLeftBehind(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it acts on localhost as root")
	}
	p := newProject(t, program.Muster(t), "testdata/rotation", scan.Quoted("canary-shop"))
	p.mayHold = func(h scan.Hit) bool {
		return slices.Contains([]string{p.path("out/password"), p.path("out/accepted")}, h.Where)
	}
	p.rotates(rotated{p.dir, func(script string) string {
		t.Helper()
		out, err := exec.Command("sh", "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
		return strings.TrimSpace(string(out))
	}, func() { p.leaks() }})
	p.check()
}

func TestNoValueOfARotationIsLeftBehindOnRealHosts(t *testing.T) {
	theLab.Need(t)
	const host, dir = "app1", "/root/rotation"
	inventory, err := filepath.Abs("../../inventory/lab.hcl")
	if err != nil {
		t.Fatal(err)
	}
	p := newProject(t, operator.Binary(t), "testdata/rotation", scan.Quoted("canary-shop"))
	if err := os.WriteFile(p.path("site/muster.hcl"), []byte("inventory = \""+inventory+"\"\nsecrets = \"secrets/production.hcl\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.wrap = func(cmd *exec.Cmd) *exec.Cmd {
		in := theLab.Lab.Command(t.Context(), cmd.Path, cmd.Args[1:]...)
		in.Dir, in.Env = cmd.Dir, append(cmd.Env, "HOME="+theLab.Home(), "MUSTER_IDENTITY="+p.path("home/.config/muster/identity"), "MUSTER_VAR_dir="+dir, `MUSTER_VAR_hosts=["`+host+`"]`)
		return in
	}
	scanner, err := os.ReadFile(program.Static(t, "muster/tests/cmd/canary"))
	if err != nil {
		t.Fatal(err)
	}
	theLab.On(t, host, "mkdir -p "+dir)
	p.rotates(rotated{dir, func(script string) string { t.Helper(); return theLab.On(t, host, script) }, func() {
		for _, hit := range look(t, scanner, host, p.values).end(t) {
			if !slices.Contains([]string{dir + "/out/password", dir + "/out/accepted"}, hit.Where) {
				p.take("on "+host, []scan.Hit{hit})
			}
		}
	}})
	p.check()
}

// rotates rotates a secret whose consumers print it, fail while they do, and are killed:
// neither the old value nor the new ones are found but in the files of those who use them.
func (p *project) rotates(on rotated) {
	t := p.t
	t.Helper()
	on.sh("rm -f /var/lib/muster/rotations/secret.canary-shop.json") // of a test before it, with a store of its own
	rotate := func(want int, args ...string) string {
		t.Helper()
		return p.ends(want, "", append([]string{"rotate", "canary_shop", "--yes"}, args...)...)
	}
	p.ends(0, "", "apply", "site.hcl", "--yes", "-v")

	// A step fails, and says both values.
	t.Setenv("MUSTER_VAR_stop", "true")
	out := rotate(4, "-v")
	p.learn("second", "canary-shop", "pending")
	out += rotate(4, "-v")
	rotate(4, "--output", "json")
	if !strings.Contains(out, "exit code 3") || !strings.Contains(out, "(sensitive)") {
		t.Errorf("it isn't readable:\n%s", out)
	}
	p.shown()
	t.Setenv("MUSTER_VAR_stop", "false")
	rotate(0, "-v")
	p.shown()
	if kept := on.sh("cat " + on.dir + "/out/accepted"); kept != p.values[1].Text {
		t.Fatalf("the rotation has left %q", kept)
	}

	p.killed(on)
	p.learn("third", "canary-shop", "pending")
	kept := on.sh("grep -l '\"said\"' /var/lib/muster/*.journal || true")
	if kept == "" {
		t.Error("the host keeps nothing of the run that was killed: this test looks at nothing")
	}
	on.scan()
	on.sh("timeout 10 sh -c ': >" + on.dir + "/wait'; rm " + on.dir + "/wait") // the program ends
	rotate(0, "-v")
	p.shown()
	on.scan()
	if left := on.sh("grep -l '\"said\"' /var/lib/muster/*.journal || true"); left != kept {
		t.Errorf("the host keeps\n%s\nof runs that weren't killed, beside\n%s", left, kept)
	}
}

// shown shows all that there is to be shown of the rotation.
func (p *project) shown() {
	p.t.Helper()
	for _, args := range [][]string{
		{"rotate"}, {"plan", "site.hcl", "-v"}, {"plan", "site.hcl", "--output", "json", "--save", p.path("site.plan")},
		{"show", p.path("site.plan"), "--output", "json"}, {"history", "last", "-v"}, {"history", "last", "--output", "json"},
		{"secret", "list", "--output", "json"}, {"secret", "check"},
	} {
		p.ends(0, "", args...)
	}
}

// killed rotates; muster, and what it has started on the host, are killed while a program runs
// that has printed the new value, behind others that did.
func (p *project) killed(on rotated) {
	t := p.t
	t.Helper()
	on.sh("mkfifo -m 600 " + on.dir + "/wait")
	cmd := p.command("rotate", "canary_shop", "--yes", "-v")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	stop := p.scanner.Watch()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	remote := 0
	await.Until(t, "the consumer waits", func() bool {
		var err error
		remote, err = strconv.Atoi(on.sh("cat " + on.dir + "/waiting 2>/dev/null || true"))
		return err == nil
	})
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	on.sh("kill -9 " + strconv.Itoa(remote))
	_ = cmd.Wait()
	p.take("processes", stop())
	p.say(said.Bytes(), "that was killed")
}
