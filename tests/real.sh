#!/bin/bash
# The tests that need real hosts. None of them may skip itself.
. "$(dirname "$0")/setup.sh"
needs "tests/real.sh"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# run NAME COMMAND…: shows what fails, and counts a skipped test as a failure.
run() {
	local name=$1
	shift
	if ! "$@" >"$log" 2>&1; then
		cat "$log"
		echo "FAIL $name" >&2
		exit 1
	fi
	if grep -E '^ *--- SKIP' "$log"; then
		echo "FAIL $name: a test was skipped" >&2
		exit 1
	fi
	echo "ok $name: $(grep -cE '^ *--- PASS' "$log") tests passed"
}

say "kinds on a real host"
export MUSTER_LAB_ID=kinds
lab=bin/lab
$lab up -hosts app1,app2
trap 'rm -f "$log"; $lab down' EXIT
for kind in packages systemd account system; do
	CGO_ENABLED=0 go test -c -o "bin/$kind.test" "./modules/$kind"
	tar -C "modules/$kind" -cf - testdata -C "$PWD/bin" "$kind.test" | $lab root app1 sh -c "rm -rf /root/$kind && mkdir /root/$kind && tar -C /root/$kind -xf -"
	run "modules/$kind on app1" $lab root app1 sh -c "cd /root/$kind && MUSTER_LAB_HOST=1 ./$kind.test -test.v -test.timeout 15m"
	rm -f "bin/$kind.test"
done
$lab down
trap 'rm -f "$log"' EXIT
unset MUSTER_LAB_ID

say "whole runs"
MUSTER_REAL=1 run "tests/real" go test -v -count=1 -timeout 30m ./tests/real

say "the lab itself"
MUSTER_LAB_TEST=1 run "tests/lab" go test -v -count=1 -timeout 20m ./tests/lab/...
