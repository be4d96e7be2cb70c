#!/bin/bash
# make night: some nights of a small site on the lab's hosts. Somebody changes things in
# the evenings, an operator puts some of it right by day, and each night's check tells what
# it finds, and sends it to whom muster.hcl names. A night follows the other at once.
. "$(dirname "$0")/setup.sh"
needs "make night"
export MUSTER_LAB_ID=night
tools
make --no-print-directory build
go build -o bin/lab ./tests/cmd/lab
go build -o bin/told ./tests/cmd/told

project=$(mktemp -d)
told=
ends() {
	[ -z "$told" ] || kill "$told" 2>/dev/null || true
	bin/lab down >/dev/null 2>&1 || true
	rm -rf "$project"
}
trap ends EXIT
bin/lab up -hosts app1,app2,db1

mkdir "$project/playbooks"
cat >"$project/hosts.hcl" <<'EOF'
defaults {
  user = "ops"
  via  = "nat"
}
bastion "nat" {
  address = "203.0.113.10"
  via     = ""
}
group "app" {
  host "app1" { address = "10.0.1.21" }
  host "app2" { address = "10.0.1.22" }
}
host "db1" { address = "10.0.1.31" }
EOF
cat >"$project/muster.hcl" <<'EOF'
inventory = "hosts.hcl"
drift     = ["playbooks/site.hcl"]

notify "webhook" "ops" {
  url    = "http://127.0.0.1:8099/muster"
  secret = env["TOLD"]
}
EOF
cat >"$project/playbooks/site.hcl" <<'EOF'
play "all" {
  hosts  = ["all"]
  become = true
  task "file" "/etc/motd" { content = "This is ${host.name}.\n" }
  task "sysctl" "backlog" {
    name  = "net.core.somaxconn"
    value = "1024"
  }
}
play "app" {
  hosts  = ["app"]
  become = true
  task "file" "/etc/app.conf" { content = "workers = 4\n" }
}
EOF

secret=a-shared-word
muster() { bin/lab exec -- env -C "$project" TOLD=$secret "$PWD/bin/muster" "$@"; }
on() { bin/lab root "$1" sh -c "$2"; }
bin/lab exec -- "$PWD/bin/told" 127.0.0.1:8099 $secret >"$project/told" &
told=$!
timeout 20 sh -c 'until grep -q listening "$1"; do sleep 0.1; done' wait "$project/told"

# night NAME CODE: the check of a night, which must end with the exit code.
night() {
	say "$1: muster drift --scheduled"
	local code=0 before
	before=$(wc -l <"$project/told")
	muster drift --scheduled 2>&1 || code=$?
	echo "exit code $code"
	echo "sent to the webhook ops:"
	tail -n "+$((before + 1))" "$project/told" | sed 's/^/  /' | grep . || echo "  nothing"
	[ "$code" = "$2" ] || { echo "that should have been exit code $2" >&2; exit 1; }
}

say "muster apply playbooks/site.hcl --yes"
muster apply playbooks/site.hcl --yes | tail -4
night "the night before" 0

say "in the evening somebody edits app1's motd and app2's app.conf by hand"
bin/lab ssh app1 'echo "Beware." | sudo tee /etc/motd >/dev/null'
bin/lab ssh app2 'sudo sed -i s/4/8/ /etc/app.conf'
night "the first night" 2

say "by day an operator puts app1 right; in the evening its motd is edited again"
muster apply playbooks/site.hcl --yes --limit app1 | tail -2
bin/lab ssh app1 'echo "Beware." | sudo tee /etc/motd >/dev/null'
night "the second night" 2

say "by day app1 is put right again, and app2 by hand; in the evening app1's motd is edited once more, and db1 has no power"
muster apply playbooks/site.hcl --yes --limit app1 | tail -2
bin/lab ssh app2 'sudo sed -i s/8/4/ /etc/app.conf'
bin/lab ssh app1 'echo "Beware." | sudo tee /etc/motd >/dev/null'
bin/lab kill db1
night "the third night" 5

say "by day app1 is put right once more, and db1 has power again; in the evening app1's motd is as on every evening"
bin/lab boot db1
muster apply playbooks/site.hcl --yes --limit app1 | tail -2
bin/lab ssh app1 'echo "Beware." | sudo tee /etc/motd >/dev/null'
night "the fourth night" 2

say "who set /etc/motd on app1 last: muster why app1 /etc/motd"
muster why app1 /etc/motd
