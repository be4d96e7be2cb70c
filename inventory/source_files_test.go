package inventory_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/inventory"
)

const ini = `# a comment
; another
lone ansible_host=10.0.0.1  # after it

[web]
web[01:03].example.com:2222 ansible_user=admin colour="dark red" n=3 on=True
db-[a:c:2]

[web:vars]
tier=web
list=['a', 1, {'k': None}]
quoted="a # b"
password=#hash
port=007
text=it's 'text'

[site:children]
web
spare

[spare]

[all:vars]
zone=a
ansible_ssh_private_key_file=keys/id
`

func TestAnAnsibleInventoryIsRead(t *testing.T) {
	inv := load(t, map[string]string{
		"old/hosts.ini":                       ini,
		"old/group_vars/all.yml":              "zone: b\n",
		"old/group_vars/web/one.yml":          "---\nfrom_folder: 1\n",
		"old/group_vars/web/two.yaml":         "from_folder: 2\nport: 8\n",
		"old/group_vars/web/.hidden.yml":      "hidden: 1\n",
		"old/group_vars/web/notes.txt":        "no: vars\n",
		"old/group_vars/web/deeper/three.yml": "from_deeper: 3\n",
		"old/group_vars/other.yml":            "x: 1\n",
		"old/host_vars/lone":                  "ansible_port: 2200\nzone: own\n",
		"old/host_vars/db-a.json":             `{"json": [1]}`,
		"old/host_vars/not-a-host.yml":        "x: 1\n",
		"i.hcl":                               `source "ansible" "old" { path = "old/hosts.ini" }`,
	})
	diff(t, "targets", []string{
		"lone=10.0.0.1:2200 key=id", "admin@web01.example.com=web01.example.com:2222 key=id", "admin@web02.example.com=web02.example.com:2222 key=id",
		"admin@web03.example.com=web03.example.com:2222 key=id", "db-a=db-a key=id", "db-c=db-c key=id",
	}, reached(inv))
	web := []string{"web01.example.com", "web02.example.com", "web03.example.com", "db-a", "db-c"}
	diff(t, "groups", map[string][]string{"all": append([]string{"lone"}, web...), "web": web, "site": web, "spare": nil}, inv.Groups())
	vars := func(name string) map[string]string {
		h, _ := inv.Host(name)
		m := map[string]string{}
		for k, v := range h.Vars {
			m[k] = text(v)
		}
		return m
	}
	diff(t, "lone", map[string]string{"zone": "own"}, vars("lone"))
	diff(t, "web01", map[string]string{
		"zone": "b", "colour": "dark red", "n": "3", "on": "true", "tier": "web", "quoted": "a # b", "port": "8", "text": "it's 'text'", "password": "",
		"list":        `cty.TupleVal([]cty.Value{cty.StringVal("a"), cty.NumberIntVal(1), cty.ObjectVal(map[string]cty.Value{"k":cty.NullVal(cty.DynamicPseudoType)})})`,
		"from_folder": "2", "from_deeper": "3",
	}, vars("web01.example.com"))
	diff(t, "db-a's own", `cty.TupleVal([]cty.Value{cty.NumberIntVal(1)})`, vars("db-a")["json"])
	lone, _ := inv.Host("lone")
	if filepath.Base(lone.At.Filename) != "hosts.ini" || lone.At.Start.Line != 3 {
		t.Errorf("lone stands at %v", lone.At)
	}
}

const yamlInventory = `
all:
  vars:
    zone: a
    big: 12345678901234567890
  hosts:
    lone:
      ansible_host: 10.0.0.1
  children:
    web:
      vars: &shared
        tier: web
      hosts:
        web[1:2]:
        web3:
          <<: *shared
          nested: {a: [1, 2.5, yes, true, ~, "no"]}
          ansible_connection: local
    db:
      children:
        replicas:
          hosts:
            db2: {}
`

