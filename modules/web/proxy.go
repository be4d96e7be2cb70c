package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"muster/host"
)

func proxyScheme(scheme string) bool {
	return scheme == "http" || scheme == "https" || scheme == "socks5"
}

// proxy returns which proxy requests go through: the one that is given, none for "none", and
// for "" what the task's environment says, as curl(1) reads it. The environment of muster's
// own process on the host is no task's.
func proxy(ctx context.Context, given string) func(*http.Request) (*url.URL, error) {
	switch given {
	case "none":
		return nil
	case "":
		env := map[string]string{}
		for _, variable := range host.Environment(ctx) {
			name, value, _ := strings.Cut(variable, "=")
			env[name] = value
		}
		return func(r *http.Request) (*url.URL, error) { return inEnvironment(env, r.URL) }
	}
	u, err := url.Parse(given)
	return func(*http.Request) (*url.URL, error) { return u, err }
}

// inEnvironment is the proxy that variables name for an address; nil for none. HTTP_PROXY in
// capitals isn't read, as curl doesn't.
func inEnvironment(env map[string]string, u *url.URL) (*url.URL, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if env[name] != "" {
				return env[name]
			}
		}
		return ""
	}
	given := first("http_proxy", "all_proxy", "ALL_PROXY")
	if u.Scheme == "https" {
		given = first("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
	}
	if given == "" || direct(first("no_proxy", "NO_PROXY"), u) {
		return nil, nil
	}
	if !strings.Contains(given, "://") {
		given = "http://" + given
	}
	return url.Parse(given)
}

// direct reports whether no_proxy excepts an address: by "*", a name with all below it, an
// address, or a network; each may have a port.
func direct(list string, u *url.URL) bool {
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	addr, _ := netip.ParseAddr(name)
	for _, item := range strings.FieldsFunc(strings.ToLower(list), func(r rune) bool { return r == ',' || r == ' ' }) {
		if item == "*" {
			return true
		}
		if prefix, err := netip.ParsePrefix(item); err == nil {
			if addr.IsValid() && prefix.Contains(addr.Unmap()) {
				return true
			}
			continue
		}
		if at, port, err := net.SplitHostPort(item); err == nil {
			if port != portOf(u) {
				continue
			}
			item = at
		}
		item = strings.Trim(strings.TrimPrefix(strings.TrimPrefix(item, "*"), "."), "[]")
		if item != "" && (name == item || !addr.IsValid() && strings.HasSuffix(name, "."+item)) {
			return true
		}
	}
	return false
}

func portOf(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
