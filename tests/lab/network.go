package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// switchScript makes the switch and the workstation, on whose names the hosts' scripts build.
func switchScript(p paths) string {
	sw, ws := p.netns(switchSpace), p.netns(workstationSpace)
	// A bridge without an address of its own takes one of its ports', and another when that
	// host boots: what the others still know of the package cache then leads nowhere.
	return strings.NewReplacer("SW", sw, "WS", ws, "CACHE", cacheAddress, "ADDR", WorkstationAddress,
		"PUBMAC", hardwareAddress(WorkstationAddress), "PRIVMAC", hardwareAddress(cacheAddress)).Replace(`set -e
ip netns add SW
ip netns add WS
ip -n SW link set lo up
ip -n SW link add pub address PUBMAC type bridge
ip -n SW link add priv address PRIVMAC type bridge
ip -n SW link set pub up
ip -n SW link set priv up
ip -n SW addr add CACHE/24 dev priv
nsenter --net=/run/netns/SW sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'
ip link add ws netns SW type veth peer name eth0 netns WS
ip -n SW link set ws master pub up
ip -n WS link set lo up
ip -n WS addr add ADDR/24 dev eth0
ip -n WS link set eth0 up
nsenter --net=/run/netns/WS sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'
`)
}

// port is one cable between a host and the switch.
type port struct {
	device  string // in the host
	plug    string // in the switch
	bridge  string
	address string
}

// mac is the host's hardware address there: the same at each boot, as a real
// machine's is, so that its neighbours needn't find out first that it changed.
func (c port) mac() string { return hardwareAddress(c.address) }

// hardwareAddress is one for an IPv4 address, of those that anybody may use.
func hardwareAddress(address string) string {
	ip := net.ParseIP(address).To4()
	return fmt.Sprintf("02:4d:%02x:%02x:%02x:%02x", ip[0], ip[1], ip[2], ip[3])
}

func (s spec) ports() []port {
	if s.name == Bastion {
		return []port{
			{"eth0", "nat-pub", "pub", BastionAddress},
			{"eth1", "nat-priv", "priv", bastionInside},
		}
	}
	return []port{{"eth0", s.name, "priv", s.address}}
}

// networkScript makes the host's namespace afresh, as each boot does. What an
// earlier one left on the switch goes first: a namespace that a stray process
// still holds would keep its cable plugged in.
func networkScript(p paths, s spec) string {
	var b strings.Builder
	sw, ns := p.netns(switchSpace), p.netns(s.name)
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for _, c := range s.ports() {
		line("ip -n %s link del %s 2>/dev/null", sw, c.plug)
	}
	line("ip netns del %s 2>/dev/null", ns)
	line("set -e")
	line("ip netns add %s", ns)
	line("ip -n %s link set lo up", ns)
	for _, c := range s.ports() {
		line("ip link add %s netns %s type veth peer name %s address %s netns %s", c.plug, sw, c.device, c.mac(), ns)
		line("ip -n %s link set %s master %s", sw, c.plug, c.bridge)
		line("[ -e %s ] || ip -n %s link set %s up", cutFile(p, s.name), sw, c.plug)
		line("ip -n %s addr add %s/24 dev %s", ns, c.address, c.device)
		line("ip -n %s link set %s up", ns, c.device)
	}
	forward := 0
	if s.name == Bastion {
		forward = 1
		line("nsenter --net=/run/netns/%s nft -f - <<'EOF'\n%sEOF", ns, bastionRules())
	} else {
		line("ip -n %s route add default via %s", ns, bastionInside)
	}
	line("nsenter --net=/run/netns/%s sh -c 'echo %d >/proc/sys/net/ipv4/ip_forward'", ns, forward)
	return b.String()
}

// bastionRules are the bastion's firewall at boot: it masquerades the private
// network, and forwards the package cache's port, its own requests included.
func bastionRules() string {
	return strings.NewReplacer("INSIDE", bastionInside, "CACHE", cacheAddress, "PORT", cachePort).Replace(`table ip lab {
	chain prerouting {
		type nat hook prerouting priority dstnat;
		iifname "eth1" ip daddr INSIDE tcp dport PORT dnat to CACHE:PORT
	}
	chain output {
		type nat hook output priority -100; # nft has a name for it in prerouting alone
		ip daddr INSIDE tcp dport PORT dnat to CACHE:PORT
	}
	chain postrouting {
		type nat hook postrouting priority srcnat;
		oifname "eth0" ip saddr 10.0.1.0/24 masquerade
		oifname "eth1" ip daddr CACHE tcp dport PORT masquerade
	}
}
`)
}

func cutFile(p paths, host string) string { return filepath.Join(p.host(host), "cut") }

func isCut(p paths, s spec) bool {
	_, err := os.Stat(cutFile(p, s.name))
	return err == nil
}

// setPorts sets the host's cables on the switch up or down.
func setPorts(ctx context.Context, p paths, s spec, how string) error {
	for _, c := range s.ports() {
		if err := run(ctx, "ip", "-n", p.netns(switchSpace), "link", "set", c.plug, how); err != nil {
			return err
		}
	}
	return nil
}

// run runs a program of this machine to its end; its output is in the error alone.
func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = cleanEnvironment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// namespaces returns the network namespaces of the lab by name, with their
// inodes; one whose making was cut off has none.
func namespaces(p paths) (map[string]uint64, error) {
	entries, err := os.ReadDir(netnsFolder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := map[string]uint64{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), p.prefix()) {
			found[e.Name()], _ = inode(filepath.Join(netnsFolder, e.Name()))
		}
	}
	return found, nil
}

// removeNamespaces takes the lab's namespaces away. Cables and bridges go with them.
func removeNamespaces(p paths) error {
	found, err := namespaces(p)
	if err != nil {
		return err
	}
	var problems []error
	for name := range found {
		path := filepath.Join(netnsFolder, name)
		if err := errors.Join(detach(path), os.Remove(path)); err != nil {
			problems = append(problems, fmt.Errorf("removing the namespace %s: %w", name, err))
		}
	}
	return errors.Join(problems...)
}

// namespaceProcesses returns the processes whose network namespace is one of the lab's.
func namespaceProcesses(p paths) ([]process, error) {
	found, err := namespaces(p)
	if err != nil {
		return nil, err
	}
	mine := map[uint64]bool{}
	root, err := inode(netnsFolder)
	if err != nil && len(found) > 0 {
		return nil, err
	}
	own, err := inode("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if i != 0 && i != root && i != own {
			mine[i] = true
		}
	}
	if len(mine) == 0 {
		return nil, nil
	}
	return processes(func(pid int, _ procStat) bool {
		i, err := inode(fmt.Sprintf("/proc/%d/ns/net", pid))
		return err == nil && mine[i]
	}), nil
}

// sshGreets connects to the host's port 22 from the switch and reads the first
// bytes that an SSH server sends.
func sshGreets(ctx context.Context, p paths, s spec) error {
	c, err := dialIn(ctx, p.netnsPath(switchSpace), net.JoinHostPort(s.address, "22"))
	if err != nil {
		return err
	}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end)
	}
	b := make([]byte, 4)
	if _, err := c.Read(b); err != nil {
		return err
	}
	if string(b) != "SSH-" {
		return fmt.Errorf("port 22 says %q", b)
	}
	return nil
}
