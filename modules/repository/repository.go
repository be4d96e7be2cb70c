// Package repository has the kind that tells apt of repositories.
//
// A repository is one deb822 file with the key in it, so that sources and key change in one
// step, and the key is trusted for this repository alone. Before the file is written apt
// reads the repository with it in a private folder: what apt can't read or trust never
// gets among its sources.
package repository

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "apt_repository", New: func() modules.Module { return &AptRepository{} }}}
}

// AptRepository is a repository that apt takes packages from.
//
// It is the file /etc/apt/sources.list.d/NAME.sources, with the key in it that signs the
// repository: no key gets among those that are trusted for all of them. Before it is
// written, and while planning where no earlier task can make a difference, apt fetches
// what the repository offers to a private folder. What it can't read or trust, and what
// contradicts other sources of the host, fails the task; the old sources, and the lists that apt has fetched from
// them, stay. The lists of a new repository are fetched by the next "package" task that
// installs something.
type AptRepository struct {
	// What its file is called, without ".sources".
	Name string `arg:"name,key,required"`
	// Where it is: one address or several with the same content ("https://deb.example.org/debian").
	URIs modules.OneOrMore `arg:"uris"`
	// Its suites ("bookworm"); one that ends in "/" is a folder, without components.
	Suites modules.OneOrMore `arg:"suites"`
	// Parts of a suite ("main").
	Components modules.OneOrMore `arg:"components"`
	// Only packages of these architectures. By default those of the host.
	Architectures modules.OneOrMore `arg:"architectures"`
	// "deb" for packages, "deb-src" for their source.
	Types modules.OneOrMore `arg:"types" means:"deb"`
	// The key that signs it: its text, as of file("keys/shop.asc") or
	// filebase64("keys/shop.gpg"); the absolute path of a file on the host; or an address
	// (https://…) that the host fetches it from, which needs a fingerprint. Without a key
	// the repository has to be trusted by options = { Trusted = "yes" }.
	SignedBy string `arg:"signed_by"`
	// The fingerprint that the key has to have, 40 hexadecimal digits or more, with or without
	// spaces; several where several keys sign, and then exactly these.
	Fingerprint modules.OneOrMore `arg:"fingerprint"`
	// Other fields of sources.list(5), as { Check-Valid-Until = "no" }.
	Options map[string]string `arg:"options"`
	// "absent" takes the file away, and with it the key.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

const folder = "/etc/apt/sources.list.d/"

func (r *AptRepository) path() string { return folder + r.Name + ".sources" }

// May is the file.
func (r *AptRepository) May() []host.Effect {
	if r.Name == "" {
		return []host.Effect{host.Open(host.Files, "")}
	}
	return []host.Effect{host.Open(host.Files, r.path())}
}

var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`) // apt passes others over: sources.list(5)
	fieldForm  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)
	fingerForm = regexp.MustCompile(`^([0-9A-F]{40}|[0-9A-F]{64})$`)
	wordForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._/:~-]*$|^\./$|^/$`)
)

// argument is the argument for a field that has one.
var argument = map[string]string{
	"types": "types", "uris": "uris", "suites": "suites", "components": "components",
	"architectures": "architectures", "signed-by": "signed_by", "enabled": "state",
}

