#!/bin/sh
# Makes a repository of small packages in /srv/repo and lets apt use nothing
# else. Only for a disposable host.
set -eu
[ -n "${MUSTER_LAB_HOST:-}" ] || { echo "not a lab host" >&2; exit 1; }
rm -rf /srv/repo /srv/build
mkdir -p /srv/repo /srv/build

# deb NAME VERSION ARCH [FIELD…]: packs /srv/build/tree, which starts empty.
deb() {
	name=$1 version=$2 arch=$3
	shift 3
	mkdir -p /srv/build/tree/DEBIAN
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: %s\n' "$name" "$version" "$arch"
		printf 'Maintainer: nobody <nobody@example.org>\nDescription: a test\n'
		for field; do printf '%s\n' "$field"; done
	} >/srv/build/tree/DEBIAN/control
	file=$name.$(printf %s "$version" | tr : _).$arch.deb
	dpkg-deb -Znone --root-owner-group -b /srv/build/tree "/srv/repo/$file" >/dev/null
	{
		cat /srv/build/tree/DEBIAN/control
		printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "/srv/repo/$file")" \
			"$(sha256sum "/srv/repo/$file" | cut -d ' ' -f 1)"
	} >>/srv/repo/Packages
	rm -rf /srv/build/tree
}

for v in 1.0-1 1.1-1 2.0-1; do
	mkdir -p /srv/build/tree/usr/share/mt-app
	echo "$v" >/srv/build/tree/usr/share/mt-app/version
	deb mt-app "$v" all
done
deb mt-lib 1.0 all
deb mt-user 1.0 all 'Depends: mt-lib'
deb mt-other 1.0 all 'Depends: mt-lib'
deb mt-rival 1.0 all 'Conflicts: mt-lib'
deb mt-provider 1.0 all 'Provides: mt-virtual'
deb mt-foreign 1.0 i386
deb mt-plus 1.0 all
deb mt-plus 1.0+ all
deb mt-plus+ 1.0 all
deb mt-recommends 1.0 all 'Recommends: mt-lib'

# A package whose script fails while /run/mt-broken is there.
for v in 0.9 1.0; do
	mkdir -p /srv/build/tree/DEBIAN
	printf '#!/bin/sh\nif [ -e /run/mt-broken ]; then echo "mt-fail: no luck" >&2; exit 1; fi\n' >/srv/build/tree/DEBIAN/postinst
	chmod 0755 /srv/build/tree/DEBIAN/postinst
	deb mt-fail "$v" all
done

# A package with a configuration file, a user, and a service that its scripts
# start as debhelper's do.
for v in 1.0 2.0; do
	mkdir -p /srv/build/tree/DEBIAN /srv/build/tree/lib/systemd/system /srv/build/tree/etc
	echo "default $v" >/srv/build/tree/etc/mt-daemon.conf
	echo /etc/mt-daemon.conf >/srv/build/tree/DEBIAN/conffiles
	cat >/srv/build/tree/lib/systemd/system/mt-daemon.service <<'UNIT'
[Service]
ExecStartPre=/bin/sh -c 'cat /etc/mt-daemon.conf >>/run/mt-daemon.starts'
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
UNIT
	cat >/srv/build/tree/DEBIAN/postinst <<'POST'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
	getent passwd mtd >/dev/null || useradd --system mtd
	deb-systemd-helper unmask mt-daemon.service >/dev/null || true
	deb-systemd-helper enable mt-daemon.service >/dev/null || true
	systemctl --system daemon-reload >/dev/null || true
	if [ -n "$2" ]; then action=restart; else action=start; fi
	deb-systemd-invoke $action mt-daemon.service >/dev/null || true
fi
POST
	cat >/srv/build/tree/DEBIAN/prerm <<'PRE'
#!/bin/sh
set -e
if [ "$1" = remove ]; then deb-systemd-invoke stop mt-daemon.service >/dev/null || true; fi
PRE
	cat >/srv/build/tree/DEBIAN/postrm <<'POST'
#!/bin/sh
set -e
if [ "$1" = purge ]; then
	deb-systemd-helper purge mt-daemon.service >/dev/null || true
	deb-systemd-helper unmask mt-daemon.service >/dev/null || true
	userdel mtd 2>/dev/null || true
fi
systemctl --system daemon-reload >/dev/null || true
POST
	chmod 0755 /srv/build/tree/DEBIAN/postinst /srv/build/tree/DEBIAN/prerm /srv/build/tree/DEBIAN/postrm
	deb mt-daemon "$v" all
done

echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*
rm -f /usr/sbin/policy-rc.d
dpkg --add-architecture i386
rm -rf /var/lib/apt/lists/*
apt-get update -q
