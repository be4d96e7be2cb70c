// Package rotate rotates secrets on the lab's hosts, while what uses them goes on.
package rotate

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/internal/vault"
	"muster/tests/await"
	"muster/tests/lab"
	"muster/tests/operator"
)

// theLab has a database server and two hosts that use it.
var theLab *operator.Lab

func TestMain(m *testing.M) {
	operator.Main(m, lab.Options{ID: "rotate", Hosts: []string{"db1", "app1", "app2"}}, func(l *operator.Lab) { theLab = l })
}

// site has an account, and something on two hosts that logs in with it all the time.
const site = `
play "database" {
  hosts  = ["db1"]
  become = true
  role "mysql" {
    server_id = 1
    listen    = ["0.0.0.0"]
  }
  task "mysql_database" "shop" {}
  task "mysql_user" "shop" {
    host       = "%"
    password   = secret["mysql/shop"]
    privileges = { "shop.*" = ["ALL PRIVILEGES"] }
  }
}
play "app" {
  hosts  = ["app1", "app2"]
  become = true
  task "package" "mariadb-client" {}
  task "directory" "/etc/shop" {
    mode = "0700"
  }
  task "file" "/usr/local/bin/shop" {
    mode    = "0755"
    content = <<-E
      #!/bin/sh
      MYSQL_PWD=$(cat /etc/shop/password); export MYSQL_PWD
      while :; do
        if said=$(mariadb -h $1 -u shop -N -e 'SELECT 1' 2>&1); then echo $MYSQL_PWD >>/run/shop.served; else echo "$said" >>/run/shop.failed; fi
        sleep 0.1
      done
    E
  }
  task "unit" "shop.service" {
    content = <<-E
      [Service]
      ExecStart=/usr/local/bin/shop ${hosts["db1"].address}
      [Install]
      WantedBy=multi-user.target
    E
  }
  task "file" "/etc/shop/password" {
    mode    = "0600"
    content = secret["mysql/shop"]
  }
  task "service" "shop" {
    restart_on = ["/etc/shop/password"]
  }
}
`

const rotation = `
rotation "shop" {
  secret = "mysql/shop"
  every  = "30d"
  grace  = "0s"
  accept {
    hosts  = ["db1"]
    become = true
    task "mysql_user" "shop" {
      host         = "%"
      password     = rotation.new
      old_password = rotation.old
    }
  }
  consumers "app" {
    hosts  = ["app1", "app2"]
    become = true
    rolling {
      batches = [1]
    }
    task "file" "/etc/shop/password" {
      mode    = "0600"
      content = secret["mysql/shop"]
    }
    task "service" "shop" {
      restart_on = ["/etc/shop/password"]
    }
  }
  verify {
    hosts  = ["app1", "app2"]
    become = true
    task "command" "served" {
      shell     = "test \"$(tail -n 1 /run/shop.served)\" = \"$(cat /etc/shop/password)\""
      read_only = true
      retry {
        attempts = 20
        delay    = "200ms"
      }
    }
  }
  retire {
    hosts  = ["db1"]
    become = true
    task "mysql_user" "shop" {
      host     = "%"
      password = rotation.new
    }
  }
}
`

// project is a folder with the site, its rotation and its store.
type project struct {
	t   *testing.T
	dir string
}

