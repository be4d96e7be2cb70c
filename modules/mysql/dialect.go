package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// flavor says whose server it is.
type flavor string

const (
	mariadb  flavor = "MariaDB"
	mysqlOwn flavor = "MySQL"
)

// about is who answers, and how.
type about struct {
	flavor  flavor
	version [3]int
	me      string // the account that muster is let in as: root@localhost
	// lower: names of databases and tables are kept, or compared, without case.
	lower bool
	tls   bool // the server takes TLS
}

// server is a connection to a server.
type server struct {
	db *sql.DB
	about
	read *readLog // of its binary logs, by this connection
}

// Close ends the connection.
func (s *server) Close() { _ = s.db.Close() }

// hello asks who answers, and has the session as all statements here count on: names and
// texts are quoted in one way, answers are whole, and nobody is waited for a day.
func (s *server) hello(ctx context.Context) error {
	var version, comment, me, lower string
	row := s.db.QueryRowContext(ctx, "SELECT VERSION(), @@version_comment, CURRENT_USER(), @@lower_case_table_names")
	if err := row.Scan(&version, &comment, &me, &lower); err != nil {
		return err
	}
	if err := s.about.is(version, comment); err != nil {
		return err
	}
	s.me, s.lower = me, lower != "0"
	set := fmt.Sprintf("SET SESSION sql_mode = '', sql_quote_show_create = 1, sql_select_limit = 18446744073709551615, lock_wait_timeout = %d", lockTime)
	if s.flavor == mysqlOwn {
		set += ", information_schema_stats_expiry = 0" // sizes are those of today
	}
	return s.do(ctx, set)
}

// is reads the server's version: "10.11.19-MariaDB-0+deb12u1", "8.4.6".
func (a *about) is(version, comment string) error {
	a.flavor = mysqlOwn
	if strings.Contains(strings.ToLower(version+" "+comment), "mariadb") {
		a.flavor = mariadb
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(version, "5.5.5-"), "-")
	for i, part := range strings.SplitN(number, ".", 3) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return fmt.Errorf("%q is no version of MariaDB's or MySQL's", version)
		}
		a.version[i] = n
	}
	oldest := [3]int{8, 0, 17}
	if a.flavor == mariadb {
		oldest = [3]int{10, 4, 0}
	}
	if !a.atLeast(oldest) {
		return fmt.Errorf("%s %s is too old: muster knows %s from %d.%d on", a.flavor, number, a.flavor, oldest[0], oldest[1])
	}
	return nil
}

func (a *about) atLeast(v [3]int) bool {
	for i := range v {
		if a.version[i] != v[i] {
			return a.version[i] > v[i]
		}
	}
	return true
}

// do runs a statement that answers nothing.
func (s *server) do(ctx context.Context, statement string) error {
	_, err := s.db.ExecContext(ctx, statement)
	return err
}

// answerLimit is how many rows are read of an answer.
const answerLimit = 100_000

// rows reads an answer whole, as text: a field that is NULL is "".
func (s *server) rows(ctx context.Context, query string) ([][]string, error) {
	r, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	names, err := r.Columns()
	if err != nil {
		return nil, err
	}
	var all [][]string
	for r.Next() {
		if len(all) == answerLimit {
			return nil, fmt.Errorf("the answer to %q has more than %s rows", oneLine(query, 60), grouped(answerLimit))
		}
		fields, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range fields {
			into[i] = &fields[i]
		}
		if err := r.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]string, len(names))
		for i, f := range fields {
			row[i] = f.String
		}
		all = append(all, row)
	}
	return all, r.Err()
}

// ident quotes a name.
func ident(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// literal quotes a text. hello has the session take backslashes for escapes.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, "\x00", `\0`).Replace(text) + "'"
}

// accountSQL quotes an account.
func accountSQL(name, host string) string { return literal(name) + "@" + literal(host) }

// wrongName says why a name can't be one of a database, a table or a column; "" if it can.
func wrongName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case !utf8.ValidString(name):
		return "it isn't UTF-8"
	case utf8.RuneCountInString(name) > 64:
		return "it has more than 64 letters"
	case strings.HasSuffix(name, " "):
		return "it ends with a space"
	case strings.ContainsFunc(name, func(r rune) bool { return r == 0 || r > 0xffff }):
		return "it holds a letter that names can't have"
	case strings.ContainsAny(name, "\n\r"):
		return "it has more than one line"
	}
	return ""
}

// errGone is what is to be altered and isn't there.
var errGone = errors.New("it isn't there any more")
