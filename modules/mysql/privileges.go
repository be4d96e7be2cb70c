package mysql

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/modules"
)

// object reads an object as playbooks write it, and returns it as the server does. It is
// "*.*", "DATABASE.*", "DATABASE.TABLE", "function DATABASE.NAME", "procedure
// DATABASE.NAME", or "like PATTERN.*", in which "_" and "%" stand for other letters. A
// name with other signs is in backquotes.
func object(text string, fold func(string) string) (string, error) {
	t, ok := tokens(text)
	word := ""
	if ok && len(t) == 4 && slices.Contains([]string{"like", "table", "function", "procedure"}, strings.ToLower(t[0])) {
		word, t = strings.ToLower(t[0]), t[1:]
	}
	if !ok || len(t) != 3 || t[1] != "." {
		return "", fmt.Errorf(`%q is none of "*.*", "DATABASE.*", "DATABASE.TABLE", "function DATABASE.NAME", "procedure DATABASE.NAME" and "like PATTERN.*"; a name with a dot or a space in it is in backquotes`, text)
	}
	quoted := t[0][0] == '`'
	database, name := fold(unquoted(t[0])), unquoted(t[2])
	whole := t[2] == "*"
	switch {
	case t[0] == "*" && whole && word == "":
		return "*.*", nil
	case t[0] == "*":
		return "", fmt.Errorf("%q: all databases have privileges only together, as \"*.*\"", text)
	case word == "like" && !whole:
		return "", fmt.Errorf("%q: a pattern is one of databases, and ends with \".*\"", text)
	case word != "" && word != "like" && whole:
		return "", fmt.Errorf("%q: a %s is one, and has a name", text, word)
	case word == "like":
		return ident(database) + ".*", nil
	case strings.Contains(database, `\`) && !quoted:
		return "", fmt.Errorf(`%q: "_" and "%%" are letters like others here, without a backslash; where they are to stand for any, the object is "like %s.*"`, text, database)
	}
	for _, n := range []string{database, name} {
		if why := wrongName(n); why != "" {
			return "", fmt.Errorf("%q has a name that can't be: %s", text, why)
		}
	}
	switch {
	case whole:
		return ident(strings.NewReplacer(`\`, `\\`, "_", `\_`, "%", `\%`).Replace(database)) + ".*", nil
	case word == "function" || word == "procedure":
		return strings.ToUpper(word) + " " + ident(database) + "." + ident(strings.ToLower(name)), nil
	}
	return ident(database) + "." + ident(fold(name)), nil
}

// wanted reads the privileges that a task declares. A server's privileges are nil before
// any is asked: then only their form is looked at.
func wanted(declared map[string]modules.OneOrMore, p privileges, fold func(string) string) (grants, []modules.ArgError) {
	g := grants{}
	var errs []modules.ArgError
	from := map[string]string{}
	for _, text := range slices.Sorted(maps.Keys(declared)) {
		fail := func(path, summary, detail, hint string) {
			errs = append(errs, modules.ArgError{Arg: "privileges", Path: fmt.Sprintf("[%q]", text) + path, Summary: summary, Detail: detail, Hint: hint})
		}
		on, err := object(text, fold)
		if err != nil {
			fail("", "Wrong value", err.Error()+".", "")
			continue
		}
		if other, twice := from[on]; twice {
			fail("", "Conflicting arguments", fmt.Sprintf("%q and %q are one object: give its privileges in one list.", other, text), "")
		}
		from[on] = text
		at := levelOf(on)
		for i, word := range declared[text] {
			path := fmt.Sprintf("[%d]", i)
			t, ok := tokens(word)
			atoms, fine := p.atoms(t, at)
			switch {
			case !ok || !fine || len(t) == 0:
				fail(path, "Wrong value", fmt.Sprintf("%q is no privilege: it is a name, such as SELECT, and of columns SELECT (a, b).", word), "")
				continue
			case p == nil && p.named(word) == allWord:
				atoms = []string{allWord}
			}
			for _, a := range atoms {
				if summary, detail, hint := p.refuse(a, at); summary != "" {
					fail(path, summary, detail, hint)
				}
			}
			g.add(on, atoms)
		}
		if slices.Contains(g[on], grantOption) {
			g.add(on, withOption(minus(g[on], []string{grantOption})))
		}
	}
	return g, errs
}

// refuse says why an object of that level can't have a privilege.
func (p privileges) refuse(atom string, at level) (summary, detail, hint string) {
	name, _, ofColumn := strings.Cut(atom, "(")
	switch {
	case ofColumn && (at != tableLevel || !slices.Contains(ofColumns, name)):
		return "Wrong value", fmt.Sprintf("Columns have the privileges %s, and only those of a table: %s on %s can't be given.", strings.Join(ofColumns, ", "), name, at), ""
	case p == nil || name == grantOption || name == usage || name == allWord:
		return "", "", ""
	case !p[name]:
		if near := modules.Nearest(name, slices.Sorted(maps.Keys(p))); near != "" {
			hint = fmt.Sprintf("%q", near)
		}
		return "Unknown privilege", fmt.Sprintf("The server on this host has no privilege %s.", name), hint
	case !ofColumn && !slices.Contains(p.of(at), name):
		return "Wrong value", fmt.Sprintf("%s has no privilege %s: it has %s.", capital(string(at)), name, strings.Join(p.of(at), ", ")), ""
	}
	return "", "", ""
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
