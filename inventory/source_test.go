package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/inventory"
)

// reached describes every bastion and host in a line each.
func reached(inv *inventory.Inventory) []string {
	var list []string
	for _, h := range append(inv.Bastions(), inv.Hosts()...) {
		target := h.Target()
		s := fmt.Sprintf("%s=%s", h.Name, h.Address)
		if target.Port != 0 {
			s += fmt.Sprintf(":%d", target.Port)
		}
		if target.User != "" {
			s = target.User + "@" + s
		}
		if target.Identity != "" {
			s += " key=" + filepath.Base(target.Identity)
		}
		if target.Local {
			s += " local"
		}
		for via := target.Via; via != nil; via = via.Via {
			s += " via " + via.Name
		}
		list = append(list, s)
	}
	return list
}

// said joins diagnostics, each with its file and line.
func said(diags hcl.Diagnostics) string {
	var list []string
	for _, d := range diags {
		severity := "warning"
		if d.Severity == hcl.DiagError {
			severity = "error"
		}
		list = append(list, fmt.Sprintf("%s:%d: %s: %s: %s", filepath.Base(d.Subject.Filename), d.Subject.Start.Line, severity, d.Summary, d.Detail))
	}
	return strings.Join(list, "\n")
}

const script = `#!/bin/sh
cat <<'EOF'
{
  "_meta": {"hostvars": {
    "web1": {"ansible_host": "10.0.0.1", "ansible_port": 2222, "weights": [1, {"a": null}]},
    "web2": {"ansible_user": "admin", "ansible_connection": "ssh", "name": "ünï"},
    "unlisted": {"x": 1}
  }},
  "all": {"children": ["web", "ungrouped"], "vars": {"zone": "a"}},
  "ungrouped": {"hosts": ["lone"]},
  "web": {"hosts": ["web1", "web2"], "vars": {"tier": "web", "zone": "b"}},
  "site": {"children": ["web"]},
  "bare": ["web2"]
}
EOF
`

func TestAProgramListsWhatAnInventoryScriptPrints(t *testing.T) {
	inv := load(t, map[string]string{
		"hosts.sh": script,
		"i.hcl": `
			defaults { user = "ops" }
			bastion "nat" {}
			source "program" "cloud" {
				command = ["./hosts.sh"]
				via     = "nat"
			}
			group "web" {
				vars  = { colour = "red" }
				hosts = ["here"]
			}
			host "here" { connection = "local" }
			host "web1" { vars = { own = true } }
			group "some" { hosts = ["web2"] }`,
	})
	diff(t, "targets", []string{"ops@nat=nat", "here=here local", "ops@web1=10.0.0.1:2222 via nat", "ops@lone=lone via nat", "admin@web2=web2 via nat"}, reached(inv))
	diff(t, "groups", map[string][]string{
		"all": {"here", "web1", "lone", "web2"}, "web": {"here", "web1", "web2"}, "some": {"web2"}, "site": {"here", "web1", "web2"}, "bare": {"web2"},
	}, inv.Groups())
	web1, _ := inv.Host("web1")
	values := map[string]string{}
	for name, v := range web1.Vars {
		values[name] = text(v)
	}
	diff(t, "variables", map[string]string{
		"own": "true", "colour": "red", "tier": "web", "zone": "b",
		"weights": cty.TupleVal([]cty.Value{cty.NumberIntVal(1), cty.ObjectVal(map[string]cty.Value{"a": cty.NullVal(cty.DynamicPseudoType)})}).GoString(),
	}, values)
}

func TestAProgramThatFailsIsSaidAndNeverAnEmptyFleet(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"it exits with an error", "#!/bin/sh\necho one >&2\nprintf 'no \\033[31mlogin\\n' >&2\nexit 3\n", `exit status 3, and it said "no \x1b[31mlogin". There is no earlier answer to use.`},
		{"it prints nothing", "#!/bin/sh\n", `it is no JSON object`},
		{"it prints something else", "#!/bin/sh\necho '[web]'\n", `it is no JSON object`},
		{"it prints half of it", "#!/bin/sh\necho '{\"web\": {'\n", `unexpected end of JSON input`},
		{"its groups have another form", "#!/bin/sh\necho '{\"web\": \"web1\"}'\n", `group "web"`},
		{"it takes too long", "#!/bin/sh\nsleep 600 & sleep 600\n", `no answer within 300ms`},
		{"a host's name is none", "#!/bin/sh\necho '{\"web\": [\"-oProxyCommand=x\"]}'\n", `Invalid entry of a source`},
		{"a host's address is none", "#!/bin/sh\necho '{\"web\": [\"a\"], \"_meta\": {\"hostvars\": {\"a\": {\"ansible_host\": \"{{ x }}\"}}}}'\n", `Address of the host a, which the source program.x lists: "{{ x }}" is not an address`},
		{"a host is reached otherwise", "#!/bin/sh\necho '{\"web\": [\"a\"], \"_meta\": {\"hostvars\": {\"a\": {\"ansible_connection\": \"winrm\"}}}}'\n", `There is no connection "winrm"`},
		{"a group holds itself", "#!/bin/sh\necho '{\"web\": {\"hosts\": [\"a\"], \"children\": [\"web\"]}}'\n", `Groups in a circle`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			timeout := "30s"
			if strings.Contains(tt.want, "300ms") {
				timeout = "300ms"
			}
			dir := write(t, map[string]string{"hosts.sh": tt.script, "i.hcl": "host \"a0\" {}\nsource \"program\" \"x\" {\n  command = [\"./hosts.sh\"]\n  timeout = \"" + timeout + "\"\n}\n"})
			start := time.Now()
			_, diags := inventory.Load(t.Context(), dir, inventory.Options{CacheDir: t.TempDir()})
			if !diags.HasErrors() || !strings.Contains(said(diags), tt.want) || diags[0].Subject.Start.Line != 2 {
				t.Errorf("said %s", said(diags))
			}
			if time.Since(start) > 60*time.Second {
				t.Error("it was waited for")
			}
		})
	}
}

