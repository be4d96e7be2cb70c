# What demo, tests and benchmarks need of a machine; read by their scripts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }

# needs LABEL: real hosts take Linux and root.
needs() {
	if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ] || [ ! -e /proc/self/ns/net ]; then
		echo "$1 needs Linux and root, for real hosts in namespaces. Without: go test ./... runs what needs neither." >&2
		exit 1
	fi
	for tool in go git make; do
		command -v "$tool" >/dev/null || { echo "$1 needs $tool: install it first." >&2; exit 1; }
	done
}

# install PROGRAM:PACKAGE…: Debian packages for the programs, or files by their paths, that are missing.
install() {
	local missing=()
	for pair in "$@"; do
		command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || [[ $pair == /* && -e ${pair%%:*} ]] || missing+=("${pair##*:}")
	done
	[ ${#missing[@]} = 0 ] && return
	say "installing ${missing[*]}"
	# Only the programs are wanted: no daemon is to be started here.
	local policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' > $policy
		chmod 755 $policy
		trap "rm -f $policy" RETURN EXIT
	fi
	if ! apt-get install -y --no-install-recommends "${missing[@]}" >/tmp/muster-install.log 2>&1; then
		apt-get update >/tmp/muster-install.log 2>&1
		apt-get install -y --no-install-recommends "${missing[@]}" >>/tmp/muster-install.log 2>&1 || { tail -20 /tmp/muster-install.log >&2; exit 1; }
	fi
}

# tools: what the lab and the tests run.
tools() {
	export DEBIAN_FRONTEND=noninteractive
	install mmdebstrap:mmdebstrap systemd-nspawn:systemd-container nft:nftables ip:iproute2 ssh:openssh-client openssl:openssl libdeflate-gzip:libdeflate-tools "$@"
}
