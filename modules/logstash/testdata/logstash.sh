# What the cases of logstash stand on, on a lab host with the stand-in for Logstash
# (tests/cmd/logstash) as /usr/share/logstash/bin/logstash.
#   bare            Logstash is installed as its packages do it: it doesn't run, without pipelines
#   has ID TEXT     a pipeline of muster's, before it is started
#   plain           it runs with the pipelines "shop" on 5044 and "audit" on 5045
#   api PATH        what the node answers
#   pid             its process
#   ephemeral ID    which load of a pipeline runs
#   taken PORT      somebody else listens there
#   keys            the names in its keystore
set -eu
[ -n "${MUSTER_LAB_HOST:-}" ] || { echo "not a lab host" >&2; exit 1; }
etc=/etc/logstash
share=/usr/share/logstash
awaited() { for try in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; echo "waited too long: $*" >&2; return 1; }
api() { bash -c 'exec 9<>/dev/tcp/127.0.0.1/$0 && printf "GET %s HTTP/1.0\r\n\r\n" "$1" >&9 && sed "1,/^\r*\$/d" <&9' ${port:-9600} "$1" 2>/dev/null; }
ephemeral() { api /_node/pipelines | grep -o "\"$1\":{[^}]*}" | sed 's/.*"ephemeral_id":"\([^"]*\)".*/\1/'; }
running() { api /_node/pipelines | grep -q "\"$1\":{"; }
heap() { api /_node/jvm | sed 's/.*"heap_max_in_bytes":\([0-9]*\).*/\1/'; }
pid() { systemctl show -P MainPID logstash; }
same_process() { test "$(pid)" = "$(cat /run/muster-pid-logstash)"; }
listens() { bash -c 'exec 9<>/dev/tcp/127.0.0.1/$0' "$1" 2>/dev/null; }
taken() {
	listens $1 && return
	mkdir -p /run/muster-other
	printf 'path.data: /run/muster-other/data\napi.http.port: 9900\nallow_superuser: true\n' >/run/muster-other/logstash.yml
	printf -- '- pipeline.id: other\n  config.string: "input { tcp { port => %s } } output { null { } }"\n' $1 >/run/muster-other/pipelines.yml
	systemctl reset-failed muster-other 2>/dev/null || true
	systemd-run -q --unit muster-other $share/bin/logstash --path.settings /run/muster-other
	awaited listens $1
}
keystore() { $share/bin/logstash-keystore --path.settings $etc "$@"; }
keys() { keystore list | sed '/^$/d'; }
put() { printf '%s\n' "$2" | keystore add "$1" --stdin >/dev/null; }
installed() {
	getent passwd logstash >/dev/null || useradd --system --home /usr/share/logstash --shell /usr/sbin/nologin logstash
	mkdir -p $share/bin $etc/conf.d /var/lib/logstash /var/log/logstash
	ln -f $share/bin/logstash $share/bin/logstash-keystore
	chown logstash:logstash /var/lib/logstash /var/log/logstash
	# As in the package: pkg/service_templates and pkg/debian of Logstash's source.
	cat >/lib/systemd/system/logstash.service <<'UNIT'
[Unit]
Description=logstash

[Service]
Type=simple
User=logstash
Group=logstash
EnvironmentFile=-/etc/default/logstash
EnvironmentFile=-/etc/sysconfig/logstash
ExecStart=/usr/share/logstash/bin/logstash "--path.settings" "/etc/logstash"
Restart=always
WorkingDirectory=/
Nice=19
LimitNOFILE=16384
TimeoutStopSec=infinity

[Install]
WantedBy=multi-user.target
UNIT
	systemctl daemon-reload
}
bare() {
	[ -e $share/bin/logstash-keystore ] && [ -d $etc ] || installed
	systemctl stop logstash 2>/dev/null || true
	systemctl reset-failed logstash 2>/dev/null || true
	rm -rf $etc/muster.d $etc/conf.d/* $etc/logstash.keystore /var/lib/muster/logstash /etc/default/logstash
	printf '# Settings file in YAML\npath.data: /var/lib/logstash\n\n# pipeline.workers: 2\npath.logs: /var/log/logstash # as Debian has it\n' >$etc/logstash.yml
	printf '# This file is where you define your pipelines.\n\n- pipeline.id: main\n  path.config: "/etc/logstash/conf.d/*.conf"\n' >$etc/pipelines.yml
	printf '## JVM configuration\n\n-Xms1g\n-Xmx1g\n\n-Djava.awt.headless=true\n' >$etc/jvm.options
}
has() {
	mkdir -p $etc/muster.d
	printf '%s\n' "$2" >$etc/muster.d/$1.conf
	chgrp logstash $etc/muster.d/$1.conf
	chmod 640 $etc/muster.d/$1.conf
	printf -- '- pipeline.id: "%s"\n  path.config: "/etc/logstash/muster.d/%s.conf"\n' $1 $1 >>$etc/pipelines.yml
}
own() { printf '# Ours.\n' >$etc/pipelines.yml; }
started() {
	systemctl reset-failed logstash 2>/dev/null || true
	systemctl restart logstash
	awaited api /_node/pipelines
	awaited settled
	pid >/run/muster-pid-logstash
}
settled() { for f in $etc/muster.d/*.conf; do [ ! -e $f ] || running $(basename $f .conf); done; }
beats() { printf 'input { beats { port => %s } }\noutput { null { } }' "$1"; }
plain() {
	bare
	own
	has shop "$(beats 5044)"
	has audit "$(beats 5045)"
	started
	ephemeral shop >/run/muster-shop
	ephemeral audit >/run/muster-audit
}
