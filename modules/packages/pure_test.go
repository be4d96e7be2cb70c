package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/modules"

	"muster/host"
)

func TestVersionsAreOrderedAsDpkgOrdersThem(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"1.0", "1.0", 0},
		{"1.0", "1.00", 0},
		{"1.0-1", "1.0-2", -1},
		{"1.0-1", "1.0", 1},
		{"1.0~rc1", "1.0", -1},
		{"1.0~~", "1.0~", -1},
		{"1.0a", "1.0", 1},
		{"1.0a", "1.0+", -1},
		{"1:0.1", "2.0", 1},
		{"0:2.0", "2.0", 0},
		{"1.10", "1.9", 1},
		{"2.6.12-1+deb12u1", "2.6.12-1+deb12u10", -1},
		{"1.2-3-4", "1.2-3-5", -1},
		{"9.7.4~deb12", "9.7.4", -1},
	} {
		sign := func(n int) int { return max(-1, min(1, n)) }
		if got := sign(compareVersions(test.a, test.b)); got != test.want {
			t.Errorf("%s against %s is %d, want %d", test.a, test.b, got, test.want)
		}
		if got := sign(compareVersions(test.b, test.a)); got != -test.want {
			t.Errorf("%s against %s is %d, want %d", test.b, test.a, got, -test.want)
		}
	}
}

