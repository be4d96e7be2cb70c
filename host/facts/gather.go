package facts

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Gather returns the facts of this host. login is the user that the connection
// logged in as. It never fails: what can't be read is missing. Where ctx ends
// early, what wasn't gathered yet is missing too.
func Gather(ctx context.Context, login string) Facts { return gather(ctx, "", login) }

// gather reads files under root; "" is this host, whose kernel is asked too.
func gather(ctx context.Context, root, login string) Facts {
	r := reader{root}
	f := Facts{
		OS: OS{Like: []string{}}, Addresses: Addresses{IPv4: []string{}, IPv6: []string{}},
		Interfaces: map[string]Interface{}, Mounts: []Mount{}, Homes: map[string]string{},
		Login: text(login), Virtualisation: "none", SELinux: "disabled",
	}
	for _, part := range []func(*Facts){
		r.system, r.names, r.network, r.machine, r.virtualisation, r.managers, r.homes, r.mounts,
	} {
		if ctx.Err() != nil {
			break
		}
		part(&f)
	}
	return f
}

func (r reader) system(f *Facts) {
	release := r.file("/etc/os-release", maxFile)
	if release == "" {
		release = r.file("/usr/lib/os-release", maxFile)
	}
	for line := range strings.SplitSeq(release, "\n") {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		value = text(unquote(value))
		switch name {
		case "ID":
			f.OS.ID = value
		case "ID_LIKE":
			f.OS.Like = append([]string{}, strings.Fields(value)...)
		case "PRETTY_NAME":
			f.OS.Name = value
		case "VERSION_ID":
			f.OS.Version = value
		case "VERSION_CODENAME":
			f.OS.Codename = value
		}
	}
	f.Kernel = r.line("/proc/sys/kernel/osrelease")
	f.Architecture = r.architecture()
	f.BootID = r.line("/proc/sys/kernel/random/boot_id")
	f.Timezone = r.timezone()
	switch r.line("/sys/fs/selinux/enforce") {
	case "1":
		f.SELinux = "enforcing"
	case "0":
		f.SELinux = "permissive"
	}
}

// unquote reads a value as a shell does: os-release(5) allows quotes and
// backslashes, nothing else.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '"' && s[0] != '\'' {
		return s
	}
	quote := s[0]
	s = s[1 : len(s)-1]
	if quote == '\'' || !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte("\"\\$`", s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// debianWord is Debian's name of a machine, by the number that the ELF header
// of its programs has for it (e_machine, elf.h); "" for others.
func debianWord(machine uint16) string {
	switch machine {
	case 62:
		return "amd64"
	case 183:
		return "arm64"
	case 3:
		return "i386"
	case 40:
		return "armhf"
	case 21:
		return "ppc64el"
	case 22:
		return "s390x"
	case 243:
		return "riscv64"
	case 258:
		return "loong64"
	case 8:
		return "mips64el"
	}
	return ""
}

// architecture looks at the shell, since a 64-bit kernel may run a 32-bit
// system; the kernel answers where the shell can't be read.
func (r reader) architecture() string {
	if head := r.file("/bin/sh", 20); len(head) == 20 && strings.HasPrefix(head, "\x7fELF") {
		machine := uint16(head[18]) | uint16(head[19])<<8
		if head[5] == 2 { // big-endian
			machine = uint16(head[19]) | uint16(head[18])<<8
		}
		if word := debianWord(machine); word != "" {
			return word
		}
	}
	var u unix.Utsname
	if r.root != "" || unix.Uname(&u) != nil {
		return ""
	}
	word := unix.ByteSliceToString(u.Machine[:])
	if debian := map[string]string{"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "i686": "i386", "ppc64le": "ppc64el", "loongarch64": "loong64"}[word]; debian != "" {
		return debian
	}
	return text(word)
}

// timezone is the name that /etc/localtime links to, or what Debian keeps.
func (r reader) timezone() string {
	if target, err := os.Readlink(r.path("/etc/localtime")); err == nil {
		if _, name, ok := strings.Cut(target, "/zoneinfo/"); ok {
			return text(name)
		}
	}
	return r.line("/etc/timezone")
}

// names reads the host's name, and its full one as hostname -f finds it where
// /etc/hosts has it: the first name of the line that lists the host name.
func (r reader) names(f *Facts) {
	f.Hostname = r.line("/proc/sys/kernel/hostname")
	f.FQDN = f.Hostname
	if f.Hostname == "" || strings.Contains(f.Hostname, ".") {
		return
	}
	r.lines("/etc/hosts", func(line string) bool {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		for i := 1; i < len(words); i++ {
			if words[i] != f.Hostname {
				continue
			}
			for _, name := range words[1:] {
				if strings.Contains(name, ".") {
					f.FQDN = text(name)
					return false
				}
			}
		}
		return true
	})
}

// machine reads memory and processors.
func (r reader) machine(f *Facts) {
	for line := range strings.SplitSeq(r.file("/proc/meminfo", maxFile), "\n") {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		kib, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil || kib < 0 || kib > 1<<50 {
			continue
		}
		switch words[0] {
		case "MemTotal:":
			f.Memory.Total = kib << 10
		case "MemAvailable:":
			f.Memory.Available = kib << 10
		case "SwapTotal:":
			f.Memory.Swap = kib << 10
		}
	}
	f.Processors.Count = countRanges(r.line("/sys/devices/system/cpu/online"))
	// The first processor's lines are enough; on a large machine the rest
	// takes the kernel milliseconds to make up.
	for line := range strings.SplitSeq(r.file("/proc/cpuinfo", 4096), "\n") {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "model name", "cpu model", "uarch":
			f.Processors.Model = text(strings.TrimSpace(value))
			return
		}
	}
}

// countRanges counts what a list as "0-3,8" names; at most 65,536.
func countRanges(s string) int {
	n := 0
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || a < 0 || b < a || b >= 1<<16 {
			continue
		}
		n += b - a + 1
	}
	return min(n, 1<<16)
}

func (r reader) managers(f *Facts) {
	for _, m := range [][2]string{{"apt", "apt-get"}, {"dnf", "dnf"}, {"dnf", "dnf5"}, {"yum", "yum"}, {"zypper", "zypper"}, {"pacman", "pacman"}, {"apk", "apk"}} {
		if r.exists("/usr/bin/"+m[1]) || r.exists("/sbin/"+m[1]) || r.exists("/bin/"+m[1]) {
			f.PackageManager = m[0]
			break
		}
	}
	switch { // as sd_booted(3) tells it
	case r.exists("/run/systemd/system"):
		f.ServiceManager = "systemd"
	case r.exists("/run/openrc"):
		f.ServiceManager = "openrc"
	case r.exists("/etc/inittab") && r.exists("/etc/init.d") && r.exists("/sbin/init"):
		f.ServiceManager = "sysvinit"
	}
}

// homes reads the homes that playbooks are about: people's and root's.
func (r reader) homes(f *Facts) {
	r.lines("/etc/passwd", func(line string) bool {
		words := strings.Split(line, ":")
		if len(words) < 7 || words[0] == "" || !filepath.IsAbs(words[5]) {
			return true
		}
		uid, err := strconv.ParseUint(words[2], 10, 32)
		if err != nil {
			return true
		}
		must := words[0] == f.Login || uid == 0
		people := uid >= 1000 && uid != 65534 && uid != 65535 // nobody, and the number that means none
		if name := text(words[0]); f.Homes[name] == "" && (must || people && len(f.Homes) < maxHomes-2) {
			f.Homes[name] = text(words[5])
		}
		return len(f.Homes) < maxHomes
	})
}