func TestASourceWithoutHostsIsAWarning(t *testing.T) {
	dir := write(t, map[string]string{"i.hcl": `source "program" "x" { command = ["echo", "{}"] }`})
	_, diags := inventory.Load(t.Context(), dir, inventory.Options{CacheDir: t.TempDir()})
	if diags.HasErrors() || !strings.Contains(said(diags), "Source lists no host") {
		t.Errorf("said %s", said(diags))
	}
}

func TestASourceThatIsDownLeavesItsLastAnswer(t *testing.T) {
	dir := write(t, map[string]string{
		"hosts.sh": "#!/bin/sh\ntest ! -e down || exit 1\necho '{\"web\": {\"hosts\": [\"web1\"], \"vars\": {\"n\": null, \"x\": [1, {\"a\": \"b\"}]}}, \"_meta\": {\"hostvars\": {\"web1\": {\"ansible_port\": 2222}}}}'\n",
		"i.hcl":    `source "program" "cloud" { command = ["./hosts.sh"] }`,
	})
	cache := filepath.Join(t.TempDir(), "muster", "inventory")
	ask := func() (*inventory.Inventory, hcl.Diagnostics) {
		return inventory.Load(t.Context(), dir, inventory.Options{CacheDir: cache})
	}
	first, diags := ask()
	if len(diags) > 0 {
		t.Fatal(said(diags))
	}
	if err := os.WriteFile(filepath.Join(dir, "down"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	second, diags := ask()
	if diags.HasErrors() || !regexp.MustCompile(`i.hcl:1: warning: Source is down: Running ".*/hosts.sh": exit status 1. Its answer of \d+s ago \(`).MatchString(said(diags)) {
		t.Errorf("said %s", said(diags))
	}
	diff(t, "targets", reached(first), reached(second))
	diff(t, "groups", first.Groups(), second.Groups())
	h1, h2 := first.Hosts()[0], second.Hosts()[0]
	diff(t, "variables", cty.ObjectVal(h1.Vars).GoString(), cty.ObjectVal(h2.Vars).GoString())

	files, err := os.ReadDir(cache)
	if err != nil || len(files) != 1 {
		t.Fatalf("kept %v, %v", files, err)
	}
	if info, err := files[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("what is kept has mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(cache, files[0].Name()), []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, diags := ask(); !diags.HasErrors() || !strings.Contains(said(diags), "Nor can its earlier answer be used") {
		t.Errorf("with a torn answer: said %s", said(diags))
	}
	// Another block has no part in that answer.
	dir = write(t, map[string]string{"i.hcl": `source "program" "cloud" { command = ["./other.sh"] }`})
	if _, diags := ask(); !diags.HasErrors() || !strings.Contains(said(diags), "There is no earlier answer") {
		t.Errorf("another block: said %s", said(diags))
	}
}

func TestAnAnswerWithoutHostsDoesNotReplaceOneWithHosts(t *testing.T) {
	dir := write(t, map[string]string{
		"hosts.sh": "#!/bin/sh\ncat answer\n",
		"i.hcl":    `source "program" "cloud" { command = ["./hosts.sh"] }`,
	})
	o := inventory.Options{CacheDir: t.TempDir()}
	for _, step := range []struct {
		answer, want string
		hosts        int
	}{
		{`{"web": ["web1"]}`, "", 1},
		{`{}`, "Source lists no host", 0},
		{`down`, "Source is down", 1},
	} {
		if err := os.WriteFile(filepath.Join(dir, "answer"), []byte(step.answer), 0o644); err != nil {
			t.Fatal(err)
		}
		inv, diags := inventory.Load(t.Context(), dir, o)
		if diags.HasErrors() || !strings.Contains(said(diags), step.want) || len(inv.Hosts()) != step.hosts {
			t.Errorf("after %s: %d hosts, said %s", step.answer, len(inv.Hosts()), said(diags))
		}
	}
}

func TestAProgramIsEndedWithWhatItStarted(t *testing.T) {
	dir := write(t, map[string]string{
		"hosts.sh": "#!/bin/sh\nsleep 600 &\necho $! > child\nwait\n",
		"i.hcl":    "source \"program\" \"x\" {\n  command = [\"./hosts.sh\"]\n}",
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan hcl.Diagnostics)
	go func() {
		_, diags := inventory.Load(ctx, dir, inventory.Options{CacheDir: t.TempDir()})
		ended <- diags
	}()
	var child int
	await(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, "child"))
		n, _ := fmt.Sscanf(string(text), "%d\n", &child)
		return n == 1
	})
	cancel()
	if diags := <-ended; !diags.HasErrors() {
		t.Error("a program that was ended gave an answer")
	}
	await(t, func() bool { return gone(child) })
}

// gone reports whether a process has ended, if only as a zombie.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// await fails the test when condition doesn't come to hold.
func await(t *testing.T, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !condition(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never came to hold")
		}
	}
}

