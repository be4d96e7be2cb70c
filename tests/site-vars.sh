#!/bin/bash
# The passwords and certificates that playbooks/site.hcl is given in the lab, made anew and
# printed as a file for --var-file. A site has its own, in its store.
set -euo pipefail
umask 077
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
cd "$made"

pair() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" "${@:2}" 2>log || { cat log >&2; exit 1; }; }
pair ca -x509 -days 365 -out ca.pem -subj "/CN=the databases' CA" -addext keyUsage=critical,keyCertSign
pair db -out db.csr -subj /CN=databases
openssl x509 -req -in db.csr -CA ca.pem -CAkey ca.key -days 365 -out db.pem \
	-extfile <(echo "subjectAltName=DNS:db1,DNS:db2,DNS:db3,IP:10.0.1.31,IP:10.0.1.32,IP:10.0.1.33") 2>log || { cat log >&2; exit 1; }
pair registry -x509 -days 365 -out registry.pem -subj /CN=registry -addext subjectAltName=IP:10.0.1.41

text() { printf '%s = <<TEXT\n%s\nTEXT\n' "$1" "$(cat "$2")"; }
text db_ca ca.pem
text db_certificate db.pem
text db_key db.key
text registry_certificate registry.pem
text registry_key registry.key
for name in replication_password registry_password redis_admin redis_shop; do
	echo "$name = \"$(openssl rand -hex 12)\""
done
