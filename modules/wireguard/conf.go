package wireguard

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// conf is an interface's configuration as wg-quick(8) reads it. Lines that muster doesn't
// know stay as and where they are.
type conf struct {
	name     string // the interface's
	sections []*section
}

// section is a header with the lines below it. The first one of a conf has none: it is
// what comes before all headers.
type section struct {
	header string // "interface", "peer"; in lower case
	lines  []string
}

const (
	// nameMark is the comment that names a peer.
	nameMark = "# Peer: "
	// ownHook begins the lines that have wg read keys from their files. The private key's
	// comes last: before it nobody can talk to the interface, so that no peer is ever let in
	// without its preshared key.
	ownHook = "PostUp = wg set %i "
)

func keyHook(name string) string { return ownHook + "private-key " + keyPath(name) }

func pskHook(key, path string) string { return ownHook + "peer " + key + " preshared-key " + path }

func parse(name, text string) *conf {
	c := &conf{name: name, sections: []*section{{}}}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if word := strings.TrimSpace(plain(line)); strings.HasPrefix(word, "[") && strings.HasSuffix(word, "]") {
			c.sections = append(c.sections, &section{header: strings.ToLower(strings.Trim(word, "[]"))})
		}
		at := c.sections[len(c.sections)-1]
		at.lines = append(at.lines, line)
	}
	return c
}

// String is the text of the file.
func (c *conf) String() string {
	var b strings.Builder
	for _, s := range c.sections {
		for _, line := range s.lines {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// plain is a line without its comment.
func plain(line string) string {
	text, _, _ := strings.Cut(line, "#")
	return text
}

// setting splits a line; the name is in lower case, "" where the line sets nothing.
func setting(line string) (name, value string) {
	name, value, ok := strings.Cut(plain(line), "=")
	if !ok {
		return "", ""
	}
	return strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
}

// get returns the values that a section gives a setting, in order: several lines, and
// several values in one, count alike.
func (s *section) get(name string) (values []string) {
	for _, line := range s.lines {
		if n, value := setting(line); n == strings.ToLower(name) {
			for v := range strings.SplitSeq(value, ",") {
				if v = strings.TrimSpace(v); v != "" {
					values = append(values, v)
				}
			}
		}
	}
	return values
}

func (s *section) first(name string) string {
	if values := s.get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// set gives a setting these values, where it hasn't just these. None take it out.
func (s *section) set(name string, values ...string) {
	if slices.Equal(s.get(name), values) {
		return
	}
	at := -1
	var lines []string
	for _, line := range s.lines {
		if n, _ := setting(line); n == strings.ToLower(name) {
			if at < 0 {
				at = len(lines)
			}
			continue
		}
		lines = append(lines, line)
	}
	s.lines = lines
	if len(values) == 0 {
		return
	}
	if at < 0 {
		at = s.end()
	}
	s.lines = slices.Insert(s.lines, at, name+" = "+strings.Join(values, ", "))
}

// end is behind the section's last line that says something. Comments behind that are
// about what comes next.
func (s *section) end() int {
	at := len(s.lines)
	for at > 0 {
		line := strings.TrimSpace(s.lines[at-1])
		if strings.HasPrefix(line, nameMark) || strings.TrimSpace(plain(line)) != "" {
			break
		}
		at--
	}
	return at
}

// own is the section of the interface, which is made where there is none.
func (c *conf) own() *section {
	for _, s := range c.sections {
		if s.header == "interface" {
			return s
		}
	}
	s := &section{header: "interface", lines: []string{"[Interface]"}}
	c.sections = slices.Insert(c.sections, 1, s)
	return s
}

// peers are the sections of peers.
func (c *conf) peers() (list []*section) {
	for _, s := range c.sections {
		if s.header == "peer" {
			list = append(list, s)
		}
	}
	return list
}

func (s *section) key() string { return s.first("PublicKey") }

// title is the name that a peer's comment gives it, "" where it has none.
func (s *section) title() string {
	for _, line := range s.lines {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), nameMark); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// called is how errors call a peer.
func (s *section) called() string {
	if t := s.title(); t != "" {
		return "the peer " + t
	}
	return "the peer " + s.key()
}

func (c *conf) byName(name string) *section {
	return c.find(func(s *section) bool { return s.title() == name })
}

func (c *conf) byKey(key string) *section {
	return c.find(func(s *section) bool { return s.key() == key })
}

func (c *conf) find(is func(*section) bool) *section {
	list := c.peers()
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i]
	}
	return nil
}

// put has the configuration know a peer as it is wanted, in the place of the one that has
// its name, or its key and no name.
func (c *conf) put(name string, w Peer) {
	s := c.byName(name)
	if s == nil {
		if s = c.byKey(w.PublicKey); s != nil && s.title() == "" {
			s.lines = slices.Insert(s.lines, 1, nameMark+name)
		} else {
			last := c.sections[len(c.sections)-1]
			for n := len(last.lines); n > 0 && strings.TrimSpace(last.lines[n-1]) == ""; n-- {
				last.lines = last.lines[:n-1]
			}
			last.lines = append(last.lines, "")
			s = &section{header: "peer", lines: []string{"[Peer]", nameMark + name}}
			c.sections = append(c.sections, s)
		}
	}
	shared := c.shared(s.key()) != "" || w.PresharedKey != ""
	c.share(s.key(), "")
	s.set("PublicKey", w.PublicKey)
	if !slices.Equal(networks(s.get("AllowedIPs")), networks(w.AllowedIPs)) {
		s.set("AllowedIPs", networks(w.AllowedIPs)...)
	}
	if w.Endpoint != "" {
		s.set("Endpoint", w.Endpoint)
	}
	if w.Keepalive != nil && (*w.Keepalive != 0 || s.first("PersistentKeepalive") != "") {
		s.set("PersistentKeepalive", strconv.Itoa(*w.Keepalive))
	}
	if shared {
		c.share(w.PublicKey, pskPath(c.name, name))
	}
}

// remove takes a peer out.
func (c *conf) remove(s *section) {
	c.share(s.key(), "")
	c.sections = slices.DeleteFunc(c.sections, func(o *section) bool { return o == s })
}

// shared is the file of the key that is shared with a peer, "" for none.
func (c *conf) shared(key string) string {
	for _, line := range c.own().lines {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), pskHook(key, "")); ok {
			return path
		}
	}
	return ""
}