func TestAFreshAnswerIsUsedWithoutAsking(t *testing.T) {
	dir := write(t, map[string]string{
		"hosts.sh": "#!/bin/sh\necho run >> runs\necho '{\"web\": [\"web1\"]}'\n",
		"i.hcl":    "source \"program\" \"cloud\" {\n  command = [\"./hosts.sh\"]\n  cache = \"1h\"\n}",
	})
	o := inventory.Options{CacheDir: t.TempDir()}
	for range 3 {
		if inv, diags := inventory.Load(t.Context(), dir, o); len(diags) > 0 || len(inv.Hosts()) != 1 {
			t.Fatal(said(diags))
		}
	}
	if runs, err := os.ReadFile(filepath.Join(dir, "runs")); err != nil || string(runs) != "run\n" {
		t.Errorf("it was asked %q, %v; want once", runs, err)
	}
}

func TestValidateAsksNoSource(t *testing.T) {
	dir := write(t, map[string]string{
		"hosts.sh": "#!/bin/sh\necho run >> runs\necho '{}'\n",
		"i.hcl":    "source \"program\" \"cloud\" { command = [\"./hosts.sh\"] }\nsource \"ansible\" \"x\" { path = \"missing.ini\" }",
	})
	if _, diags := inventory.Load(t.Context(), dir, inventory.Options{Static: true}); len(diags) > 0 {
		t.Error(said(diags))
	}
	if _, err := os.Stat(filepath.Join(dir, "runs")); err == nil {
		t.Error("the program was run")
	}
}

func TestSourcesThatDisagreeCiteBothPlaces(t *testing.T) {
	dir := write(t, map[string]string{"i.hcl": `
group "web" { vars = { tier = 1 } }
host "web1" { address = "10.0.0.9" }
source "program" "one" { command = ["echo", "{\"web\": {\"hosts\": [\"web1\", \"web2\"], \"vars\": {\"tier\": 2}}, \"_meta\": {\"hostvars\": {\"web1\": {\"ansible_host\": \"10.0.0.1\"}, \"web2\": {\"ansible_host\": \"10.0.0.2\"}}}}"] }
source "program" "two" { command = ["echo", "{\"web\": {\"hosts\": [\"web2\"]}, \"_meta\": {\"hostvars\": {\"web2\": {\"ansible_host\": \"10.0.0.3\"}}}}"] }
`})
	_, diags := inventory.Load(t.Context(), dir, inventory.Options{CacheDir: t.TempDir()})
	got := strings.ReplaceAll(said(diags), dir+"/", "")
	diff(t, "diagnostics", strings.Join([]string{
		`i.hcl:4: error: Sources disagree: The "tier" of the group web is one value here and another at i.hcl:2. Take it out of one of them.`,
		`i.hcl:4: error: Sources disagree: The "address" of the host web1 is one value here and another at i.hcl:3. Take it out of one of them.`,
		`i.hcl:5: error: Sources disagree: The "address" of the host web2 is one value here and another at i.hcl:4. Take it out of one of them.`,
	}, "\n"), got)
}

func TestACancelledLoadUsesNoOldAnswer(t *testing.T) {
	dir := write(t, map[string]string{"i.hcl": `source "program" "cloud" { command = ["echo", "{\"web\": [\"web1\"]}"] }`})
	o := inventory.Options{CacheDir: t.TempDir()}
	if _, diags := inventory.Load(t.Context(), dir, o); len(diags) > 0 {
		t.Fatal(said(diags))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	if _, diags := inventory.Load(ctx, dir, o); !diags.HasErrors() || !strings.Contains(said(diags), "interrupted") {
		t.Errorf("said %s", said(diags))
	}
}
