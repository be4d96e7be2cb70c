package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"muster/host"
)

// bridgeName is the option that gives the interface of a network another name than
// br-ID.
const bridgeName = "com.docker.network.bridge.name"

// cutsOff refuses a subnet that the host itself is in: Docker takes it, and what comes
// from there is answered into the containers' network from then on. A network of the
// drivers macvlan and ipvlan is meant to be there.
func cutsOff(ctx context.Context, v *host.View, want, was networkSpec) error {
	if want.Driver != "bridge" || len(want.Pools) == 0 {
		return nil
	}
	list, err := listNetworks(ctx, v)
	if err != nil {
		return err
	}
	dockers := map[string]bool{"docker0": true}
	for _, n := range list {
		dockers[n.Options[bridgeName]] = true
	}
	for _, family := range []string{"-4", "-6"} {
		out, err := v.Query(ctx, host.Command{Argv: []string{"ip", family, "-j", "route"}})
		if errors.Is(err, host.ErrNoProgram) {
			return nil // nobody can tell
		}
		if err != nil {
			return err
		}
		var routes []struct{ Dst, Dev, Gateway string }
		_ = json.Unmarshal(out.Stdout, &routes) // what isn't read is no reason to refuse anything
		for _, r := range routes {
			to, err := netip.ParsePrefix(r.Dst)
			if err != nil || r.Gateway != "" || strings.HasPrefix(r.Dev, "br-") || dockers[r.Dev] || to.Addr().IsLinkLocalUnicast() {
				continue
			}
			for _, p := range want.Pools {
				if !was.has(p.Subnet) && p.Subnet.Overlaps(to) {
					return fmt.Errorf("the subnet %s of the network %s overlaps with %s, which the host itself is in (%s): it would be cut off from it; give the network another", p.Subnet, want.Name, to, r.Dev)
				}
			}
		}
	}
	return nil
}

// has reports whether a subnet is the network's already.
func (n networkSpec) has(subnet netip.Prefix) bool {
	for _, p := range n.Pools {
		if p.Subnet == subnet {
			return true
		}
	}
	return false
}
