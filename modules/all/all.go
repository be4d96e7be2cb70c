// Package all lists the kinds that muster has.
package all

import (
	"slices"

	"muster/modules"
	"muster/modules/file"
)

// Registry returns the registry of all kinds.
func Registry() *modules.Registry {
	return modules.NewRegistry(slices.Concat(
		file.Kinds(),
	)...)
}
