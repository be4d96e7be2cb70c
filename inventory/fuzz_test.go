package inventory

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzListings looks for input on which the reader of a source panics, or
// lists what the inventory panics on.
func FuzzListings(f *testing.F) {
	for _, s := range []string{
		`{"web": {"hosts": ["a"], "vars": {"x": [1]}}, "_meta": {"hostvars": {"a": {"ansible_port": 1}}}}`,
		"[web]\na[1:3]:22 x=['a', {'b': (1,)}]\n[web:vars]\ny=\"z\" # c\n[s:children]\nweb\n",
		"all:\n  hosts: &x {a: , b: {p: !vault x}}\n  children: {web: {hosts: *x, vars: {<<: *x, y: 1e3}}}\n",
		"Host a b !c\n ProxyJump x@a:1,b\n IdentityFile %d/x\nMatch host a,b\n",
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src []byte) {
		path := filepath.Join(dir, "config")
		if err := os.WriteFile(path, src, 0o600); err != nil {
			t.Fatal(err)
		}
		use := func(l *Listing, err error) {
			if err != nil {
				return
			}
			d := &declarations{sources: []*sourceNode{{block: Block{File: path}, at: start(path)}}}
			d.merge(d.sources[0], l)
			b := builder{declarations: d}
			b.build()
		}
		use(parseScript(src))
		for _, read := range []func(*ansible, string, []byte) error{(*ansible).readINI, (*ansible).readYAML} {
			a := newAnsible()
			err := read(a, path, src)
			use(a.listing(), err)
		}
		if !bytes.Contains(bytes.ToLower(src), []byte("include")) { // of this machine's files
			use(sshConfigFile(path).List(t.Context()))
		}
	})
}