// Check refuses what apt wouldn't take, and keys that aren't those that are asked for.
func (r *AptRepository) Check(unknown func(string) bool) []modules.ArgError {
	c := &checks{}
	if !unknown("name") && !nameForm.MatchString(r.Name) {
		c.wrong("name", "", "%q can't be a repository's name: apt takes letters, digits, \"_\", \".\" and \"-\".", r.Name)
	}
	if r.State == "absent" {
		return c.errs
	}
	if len(r.URIs) == 0 && !unknown("uris") {
		c.add("uris", "", "Missing argument", `It needs the address of the repository: uris = "https://deb.example.org/debian".`)
	}
	for i, u := range r.URIs {
		if problem := checkURI(u); problem != "" && !(u == "" && unknown("uris")) {
			c.wrong("uris", at(r.URIs, i), "%s", problem)
		}
	}
	if len(r.Suites) == 0 && !unknown("suites") {
		c.add("suites", "", "Missing argument", `It needs a suite: suites = "bookworm", or "./" where the address itself holds the packages.`)
	}
	flat := slices.ContainsFunc(r.Suites, func(s string) bool { return strings.HasSuffix(s, "/") })
	switch {
	case unknown("suites") || unknown("components") || len(r.Suites) == 0:
	case flat && len(r.Components) > 0:
		c.add("components", "", "Conflicting arguments", `A suite that ends in "/" is a folder and has no components.`)
	case !flat && len(r.Components) == 0:
		c.add("components", "", "Missing argument", `A suite has components: components = "main". Only one that ends in "/" has none.`)
	}
	for arg, list := range map[string][]string{"suites": r.Suites, "components": r.Components, "architectures": r.Architectures} {
		for i, word := range list {
			if !wordForm.MatchString(word) && !(word == "" && unknown(arg)) {
				c.wrong(arg, at(list, i), "%q is one word in apt's sources, without spaces or other characters than letters, digits and \"+._/:~-\".", word)
			}
		}
	}
	for i, t := range r.Types {
		if t != "deb" && t != "deb-src" && !(t == "" && unknown("types")) {
			c.wrong("types", at(r.Types, i), `%q is no type of a repository: write "deb" or "deb-src".`, t)
		}
	}
	for name, value := range r.Options {
		switch arg := argument[strings.ToLower(name)]; {
		case arg != "":
			c.wrong("options", "."+name, "%s has an argument of its own: %s.", name, arg)
		case !fieldForm.MatchString(name):
			c.wrong("options", "."+name, "%q is no field of sources.list(5).", name)
		case strings.ContainsAny(value, "\n\r") || strings.TrimSpace(value) != value || value == "" && !unknown("options"):
			c.wrong("options", "."+name, "%q can't be a field's value: it is one line of text.", value)
		}
	}
	r.checkKey(c, unknown)
	slices.SortStableFunc(c.errs, func(a, b modules.ArgError) int { return strings.Compare(a.Arg+a.Path, b.Arg+b.Path) })
	return c.errs
}

func (r *AptRepository) checkKey(c *checks, unknown func(string) bool) {
	for i, f := range r.Fingerprint {
		if !fingerForm.MatchString(bare(f)) && !(f == "" && unknown("fingerprint")) {
			c.wrong("fingerprint", at(r.Fingerprint, i), "%q is no fingerprint: it has 40 hexadecimal digits, or 64 (gpg --show-keys prints it). A short key id can be forged.", f)
			return
		}
	}
	if unknown("signed_by") || unknown("options") {
		return
	}
	trusted := slices.Contains([]string{"yes", "true", "1"}, r.option("trusted"))
	switch {
	case r.SignedBy == "" && len(r.Fingerprint) > 0:
		c.add("signed_by", "", "Missing argument", "There is a fingerprint, and no key that could have it.")
	case r.SignedBy == "" && !trusted:
		c.add("signed_by", "", "Missing argument", `It needs the key that signs the repository: signed_by = file("keys/shop.asc"), a path on the host as "/usr/share/keyrings/debian-archive-keyring.gpg", or an address with its fingerprint. A repository that nobody signs is taken with options = { Trusted = "yes" }.`)
	case r.SignedBy != "" && trusted:
		c.add("options", ".Trusted", "Conflicting arguments", "What is trusted anyway isn't checked against signed_by: leave out one of them.")
	case r.SignedBy == "" || strings.HasPrefix(r.SignedBy, "/"):
	case address(r.SignedBy):
		if u, err := url.Parse(r.SignedBy); err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(r.SignedBy, " \n\t") {
			c.wrong("signed_by", "", "%q is no address that a key can be fetched from.", r.SignedBy)
		}
		if len(r.Fingerprint) == 0 && !unknown("fingerprint") {
			c.add("fingerprint", "", "Missing argument", "A key that is fetched has to have a fingerprint that is known here: whoever answers at that address could send another.")
		}
	default:
		_, keys, err := material(r.SignedBy)
		if err != nil {
			c.wrong("signed_by", "", "%s.", err)
		} else if err := r.fits(keys); err != nil && !unknown("fingerprint") {
			c.add("fingerprint", "", "Wrong key", fmt.Sprintf("%s.", err))
		}
	}
}

