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
bin/lab up -docker app1,app2,log1

# What a site keeps in its store: passwords and certificates, in a file of root's own.
(umask 077; tests/site-vars.sh >bin/demo.vars.hcl)

muster() { bin/lab exec -- "$PWD/bin/muster" "$@" -i inventory/lab.hcl; }

say "muster apply playbooks/site.hcl -i inventory/lab.hcl --var-file bin/demo.vars.hcl --yes"
muster apply playbooks/site.hcl --var-file bin/demo.vars.hcl --yes

say "a request to lb1 is answered by both application servers"
answers=$(for _ in 1 2 3 4; do bin/lab ssh nat curl -sf --max-time 10 http://10.0.1.11/; done | grep -o 'This is app[12]' | sort -u)
echo "$answers"
[ "$(echo "$answers" | wc -l)" = 2 ] || { echo "lb1 should have been answered by app1 and app2" >&2; exit 1; }

say "what every host logs comes to log1"
for host in nat lb1 app1 app2 db1 db2 db3 cache1; do bin/lab root "$host" logger "from the demo"; done
bin/lab root log1 timeout 60 sh -c 'until [ "$(grep -l "from the demo" /var/log/hosts/*.log | wc -l)" = 8 ]; do sleep 0.2; done; ls /var/log/hosts'

say "two caches run on cache1, and the bastion is the end of a VPN"
bin/lab root cache1 systemctl is-active memcached redis-server
bin/lab root nat wg show wg0

say "what is written on db1 comes to its replicas"
bin/lab root db1 mariadb -e "CREATE DATABASE IF NOT EXISTS demo; CREATE TABLE IF NOT EXISTS demo.words SELECT 'from the primary' AS word"
for host in db2 db3; do
	bin/lab root "$host" timeout 60 sh -c 'until mariadb -Ne "SELECT @@hostname, word FROM demo.words" 2>/dev/null; do sleep 0.2; done'
done

say "an image of the shop is pushed from log1, and comes to staging, and then to production"
bin/lab root log1 sh -s <<'EOF'
set -eu
command -v busybox >/dev/null || apt-get install -yqq busybox-static >/dev/null
d=$(mktemp -d)
mkdir -p "$d/bin" "$d/www"
cp /bin/busybox "$d/bin/"
ln -s busybox "$d/bin/sh"
cat >"$d/serve" <<'SERVE'
#!/bin/sh
echo "release 1" >/www/release; echo well >/www/health
trap "exit 0" TERM; busybox httpd -p 80 -h /www; while :; do busybox sleep 0.1; done
SERVE
chmod +x "$d/serve"
tar -C "$d" -c . | docker import --change 'CMD ["/serve"]' - 10.0.1.41:5000/shop:1 >/dev/null
docker push -q 10.0.1.41:5000/shop:1
rm -r "$d"
EOF
muster apply playbooks/deploy.hcl --var release=1 --yes
bin/lab ssh nat curl -sf --max-time 10 -H 'Host:shop.example.com' http://10.0.1.11/release

say "a second apply changes nothing"
muster apply playbooks/site.hcl --var-file bin/demo.vars.hcl --yes | tee bin/demo.log
grep -q '^Nothing to change' bin/demo.log || { echo "the second apply changed something" >&2; exit 1; }

say "muster plan agrees"
muster plan playbooks/site.hcl --var-file bin/demo.vars.hcl --detailed-exitcode

cat <<EOF

The demo is up, after $((SECONDS - start)) s. Look around:
  bin/lab status                                         its hosts
  bin/lab ssh lb1                                        log in to one, through the bastion
  bin/lab exec -- bin/muster facts app1 -i inventory/lab.hcl
  bin/lab exec -- bin/muster run app -i inventory/lab.hcl -- uptime
  \$EDITOR playbooks/site.hcl, then
  bin/lab exec -- bin/muster plan playbooks/site.hcl -i inventory/lab.hcl --var-file bin/demo.vars.hcl
  make demo-down                                         removes everything
EOF
