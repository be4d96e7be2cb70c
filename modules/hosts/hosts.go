// Package hosts has the kind that keeps the entries of /etc/hosts.
package hosts

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "hosts_entry", NoPrograms: true, New: func() modules.Module { return &Entry{} }}}
}

// Entry is an address of /etc/hosts with its names, on one line. Comments, other
// addresses' lines and the order of all lines stay as they are; a comment at a
// line's end goes with its line.
type Entry struct {
	// The IPv4 or IPv6 address, in its short form ("::1").
	Address string `arg:"address,key,required"`
	// All names of the address, the canonical one first: others that its line has
	// are taken out. A name that another address of the same family (IPv4 or IPv6)
	// has is moved here, because it is the first line with a name that counts.
	Names []string `arg:"names"`
	// "absent" takes the names away from the address or, without names, all of the
	// address's lines.
	State string `arg:"state" oneof:"present absent" default:"present"`
	// The file that holds the entry.
	File string `arg:"file" default:"/etc/hosts"`
}

// hostname is a name as hosts(5) allows it: letters, digits, "-" and ".", a letter
// or digit at both ends. Underscores are common, and every resolver reads them.
var hostname = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)

// Check refuses an address or a name that no resolver would read from the file.
func (e *Entry) Check(unknown func(arg string) bool) []modules.ArgError {
	var errs []modules.ArgError
	if !unknown("address") {
		errs = append(errs, checkAddress(e.Address)...)
	}
	if !unknown("names") {
		errs = append(errs, checkNames(e.Names)...)
		if len(e.Names) == 0 && e.State == "present" {
			errs = append(errs, modules.ArgError{Arg: "names", Summary: "No names", Detail: `An entry has at least one name. To take the address out, write state = "absent".`})
		}
	}
	if !unknown("file") && !strings.HasPrefix(e.File, "/") {
		errs = append(errs, modules.ArgError{Arg: "file", Summary: "Wrong value", Detail: fmt.Sprintf("%q is no absolute path on the host: it has to begin with \"/\".", e.File)})
	}
	return errs
}

// checkAddress refuses all but the one way in which an address is written, so that
// two tasks of one label are two tasks for one address.
func checkAddress(address string) []modules.ArgError {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" {
		return []modules.ArgError{{Arg: "address", Summary: "Wrong address", Detail: fmt.Sprintf("%q isn't an IPv4 or IPv6 address.", address)}}
	}
	if short := a.Unmap().String(); short != address {
		return []modules.ArgError{{Arg: "address", Summary: "Address in another form", Detail: fmt.Sprintf("%q is written as %q.", address, short), Hint: fmt.Sprintf("address = %q", short)}}
	}
	return nil
}

func checkNames(names []string) []modules.ArgError {
	var errs []modules.ArgError
	for i, name := range names {
		path := fmt.Sprintf("names[%d]", i)
		if !hostname.MatchString(name) {
			errs = append(errs, modules.ArgError{Arg: "names", Path: path, Summary: "Wrong name", Detail: fmt.Sprintf(`%q isn't a host name: that has only letters, digits, "-", "_" and ".", and neither "-" nor "." at an end.`, name)})
		} else if in(names[:i], name) {
			errs = append(errs, modules.ArgError{Arg: "names", Path: path, Summary: "Name given twice", Detail: fmt.Sprintf("%q stands in the list before. Case doesn't matter in host names.", name)})
		}
	}
	return errs
}

// May is the file: all that this can alter.
func (e *Entry) May() []host.Effect { return []host.Effect{host.Open(host.Files, e.File)} }

// Plan returns the change to the lines with the address or one of its names.
func (e *Entry) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	own, err := netip.ParseAddr(e.Address)
	if err != nil {
		return modules.Plan{}, err
	}
	changes, err := v.Rewrite(ctx, e.File, func(old string) (string, error) { return e.edit(old, own), nil })
	return modules.Plan{Changes: changes}, err
}

// edit returns the file's text with the entry as it should be; own is its address.
func (e *Entry) edit(old string, own netip.Addr) string {
	var text strings.Builder
	present, placed := e.State == "present", false
	for raw := range strings.Lines(old) {
		l := parse(raw)
		names := l.names
		switch mine := l.address == own; {
		case !l.address.IsValid():
		case mine && present && !placed:
			names, placed = e.Names, true
		case mine && present, mine && len(e.Names) == 0:
			names = nil
		case mine, present && l.address.Is4() == own.Is4():
			names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return in(e.Names, name) })
		}
		text.WriteString(l.with(names))
	}
	if !present || placed {
		return text.String()
	}
	if text.Len() > 0 && !strings.HasSuffix(text.String(), "\n") {
		text.WriteString("\n")
	}
	return text.String() + e.Address + "\t" + strings.Join(e.Names, " ") + "\n"
}

// in tells whether a list has a name, as resolvers compare names.
func in(list []string, name string) bool {
	return slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) })
}
