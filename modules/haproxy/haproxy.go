// Package haproxy has the kinds that set up HAProxy: its configuration, with
// certificates and maps, and the state of its servers.
package haproxy

import "muster/modules"

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind { return nil }
