// Package account has the kinds that make users, groups, and what they may do.
package account

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "group", Output: GroupOutput{}, New: func() modules.Module { return &Group{} }},
		{Name: "user", Output: UserOutput{}, New: func() modules.Module { return &User{} }},
		{Name: "authorized_key", New: func() modules.Module { return &AuthorizedKey{} }},
		{Name: "sudoers", New: func() modules.Module { return &Sudoers{} }},
	}
}

// errNotRoot is why a plan that would change accounts fails for other users.
var errNotRoot = errors.New(`only root can change accounts: give the task "become = true"`)

// Edit runs one of the programs that edit accounts. Where something planned
// before it was expected to make the account first, it may become another
// program with the same wish: usermod in place of useradd.
type Edit struct {
	host.RunProgram
	// Wants is what the task asks of its target, whatever stands there.
	Wants string `json:"wants"`

	idle *idle // what the user has to be
}

// Obstacle is that the user runs something, where the program refuses that.
func (e *Edit) Obstacle(*host.View) error {
	if e.idle == nil {
		return nil
	}
	return e.idle.obstacle()
}

// Type is "account.edit/1".
func (*Edit) Type() string { return "account.edit/1" }

// Want is what the task asks, without what it found.
func (e *Edit) Want() any { return []string{e.Does.Target, e.Wants} }

// checkName refuses what no account can be called; the programs that make
// accounts are stricter, each in its own way.
func checkName(arg, name string) []modules.ArgError {
	bad := func(format string, a ...any) []modules.ArgError {
		return []modules.ArgError{{Arg: arg, Summary: "Wrong value", Detail: fmt.Sprintf(format, a...)}}
	}
	switch {
	case name == "":
		return bad("The name can't be empty.")
	case len(name) > 32:
		return bad("%q is longer than the 32 characters that names of accounts may have.", name)
	case strings.Trim(name, "0123456789") == "":
		return bad("%q is all digits: programs would take it for a number.", name)
	case strings.IndexByte("-+~#", name[0]) >= 0 || name == "." || name == "..":
		return bad("%q is no name for an account: \"+\" and \"#\" at the beginning make the line of /etc/passwd another thing, \"-\" and \"~\" an option and a home.", name)
	}
	for _, c := range name {
		if strings.ContainsRune(`:,/\'"$ `, c) && !(c == '$' && strings.HasSuffix(name, "$") && strings.Count(name, "$") == 1) || unicode.IsSpace(c) || unicode.IsControl(c) {
			return bad("%q holds %q, which names of accounts can't have.", name, c)
		}
	}
	return nil
}

// checkField refuses text that would break a line of passwd(5).
func checkField(arg, text string) []modules.ArgError {
	for _, c := range text {
		if c == ':' || unicode.IsControl(c) {
			return []modules.ArgError{{Arg: arg, Summary: "Wrong value", Detail: fmt.Sprintf("%q holds %q, which separates the fields or lines of /etc/passwd.", text, c)}}
		}
	}
	return nil
}

// checkID refuses numbers that the kernel reserves or can't hold.
func checkID(arg string, id *int) []modules.ArgError {
	if id == nil || *id >= 0 && *id < 1<<32-1 && *id != 65535 {
		return nil
	}
	return []modules.ArgError{{Arg: arg, Summary: "Wrong value", Detail: fmt.Sprintf("%d can't be the number of an account: use 0 to 4294967294, without 65535.", *id)}}
}

// databases are the files that programs for accounts write besides.
func databases(files ...string) []host.Effect {
	var list []host.Effect
	for _, f := range files {
		list = append(list, host.Effect{Key: host.File("/etc/" + f), State: host.Unknown}, host.Effect{Key: host.File("/etc/" + f + "-"), State: host.Unknown})
	}
	return list
}
