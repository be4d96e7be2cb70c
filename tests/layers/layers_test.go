// Package layers holds the packages to the layout of docs/design.md.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"muster/tests/program"
)

// allowed is which of our packages each may import, by longest prefix; "…" at
// the end stands for everything below.
func allowed() map[string][]string {
	return map[string][]string{
		"secret":                  nil,
		"host":                    {"secret", "host/linux"},
		"host/linux":              nil,
		"transport":               {"secret", "transport…"},
		"inventory":               {"transport", "internal/hclguard", "internal/spelling", "inventory"},
		"modules":                 {"host", "secret", "internal/spelling"},
		"modules/all":             {"modules…"},
		"modules/modulestest":     {"modules", "modules/modulestest/watch", "host", "internal/remote", "internal/wire"},
		"modules/…":               {"modules", "modules/calendar", "modules/loaded", "host", "secret"},
		"modules/network":         {"modules", "modules/systemd", "host", "secret"},                  // its tables are loaded by a service
		"modules/openssh":         {"modules", "modules/systemd", "host", "secret"},                  // sshd is one
		"modules/wireguard":       {"modules", "modules/systemd", "host", "secret"},                  // its interfaces are made by one
		"modules/probe":           {"modules", "modules/web", "host", "secret"},                      // it asks as downloads do
		"modules/archive":         {"modules", "modules/web", "host", "secret"},                      // it gets archives as downloads do
		"modules/certificate":     {"modules", "modules/file", "host", "secret", "internal/keypair"}, // it makes what secrets are made as, in files
		"internal/hclguard":       nil,
		"internal/schedule":       nil,
		"internal/spelling":       nil,
		"internal/keypair":        {"secret"},
		"internal/keypair/sshkey": {"secret"},
		"internal/lang":           {"modules", "host", "secret", "internal/hclguard", "internal/keypair", "internal/keypair/sshkey", "internal/lang/…"},
		"internal/lang/check":     {"modules", "internal/lang/diag", "internal/lang/eval", "internal/lang/plays"},
		"internal/lang/diag":      {"modules", "internal/hclguard", "internal/spelling"},
		"internal/lang/eval":      {"host", "modules", "secret", "internal/hclguard", "internal/lang/diag", "internal/lang/files", "internal/lang/funcs", "internal/lang/plays", "internal/lang/refs"},
		"internal/lang/files":     {"host", "modules", "internal/hclguard"},
		"internal/lang/funcs":     {"internal/lang/funcs", "internal/keypair", "internal/keypair/sshkey", "secret"},
		"internal/lang/plays":     {"modules", "secret", "internal/keypair", "internal/lang/diag", "internal/lang/files", "internal/lang/funcs"},
		"internal/lang/refs":      {"internal/lang/diag", "internal/lang/funcs", "internal/lang/plays"},
		"internal/wire":           {"host", "modules", "secret"},
		"internal/remote":         {"host", "modules", "secret", "internal/wire", "internal/remote/process", "internal/remote/record", "internal/remote/revert", "internal/remote/trace", "internal/stream"},
		"internal/remote/process": {"internal/wire"},
		"internal/remote/record":  {"host", "internal/wire", "internal/remote/process"},
		"internal/remote/revert":  {"host"},
		"internal/remote/trace":   {"host"},
		"internal/stream":         {"internal/wire"},
		"internal/copies":         {"host"},
		"internal/task":           {"host", "internal/wire"},
		"internal/engine":         {"host", "internal/copies", "modules", "secret", "internal/lang/diag", "internal/lang/eval", "internal/lang/files", "internal/lang/plays", "internal/stream", "internal/task", "internal/wire", "inventory", "transport"},
		"internal/launch":         {"transport", "secret"},
		"internal/journal":        {"host", "internal/drift", "internal/engine", "internal/task", "internal/wire"},
		"internal/drift":          {"host", "internal/engine", "internal/task", "internal/wire"},
		"internal/notify":         {"host", "modules", "secret", "internal/spelling", "internal/drift", "internal/view"},
		"internal/planfile":       {"host", "internal/task", "internal/wire", "internal/lang/plays", "internal/identity", "secret"},
		"internal/identity":       nil,
		"internal/vault":          {"secret", "internal/hclguard"},
		"internal/rotate":         {"secret", "internal/lang/plays"},
		"internal/project":        {"internal/hclguard", "internal/spelling"},
		"internal/naming":         {"internal/hclguard"},
		"internal/usage":          {"internal/hclguard"},
		"internal/doc":            {"modules", "internal/doc/source"},
		"internal/doc/source":     nil,
		"internal/doc/gen":        {"internal/doc/source"},
		"internal/view":           {"host", "internal/drift", "internal/engine", "internal/lang/diag", "internal/task", "internal/wire"},
		"internal/outfile":        {},
		"internal/report":         {"host", "internal/drift", "internal/engine", "internal/outfile", "internal/view", "internal/wire"},
		"roles":                   nil,
		"cmd/muster":              {"…"},
		"cmd/muster-remote":       {"host/facts", "internal/remote", "modules/all", "modules/rotation"},
		"host/facts":              {"host"},
		"host/hosttest":           {"host/linux"},
		"inventory/ec2source":     {"inventory"},
		"transport/…":             {"transport…", "secret"},
		"tests/…":                 {"…"},
	}
}

// forbidden is what the remote must not link: it is pushed to hosts.
var forbidden = []string{"github.com/hashicorp/hcl", "github.com/zclconf", "github.com/charmbracelet", "github.com/aws", "github.com/spf13", "golang.org/x/crypto/ssh", "modernc.org"}

type pkg struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	program.Sources(t, "muster/...")
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,GoFiles"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// rule returns what a package may import.
func rule(name string) ([]string, bool) {
	all := allowed()
	if r, ok := all[name]; ok {
		return r, true
	}
	for dir := name; strings.Contains(dir, "/"); {
		dir = dir[:strings.LastIndex(dir, "/")]
		if r, ok := all[dir+"/…"]; ok {
			return r, true
		}
	}
	return nil, false
}

func permits(rule []string, name string) bool {
	return slices.ContainsFunc(rule, func(r string) bool {
		prefix, below := strings.CutSuffix(r, "…")
		return r == name || below && strings.HasPrefix(name, strings.TrimSuffix(prefix, "/"))
	})
}

func TestImportsKeepToTheLayout(t *testing.T) {
	for _, p := range list(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, "muster/")
		r, known := rule(name)
		if !known {
			t.Errorf("%s has no place in the layout", name)
			continue
		}
		for _, i := range p.Imports {
			if to, ours := strings.CutPrefix(i, "muster/"); ours && !permits(r, to) {
				t.Errorf("%s imports %s", name, to)
			}
		}
	}
}

func TestRemoteLinksNothingHeavy(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/muster-remote") {
		for _, f := range forbidden {
			if strings.HasPrefix(p.ImportPath, f) {
				t.Errorf("the remote links %s", p.ImportPath)
			}
		}
	}
}

// The controller builds for macOS, where people have their workstations: what kinds and hosts
// use of Linux alone stands behind a build constraint, or converts.
func TestTheControllerBuildsForMacOS(t *testing.T) {
	program.Sources(t, "muster/cmd/muster")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "/dev/null", "muster/cmd/muster")
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
