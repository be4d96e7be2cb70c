package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// ansible gathers the hosts and groups of an Ansible inventory, whatever its
// form, and turns them into a Listing.
//
// Variables that say how a host is reached become settings: ansible_host,
// ansible_port, ansible_user, ansible_ssh_private_key_file and
// ansible_connection, under their older names as well. All others stay
// variables. Templates are not evaluated, and groups of equal rank don't win
// by their name: they are an error if they disagree.
type ansible struct {
	hosts    []*ansibleHost
	groups   []*ansibleGroup
	byHost   map[string]*ansibleHost
	byGroup  map[string]*ansibleGroup
	extra    map[string][]Value // of hosts, that no host is made for
	warnings []FileError
}

type ansibleHost struct {
	name string
	at   hcl.Range
	vars []Value
}

type ansibleGroup struct {
	name     string
	at       hcl.Range
	vars     []Value
	hosts    []string
	children []string
	in       map[string]bool // hosts and, after a ":", children
}

func newAnsible() *ansible {
	a := &ansible{byHost: map[string]*ansibleHost{}, byGroup: map[string]*ansibleGroup{}, extra: map[string][]Value{}}
	a.group(All)
	return a
}

func (a *ansible) host(name string) *ansibleHost {
	h, ok := a.byHost[name]
	if !ok {
		h = &ansibleHost{name: name}
		a.byHost[name] = h
		a.hosts = append(a.hosts, h)
	}
	return h
}

func (a *ansible) group(name string) *ansibleGroup {
	g, ok := a.byGroup[name]
	if !ok {
		g = &ansibleGroup{name: name, in: map[string]bool{}}
		a.byGroup[name] = g
		a.groups = append(a.groups, g)
	}
	return g
}

func (g *ansibleGroup) addHost(h *ansibleHost) {
	if !g.in[h.name] {
		g.in[h.name] = true
		g.hosts = append(g.hosts, h.name)
	}
}

func (g *ansibleGroup) addChild(c *ansibleGroup) {
	if !g.in[":"+c.name] {
		g.in[":"+c.name] = true
		g.children = append(g.children, c.name)
	}
}

// set gives variables their values; later ones replace earlier ones.
func (g *ansibleGroup) set(vars []Value) { g.vars = override(g.vars, vars) }
func (h *ansibleHost) set(vars []Value)  { h.vars = override(h.vars, vars) }

func override(vars, by []Value) []Value {
	for _, v := range by {
		if i := slices.IndexFunc(vars, func(o Value) bool { return o.Name == v.Name }); i >= 0 {
			vars[i] = v
			continue
		}
		vars = append(vars, v)
	}
	return vars
}

func (a *ansible) warn(at hcl.Range, format string, args ...any) {
	a.warnings = append(a.warnings, FileError{at, fmt.Errorf(format, args...)})
}

// reaching maps the variables that say how a host is reached to settings. Of
// two names for one setting the first in this list wins.
var reaching = []struct{ variable, setting string }{
	{"ansible_ssh_host", "address"}, {"ansible_host", "address"},
	{"ansible_ssh_port", "port"}, {"ansible_port", "port"},
	{"ansible_ssh_user", "user"}, {"ansible_user", "user"},
	{"ansible_ssh_private_key_file", "identity"}, {"ansible_private_key_file", "identity"},
	{"ansible_connection", "connection"},
}

// listing turns what was gathered into a Listing.
func (a *ansible) listing() *Listing {
	l := &Listing{}
	for _, h := range a.hosts {
		h.vars = override(h.vars, a.extra[h.name])
		settings, vars := a.split(h.vars)
		l.Hosts = append(l.Hosts, Entry{Name: h.name, Settings: settings, Vars: vars, At: h.at})
	}
	for _, g := range a.groups {
		if g.name == "ungrouped" && len(g.vars) == 0 {
			continue // no group, but what is in none
		}
		settings, vars := a.split(g.vars)
		settings = slices.DeleteFunc(settings, func(v Value) bool {
			if v.Name == "address" {
				a.warn(v.At, "the group %s gives all its hosts one address; it is left out", quote(g.name))
				return true
			}
			return false
		})
		entry := GroupEntry{Name: g.name, Settings: settings, Vars: vars, At: g.at}
		if g.name != All {
			entry.Hosts, entry.Children = g.hosts, g.children
		}
		l.Groups = append(l.Groups, entry)
	}
	l.Warnings = a.warnings
	return l
}

// split separates settings from variables, and warns of what muster reads
// otherwise than Ansible.
func (a *ansible) split(all []Value) (settings, vars []Value) {
	taken := map[string]bool{}
	for _, r := range reaching {
		for _, v := range all {
			if v.Name != r.variable || taken[r.setting] {
				continue
			}
			taken[r.setting] = true
			settings = append(settings, a.translate(r.setting, v))
		}
	}
	for _, v := range all {
		if slices.ContainsFunc(reaching, func(r struct{ variable, setting string }) bool { return r.variable == v.Name }) {
			continue
		}
		switch v.Name {
		case "ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args":
			a.warn(v.At, "%s is not passed on to SSH; a host behind another is reached with bastion and via", v.Name)
		case "ansible_password", "ansible_ssh_pass":
			a.warn(v.At, "%s is not used, and left out: muster logs in with keys", v.Name)
			continue
		}
		if holdsTemplate(v.Value) {
			a.warn(v.At, "the variable %s holds a template, which stays as it is written", quote(v.Name))
		}
		vars = append(vars, v)
	}
	return settings, vars
}

// translate turns the value of a connection variable into that of a setting.
func (a *ansible) translate(setting string, v Value) Value {
	v.Name = setting
	if setting == "connection" && !v.Value.IsNull() && v.Value.Type() == cty.String {
		switch v.Value.AsString() {
		case "ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.netcommon.libssh":
			v.Value = cty.StringVal("ssh")
		case "ansible.builtin.local":
			v.Value = cty.StringVal("local")
		}
	}
	return v
}

func holdsTemplate(v cty.Value) bool {
	found := false
	_ = cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) {
		if v.Type() == cty.String && !v.IsNull() && (strings.Contains(v.AsString(), "{{") || strings.Contains(v.AsString(), "{%")) {
			found = true
		}
		return !found, nil
	})
	return found
}

// maxRange is how many hosts one name with ranges may stand for.
const maxRange = 100_000

var errRange = errors.New("a range is [1:9], [01:10], [1:9:2] or [a:f]")
