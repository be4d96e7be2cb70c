#!/bin/bash
# Every bound in one run, measured and printed beside its limit. What is limited
# in bytes, round trips or memory fails where it isn't kept; time is only printed,
# and where it is held against something, both are measured in turns.
. "$(dirname "$0")/setup.sh"
export MUSTER_LAB_ID=${MUSTER_LAB_ID:-bench}
needs "make bench"
tools
install chromium:chromium
work=$(mktemp -d)
trap 'rm -rf "$work"; [ "${KEEP:-}" ] || bin/lab down' EXIT

say "building"
make --no-print-directory build
go build -o bin/lab ./tests/cmd/lab
go build -o bin/bench ./tests/cmd/bench
go build -o bin/fleet ./tests/cmd/fleet
CGO_ENABLED=0 go test -c -o bin/muster.test ./cmd/muster
bin/lab up

hosts="lb1 app1 app2 db1 db2 db3 cache1 log1"
muster() { bin/lab exec -- "$PWD/bin/muster" "$@" -i inventory/lab.hcl; }
now() { date +%s.%N; }

# logged TEST: what a test measures, with its limit.
logged() {
	go test -count=1 -v -run "$1" ./cmd/muster >"$work/test" || { cat "$work/test"; exit 1; }
	sed -nE 's/^ +[a-z_]+_test\.go:[0-9]+: //p' "$work/test"
}

# measured NAME PLAYBOOK ROUNDS: a benchmark on the lab's hosts.
measured() {
	bin/lab exec -- env MUSTER_BENCH_INVENTORY=inventory/lab.hcl MUSTER_BENCH_PLAYBOOK="$2" \
		bin/muster.test -test.run '^$' -test.bench "$1" -test.benchtime "$3" >"$work/bench" || { cat "$work/bench"; exit 1; }
	grep -vE '^(goos|goarch|pkg|cpu|PASS|Benchmark)' "$work/bench"
}

# openssh logs in to every host at once, through the same bastion.
openssh() {
	bin/lab exec -- bash -ec 'for h in '"$hosts"'; do ssh -n -F $HOME/../ssh_config $h sudo true & done; wait'
}

# sent is how many bytes the workstation has sent.
sent() { bin/lab exec -- awk '/:/ && !/lo:/ { sub(/.*:/, ""); n += $9 } END { print n }' /proc/net/dev; }

say "round trips"
logged TestUnchangedRunTakesAtMostFourRoundTripsAfterLogin

say "checking 10,000 tasks"
bin/bench validate bin/muster

say "memory of a run, with its connections"
logged TestRunTakesLittleMemoryForEachHostWithItsConnection
bin/bench memory bin/muster bin/fleet

say "first contact"
bin/bench contact cmd/muster/remotes/linux-{amd64,arm64}.gz
muster plan tests/bench/thousand.hcl >/dev/null
bin/lab root app1 rm -rf /var/cache/muster
a=$(sent)
muster plan tests/bench/thousand.hcl >/dev/null
b=$(sent)
muster plan tests/bench/thousand.hcl >/dev/null
c=$(sent)
echo "on the wire, with all headers, SSH and 1,000 tasks: $(((b - a) >> 10)) KiB at first contact, $(((c - b) >> 10)) KiB after it"

say "a plan of 1,000 tasks on one host"
measured FirstLine tests/bench/thousand.hcl 3x

