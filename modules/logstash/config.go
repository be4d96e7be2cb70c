package logstash

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// token is a piece of a pipeline's text: a word, a number, a text in quotes, or a mark such
// as "{" and "=>" (logstash-core's grammar.treetop).
type token struct {
	text   string
	quoted bool
	line   int
}

// tokens cuts a pipeline's text into pieces, without its comments.
func tokens(text string) (list []token) {
	line := 1
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '"' || c == '\'':
			end := i + 1
			for end < len(text) && text[end] != c {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(text))
			list = append(list, token{text[i+1 : end], true, line})
			line += strings.Count(text[i:end], "\n")
			i = end + 1
		case strings.HasPrefix(text[i:], "=>"):
			list = append(list, token{"=>", false, line})
			i += 2
		case word(c):
			end := i
			for end < len(text) && word(text[end]) {
				end++
			}
			list = append(list, token{text[i:end], false, line})
			i = end
		default:
			list = append(list, token{string(c), false, line})
			i++
		}
	}
	return list
}

func word(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c >= 0x80
}

// variable is a "${NAME}" or "${NAME:default}" (substitution_variables.rb).
var variable = regexp.MustCompile(`\$\{([a-zA-Z_.][a-zA-Z0-9_.]*)(:[^}]*)?\}`)

// need is a variable that has to be defined.
type need struct {
	name string
	line int
}

// needs are the variables without a default in a pipeline's text.
func needs(text string) (list []need) {
	for _, t := range tokens(text) {
		if !t.quoted {
			continue
		}
		list = append(list, needsOf(t.text, t.line)...)
	}
	return list
}

func needsOf(text string, line int) (list []need) {
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if m[2] == "" {
			list = append(list, need{m[1], line})
		}
	}
	return list
}

// filled is a text with its variables' values; false where one isn't known.
func filled(text string, env map[string]string) (string, bool) {
	known := true
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		m := variable.FindStringSubmatch(v)
		value, ok := env[m[1]]
		if !ok {
			value, ok = strings.TrimPrefix(m[2], ":"), m[2] != ""
		}
		known = known && ok
		return value
	}), known
}

// plug is a plugin of a pipeline, with those of its options that are one word or text.
type plug struct {
	section, name string
	line          int
	options       map[string]string
}

var pluginName = regexp.MustCompile(`^[a-z0-9_-]+$`)

// plugins are a pipeline's plugins.
func plugins(text string) (list []plug) {
	ts := tokens(text)
	section, depth := "", 0
	const branch, hash = -1, -2
	var inner []int // by depth: an index in list, or one of these
	for i, t := range ts {
		switch {
		case t.quoted:
		case t.text == "{":
			name := ""
			if i > 0 && !ts[i-1].quoted && ts[i-1].text != "=>" {
				name = ts[i-1].text
			}
			at := branch
			if depth == 0 {
				section = name
			} else if parent := inner[depth-1]; parent != branch {
				at = hash
			} else if pluginName.MatchString(name) && name != "else" && !condition(ts, i-1) {
				list = append(list, plug{section, name, t.line, map[string]string{}})
				at = len(list) - 1
			}
			inner = append(inner, at)
			depth++
		case t.text == "}" && depth > 0:
			depth--
			inner = inner[:depth]
		case t.text == "=>" && depth > 0 && i > 0 && i+1 < len(ts):
			if at := inner[depth-1]; at >= 0 && (ts[i+1].quoted || ts[i+1].text != "{" && ts[i+1].text != "[") {
				list[at].options[ts[i-1].text] = ts[i+1].text
			}
		}
	}
	return list
}

// condition reports whether what ends at a token is a condition's end: "if a in b {".
func condition(ts []token, end int) bool {
	for i := end; i >= 0; i-- {
		switch t := ts[i]; {
		case t.quoted:
		case t.text == "{" || t.text == "}":
			return false
		case t.text == "if":
			return true
		}
	}
	return false
}

// listener is an input of a pipeline that listens on a port.
type listener struct {
	pipeline, plugin string
	network          string // "tcp" or "udp"
	host             string // "" is all addresses
	port             int
	line             int
}

func (l listener) String() string {
	return fmt.Sprintf("%s/%d (%s)", l.network, l.port, l.plugin)
}

// usualPorts are the inputs that listen, with the port that they take of themselves; 0 where
// it has to be given.
func usualPorts() map[string]struct {
	networks []string
	port     int
} {
	type usual = struct {
		networks []string
		port     int
	}
	tcp, udp := []string{"tcp"}, []string{"udp"}
	return map[string]usual{
		"beats": {tcp, 0}, "elastic_agent": {tcp, 0}, "lumberjack": {tcp, 0}, "tcp": {tcp, 0}, "http": {tcp, 8080}, "relp": {tcp, 0},
		"graphite": {tcp, 0}, "udp": {udp, 0}, "gelf": {udp, 12201}, "snmptrap": {udp, 1062}, "syslog": {append(tcp, udp...), 514},
	}
}

// listeners are the inputs of a pipeline that listen. Those whose port isn't known are left out.
func listeners(pipeline, text string, env map[string]string) (list []listener) {
	for _, p := range plugins(text) {
		usual, listens := usualPorts()[p.name]
		if p.section != "input" || !listens || p.name == "tcp" && p.options["mode"] == "client" {
			continue
		}
		port := usual.port
		if given, ok := p.options["port"]; ok {
			value, known := filled(given, env)
			if n, err := strconv.Atoi(value); known && err == nil {
				port = n
			} else {
				port = 0
			}
		}
		at, known := filled(p.options["host"], env)
		if port == 0 || !known {
			continue
		}
		if ip := net.ParseIP(at); ip != nil && ip.IsUnspecified() {
			at = ""
		} else if ip != nil {
			at = ip.String()
		}
		networks := usual.networks
		if p.name == "gelf" && p.options["use_tcp"] == "true" {
			networks = append(slices.Clone(networks), "tcp")
		}
		for _, n := range networks {
			list = append(list, listener{pipeline, p.name, n, at, port, p.line})
		}
	}
	return list
}

// clash finds two inputs on one port.
func clash(list []listener) (a, b *listener) {
	for i := range list {
		for j := range i {
			x, y := &list[j], &list[i]
			if x.network == y.network && x.port == y.port && (x.host == y.host || x.host == "" || y.host == "") {
				return x, y
			}
		}
	}
	return nil, nil
}
