package mount

import (
	"fmt"
	"strings"
)

// entry is a line of fstab(5). One that is blank, a comment or wrong has no path.
type entry struct {
	raw                        string
	device, path, typ, options string
	dump, pass                 string
}

// fstab(5) and proc(5) write some characters in octal.
var (
	escape   = strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`)
	unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#")
)

func parse(raw string) entry {
	e := entry{raw: raw, dump: "0", pass: "0"}
	f := strings.Fields(raw)
	if len(f) < 3 || strings.HasPrefix(f[0], "#") {
		return e
	}
	e.device, e.path, e.typ, e.options = unescape.Replace(f[0]), unescape.Replace(f[1]), f[2], "defaults"
	for i, to := range []*string{&e.options, &e.dump, &e.pass} {
		if len(f) > 3+i && !strings.HasPrefix(f[3+i], "#") {
			*to = f[3+i]
		}
	}
	return e
}

// ours reports whether the line is the task's.
func (m *Mount) ours(e entry) bool {
	if m.swap() {
		return e.typ == "swap" && e.device == m.Device
	}
	return e.path != "" && e.typ != "swap" && (e.path == m.Path || strings.TrimRight(e.path, "/") == m.Path)
}

// line is the task's entry.
func (m *Mount) line() entry {
	options := strings.Join(m.options(), ",")
	if options == "" {
		options = "defaults"
	}
	return entry{device: m.device(), path: m.Path, typ: m.fsType(), options: options, dump: fmt.Sprint(m.Dump), pass: fmt.Sprint(m.Pass)}
}

func (e entry) same(other entry) bool {
	e.raw, other.raw = "", ""
	return e == other
}

func (e entry) text() string {
	device := strings.ReplaceAll(escape.Replace(e.device), "#", `\043`)
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\n", device, escape.Replace(e.path), e.typ, e.options, e.dump, e.pass)
}

// edit returns the file's text with the task's line as it should be.
func (m *Mount) edit(old string) (string, error) {
	var out strings.Builder
	first, number := 0, 0
	for raw := range strings.Lines(old) {
		number++
		e := parse(raw)
		switch {
		case !m.ours(e):
			out.WriteString(raw)
		case m.State == "absent":
		case first > 0:
			return "", fmt.Errorf("%s has two lines for %s, %d and %d: take one of them out, since nobody can tell which is meant", fstab, m.Path, first, number)
		case e.same(m.line()):
			first = number
			out.WriteString(raw)
		default:
			first = number
			out.WriteString(m.line().text())
		}
	}
	text := out.String()
	if m.State == "absent" || first > 0 {
		return text, nil
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + m.line().text(), nil
}