func TestTheDatabaseIsRead(t *testing.T) {
	dir := t.TempDir()
	status := `Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21

Package: held
Status: hold ok installed
Architecture: all
Version: 2:1.0
Provides: virt (= 1), other:any
Description: text
 Version: 9

Package: lib
Status: install ok installed
Architecture: amd64
Version: 1

Package: lib
Status: install ok unpacked
Architecture: i386
Version: 1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
`
	if err := os.WriteFile(filepath.Join(dir, "status"), []byte(status), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "updates"), 0o755); err != nil {
		t.Fatal(err)
	}
	db, err := loadDatabase(dir)
	if err != nil {
		t.Fatal(err)
	}
	if db.native != "amd64" || db.interrupted {
		t.Errorf("architecture %q, interrupted %t", db.native, db.interrupted)
	}
	if r := db.packages["held"]; !r.held || !r.installed() || r.version != "2:1.0" || !cmp.Equal(r.provides, []string{"virt", "other"}) {
		t.Errorf("held is %+v", r)
	}
	if r := db.packages["lib:i386"]; !r.broken() || r.installed() {
		t.Errorf("lib:i386 is %+v", r)
	}
	if !db.packages["lib"].installed() {
		t.Error("lib isn't installed")
	}
	if db.packages["gone"].installed() || !leaves(t, db, "gone", true) || leaves(t, db, "gone", false) {
		t.Error("what is left of gone is its configuration")
	}
	if got := db.broken(); !cmp.Equal(got, []string{"lib:i386"}) {
		t.Errorf("broken are %v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "updates", "0001"), []byte("Package: lib\nStatus: install ok half-configured\nArchitecture: amd64\nVersion: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if db, err = loadDatabase(dir); err != nil || !db.interrupted || db.packages["lib"].installed() {
		t.Errorf("dpkg's journal isn't read: %v", err)
	}
	if _, err := loadDatabase(filepath.Join(dir, "updates")); err != errNoDpkg {
		t.Errorf("without a database: %v", err)
	}
}

func TestAptsSimulationIsRead(t *testing.T) {
	text := `NOTE: This is only a simulation!
Reading package lists...
Remv nginx [1.22.1-9] [foo:amd64 ]
Inst liblua5.3-0 (5.3.6-2 Debian:12.5/stable [amd64]) []
Inst haproxy [2.6.1-1] (2.6.12-1+deb12u1 Debian:12.5/stable, Debian-Security:12/stable-security [amd64])
Inst libc6:i386 (2.36-9 Debian:12.5/stable [i386])
Purg old [1.0]
Remv old [1.0]
Conf liblua5.3-0 (5.3.6-2 Debian:12.5/stable [amd64])
Conf haproxy (2.6.12-1+deb12u1 Debian:12.5/stable [amd64])
`
	want := []step{
		{Name: "haproxy", Old: "2.6.1-1", New: "2.6.12-1+deb12u1"},
		{Name: "libc6:i386", New: "2.36-9"},
		{Name: "liblua5.3-0", New: "5.3.6-2"},
		{Name: "nginx", Old: "1.22.1-9"},
		{Name: "old", Old: "1.0"},
	}
	if d := cmp.Diff(want, parseSimulation(text)); d != "" {
		t.Error(d)
	}
}

func TestAptsPolicyIsRead(t *testing.T) {
	text := "a:\n  Installed: 1\n  Candidate: 2\n  Version table:\n     2 500\n        500 file:/srv\nb:i386:\n  Installed: 1\n  Candidate: (none)\n"
	if d := cmp.Diff(map[string]string{"a": "2"}, parsePolicy(text)); d != "" {
		t.Error(d)
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	registry := modules.NewRegistry(Kinds()...)
	for _, test := range []struct {
		name string
		args map[string]any
		want string // "" where they are right
	}{
		{"a name", map[string]any{"name": "haproxy"}, ""},
		{"a list", map[string]any{"name": []any{"a2", "g++", "libc6:i386", "x=1.2*"}}, ""},
		{"no name", map[string]any{"name": []any{}}, "is empty"},
		{"a name that ends in a plus", map[string]any{"name": []any{"memtest86+", "g++=4:12+"}}, ""},
		{"an option in a name's place", map[string]any{"name": "--purge"}, `"--purge" is no package name but an option of apt's`},
		{"a name with a space", map[string]any{"name": "haproxy nginx"}, `several are a list (name = ["haproxy", "nginx"])`},
		{"capitals", map[string]any{"name": "HAproxy"}, `lowercase letters only (name = "haproxy")`},
		{"a removal", map[string]any{"name": "nginx-"}, `apt would remove nginx. A removal is state = "absent" ("nginx" with state = "absent")`},
		{"a removal with an architecture", map[string]any{"name": "nginx-:i386"}, "no package name"},
		{"a removal with a version", map[string]any{"name": "nginx=1.0-"}, `a version can't end in "-"`},
		{"a version that is a removal", map[string]any{"name": "nginx", "version": "1.0-"}, "is no version"},
		{"one of a list", map[string]any{"name": []any{"a1", "b1-"}}, `name[1]: Wrong value: "b1-"`},
		{"a suite", map[string]any{"name": "nginx/bookworm-backports"}, `apt would take "bookworm-backports" for a suite`},
		{"a file", map[string]any{"name": "./nginx_1.deb"}, "but a file"},
		{"a pattern of apt's", map[string]any{"name": "~nnginx"}, "but a pattern of apt's"},
		{"a pattern of apt's in words", map[string]any{"name": "?name(nginx)"}, "but a pattern of apt's"},
		{"a task of tasksel's", map[string]any{"name": "web-server^"}, "but a task of tasksel's"},
		{"a glob", map[string]any{"name": "nginx*"}, "but a pattern: name each"},
		{"a regular expression", map[string]any{"name": "^nginx(-full)?$"}, "but a pattern: name each"},
		{"any architecture", map[string]any{"name": "nginx:any"}, `leave ":any" out for the host's own (name = "nginx")`},
		{"the native architecture", map[string]any{"name": "nginx:native"}, `leave ":native" out`},
		{"a mark", map[string]any{"name": "nginx&M"}, "no package name"},
		{"one name twice", map[string]any{"name": []any{"a1", "a1=2"}}, "stands twice"},
		{"a version for two", map[string]any{"name": []any{"a1", "b1"}, "version": "1"}, "single package"},
		{"two versions", map[string]any{"name": "a1=1", "version": "2"}, "already names a version"},
		{"a version and latest", map[string]any{"name": "a1", "version": "2", "state": "latest"}, `state "present" only`},
		{"a version that is an option", map[string]any{"name": "a1", "version": "1 -o x=y"}, "is no version"},
		{"purge of what stays", map[string]any{"name": "a1", "purge": true}, `goes with state = "absent"`},
		{"a hold on what goes", map[string]any{"name": "a1", "state": "absent", "hold": true}, "can't be held"},
		{"an age without unit", map[string]any{"name": "a1", "update_cache": "10"}, "no duration"},
		{"another backend", map[string]any{"name": "a1", "backend": "dnf"}, "isn't a value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, errs := registry.Decode("package", test.args)
			var all []string
			for _, e := range errs {
				if e.Hint != "" {
					e.Detail = strings.TrimSuffix(e.Detail, ".") + " (" + e.Hint + ")"
				}
				all = append(all, e.Error())
			}
			got := strings.Join(all, "\n")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// leaves asks a database what a package has left, with nothing pending.
func leaves(t *testing.T, db *database, name string, purge bool) bool {
	t.Helper()
	left, err := db.remains(host.NewView(host.New(), nil), name, purge)
	if err != nil {
		t.Fatal(err)
	}
	return left
}
