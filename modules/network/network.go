// Package network has the kinds that look after a host's network.
package network

import "muster/modules"

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "nftables", New: func() modules.Module { return &Nftables{} }}}
}
