package mysql

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Privileges are compared as sets. An object is written as the server writes it after ON,
// with names quoted: "*.*", "`app\_db`.*", "`app`.`orders`", "FUNCTION `app`.`total`". In
// that of a database "_" and "%" stand for any letter and any letters, unless a backslash
// is before them; elsewhere they are themselves.

// grants are an account's privileges by object. A privilege of a column is "SELECT(name)",
// the right to hand on "GRANT OPTION"; ALL PRIVILEGES is written out.
type grants map[string][]string

const (
	grantOption = "GRANT OPTION"
	allWord     = "ALL PRIVILEGES"
	usage       = "USAGE"
)

// exceptOn is before an object of which an account lacks what it may do everywhere else:
// MySQL's partial revokes, "EXCEPT `app`.*".
const exceptOn = "EXCEPT "

// level is what an object is, for privileges.
type level string

const (
	globalLevel   level = "the server (*.*)"
	databaseLevel level = "a database"
	tableLevel    level = "a table"
	routineLevel  level = "a function or procedure"
)

// levelOf is the level of an object as the server writes it.
func levelOf(object string) level {
	switch {
	case object == "*.*":
		return globalLevel
	case strings.HasPrefix(object, "`") && strings.HasSuffix(object, ".*"):
		return databaseLevel
	case strings.HasPrefix(object, "`"):
		return tableLevel
	}
	return routineLevel
}

// privileges are those that a server knows, from SHOW PRIVILEGES, in capitals.
type privileges map[string]bool

// of are those that ALL PRIVILEGES stands for at a level.
func (p privileges) of(at level) []string {
	if at == globalLevel {
		return slices.DeleteFunc(slices.Sorted(maps.Keys(p)), func(name string) bool {
			return name == grantOption || name == usage || name == "PROXY"
		})
	}
	list := map[level]string{
		databaseLevel: "ALTER,ALTER ROUTINE,CREATE,CREATE ROUTINE,CREATE TEMPORARY TABLES,CREATE VIEW,DELETE,DELETE HISTORY,DROP,EVENT,EXECUTE,INDEX,INSERT,LOCK TABLES,REFERENCES,SELECT,SHOW CREATE ROUTINE,SHOW VIEW,TRIGGER,UPDATE",
		tableLevel:    "ALTER,CREATE,CREATE VIEW,DELETE,DELETE HISTORY,DROP,INDEX,INSERT,REFERENCES,SELECT,SHOW VIEW,TRIGGER,UPDATE",
		routineLevel:  "ALTER ROUTINE,EXECUTE,SHOW CREATE ROUTINE",
	}[at]
	return slices.DeleteFunc(strings.Split(list, ","), func(name string) bool { return !p[name] })
}

// ofColumns are the privileges that columns can have.
var ofColumns = []string{"INSERT", "REFERENCES", "SELECT", "UPDATE"}

// synonyms are privileges with a second name, by that; the first is the one that the
// server shows, if it knows it.
var synonyms = map[string]string{
	"ALL":                       allWord,
	"REPLICATION CLIENT":        "BINLOG MONITOR",
	"REPLICATION REPLICA":       "REPLICATION SLAVE",
	"REPLICATION REPLICA ADMIN": "REPLICATION SLAVE ADMIN",
	"REPLICA MONITOR":           "SLAVE MONITOR",
	"DELETE VERSIONING ROWS":    "DELETE HISTORY",
	"READ ONLY ADMIN":           "READ_ONLY ADMIN",
}

// named is a privilege as the server shows it.
func (p privileges) named(word string) string {
	word = strings.ToUpper(strings.Join(strings.Fields(word), " "))
	if other, ok := synonyms[word]; ok && (p[other] || other == allWord) {
		return other
	}
	return word
}

// tokens cuts a line of SHOW GRANTS, or what a playbook has in its place: words, names in
// backquotes, texts in quotes, and the signs between them. ok is false for an open quote.
func tokens(line string) (list []string, ok bool) {
	for at := 0; at < len(line); {
		switch c := line[at]; {
		case c == ' ' || c == '\t':
			at++
		case c == '`' || c == '\'' || c == '"':
			end := at + 1
			for ; end < len(line); end++ {
				if c != '`' && line[end] == '\\' {
					end++
				} else if line[end] == c {
					if end+1 == len(line) || line[end+1] != c {
						break
					}
					end++
				}
			}
			if end >= len(line) {
				return nil, false
			}
			list = append(list, line[at:end+1])
			at = end + 1
		case strings.IndexByte("(),.@*", c) >= 0:
			list = append(list, string(c))
			at++
		default:
			end := at
			for end < len(line) && strings.IndexByte(" \t`'\"(),.@*", line[end]) < 0 {
				end++
			}
			list = append(list, line[at:end])
			at = end
		}
	}
	return list, true
}

// unquoted is a name without backquotes.
func unquoted(token string) string {
	if len(token) >= 2 && token[0] == '`' {
		return strings.ReplaceAll(token[1:len(token)-1], "``", "`")
	}
	return token
}

