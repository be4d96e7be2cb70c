#!/bin/sh
# Makes an image from scratch: Debian packages with all that they need, unpacked, and files
# on top. IMAGE is its name, PACKAGES are the packages, FROM is an image to begin with
# instead of nothing, FILES a folder that becomes /app, START what it runs (a JSON list),
# and standard input the script /start, if there is any.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' 0
mkdir -p "$work/debs" "$work/root/app" "$work/root/etc" "$work/root/tmp"
chmod 1777 "$work/root/tmp"
if [ -n "${PACKAGES:-}" ]; then
	cd "$work/debs"
	# Names in <…> are provided by others, which are listed, too.
	apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances $PACKAGES |
		grep '^[a-z0-9]' | sort -u >../names
	# What only a system's own start-up needs stays out.
	grep -vxE 'debconf.*|cdebconf|perl.*|libperl.*|init-system-helpers|systemd.*|dpkg|tar|passwd|adduser|lsb-base|libpam.*|media-types' ../names >../wanted
	apt-get -q download $(cat ../wanted) >../log 2>&1 || { cat ../log >&2; exit 1; }
	for deb in *.deb; do
		dpkg-deb -x "$deb" "$work/root"
	done
	# All is below /usr, wherever a package has it, and links lead there: some packages have
	# folders beside them that are empty.
	for dir in bin sbin lib lib64; do
		if [ -d "$work/root/$dir" ]; then
			mkdir -p "$work/root/usr/$dir"
			cp -a "$work/root/$dir/." "$work/root/usr/$dir/"
			rm -rf "${work:?}/root/$dir"
		fi
		[ ! -d "$work/root/usr/$dir" ] || ln -s "usr/$dir" "$work/root/$dir"
	done
	rm -rf "$work/root/usr/share/doc" "$work/root/usr/share/man" "$work/root/usr/share/locale"
fi
printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$work/root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$work/root/etc/group"
[ -z "${FILES:-}" ] || cp -R "$FILES/." "$work/root/app"
cat >"$work/root/start"
chmod 0755 "$work/root/start"
{
	echo "FROM ${FROM:-scratch}"
	echo "COPY root/ /"
	echo "CMD $START"
} >"$work/Dockerfile"
rm -rf "$work/debs"
DOCKER_BUILDKIT=0 docker build -q -t "$IMAGE" "$work" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
