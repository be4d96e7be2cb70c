package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/inventory"
)

// TestMistakesAreReportedWhereTheyStand loads every testdata/*.hcl. A comment
// "# ERROR: summary: part of the detail" (or WARNING) stands on each line that
// a diagnostic begins on, and nowhere else.
func TestMistakesAreReportedWhereTheyStand(t *testing.T) {
	files, err := filepath.Glob("testdata/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{} // by line and severity
			for i, line := range strings.Split(string(src), "\n") {
				for severity, mark := range map[hcl.DiagnosticSeverity]string{hcl.DiagError: "# ERROR: ", hcl.DiagWarning: "# WARNING: "} {
					if _, text, ok := strings.Cut(line, mark); ok {
						want[fmt.Sprint(i+1, " ", severity)] = text
					}
				}
			}
			_, diags := inventory.Load(t.Context(), file, inventory.Options{Static: true})
			for _, d := range diags {
				if d.Subject == nil || d.Subject.Filename != file {
					t.Errorf("no place in the file: %v", d)
					continue
				}
				key := fmt.Sprint(d.Subject.Start.Line, " ", d.Severity)
				expected, ok := want[key]
				summary, detail, _ := strings.Cut(expected, ": ")
				if !ok || d.Summary != summary || !strings.Contains(d.Detail, detail) {
					t.Errorf("unexpected: %v\n(expected there: %q)", d, expected)
				}
				if !strings.HasSuffix(d.Detail, ".") && !strings.HasSuffix(d.Detail, "?") {
					t.Errorf("%v: the detail is no sentence", d)
				}
				delete(want, key)
			}
			for key, text := range want {
				t.Errorf("line %s: missing %q", key, text)
			}
		})
	}
}

