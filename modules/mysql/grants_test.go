package mysql

import (
	"slices"
	"strings"
	"testing"

	"muster/modules"
)

func same(s string) string { return s }

// known are the privileges of MariaDB 10.11.
func knownPrivileges(list string) privileges {
	p := privileges{}
	for name := range strings.SplitSeq(list, ",") {
		p[strings.ToUpper(name)] = true
	}
	return p
}

func TestObjects(t *testing.T) {
	for text, want := range map[string]string{
		"*.*":                          "*.*",
		"app.*":                        "`app`.*",
		"my_db%.*":                     "`my\\_db\\%`.*",
		"like my_db%.*":                "`my_db%`.*",
		"LIKE my\\_db%.*":              "`my\\_db%`.*",
		"my_db.t_1":                    "`my_db`.`t_1`",
		"table app.t":                  "`app`.`t`",
		"`a.b`.`c``d`":                 "`a.b`.`c``d`",
		"`a\\b`.*":                     "`a\\\\b`.*",
		"my-app.*":                     "`my-app`.*",
		"function app.F":               "FUNCTION `app`.`f`",
		"procedure `a p`.p":            "PROCEDURE `a p`.`p`",
		"app":                          "error: is none of",
		"app.":                         "error: is none of",
		"*.t":                          "error: only together",
		"like app.t":                   "error: ends with",
		"function app.*":               "error: has a name",
		`my\_db.*`:                     `error: where they are to stand for any, the object is "like my\_db.*"`,
		"app.t; DROP TABLE x":          "error: is none of",
		"`app`.`t":                     "error: is none of",
		"app.`" + "x\ny" + "`":         "error: more than one line",
		strings.Repeat("x", 65) + ".*": "error: more than 64 letters",
	} {
		got, err := object(text, same)
		if wrong, ok := strings.CutPrefix(want, "error: "); ok {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%q: %q, %v; want the error %q", text, got, err, wrong)
			}
			continue
		}
		if got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	if got, _ := object("App.T", strings.ToLower); got != "`app`.`t`" {
		t.Errorf("where the server compares names without case: %q", got)
	}
}

