package haproxy

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"muster/modules"
)

// health returns the directives of checks. That each server is checked stands with the servers.
func (r *renderer) health(h *Health, path string) []directive {
	if h == nil {
		return nil
	}
	var list []directive
	add := func(arg, text string) { list = append(list, directive{path + arg, text}) }
	if h.http() {
		add("", "option httpchk")
		send := "http-check send meth " + r.word(path+".method", cmp.Or(h.Method, "GET")) + " uri " + r.word(path+".path", cmp.Or(h.Path, "/"))
		if h.Host != "" {
			send += " ver HTTP/1.1 hdr Host " + r.word(path+".host", h.Host)
		}
		for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
			at := fmt.Sprintf("%s.headers[%q]", path, name)
			send += " hdr " + r.name(at, name) + " " + r.word(at, h.Headers[name])
		}
		add("", send)
		if h.ExpectStatus != "" {
			add(".expect_status", "http-check expect status "+r.word(path+".expect_status", h.ExpectStatus))
		}
		if h.ExpectString != "" {
			add(".expect_string", "http-check expect string "+r.word(path+".expect_string", h.ExpectString))
		}
		list = append(list, r.list(reflect.ValueOf(h.Expect), "http-check expect", "", path+".expect")...)
	}
	if len(h.TCPCheck) > 0 {
		add(".tcp_check", "option tcp-check")
		list = append(list, r.list(reflect.ValueOf(h.TCPCheck), "tcp-check", "", path+".tcp_check")...)
	}
	if h.connect {
		add("", "option tcp-check")
	}
	if h.Timeout != nil {
		add(".timeout", "timeout check "+hatime(*h.Timeout))
	}
	var words []string
	for _, t := range []struct {
		word string
		d    *modules.Duration
	}{{"inter", h.Interval}, {"fastinter", h.FastInterval}, {"downinter", h.DownInterval}} {
		if t.d != nil {
			words = append(words, t.word+" "+hatime(*t.d))
		}
	}
	for _, n := range []struct {
		word, arg string
		n         *int
	}{{"rise", ".rise", h.Rise}, {"fall", ".fall", h.Fall}, {"port", ".port", h.Port}} {
		if n.n != nil {
			words = append(words, r.number(path+n.arg, n.word, *n.n))
		}
	}
	if len(words) > 0 {
		add("", "default-server "+strings.Join(words, " "))
	}
	return list
}

// http reports whether checks speak HTTP.
func (h *Health) http() bool {
	return h.Path != "" || h.Method != "" || h.Host != "" || h.Headers != nil || h.ExpectStatus != "" || h.ExpectString != "" || len(h.Expect) > 0
}

// within returns the checks of a section with options and defaults: checks that only connect
// take back what the defaults' checks say.
func (h *Health) within(d *Defaults, options []string) *Health {
	if h == nil || h.http() || len(h.TCPCheck) > 0 || d == nil || d.Health == nil || !d.Health.http() && len(d.Health.TCPCheck) == 0 {
		return h
	}
	for _, o := range options {
		if name, _, _ := strings.Cut(o, " "); strings.HasSuffix(name, "-check") || strings.HasSuffix(name, "chk") {
			return h
		}
	}
	own := *h
	own.connect = true
	return &own
}

// plain returns checks that only connect, as often as h.
func (h *Health) plain() *Health {
	return &Health{Interval: h.Interval, FastInterval: h.FastInterval, DownInterval: h.DownInterval, Rise: h.Rise, Fall: h.Fall, Timeout: h.Timeout, Port: h.Port}
}
