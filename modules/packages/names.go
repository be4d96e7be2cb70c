package packages

import (
	"fmt"
	"regexp"
	"strings"

	"muster/modules"
)

// nameForm is a package's name as Debian's policy (5.6.1) has it, with an
// architecture and a version.
var nameForm = regexp.MustCompile(`^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?(?:=([A-Za-z0-9.+~:*?-]+))?$`)

var versionForm = regexp.MustCompile(`^[A-Za-z0-9.+~:*?-]+$`)

// misread returns the error for a name that is none, or that apt takes for
// something else; nil for a name. m is what nameForm finds in it.
//
// A "+" at the end is no such case: memtest86+ is a package. What apt would
// make of one that isn't is ruled out where apt is asked (see want.asked).
func misread(name string, m []string) *modules.ArgError {
	wrong := func(hint, format string, a ...any) *modules.ArgError {
		return &modules.ArgError{Summary: "Wrong value", Hint: hint, Detail: fmt.Sprintf("%q %s.", name, fmt.Sprintf(format, a...))}
	}
	if m != nil {
		switch bare := strings.TrimRight(m[1], "-"); {
		case bare != m[1]:
			return wrong(fmt.Sprintf(`%q with state = "absent"`, bare), `is no package name: with "-" at its end apt would remove %s. A removal is state = "absent"`, bare)
		case strings.HasSuffix(m[3], "-"):
			return wrong("", `is no package with a version: a version can't end in "-"`)
		case m[2] == "any" || m[2] == "native":
			return wrong(fmt.Sprintf("name = %q", m[1]), `names no one architecture: leave %q out for the host's own`, ":"+m[2])
		}
		return nil
	}
	bare, suite, _ := strings.Cut(name, "/")
	switch {
	case strings.HasPrefix(name, "-"):
		return wrong("", "is no package name but an option of apt's: what can be chosen are the arguments of the kind (muster doc package)")
	case len(strings.Fields(name)) > 1 && nameForm.MatchString(strings.Fields(name)[0]):
		return wrong(fmt.Sprintf(`name = ["%s"]`, strings.Join(strings.Fields(name), `", "`)), "is no package name: several are a list")
	case strings.HasSuffix(name, ".deb") || strings.HasPrefix(name, "/"):
		return wrong("", "is no package name but a file: packages are installed from repositories, which an apt_repository task adds")
	case suite != "" && nameForm.MatchString(bare):
		return wrong(fmt.Sprintf(`%q with version = "1.2*"`, bare), "is no package name: apt would take %q for a suite. Choose by version, or prefer the suite in a file of /etc/apt/preferences.d", suite)
	case strings.HasPrefix(name, "~") || strings.HasPrefix(name, "?"):
		return wrong("", "is no package name but a pattern of apt's: name each package, since what a pattern stands for changes")
	case strings.HasSuffix(name, "^"):
		return wrong("", "is no package name but a task of tasksel's: name its packages (apt-cache show shows them), or its metapackage, such as task-web-server")
	case strings.ContainsAny(strings.SplitN(name, "=", 2)[0], `*?[]{}()|^$\`):
		return wrong("", `is no package name but a pattern: name each package, since what a pattern stands for changes. Only a version takes "*"`)
	case nameForm.MatchString(strings.ToLower(name)):
		return wrong(fmt.Sprintf("name = %q", strings.ToLower(name)), "is no package name: those have lowercase letters only")
	}
	return wrong("", `is no package name: it takes lowercase letters, digits, "+", "-" and ".", then ":arch" and "=version" where wanted`)
}

// want is one package of a task.
type want struct {
	name    string // "haproxy", "libc6:i386"; without the host's own architecture
	version string // a glob; "" for any
}

func (p *Package) wants(native string) []want {
	var list []want
	for _, name := range p.Name {
		m := nameForm.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		w := want{name: m[1], version: m[3]}
		if m[2] != "" && m[2] != native && m[2] != "all" {
			w.name += ":" + m[2]
		}
		if p.Version != "" {
			w.version = p.Version
		}
		list = append(list, w)
	}
	return list
}

// asked is how apt is asked for a package so that it takes the name for nothing
// else: with its architecture, and with the word for what is to be done at the
// end. Otherwise "x+" is x where no package has that name, and the version "1+" is 1
// where there is no other. native is the host's architecture.
func (w want) asked(native string, remove bool) string {
	arg := w.name
	if !strings.Contains(arg, ":") && native != "" {
		arg += ":" + native
	}
	if remove {
		return arg + "-"
	}
	if w.version != "" {
		arg += "=" + w.version
	}
	return arg + "+"
}
