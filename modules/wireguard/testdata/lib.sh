# What cases begin with: sourced by their scripts.
one=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
two=TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
three=gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=

# nothing: there is no interface.
nothing() {
	systemctl stop wg-quick@wt0
	systemctl -q disable wg-quick@wt0 2>/dev/null
	systemctl reset-failed wg-quick@wt0 2>/dev/null || true
	ip link del wt0 2>/dev/null || true
	rm -rf /etc/wireguard /run/wireguard/wt0.sock
	mkdir -m 700 /etc/wireguard
}

# conf: a configuration as muster makes it, with what standard input has below the
# interface's own.
conf() {
	printf '[Interface]\nAddress = 10.99.0.1/24\nListenPort = 51990\nPostUp = wg set %%i private-key /etc/wireguard/wt0.key\n'
	cat
}

# wired: another interface reaches a network.
wired() {
	ip link show wt1 >/dev/null 2>&1 || ip link add wt1 type bridge
	ip address replace 10.77.1.1/24 dev wt1
	ip link set wt1 up
	ip route flush dev wt1 proto boot
}

# up: there is one that muster has made, with what standard input has below its own.
up() {
	nothing
	umask 077
	echo aGVyZSBpcyBhIGtleSB0aGF0IG5vYm9keSBrbm93cyE= >/etc/wireguard/wt0.key
	conf >/etc/wireguard/wt0.conf
	systemctl -q enable wg-quick@wt0
	systemctl start wg-quick@wt0
}

# shared: the same, and a key that is shared with the peer of $two.
shared() {
	up
	sed -i "s|^PostUp|PostUp = wg set %i peer $two preshared-key /etc/wireguard/wt0.psk-ben\n&|" /etc/wireguard/wt0.conf
	echo Z2VoZWltIGdlaGVpbSBnZWhlaW0gZ2VoZWltIGdlaGU= >/etc/wireguard/wt0.psk-ben
	systemctl restart wg-quick@wt0
}

# ada: there is the peer ada.
ada() { printf '\n[Peer]\n# Peer: ada\nPublicKey = %s\nAllowedIPs = 10.99.0.2/32\n' "$one"; }
