package rotate

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"muster/internal/vault"
	"muster/tests/operator"
)

// project is a folder with a scene's site, its rotation and its store.
type project struct {
	scene
	t   *testing.T
	dir string
}

// used are the hosts on which a scene has been.
var used = map[string]bool{}

// newProject is a scene's project, on hosts that are as the lab has made them.
func newProject(t *testing.T, s scene) *project {
	t.Helper()
	for _, host := range s.hosts {
		if used[host] {
			if err := theLab.Host(host).Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		used[host] = true
	}
	p := &project{s, t, t.TempDir()}
	if err := os.Symlink(p.source("roles"), filepath.Join(p.dir, "roles")); err != nil {
		t.Fatal(err)
	}
	p.write("muster.hcl", "inventory = \""+p.source("inventory/lab.hcl")+"\"\n")
	p.write("site.hcl", s.site)
	p.write("playbooks/rotation/"+p.rotates()+".hcl", s.rotation)
	for path, text := range s.files {
		p.write(path, text)
	}
	p.ends(0, "secret", "init")
	for _, name := range s.more {
		if name != s.secret {
			p.ends(0, "secret", "generate", name)
		}
	}
	if s.value == nil {
		p.ends(0, append([]string{"secret", "generate", s.secret}, s.generate...)...)
	} else {
		cmd := p.command(t.Context(), "secret", "set", s.secret)
		cmd.Stdin = strings.NewReader(s.value(p))
		if r := operator.Run(t, cmd); r.Code != 0 {
			t.Fatalf("secret set: exit code %d\n%s%s", r.Code, r.Out, r.Err)
		}
	}
	return p
}

// rotates is the rotation's name.
func (p *project) rotates() string { return cmp.Or(p.of, p.name) }

// in is the project in another test.
func (p *project) in(t *testing.T) *project { return &project{p.scene, t, p.dir} }

// source is a path of muster's own tree.
func (p *project) source(path string) string {
	p.t.Helper()
	path, err := filepath.Abs(filepath.Join("../..", path))
	if err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (p *project) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// command is muster in the project.
func (p *project) command(ctx context.Context, args ...string) *exec.Cmd {
	p.t.Helper()
	cmd := theLab.Lab.Command(ctx, operator.Binary(p.t), args...)
	cmd.Dir = p.dir
	cmd.Env = append(cmd.Env, "MUSTER_IDENTITY="+filepath.Join(p.dir, "identity"))
	for name, value := range p.vars {
		cmd.Env = append(cmd.Env, "MUSTER_VAR_"+name+"="+value)
	}
	return cmd
}

// ends runs muster, which has to end with this code.
func (p *project) ends(code int, args ...string) operator.Result {
	p.t.Helper()
	r := operator.Run(p.t, p.command(p.t.Context(), args...))
	if r.Code != code {
		p.t.Fatalf("muster %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.Code, code, r.Out, r.Err)
	}
	return r
}

// unchanged checks that a plain run finds nothing to do.
func (p *project) unchanged(when string) {
	p.t.Helper()
	if r := operator.Run(p.t, p.command(p.t.Context(), "plan", "site.hcl", "--detailed-exitcode")); r.Code != 0 {
		p.t.Errorf("%s a plain plan ends with %d\n%s%s", when, r.Code, r.Out, r.Err)
	}
}

// begin applies the site.
func (p *project) begin() {
	p.t.Helper()
	if p.prepare != nil {
		p.prepare(p)
	}
	p.ends(0, "apply", "site.hcl", "--yes")
	p.load.begin(p)
	p.unchanged("before the rotation")
}

// values reads the secret's from the store.
func (p *project) values() (v values) {
	p.t.Helper()
	f, err := os.Open(filepath.Join(p.dir, "identity"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	ids, err := age.ParseIdentities(f)
	if err != nil {
		p.t.Fatal(err)
	}
	s, err := vault.Open(filepath.Join(p.dir, "secrets/production.hcl"), ids...)
	if err != nil {
		p.t.Fatal(err)
	}
	has, err := s.Get(p.secret)
	if err != nil {
		p.t.Fatal(err)
	}
	for i, version := range []vault.Version{has.Current, has.Pending, has.Previous} {
		v.numbers[i] = version.Number
		if version.Number != 0 {
			*[]*string{&v.current, &v.pending, &v.previous}[i] = version.Value.Reveal()
		}
	}
	return v
}
