#!/bin/bash
# The tests that need real hosts: tests/real.sh [kinds] [flavors] [real] [clusters] [lab],
# all of them where none is named. None of them may skip itself.
#   kinds  the cases of kinds that edit the machine itself
#   flavors  cases of the database kinds on MariaDB 11.8 and MySQL 9.7, as far as Debian's
#            mirror has them
#   real   whole runs of muster, and where secrets could get to in them
#   clusters  database servers that replicate, from bare hosts, and whose users are rotated
#   lab    the lab's own tests
# With MUSTER_ALL_CUTS=1 kinds are cut at more places than make test has time for.
# What they ran is kept in the folder $RESULTS, if that is given.
. "$(dirname "$0")/setup.sh"
needs "tests/real.sh"
stages=(kinds flavors real clusters lab)
wanted=("$@")
[ $# -gt 0 ] || wanted=("${stages[@]}")
wants() { [[ " ${wanted[*]} " = *" $1 "* ]]; }
for word in "${wanted[@]}"; do
	[[ " ${stages[*]} " = *" $word "* ]] || { echo "tests/real.sh: there is no $word, only ${stages[*]}" >&2; exit 1; }
done

logs=$(mktemp -d)
results=${RESULTS:-$logs}
lab=bin/lab
trap 'rm -rf "$logs"' EXIT
go build -o $lab ./tests/cmd/lab
go build -o bin/results ./tests/cmd/results

# stage NAME COMMAND…: runs tests, their output kept apart until their end. What
# fails is shown then; a skipped test is a failure.
stage() {
	local name=$1 log=$logs/$1
	if "${@:2}" 2>"$log.err" | bin/results record -strict "$results/$name.json" >"$log" 2>&1; then
		cat "$log"
	else
		cat "$log" "$log.err"
		echo "FAIL $name" >&2
		return 1
	fi
}

# begin COMMAND…: runs it in the background; finish waits for all that run.
pids=()
begin() { "$@" & pids+=($!); }
finish() {
	local failed=0 pid
	for pid in "${pids[@]}"; do
		wait "$pid" || failed=1
	done
	[ $failed = 0 ] || exit 1
}

# kind NAME HOST PACKAGE ARGUMENT…: runs the cases of a package of kinds, which
# edit the machine itself, on a host.
kind() {
	local name=$1 host=$2 package=$3 cases=testdata
	[ -d "modules/$package/testdata" ] || cases=
	tar -C "modules/$package" -cf - $cases -C "$PWD/bin" "$package.test" | $lab root "$host" sh -c "mkdir /root/$name && tar -C /root/$name -xf -"
	stage "kinds-$name" cases "$@"
}

# cases NAME HOST PACKAGE ARGUMENT…: see kind.
cases() {
	nice -n 5 $lab root "$2" sh -c 'package=$1; shift; cd "/root/$0" && MUSTER_LAB_HOST=1 MUSTER_ALL_CUTS='"${MUSTER_ALL_CUTS:-}"' exec "./$package.test" -test.v=test2json -test.timeout 25m "$@"' "$1" "$3" "${@:4}" |
		go tool test2json -t -p "muster/modules/$3"
}

# wholes runs what brings up labs of its own, one after the other.
wholes() {
	local failed=0
	if wants real; then
		stage real env MUSTER_REAL=1 go test -json -count=1 -timeout 60m ./tests/real || failed=1
		stage real-canary env MUSTER_REAL=1 go test -json -count=1 -timeout 20m -run OnRealHosts ./tests/canary || failed=1
	fi
	if wants clusters; then
		stage clusters env MUSTER_REAL=1 go test -json -count=1 -timeout 40m -p 1 ./tests/mysql ./tests/rotate || failed=1
	fi
	if wants lab; then
		stage lab env MUSTER_LAB_TEST=1 go test -json -count=1 -timeout 20m ./tests/lab/... || failed=1
	fi
	return $failed
}

# flavors runs cases on servers that bookworm doesn't have, in a lab of their own.
flavors() {
	local code=0 name=TestConformance
	export MUSTER_LAB_ID=flavor
	trap '$lab down 2>/dev/null' EXIT
	CGO_ENABLED=0 go test -c -o bin/flavors/mysql.test ./modules/mysql
	$lab up -hosts db1,db2 -suite db1=trixie,db2=sid
	tar -C modules/mysql -cf - testdata -C "$PWD/bin/flavors" mysql.test | $lab root db1 sh -c 'mkdir /root/mysql-11 && tar -C /root/mysql-11 -xf -'
	tar -C modules/mysql -cf - testdata -C "$PWD/bin/flavors" mysql.test | $lab root db2 sh -c 'mkdir /root/mysql-9 && tar -C /root/mysql-9 -xf -'
	$lab root db1 sh -c 'apt-get install -qy --no-install-recommends mariadb-server >/root/install.log 2>&1 || { cat /root/install.log; exit 1; }'
	# Those whose cutting takes minutes are cut on 10.11.
	stage flavors-mariadb11 cases mysql-11 db1 mysql -test.run "$name/(server_(unchanged|unknown|wrong_value|failing|certificate_wrong|stopped)|database_.*|user_(new|both|password|dual|all_privileges|columns|ed25519)|query_.*)$"
	$lab offers db2 mysql-server >"$logs/offers" 2>&1 || code=$?
	if [ $code = 3 ]; then # it may come back, or not
		for test in TestMySQL TestCloneAccountsLastAsLongAsTheirStreams TestACloneThatFailsBeforeDataGoesLeavesNoNote; do
			bin/results excuse "$results/flavors-$test.json" modules/mysql $test "Debian's sid has no mysql-server at the moment"
		done
		cat "$logs/offers"
		return
	elif [ $code != 0 ]; then
		cat "$logs/offers"
		return 1
	fi
	# In memory, MySQL starts in a second instead of eight.
	$lab root db2 sh -c 'mkdir -p /var/lib/mysql && mount -t tmpfs none /var/lib/mysql && apt-get install -qy --no-install-recommends mysql-server openssl >/root/install.log 2>&1 || { cat /root/install.log; exit 1; }'
	stage flavors-mysql9 cases mysql-9 db2 mysql -test.run '^(TestMySQL|TestCopyUnderWrites|TestCopyKilledAtEachStep|TestCopyOfADonorThatFails|TestCloneAccountsLastAsLongAsTheirStreams|TestACloneThatFailsBeforeDataGoesLeavesNoNote)$'
}

# kinds runs the cases of each package of kinds, on a host of a lab of their own, two
# packages at a time: they take all of the processor.
kinds() {
	export MUSTER_LAB_ID=kinds
	trap '$lab down 2>/dev/null' EXIT
	for package in packages repository certificate systemd cron account system network openssh mount docker haproxy mysql redis memcached wireguard logstash all; do
		CGO_ENABLED=0 go test -c -o "bin/$package.test" "./modules/$package"
	done
	$lab up -hosts app1,app2,cache1,db1,db2,db3,lb1,log1 -docker log1
	# Logstash can't be had: a stand-in takes its place.
	CGO_ENABLED=0 go build -o bin/logstash-standin ./tests/cmd/logstash
	$lab root db1 sh -c 'mkdir -p /usr/share/logstash/bin && cat >/usr/share/logstash/bin/logstash && chmod 755 /usr/share/logstash/bin/logstash' <bin/logstash-standin
	# Docker is there before its cases: they take one that runs.
	prepare db3 logrotate locales kmod
	prepare db2 wireguard-tools wireguard-go iproute2
	prepare log1 docker.io docker-registry busybox-static curl iproute2
	prepare lb1 haproxy busybox socat openssl redis-server memcached
	prepare cache1 mariadb-server mariadb-backup
	local slow='TestConformance/package_(old_lists|started_once)$'
	local failed=0
	# What takes longest comes first; those of one host don't stand beside each other.
	queue 2 <<EOF || failed=1
kind mysql cache1 mysql -test.skip ^(TestMySQL|TestCloneAccountsLastAsLongAsTheirStreams|TestACloneThatFailsBeforeDataGoesLeavesNoNote)$
kind packages app2 packages -test.skip $slow
kind docker log1 docker
kind haproxy lb1 haproxy
kind systemd db1 systemd
kind account db2 account
kind packages-slow app1 packages -test.run $slow
kind logstash db1 logstash
kind redis lb1 redis
kind wireguard db2 wireguard
kind memcached lb1 memcached
kind system db3 system
kind repository db2 repository
kind cron db1 cron
kind network db3 network
kind openssh db3 openssh
kind mount app1 mount
kind certificate app1 certificate
EOF
	# What others have left would be in its way.
	$lab reset db3
	prepare db3 logrotate locales kmod git
	kind all db3 all -test.run Together || failed=1
	rm -f bin/*.test bin/logstash-standin
	return $failed
}

# prepare HOST PACKAGE…: Debian packages for a host's cases.
prepare() {
	$lab root "$1" sh -c 'apt-get install -qy --no-install-recommends "$@" >/root/install.log 2>&1 || { cat /root/install.log; exit 1; }' install "${@:2}"
}

# queue N: runs the commands that it reads, a line each and split at spaces, N at a time.
queue() {
	local failed=0 line
	while read -r -a line; do
		while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do
			wait -n || failed=1
		done
		"${line[@]}" </dev/null &
	done
	while [ -n "$(jobs -p)" ]; do
		wait -n || failed=1
	done
	return $failed
}

# beside is what runs beside whole runs, one after the other: at once they take so much of
# the processor that those miss their deadlines.
beside() {
	local failed=0
	if wants kinds; then
		kinds &
		wait $! || failed=1
	fi
	if wants flavors; then
		flavors &
		wait $! || failed=1
	fi
	return $failed
}

say "on real hosts: ${wanted[*]}"
begin beside
begin wholes
finish