// load writes files to a folder and loads them. It fails on errors.
func load(t *testing.T, files map[string]string) *inventory.Inventory {
	t.Helper()
	inv, diags := inventory.Load(t.Context(), write(t, files), inventory.Options{CacheDir: t.TempDir()})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return inv
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(content, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(hosts []*inventory.Host) []string {
	list := make([]string, 0, len(hosts))
	for _, h := range hosts {
		list = append(list, h.Name)
	}
	return list
}

func diff(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

const example = `
defaults {
  user = "ops"
  via  = "nat"
}
bastion "nat" {
  address = "203.0.113.10"
  port    = 2200
  user    = "jump"
}
bastion "inner" {
  address = "10.0.0.1"
  via     = "nat"
}
group "db" {
  vars = { flavor = "mariadb", tier = "db" }
  port = 2222
  host "db1" {
    address  = "10.0.1.13"
    vars     = { server_id = 1 }
    identity = "keys/db1"
  }
  host "db2" { address = "10.0.1.14" }
}
group "data" {
  children = ["db"]
  hosts    = ["cache1"]
  vars     = { tier = "data", backup = true }
}
group "all" {
  vars = { tier = "any", zone = "a" }
}
host "cache1" {
  via  = "inner"
  user = null
}
host "public" {
  address = "public.example.com"
  via     = ""
}
host "here" { connection = "local" }
group "empty" {}
`

func TestTargetsSayHowHostsAreReached(t *testing.T) {
	dir := write(t, map[string]string{"i.hcl": example})
	inv, diags := inventory.Load(t.Context(), filepath.Join(dir, "i.hcl"), inventory.Options{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	describe := func(name string) string {
		h, ok := inv.Host(name)
		if !ok {
			t.Fatalf("no host %s", name)
		}
		target := h.Target()
		s := fmt.Sprintf("%s=%s:%d user=%q key=%q", target.Name, target.Address, target.Port, target.User, strings.TrimPrefix(target.Identity, dir))
		if target.Local {
			s += " local"
		}
		for via := target.Via; via != nil; via = via.Via {
			s += fmt.Sprintf(" via %s=%s:%d user=%q", via.Name, via.Address, via.Port, via.User)
		}
		return s
	}
	for name, want := range map[string]string{
		"db1":    `db1=10.0.1.13:2222 user="ops" key="/keys/db1" via nat=203.0.113.10:2200 user="jump"`,
		"db2":    `db2=10.0.1.14:2222 user="ops" key="" via nat=203.0.113.10:2200 user="jump"`,
		"cache1": `cache1=cache1:0 user="" key="" via inner=10.0.0.1:0 user="ops" via nat=203.0.113.10:2200 user="jump"`,
		"public": `public=public.example.com:0 user="ops" key=""`,
		"here":   `here=here:0 user="" key="" local`,
		"nat":    `nat=203.0.113.10:2200 user="jump" key=""`,
	} {
		diff(t, name, want, describe(name))
	}
	db1, _ := inv.Host("db1")
	db2, _ := inv.Host("db2")
	if db1.Target().Via != db2.Target().Via {
		t.Error("two hosts behind one bastion have two targets for it")
	}
}

func TestGroupsAreExpandedInTheOrderOfDeclaration(t *testing.T) {
	inv := load(t, map[string]string{"i.hcl": example})
	diff(t, "hosts", []string{"db1", "db2", "cache1", "public", "here"}, names(inv.Hosts()))
	diff(t, "bastions", []string{"nat", "inner"}, names(inv.Bastions()))
	diff(t, "groups", map[string][]string{
		"all":   {"db1", "db2", "cache1", "public", "here"},
		"db":    {"db1", "db2"},
		"data":  {"db1", "db2", "cache1"},
		"empty": nil,
	}, inv.Groups())
	db1, _ := inv.Host("db1")
	diff(t, "groups of db1", []string{"db", "data"}, db1.Groups)
	public, _ := inv.Host("public")
	diff(t, "groups of public", 0, len(public.Groups))
	var list []string
	for _, g := range inv.GroupList() {
		list = append(list, fmt.Sprintf("%s%v%v%v", g.Name, g.Hosts, g.Children, g.Members))
	}
	diff(t, "the list", []string{
		"all[public here][][db1 db2 cache1 public here]",
		"db[db1 db2][][db1 db2]",
		"data[cache1][db][db1 db2 cache1]",
		"empty[][][]",
	}, list)
}

func TestTheNearestVariableWinsAndTheOthersAreTold(t *testing.T) {
	inv := load(t, map[string]string{"i.hcl": strings.Replace(example, "server_id = 1", `server_id = 1, zone = "b"`, 1)})
	db1, _ := inv.Host("db1")
	var got []string
	for _, o := range db1.Origins() {
		s := fmt.Sprintf("%s=%s %s:%d", o.Name, text(o.Value), o.Where, o.At.Start.Line)
		for _, b := range o.Beat {
			s += fmt.Sprintf(", beat %s %s:%d", text(b.Value), b.Where, b.At.Start.Line)
		}
		got = append(got, s)
	}
	diff(t, "origins", []string{
		"server_id=1 host:20",
		"zone=b host:20, beat a group all:31",
		"tier=db group db:16, beat any group all:31, beat data group data:28",
		"flavor=mariadb group db:16",
		"backup=true group data:28",
	}, got)
	values := map[string]string{}
	for name, v := range db1.Vars {
		values[name] = text(v)
	}
	diff(t, "vars", map[string]string{"server_id": "1", "zone": "b", "tier": "db", "flavor": "mariadb", "backup": "true"}, values)

	cache1, _ := inv.Host("cache1")
	got = nil
	for _, o := range cache1.Connection() {
		s := fmt.Sprintf("%s=%s %s", o.Name, text(o.Value), o.Where)
		for _, b := range o.Beat {
			s += fmt.Sprintf(", beat %s %s", text(b.Value), b.Where)
		}
		got = append(got, s)
	}
	diff(t, "connection", []string{"user=null host, beat ops defaults", "via=inner host, beat nat defaults"}, got)
}

func text(v cty.Value) string {
	switch {
	case v.IsNull():
		return "null"
	case v.Type() == cty.String:
		return v.AsString()
	case v.Type() == cty.Number:
		return v.AsBigFloat().String()
	case v.Type() == cty.Bool:
		return fmt.Sprint(v.True())
	}
	return v.GoString()
}

func TestAFolderIsReadWhole(t *testing.T) {
	inv := load(t, map[string]string{
		"b.hcl":       `group "web" { hosts = ["a1", "b1"] }` + "\n" + `host "b1" {}`,
		"a.hcl":       `host "a1" {}`,
		"known_hosts": "not HCL {{{",
		".c.hcl":      "not HCL {{{",
	})
	diff(t, "hosts", []string{"a1", "b1"}, names(inv.Hosts()))
	diff(t, "web", []string{"a1", "b1"}, inv.Groups()["web"])
	if len(inv.Files()) != 2 {
		t.Errorf("%d files are known, want 2", len(inv.Files()))
	}
}

func TestTwoDefaultsInAFolderCiteTheFirst(t *testing.T) {
	dir := write(t, map[string]string{"a.hcl": "defaults {}", "b.hcl": "\ndefaults {}"})
	_, diags := inventory.Load(t.Context(), dir, inventory.Options{})
	if len(diags) != 1 || !strings.Contains(diags[0].Detail, "a.hcl:1") || diags[0].Subject.Start.Line != 2 {
		t.Errorf("got %v", diags)
	}
}

func TestWhatIsNoInventoryIsSaid(t *testing.T) {
	dir := write(t, map[string]string{"hosts.ini": "[web]", "empty/x": "", "deep.hcl": "a = " + strings.Repeat("[", 100_000)})
	for path, want := range map[string]string{
		"missing.hcl": "No such inventory",
		"hosts.ini":   "Not an HCL file",
		"empty":       "Empty inventory",
		"deep.hcl":    "Nested too deeply",
	} {
		inv, diags := inventory.Load(t.Context(), filepath.Join(dir, path), inventory.Options{})
		if inv == nil || len(diags) != 1 || diags[0].Summary != want || diags[0].Subject == nil {
			t.Errorf("%s: got %v, want %q", path, diags, want)
		}
	}
}

func TestWithoutAnInventoryThereIsThisMachineWhereItsNameIsWritten(t *testing.T) {
	inv := inventory.LocalOnly()
	for _, patterns := range [][]string{{"localhost"}, {"all", "localhost"}, {"localhost,*"}, {"localhost", "&all"}} {
		hosts, err := inv.Match(patterns)
		want := "localhost"
		if patterns[len(patterns)-1] == "&all" { // it is in no group
			want = ""
		}
		if err != nil || strings.Join(names(hosts), " ") != want {
			t.Errorf("%q: got %v, %v", patterns, names(hosts), err)
		}
	}
	for _, patterns := range [][]string{{"all"}, {"*"}, {"local*"}, {"localhos[t]"}, {"!localhost"}, {"&localhost"}, {"all,!localhost"}, {"all", "&localhost"}} {
		hosts, err := inv.Match(patterns)
		var alone *inventory.AloneError
		if hosts != nil || !errors.As(err, &alone) || !strings.Contains(err.Error(), "there is no inventory") {
			t.Errorf("%q: got %v, %v", patterns, names(hosts), err)
		}
	}
	if _, err := inv.Match([]string{"web1"}); err == nil || !strings.Contains(err.Error(), "there is no inventory") {
		t.Errorf("a name that isn't there: %v", err)
	}
	if got := inv.Groups()[inventory.All]; len(got) != 0 {
		t.Errorf("the group all holds %q", got)
	}
	host, ok := inv.Host("localhost")
	if !ok || !host.Target().Local || len(host.Vars) != 0 {
		t.Fatalf("got %v", host)
	}
	if got := host.Connection(); len(got) != 1 || got[0].Name != "connection" {
		t.Errorf("connection is from %v", got)
	}
}

func TestAHostOfAnInventoryThatIsNamedLocalhostIsOneOfAll(t *testing.T) {
	inv := load(t, map[string]string{"i.hcl": `host "localhost" { connection = "local" }`})
	hosts, err := inv.Match([]string{"all"})
	if err != nil || strings.Join(names(hosts), " ") != "localhost" {
		t.Errorf("got %v, %v", names(hosts), err)
	}
}

// The benchmark measures time, which a test on a busy machine can't hold to.
func TestAHostCostsFewAllocations(t *testing.T) {
	const hosts = 1000
	dir := write(t, map[string]string{"i.hcl": large(hosts)})
	allocations := testing.AllocsPerRun(1, func() {
		inv, diags := inventory.Load(context.Background(), dir, inventory.Options{})
		if len(diags) > 0 || len(inv.Hosts()) != hosts {
			t.Fatal(len(inv.Hosts()), diags)
		}
	})
	if each := allocations / hosts; each > 200 {
		t.Errorf("a host costs %.0f allocations, most of them the parser's; it was 112", each)
	}
}

func BenchmarkLoadTenThousandHosts(b *testing.B) {
	path := filepath.Join(b.TempDir(), "i.hcl")
	if err := os.WriteFile(path, []byte(large(10_000)), 0o644); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, diags := inventory.Load(b.Context(), path, inventory.Options{}); len(diags) > 0 {
			b.Fatal(diags)
		}
	}
}

func large(n int) string {
	var s strings.Builder
	s.WriteString("defaults {\n via = \"nat\"\n}\nbastion \"nat\" {}\n")
	for g := range n / 100 {
		fmt.Fprintf(&s, "group \"g%d\" {\n  vars = { group = %d }\n", g, g)
		for h := range 100 {
			i := g*100 + h
			fmt.Fprintf(&s, "  host \"host%d\" {\n    address = \"10.%d.%d.%d\"\n    vars = { id = %d }\n  }\n", i, i>>16&255, i>>8&255, i&255, i)
		}
		s.WriteString("}\n")
	}
	return s.String()
}

// TestHostsOnALineAreThoseOfBlocks writes one inventory in both ways.
func TestHostsOnALineAreThoseOfBlocks(t *testing.T) {
	describe := func(inv *inventory.Inventory) string {
		var b strings.Builder
		for _, h := range inv.Hosts() {
			fmt.Fprintf(&b, "%s %v %v %#v\n", h.Name, h.Groups, h.Target(), h.Vars)
		}
		return b.String()
	}
	lines := describe(load(t, map[string]string{"a.hcl": `
host "first" {}
hosts = {
  lone         = { address = "10.0.1.1", vars = { id = 1 } }
  "lone.other" = {}
}
group "web" {
  user = "ops"
  host "web0" { port = 2222 }
  hosts = {
    web1 = { address = "10.0.1.21", user = "root" }
    web2 = { vars = { weight = 2 } }
  }
  host "web3" {}
}
`}))
	blocks := describe(load(t, map[string]string{"a.hcl": `
host "first" {}
host "lone" {
  address = "10.0.1.1"
  vars    = { id = 1 }
}
host "lone.other" {}
group "web" {
  user = "ops"
  host "web0" { port = 2222 }
  host "web1" {
    address = "10.0.1.21"
    user    = "root"
  }
  host "web2" { vars = { weight = 2 } }
  host "web3" {}
}
`}))
	if lines != blocks || strings.Count(lines, "\n") != 7 {
		t.Errorf("on lines:\n%s\nas blocks:\n%s", lines, blocks)
	}
}
