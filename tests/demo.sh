#!/bin/bash
# The demo: the reference site on the lab's hosts, applied by muster from the
# workstation, through the bastion.
. "$(dirname "$0")/setup.sh"
export MUSTER_LAB_ID=demo

if [ "${1:-up}" = down ]; then
	needs "make demo-down"
	[ -x bin/lab ] || go build -o bin/lab ./tests/cmd/lab
	exec bin/lab down
fi

needs "make demo"
start=$SECONDS
tools
say "building muster and the lab"
make --no-print-directory build
go build -o bin/lab ./tests/cmd/lab

say "bringing up a workstation, a bastion and eight hosts"
bin/lab up

muster() { bin/lab exec -- "$PWD/bin/muster" "$@" -i inventory/lab.hcl; }

say "muster apply playbooks/site.hcl -i inventory/lab.hcl --yes"
muster apply playbooks/site.hcl --yes

say "a request to lb1 is answered by both application servers"
answers=$(for _ in 1 2 3 4; do bin/lab ssh nat curl -sf --max-time 10 http://10.0.1.11/; done | grep -o 'This is app[12]' | sort -u)
echo "$answers"
[ "$(echo "$answers" | wc -l)" = 2 ] || { echo "lb1 should have been answered by app1 and app2" >&2; exit 1; }

say "a second apply changes nothing"
muster apply playbooks/site.hcl --yes | tee /tmp/muster-demo.log
grep -q '^Nothing to change' /tmp/muster-demo.log || { echo "the second apply changed something" >&2; exit 1; }

say "muster plan agrees"
muster plan playbooks/site.hcl --detailed-exitcode

cat <<EOF

The demo is up, after $((SECONDS - start)) s. Look around:
  bin/lab status                                         its hosts
  bin/lab ssh lb1                                        log in to one, through the bastion
  bin/lab exec -- bin/muster facts app1 -i inventory/lab.hcl
  bin/lab exec -- bin/muster run app -i inventory/lab.hcl -- uptime
  \$EDITOR playbooks/site.hcl, then
  bin/lab exec -- bin/muster plan playbooks/site.hcl -i inventory/lab.hcl
  make demo-down                                         removes everything
EOF
