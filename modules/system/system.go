// Package system has the kinds that set what a system has once: its kernel's parameters and modules,
// its name, time zone and languages, the limits of its users, how its logs are rotated.
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
		{Name: "limits", New: func() modules.Module { return &Limits{} }},
		{Name: "kernel_module", New: func() modules.Module { return &KernelModule{} }},
		{Name: "locale", New: func() modules.Module { return &Locale{} }},
	}
}