func TestAnAnsibleInventoryInYamlIsRead(t *testing.T) {
	inv := load(t, map[string]string{"hosts.yml": yamlInventory, "i.hcl": `source "ansible" "y" { path = "hosts.yml" }`})
	diff(t, "targets", []string{"lone=10.0.0.1", "web1=web1", "web2=web2", "web3=web3 local", "db2=db2"}, reached(inv))
	diff(t, "groups", map[string][]string{"all": {"lone", "web1", "web2", "web3", "db2"}, "web": {"web1", "web2", "web3"}, "db": {"db2"}, "replicas": {"db2"}}, inv.Groups())
	web3, _ := inv.Host("web3")
	diff(t, "tier", "web", text(web3.Vars["tier"]))
	diff(t, "big", "12345678901234567890", web3.Vars["big"].AsBigFloat().Text('f', 0))
	diff(t, "nested", `cty.ObjectVal(map[string]cty.Value{"a":cty.TupleVal([]cty.Value{cty.NumberIntVal(1), cty.NumberFloatVal(2.5), cty.True, cty.True, cty.NullVal(cty.DynamicPseudoType), cty.StringVal("no")})})`, web3.Vars["nested"].GoString())
}

func TestWhatAnAnsibleInventoryHasWrongIsSaidWithItsLine(t *testing.T) {
	bomb := "    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		link := "    aNEXT: &aNEXT [*aLAST, *aLAST, *aLAST, *aLAST, *aLAST, *aLAST, *aLAST, *aLAST, *aLAST, *aLAST]\n"
		bomb += strings.NewReplacer("NEXT", string(rune('1'+i)), "LAST", string(rune('0'+i))).Replace(link)
	}
	tests := []struct{ name, file, content, want string }{
		{"a section of another kind", "h.ini", "[web]\na\n[web:child]\nb\n", `h.ini:3: error: Source failed: The source ansible.x can't be read: there is no section "[web:child]"`},
		{"a section that is not closed", "h.ini", "[web\n", `h.ini:1: error: Source failed: The source ansible.x can't be read: a section's bracket is not closed`},
		{"a word that sets nothing", "h.ini", "a\nb port 22\n", `h.ini:2: error: Source failed: The source ansible.x can't be read: "port" is no name=value`},
		{"a quote that is not closed", "h.ini", "a x=\"y\n", `h.ini:1: error: Source failed: The source ansible.x can't be read: a quote is not closed`},
		{"a range that ends early", "h.ini", "web[9:1]\n", `the range ends before it begins`},
		{"a range that is huge", "h.ini", "web[1:999999999]\n", `stands for more than 100000 hosts`},
		{"ranges that are huge together", "h.ini", "web[1:9999][1:9999]\n", `stands for more than 100000 hosts`},
		{"a name that is none", "h.ini", "fine\n-bad\n", `h.ini:2: error: Invalid entry of a source: A host, which the source ansible.x lists: The name "-bad" begins with '-'`},
		{"groups that disagree", "h.ini", "[a]\nx\n[b]\nx\n[a:vars]\nv=1\n[b:vars]\nv=2\n", `h.ini:8: error: Groups disagree`},
		{"a variable of another connection", "h.ini", "x ansible_ssh_common_args=\"-J nat\"\n", `h.ini:1: warning: Left out of a source: Ansible_ssh_common_args is not passed on to SSH`},
		{"a template", "h.ini", "x v=\"{{ y }}\"\n", `h.ini:1: warning: Left out of a source: The variable "v" holds a template`},
		{"a password", "h.ini", "x ansible_ssh_pass=secret\n", `Ansible_ssh_pass is not used`},
		{"a program", "h.ini", "#!/bin/sh\n", `is a program: use source "program"`},
		{"broken YAML", "h.yml", "all:\n  hosts:\n\tx:\n", `h.yml:3: error: Source failed`},
		{"hosts as a list", "h.yml", "all:\n  hosts:\n    - a\n", `h.yml:3: error: Source failed: The source ansible.x can't be read: hosts are a mapping`},
		{"a part that no group has", "h.yml", "all:\n  host: {a: }\n", `h.yml:2: error: Source failed: The source ansible.x can't be read: a group has hosts, vars and children, and no "host"`},
		{"a value under ansible-vault", "h.yml", "all:\n  hosts: {a: }\n  vars:\n    p: !vault |\n      $ANSIBLE_VAULT;1.1;AES256\n      3061\n", `h.yml:4: warning: Left out of a source: The variable "p" is encrypted with ansible-vault`},
		{"aliases that stand for too much", "h.yml", "all:\n  hosts: {a: }\n  vars:\n" + bomb, `this file stands for more than`},
		{"groups that hold themselves", "h.yml", "a: &a\n  children:\n    b: *a\n", `error`},
		{"values that are deep", "h.yml", "all:\n  vars: {x: " + strings.Repeat("[", 500) + strings.Repeat("]", 500) + "}\n", `at most 100 deep`},
		{"no such file", "other", "", `no such file`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := tt.file
			if file == "other" {
				file = "missing.ini"
			}
			dir := write(t, map[string]string{tt.file: tt.content, "i.hcl": `source "ansible" "x" { path = "` + file + `" }`})
			_, diags := inventory.Load(t.Context(), dir, inventory.Options{})
			if got := said(diags); !strings.Contains(got, tt.want) {
				t.Errorf("said %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestAnEncryptedFileIsLeftOutWithAWarning(t *testing.T) {
	dir := write(t, map[string]string{
		"h.ini": "a\n", "group_vars/all/vault.yml": "$ANSIBLE_VAULT;1.1;AES256\n3061\n", "group_vars/all/vars.yml": "x: 1\n",
		"i.hcl": `source "ansible" "x" { path = "h.ini" }`,
	})
	inv, diags := inventory.Load(t.Context(), dir, inventory.Options{})
	if diags.HasErrors() || !strings.Contains(said(diags), "vault.yml:1: warning: Left out of a source: This file is encrypted") {
		t.Errorf("said %s", said(diags))
	}
	if h, _ := inv.Host("a"); text(h.Vars["x"]) != "1" {
		t.Errorf("vars are %v", h.Vars)
	}
}

const sshConfig = `
Include conf.d/*
Host nat
  HostName 203.0.113.10
  User jump

Host db1 db2 *.internal
  User = ops
  ProxyJump nat
Host db1
  HostName 10.0.1.%h
  Port 2222
  IdentityFile "~/.ssh/id %n"
Host db2 !db2
  Port 9
Host far
  ProxyJump root@gw.example.com:2200,db2
  User first
  User second
Match host web1
  Port 2022
Match exec "rm -rf /"
  Port 1
Host web1 web2
  ProxyJump none
Host web1 x*
  Include under
Host w?b2
  ProxyCommand nc %h %p
Host *
  User fallback
`

func TestAnSshConfigListsTheHostsItNames(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.MkdirAll(filepath.Join(home, ".ssh", "conf.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"config": sshConfig, "conf.d/one": "Host inc\n  Port 7\n", "under": "Host web2\n  Port 99\nHost web1\n  IdentityFile /keys/under\n"} {
		if err := os.WriteFile(filepath.Join(home, ".ssh", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := write(t, map[string]string{"i.hcl": `source "ssh_config" "me" { path = "~/.ssh/config" }`})
	inv, diags := inventory.Load(t.Context(), dir, inventory.Options{})
	diff(t, "diagnostics", strings.Join([]string{
		"config:22: warning: Left out of a source: This Match block is left out: only all, host and originalhost are followed.",
		"config:29: warning: Left out of a source: ProxyCommand of the host \"web2\" is left out.",
	}, "\n"), said(diags))
	diff(t, "targets", []string{
		"jump@nat=203.0.113.10", "root@gw.example.com=gw.example.com:2200", "ops@db2=db2 via gw.example.com",
		"fallback@inc=inc:7", "ops@db1=10.0.1.db1:2222 key=id db1 via nat", "first@far=far via db2 via gw.example.com",
		"fallback@web1=web1:2022 key=under", "fallback@web2=web2",
	}, reached(inv))
}

func TestHostsThatJumpThroughEachOtherAreReported(t *testing.T) {
	dir := write(t, map[string]string{
		"config": "Host a\n ProxyJump b\nHost b\n ProxyJump a\nHost c\n ProxyJump a\n",
		"i.hcl":  `source "ssh_config" "me" { path = "config" }`,
	})
	_, diags := inventory.Load(t.Context(), dir, inventory.Options{})
	if !strings.Contains(said(diags), "Bastions in a circle") {
		t.Errorf("said %s", said(diags))
	}
}
