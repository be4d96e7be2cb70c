package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"muster/host"
)

// possible returns why the container can't be made, as far as the host tells: a port
// that somebody else has, a network or a mount that isn't there. c is the one in whose
// place it is made, nil if there is none.
func (p *planner) possible(ctx context.Context, c *container.Summary) error {
	if err := p.runsHere(ctx); err != nil {
		return err
	}
	for _, m := range p.want.Volumes {
		source, _, _ := strings.Cut(m, ":")
		if !path.IsAbs(source) {
			continue
		}
		info, err := p.v.Stat(source)
		if err != nil {
			return err
		}
		if !info.Exists() {
			return fmt.Errorf("there is no %s on this host, which is to be mounted on %s: make it in an earlier task", source, targetOf(m))
		}
	}
	if err := p.networksThere(ctx); err != nil {
		return err
	}
	return p.portsFree(ctx, c)
}

// networksThere returns an error for a network that isn't there.
func (p *planner) networksThere(ctx context.Context) error {
	for _, n := range p.want.Networks {
		if slices.Contains([]string{"bridge", "host", "none"}, n) || strings.HasPrefix(n, "container:") {
			continue
		}
		there, err := readNetwork(ctx, p.v, n)
		if err != nil {
			return err
		}
		if there == nil {
			return fmt.Errorf("there is no network %s: make it in an earlier task, task \"docker_network\" %q {}", n, n)
		}
	}
	return nil
}

var process = regexp.MustCompile(`users:\(\("([^"]*)",pid=(\d+)`)

// portsFree returns an error that names who has a port of the host.
func (p *planner) portsFree(ctx context.Context, c *container.Summary) error {
	if p.State == "stopped" {
		return nil
	}
	var listening map[string]string
	for _, text := range p.want.Ports {
		port := publishedOf(text)
		if other := p.publisher(port); other != "" {
			return fmt.Errorf("the port %s of this host is published by the container %s", port.port, other)
		}
		if c != nil && publishes(*c, port) {
			continue
		}
		if listening == nil {
			var err error
			if listening, err = listeners(ctx, p.v); err != nil {
				return err
			}
		}
		for at, who := range listening {
			if who != "" && hits(at, port) {
				return fmt.Errorf("the port %s of this host is taken by %s", port.port, who)
			}
		}
	}
	return nil
}

// publisher names another container that publishes a port, once pending changes are made.
func (p *planner) publisher(port published) string {
	var laid []string
	for _, name := range p.v.Laid(containers) {
		value, ok, _, err := p.v.Look(host.Key{Space: containers, Name: name})
		if err != nil || !ok {
			continue // as far as anybody can tell it stays as it is
		}
		laid = append(laid, name)
		var s standing
		if value == nil || name == p.Name || host.Unmarshal(value, &s) != nil {
			continue
		}
		for _, text := range strings.Fields(s.Ports) {
			if other := publishedOf(text); other.port == port.port && other.protocol == port.protocol && meets(other.address, port.address) {
				return name
			}
		}
	}
	for _, c := range p.list {
		if name := nameOf(c); !slices.Contains([]string{p.Name, p.Name + newSuffix, p.Name + oldSuffix}, name) && publishes(c, port) && !slices.Contains(laid, name) {
			return name
		}
	}
	return ""
}

// publishes reports whether a running container has a port of the host.
func publishes(c container.Summary, port published) bool {
	return slices.ContainsFunc(c.Ports, func(p container.PortSummary) bool {
		return strconv.Itoa(int(p.PublicPort)) == port.port && p.Type == port.protocol && meets(p.IP.String(), port.address)
	})
}

// meets reports whether two addresses of a host are one, or one is all.
func meets(a, b string) bool {
	all := func(s string) bool {
		return s == "" || s == "0.0.0.0" || s == "::" || s == "*" || s == "invalid IP"
	}
	return a == b || all(a) || all(b)
}

// listeners are the processes that listen on ports of the host, by "PROTOCOL ADDRESS PORT".
func listeners(ctx context.Context, v *host.View) (map[string]string, error) {
	out, err := v.Query(ctx, host.Command{Argv: []string{"ss", "-Hltunp"}})
	if err != nil {
		return nil, err
	}
	list := map[string]string{}
	for line := range strings.Lines(string(out.Stdout)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		at := strings.LastIndex(f[4], ":")
		address := strings.Trim(f[4][:max(at, 0)], "[]")
		address, _, _ = strings.Cut(address, "%")
		who := "a process"
		if m := process.FindStringSubmatch(line); m != nil {
			who = fmt.Sprintf("%s (process %s)", m[1], m[2])
			if m[1] == "docker-proxy" {
				continue // told by who publishes it
			}
		}
		list[f[0]+" "+address+" "+f[4][at+1:]] = who
	}
	return list, nil
}

