package host

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/sys/unix"
)

// What an edit takes away besides what it shows in its diff is said in its impact:
// a link, the other names of a file, rights that a program has by its file.

// Replaced returns i where it took the place of another file: it has no other
// names, and the capabilities were those of the old content.
func (i FileInfo) Replaced() FileInfo {
	i.Names, i.Capabilities, i.Apart = 0, "", ""
	return i
}

// Given returns i where it is the same file as before, altered: with another owner
// or group, the kernel takes its capabilities away.
func (i FileInfo) Given(before FileInfo) FileInfo {
	if i.Owner != before.Owner || i.Group != before.Group {
		i.Capabilities = ""
	}
	return i
}

// Losses says what is lost where after takes the place of before, each as a part of
// a sentence whose subject is the file: "loses setuid". With replaced, after is
// another file of that name, and not the same one altered.
func Losses(before, after FileInfo, replaced bool) []string {
	var list []string
	switch {
	case before.Type == Symlink && after.Type != Symlink:
		return []string{"replaces the link to " + before.Target}
	case before.Type != Regular && before.Type != Directory, before.Type != after.Type:
		return nil
	}
	if replaced {
		after = after.Replaced()
		switch {
		case before.Names == 2:
			list = append(list, "no longer the same file as its other name")
		case before.Names > 2:
			list = append(list, fmt.Sprintf("no longer the same file as its other %d names", before.Names-1))
		}
		if before.Apart != "" {
			list = append(list, "loses "+before.Apart+", which only root can set")
		}
	} else {
		after = after.Given(before)
	}
	switch before.Mode &^ after.Mode & 0o6000 {
	case 0o6000:
		list = append(list, "loses setuid and setgid")
	case 0o4000:
		list = append(list, "loses setuid")
	case 0o2000:
		list = append(list, "loses setgid")
	}
	if before.Capabilities != "" && after.Capabilities == "" {
		list = append(list, "loses capabilities "+before.Capabilities)
	}
	return list
}

// impact joins what the user should know.
func impact(list ...string) string {
	var parts []string
	for _, s := range list {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "; ")
}

// apart lists the attributes that a rewrite by this process can't keep: those of
// the spaces that only root may write to. Labels that the kernel gives by itself
// are none.
func (e *Entry) apart() string {
	if IsRoot() {
		return ""
	}
	names, err := e.attributes()
	if err != nil {
		return ""
	}
	var list []string
	for _, name := range names {
		switch name {
		case capabilities, "security.selinux", "security.ima", "security.evm", "security.SMACK64":
			continue
		}
		if strings.HasPrefix(name, "security.") || strings.HasPrefix(name, "trusted.") {
			list = append(list, name)
		}
	}
	return strings.Join(list, ", ")
}

// capabilities names what a program may do by its file: capabilities(7), "File
// capabilities". The value has a word with its version, and then pairs of words,
// permitted and inheritable.
func (e *Entry) capabilities() string {
	value := make([]byte, 64)
	n, err := unix.Getxattr(e.through(), capabilities, value)
	if err != nil || n < 12 {
		return ""
	}
	var set uint64
	for at := 4; at+8 <= n && at <= 12; at += 8 {
		word := binary.LittleEndian.Uint32(value[at:]) | binary.LittleEndian.Uint32(value[at+4:])
		set |= uint64(word) << (4 * (at - 4))
	}
	var list []string
	for ; set != 0; set &= set - 1 {
		i := bits.TrailingZeros64(set)
		if i < len(capabilityNames) {
			list = append(list, "cap_"+capabilityNames[i])
		} else {
			list = append(list, fmt.Sprint(i))
		}
	}
	if len(list) == len(capabilityNames) {
		return "of all kinds"
	}
	return strings.Join(list, ", ")
}

// capabilityNames are the names by number: linux/capability.h.
var capabilityNames = [...]string{
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
	"linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
	"mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
	"checkpoint_restore",
}
