// Package openssh has the kinds that keep what OpenSSH reads on a host: the keys of the hosts
// that it knows, and the settings of its server.
package openssh

import "muster/modules"

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "known_hosts", NoPrograms: true, New: func() modules.Module { return &KnownHosts{} }},
		{Name: "sshd_config", New: func() modules.Module { return &SSHD{} }},
	}
}