func hits(at string, port published) bool {
	f := strings.SplitN(at, " ", 3)
	return f[0] == port.protocol && f[2] == port.port && meets(f[1], port.address)
}

// warnings are what a user should know of the container.
func (p *planner) warnings(ctx context.Context) ([]string, error) {
	var list []string
	for _, m := range p.want.Volumes {
		source, _, _ := strings.Cut(m, ":")
		if !path.IsAbs(source) {
			continue
		}
		if info, err := p.v.Stat(source); err != nil {
			return nil, err
		} else if info.Type == host.Regular {
			list = append(list, fmt.Sprintf("%s is mounted by itself: when it is replaced, as muster and most programs do, the container keeps the old one; mount its folder", source))
		}
	}
	dropped, err := p.dropped(ctx)
	if err != nil {
		return nil, err
	}
	for _, port := range dropped {
		list = append(list, fmt.Sprintf("port %s is published on all addresses, past the host's input rules, which would drop it: Docker lets it in by rules of its own; publish it on an address, such as 127.0.0.1:%s", port, port))
	}
	return list, nil
}

// dropped are the ports published on all addresses that the rules for the host's own
// input don't let in.
func (p *planner) dropped(ctx context.Context) ([]string, error) {
	var open []string
	for _, text := range p.want.Ports {
		if port := publishedOf(text); port.address == "" || port.address == "::" {
			open = append(open, port.port)
		}
	}
	program, err := p.v.Stat("/usr/sbin/nft")
	if err != nil || !program.Exists() || len(open) == 0 || !host.IsRoot() {
		return nil, err
	}
	out, err := p.v.Query(ctx, host.Command{Argv: []string{"/usr/sbin/nft", "list", "ruleset"}, OutputLimit: 16 << 20}, host.Key{Space: "nftables", Name: host.All})
	if err != nil || out.ExitCode != 0 {
		return nil, nil //nolint:nilerr // a warning that can't be given
	}
	var chain []string
	drops := false
	for line := range strings.Lines(string(out.Stdout)) {
		text := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(text, "chain "):
			chain = nil
		case strings.Contains(text, "hook input") && strings.Contains(text, "policy drop"):
			drops, chain = true, []string{}
		case chain != nil && strings.Contains(text, "accept"):
			open = slices.DeleteFunc(open, func(port string) bool {
				return strings.Contains(text, "dport") && slices.Contains(regexp.MustCompile(`[0-9]+`).FindAllString(text, -1), port)
			})
		}
	}
	if !drops {
		return nil, nil
	}
	return open, nil
}

// wasDeclared are the fields that a container was declared with.
func wasDeclared(labels map[string]string) []string {
	var list []string
	_ = json.Unmarshal([]byte(labels[declared]), &list) // one that muster hasn't made has none
	return list
}

// dataRoot is where the daemon keeps what it has.
func dataRoot(ctx context.Context, v *host.View) (string, error) {
	data, err := v.ReadFile(ctx, "/etc/docker/daemon.json", 1<<20)
	if err != nil {
		return "/var/lib/docker", nil //nolint:nilerr // the default; where it isn't that, containers are asked about
	}
	var c struct {
		DataRoot string `json:"data-root"`
	}
	if json.Unmarshal(data, &c) != nil || c.DataRoot == "" {
		return "/var/lib/docker", nil
	}
	return c.DataRoot, nil
}

func number(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0
}

// replaced are files that are mounted by themselves and that an earlier task replaces: the
// container keeps the old ones.
func (p *planner) replaced() ([]string, error) {
	var list []string
	for _, m := range p.want.Volumes {
		source, _, _ := strings.Cut(m, ":")
		if !path.IsAbs(source) {
			continue
		}
		info, err := p.v.Stat(source)
		if err != nil {
			return nil, err
		}
		if info.Type == host.Regular && info.Sum != "" { // planned
			list = append(list, source)
		}
	}
	return list, nil
}
