# What the cases of redis stand on, on a lab host with Debian's redis-server.
#   plain              Redis runs with the packages' file, without keys, users and notes
#   runs LINE…         the same, with these lines at the end of its file
#   rc ARG…            tells it something, and prints its answer
#   as USER PASSWORD ARG…  the same, logged in
#   get NAME           what it runs with
#   pid                its process
#   beside             another Redis on 127.0.0.1:6390, with the key "there"
#   follows            plain, and a replica of that
set -eu
[ -n "${MUSTER_LAB_HOST:-}" ] || { echo "not a lab host" >&2; exit 1; }
conf=/etc/redis/redis.conf
rc() { redis-cli "$@"; }
as() { local user=$1 password=$2; shift 2; REDISCLI_AUTH=$password redis-cli --user "$user" "$@" 2>&1; }
get() { redis-cli CONFIG GET "$1" | tail -n +2; }
pid() { systemctl show -P MainPID redis-server; }
line() { grep -v '^#' $conf | grep "^$1 " || true; }
awaited() { for try in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; echo "waited too long: $*" >&2; return 1; }
pong() { redis-cli -p "${1:-6379}" PING 2>&1 | grep -qE "PONG|NOAUTH"; }
# Started once in a while it would be too often for systemd.
restarted() { systemctl reset-failed redis-server 2>/dev/null || true; systemctl "${1:-restart}" redis-server; }
runs() {
	[ -e /root/redis.conf.orig ] || cp -p $conf /root/redis.conf.orig
	systemctl stop redis-server
	cp -p /root/redis.conf.orig $conf
	for line in "$@"; do printf '%s\n' "$line" >>$conf; done
	rm -rf /var/lib/redis/* /var/lib/muster/redis
	restarted start
	awaited pong
}
plain() { runs; }
beside() {
	systemctl stop muster-beside 2>/dev/null || true
	systemctl reset-failed muster-beside 2>/dev/null || true
	systemd-run -q --unit muster-beside --collect redis-server --port 6390 --bind 127.0.0.1 --save '' --repl-diskless-sync-delay 0 --dir /tmp "$@"
	awaited pong 6390
	redis-cli -p 6390 SET there 1 >/dev/null
}
linked() { redis-cli INFO replication | grep -q '^master_link_status:up'; }
follows() {
	beside
	runs 'replicaof 127.0.0.1 6390'
	awaited linked
}
# noted: muster has last set this primary.
noted() { mkdir -p -m 700 /var/lib/muster/redis; echo "$1" >/var/lib/muster/redis/replica_of; chmod 600 /var/lib/muster/redis/replica_of; }
sum() { printf %s "$1" | sha256sum | cut -c1-64; }
# worked_out USER: it is noted what Redis has made of -@all +@read -@dangerous.
worked_out() {
	mkdir -p -m 700 /var/lib/muster/redis /var/lib/muster/redis/users
	{ echo '-@all +@read -@dangerous'; rc ACL LIST | sed -n "s/^user $1 .*resetchannels //p"; } >/var/lib/muster/redis/users/$(sum $1 | cut -c1-32)
}
