package modules

import "slices"

// otherNames are what other tools call what kinds do here, where the names aren't alike.
var otherNames = map[string]string{
	"apt": "package", "yum": "package", "dnf": "package", "apt_key": "apt_repository",
	"copy": "file", "blockinfile": "text_block", "lineinfile": "line", "symlink": "link",
	"shell": "command", "raw": "command", "exec": "command",
	"systemd": "service", "systemd_service": "service", "systemd_unit": "unit",
	"debug": "print", "fail": "assert", "notify": "print",
	"uri": "http_check", "get_url": "download", "unarchive": "archive", "wait_for": "wait", "crontab": "cron",
	"pam_limits": "limits", "modprobe": "kernel_module", "kernel_blacklist": "kernel_module", "kmod": "kernel_module", "locale_gen": "locale",
	"fstab": "mount", "mounts": "mount", "logrotate_app": "logrotate",
	"sshd": "sshd_config", "sshd_drop_in": "sshd_config",
	"sshkey": "known_hosts", "ssh_known_hosts": "known_hosts",
	"cronjob": "cron", "iptables": "nftables", "ufw": "nftables", "firewalld": "nftables",
	"mysql_db": "mysql_database", "docker_swarm": "docker_compose", "htaccess": "htpasswd",
	"x509_certificate": "certificate", "openssl_certificate": "certificate",
}

// NearestKind is Nearest for the name of a kind: also one that has another name elsewhere.
func NearestKind(name string, kinds []string) string {
	if here := otherNames[name]; slices.Contains(kinds, here) {
		return here
	}
	return Nearest(name, kinds)
}
