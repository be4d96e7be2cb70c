package haproxy

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// parsed is what muster has to know of a configuration's text. HAProxy itself decides
// whether the text is right.
type parsed struct {
	lines     []line // those that say something
	binds     []bind
	servers   []server
	frontends []string // names of frontends and listens
	// loadsState: servers' states are read from the file of the global section.
	loadsState bool
	chroot     string
	chrootLine int
	defaults   bool // a default-server line may say what a server's own doesn't
}

// line is a line of a configuration.
type line struct {
	number int // from 1
	kind   string
	proxy  string // the section's name
	words  []string
}

// bind is one address that a frontend listens on.
type bind struct {
	line  int
	proxy string
	host  string // "", or an IP address
	ports [2]int // first and last
	words []string
	// quic and other protocols, sockets of files and those handed over aren't looked at.
}

// server is a server of a backend.
type server struct {
	proxy, name string
	host, port  string // as written; port "" where there is none
	weight      string // as written; "" where there is none
	disabled    bool
	rest        []string // of the words, what a running HAProxy can't be told
}

// parse reads a configuration's text.
func parse(text string) *parsed {
	p := &parsed{}
	kind, proxy := "", ""
	number := 0
	for raw := range strings.Lines(text) {
		number++
		w := splitLine(raw)
		if len(w) == 0 {
			continue
		}
		if slices.Contains(sectionKeywords, w[0]) {
			if kind, proxy = w[0], ""; len(w) > 1 {
				proxy = w[1]
			}
			if kind == "frontend" || kind == "listen" {
				p.frontends = append(p.frontends, proxy)
			}
		}
		l := line{number: number, kind: kind, proxy: proxy, words: w}
		p.lines = append(p.lines, l)
		switch {
		case w[0] == "bind" && len(w) > 1 && (kind == "frontend" || kind == "listen" || kind == "peers" || kind == "log-forward"):
			p.binds = append(p.binds, bindsOf(l, w[1])...)
		case kind == "global" && w[0] == "stats" && len(w) > 2 && w[1] == "socket":
			p.binds = append(p.binds, bindsOf(l, w[2])...)
		case kind == "global" && w[0] == "chroot" && len(w) > 1:
			p.chroot, p.chrootLine = w[1], number
		case w[0] == "server" && len(w) > 2 && (kind == "backend" || kind == "listen"):
			p.servers = append(p.servers, serverOf(l))
		case w[0] == "load-server-state-from-file" && len(w) > 1 && w[1] == "global":
			p.loadsState = true
		case w[0] == "default-server":
			p.defaults = true
		}
	}
	return p
}

// splitLine splits a line into its words as HAProxy does (configuration manual, 2.2).
func splitLine(s string) (list []string) {
	var b strings.Builder
	inside, quote := false, byte(0)
	end := func() {
		if inside {
			list = append(list, b.String())
		}
		b.Reset()
		inside = false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
			inside = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inside = c, true
		case quote == 0 && c == '#':
			end()
			return list
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			end()
		default:
			b.WriteByte(c)
			inside = true
		}
	}
	end()
	return list
}

// told is a configuration of the servers alone that commands are about.
func (p *parsed) told(list []told) string {
	var b strings.Builder
	for _, s := range p.servers {
		if !slices.ContainsFunc(list, func(t told) bool { return strings.HasPrefix(t.Command, "set server "+s.proxy+"/"+s.name+" ") }) {
			continue
		}
		fmt.Fprintf(&b, "backend %s\nserver %s x:1 weight %s", s.proxy, s.name, weightOr1(s.weight))
		if s.disabled {
			b.WriteString(" disabled")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// secretive reports whether a configuration has passwords in it.
func (p *parsed) secretive() bool {
	return slices.ContainsFunc(p.lines, func(l line) bool {
		w := l.words
		return w[0] == "stats" && len(w) > 2 && w[1] == "auth" || l.kind == "userlist" && w[0] == "user" && len(w) > 2 ||
			slices.ContainsFunc(w, func(word string) bool { return strings.Contains(strings.ToLower(word), "authorization") })
	})
}

func bindsOf(l line, addresses string) (list []bind) {
	for _, at := range strings.Split(addresses, ",") {
		family := ""
		if f, rest, ok := strings.Cut(at, "@"); ok {
			if !slices.Contains([]string{"ipv4", "ipv6", "tcp", "tcp4", "tcp6"}, f) {
				continue
			}
			family, at = f, rest
		}
		if strings.HasPrefix(at, "/") || strings.ContainsAny(at, "$%") {
			continue
		}
		cut := strings.LastIndex(at, ":")
		if cut < 0 {
			continue
		}
		b := bind{line: l.number, proxy: l.proxy, host: strings.Trim(at[:cut], "[]"), words: l.words}
		first, last, isRange := strings.Cut(at[cut+1:], "-")
		if !isRange {
			last = first
		}
		var err1, err2 error
		b.ports[0], err1 = strconv.Atoi(first)
		b.ports[1], err2 = strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			continue
		}
		switch {
		case b.host == "*" || b.host == "0.0.0.0":
			b.host = ""
		case b.host == "" && strings.HasSuffix(family, "6"):
			b.host = "::"
		case b.host != "" && net.ParseIP(b.host) == nil:
			continue // a name: HAProxy's check resolves it
		}
		list = append(list, b)
	}
	return list
}

func serverOf(l line) server {
	s := server{proxy: l.proxy, name: l.words[1]}
	s.host, s.port = l.words[2], ""
	if cut := strings.LastIndex(s.host, ":"); cut >= 0 && !strings.HasPrefix(s.host, "/") && !strings.Contains(s.host, "@") {
		s.host, s.port = strings.Trim(s.host[:cut], "[]"), s.host[cut+1:]
	}
	for i := 3; i < len(l.words); i++ {
		switch {
		case l.words[i] == "weight" && i+1 < len(l.words):
			i++
			s.weight = l.words[i]
		case l.words[i] == "disabled":
			s.disabled = true
		default:
			s.rest = append(s.rest, l.words[i])
		}
	}
	return s
}

// server returns a server of the configuration, nil if it hasn't one.
func (p *parsed) server(proxy, name string) *server {
	for i := range p.servers {
		if p.servers[i].proxy == proxy && p.servers[i].name == name {
			return &p.servers[i]
		}
	}
	return nil
}
