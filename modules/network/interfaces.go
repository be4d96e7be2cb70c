package network

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// interfaces finds those that rules name and that aren't there. One that an earlier task
// makes, as an end of a VPN, will be.
func (n *Nftables) interfaces(ctx context.Context, v *host.View) error {
	if len(n.Interfaces) == 0 {
		return nil
	}
	// In a container /sys may show those of another network namespace.
	c := host.Command{Argv: []string{"cat", "/proc/net/dev"}}
	out, err := v.Query(ctx, c, host.Key{Space: "links", Name: host.All})
	if err == nil && out.ExitCode != 0 {
		err = &host.ExitError{Argv: c.Argv, Output: out}
	}
	if err != nil {
		return err
	}
	var there []string
	for line := range strings.Lines(string(out.Stdout)) {
		if name, _, ok := strings.Cut(line, ":"); ok { // the head's two lines have none
			there = append(there, strings.TrimSpace(name))
		}
	}
	slices.Sort(there)
	for i, name := range n.Interfaces {
		value, laid, _, err := v.Look(host.Key{Space: "wireguard", Name: name})
		switch {
		case err != nil:
			return err
		case !laid && !slices.Contains(there, name) && (v.Tainted() || len(v.Laid(host.Units)) > 0):
			return host.NotYet(host.Key{Space: "links", Name: name}) // a command, or a unit that starts, may make it
		case laid && value == nil || !laid && !slices.Contains(there, name):
			return modules.ArgError{Arg: "interfaces", Path: fmt.Sprintf("[%d]", i), Summary: "No such interface",
				Detail: fmt.Sprintf("This host has no interface %s, and no earlier task makes it. It has %s.", name, strings.Join(there, ", "))}
		}
	}
	return nil
}
