// Package mount has the kind that mounts file systems.
package mount

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "mount", New: func() modules.Module { return &Mount{} }}}
}

// Mount is a file system at its place in the tree, at once and after a boot. Other lines of /etc/fstab
// stay as they are.
//
// The file system is mounted first; /etc/fstab is written only when that has succeeded. No device is ever formatted, and
// nothing is unmounted by force: what is busy is an error that names who uses it.
type Mount struct {
	// Where it is mounted. For swap it is "none".
	Path string `arg:"path,key,path,required"`
	// What is mounted: a device, "UUID=…", "LABEL=…", "server:/export", or the folder or file of a bind mount.
	Device string `arg:"device" means:"the type, of tmpfs"`
	// The type of file system: "ext4", "nfs", "tmpfs", "swap". It is "none" for a bind mount.
	Type string `arg:"type"`
	// Options, as mount(8) has them: ["noexec", "size=64M"], "bind".
	Options modules.OneOrMore `arg:"options" means:"defaults"`
	// Whether dump(8) saves it: the fifth field of fstab(5).
	Dump int `arg:"dump" default:"0"`
	// When fsck(8) checks it at boot: 1 for the root, 2 for others, 0 for never.
	Pass int `arg:"pass" default:"0"`
	// "mounted" is at once and after a boot, "present" in /etc/fstab alone, "absent" neither. The
	// folder stays.
	State string `arg:"state" oneof:"mounted present absent" default:"mounted"`
}

const fstab = "/etc/fstab"

// Check refuses what /etc/fstab can't hold, and contradictions.
func (m *Mount) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: fmt.Sprintf(format, a...)})
		}
	}
	swap := m.Type == "swap"
	switch {
	case unknown("type"):
	case swap && m.Path != "none":
		fail("path", "Wrong value", `Swap isn't mounted anywhere: write path = "none", and the swap's device or file as "device".`)
	case !swap && (!filepath.IsAbs(m.Path) || filepath.Clean(m.Path) != m.Path):
		fail("path", "Wrong value", "%q is no absolute path on the host: it begins with \"/\", and has neither \"..\" nor a \"/\" at its end.", m.Path)
	case m.Path == "/" && m.State == "absent":
		fail("state", "Wrong value", "The root can't be unmounted.")
	}
	for arg, value := range map[string]string{"path": m.Path, "device": m.Device} {
		if strings.ContainsAny(value, "\n\r\x00") {
			fail(arg, "Wrong value", "%q has a line end in it.", value)
		}
	}
	if strings.ContainsAny(m.Type, " \t\n\r\x00#") {
		fail("type", "Wrong value", `%q is no type of file system, such as "ext4".`, m.Type)
	}
	for i, o := range m.Options {
		if strings.ContainsAny(o, " \t\n\r\x00") || o == "" {
			errs = append(errs, modules.ArgError{Arg: "options", Path: fmt.Sprintf("[%d]", i), Summary: "Wrong value", Detail: fmt.Sprintf(`%q isn't an option of mount(8): it has no spaces.`, o)})
		}
	}
	if m.Dump < 0 || m.Dump > 1 {
		fail("dump", "Wrong value", "%d is none of 0 and 1.", m.Dump)
	}
	if m.Pass < 0 || m.Pass > 2 {
		fail("pass", "Wrong value", "%d is none of 0, 1 and 2.", m.Pass)
	}
	if m.State == "absent" {
		if swap && m.Device == "" {
			fail("device", "Missing argument", "Which swap is meant is said by its device.")
		}
		return errs
	}
	if unknown("state") || unknown("options") {
		return errs
	}
	switch {
	case m.device() == "":
		fail("device", "Missing argument", `Name what is mounted: a device, "UUID=…", "server:/export", or the folder of a bind mount.`)
	case m.fsType() == "":
		fail("type", "Missing argument", `Name the type of file system, such as "ext4": only a bind mount has none.`)
	case m.bind() && !filepath.IsAbs(m.Device):
		fail("device", "Wrong value", "%q is no absolute path: a bind mount shows a folder or a file of the host at another place.", m.Device)
	}
	return errs
}

func (m *Mount) swap() bool { return m.Type == "swap" }

func (m *Mount) bind() bool { return m.has("bind") || m.has("rbind") }

func (m *Mount) has(option string) bool { return slices.Contains(m.options(), option) }

// options are the options one by one.
func (m *Mount) options() []string {
	var list []string
	for _, o := range m.Options {
		for part := range strings.SplitSeq(o, ",") {
			if part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}

// virtual are file systems that have no device.
func virtual(typ string) bool {
	return slices.Contains([]string{"tmpfs", "proc", "sysfs", "devpts", "devtmpfs", "ramfs", "mqueue", "hugetlbfs", "cgroup2", "overlay"}, typ)
}

func (m *Mount) device() string {
	if m.Device == "" && virtual(m.Type) {
		return m.Type
	}
	return m.Device
}

func (m *Mount) fsType() string {
	if m.Type == "" && m.bind() {
		return "none"
	}
	return m.Type
}

// key is what the host has at most one of.
func (m *Mount) key() host.Key {
	if m.swap() {
		return host.Key{Space: "swap", Name: m.Device}
	}
	return host.Key{Space: "mount", Name: m.Path}
}

// May is the place, what lies in it, and /etc/fstab.
func (m *Mount) May() []host.Effect {
	list := []host.Effect{host.Open(host.Files, fstab), host.Open(m.key().Space, m.key().Name)}
	if m.State != "present" && !m.swap() {
		list = append(list, host.Open(host.Files, m.Path), host.Begins(host.Files, m.Path+"/"))
	}
	return list
}
