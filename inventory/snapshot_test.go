package inventory_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/inventory"
)

// reload writes a snapshot of inv to a folder and loads it.
func reload(t *testing.T, inv *inventory.Inventory) *inventory.Inventory {
	t.Helper()
	parts, err := inv.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return loadParts(t, parts)
}

func loadParts(t *testing.T, parts [][]byte) *inventory.Inventory {
	t.Helper()
	dir := t.TempDir()
	for i, part := range parts {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d.hcl", i)), part, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again, diags := inventory.Load(t.Context(), dir, inventory.Options{CacheDir: t.TempDir()})
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, parts[0])
	}
	return again
}

// picture is all that the users of an inventory can see of it, but positions.
func picture(inv *inventory.Inventory) any {
	type machine struct {
		Name, Address string
		Groups        []string
		Vars          map[string]cty.Value
		Bastion       bool
		Target        any
	}
	type group struct {
		Name                     string
		Children, Hosts, Members []string
	}
	var p struct {
		Hosts, Bastions []machine
		Groups          []group
		Named           map[string][]string
	}
	of := func(h *inventory.Host) machine {
		vars := map[string]cty.Value{}
		for name, v := range h.Vars {
			vars[name] = v
		}
		return machine{h.Name, h.Address, h.Groups, vars, h.Bastion, h.Target()}
	}
	for _, h := range inv.Hosts() {
		p.Hosts = append(p.Hosts, of(h))
	}
	for _, h := range inv.Bastions() {
		p.Bastions = append(p.Bastions, of(h))
	}
	for _, g := range inv.GroupList() {
		p.Groups = append(p.Groups, group{g.Name, g.Children, g.Hosts, g.Members})
	}
	p.Named = inv.Groups()
	return p
}