// option is the value of a field among the options, in lower case.
func (r *AptRepository) option(name string) string {
	for n, value := range r.Options {
		if strings.EqualFold(n, name) {
			return strings.ToLower(value)
		}
	}
	return ""
}

// checks gathers what is wrong with arguments.
type checks struct{ errs []modules.ArgError }

func (c *checks) add(arg, path, summary, detail string) {
	c.errs = append(c.errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: detail})
}

func (c *checks) wrong(arg, path, format string, a ...any) {
	c.add(arg, path, "Wrong value", fmt.Sprintf(format, a...))
}

// at is where in a list of one or more an item is.
func at(list []string, i int) string {
	if len(list) == 1 {
		return ""
	}
	return fmt.Sprintf("[%d]", i)
}

// checkURI says what is wrong with an address; "" where nothing is.
func checkURI(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "" || strings.ContainsAny(text, " \t\n"):
		return fmt.Sprintf(`%q is no address: write it as "https://deb.example.org/debian" or "file:/srv/packages".`, text)
	case u.User != nil:
		return fmt.Sprintf("the address at %s holds a login, which everybody on the host could read: write it to a file in /etc/apt/auth.conf.d with mode 0600 (apt_auth.conf(5)).", u.Host)
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host == "":
		return fmt.Sprintf("%q names no host.", text)
	case u.Scheme == "file" && !strings.HasPrefix(u.Path, "/"):
		return fmt.Sprintf(`%q is no absolute path: write "file:/srv/packages".`, text)
	}
	return ""
}

// address reports whether signed_by says where the key is to be fetched.
func address(signedBy string) bool {
	return strings.HasPrefix(signedBy, "https://") || strings.HasPrefix(signedBy, "http://")
}

// here reports whether a repository may be served by the host itself, so that any earlier
// task may bring it.
func here(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Host == "" || u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// material returns the keys that a text holds, as bytes, and what each of them is.
func material(text string) ([]byte, []key, error) {
	data, err := dearmor(text)
	if err == nil && data == nil { // no armor
		if data, err = base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err != nil {
			err = fmt.Errorf("it is neither a key, which begins with -----BEGIN PGP PUBLIC KEY BLOCK-----, nor a path (/…), nor an address (https://…)")
		}
	}
	if err != nil {
		return nil, nil, err
	}
	keys, err := keysIn(data)
	return data, keys, err
}

// fits says in which way keys aren't those that the task's fingerprints name.
func (r *AptRepository) fits(keys []key) error {
	if len(r.Fingerprint) == 0 {
		return nil
	}
	var want, have []string
	for _, f := range r.Fingerprint {
		want = append(want, bare(f))
	}
	for _, k := range keys {
		have = append(have, k.fingerprint)
	}
	for _, f := range want {
		if !slices.Contains(have, f) {
			return fmt.Errorf("the key isn't %s: it has the fingerprint %s", f, strings.Join(have, ", "))
		}
	}
	for _, f := range have {
		if !slices.Contains(want, f) {
			return fmt.Errorf("there is one more key than the fingerprints name: %s, which would be trusted, too", f)
		}
	}
	return nil
}

// bare is a fingerprint without what makes it easier to read.
func bare(fingerprint string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", ":", "").Replace(strings.TrimPrefix(fingerprint, "0x")))
}
