package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Database is a database of the MariaDB or MySQL server on the host, which is asked as
// root through its socket. Its character set and collation are what new tables get:
// tables that are there keep theirs.
type Database struct {
	// The database's name.
	Name string `arg:"name,key,required"`
	// The character set of new tables: utf8mb4. Not given: the server's, for a new
	// database.
	Charset string `arg:"charset"`
	// The collation of new tables. Not given: the character set's own, where that changes.
	Collation string `arg:"collation"`
	// Whether it is there at all. "absent" drops it with its tables, which the plan names.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// DatabaseOutput is what a task of the kind offers.
type DatabaseOutput struct {
	// The character set of new tables.
	Charset string `json:"charset"`
	// The collation of new tables.
	Collation string `json:"collation"`
}

// databases is the space of their keys.
const databases = "mysql_database"

func databaseKey(name string) host.Key { return host.Key{Space: databases, Name: name} }

// ownDatabases are the server's own.
var ownDatabases = []string{"mysql", "information_schema", "performance_schema", "sys"}

// Check refuses names that can't be, and the server's own databases.
func (d *Database) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	if why := wrongName(d.Name); why != "" {
		fail("name", "Wrong value", "%q is no name of a database: %s.", d.Name, why)
	}
	if slices.Contains(ownDatabases, strings.ToLower(d.Name)) {
		fail("name", "Wrong value", "%s is the server's own: its tables change with those of its version, and by accounts' privileges.", d.Name)
	}
	for _, a := range []struct{ arg, value string }{{"charset", d.Charset}, {"collation", d.Collation}} {
		switch {
		case a.value == "":
		case d.State == "absent":
			fail(a.arg, "Conflicting arguments", "A database that is to be absent has no %s.", a.arg)
		case strings.ContainsFunc(a.value, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", r)
		}):
			fail(a.arg, "Wrong value", "%q is no %s: it is a word such as %s.", a.value, a.arg, map[string]string{"charset": "utf8mb4", "collation": "utf8mb4_unicode_ci"}[a.arg])
		}
	}
	return errs
}

// Withhold hides the lines of what is sensitive.
func (d *Database) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "charset", "collation")
}

// May is the database, also as a server calls it that has all names in small letters.
func (d *Database) May() []host.Effect {
	return []host.Effect{host.Open(databases, d.Name), host.Open(databases, strings.ToLower(d.Name))}
}

// schema is a database, as it stands at its key.
type schema struct {
	Charset   string `json:"charset"`
	Collation string `json:"collation"`
}

// charsets is what a server can do with letters.
type charsets struct {
	own   map[string]string // the collation that each character set has of its own
	of    map[string]string // the character set of each collation
	first schema            // what a new database gets
}

// known is all databases of a server, and what they may be.
type known struct {
	about
	charsets
	all map[string]schema
}

// readDatabases asks for all databases, once for all tasks of a host.
func readDatabases(ctx context.Context, v *host.View) (*known, error) {
	if err := settled(v); err != nil {
		return nil, err
	}
	return host.Once(v, "mysql databases", func() (*known, error) {
		return asking(ctx, v, func(s *server) (*known, error) { return s.databases(ctx) })
	})
}

func (s *server) databases(ctx context.Context) (*known, error) {
	k := &known{about: s.about, all: map[string]schema{}, charsets: charsets{own: map[string]string{}, of: map[string]string{}}}
	rows, err := s.rows(ctx, "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA")
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		k.all[s.fold(r[0])] = schema{Charset: r[1], Collation: r[2]}
	}
	// MariaDB 10.10 and later have collations for several character sets.
	name := "COLLATION_NAME"
	if s.flavor == mariadb && s.atLeast([3]int{10, 10, 0}) {
		name = "FULL_COLLATION_NAME"
	}
	if rows, err = s.rows(ctx, "SELECT "+name+", CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"); err != nil {
		return nil, err
	}
	for _, r := range rows {
		k.of[r[0]] = r[1]
	}
	if rows, err = s.rows(ctx, "SELECT CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS"); err != nil {
		return nil, err
	}
	for _, r := range rows {
		k.own[r[0]] = r[1]
	}
	if rows, err = s.rows(ctx, "SELECT @@GLOBAL.character_set_server, @@GLOBAL.collation_server"); err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, fmt.Errorf("the server tells no character set of its own")
	}
	k.first = schema{Charset: rows[0][0], Collation: rows[0][1]}
	return k, nil
}

