# What the cases' scripts share: . "$ENGINE". Only for a disposable host.
set -eu
[ -n "${MUSTER_LAB_HOST:-}" ] || { echo "not a lab host" >&2; exit 1; }

# settings TEXT: daemon.json holds that, "" for none; nothing is noted of the daemon, and
# its unit is its own.
settings() {
	rm -f /run/muster/stamps/docker-engine
	if [ -e /etc/systemd/system/docker.service.d ]; then
		rm -r /etc/systemd/system/docker.service.d
		systemctl daemon-reload
	fi
	if [ -n "$1" ]; then
		printf '%s\n' "$1" >/etc/docker/daemon.json
	else
		rm -f /etc/docker/daemon.json
	fi
}

# engine TEXT: the daemon runs with these settings.
engine() {
	settings "$1"
	systemctl -q reset-failed docker.service docker.socket
	systemctl restart docker.service
}

# box: a container of that name runs.
box() {
	docker container inspect box >/dev/null 2>&1 || {
		mkdir -p /run/box/bin
		cp /bin/busybox /run/box/bin/sh
		tar -C /run/box -cf - . | docker import - box >/dev/null
		docker run -d --stop-signal KILL --network none --name box box /bin/sh -c 'while true; do read x </dev/zero; done' >/dev/null
	}
	docker start box >/dev/null
}
