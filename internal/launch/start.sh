# Runs as the user who is to run the remote. $M is the marker, $SUMS the
# remotes that may do as "sum:size", run() execs one; $DIRS may name folders.
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
unset LC_ALL
umask 077
mine() {
	[ ! -L "$1" ] && [ -O "$1" ] || return 1
	case $(LC_ALL=C ls -ldn "$1") in
	?????w*|????????w*) return 1 ;;
	esac
}
try() {
	s=$1 z=$2
	shift 2
	for d; do
		f=$d/$s
		if [ -f "$f" ] && [ -x "$f" ] && mine "$d" && mine "$f" && [ "$(wc -c <"$f")" -eq "$z" ]; then
			printf '\n%s run %s\n' "$M" "$f"
			run "$f"
		fi
	done
}
u=$(id -u)
if [ -n "$DIRS" ]; then
	eval "set -- $DIRS"
elif [ "$u" = 0 ]; then
	set -- /var/cache/muster /var/lib/muster /var/tmp/muster-0 /run/muster-cache /tmp/muster-0 /dev/shm/muster-0
else
	set -- ${HOME:+"$HOME/.cache/muster"} "/var/tmp/muster-$u" "/tmp/muster-$u" "/run/user/$u/muster-cache" "/dev/shm/muster-$u"
fi
for p in $SUMS; do
	try "${p%:*}" "${p#*:}" "$@"
done
printf '\n%s need %s %s\n' "$M" "$(uname -s)" "$(uname -m)"
read -r n && eval "$(head -c "$n")"
