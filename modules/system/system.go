// Package system has the kinds that set the kernel's parameters, the host's name and its time zone.
package system

import (
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "sysctl", NoPrograms: true, Output: SysctlOutput{}, New: func() modules.Module { return &Sysctl{} }},
		{Name: "hostname", NoPrograms: true, New: func() modules.Module { return &Hostname{} }},
		{Name: "timezone", NoPrograms: true, New: func() modules.Module { return &Timezone{} }},
	}
}
