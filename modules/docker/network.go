package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"muster/host"
	"muster/modules"
)

// Network is a network of Docker's that containers are joined to. Docker can't alter
// one: where it has to be another it is made anew, which is refused while containers
// belong to it. Options and labels that somebody else has set stay.
type Network struct {
	// The network's name. Docker's own, bridge, host and none, can't be managed.
	Name string `arg:"name,key,required"`
	// What makes it: bridge, macvlan, ipvlan, overlay, or a plugin.
	Driver string `arg:"driver" means:"bridge"`
	// The driver's options.
	Options map[string]string `arg:"options"`
	// Labels.
	Labels map[string]string `arg:"labels"`
	// The addresses of its containers, such as "10.20.0.0/24": one for IPv4, one for
	// IPv6, or both. By default Docker chooses one that is free.
	Subnet modules.OneOrMore `arg:"subnet"`
	// The host's own address in a subnet; by default the first.
	Gateway modules.OneOrMore `arg:"gateway"`
	// The part of a subnet that Docker gives containers addresses of; by default all
	// of it.
	IPRange modules.OneOrMore `arg:"ip_range"`
	// Whether it is cut off from other networks. By default it isn't.
	Internal *bool `arg:"internal"`
	// Whether it has IPv6 addresses. By default it has if one of its subnets is IPv6.
	IPv6 *bool `arg:"ipv6"`
	// Whether it is there at all. One that containers belong to can't be removed.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// NetworkOutput is what a task of the kind offers.
type NetworkOutput struct {
	// What Docker calls it.
	ID string `json:"id"`
	// Its subnets, also those that Docker has chosen.
	Subnets []string `json:"subnets"`
}

// Withhold hides the lines of what is sensitive.
func (n *Network) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "driver", "options", "labels", "subnet", "gateway", "ip_range", "internal", "ipv6")
}

// May is the network.
func (n *Network) May() []host.Effect { return []host.Effect{host.Open(networks, n.Name)} }

// Plan compares the network with what is declared of it.
func (n *Network) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	now, err := readNetwork(ctx, v, n.Name)
	switch {
	case err != nil:
		return modules.Plan{}, err
	case n.State == "absent" && now == nil:
		return modules.Plan{}, nil
	case n.State == "absent":
		if err := n.free(ctx, v, *now, "can't be removed"); err != nil {
			return modules.Plan{}, err
		}
		return modules.Plan{Changes: []host.Change{&RemoveNetwork{Network: *now}}, Atomic: true}, nil
	}
	plan := modules.Plan{Atomic: true}
	was := networkSpec{Name: n.Name, Driver: "bridge", IPAM: "default"}
	if now != nil {
		was = *now
	}
	want, diff := n.from(was)
	if now != nil && diff == nil {
		out := NetworkOutput{ID: now.ID, Subnets: []string{}}
		for _, p := range now.Pools {
			out.Subnets = append(out.Subnets, p.Subnet.String())
		}
		if now.ID != "" {
			plan.Output, err = json.Marshal(out)
		}
		return plan, err
	}
	if err := driven(ctx, v, "network", want.Driver); err != nil {
		return modules.Plan{}, err
	}
	if err := overlaps(ctx, v, want, was); err != nil {
		return modules.Plan{}, err
	}
	if err := cutsOff(ctx, v, want, was); err != nil {
		return modules.Plan{}, err
	}
	create := &CreateNetwork{Network: want, Diff: strings.Join(diff, "\n")}
	if now == nil {
		create.Diff = strings.Join(want.lines(), "\n")
	} else {
		if err := n.free(ctx, v, *now, "would have to be made anew ("+strings.Join(diff, "; ")+"), since Docker can't alter one"); err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, &RemoveNetwork{Network: *now, Note: "is made anew: Docker can't alter a network"})
	}
	plan.Changes = append(plan.Changes, create)
	return plan, nil
}

// free refuses what can't be done while containers belong to the network.
func (n *Network) free(ctx context.Context, v *host.View, now networkSpec, what string) error {
	names, err := usedBy(ctx, v, now.joins)
	if err != nil || len(names) == 0 {
		return err
	}
	return fmt.Errorf("the network %s %s while containers belong to it: %s. Remove these in an earlier task, or take them out of it: docker network disconnect %s CONTAINER", n.Name, what, strings.Join(names, ", "), n.Name)
}
