// Package system has the kinds that set what a system has once: its kernel's parameters, its name,
// its time zone, how its logs are rotated.
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
		{Name: "logrotate", New: func() modules.Module { return &Logrotate{} }},
	}
}