func TestShownGrants(t *testing.T) {
	p := knownPrivileges(commonPrivileges + mariadbOnly)
	for line, want := range map[string]string{
		"GRANT USAGE ON *.* TO `a`@`b` IDENTIFIED BY PASSWORD '*X ON y TO z' WITH MAX_QUERIES_PER_HOUR 5":   "",
		"GRANT SELECT, BINLOG MONITOR ON *.* TO `a`@`b`":                                                    "*.* BINLOG MONITOR SELECT",
		"GRANT SELECT (`b`, `A`, `x``,y`), INSERT ON `d`.`t` TO `a`@`b` WITH GRANT OPTION":                  "`d`.`t` GRANT OPTION INSERT SELECT(a) SELECT(b) SELECT(x`,y)",
		"GRANT EXECUTE ON FUNCTION `d`.`F` TO `a`@`b` REQUIRE SSL WITH GRANT OPTION MAX_UPDATES_PER_HOUR 3": "FUNCTION `d`.`f` EXECUTE GRANT OPTION",
		"GRANT EXECUTE ON PACKAGE BODY `d`.`P` TO `a`@`b`":                                                  "PACKAGE BODY `d`.`p` EXECUTE",
		"GRANT `r` TO `a`@`b` WITH ADMIN OPTION":                                                            "",
		"GRANT `GRANT ON x TO y` TO `a`@`b`":                                                                "",
		"GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION":                                     "",
		"SET DEFAULT ROLE `r` FOR `a`@`b`":                                                                  "",
		"GRANT SELECT ON `x` TO PUBLIC":                                                                     "",
		"GRANT SELECT ON `a`.`b`.`c` TO `a`@`b`":                                                            "error",
		"GRANT SELECT ( ON `a`.`b` TO `a`@`b`":                                                              "error",
		"GRANT SELECT (`a`,) ON `a`.`b` TO `a`@`b`":                                                         "error",
		"GRANT SELECT, ON `a`.`b` TO `a`@`b`":                                                               "error",
		"DROP TABLE x":                                                                                      "error",
	} {
		g := grants{}
		err := g.addLine(line, p, same)
		got := ""
		for object, atoms := range g {
			got = object + " " + strings.Join(atoms, " ")
		}
		if want == "error" && err == nil || want != "error" && (err != nil || got != want) {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
}

func TestPrivilegesAreSets(t *testing.T) {
	p := knownPrivileges(commonPrivileges + mariadbOnly)
	for _, c := range []struct {
		name  string
		has   []string
		wants map[string]modules.OneOrMore
		steps string
	}{
		{"order, case, synonyms", []string{"GRANT INSERT, SELECT, BINLOG MONITOR ON *.* TO `a`@`b`"}, map[string]modules.OneOrMore{"*.*": {"select", "Replication  Client", "INSERT", "select"}}, ""},
		{"ALL spelled out", []string{"GRANT ALL PRIVILEGES ON `d`.`t` TO `a`@`b`"}, map[string]modules.OneOrMore{"d.t": strings.Split("ALTER,CREATE,CREATE VIEW,DELETE,DELETE HISTORY,DROP,INDEX,INSERT,REFERENCES,SELECT,SHOW VIEW,TRIGGER,UPDATE", ",")}, ""},
		{"ALL but one", []string{"GRANT ALL PRIVILEGES ON `d`.`t` TO `a`@`b`"}, map[string]modules.OneOrMore{"d.t": strings.Split("ALTER,CREATE,CREATE VIEW,DELETE,DELETE HISTORY,INDEX,INSERT,REFERENCES,SELECT,SHOW VIEW,TRIGGER,UPDATE", ",")}, "revoke DROP on `d`.`t`"},
		{"the rest of ALL", []string{"GRANT SELECT ON `d`.* TO `a`@`b`"}, map[string]modules.OneOrMore{"d.*": {"ALL"}}, "grant ALL PRIVILEGES on `d`.*"},
		{"columns in one list and in two", []string{"GRANT SELECT (`a`, `b`) ON `d`.`t` TO `a`@`b`"}, map[string]modules.OneOrMore{"d.t": {"SELECT (B)", "select(`A`)"}}, ""},
		{"the table beside its columns", []string{"GRANT SELECT (`a`) ON `d`.`t` TO `a`@`b`"}, map[string]modules.OneOrMore{"d.t": {"SELECT", "SELECT (a, c)"}}, "grant SELECT, SELECT (`c`) on `d`.`t`"},
		{"only the right to hand on", []string{"GRANT SELECT ON `d`.* TO `a`@`b`"}, map[string]modules.OneOrMore{"d.*": {"SELECT", "GRANT OPTION"}}, "grant USAGE on `d`.* with grant option"},
		{"granted before it is revoked", []string{"GRANT SELECT ON `a_b`.* TO `a`@`b`"}, map[string]modules.OneOrMore{"a_b.*": {"SELECT"}}, "grant SELECT on `a\\_b`.*; revoke SELECT on `a_b`.*"},
		{"everything goes", []string{"GRANT ALL PRIVILEGES ON `d`.* TO `a`@`b` WITH GRANT OPTION"}, nil, "revoke ALL PRIVILEGES on `d`.*; revoke GRANT OPTION on `d`.*"},
		{"usage is nothing", []string{"GRANT USAGE ON *.* TO `a`@`b`"}, map[string]modules.OneOrMore{"*.*": {"USAGE"}}, ""},
	} {
		g := grants{}
		for _, line := range c.has {
			if err := g.addLine(line, p, same); err != nil {
				t.Fatal(err)
			}
		}
		want, errs := wanted(c.wants, p, same)
		if len(errs) > 0 {
			t.Fatal(c.name, errs)
		}
		var got []string
		for _, s := range g.until(want, p) {
			got = append(got, s.String())
		}
		if text := strings.Join(got, "; "); text != c.steps {
			t.Errorf("%s: %q, want %q", c.name, text, c.steps)
		}
	}
}

// As MySQL 9.7 shows and takes them.
func TestDynamicPrivilegesAreHandedOnEachByItself(t *testing.T) {
	p := knownPrivileges(commonPrivileges + mysqlOnly)
	for _, c := range []struct {
		name  string
		has   []string
		wants []string
		steps string
	}{
		{"no more", []string{"GRANT SELECT ON *.* TO `a`@`b` WITH GRANT OPTION", "GRANT CLONE_ADMIN,BACKUP_ADMIN ON *.* TO `a`@`b` WITH GRANT OPTION"}, []string{"SELECT", "CLONE_ADMIN"},
			"revoke BACKUP_ADMIN on *.*; revoke CLONE_ADMIN on *.*; grant CLONE_ADMIN on *.*; revoke GRANT OPTION on *.*"},
		{"unchanged", []string{"GRANT SELECT ON *.* TO `a`@`b` WITH GRANT OPTION", "GRANT CLONE_ADMIN ON *.* TO `a`@`b` WITH GRANT OPTION"}, []string{"CLONE_ADMIN", "SELECT", "GRANT OPTION"}, ""},
		{"one more", []string{"GRANT SELECT ON *.* TO `a`@`b` WITH GRANT OPTION", "GRANT CLONE_ADMIN ON *.* TO `a`@`b`"}, []string{"CLONE_ADMIN", "SELECT", "GRANT OPTION"}, "grant CLONE_ADMIN on *.* with grant option"},
		{"none but dynamic ones", []string{"GRANT USAGE ON *.* TO `a`@`b`"}, []string{"CLONE_ADMIN", "GRANT OPTION"}, "grant CLONE_ADMIN on *.* with grant option; grant USAGE on *.* with grant option"},
		{"without the option, as they are", []string{"GRANT SELECT ON *.* TO `a`@`b`", "GRANT CLONE_ADMIN ON *.* TO `a`@`b`"}, []string{"SELECT", "CLONE_ADMIN"}, ""},
	} {
		g := grants{}
		for _, line := range c.has {
			if err := g.addLine(line, p, same); err != nil {
				t.Fatal(err)
			}
		}
		want, errs := wanted(map[string]modules.OneOrMore{"*.*": c.wants}, p, same)
		if len(errs) > 0 {
			t.Fatal(c.name, errs)
		}
		var got []string
		for _, s := range g.until(want, p) {
			got = append(got, s.String())
		}
		if text := strings.Join(got, "; "); text != c.steps {
			t.Errorf("%s: %q, want %q", c.name, text, c.steps)
		}
	}
}

func TestPrivilegesThatCannotBe(t *testing.T) {
	p := knownPrivileges(commonPrivileges + mariadbOnly)
	for want, declared := range map[string]map[string]modules.OneOrMore{
		"no privilege SELEKT":           {"app.*": {"SELEKT"}},
		"A database has no privilege":   {"app.*": {"SUPER"}},
		"only those of a table":         {"app.*": {"SELECT (a)"}},
		"Columns have the privileges":   {"app.t": {"DROP (a)"}},
		"is no privilege: it is a name": {"app.t": {"SELECT (a"}},
		"is no privilege":               {"app.t": {""}},
		"are one object":                {"app.*": {"SELECT"}, "`app`.*": {"INSERT"}},
	} {
		if _, errs := wanted(declared, p, same); len(errs) == 0 || !slices.ContainsFunc(errs, func(e modules.ArgError) bool { return strings.Contains(e.Detail, want) }) {
			t.Errorf("%v: %v, want %q", declared, errs, want)
		}
	}
	if _, errs := wanted(map[string]modules.OneOrMore{"app.t": {"ANY_PRIVILEGE OF TOMORROW", "ALL", "UPDATE (a)"}}, nil, same); len(errs) > 0 {
		t.Errorf("before a server is asked: %v", errs)
	}
}

// What a server says is never taken for a statement: what is made of it names the same
// object again, and nothing else.
func FuzzGrants(f *testing.F) {
	for _, line := range []string{
		"GRANT SELECT (`b`, `A`), INSERT ON `d``x`.`t` TO `a`@`b` WITH GRANT OPTION",
		"GRANT ALL PRIVILEGES ON `my\\_db`.* TO 'a'@'%'", "GRANT EXECUTE ON FUNCTION `d`.`f` TO a@b", "GRANT `r` TO `a`@`b`", "REVOKE x ON y FROM z", "GRANT ( ON", "GRANT a ON b TO",
	} {
		f.Add(line)
	}
	p := knownPrivileges(commonPrivileges + mariadbOnly)
	f.Fuzz(func(t *testing.T, line string) {
		g := grants{}
		if g.addLine(line, p, same) != nil {
			return
		}
		for object := range g {
			tokens, ok := tokens(object)
			if !ok {
				t.Fatalf("%q: the object %q can't be read again", line, object)
			}
			again, ok := shownObject(tokens, same)
			if !ok || again != object {
				t.Errorf("%q: the object %q is read again as %q", line, object, again)
			}
		}
	})
}

func TestLiteralsAndNames(t *testing.T) {
	for in, want := range map[string]string{`a'b`: `'a''b'`, `a\`: `'a\\'`, `\' OR 1 -- `: `'\\'' OR 1 -- '`, "a\x00b": `'a\0b'`, `"`: `'"'`} {
		if got := literal(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if got := ident("a`b\\"); got != "`a``b\\`" {
		t.Error(got)
	}
}
