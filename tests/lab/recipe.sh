#!/bin/sh
# Finishes a base tree: what every host of a lab has in common. $1 is the tree.
set -eu
root=$1

# People. The key of the workstation is each lab's own, and comes later.
for user in ops limited asks; do
	chroot "$root" useradd --create-home --shell /bin/bash --password '*' "$user"
done
printf 'asks:%s\n' "$ASKS_PASSWORD" | chroot "$root" chpasswd
mkdir -p "$root/etc/sudoers.d"
echo 'ops ALL=(ALL:ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/ops"
echo 'asks ALL=(ALL:ALL) ALL' >"$root/etc/sudoers.d/asks"
chmod 0440 "$root/etc/sudoers.d/ops" "$root/etc/sudoers.d/asks"

# Units that would slow down a boot, take apt's lock behind a test's back, or
# reach through to this machine: its devices, modules, clock and discs. Path
# units cost inotify instances, of which a machine has 128 for all hosts.
for unit in \
	apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service \
	e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	systemd-modules-load.service modprobe@.service \
	sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
	sys-fs-fuse-connections.mount dev-hugepages.mount \
	proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount systemd-binfmt.service \
	systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
	systemd-udev-trigger.service systemd-pstore.service systemd-timesyncd.service \
	systemd-networkd-wait-online.service systemd-firstboot.service \
	systemd-ask-password-console.path systemd-ask-password-wall.path \
	console-getty.service; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# kernel.* and fs.* are this machine's own.
mkdir -p "$root/etc/sysctl.d"
for file in 50-default.conf 50-pid-max.conf 99-protect-links.conf; do
	ln -sf /dev/null "$root/etc/sysctl.d/$file"
done

# Identity is each host's own.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/resolv.conf"
: >"$root/etc/hostname"

# Packages: the lists stay, so that a host installs at once.
cat >"$root/etc/apt/apt.conf.d/90lab" <<EOF
// The lab's package cache. Only Debian's mirrors go through it: another
// repository, such as one in the lab, is asked directly.
Acquire::http::Proxy::deb.debian.org "http://$CACHE_ADDRESS";
Acquire::http::Proxy::security.debian.org "http://$CACHE_ADDRESS";
// A cached mirror may be some days behind, or ahead of this machine's clock.
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::Languages "none";
Acquire::PDiffs "false";
EOF
rm -f "$root"/var/cache/apt/archives/*.deb "$root"/etc/apt/apt.conf.d/99mmdebstrap
chroot "$root" apt-cache gencaches
# Nothing in /etc and /var waits to be brought up to date at the first boot.
touch "$root/etc/.updated" "$root/var/.updated"
