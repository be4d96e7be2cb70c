// Command fleet pretends to be many hosts behind a bastion: one SSH server in a
// process of its own, which runs what the hosts are told on this machine. What
// a controller takes can so be measured apart from what its hosts take.
//
// It fills a folder with a project that reaches them, prints a line, and ends
// when its input does.
package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"muster/transport/transporttest"
)

func main() {
	hosts := flag.Int("hosts", 20, "how many `hosts` there are")
	tasks := flag.Int("tasks", 100, "how many `tasks` site.hcl has")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: fleet [-hosts N] [-tasks N] DIR")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *hosts, *tasks); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run(dir string, hosts, tasks int) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, d := range []string{"inventory", "home", "files"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return err
		}
	}
	_, hostKey, err := newKey()
	if err != nil {
		return err
	}
	private, identity, err := newKey()
	if err != nil {
		return err
	}
	forward := map[string]string{}
	for i := range hosts {
		forward[address(i)+":22"] = ""
	}
	server, err := transporttest.Start(transporttest.Options{
		HostKeys: []ssh.Signer{hostKey}, Accept: []ssh.PublicKey{identity.PublicKey()}, Home: filepath.Join(dir, "home"), Forward: forward,
	})
	if err != nil {
		return err
	}
	defer server.Close()
	inventory, err := describe(server, filepath.Join(dir, "id"), hosts)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"muster.hcl": "inventory = \"inventory/hosts.hcl\"\n", "inventory/hosts.hcl": inventory, "id": private, "site.hcl": playbook(filepath.Join(dir, "files"), tasks),
		"rendered.tmpl": "${number} on ${host.facts.os.id} ${host.facts.kernel}\n", "inventory/known_hosts": known(server, hosts),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func newKey() (private string, signer ssh.Signer, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return "", nil, err
	}
	signer, err = ssh.NewSignerFromKey(key)
	return string(pem.EncodeToMemory(block)), signer, err
}

func name(i int) string    { return fmt.Sprintf("web%d", i) }
func address(i int) string { return fmt.Sprintf("10.9.%d.%d", i/250, i%250+1) }

// describe is the inventory.
func describe(server *transporttest.Server, identity string, hosts int) (string, error) {
	me, err := user.Current()
	if err != nil {
		return "", err
	}
	at := server.Target("nat")
	var b strings.Builder
	fmt.Fprintf(&b, "defaults {\n  user     = %q\n  identity = %q\n  via      = \"nat\"\n}\n", me.Username, identity)
	fmt.Fprintf(&b, "bastion \"nat\" {\n  address  = %q\n  port     = %d\n  via      = \"\"\n}\n", at.Address, at.Port)
	for i := range hosts {
		fmt.Fprintf(&b, "host %q { address = %q }\n", name(i), address(i))
	}
	return b.String(), nil
}

func known(server *transporttest.Server, hosts int) string {
	var b strings.Builder
	b.WriteString(server.KnownHosts("nat"))
	for i := range hosts {
		b.WriteString(server.KnownHosts(name(i)))
	}
	return b.String()
}

// playbook has tasks of which each is evaluated for its host. All hosts share
// this machine's files, so that one apply leaves nothing to do on any.
func playbook(dir string, tasks int) string {
	return fmt.Sprintf(`locals {
  dir     = %q
  numbers = toset([for n in range(%d) : tostring(n)])
}

play "many tasks" {
  hosts = ["all"]

  task "file" "small" {
    for_each = local.numbers
    path     = "${local.dir}/small-${each.key}"
    content  = "${host.facts.os.id} ${each.key}\n"
    mode     = "0640"
  }

  task "template" "rendered" {
    for_each = local.numbers
    path     = "${local.dir}/rendered-${each.key}"
    source   = "rendered.tmpl"
    vars     = { number = each.key }
  }
}
`, dir, tasks/2)
}
