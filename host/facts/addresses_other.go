//go:build !linux

package facts

import "net/netip"

// addressesByIndex knows none: facts are gathered on Linux alone.
func addressesByIndex() map[int][]netip.Prefix { return nil }
