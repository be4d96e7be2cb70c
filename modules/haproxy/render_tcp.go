package haproxy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// httpOptions are those that a proxy can't have that doesn't speak HTTP: with -dW HAProxy
// refuses to inherit them. Found by asking HAProxy 2.6 and 3.2 about each.
var httpOptions = []string{
	"accept-invalid-http-request", "accept-invalid-http-response", "accept-unsafe-violations-in-http-request", "accept-unsafe-violations-in-http-response",
	"checkcache", "disable-h2-upgrade", "forwarded", "forwardfor", "http-buffer-request", "http-drop-request-trailers", "http-drop-response-trailers",
	"http-ignore-probes", "http-no-delay", "http-pretend-keepalive", "http-use-proxy-header", "idle-close-on-response", "originalto", "prefer-last-server",
}

// httpBalance are the ways to choose a server that look at a request.
var httpBalance = []string{"uri", "url_param", "hdr"}

// forTCP returns the defaults of sections that don't speak HTTP: those of the others without
// what is about HTTP alone, and the arguments that are left out. It reports whether that
// makes a difference. An operator writes two sections "defaults" then; so does the renderer,
// and the playbook has one.
func (d *Defaults) forTCP() (t Defaults, without map[string]bool, differs bool) {
	if d == nil {
		return Defaults{}, nil, false
	}
	t, without = *d, map[string]bool{}
	t.Options = slices.Clone(d.Options)
	for i, o := range t.Options {
		name, _, _ := strings.Cut(strings.TrimPrefix(o, "no "), " ")
		switch {
		case slices.Contains(httpOptions, name):
			without[fmt.Sprintf("defaults.options[%d]", i)] = true
		case name == "httpslog", name == "httplog":
			t.Options[i], differs = "tcplog", true
		}
	}
	if b, _, _ := strings.Cut(strings.ReplaceAll(d.Balance, "(", " "), " "); slices.Contains(httpBalance, b) {
		without["defaults.balance"] = true
	}
	if d.MonitorURI != "" {
		without["defaults.monitor_uri"] = true
	}
	if d.Cookie != nil {
		t.Cookie, differs = nil, true
	}
	if d.Health != nil && d.Health.http() {
		t.Health, differs = d.Health.plain(), true
	}
	if differs = differs || len(without) > 0; differs {
		t.Mode = "tcp"
	}
	return t, without, differs
}

// modeOf is what a section speaks.
func (c *Config) modeOf(p Proxy) string {
	inherited := ""
	if c.Defaults != nil {
		inherited = c.Defaults.Mode
	}
	return cmp.Or(p.Mode, inherited, "tcp")
}
