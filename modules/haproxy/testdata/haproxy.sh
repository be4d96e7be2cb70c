# What the cases of haproxy stand on, on a lab host.
#   runs [TEXT]    HAProxy runs with the usual configuration, or with TEXT, and nothing is noted
#   say COMMAND    asks the worker that serves
#   worker         the worker's process
#   shown PORT     the number of the certificate that a client is shown
set -eu
[ -n "${MUSTER_LAB_HOST:-}" ] || { echo "not a lab host" >&2; exit 1; }
say() { printf '@1 %s\n' "$1" | socat -t 5 - UNIX-CONNECT:/run/haproxy-master.sock; }
worker() { say 'show info' | sed -n 's/^Pid: //p'; }
of() { say "show servers state ${1%/*}" | awk -v s="${1#*/}" -v n="$2" '$4 == s { print $n }'; }
shown() { echo | openssl s_client -connect 127.0.0.1:$1 -servername site.example 2>/dev/null | openssl x509 -noout -serial; }
usual='global
	server-state-file /var/lib/muster/haproxy/server-state
    user haproxy
    group haproxy

defaults
	load-server-state-from-file global
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend web
    bind 127.0.0.1:8100
    default_backend app

backend app
    server a 127.0.0.1:8081 weight 10
    server b 127.0.0.1:8082
'
# loaded: it is noted that the worker has loaded the files as they are.
loaded() {
	p=$(worker)
	cp /etc/haproxy/haproxy.cfg /var/lib/muster/haproxy/good.cfg
	mkdir -p -m 700 /run/muster /run/muster/stamps
	{
		printf '{"worker":"%s %s","good":"%s","files":{' "$p" "$(sed 's/.*) //' /proc/$p/stat | cut -d' ' -f20)" "$(sha256sum </etc/haproxy/haproxy.cfg | cut -c1-64)"
		for f in /etc/haproxy/certs/*.pem; do
			if [ -e "$f" ] && grep -q /etc/haproxy/certs /etc/haproxy/haproxy.cfg; then printf '"%s":"%s",' "$f" "$(sha256sum <"$f" | cut -c1-64)"; fi
		done
		printf '"/etc/haproxy/haproxy.cfg":"%s"}}' "$(sha256sum </etc/haproxy/haproxy.cfg | cut -c1-64)"
	} >/run/muster/stamps/haproxy
}
listens() { ss -Hltn "sport = :$1" | grep -q .; }
runs() {
	for n in 1 2 3; do
		mkdir -p /srv/www$n
		echo $n >/srv/www$n/index.html
		systemctl -q is-active www$n || {
			systemctl -q reset-failed www$n 2>/dev/null || true
			systemd-run -q --unit=www$n busybox httpd -f -p 127.0.0.1:808$n -h /srv/www$n
			for try in $(seq 50); do listens 808$n && break; sleep 0.1; done
		}
	done
	rm -rf /run/muster/stamps/haproxy /var/lib/muster/haproxy
	mkdir -p -m 700 /var/lib/muster
	mkdir -m 700 /var/lib/muster/haproxy
	printf '1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n' >/var/lib/muster/haproxy/server-state
	printf '%s' "${1-$usual}" >/etc/haproxy/haproxy.cfg
	sleep 0.05 # a worker that is started later than its file was written has loaded it
	systemctl -q reset-failed haproxy
	systemctl restart haproxy
}
