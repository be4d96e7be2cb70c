#!/bin/bash
# The tests that need real hosts. None of them may skip itself.
. "$(dirname "$0")/setup.sh"
needs "tests/real.sh"
logs=$(mktemp -d)
lab=bin/lab
trap 'rm -rf "$logs"; MUSTER_LAB_ID=kinds $lab down 2>/dev/null' EXIT

# run NAME COMMAND…: runs tests in the background, their output kept apart. What
# fails is shown at its end; a skipped test is a failure.
pids=()
run() {
	(
		name=$1 log=$logs/$1 began=$SECONDS
		if ! "${@:2}" >"$log" 2>&1; then
			cat "$log"
			echo "FAIL $name" >&2
			exit 1
		elif grep -E '^ *--- SKIP' "$log"; then
			echo "FAIL $name: a test was skipped" >&2
			exit 1
		fi
		echo "ok $name: $(grep -cE '^ *--- PASS' "$log") tests passed in $((SECONDS - began)) s"
	) &
	pids+=($!)
}

# finish: waits for all that run.
finish() {
	local failed=0 pid
	for pid in "${pids[@]}"; do
		wait "$pid" || failed=1
	done
	pids=()
	[ $failed = 0 ] || exit 1
}

# kind NAME HOST PACKAGE ARGUMENT…: runs the cases of a package of kinds, which
# edit the machine itself, on a host.
kind() {
	local name=$1 host=$2 package=$3
	tar -C "modules/$package" -cf - testdata -C "$PWD/bin" "$package.test" | $lab root "$host" sh -c "mkdir /root/$name && tar -C /root/$name -xf -"
	# What takes longest is whole runs: they come first.
	run "$name" nice -n 5 $lab root "$host" sh -c 'package=$1; shift; cd "/root/$0" && MUSTER_LAB_HOST=1 exec "./$package.test" -test.v -test.timeout 15m "$@"' "$name" "$package" "${@:4}"
}

# wholes runs what brings up labs of its own, one after the other.
wholes() {
	MUSTER_REAL=1 go test -v -count=1 -timeout 30m ./tests/real &&
		MUSTER_LAB_TEST=1 go test -v -count=1 -timeout 20m ./tests/lab/...
}

say "kinds on real hosts; beside them whole runs and the lab's own tests"
for package in packages systemd account system; do
	CGO_ENABLED=0 go test -c -o "bin/$package.test" "./modules/$package"
done
run wholes wholes
export MUSTER_LAB_ID=kinds
$lab up -hosts app1,app2,db1,db2,db3
slow='TestConformance/package_(old_lists|started_once)$'
kind packages-slow app1 packages -test.run "$slow"
kind packages app2 packages -test.skip "$slow"
kind systemd db1 systemd
kind account db2 account
kind system db3 system
finish
rm -f bin/*.test
$lab down
