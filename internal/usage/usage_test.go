package usage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// project lays files in a folder.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// said is what is found of a secret, in a line.
func said(u *Uses, name string) string {
	var list []string
	for _, p := range u.Of(name) {
		s := fmt.Sprintf("%s:%d %s", p.File, p.Line, strings.Join(p.In, " > "))
		if p.Computed {
			s += " (computed)"
		}
		list = append(list, s)
	}
	return strings.Join(list, "\n")
}

func TestEveryPlaceThatReadsASecretIsFound(t *testing.T) {
	u := Project(project(t, map[string]string{
		"muster.hcl": "",
		"playbooks/web.hcl": `play "web" {
  hosts = ["web"]
  vars  = { key = secret["web/key"] } # not secret["web/comment"]
  block "b" {
    task "file" "a" {
      content = "x ${secret["web/key"]} ${upper(secret.plain)}\n"
    }
  }
  role "db" {
    users = { for name in ["a"] : name => secret["db/${name}"] }
  }
  task "print" "text" { message = "secret[\"web/quoted\"]" }
}
`,
		"roles/db/role.hcl":            `task "print" "p" { message = try(secret["db/a"], "") }`,
		"playbooks/rotation/db.hcl":    "rotation \"db\" {\n  secret = \"db/a\"\n  every = \"30d\"\n  accept {\n    hosts = [\"db\"]\n    task \"print\" \"p\" { message = secret[\"db/a\"] }\n  }\n}\n",
		"broken.hcl":                   `x = secret["web/key"] }`,
		".git/x.hcl":                   `x = secret["web/key"]`,
		"other/muster.hcl":             "",
		"other/playbooks/x.hcl":        `x = secret["web/key"]`,
		"secrets/production.hcl":       `secret "web/key" { every = "12d" }`,
		"playbooks/templates/key.tmpl": `${secret["web/key"]}`,
	}))
	for name, want := range map[string]string{
		"web/key":     "playbooks/web.hcl:3 play \"web\"\nplaybooks/web.hcl:6 play \"web\" > block \"b\" > task \"file\" \"a\"",
		"plain":       `playbooks/web.hcl:6 play "web" > block "b" > task "file" "a"`,
		"web/comment": "",
		"web/quoted":  "",
		"db/a": `playbooks/rotation/db.hcl:6 rotation "db" > accept > task "print" "p"` + "\n" +
			`playbooks/web.hcl:10 play "web" > role "db" (computed)` + "\n" + `roles/db/role.hcl:1 task "print" "p"`,
		"db/b": `playbooks/web.hcl:10 play "web" > role "db" (computed)`,
		"xdb/": "",
	} {
		if got := said(u, name); got != want {
			t.Errorf("%s is used in\n%s\nwant\n%s", name, got, want)
		}
	}
	if u.Every("db/a") != "30d" || u.Every("web/key") != "" {
		t.Errorf("rotated every %q and %q", u.Every("db/a"), u.Every("web/key"))
	}
}

func TestThousandSecretsAreFoundQuickly(t *testing.T) {
	files := map[string]string{"muster.hcl": ""}
	for n := range 100 {
		text := "play \"p\" {\n"
		for m := range 100 {
			text += fmt.Sprintf("  task \"file\" \"t%d\" {\n    path = \"/x\"\n    content = secret[\"s/%d\"]\n  }\n", m, (n*100+m)%1000)
		}
		files[fmt.Sprintf("playbooks/p%d.hcl", n)] = text + "}\n"
	}
	dir := project(t, files)
	begin := time.Now()
	u := Project(dir)
	found := 0
	for n := range 1000 {
		found += len(u.Of(fmt.Sprintf("s/%d", n)))
	}
	if took := time.Since(begin); found != 10000 || took > 20*time.Second {
		t.Errorf("%d places of 1000 secrets in %s, want 10000 in less than 20 s", found, took)
	} else {
		t.Logf("10000 places of 1000 secrets: %s", took)
	}
}
