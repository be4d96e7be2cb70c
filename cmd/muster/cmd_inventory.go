package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"muster/internal/view"
	"muster/inventory"
)

func newInventory(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "inventory", Short: "Show which hosts there are", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list [PATTERN…]",
		Short: "List hosts, with their addresses and groups",
		RunE: func(cmd *cobra.Command, patterns []string) error {
			inv, err := a.fleet(cmd)
			if err != nil {
				return err
			}
			hosts := inv.Hosts()
			if len(patterns) > 0 {
				if hosts, err = inv.Match(patterns); err != nil {
					return err
				}
			}
			if hosts, err = a.within(inv, hosts); err != nil {
				return err
			}
			return a.listHosts(hosts)
		},
	}
	explain := false
	show := &cobra.Command{
		Use:   "show HOST",
		Short: "Show how a host is reached, and its variables",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			inv, err := a.fleet(cmd)
			if err != nil {
				return err
			}
			h, ok := inv.Host(args[0])
			if !ok {
				_, err := inv.Match(args)
				if err == nil {
					err = fmt.Errorf("%s isn't the name of a host", args[0])
				}
				return err
			}
			return a.showHost(h, explain)
		},
	}
	show.Flags().BoolVar(&explain, "explain", false, "where each value comes from, and what it beat")
	graph := &cobra.Command{
		Use:   "graph",
		Short: "Show groups, their children and hosts as a tree",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			inv, err := a.fleet(cmd)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return a.listGroups(inv)
			}
			a.graph(inv)
			return nil
		},
	}
	cmd.AddCommand(list, show, graph)
	return cmd
}

// fleet reads the inventory for a command that needs nothing else.
func (a *app) fleet(cmd *cobra.Command) (*inventory.Inventory, error) {
	l, diags, err := a.load(cmd.Context(), false)
	if err != nil {
		return nil, err
	}
	return l.inventory, a.fail(diags, l.sources)
}

type listedHost struct {
	Name    string                             `json:"name"`
	Address string                             `json:"address"`
	User    string                             `json:"user,omitempty"`
	Port    int                                `json:"port,omitempty"`
	Via     string                             `json:"via,omitempty"`
	Local   bool                               `json:"local,omitempty"`
	Groups  []string                           `json:"groups"`
	Vars    map[string]ctyjson.SimpleJSONValue `json:"vars"`
}

func listed(h *inventory.Host) listedHost {
	t := h.Target()
	out := listedHost{Name: h.Name, Address: h.Address, User: t.User, Port: t.Port, Local: t.Local, Groups: h.Groups, Vars: map[string]ctyjson.SimpleJSONValue{}}
	if out.Groups == nil {
		out.Groups = []string{}
	}
	if t.Via != nil {
		out.Via = t.Via.Name
	}
	for name, v := range h.Vars {
		out.Vars[name] = ctyjson.SimpleJSONValue{Value: v}
	}
	return out
}

func (a *app) listHosts(hosts []*inventory.Host) error {
	if a.output == "json" {
		list := make([]listedHost, len(hosts))
		for i, h := range hosts {
			list[i] = listed(h)
		}
		return view.NewEncoder(a.out).Encode(list)
	}
	name, address := 0, 0
	for _, h := range hosts {
		name, address = max(name, len(h.Name)), max(address, len(h.Address))
	}
	for _, h := range hosts {
		fmt.Fprintln(a.out, strings.TrimRight(fmt.Sprintf("%-*s  %-*s  %s", name, h.Name, address, h.Address, strings.Join(h.Groups, ",")), " "))
	}
	return nil
}

func (a *app) showHost(h *inventory.Host, explain bool) error {
	if a.output == "json" {
		return view.NewEncoder(a.out).Encode(listed(h))
	}
	fmt.Fprintf(a.out, "%s\n  groups: %s\n", h.Name, strings.Join(h.Groups, ", "))
	a.origins("reached", h.Connection(), explain)
	a.origins("vars", h.Origins(), explain)
	return nil
}

// origins prints values and, with explain, where each comes from.
func (a *app) origins(title string, list []inventory.Origin, explain bool) {
	fmt.Fprintf(a.out, "  %s:\n", title)
	type line struct{ text, note string }
	var lines []line
	name, width := 0, 0
	for _, o := range list {
		name = max(name, len(o.Name))
	}
	add := func(text string, o inventory.Origin) {
		lines = append(lines, line{text, fmt.Sprintf("# %s, %s:%d", o.Where, o.At.Filename, o.At.Start.Line)})
		if n := utf8.RuneCountInString(text); n <= 60 {
			width = max(width, n) // a long value pushes only its own note away
		}
	}
	for _, o := range list {
		add(fmt.Sprintf("    %-*s = %s", name, o.Name, literal(o.Value)), o)
		for _, b := range o.Beat {
			if explain {
				add("      beat "+literal(b.Value), b)
			}
		}
	}
	for _, l := range lines {
		if explain {
			l.text = fmt.Sprintf("%-*s  %s", width, l.text, l.note)
		}
		fmt.Fprintln(a.out, view.CleanLine(l.text))
	}
}

// literal is a value as JSON, which is HCL too.
func literal(v cty.Value) string {
	b, err := json.Marshal(ctyjson.SimpleJSONValue{Value: v})
	if err != nil {
		return "(can't be shown)"
	}
	return string(b)
}

// listGroups prints every group but "all" as JSON.
func (a *app) listGroups(inv *inventory.Inventory) error {
	type group struct {
		Name     string   `json:"name"`
		Children []string `json:"children"`
		Hosts    []string `json:"hosts"`   // its own
		Members  []string `json:"members"` // with those of its children
	}
	list := []group{}
	for _, g := range inv.GroupList() {
		if g.Name != inventory.All {
			list = append(list, group{g.Name, append([]string{}, g.Children...), append([]string{}, g.Hosts...), append([]string{}, g.Members...)})
		}
	}
	return view.NewEncoder(a.out).Encode(list)
}

// graph prints the groups that are nobody's children, with all below them.
func (a *app) graph(inv *inventory.Inventory) {
	groups := map[string]*inventory.Group{}
	child := map[string]bool{}
	for _, g := range inv.GroupList() {
		groups[g.Name] = g
		for _, c := range g.Children {
			child[c] = true
		}
	}
	var show func(g *inventory.Group, indent string)
	show = func(g *inventory.Group, indent string) {
		fmt.Fprintf(a.out, "%s%s:\n", indent, g.Name)
		for _, c := range g.Children {
			show(groups[c], indent+"  ")
		}
		for _, h := range g.Hosts {
			fmt.Fprintf(a.out, "%s  %s\n", indent, h)
		}
	}
	grouped := map[string]bool{}
	for _, g := range inv.GroupList() {
		for _, h := range g.Members {
			grouped[h] = grouped[h] || g.Name != inventory.All
		}
		if g.Name != inventory.All && !child[g.Name] {
			show(g, "")
		}
	}
	for _, h := range inv.Hosts() {
		if !grouped[h.Name] {
			fmt.Fprintln(a.out, h.Name)
		}
	}
	for _, b := range inv.Bastions() {
		fmt.Fprintf(a.out, "%s (bastion)\n", b.Name)
	}
}
