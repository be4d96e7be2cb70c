package ssh

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"muster/transport"
)

// hop is one login on the way to a host, with all that is set for it.
type hop struct {
	name       string // the inventory's
	host       string // what to dial
	port       int
	user       string
	identity   string   // the target's own key file
	identities []string // ssh_config's key files
	own        bool     // ssh_config names key files, or none: the default ones don't count
	certs      []string // ssh_config's certificates
	onlyThese  bool     // IdentitiesOnly: no agent keys but those of files
	agent      string   // the agent's socket
	alias      string   // what ~/.ssh/known_hosts calls it: HostKeyAlias or host
	notes      []string // what of ssh_config is ignored
}

// maxHops is more bastions in a row than anybody has.
const maxHops = 8

func (h hop) addr() string { return net.JoinHostPort(h.host, strconv.Itoa(h.port)) }

// id tells two logins apart.
func (h hop) id() string {
	return strings.Join([]string{h.name, h.user, h.addr(), h.identity}, "\x00")
}

// route returns the hops to t, the outermost bastion first and t last.
func (d *Dialer) route(t transport.Target) ([]hop, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	config, err := d.config()
	if err != nil {
		return nil, err
	}
	var hops []hop // t first
	names := []string{}
	for at := &t; at != nil; {
		if err := at.Validate(); err != nil {
			return nil, fmt.Errorf("bastion of %s: %w", t.Name, err)
		}
		h, jump, err := d.hop(*at, config)
		if err != nil {
			return nil, err
		}
		names = append(names, at.Name)
		for _, before := range hops[min(1, len(hops)):] {
			if before.id() == h.id() {
				return nil, fmt.Errorf("the bastions form a loop: %s: take one via out of it", strings.Join(names, " → "))
			}
		}
		if len(hops) == maxHops {
			return nil, fmt.Errorf("more than %d bastions in a row: %s", maxHops, strings.Join(names, " → "))
		}
		hops = append(hops, h)
		switch {
		case at.Via != nil:
			at = at.Via
		case jump != "":
			if at, err = parseJump(jump); err != nil {
				return nil, fmt.Errorf("ssh_config's ProxyJump of %s: %w", h.name, err)
			}
		default:
			at = nil
		}
	}
	for i, j := 0, len(hops)-1; i < j; i, j = i+1, j-1 {
		hops[i], hops[j] = hops[j], hops[i]
	}
	return hops, nil
}

// hop lays ssh_config's settings under t's own, and returns its ProxyJump.
// What the inventory says wins; ssh_config is asked for the address as
// the inventory writes it.
func (d *Dialer) hop(t transport.Target, config *sshConfig) (hop, string, error) {
	asked := t.Address
	if asked == "" {
		asked = t.Name
	}
	s := config.lookup(asked)
	h := hop{name: t.Name, host: asked, port: t.Port, user: t.User, identity: d.home(t.Identity), agent: d.opts.AgentSocket}
	if name := s.values["hostname"]; name != "" {
		h.host = strings.ReplaceAll(strings.ReplaceAll(name, "%h", asked), "%%", "%")
	}
	if h.user == "" {
		h.user = s.values["user"]
	}
	if h.user == "" {
		h.user = currentUser()
	}
	if port := s.values["port"]; h.port == 0 && port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return hop{}, "", fmt.Errorf("ssh_config's Port of %s, %q, is no port", asked, port)
		}
		h.port = n
	}
	if h.port == 0 {
		h.port = 22
	}
	h.alias = h.host
	if alias := s.values["hostkeyalias"]; alias != "" {
		h.alias = alias
	}
	jump := s.values["proxyjump"]
	if strings.EqualFold(jump, "none") {
		jump = ""
	}
	tokens := h.tokens(d.opts.Home, asked, s.values["hostkeyalias"], jump)
	path := func(keyword, text string) []string {
		if text == "none" {
			return nil
		}
		full, err := expand(d.home(text), tokens)
		if err != nil {
			h.notes = append(h.notes, fmt.Sprintf("ssh_config's %s %s is ignored: %v", keyword, text, err))
			return nil
		}
		return []string{full}
	}
	for _, file := range s.identities {
		h.identities = append(h.identities, path("IdentityFile", file)...)
	}
	h.own = len(s.identities) > 0
	for _, file := range s.certificates {
		h.certs = append(h.certs, path("CertificateFile", file)...)
	}
	h.onlyThese = strings.EqualFold(s.values["identitiesonly"], "yes")
	switch socket := s.values["identityagent"]; {
	case socket == "", socket == "SSH_AUTH_SOCK":
	case socket == "none":
		h.agent = ""
	case strings.HasPrefix(socket, "$") && !strings.HasPrefix(socket, "${"):
		h.agent = os.Getenv(socket[1:])
	default:
		if list := path("IdentityAgent", socket); list != nil {
			h.agent = list[0]
		}
	}
	check := transport.Target{Name: t.Name, Address: h.host, User: h.user}
	if err := check.Validate(); err != nil {
		return hop{}, "", fmt.Errorf("ssh_config of %s: %w", asked, err)
	}
	return h, jump, nil
}

// parseJump reads ProxyJump, "[user@]host[:port][,…]" with the nearest host to
// the target last.
func parseJump(jump string) (*transport.Target, error) {
	var via *transport.Target
	for part := range strings.SplitSeq(jump, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "ssh://")
		t := &transport.Target{Via: via}
		if i := strings.LastIndex(part, "@"); i >= 0 {
			t.User, part = part[:i], part[i+1:]
		}
		if host, port, err := net.SplitHostPort(part); err == nil {
			part = host
			if t.Port, err = strconv.Atoi(port); err != nil {
				return nil, fmt.Errorf("%q is no port", port)
			}
		}
		part = strings.Trim(part, "[]")
		if part == "" {
			return nil, errors.New("it names an empty host")
		}
		t.Name, t.Address = part, part
		via = t
	}
	return via, nil
}

// home expands a leading ~/.
func (d *Dialer) home(file string) string {
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		return filepath.Join(d.opts.Home, rest)
	}
	return file
}
