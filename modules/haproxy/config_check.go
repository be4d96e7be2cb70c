package haproxy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"muster/modules"
)

// check returns what is wrong with the arguments before any host is asked: what can't be
// written into haproxy.cfg, names that don't exist, and what contradicts itself. Everything
// else is HAProxy's to refuse. What an argument that isn't known may hold counts as right.
func (c *Config) check(unknown func(arg string) bool) []modules.ArgError {
	k := &checker{Config: c, unknown: unknown, bound: map[string]string{}}
	k.config(c)
	k.whole()
	k.duplicates()
	for _, p := range c.proxies() {
		k.binds(p)
		k.servers(p)
		k.routes(p)
		k.checks(p.path, p.Health, p.Timeout)
	}
	if d := c.Defaults; d != nil {
		k.checks("defaults", d.Health, d.Timeout)
		k.known("defaults.default_backend", d.DefaultBackend, "defaults")
	}
	k.codes()
	seen := map[string]bool{} // one mistake at a place is enough, and the first says most
	return slices.DeleteFunc(k.errs, func(e modules.ArgError) bool {
		again := seen[e.Arg+e.Path]
		seen[e.Arg+e.Path] = true
		return again || e.Summary != "Wrong value" && unknown(e.Arg)
	})
}

// checker gathers what is wrong: first what the renderer finds.
type checker struct {
	renderer
	*Config
	unknown func(arg string) bool
	bound   map[string]string // the arguments that bind addresses
}

// proxy is a section that clients connect to, that has servers, or both.
type proxy struct {
	keyword, name, path string // the path of its argument
	Proxy
	Binds
	Origin
	Rules
	Routes
	Farm
}

// proxies returns the sections that arguments declare, in the order in which they are rendered.
func (c *Config) proxies() []proxy {
	var list []proxy
	add := func(keyword, name string, p proxy) {
		p.keyword, p.name, p.path = keyword, name, fmt.Sprintf("%s[%q]", keyword, name)
		list = append(list, p)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Frontend)) {
		s := c.Frontend[name]
		add("frontend", name, proxy{Proxy: s.Proxy, Binds: s.Binds, Rules: s.Rules, Routes: s.Routes})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Listen)) {
		s := c.Listen[name]
		add("listen", name, proxy{Proxy: s.Proxy, Binds: s.Binds, Origin: s.Origin, Rules: s.Rules, Routes: s.Routes, Farm: s.Farm})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Backend)) {
		s := c.Backend[name]
		add("backend", name, proxy{Proxy: s.Proxy, Origin: s.Origin, Rules: s.Rules, Farm: s.Farm})
	}
	return list
}

// mode is what a section speaks; "" where that isn't known.
func (k *checker) mode(p proxy) string {
	switch {
	case p.Mode != "":
		return p.Mode
	case k.unknown(p.keyword):
		return ""
	case k.Defaults != nil && k.Defaults.Mode != "":
		return k.Defaults.Mode
	case k.unknown("defaults"):
		return ""
	}
	return "tcp"
}

// whole refuses raw text that would go on with the section before it.
func (k *checker) whole() {
	for i, text := range k.Raw {
		for line := range strings.Lines(text) {
			w := firstWord(line)
			if w == "" || strings.HasPrefix(w, ".") { // a condition, of the manual's section 2.4
				continue
			}
			if !slices.Contains(sectionKeywords, w) {
				k.fail("raw"+element(k.Raw, i), "Wrong value", "", "It has to begin with the first line of a section, such as \"resolvers dns\", and not with %q. Lines of a section go into that section's own \"raw\".", w)
			}
			break
		}
	}
}

// rawSections returns the names of the sections of a type in raw.
func (c *Config) rawSections(keyword string) []string {
	var names []string
	for _, text := range c.Raw {
		for line := range strings.Lines(text) {
			if words := strings.Fields(line); len(words) > 1 && words[0] == keyword {
				names = append(names, words[1])
			}
		}
	}
	return names
}

// duplicates refuses two sections of one name that HAProxy would take for one another. A
// frontend and a backend may share one.
func (k *checker) duplicates() {
	for _, name := range slices.Sorted(maps.Keys(k.Listen)) {
		if has(k.Frontend, name) || has(k.Backend, name) {
			k.fail(fmt.Sprintf("listen[%q]", name), "Conflicting arguments", "", "A listen is a frontend and a backend, and one of these is called %q as well: give one of them another name.", name)
		}
	}
	for _, keyword := range []string{"frontend", "backend", "listen"} {
		for _, name := range k.rawSections(keyword) {
			for _, p := range k.proxies() {
				if p.name == name && (p.keyword == keyword || p.keyword == "listen" || keyword == "listen") {
					k.fail("raw", "Conflicting arguments", "", "It has a %s %q, which is declared by the argument %s too.", keyword, name, p.path)
				}
			}
		}
	}
}

func has[V any](m map[string]V, name string) bool {
	_, ok := m[name]
	return ok
}

// codes refuses what is no status that HAProxy answers with, and what is no user.
func (k *checker) codes() {
	code := regexp.MustCompile(`^[1-5][0-9][0-9]$`)
	files := func(path string, p Proxy) {
		for _, name := range slices.Sorted(maps.Keys(p.ErrorFiles)) {
			if !code.MatchString(name) {
				k.fail(fmt.Sprintf("%s.errorfiles[%q]", path, name), "Wrong value", "", "%q is no status, such as 503.", name)
			}
		}
	}
	if k.Defaults != nil {
		files("defaults", k.Defaults.Proxy)
	}
	for _, p := range k.proxies() {
		files(p.path, p.Proxy)
		if p.Stats == nil {
			continue
		}
		for i, auth := range p.Stats.Auth {
			if user, password, ok := strings.Cut(auth, ":"); auth != "" && (!ok || user == "" || password == "") {
				k.fail(p.path+".stats.auth"+element(p.Stats.Auth, i), "Wrong value", "", "It has to be a user and a password, with a colon between them.")
			}
		}
	}
}

// checks refuses checks of two types, and times that are given twice.
func (k *checker) checks(path string, h *Health, t *Timeout) {
	if h == nil {
		return
	}
	if h.http() && len(h.TCPCheck) > 0 {
		k.fail(path+".health.tcp_check", "Conflicting arguments", "", "A check speaks HTTP, or what tcp_check says: leave out one of them.")
	}
	if h.Timeout != nil && t != nil && t.Check != nil {
		k.fail(path+".health.timeout", "Conflicting arguments", "", "This is timeout.check, which is given too: leave out one of them.")
	}
}