// fold is a name as the server compares it.
func (a *about) fold(name string) string {
	if a.lower {
		return strings.ToLower(name)
	}
	return name
}

// wanted is what the database is to be, where it is now (nil: to be made).
func (d *Database) wanted(k *known, now *schema) (schema, error) {
	to := k.first
	if now != nil {
		to = *now
	}
	charset, collation := strings.ToLower(d.Charset), strings.ToLower(d.Collation)
	if collation != "" {
		of, ok := k.of[collation]
		if !ok {
			return to, unknownWord("collation", collation, k.of)
		}
		if charset != "" && charset != of && k.own[charset] != "" {
			return to, modules.ArgError{Arg: "collation", Summary: "Conflicting arguments", Detail: fmt.Sprintf("The collation %s belongs to the character set %s, not to %s.", collation, of, charset)}
		}
		to.Collation, to.Charset = collation, of
	}
	if charset != "" {
		own, ok := k.own[charset]
		switch {
		case !ok:
			return to, unknownWord("charset", charset, k.own)
		case charset != to.Charset:
			to.Charset, to.Collation = charset, own
		}
	}
	return to, nil
}

// unknownWord is about a character set or a collation that the server doesn't have.
func unknownWord(arg, word string, known map[string]string) error {
	var names []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	e := modules.ArgError{Arg: arg, Summary: "Unknown " + arg, Detail: fmt.Sprintf("The server on this host has no %s %s.", arg, word)}
	near := modules.Nearest(word, names)
	switch {
	case word == "utf8":
		e.Detail, near = "The server on this host calls it utf8mb3, which has no letters beyond U+FFFF; utf8mb4 has all.", "utf8mb4"
	case strings.HasPrefix(word, "utf8_"):
		near = "utf8mb4_" + strings.TrimPrefix(word, "utf8_")
	}
	if near != "" {
		e.Hint = fmt.Sprintf("%s = %q", arg, near)
	}
	return e
}

// forecast adds to a plan that can't be made yet what it may be; err is returned as it is.
func (d *Database) forecast(plan *modules.Plan, err error) error {
	if errors.Is(err, host.ErrNotYet) {
		then := host.Description{Action: host.Create, Target: databaseTarget(d.Name), Impact: "where it isn't so by then"}
		if d.State == "absent" {
			then.Action, then.Impact = host.Delete, "where it is there by then"
		}
		plan.Then = []host.Description{then}
	}
	return err
}

// Plan compares the database with what is declared of it.
func (d *Database) Plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	defer func() { plan, err = notOnReplica(ctx, v, plan, err) }()
	k, err := readDatabases(ctx, v)
	if err != nil {
		return plan, d.forecast(&plan, err)
	}
	name := k.fold(d.Name)
	value, laid, open, err := v.Look(databaseKey(name))
	if err != nil {
		return plan, err
	}
	var now *schema
	if s, ok := k.all[name]; ok {
		now = &s
	}
	if laid {
		if now = nil; value != nil {
			now = &schema{}
			if err := host.Unmarshal(value, now); err != nil {
				return plan, err
			}
		}
	} else if open && now == nil {
		return plan, d.forecast(&plan, host.NotYet(databaseKey(name)))
	}
	if d.State == "absent" {
		if now == nil {
			return plan, nil
		}
		drop := &DropDatabase{Name: name, Was: *now}
		if !laid {
			if drop.Loses, err = readContents(ctx, v, name); err != nil {
				return plan, err
			}
		}
		plan.Changes = []host.Change{drop}
		return plan, nil
	}
	to, err := d.wanted(k, now)
	switch {
	case err != nil:
		return plan, err
	case now == nil:
		plan.Changes, plan.Atomic = []host.Change{&CreateDatabase{Name: name, To: to}}, true
	case *now != to:
		plan.Changes, plan.Atomic = []host.Change{&AlterDatabase{Name: name, From: *now, To: to}}, true
	default:
		plan.Output, err = host.Marshal(DatabaseOutput(*now))
	}
	return plan, err
}