// share has wg read the key that is shared with a peer from path, or with "" none. The
// lines stand in the order of their peers.
func (c *conf) share(key, path string) {
	if key == "" {
		return
	}
	files := map[string]string{}
	for _, p := range c.peers() {
		files[p.key()] = c.shared(p.key())
	}
	files[key] = path
	s := c.own()
	s.lines = slices.DeleteFunc(s.lines, c.hooked)
	var hooks []string
	for _, p := range c.peers() {
		if path := files[p.key()]; path != "" {
			hooks = append(hooks, pskHook(p.key(), path))
		}
	}
	s.lines = slices.Insert(s.lines, s.end(), append(hooks, keyHook(c.name))...)
}

// hooked reports whether a line has wg read a key.
func (c *conf) hooked(line string) bool {
	line = strings.TrimSpace(line)
	return line == keyHook(c.name) || strings.HasPrefix(line, ownHook+"peer ") && strings.Contains(line, " preshared-key ")
}

// foreign returns an error where keys stand in the configuration itself.
func (c *conf) foreign() error {
	for _, s := range c.sections {
		switch {
		case s.header == "interface" && s.first("PrivateKey") != "":
			return fmt.Errorf("%[1]s holds the interface's private key itself, and muster reads none: on the host, have it in a file of its own with\n"+
				"  umask 077; sed -n 's/^ *PrivateKey *= *//p' %[1]s >%[2]s && sed -i '/^ *PrivateKey *=/d' %[1]s", confPath(c.name), keyPath(c.name))
		case s.first("PresharedKey") != "":
			return fmt.Errorf("%s holds the key that is shared with %s itself: take the line PresharedKey out, and give the peer a preshared_key", confPath(c.name), s.called())
		case s.header == "peer" && s.key() == "":
			return fmt.Errorf("%s has a section [Peer] without a PublicKey: wg-quick wouldn't start with it; take it out", confPath(c.name))
		}
	}
	return nil
}

// off reports whether wg-quick makes no routes.
func (c *conf) off() bool { return strings.EqualFold(c.own().first("Table"), "off") }

// auto reports whether wg-quick makes rules of routing where a peer is given all addresses
// (/0).
func (c *conf) auto() bool {
	table := c.own().first("Table")
	return table == "" || strings.EqualFold(table, "auto")
}

// wants is the device that wg-quick makes of the configuration. shared tells the sum of
// the key in a file.
func (c *conf) wants(shared func(path string) string) *device {
	own := c.own()
	d := &device{Keyed: true, Peers: map[string]peer{}}
	d.Port, _ = strconv.Atoi(own.first("ListenPort"))
	d.MTU, _ = strconv.Atoi(own.first("MTU"))
	for _, a := range own.get("Address") {
		d.Addresses = append(d.Addresses, address(a))
		if n, err := network(a); err == nil && !n.IsSingleIP() {
			d.Routes = append(d.Routes, n.String())
		}
	}
	d.Addresses = sorted(d.Addresses)
	var allowed []netip.Prefix
	for _, s := range c.peers() {
		p := peer{AllowedIPs: networks(s.get("AllowedIPs")), Endpoint: s.first("Endpoint") != ""}
		p.Keepalive, _ = strconv.Atoi(s.first("PersistentKeepalive"))
		if path := c.shared(s.key()); path != "" {
			p.Shared = shared(path)
		}
		d.Peers[s.key()] = p
		for _, n := range p.AllowedIPs {
			allowed = append(allowed, netip.MustParsePrefix(n))
		}
	}
	if !c.off() {
		slices.SortStableFunc(allowed, func(a, b netip.Prefix) int { return b.Bits() - a.Bits() })
		for _, n := range allowed {
			switch {
			case n.Bits() == 0 && c.auto():
				d.Everything = append(d.Everything, n.String())
			case n.Bits() > 0 && !d.reaches(n.String()):
				d.Routes = append(d.Routes, n.String())
			}
		}
	}
	d.Routes, d.Everything = sorted(d.Routes), sorted(d.Everything)
	return d
}

// address is an interface's address with its length.
func address(text string) string {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()).String()
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.String()
	}
	return text
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
