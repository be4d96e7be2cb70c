# What the cases of haproxy_server stand on: HAProxy with three backends, on a lab host.
#   farm [LINES]   writes the configuration, with more lines, and has HAProxy run with it
#   say COMMAND    asks HAProxy
#   of SERVER N    the N-th field of a server's state
#   up SERVER      waits until the server's check has passed
#   hold SECONDS PORT  a client that keeps a connection open
#   noted BACKEND SERVER STATE WEIGHT AGENT LEFT  the note of a run that was killed
#   plain          no notes, no sessions, all servers as the configuration has them
say() { printf '@1 %s\n' "$1" | socat -t 5 - UNIX-CONNECT:/run/haproxy-master.sock; }
of() { say "show servers state ${1%/*}" | awk -v s="${1#*/}" -v n="$2" '$4 == s { print $n }'; }
up() { for try in $(seq 100); do [ "$(of "$1" 13)" = 4 ] && return; sleep 0.1; done; echo "$1 isn't up" >&2; return 1; }
hold() { (sleep "$1" | busybox nc 127.0.0.1 "$2") >/dev/null 2>&1 </dev/null & for try in $(seq 50); do say "show stat -1 4 -1" | grep -q "^[^,]*,[^,]*,[0-9]*,[0-9]*,[1-9]" && return; sleep 0.1; done; return 1; }
noted() {
	mkdir -p -m 700 /var/lib/muster /var/lib/muster/haproxy /var/lib/muster/haproxy/drained /var/lib/muster/haproxy/drained/$1
	printf '{"backend":"%s","server":"%s","state":"%s","weight":%s,"initial":%s,"agent":%s,"left":["%s"],"settled":true,"run":"3f2a","invocation":"%s"}' \
		$1 $2 $3 $4 "$(of $1/$2 9)" $5 $6 "${7-$(systemctl show -P InvocationID haproxy)}" >/var/lib/muster/haproxy/drained/$1/$2
	chmod 600 /var/lib/muster/haproxy/drained/$1/$2
}
sessions() { say "show stat -1 4 -1" | awk -F, -v b="${1%/*}" -v s="${1#*/}" '$1 == b && $2 == s { print $5 }'; }
reload() { was=$(systemctl show -P MainPID haproxy); n=$(echo "show proc" | socat - UNIX-CONNECT:/run/haproxy-master.sock | awk '$2 == "master" { print $3 }'); systemctl reload haproxy; for try in $(seq 50); do [ "$(echo "show proc" | socat - UNIX-CONNECT:/run/haproxy-master.sock | awk '$2 == "master" { print $3 }')" != "$n" ] && say "show info" | grep -q Version && return; sleep 0.1; done; }
listens() { ss -Hltn "sport = :$1" | grep -q .; }
farm() {
	printf 'ready up\n' >/tmp/agent-says
	[ -x /tmp/agent.sh ] || { # it may be running
		printf '#!/bin/sh\ncat /tmp/agent-says\n' >/tmp/agent.new
		chmod +x /tmp/agent.new
		mv /tmp/agent.new /tmp/agent.sh
	}
	mkdir -p /srv/www
	echo ok >/srv/www/index.html
	for port in 8081 8082 8083; do listens $port || busybox httpd -p 127.0.0.1:$port -h /srv/www; done
	# In / : each check starts the agent anew, and a shell looks at the folder that it is in.
	listens 9001 || (cd / && exec setsid busybox nc -ll -p 9001 -e /tmp/agent.sh) >/dev/null 2>&1 </dev/null &
	listens 9002 || (cd / && exec setsid busybox nc -ll -p 9002 -e /bin/cat) >/dev/null 2>&1 </dev/null &
	cat >/etc/haproxy/haproxy.cfg <<X
global
	stats socket /run/haproxy/admin.sock mode 660 level admin
	user haproxy
	group haproxy
defaults
	mode tcp
	timeout connect 2s
	timeout client 60s
	timeout server 60s
listen tcp
	bind 127.0.0.1:8090
	server t1 127.0.0.1:9002 weight 100
	server t2 127.0.0.1:9002
backend app
	mode http
	server app1 127.0.0.1:8081 check inter 100ms weight 10
	server app2 127.0.0.1:8082 check inter 100ms
	server app3 127.0.0.1:8083 disabled
backend agent
	server a1 127.0.0.1:8081 agent-check agent-port 9001 agent-inter 100ms
	server a2 127.0.0.1:8082 check inter 100ms
backend one
	server only 127.0.0.1:8081
	server sick 127.0.0.1:8089 check inter 100ms
	server spare 127.0.0.1:8082 backup
X
	printf '%b' "${1-}" >>/etc/haproxy/haproxy.cfg
	rm -rf /var/lib/muster/haproxy
	systemctl reset-failed haproxy
	systemctl restart haproxy
	up app/app1
	up app/app2
	for try in $(seq 100); do [ "$(of one/sick 6)" = 0 ] && break; sleep 0.1; done
}
plain() {
	rm -rf /var/lib/muster/haproxy
	for s in app/app1 app/app2 agent/a1 one/only one/spare tcp/t1; do
		say "set server $s state ready"
		say "set weight $s 100%"
		say "shutdown sessions server $s"
	done
	say "set server app/app3 state maint"
	say "enable agent agent/a1"
	up app/app1
	up app/app2
	for try in $(seq 100); do [ "$(of one/sick 6)" = 0 ] && break; sleep 0.1; done
} >/dev/null
