#!/bin/sh
# users.sh differ|write FILE: reads lines NAME:SECRET, where SECRET is a password or its
# bcrypt hash, and compares them with FILE, or makes it of them. What is secret is in no
# program's arguments: printf and test are the shell's own.
set -eu
do=$1
file=$2
umask 077

# line_of NAME: prints the line that FILE has of a user.
line_of() {
	[ -f "$file" ] || return 0
	while IFS= read -r line || [ -n "$line" ]; do
		if [ "${line%%:*}" = "$1" ]; then
			printf '%s\n' "$line"
			return
		fi
	done <"$file"
}

# made NAME SECRET: prints the line that the user has to have.
made() {
	have=$(line_of "$1")
	case $2 in
	'$2'[aby]'$'[0-9][0-9]'$'*)
		if [ ${#2} = 60 ]; then
			printf '%s:%s\n' "$1" "$2"
			return
		fi
		;;
	esac
	# One that htpasswd has no bcrypt hash of can't log in.
	case $have in
	"$1:"'$2'*)
		if printf '%s' "$2" | htpasswd -v -i "$file" "$1" >/dev/null 2>&1; then
			printf '%s\n' "$have"
			return
		fi
		;;
	esac
	[ "$do" = write ] || { echo other; return; }
	printf '%s' "$2" | htpasswd -n -i -B -C 10 "$1" | grep .
}

all=$(while IFS= read -r user; do made "${user%%:*}" "${user#*:}"; done)
now=
[ ! -f "$file" ] || now=$(cat "$file")
[ "$all" != "$now" ] || exit 0
[ "$do" = write ] || { echo differ; exit 0; }
printf '%s\n' "$all" >"$file.new"
chgrp docker-registry "$file.new"
chmod 0640 "$file.new"
mv -f "$file.new" "$file"
