package haproxy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"muster/modules"
)

// routes refuses backends, servers and conditions that don't exist.
func (k *checker) routes(p proxy) {
	k.known(p.path+".default_backend", p.DefaultBackend, p.keyword)
	for i, u := range p.UseBackend {
		path := fmt.Sprintf("%s.use_backend[%d]", p.path, i)
		k.known(path+".backend", u.Backend, p.keyword)
		k.conditions(p, path, u.When, u.Unless)
	}
	for i, u := range p.UseServer {
		path := fmt.Sprintf("%s.use_server[%d]", p.path, i)
		if !has(p.Servers, u.Server) && !p.writes("server") && !dynamic(u.Server) {
			k.missing(path+".server", "server", u.Server, slices.Sorted(maps.Keys(p.Servers)))
		}
		k.conditions(p, path, u.When, u.Unless)
	}
}

// known refuses a backend that isn't declared.
func (k *checker) known(path, name, arg string) {
	if name == "" || dynamic(name) || k.Backend == nil && k.unknown("backend") || k.Listen == nil && k.unknown("listen") || k.unknown("raw") {
		return
	}
	names := slices.Sorted(maps.Keys(k.Backend))
	names = append(names, slices.Sorted(maps.Keys(k.Listen))...)
	names = append(append(names, k.rawSections("backend")...), k.rawSections("listen")...)
	if !slices.Contains(names, name) {
		k.missing(path, "backend", name, names)
	}
}

func (k *checker) missing(path, what, name string, names []string) {
	hint := ""
	if near := modules.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("Did you mean %q?", near)
	}
	list := "none is declared"
	if len(names) > 0 {
		list = "declared are " + strings.Join(names, ", ")
	}
	k.fail(path, "Unknown "+what, hint, "There is no %s %q: %s.", what, name, list)
}

// dynamic reports whether HAProxy finds out for itself what a name is.
func dynamic(name string) bool { return strings.Contains(name, "%") }

// writes reports whether a section's raw lines have a directive.
func (p proxy) writes(keyword string) bool {
	for _, text := range p.Raw {
		for line := range strings.Lines(text) {
			if w := firstWord(line); w == keyword || w == keyword+"-template" {
				return true
			}
		}
	}
	return false
}

// predefined are the ACLs that HAProxy brings: the manual's section 7.4.
var predefined = []string{
	"FALSE", "HTTP", "HTTP_1.0", "HTTP_1.1", "HTTP_2.0", "HTTP_3.0", "HTTP_CONTENT", "HTTP_URL_ABS", "HTTP_URL_SLASH", "HTTP_URL_STAR", "LOCALHOST",
	"METH_CONNECT", "METH_DELETE", "METH_GET", "METH_HEAD", "METH_OPTIONS", "METH_POST", "METH_PUT", "METH_TRACE",
	"RDP_COOKIE", "REQ_CONTENT", "TRUE", "WAIT_END",
}

// conditions refuses two of them, and ACLs that the section doesn't have.
func (k *checker) conditions(p proxy, path, when, unless string) {
	if when != "" && unless != "" {
		k.fail(path+".unless", "Conflicting arguments", "", `There is "when" already: a rule has one condition.`)
	}
	k.acls(p, path+".when", when)
	k.acls(p, path+".unless", unless)
}

func (k *checker) acls(p proxy, path, condition string) {
	if p.writes("acl") || p.ACL == nil && k.unknown(p.keyword) {
		return
	}
	for _, name := range aclsOf(condition) {
		if !has(p.ACL, name) && !slices.Contains(predefined, name) {
			k.missing(path, "ACL", name, slices.Sorted(maps.Keys(p.ACL)))
			if e := &k.errs[len(k.errs)-1]; e.Hint == "" {
				e.Detail += " An expression stands in braces: \"{ path_beg /api }\"."
			}
		}
	}
}

var expression = regexp.MustCompile(`(^|\s)!?\{\s.*?\s\}`)

// aclsOf returns the names of ACLs in a condition, where that can be told with certainty.
func aclsOf(condition string) []string {
	if strings.ContainsAny(condition, `"'\$#`) {
		return nil
	}
	rest := expression.ReplaceAllString(condition, " ")
	if strings.ContainsAny(rest, "{}") {
		return nil
	}
	var names []string
	for _, w := range strings.Fields(rest) {
		w = strings.TrimLeft(w, "!")
		if w != "" && w != "or" && w != "||" && nameForm.MatchString(w) {
			names = append(names, w)
		}
	}
	return names
}
