// Package facts gathers what a host is.
//
// Everything comes from files and one netlink dump: no program is run, no name
// is looked up, no network file system is touched. Counts and sizes are
// bounded, so that a hostile host can't make its facts large; what can't be
// read is left at its zero value.
package facts

// Facts is what a host is, at one moment. Its JSON is what expressions read as
// host.facts. Lists are never null.
type Facts struct {
	// The operating system.
	OS OS `json:"os"`
	// The processor architecture of the installed programs in Debian's words:
	// "amd64", "arm64", "armhf", "i386", "ppc64el", "riscv64", "s390x"; the
	// kernel's word where Debian has none.
	Architecture string `json:"architecture"`
	// The running kernel's release, as uname -r prints it.
	Kernel string `json:"kernel"`
	// The host's own name, as the kernel has it.
	Hostname string `json:"hostname"`
	// The full name that /etc/hosts gives the host name; the host name itself
	// where there is none. DNS isn't asked.
	FQDN string `json:"fqdn"`
	// The addresses of all interfaces, without loopback and link-local ones.
	Addresses Addresses `json:"addresses"`
	// The network interfaces, by name.
	Interfaces map[string]Interface `json:"interfaces"`
	// The memory, in bytes.
	Memory Memory `json:"memory"`
	// The processors.
	Processors Processors `json:"processors"`
	// The mounted file systems, in the order of mounting, without those that
	// only show the kernel (proc, sysfs, cgroup).
	Mounts []Mount `json:"mounts"`
	// What the host runs in, in the words of systemd-detect-virt: "kvm",
	// "vmware", "microsoft", "oracle", "xen", "amazon", "docker", "podman",
	// "lxc", "systemd-nspawn", "wsl", "container-other", "vm-other"; "none" on
	// bare metal. A container's word goes before its machine's.
	Virtualisation string `json:"virtualisation"`
	// The program that installs packages: "apt", "dnf", "yum", "zypper",
	// "pacman", "apk"; "" where none is found.
	PackageManager string `json:"package_manager"`
	// What runs services: "systemd", "openrc", "sysvinit"; "" where nothing does.
	ServiceManager string `json:"service_manager"`
	// The home directories of the login user, root, and the users with numbers
	// from 1000 on, by user name; 512 at most.
	Homes map[string]string `json:"homes"`
	// The user that this connection logged in as.
	Login string `json:"login"`
	// A random text that differs after each boot.
	BootID string `json:"boot_id"`
	// The time zone: "Europe/Berlin".
	Timezone string `json:"timezone"`
	// SELinux: "enforcing", "permissive" or "disabled".
	SELinux string `json:"selinux"`
}

// OS is the operating system, as os-release(5) has it.
type OS struct {
	// Its identifier in lower case: "debian", "ubuntu", "rocky".
	ID string `json:"id"`
	// The identifiers of the systems it is like, closest first: ["debian"].
	Like []string `json:"like"`
	// Its name for people: "Debian GNU/Linux 12 (bookworm)".
	Name string `json:"name"`
	// Its version: "12", "24.04"; "" where releases have none (Debian sid).
	Version string `json:"version"`
	// Its version's name: "bookworm".
	Codename string `json:"codename"`
}

// Addresses is the addresses of a host.
type Addresses struct {
	// The address that the host uses to reach the internet: IPv4 where it has
	// a route there, else IPv6; "" without such a route.
	Default string `json:"default"`
	// The interface of that route.
	Interface string `json:"interface"`
	// The gateway of that route; "" where there is none.
	Gateway string `json:"gateway"`
	// The IPv4 addresses, the default one first.
	IPv4 []string `json:"ipv4"`
	// The IPv6 addresses, the default one first.
	IPv6 []string `json:"ipv6"`
}

// Interface is a network interface.
type Interface struct {
	// Its hardware address: "52:54:00:12:34:56"; "" where it has none.
	MAC string `json:"mac"`
	// The largest packet, in bytes.
	MTU int `json:"mtu"`
	// Whether it is up.
	Up bool `json:"up"`
	// Its IPv4 addresses with the length of the prefix: "10.0.1.13/24".
	IPv4 []string `json:"ipv4"`
	// Its IPv6 addresses with the length of the prefix.
	IPv6 []string `json:"ipv6"`
}

// Memory is in bytes.
type Memory struct {
	// What the kernel can use.
	Total int64 `json:"total"`
	// What programs could still have without swapping.
	Available int64 `json:"available"`
	// The size of all swap space.
	Swap int64 `json:"swap"`
}

// Processors is the processors of a host.
type Processors struct {
	// How many are on line, threads counted singly.
	Count int `json:"count"`
	// The name of the first: "AMD EPYC 7702P 64-Core Processor"; "" where the
	// kernel doesn't tell.
	Model string `json:"model"`
}

// Mount is a mounted file system.
type Mount struct {
	// Where it is mounted.
	Path string `json:"path"`
	// What is mounted: "/dev/vda1", "nas:/export".
	Device string `json:"device"`
	// The type of file system: "ext4".
	Type string `json:"type"`
	// The options, separated by commas.
	Options string `json:"options"`
	// Its size in bytes; 0 for file systems of the network and in user space,
	// which aren't asked, since they may never answer.
	Size int64 `json:"size"`
	// What users other than root can still write, in bytes; 0 as for size.
	Available int64 `json:"available"`
}

// Bounds of what is gathered.
const (
	maxText       = 1024     // bytes of a text
	maxOptions    = 4096     // bytes of a mount's options
	maxFile       = 64 << 10 // bytes read of a file
	maxTable      = 1 << 20  // bytes read of a table: passwd, mounts, hosts
	maxInterfaces = 512
	maxAddresses  = 64 // of one interface, and of each list of the host
	maxMounts     = 512
	maxHomes      = 512
)
