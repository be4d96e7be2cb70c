package facts

import "strings"

// virtualisation finds what systemd-detect-virt finds, from files alone and in
// its order: containers first, then the machine's maker, then the processor.
func (r reader) virtualisation(f *Facts) {
	if word := r.container(); word != "" {
		f.Virtualisation = word
		return
	}
	f.Virtualisation = r.hypervisor()
}

// container names the container that this is; "" if it is none.
func (r reader) container() string {
	if r.exists("/proc/vz") && !r.exists("/proc/bc") {
		return "openvz"
	}
	kernel := r.line("/proc/sys/kernel/osrelease")
	if strings.Contains(kernel, "Microsoft") || strings.Contains(kernel, "WSL") {
		return "wsl"
	}
	// Every manager that follows the container interface says its own name
	// here; the environment of PID 1 is for root alone.
	word := r.line("/run/host/container-manager")
	if word == "" {
		word = r.line("/run/systemd/container")
	}
	if word == "" {
		for v := range strings.SplitSeq(r.file("/proc/1/environ", maxFile), "\x00") {
			if name, ok := strings.CutPrefix(v, "container="); ok {
				word = name
				break
			}
		}
	}
	switch word {
	case "systemd-nspawn", "lxc", "lxc-libvirt", "docker", "podman", "rkt", "wsl", "proot", "pouch", "openvz":
		return word
	case "", "oci":
	default:
		return "container-other"
	}
	switch {
	case r.exists("/run/.containerenv"):
		return "podman"
	case r.exists("/.dockerenv"):
		return "docker"
	case word != "":
		return "container-other"
	}
	return ""
}

// hypervisor names the machine's; "none" on bare metal.
func (r reader) hypervisor() string {
	flags, cpuTells := r.cpuFlags()
	under := strings.Contains(flags, " hypervisor ")
	maker := r.maker()
	switch {
	case maker == "amazon" && cpuTells && !under, // a whole machine of theirs
		maker == "amazon" && strings.HasSuffix(r.line("/sys/class/dmi/id/product_name"), ".metal"):
		return "none"
	case maker != "" && maker != "qemu":
		return maker
	case r.line("/sys/hypervisor/type") == "xen":
		return "xen"
	}
	// The clocks that a guest is offered name the hypervisor, where its
	// machine only says that it is QEMU's.
	clocks := r.line("/sys/devices/system/clocksource/clocksource0/available_clocksource")
	switch {
	case strings.Contains(clocks, "kvm-clock"):
		return "kvm"
	case strings.Contains(clocks, "hyperv_clocksource"):
		return "microsoft"
	case maker != "":
		return maker
	case under:
		return "vm-other"
	}
	return "none"
}

// cpuFlags returns the first processor's flags between spaces; tells is false
// where it isn't one that has the hypervisor flag.
func (r reader) cpuFlags() (flags string, tells bool) {
	for line := range strings.SplitSeq(r.file("/proc/cpuinfo", 8192), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "flags" {
			return " " + strings.TrimSpace(value) + " ", true
		}
	}
	return "", false
}

// maker is what the machine's own tables say of a virtual machine. The order
// of files and names is systemd's (src/basic/virt.c).
func (r reader) maker() string {
	names := [][2]string{
		{"KVM", "kvm"}, {"OpenStack", "kvm"}, {"KubeVirt", "kvm"}, {"Amazon EC2", "amazon"}, {"QEMU", "qemu"}, {"VMware", "vmware"},
		{"VMW", "vmware"}, {"innotek GmbH", "oracle"}, {"VirtualBox", "oracle"}, {"Oracle Corporation", "oracle"}, {"Xen", "xen"},
		{"Bochs", "bochs"}, {"Parallels", "parallels"}, {"BHYVE", "bhyve"}, {"Hyper-V", "microsoft"}, {"Virtual Machine", "microsoft"},
		{"Apple Virtualization", "apple"}, {"Google Compute Engine", "google"}, {"Google", "google"},
	}
	for _, file := range []string{"product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version"} {
		value := r.line("/sys/class/dmi/id/" + file)
		for _, n := range names {
			if value != "" && strings.HasPrefix(value, n[0]) {
				return n[1]
			}
		}
	}
	// Without such tables, the device tree may tell (arm64, ppc64).
	if strings.HasPrefix(r.line("/proc/device-tree/hypervisor/compatible"), "linux,kvm") {
		return "kvm"
	}
	return ""
}
