package rotate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"muster/tests/await"
	"muster/tests/lab"
)

// automationScene rotates the key by which muster itself logs in, on the bastion, too. The
// user "robot" is let in by no other.
func automationScene() scene {
	return scene{
		name:     "automation_key",
		hosts:    []string{"app1", "app2"},
		secret:   "ssh/automation",
		generate: []string{"--type", "ssh_key"},
		site:     automationSite,
		rotation: shipped("automation_key"),
		vars: map[string]string{ // and "automation_key", which prepare knows
			"automation_user": "robot", "automation_hosts": `["all", "!localhost"]`, "automation_controller": "localhost",
		},
		files:   map[string]string{"muster.hcl": "inventory = \"inventory.hcl\"\n", "inventory.hcl": "", "first.hcl": automationSite},
		prepare: automationBegins,
		load:    &logins{},
		lets: func(p *project, value string) bool {
			key := filepath.Join(p.t.TempDir(), "key")
			if err := os.WriteFile(key, []byte(value), 0o600); err != nil {
				p.t.Fatal(err)
			}
			out, err := login(p.t.Context(), key, "app2")
			if err != nil && !strings.Contains(out, "Permission denied") {
				p.t.Fatalf("%v: %s", err, out)
			}
			return err == nil
		},
		acceptor: "app1",
		// ssh has no word for a connection that is lost in its middle, or that hangs.
		outage: regexp.MustCompile(sshOutage.String() + `|^(exit status 255|signal: killed):$`),
		steps:  8,
	}
}

// robotKey is the file of the key that muster logs in with.
func (p *project) robotKey() string { return filepath.Join(p.dir, "robot") }

// automationBegins has the lab's own user make the robot, and muster log in as that from
// then on.
func automationBegins(p *project) {
	// This machine is a host of the rotation, and knows of a run before this one: that was
	// another project's secret of the same name.
	if err := os.Remove("/var/lib/muster/rotations/secret.ssh%2Fautomation.json"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Fatal(err)
	}
	p.vars = maps.Clone(p.vars)
	p.vars["automation_key"] = p.robotKey()
	gate := theLab.Host(lab.Bastion).Address()
	p.write("inventory.hcl", `
defaults {
  user     = "robot"
  via      = "nat"
  identity = "`+p.robotKey()+`"
}
bastion "nat" {
  address  = "`+gate+`"
  user     = "robot"
  identity = "`+p.robotKey()+`"
  via      = null
}
host "gate" {
  address = "`+gate+`"
  via     = null
}
host "app1" { address = "`+address("app1")+`" }
host "app2" { address = "`+address("app2")+`" }
host "localhost" { connection = "local" }
`)
	first := strings.NewReplacer(`user     = "robot"`, `user     = "ops"`, `identity = "`+p.robotKey()+`"`, "").Replace(p.read("inventory.hcl"))
	p.write("first_inventory.hcl", first)
	p.ends(0, "apply", "first.hcl", "-i", "first_inventory.hcl", "--yes")
}

func (p *project) read(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// login logs in on a host, through the bastion, with a key alone.
func login(ctx context.Context, key, host string) (string, error) {
	with := []string{"-F", "none", "-i", key, "-l", "robot", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"}
	jump := "ssh " + strings.Join(with, " ") + " -W %h:%p " + theLab.Host(lab.Bastion).Address()
	out, err := theLab.Lab.Command(ctx, "ssh", append(slices.Clone(with), "-o", "ProxyCommand="+jump, address(host), "sudo", "-n", "true")...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// logins is load that the workstation makes: each is a login through the bastion with the
// key that the file has then.
type logins struct {
	mu     sync.Mutex
	runs   bool
	served int
	failed []string
}

func (l *logins) begin(p *project) {
	p.t.Helper()
	l.mu.Lock()
	if !l.runs {
		l.runs = true
		go l.run(p.robotKey())
	}
	l.served, l.failed = 0, nil
	l.mu.Unlock()
	await.Until(p.t, "somebody logs in", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.served > 0
	})
	l.mu.Lock()
	l.served, l.failed = 0, nil
	l.mu.Unlock()
}

// run logs in until the key's folder is gone, as it is once the test is over. The key is copied first:
// ssh reads a key's file twice.
func (l *logins) run(path string) {
	dir, err := os.MkdirTemp("", "logins")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for {
		key, err := os.ReadFile(path)
		if err != nil {
			return
		}
		copied := filepath.Join(dir, "key")
		if err := os.WriteFile(copied, key, 0o600); err != nil {
			panic(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		said, err := login(ctx, copied, "app1")
		cancel()
		l.mu.Lock()
		if err == nil {
			l.served++
		} else {
			l.failed = append(l.failed, strings.TrimSpace(fmt.Sprintf("%v: %s", err, said)))
		}
		l.mu.Unlock()
	}
}

func (l *logins) counts(*project) (int, []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.served, slices.Clone(l.failed)
}

const automationSite = `
variable "automation_key" {}
play "robot" {
  hosts  = ["all", "!localhost"]
  become = true
  task "user" "robot" {
    shell = "/bin/sh"
  }
  task "sudoers" "robot" {
    rules = ["robot ALL=(ALL) NOPASSWD: ALL"]
  }
  task "authorized_key" "robot" {
    keys = [ssh_public_key(secret["ssh/automation"])]
  }
}
play "controller" {
  hosts = ["localhost"]
  task "file" "key" {
    path    = var.automation_key
    mode    = "0600"
    content = secret["ssh/automation"]
  }
}
`