// addLine adds what a line of SHOW GRANTS gives. Lines about roles, and about whom an
// account may act as, aren't privileges on objects.
func (g grants) addLine(line string, p privileges, fold func(string) string) error {
	t, ok := tokens(line)
	bad := func() error {
		return fmt.Errorf("the server tells of a privilege in a way that muster doesn't know: %s", oneLine(line, 40))
	}
	switch {
	case !ok || len(t) < 3:
		return bad()
	case t[0] == "SET":
		return nil // a default role
	case t[0] != "GRANT" && t[0] != "REVOKE":
		return bad()
	}
	on := slices.Index(t, "ON")
	to := slices.Index(t, map[string]string{"GRANT": "TO", "REVOKE": "FROM"}[t[0]])
	if on < 0 || to < on || t[1] == "PROXY" || to+1 < len(t) && t[to+1] == "PUBLIC" {
		return nil
	}
	object, ok := shownObject(t[on+1:to], fold)
	if !ok {
		return bad()
	}
	atoms, ok := p.atoms(t[1:on], levelOf(object))
	if !ok {
		return bad()
	}
	if t[0] == "REVOKE" {
		g.add(exceptOn+object, atoms)
		return nil
	}
	if n := len(t); n > 3 && slices.Equal(t[n-3:], []string{"WITH", "GRANT", "OPTION"}) || slices.Contains(t[to:], "GRANT") && slices.Contains(t[to:], "OPTION") {
		atoms = withOption(atoms)
	}
	g.add(object, atoms)
	return nil
}

// handedOn is the right to hand on one of MySQL's dynamic privileges, which each of them
// has for itself (Dynamic Privileges, "GRANT OPTION"): "CLONE_ADMIN WITH GRANT OPTION".
const handedOn = " WITH GRANT OPTION"

// dynamic reports whether a privilege is one of those: their names alone have a "_".
func dynamic(name string) bool {
	return strings.Contains(name, "_") && !strings.ContainsAny(name, " (")
}

// withOption adds the right to hand on: to dynamic privileges each, to the others together.
func withOption(atoms []string) []string {
	list := slices.Clone(atoms)
	for _, a := range atoms {
		if dynamic(a) {
			list = append(list, a+handedOn)
		}
	}
	if len(atoms) == 0 || slices.ContainsFunc(atoms, func(a string) bool { return !dynamic(a) }) {
		list = append(list, grantOption)
	}
	return list
}

func (g grants) add(object string, atoms []string) {
	if len(atoms) == 0 {
		return
	}
	list := append(slices.Clone(g[object]), atoms...)
	slices.Sort(list)
	g[object] = slices.Compact(list)
}

// shownObject is an object in the tokens between ON and TO.
func shownObject(t []string, fold func(string) string) (string, bool) {
	kind := ""
	for len(t) > 0 && t[0] != "*" && t[0][0] != '`' {
		if t[0] != "TABLE" {
			kind = strings.TrimSpace(kind + " " + t[0])
		}
		t = t[1:]
	}
	if len(t) != 3 || t[1] != "." {
		return "", false
	}
	switch {
	case t[0] == "*" && t[2] == "*" && kind == "":
		return "*.*", true
	case t[0] == "*":
		return "", false
	case t[2] == "*" && kind == "":
		return ident(fold(unquoted(t[0]))) + ".*", true
	case t[2] == "*":
		return "", false
	case kind == "":
		return ident(fold(unquoted(t[0]))) + "." + ident(fold(unquoted(t[2]))), true
	}
	return kind + " " + ident(fold(unquoted(t[0]))) + "." + ident(strings.ToLower(unquoted(t[2]))), true
}

// atoms reads a list of privileges: SELECT, INSERT (a, b).
func (p privileges) atoms(t []string, at level) (list []string, ok bool) {
	for len(t) > 0 {
		var words []string
		for len(t) > 0 && t[0] != "," && t[0] != "(" {
			words, t = append(words, t[0]), t[1:]
		}
		name := p.named(strings.Join(words, " "))
		switch {
		case name == "":
			return nil, false
		case len(t) > 0 && t[0] == "(":
			end := slices.Index(t, ")")
			if end < 2 {
				return nil, false
			}
			for i, column := range t[1:end] {
				if (i%2 == 1) != (column == ",") {
					return nil, false
				}
				if column != "," {
					list = append(list, name+"("+strings.ToLower(unquoted(column))+")")
				}
			}
			if end%2 == 1 { // a comma before the bracket
				return nil, false
			}
			t = t[end+1:]
		case name == allWord:
			list = append(list, p.of(at)...)
		case name != usage:
			list = append(list, name)
		}
		if len(t) > 0 {
			if t[0] != "," || len(t) == 1 {
				return nil, false
			}
			t = t[1:]
		}
	}
	return list, true
}

// minus are the atoms of a that b lacks.
func minus(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// listed writes atoms as a statement lists them: columns of one privilege in one bracket,
// and ALL PRIVILEGES where it is all that there is.
func (p privileges) listed(atoms []string, at level) string {
	columns := map[string][]string{}
	var names []string
	plain := slices.DeleteFunc(slices.Clone(atoms), func(a string) bool { return a == grantOption || strings.HasSuffix(a, handedOn) })
	if all := p.of(at); len(all) > 0 && len(minus(all, plain)) == 0 {
		names, plain = []string{allWord}, minus(plain, all)
	}
	for _, a := range plain {
		name, column, ok := strings.Cut(strings.TrimSuffix(a, ")"), "(")
		if !slices.Contains(names, name) || name == allWord {
			names = append(names, name)
		}
		if ok {
			columns[name] = append(columns[name], ident(column))
		}
	}
	for i, name := range names {
		if columns[name] == nil {
			continue
		}
		with := name + " (" + strings.Join(columns[name], ", ") + ")"
		if slices.Contains(plain, name) { // the whole table, too
			with = name + ", " + with
		}
		names[i] = with
	}
	return strings.Join(names, ", ")
}