say "100 unchanged tasks on 8 hosts: preparing"
muster apply tests/bench/unchanged.hcl --yes | tail -10
# A check keeps its result in a project's journal.
mkdir "$work/project"
cp tests/bench/* inventory/lab.hcl "$work/project"
echo 'inventory = "lab.hcl"' >"$work/project/muster.hcl"
drift() { bin/lab exec -- env -C "$work/project" "$PWD/bin/muster" drift unchanged.hcl; }
for round in 1 2 3 4 5; do
	a=$(now)
	openssh
	b=$(now)
	muster apply tests/bench/unchanged.hcl --yes >"$work/out"
	c=$(now)
	grep -q '^Nothing to change' "$work/out" || { cat "$work/out"; exit 1; }
	d=$(now)
	drift >"$work/out" || { cat "$work/out"; exit 1; }
	e=$(now)
	echo "$a $b $c $d $e" >>"$work/rounds"
done
say "100 unchanged tasks on 8 hosts, in seconds"
awk '{ printf "round %d: ssh HOST sudo true on 8 hosts %.2f, muster apply of 100 unchanged tasks on 8 hosts %.2f, muster drift of them %.2f\n", NR, $2 - $1, $3 - $2, $5 - $4 }' "$work/rounds"
median() { sort -n | sed -n 3p; }
o=$(awk '{ print $2 - $1 }' "$work/rounds" | median)
m=$(awk '{ print $3 - $2 }' "$work/rounds" | median)
d=$(awk '{ print $5 - $4 }' "$work/rounds" | median)
awk -v d="$d" -v m="$m" 'BEGIN { printf "median: muster drift %.2f, %.2f of an unchanged apply\n", d, d / m }'
awk -v o="$o" -v m="$m" 'BEGIN { printf "median: OpenSSH %.2f, muster %.2f, ratio %.2f (at most 1)\n", o, m, m / o }'
measured Phases tests/bench/unchanged.hcl 3x

say "a click on the report of 1,000 hosts with 200 tasks each, in a browser"
go test -run '^$' -bench AClick -benchtime 50x ./tests/browser >"$work/bench" || { cat "$work/bench"; exit 1; }
awk '/^Benchmark/ { for (i = 2; i < NF; i++) v[$(i + 1)] = $i; printf "median %.0f ms, worst %.0f ms (at most 100); the page has %.1f MiB (at most 5)\n", v["ms-median"], v["ms-worst"], v["MiB"] }' "$work/bench"

say "1,000 unchanged files of 4 KB: the host's own time"
muster apply tests/bench/files.hcl --yes | tail -2
muster plan tests/bench/files.hcl --output json >"$work/files" # what the first run has read is no longer known
grep -o '"seconds":[0-9.e-]*' "$work/files" | cut -d: -f2 | awk '{ last = $1; n += $1 } END { printf "%.0f ms (at most 250)\n", (n - last) * 1000 }'

say "a tree of 10,000 small files, through the bastion"
rm -rf tests/bench/tree
trap 'rm -rf "$work" tests/bench/tree; [ "${KEEP:-}" ] || bin/lab down' EXIT
for d in $(seq 100); do
	mkdir -p tests/bench/tree/$d
	for f in $(seq 100); do
		head -c $((RANDOM % 2048)) /dev/urandom | base64 -w 64 >tests/bench/tree/$d/$f
	done
done
for round in 1 2 3; do
	bin/lab root app1 rm -rf /srv/bench-tree /srv/bench-tar
	bin/lab root app1 mkdir /srv/bench-tar
	sync # muster waits for the disk, and not for what tar has left to be written
	a=$(now)
	tar -C tests/bench/tree -c . | bin/lab exec -- bash -c 'ssh -F $HOME/../ssh_config app1 sudo tar -C /srv/bench-tar -x'
	b=$(now)
	sync
	b2=$(now)
	muster apply tests/bench/tree.hcl --yes >"$work/out"
	c=$(now)
	muster apply tests/bench/tree.hcl --yes >"$work/out"
	grep -q '^Nothing to change' "$work/out" || { cat "$work/out"; exit 1; }
	d=$(now)
	bin/lab exec -- bash -c 'ssh -n -F $HOME/../ssh_config app1 "sudo find /srv/bench-tar -type f -print0 | sudo xargs -0 sha256sum"' >/dev/null
	e=$(now)
	find tests/bench/tree -type f -print0 | xargs -0 sha256sum >/dev/null
	f=$(now)
	echo "$a $b $c $d $e $f $b2" >>"$work/trees"
done
awk '{ printf "round %d: tar | ssh tar %.2f, muster %.2f; unchanged: hashing it on the host %.2f and here %.2f, muster %.2f\n", NR, $2 - $1, $3 - $7, $5 - $4, $6 - $5, $4 - $3 }' "$work/trees"
awk '{ print ($3 - $7) / ($2 - $1) }' "$work/trees" | sort -n | awk 'NR == 2 { printf "median: first time %.2f of tar (at most 2)\n", $1 }'
awk '{ print ($4 - $3) / ($6 - $4) }' "$work/trees" | sort -n | awk 'NR == 2 { printf "median: unchanged %.2f of hashing (at most 2)\n", $1 }'