func newProject(t *testing.T) *project {
	theLab.Need(t)
	theLab.On(t, "db1", "rm -rf /var/lib/muster/rotations") // of a test before it, with a store of its own
	p := &project{t, t.TempDir()}
	roles, err := filepath.Abs("../../roles")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(roles, filepath.Join(p.dir, "roles")); err != nil {
		t.Fatal(err)
	}
	inventory, err := filepath.Abs("../../inventory/lab.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"muster.hcl": "inventory = \"" + inventory + "\"\n", "site.hcl": site, "playbooks/rotation/shop.hcl": rotation} {
		path := filepath.Join(p.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.ends(0, "secret", "init")
	p.ends(0, "secret", "generate", "mysql/shop", "--length", "24")
	return p
}

func (p *project) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := theLab.Lab.Command(ctx, operator.Binary(p.t), args...)
	cmd.Dir = p.dir
	cmd.Env = append(cmd.Env, "MUSTER_IDENTITY="+filepath.Join(p.dir, "identity"))
	return cmd
}

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

// served is that nothing was refused so far, and that something was served.
func (p *project) served(when string) {
	p.t.Helper()
	for _, host := range []string{"app1", "app2"} {
		if failed := theLab.On(p.t, host, "cat /run/shop.failed 2>/dev/null; true"); failed != "" {
			p.t.Errorf("%s %s was refused:\n%s", when, host, failed)
		}
	}
}

// begin applies the site, and waits until all is served.
func (p *project) begin() {
	p.t.Helper()
	p.ends(0, "apply", "site.hcl", "--yes")
	for _, host := range []string{"app1", "app2"} {
		theLab.On(p.t, host, "rm -f /run/shop.failed /run/shop.served")
		await.Until(p.t, host+" is served", func() bool { return theLab.On(p.t, host, "wc -l </run/shop.served 2>/dev/null || echo 0") != "0" })
	}
	p.unchanged("before the rotation")
}

// values are those that let the account in, of the ones that are known.
func (p *project) lets(password string) bool {
	p.t.Helper()
	return theLab.On(p.t, "app1", "MYSQL_PWD="+password+" mariadb -h db1 -u shop -N -e 'SELECT 1' 2>/dev/null || echo refused") == "1"
}

func (p *project) value() string {
	p.t.Helper()
	return strings.TrimSpace(p.ends(0, "secret", "get", "mysql/shop").Out)
}

func TestDatabaseUserIsRotatedUnderLoad(t *testing.T) {
	p := newProject(t)
	p.begin()
	old := p.value()
	r := p.ends(0, "rotate", "shop", "--yes")
	t.Logf("the rotation took %s\n%s", r.Took.Round(time.Millisecond), r.Err)
	now := p.value()
	if old == now || strings.Contains(r.Out+r.Err, old) || strings.Contains(r.Out+r.Err, now) {
		t.Errorf("the value wasn't changed, or is shown:\n%s%s", r.Out, r.Err)
	}
	if p.lets(old) || !p.lets(now) {
		t.Error("the old value works, or the new one doesn't")
	}
	p.served("in the rotation")
	p.unchanged("after the rotation")
}

// Muster is killed after each thing that it says it does, and run again.
func TestRotationOfADatabaseUserIsKilled(t *testing.T) {
	p := newProject(t)
	p.begin()
	for n := 1; ; n++ {
		old := p.value()
		cmd := p.command(t.Context(), "rotate", "shop", "--yes")
		said, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, last := 0, ""
		for scan := bufio.NewScanner(said); scan.Scan(); {
			last = scan.Text()
			if lines++; lines == n {
				_ = cmd.Process.Kill()
			}
		}
		if err := cmd.Wait(); err == nil {
			if n < 6 {
				t.Errorf("it said only %d things", n)
			}
			return
		}
		s, err := vault.Read(filepath.Join(p.dir, "secrets/production.hcl"))
		if err != nil {
			t.Fatal(err)
		}
		i, _ := s.Info("mysql/shop")
		t.Logf("killed after %q: version %d, pending %d, previous %d", last, i.Current, i.Pending, i.Previous)
		if !p.lets(p.value()) {
			t.Errorf("killed after %q, the current value doesn't work", last)
		}
		p.unchanged("killed after \"" + last + "\",")
		p.ends(0, "rotate", "shop", "--yes")
		if now := p.value(); now == old || !p.lets(now) || p.lets(old) {
			t.Errorf("killed after %q, it doesn't end with one new value", last)
		}
		p.served("killed after \"" + last + "\",")
		p.unchanged("after \"" + last + "\" and another run,")
		if t.Failed() {
			return
		}
	}
}
