package network

import (
	"context"
	"errors"
	"testing"

	"muster/host"
	"muster/modules"
)

// links is a host whose interfaces are lo and eth0.
type links struct{}

func (links) Run(context.Context, host.Command) (host.Output, error) {
	return host.Output{Stdout: []byte("Inter-|   Receive\n face |bytes\n  eth0: 1 2\n    lo:0 0\n")}, nil
}

func TestAnInterfaceThatIsToComeIsThere(t *testing.T) {
	bare := host.NewView(&host.Host{Runner: links{}}, nil)
	tunnel := host.Key{Space: "wireguard", Name: "wg0"}
	var none modules.ArgError
	for _, c := range []struct {
		what, name string
		v          *host.View
		is         func(error) bool
	}{
		{"one that is there", "eth0", bare, func(err error) bool { return err == nil }},
		{"one that isn't", "wg0", bare, func(err error) bool { return errors.As(err, &none) && none.Path == "[0]" }},
		{"one that an earlier task makes", "wg0", bare.Behind([]host.Effect{host.Is(tunnel, struct{}{})}), func(err error) bool { return err == nil }},
		{"one that an earlier task takes away", "wg0", bare.Behind([]host.Effect{host.Gone(tunnel)}), func(err error) bool { return errors.As(err, &none) }},
		{"one that a unit may make", "br0", bare.Behind([]host.Effect{host.Open(host.Units, "networking.service")}), func(err error) bool { return errors.Is(err, host.ErrNotYet) }},
	} {
		if err := (&Nftables{Interfaces: []string{c.name}}).interfaces(t.Context(), c.v); !c.is(err) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
