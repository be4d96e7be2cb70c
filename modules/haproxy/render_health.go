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
		add(".path", "option httpchk")
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
