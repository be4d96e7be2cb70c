# What the cases of memcached stand on, on a lab host with Debian's memcached and openssl.
#   plain         Memcached runs with the packages' file
#   runs LINE…    it runs with a file of muster's with these lines behind the usual ones
#   mc LINE…      tells it these lines, and prints its answers
#   setting NAME  what it runs with
#   pid           its process
#   filled        has 3 items
#   certificate   makes one, and its key, in /etc/memcached-tls
#   started LINE… its unit starts it with these lines of a unit file
set -eu
[ -n "${MUSTER_LAB_HOST:-}" ] || { echo "not a lab host" >&2; exit 1; }
conf=/etc/memcached.conf
at=127.0.0.1 port=11211
mc() { printf '%s\r\n' "$@" quit | timeout "${wait:-5}" bash -c 'exec 9<>/dev/tcp/$0/$1; cat >&9; tr -d "\r" <&9' $at $port; }
setting() { mc 'stats settings' | sed -n "s/^STAT $1 //p"; }
pid() { pidof memcached; }
items() { mc stats | sed -n 's/^STAT curr_items //p'; }
awaited() { for try in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; echo "waited too long: $*" >&2; return 1; }
answers() { bash -c 'exec 9<>/dev/tcp/$0/$1' $at $port 2>/dev/null; }
restarted() {
	rm -rf /run/systemd/system/memcached.service.d
	systemctl daemon-reload
	systemctl reset-failed memcached 2>/dev/null || true; systemctl restart memcached
	awaited answers
}
plain() {
	[ -e /root/memcached.conf.orig ] || cp -p $conf /root/memcached.conf.orig
	cp -p /root/memcached.conf.orig $conf
	rm -f /etc/memcached.auth
	restarted
}
text() {
	local listen='-l 127.0.0.1'
	case "${1:-}" in -l*) listen=$1; shift ;; esac
	printf '# Written by muster, by a task "memcached": what is changed here is overwritten.\n-u memcache\n-P /var/run/memcached/memcached.pid\n%s\n-p 11211\n-U 0\n-m 64\n-c 1024\n-t 4\n-I 1m\n' "$listen"
	for line in "$@"; do printf '%s\n' "$line"; done
}
runs() {
	[ -e /root/memcached.conf.orig ] || cp -p $conf /root/memcached.conf.orig
	text "$@" >$conf
	restarted
}
started() {
	mkdir -p /run/systemd/system/memcached.service.d
	{ echo '[Service]'; for line in "$@"; do printf '%s\n' "$line"; done; } >/run/systemd/system/memcached.service.d/case.conf
	systemctl daemon-reload
}
filled() { mc 'set a 0 0 1' 1 'set b 0 0 1' 2 'set c 0 0 1' 3 >/dev/null; pid >/run/muster-pid-memcached; }
same_process() { test "$(pid)" = "$(cat /run/muster-pid-memcached)"; }
shut() {
	printf 'shop:old-one\n' >/etc/memcached.auth
	chgrp memcache /etc/memcached.auth
	chmod 640 /etc/memcached.auth
	runs "$@" '-Y /etc/memcached.auth'
	pid >/run/muster-pid-memcached
}
lets() { wait=0.5 mc "set x 0 0 $((${#1} + ${#2} + 1))" "$1 $2" 'get nothing' | grep -q '^END'; }
certificate() {
	rm -rf /etc/memcached-tls
	mkdir -p /etc/memcached-tls
	openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=cache1 -days 2 -keyout /etc/memcached-tls/key.pem -out /etc/memcached-tls/cert.pem 2>/dev/null
	chgrp -R memcache /etc/memcached-tls
	chmod 640 /etc/memcached-tls/*
}
