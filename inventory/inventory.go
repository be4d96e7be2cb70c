// Package inventory says which hosts there are and how each is reached.
//
// An inventory is a file or a folder of HCL files: defaults, bastions, groups,
// hosts, and sources that list more of them (a program, an Ansible inventory,
// an ssh_config, a cloud). Load reads it whole and reports every problem at
// once; what it returns doesn't change.
//
// Of two settings for one host the nearer wins: the host's own, then its
// groups' (a group over its parents; unrelated groups that disagree are an
// error), then the source block's, then the defaults'. Variables likewise,
// without the last two.
package inventory

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/transport"
)

// All is the group of every host; bastions are not in it.
const All = "all"

// Inventory is a fleet. It may be used by many goroutines at once.
type Inventory struct {
	// Partial: there may be hosts, groups and variables that it doesn't know.
	// Its sources weren't asked (Options.Static), or one of them or a file
	// couldn't be read.
	Partial bool

	alone    bool // there is none: LocalOnly
	hosts    []*Host
	bastions []*Host
	groups   []*Group
	byName   map[string]*Host // hosts and bastions
	group    map[string]*Group
	files    map[string]*hcl.File
	set      []SetVar
}

// Options says how Load reads an inventory.
type Options struct {
	// Static reads files alone: the arguments of sources are checked, but no
	// source is asked (Inventory.Partial).
	Static bool
	// Sources adds source types to those of this package, by name ("ec2").
	Sources map[string]Source
	// CacheDir keeps what sources listed; "" is muster/inventory in the user's
	// cache folder.
	CacheDir string
}

// Host is one machine, or a bastion. Its fields are not to be changed.
type Host struct {
	Name    string
	Address string               // what is dialled: the name where none is given
	Groups  []string             // with parents, without "all", in the order of declaration
	Vars    map[string]cty.Value // the host's and its groups'; shared between hosts
	Bastion bool                 // declared by a bastion block
	At      hcl.Range            // where it was declared first

	index  int // place in the inventory
	node   *node
	groups *layer // of the groups together
	below  []*scope
	target transport.Target
}

// Group is a named set of hosts.
type Group struct {
	Name     string
	Children []string // groups named as children, in their order
	Hosts    []string // hosts that are in it otherwise than through a child, in the inventory's order
	Members  []string // hosts that are in it, in the inventory's order
	At       hcl.Range
}

// Load reads the inventory at path, a file or a folder of *.hcl files, and
// asks its sources. The inventory is never nil; where the diagnostics have
// errors it is good for nothing but Files.
func Load(ctx context.Context, path string, o Options) (*Inventory, hcl.Diagnostics) {
	d, diags := read(path)
	b := builder{declarations: d, partial: diags.HasErrors()}
	d.registry = o.registry()
	diags = append(diags, d.decode()...)
	set := d.setVars()
	if len(d.sources) > 0 && (o.Static || diags.HasErrors()) {
		b.partial = true
	} else {
		asked := d.ask(ctx, o)
		b.partial = b.partial || asked.HasErrors()
		diags = append(diags, asked...)
	}
	inv := b.build()
	inv.Partial = b.partial
	inv.files, inv.set = d.files, set
	return inv, order(append(diags, b.diags...), d.names)
}

// localhost is the only host where there is no inventory.
const localhost = "localhost"

// LocalOnly is what stands in for an inventory where there is none: the host
// localhost, which is this machine. It is in no group, "all" included, so that
// nobody acts on it who hasn't written its name.
func LocalOnly() *Inventory {
	at := start("(no inventory)")
	b := builder{declarations: &declarations{hosts: []*node{{name: localhost, at: at, scope: scope{
		where:    "host",
		settings: []assignment{{name: "connection", value: cty.StringVal("local"), at: at}},
	}}}}}
	inv := b.build()
	inv.alone = true
	all := inv.group[All]
	all.Hosts, all.Members = nil, nil
	return inv
}

// Hosts returns every host in the order of declaration, without bastions.
func (inv *Inventory) Hosts() []*Host { return slices.Clone(inv.hosts) }

// Bastions returns every bastion in the order of declaration.
func (inv *Inventory) Bastions() []*Host { return slices.Clone(inv.bastions) }

// Host returns the host or bastion of that name.
func (inv *Inventory) Host(name string) (*Host, bool) {
	h, ok := inv.byName[name]
	return h, ok
}

// Groups returns the hosts of every group, "all" included, by its name.
// Children are expanded; hosts are in the order of declaration.
func (inv *Inventory) Groups() map[string][]string {
	m := make(map[string][]string, len(inv.groups))
	for _, g := range inv.groups {
		m[g.Name] = slices.Clone(g.Members)
	}
	return m
}

// GroupList returns the groups in the order of declaration, after "all".
func (inv *Inventory) GroupList() []*Group { return slices.Clone(inv.groups) }

// Files returns the HCL files that were read, by the names that positions
// carry, so that diagnostics can show their lines: they hold bytes and no body.
func (inv *Inventory) Files() map[string]*hcl.File { return inv.files }

// Target says how the host is reached. Hosts behind one bastion share its
// Target.
func (h *Host) Target() transport.Target { return h.target }

// order sorts diagnostics by file, in the order they were read, and position.
func order(diags hcl.Diagnostics, names []string) hcl.Diagnostics {
	rank := make(map[string]int, len(names))
	for i, n := range names {
		rank[n] = i
	}
	place := func(d *hcl.Diagnostic) (int, string, int) {
		if d.Subject == nil {
			return -1, "", 0
		}
		r, known := rank[d.Subject.Filename]
		if !known {
			r = len(names)
		}
		return r, d.Subject.Filename, d.Subject.Start.Byte
	}
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int {
		ar, an, ab := place(a)
		br, bn, bb := place(b)
		if ar != br {
			return ar - br
		}
		if c := strings.Compare(an, bn); c != 0 {
			return c
		}
		return ab - bb
	})
	return diags
}

// beside resolves a path that stands in a file: "~/" is the home folder, and
// what is relative is relative to the file's folder.
func beside(file, path, home string) string {
	switch {
	case path == "~" || strings.HasPrefix(path, "~/"):
		return filepath.Join(home, strings.TrimPrefix(path, "~"))
	case filepath.IsAbs(path):
		return filepath.Clean(path)
	}
	return filepath.Join(filepath.Dir(file), path)
}
