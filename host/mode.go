package host

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Mode is a file's permission bits with setuid, setgid and sticky (07777).
type Mode uint32

func (m Mode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// ModeSpec is a mode as a playbook writes it: quoted octal ("0644") or
// symbolic clauses as chmod takes them ("u=rwX,go-w").
type ModeSpec struct {
	text    string
	octal   bool
	bits    Mode
	clauses []modeClause
}

type modeClause struct {
	who  Mode // the bits the clause may touch
	op   byte // '+', '-', '='
	perm string
}

var clauseForm = regexp.MustCompile(`^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$`)
var actionForm = regexp.MustCompile(`[-+=](?:[ugo]|[rwxXst]*)`)

// ParseMode reads a mode specification.
func ParseMode(s string) (ModeSpec, error) {
	spec := ModeSpec{text: s}
	if s != "" && strings.Trim(s, "01234567") == "" {
		n, err := strconv.ParseUint(s, 8, 32)
		if err != nil || n > 0o7777 || len(s) < 3 {
			return spec, fmt.Errorf("%q is no file mode: octal modes are \"0000\" to \"7777\"", s)
		}
		spec.octal, spec.bits = true, Mode(n)
		return spec, nil
	}
	for _, clause := range strings.Split(s, ",") {
		m := clauseForm.FindStringSubmatch(clause)
		if m == nil {
			return spec, fmt.Errorf("%q is no file mode: write octal (\"0644\") or clauses as chmod takes them (\"u=rw,go=r\")", s)
		}
		var who Mode
		for _, c := range m[1] {
			who |= map[rune]Mode{'u': 0o4700, 'g': 0o2070, 'o': 0o1007, 'a': 0o7777}[c]
		}
		if m[1] == "" {
			who = 0o7777
		}
		for _, action := range actionForm.FindAllString(m[2], -1) {
			spec.clauses = append(spec.clauses, modeClause{who, action[0], action[1:]})
		}
	}
	return spec, nil
}

// UnmarshalText is ParseMode.
func (s *ModeSpec) UnmarshalText(text []byte) error {
	spec, err := ParseMode(string(text))
	*s = spec
	return err
}

func (s ModeSpec) String() string { return s.text }

// Apply returns the mode that a file of mode old (a directory, if dir) gets.
func (s ModeSpec) Apply(old Mode, dir bool) Mode {
	if s.octal {
		return s.bits
	}
	mode := old
	for _, c := range s.clauses {
		bits := permBits(c.perm, mode, dir) & c.who
		switch c.op {
		case '+':
			mode |= bits
		case '-':
			mode &^= bits
		case '=':
			keep := Mode(0)
			if dir { // chmod leaves a directory's setuid and setgid unless they are named
				keep = 0o6000
			}
			mode = mode&^(c.who&^keep) | bits
		}
	}
	return mode
}

func permBits(perm string, mode Mode, dir bool) Mode {
	var bits Mode
	for _, c := range perm {
		switch c {
		case 'r':
			bits |= 0o444
		case 'w':
			bits |= 0o222
		case 'x':
			bits |= 0o111
		case 'X':
			if dir || mode&0o111 != 0 {
				bits |= 0o111
			}
		case 's':
			bits |= 0o6000
		case 't':
			bits |= 0o1000
		case 'u':
			bits |= (mode >> 6 & 7) * 0o111
		case 'g':
			bits |= (mode >> 3 & 7) * 0o111
		case 'o':
			bits |= (mode & 7) * 0o111
		}
	}
	return bits
}
