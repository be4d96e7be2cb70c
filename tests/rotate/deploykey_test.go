package rotate

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// shipped is a rotation of playbooks/rotation, without its grace.
func shipped(name string) string {
	text, err := os.ReadFile("../../playbooks/rotation/" + name + ".hcl")
	if err != nil {
		panic(err) // the tests run in their folder
	}
	return strings.Replace(string(text), `grace  = "1h"`, `grace  = "0s"`, 1)
}

// deployKeyScene rotates the key with which two hosts log in to a third, all the time.
func deployKeyScene() scene {
	return scene{
		name:     "deploy_key",
		hosts:    []string{"db1", "app1", "app2"},
		secret:   "ssh/deploy",
		generate: []string{"--type", "ssh_key"},
		site:     deployKeySite,
		rotation: shipped("deploy_key"),
		vars:     map[string]string{"deploy_to": `["db1"]`, "deploy_from": `["app1", "app2"]`},
		load:     onHosts{"app1", "app2"},
		lets: func(p *project, value string) bool {
			return theLab.On(p.t, "app2", withKey(value, "ssh -i $key $alone -l deploy "+address("db1")+" sudo -n true")) == "in"
		},
		acceptor: "db1",
		consumer: "app1",
		outage:   sshOutage,
		steps:    8,
	}
}

// sshOutage is what ssh says of a host that has no power, or is starting.
var sshOutage = regexp.MustCompile(`connect to host|Connection (closed|reset|refused|timed out)|closed by remote host|kex_exchange_identification|Broken pipe|not responding|System is booting up`)

// withKey is a script that says "in" where a command succeeds that has a private key in
// the file $key; options by which ssh uses that alone are $alone.
func withKey(key, command string) string {
	return fmt.Sprintf(`umask 077; key=$(mktemp); cat >$key <<'E'
%s
E
alone="-o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
if %s >/dev/null 2>&1; then echo in; else echo out; fi; rm -f $key`, strings.TrimSpace(key), command)
}

// address is that of a host of the lab.
func address(host string) string { return theLab.Host(host).Address() }

const deployKeySite = `
locals {
  key = "/home/deploy/.ssh/deploy_key-${substr(sha256(ssh_public_key(secret["ssh/deploy"])), 0, 16)}"
}
play "all" {
  hosts  = ["db1", "app1", "app2"]
  become = true
  task "user" "deploy" {
    shell = "/bin/sh"
  }
}
play "to" {
  hosts  = ["db1"]
  become = true
  task "sudoers" "deploy" {
    rules = ["deploy ALL=(root) NOPASSWD: /usr/bin/true"]
  }
  task "authorized_key" "deploy" {
    keys = [ssh_public_key(secret["ssh/deploy"])]
  }
}
play "from" {
  hosts  = ["app1", "app2"]
  become = true
  task "directory" "/home/deploy/.ssh" {
    owner = "deploy"
    group = "deploy"
    mode  = "0700"
  }
  task "file" "/home/deploy/.ssh/config" {
    owner   = "deploy"
    content = "Include deploy_key.conf\nStrictHostKeyChecking accept-new\nBatchMode yes\nConnectTimeout 10\n"
  }
  task "file" "key" {
    path    = local.key
    owner   = "deploy"
    mode    = "0600"
    content = secret["ssh/deploy"]
  }
  task "file" "/home/deploy/.ssh/deploy_key.conf" {
    content = "IdentityFile ${local.key}\n"
  }
  task "file" "/usr/local/bin/deploy" {
    mode    = "0755"
    content = <<-E
      #!/bin/sh
      while :; do
        if said=$(runuser -u deploy -- ssh deploy@$1 sudo -n true 2>&1); then echo in >>/var/log/load.served; else echo "$said" >>/var/log/load.failed; fi
        sleep 0.1
      done
    E
  }
  task "unit" "deploy.service" {
    content = <<-E
      [Service]
      ExecStart=/usr/local/bin/deploy ${hosts["db1"].address}
      [Install]
      WantedBy=multi-user.target
    E
  }
  task "service" "deploy" {
    enabled = true
  }
}
`
