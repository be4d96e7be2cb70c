#!/bin/sh
# Makes signed repositories in /srv/mr, with the keys that the cases name. Only for a
# disposable host.
set -eu
[ -n "${MUSTER_LAB_HOST:-}" ] || { echo "not a lab host" >&2; exit 1; }
TESTDATA=$(cd "$(dirname "$0")" && pwd)
rm -rf /srv/mr
mkdir -p /srv/mr/keys
export GNUPGHOME=/srv/mr/gpg
mkdir -m 0700 $GNUPGHOME

for name in good expired; do
	gpg -q --batch --import $TESTDATA/$name.private.asc
	cp $TESTDATA/$name.asc /srv/mr/keys/
	gpg -q --export $name >/srv/mr/keys/$name.gpg
done
gpg -q --batch --passphrase '' --quick-gen-key 'other <other@example.org>' ed25519 sign never
gpg -q --armor --export other >/srv/mr/keys/other.asc
gpg -q --export other >/srv/mr/keys/other.gpg

# repo NAME KEY [GPG-OPTION…]: a package mr-NAME in suite stable, component main.
repo() {
	name=$1 by=$2
	shift 2
	root=/srv/mr/$name
	mkdir -p $root/pool /tmp/mr/DEBIAN $root/dists/stable/main/binary-amd64
	printf 'Package: mr-%s\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a test\n' $name >/tmp/mr/DEBIAN/control
	dpkg-deb -Znone --root-owner-group -b /tmp/mr $root/pool/mr-$name.deb >/dev/null
	{
		cat /tmp/mr/DEBIAN/control
		printf 'Filename: pool/mr-%s.deb\nSize: %s\nSHA256: %s\n' $name "$(stat -c %s $root/pool/mr-$name.deb)" "$(sha256sum $root/pool/mr-$name.deb | cut -d ' ' -f 1)"
	} >$root/dists/stable/main/binary-amd64/Packages
	cd $root/dists/stable
	{
		printf 'Origin: mr\nLabel: mr\nSuite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\nDate: %s\n' "$(date -u -R)"
		[ -z "${VALID_UNTIL:-}" ] || echo "Valid-Until: $VALID_UNTIL"
		printf 'SHA256:\n %s %s main/binary-amd64/Packages\n' "$(sha256sum main/binary-amd64/Packages | cut -d ' ' -f 1)" "$(stat -c %s main/binary-amd64/Packages)"
	} >/tmp/mr/Release
	gpg -q --batch --yes "$@" -u $by --clearsign -o InRelease /tmp/mr/Release
	rm -rf /tmp/mr
	cd /
}
repo one good
repo two good
repo unknown other
repo expired expired --faked-system-time 20200103T000000
VALID_UNTIL='Wed, 01 Jan 2020 00:00:00 UTC' repo old good
repo garbled good
sed -i 's/^Label: mr/Label: mx/' /srv/mr/garbled/dists/stable/InRelease
repo damaged good
echo more >>/srv/mr/damaged/dists/stable/main/binary-amd64/Packages
rm -f /etc/apt/sources.list.d/*
: >/etc/apt/sources.list
grep -q mr.test /etc/hosts || echo '127.0.0.1 mr.test' >>/etc/hosts
