// Package all lists the kinds that muster has.
package all

import (
	"slices"

	"muster/modules"
	"muster/modules/account"
	"muster/modules/docker"
	"muster/modules/file"
	"muster/modules/haproxy"
	"muster/modules/hosts"
	"muster/modules/message"
	"muster/modules/mysql"
	"muster/modules/network"
	"muster/modules/packages"
	"muster/modules/probe"
	"muster/modules/program"
	"muster/modules/rotation"
	"muster/modules/system"
	"muster/modules/systemd"
)

// Registry returns the registry of all kinds.
func Registry() *modules.Registry {
	return modules.NewRegistry(slices.Concat(
		file.Kinds(), haproxy.Kinds(),
		packages.Kinds(),
		systemd.Kinds(),
		account.Kinds(),
		program.Kinds(),
		probe.Kinds(),
		system.Kinds(),
		hosts.Kinds(),
		network.Kinds(),
		docker.Kinds(),
		mysql.Kinds(),
		message.Kinds(),
		rotation.Kinds(),
	)...)
}