func TestASnapshotLoadsAsTheInventoryItWasMadeOf(t *testing.T) {
	t.Setenv("HOME", "/home/ops")
	for name, text := range map[string]string{
		"an empty inventory": ``,
		"settings of every place decide for a host as they did": `
			defaults {
			  user = "ops"
			  via  = "nat"
			  port = 2222
			}
			bastion "outer" {
			  address  = "203.0.113.9"
			  identity = "~/.ssh/outer"
			  vars     = { zone = "a" }
			}
			bastion "nat" {
			  address = "203.0.113.10"
			  via     = "outer"
			  port    = 22
			}
			group "db" {
			  user = "dba"
			  host "db1" {
			    address  = "10.0.1.13"
			    identity = "keys/db1"
			  }
			  host "db2" {
			    via  = null
			    port = 22
			  }
			}
			host "here" { connection = "local" }`,
		"groups in groups keep their children, members and precedence": `
			group "all" { vars = { level = "all", of_all = 1 } }
			group "top" {
			  vars     = { level = "top", of_top = true }
			  children = ["middle", "side"]
			}
			group "middle" {
			  vars  = { level = "middle" }
			  hosts = ["h2", "h1"]
			}
			group "side" { hosts = ["h1"] }
			group "nobody" { vars = { level = "nobody" } }
			host "h1" { vars = { own = "h1" } }
			host "h2" { vars = { level = "own" } }
			host "h3" {}`,
		"unrelated groups may disagree about what a host sets itself": `
			group "a" {
			  vars  = { x = 1, y = 1 }
			  port  = 1
			  hosts = ["h"]
			}
			group "b" {
			  vars  = { x = 2, y = 1 }
			  port  = 2
			  hosts = ["h"]
			}
			host "h" {
			  vars = { x = 3 }
			  port = 3
			}`,
		"values of every type come back": `
			host "h" {
			  vars = {
			    nothing   = null
			    "for"     = "x"
			    "a key"   = { "for" = [], "in $${x}" = {}, n = [null, [1, "2", true]] }
			    text      = "quote \" back \\ line \n tab \t cr \r dollar $${a} percent %%{b} $ % $$ bell \u0007 null \u0000 bom \ufeff high \U0001F600"
			    decimal   = 0.1
			    large     = 123456789012345678901234567890.125
			    negative  = -5
			  }
			}`,
	} {
		t.Run(name, func(t *testing.T) {
			inv := load(t, map[string]string{"inventory.hcl": text})
			if diff := cmp.Diff(picture(inv), picture(reload(t, inv)), cmp.Comparer(cty.Value.RawEquals)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestASnapshotAsksNoSource(t *testing.T) {
	dir := write(t, map[string]string{
		"inventory.hcl": `
			source "ansible" "old" {
			  path = "hosts.ini"
			  user = "from_source"
			}
			group "web" { vars = { more = ["x"] } }`,
		"hosts.ini": "[web]\nweb1 ansible_host=10.0.0.1 color=red\nweb2 ansible_port=2200\n[web:vars]\nport=80\n",
	})
	inv, diags := inventory.Load(t.Context(), dir, inventory.Options{CacheDir: t.TempDir()})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if len(inv.Hosts()) != 2 {
		t.Fatal("the source lists two hosts, and there are", len(inv.Hosts()))
	}
	if err := os.Remove(filepath.Join(dir, "hosts.ini")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(picture(inv), picture(reload(t, inv)), cmp.Comparer(cty.Value.RawEquals)); diff != "" {
		t.Error(diff)
	}
}

func TestALargeSnapshotIsSeveralFiles(t *testing.T) {
	inv := load(t, map[string]string{"i.hcl": `
		bastion "b" {}
		group "g" { hosts = ["h2"] }
		host "h1" { via = "b" }
		host "h2" { vars = { x = 1 } }`})
	parts, err := inv.SnapshotIn(10)
	if err != nil || len(parts) != 5 {
		t.Fatalf("%d files, %v: %q", len(parts), err, parts)
	}
	if diff := cmp.Diff(picture(inv), picture(loadParts(t, parts)), cmp.Comparer(cty.Value.RawEquals)); diff != "" {
		t.Error(diff)
	}
}

func TestIdentitiesInTheHomeFolderMoveWithTheUser(t *testing.T) {
	t.Setenv("HOME", "/home/ann")
	inv := load(t, map[string]string{"inventory.hcl": `host "h" { identity = "~/.ssh/deploy" }`})
	t.Setenv("HOME", "/home/ann/") // as some shells have it
	parts, err := inv.Snapshot()
	if err != nil || !strings.Contains(string(parts[0]), `"~/.ssh/deploy"`) {
		t.Fatalf("%s %v", parts, err)
	}
}

func TestWithoutAnInventoryThereIsNoSnapshot(t *testing.T) {
	if _, err := inventory.LocalOnly().Snapshot(); err == nil || !strings.Contains(err.Error(), "there is none") {
		t.Error(err)
	}
}

func TestAPartialInventoryHasNoSnapshot(t *testing.T) {
	dir := write(t, map[string]string{"i.hcl": `source "program" "p" { command = ["/bin/false"] }`})
	inv, _ := inventory.Load(t.Context(), dir, inventory.Options{Static: true})
	if _, err := inv.Snapshot(); err == nil || !strings.Contains(err.Error(), "more than is known") {
		t.Fatal(err)
	}
}

// FuzzQuotedTextStandsForItself writes text and reads it as HCL does.
func FuzzQuotedTextStandsForItself(f *testing.F) {
	for _, s := range []string{"", "${", "$${", "$$${a}", "%%{if}", "%%%{", "$", "a$", "\\${x}", "\\", "\"", "\x00\x7f\u2028\ufeff", "{", "$\n{", "é\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := cty.StringVal(strings.ToValidUTF8(s, "?"))
		e, diags := hclsyntax.ParseExpression([]byte(inventory.QuoteHCL(want.AsString())), "x", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if got, diags := e.Value(nil); diags.HasErrors() || !got.RawEquals(want) {
			t.Fatalf("%q became %#v: %v", want.AsString(), got, diags)
		}
	})
}
