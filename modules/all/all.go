// Package all lists the kinds that muster has.
package all

import (
	"slices"

	"muster/modules"
	"muster/modules/account"
	"muster/modules/archive"
	"muster/modules/certificate"
	"muster/modules/cron"
	"muster/modules/docker"
	"muster/modules/fetch"
	"muster/modules/file"
	"muster/modules/git"
	"muster/modules/haproxy"
	"muster/modules/hosts"
	"muster/modules/logstash"
	"muster/modules/memcached"
	"muster/modules/message"
	"muster/modules/mount"
	"muster/modules/mysql"
	"muster/modules/network"
	"muster/modules/openssh"
	"muster/modules/packages"
	"muster/modules/probe"
	"muster/modules/program"
	"muster/modules/reboot"
	"muster/modules/redis"
	"muster/modules/repository"
	"muster/modules/rotation"
	"muster/modules/system"
	"muster/modules/systemd"
	"muster/modules/web"
	"muster/modules/wireguard"
)

// Registry returns the registry of all kinds.
func Registry() *modules.Registry {
	return modules.NewRegistry(slices.Concat(
		file.Kinds(), fetch.Kinds(), haproxy.Kinds(),
		packages.Kinds(),
		repository.Kinds(),
		certificate.Kinds(),
		systemd.Kinds(),
		account.Kinds(),
		program.Kinds(),
		git.Kinds(),
		probe.Kinds(),
		reboot.Kinds(),
		web.Kinds(),
		archive.Kinds(),
		system.Kinds(),
		hosts.Kinds(),
		cron.Kinds(),
		network.Kinds(),
		openssh.Kinds(),
		mount.Kinds(),
		docker.Kinds(),
		mysql.Kinds(),
		redis.Kinds(),
		wireguard.Kinds(),
		memcached.Kinds(),
		logstash.Kinds(),
		message.Kinds(),
		rotation.Kinds(),
	)...)
}
