package naming_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/naming"
)

func TestNamesOfAProjectAreFound(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"inventory/hosts.hcl": `
host "web1" {
  user = "deploy"
}
group "frontends" { hosts = ["web1"] }
bastion "gate" {}
`,
		"site.hcl": `
play "p" {
  become = "operator"
  task "mysql_database" "d" { name = "shop_production" }
  task "mysql_user" "shop_account" {
    password = "not a name"
  }
  block "b" {
    task "user" "u" {
      names  = ["ann", "bob"]
      groups = ["wheel"]
    }
    task "file" "/etc/x" {
      owner   = "svc"
      content = "not a name"
      name    = var.computed
    }
  }
  variable "v" { name = "not of a thing" }
}
`,
		"broken.hcl":     "play {",
		".cache/old.hcl": `host "hidden" {}`,
		"note.txt":       `host "text" {}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := naming.Set{}
	got.Project(dir)
	want := naming.Set{
		"web1": "host", "gate": "host", "frontends": "group", "deploy": "user", "operator": "user", "d": "database", "shop_production": "database",
		"shop_account": "user", "u": "user", "ann": "user", "bob": "user", "wheel": "group", "svc": "user", "/etc/x": "task",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
