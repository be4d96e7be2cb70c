package inventory_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"muster/inventory"
)

const fleet = `
bastion "nat" {}
group "web" {
  host "web1" {}
  host "web2" {}
}
group "db" {
  host "db1" {}
  host "db2" {}
}
group "eu" { hosts = ["db2", "web1"] }
host "lone" {}
`

func TestPatternsNameHosts(t *testing.T) {
	inv := load(t, map[string]string{"i.hcl": fleet})
	tests := []struct{ name, patterns, want string }{
		{"all is every host and no bastion", "all", "web1 web2 db1 db2 lone"},
		{"a star is every host and no bastion", "*", "web1 web2 db1 db2 lone"},
		{"a group is its hosts", "db", "db1 db2"},
		{"a host is itself", "db2", "db2"},
		{"a bastion is named by its name", "nat", "nat"},
		{"patterns add up in the inventory's order", "db2 lone web1", "web1 db2 lone"},
		{"commas separate patterns", "db2,lone", "db2 lone"},
		{"spaces around commas don't count", "db2_,_lone", "db2 lone"},
		{"a glob names hosts", "web?", "web1 web2"},
		{"a glob names groups", "e*", "web1 db2"},
		{"a glob has brackets", "[wd]*[1]", "web1 db1"},
		{"a bracket may have several ranges", "[dx-z]b[0-12a-f]", "db1 db2"},
		{"what is escaped in a bracket is a character", "web[1\\:3]", "web1"},
		{"a glob may name nothing", "zzz*", ""},
		{"an exclamation mark excludes", "all !db", "web1 web2 lone"},
		{"exclusion wins wherever it stands", "!db2 db", "db1"},
		{"exclusion alone starts from all", "!web", "db1 db2 lone"},
		{"an ampersand intersects", "db web &eu", "web1 db2"},
		{"an intersection alone starts from all", "&eu", "web1 db2"},
		{"intersections add up", "&eu &web", "web1"},
		{"all three together", "all &eu !web1", "db2"},
		{"a glob can be excluded", "all !*1", "web2 db2 lone"},
		{"all can be excluded", "db !all", ""},
		{"no pattern is no host", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var patterns []string
			for _, p := range strings.Fields(tt.patterns) {
				patterns = append(patterns, strings.ReplaceAll(p, "_", " "))
			}
			hosts, err := inv.Match(patterns)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, tt.patterns, tt.want, strings.Join(names(hosts), " "))
		})
	}
}

func TestUnknownNamesAndBrokenPatternsAreErrors(t *testing.T) {
	inv := load(t, map[string]string{"i.hcl": fleet})
	tests := []struct{ pattern, want string }{
		{"wbe1", `no host or group is named "wbe1"; did you mean "web1"?`},
		{"!dbb", `no host or group is named "dbb"; did you mean "db"?`},
		{"nta", `no host or group is named "nta"; did you mean "nat"?`},
		{"entirely-else", `no host or group is named "entirely-else"`},
		{"db,,web", `pattern "": it is empty`},
		{"", `pattern "": it is empty`},
		{"!", `pattern "!": one "!" or "&" stands before a name`},
		{"!&db", `pattern "!&db": one "!" or "&" stands before a name`},
		{"web[1", `pattern "web[1": a bracket is not closed`},
		{"x\x1b[31m*", `pattern "x\x1b[31m*": a bracket is not closed`},
		{" ", `pattern "": it is empty`},
		{"web1,", `pattern "": it is empty`},
		{"web[1:2]", rangeError("web[1:2]", "[1:2]")},
		{"!web[12][a:f]", rangeError("!web[12][a:f]", "[a:f]")},
		{"web[01:20]*", rangeError("web[01:20]*", "[01:20]")},
		{"&web[1..3]", rangeError("&web[1..3]", "[1..3]")},
		{"web[1-20]", rangeError("web[1-20]", "[1-20]")},
		{"web[^01-20]", rangeError("web[^01-20]", "[^01-20]")},
		{"web[0:]", rangeError("web[0:]", "[0:]")},
		{"web1:db", colonError("web1:db", "web1,db")},
		{"all:!db:&web1", colonError("all:!db:&web1", "all,!db,&web1")},
		{"one two", "no host or group is named \"one two\""},
	}
	for _, tt := range tests {
		hosts, err := inv.Match([]string{"all", tt.pattern})
		if err == nil || err.Error() != tt.want || hosts != nil {
			t.Errorf("%q: got %v, %v; want %s", tt.pattern, names(hosts), err, tt.want)
		}
	}
	_, err := inv.Match([]string{"one,two", "db"})
	var unknown *inventory.UnknownNameError
	if !errors.As(err, &unknown) || unknown.Name != "one" || !strings.Contains(err.Error(), `"two"`) {
		t.Errorf("not every unknown name is reported: %v", err)
	}
}

func rangeError(pattern, bracket string) string {
	return fmt.Sprintf("pattern %q: a bracket stands for one character ([1-3] for 1, 2 or 3), and %q is none: name the hosts, with commas between them, or give them a group", pattern, bracket)
}

func TestAPartialInventoryDoesNotKnowEveryName(t *testing.T) {
	dir := write(t, map[string]string{"i.hcl": `
host "web1" {}
group "g" { hosts = ["from-the-source"] }
source "program" "cloud" { command = ["/nonexistent"] }
`})
	inv, diags := inventory.Load(t.Context(), dir, inventory.Options{Static: true})
	if len(diags) > 0 || !inv.Partial {
		t.Fatal(diags)
	}
	hosts, err := inv.Match([]string{"web1", "from-the-source"})
	if err != nil || strings.Join(names(hosts), " ") != "web1" {
		t.Errorf("got %v, %v", names(hosts), err)
	}
}

func TestAnInventoryIsPartialWhereSomethingOfItCannotBeRead(t *testing.T) {
	const web = "host \"web1\" {}\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  bool
	}{
		{"all of it can be", map[string]string{"i.hcl": web}, false},
		{"a source fails", map[string]string{"i.hcl": web + `source "program" "cloud" { command = ["/nonexistent"] }`}, true},
		{"a file isn't HCL", map[string]string{"i.hcl": web, "j.hcl": "host {"}, true},
		{"there is none", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inv, diags := inventory.Load(t.Context(), write(t, tt.files), inventory.Options{CacheDir: t.TempDir()})
			if inv.Partial != tt.want || diags.HasErrors() != tt.want {
				t.Errorf("partial %t, %v", inv.Partial, diags)
			}
			if _, err := inv.Match([]string{"web2"}); (err == nil) != tt.want {
				t.Errorf("web2: %v", err)
			}
		})
	}
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{"all", "!x", "&y,z", "web[1-", "a,,b", "\\"} {
		f.Add(s)
	}
	inv := inventory.LocalOnly()
	f.Fuzz(func(t *testing.T, pattern string) {
		hosts, err := inv.Match([]string{pattern})
		if err != nil && (hosts != nil || err.Error() == "") {
			t.Fatalf("%q: %v, %v", pattern, hosts, err)
		}
	})
}

func colonError(pattern, want string) string {
	return fmt.Sprintf(`pattern %q: a colon joins no patterns; write %q: what stands between commas is added, with "!" before it taken out, and with "&" before it kept alone`, pattern, want)
}
