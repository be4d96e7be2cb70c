#!/bin/bash
# What a run in which nothing changes costs, held against logging in to the
# same hosts by OpenSSH, through the same bastion, all at once. Both are
# measured in turns, in one run: the ratio is what counts.
. "$(dirname "$0")/setup.sh"
export MUSTER_LAB_ID=${MUSTER_LAB_ID:-bench}
needs "make bench"
tools
make --no-print-directory build
go build -o bin/lab ./tests/cmd/lab
[ "${KEEP:-}" ] || trap 'bin/lab down' EXIT
bin/lab up
hosts="lb1 app1 app2 db1 db2 db3 cache1 log1"

muster() { bin/lab exec -- "$PWD/bin/muster" "$@" -i inventory/lab.hcl; }
now() { date +%s.%N; }
openssh() {
	bin/lab exec -- bash -ec 'for h in '"$hosts"'; do ssh -n -F $HOME/../ssh_config $h sudo true & done; wait'
}

say "preparing: 100 tasks on 8 hosts"
muster apply tests/bench/unchanged.hcl --yes | tail -10
: >/tmp/muster-bench
for round in 1 2 3 4 5; do
	a=$(now); openssh; b=$(now)
	muster apply tests/bench/unchanged.hcl --yes >/tmp/muster-bench.out; c=$(now)
	grep -q '^Nothing to change' /tmp/muster-bench.out || { cat /tmp/muster-bench.out; exit 1; }
	echo "$a $b $c" >>/tmp/muster-bench
done
say "measured, in seconds"
awk '{ printf "round %d: ssh HOST sudo true on 8 hosts %.2f, muster apply of 100 unchanged tasks on 8 hosts %.2f\n", NR, $2 - $1, $3 - $2 }' /tmp/muster-bench
median() { sort -n | sed -n 3p; }
o=$(awk '{ print $2 - $1 }' /tmp/muster-bench | median)
m=$(awk '{ print $3 - $2 }' /tmp/muster-bench | median)
awk -v o="$o" -v m="$m" 'BEGIN { printf "median: OpenSSH %.2f, muster %.2f, ratio %.2f\n", o, m, m / o }'
