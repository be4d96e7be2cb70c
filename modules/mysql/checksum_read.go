package mysql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// table is a table as it is read to be compared.
type table struct {
	Schema string `json:"database"`
	Name   string `json:"table"`
	// Shape is a sum of its columns' names, types and character sets, and of its key.
	Shape string `json:"shape"`
	// Kept is what its engine does with transactions: whether a snapshot of it holds still.
	Kept bool `json:"transactional"`

	columns []column
	key     []keyColumn // nil: it is read whole
	rows    int64       // roughly
}

// column is a column with its type, as information_schema.COLUMNS has it in DATA_TYPE.
type column struct{ name, kind string }

// keyColumn is a column of a primary key.
type keyColumn struct {
	name string
	form keyForm
}

// keyForm is how a value of a key goes between the hosts, and into SQL.
type keyForm int

const (
	asText   keyForm = iota // quoted
	asHex                   // hexadecimal digits of its bytes
	asNumber                // as it is: a quoted one is compared as a float, which 17 digits are beyond
)

func (t *table) String() string { return t.Schema + "." + t.Name }

// keyTypes are the types by which a table is cut into chunks: those that are compared with a
// value as they are ordered.
var keyTypes = map[string]keyForm{
	"tinyint": asNumber, "smallint": asNumber, "mediumint": asNumber, "int": asNumber, "bigint": asNumber, "decimal": asNumber,
	"char": asText, "varchar": asText, "date": asText, "datetime": asText, "timestamp": asText, "time": asText, "year": asText,
	"binary": asHex, "varbinary": asHex,
}

// inSchemas is a condition of SQL: a column names one of these databases, or any but the
// server's own where there are none.
func inSchemas(column string, names []string) string {
	if len(names) == 0 {
		return column + " NOT IN " + systemSchemas()
	}
	var list []string
	for _, n := range names {
		list = append(list, literal(n))
	}
	return column + " IN (" + strings.Join(list, ", ") + ")"
}

// tables reads all tables of some databases, in order; of all, where none is named.
func (s *server) tables(ctx context.Context, schemas []string) ([]*table, error) {
	return s.tablesWhere(ctx, schemas, "")
}

// table reads one table; nil where there is none.
func (s *server) table(ctx context.Context, schema, name string) (*table, error) {
	all, err := s.tablesWhere(ctx, []string{schema}, " AND t.TABLE_NAME = "+literal(name))
	at := slices.IndexFunc(all, func(t *table) bool { return t.Schema == schema && t.Name == name })
	if err != nil || at < 0 {
		return nil, err
	}
	return all[at], nil
}

func (s *server) tablesWhere(ctx context.Context, schemas []string, more string) ([]*table, error) {
	// The server compares names there without case, also where it keeps them apart.
	meant := func(schema string) bool {
		return len(schemas) == 0 || slices.ContainsFunc(schemas, func(n string) bool { return s.fold(n) == s.fold(schema) })
	}
	rows, err := s.rows(ctx, "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, COALESCE(t.TABLE_ROWS, 0), COALESCE(e.TRANSACTIONS, 'NO') FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE WHERE "+inSchemas("t.TABLE_SCHEMA", schemas)+more+" AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY 1, 2")
	if err != nil {
		return nil, fmt.Errorf("reading which tables there are: %w", err)
	}
	var list []*table
	named := map[[2]string]*table{}
	for _, r := range rows {
		if !meant(r[0]) {
			continue
		}
		t := &table{Schema: r[0], Name: r[1], Kept: r[3] == "YES"}
		t.rows, _ = strconv.ParseInt(r[2], 10, 64)
		list, named[[2]string{r[0], r[1]}] = append(list, t), t
	}
	sorts, shapes := map[[3]string]string{}, map[*table]string{}
	rows, err = s.rows(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COALESCE(CHARACTER_SET_NAME, ''), COALESCE(COLLATION_NAME, '') FROM information_schema.COLUMNS t WHERE "+inSchemas("TABLE_SCHEMA", schemas)+more+" ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION")
	if err != nil {
		return nil, fmt.Errorf("reading the tables' columns: %w", err)
	}
	for _, r := range rows {
		if t := named[[2]string{r[0], r[1]}]; t != nil {
			t.columns = append(t.columns, column{r[2], strings.ToLower(r[3])})
			sorts[[3]string{r[0], r[1], r[2]}] = setName(r[5])
			shapes[t] += fmt.Sprintf("%q %s %s\n", r[2], strings.ToLower(r[3]), setName(r[4]))
		}
	}
	rows, err = s.rows(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COALESCE(SUB_PART, 0) FROM information_schema.STATISTICS t WHERE "+inSchemas("TABLE_SCHEMA", schemas)+more+" AND INDEX_NAME = 'PRIMARY' ORDER BY TABLE_SCHEMA, TABLE_NAME, SEQ_IN_INDEX")
	if err != nil {
		return nil, fmt.Errorf("reading the tables' keys: %w", err)
	}
	whole := map[*table]bool{}
	for _, r := range rows {
		t := named[[2]string{r[0], r[1]}]
		if t == nil {
			continue
		}
		form, ordered := keyTypes[t.kind(r[2])]
		whole[t] = whole[t] || !ordered || r[3] != "0"
		t.key = append(t.key, keyColumn{r[2], form})
		// The same key in another order is cut into other parts.
		shapes[t] += fmt.Sprintf("key %q %s %s\n", r[2], r[3], sorts[[3]string{r[0], r[1], r[2]}])
	}
	for _, t := range list {
		if whole[t] {
			t.key = nil
		}
		sum := sha256.Sum256([]byte(shapes[t]))
		t.Shape = hex.EncodeToString(sum[:12])
	}
	return list, nil
}

// kind is a column's type; "" where it isn't known.
func (t *table) kind(name string) string {
	if at := slices.IndexFunc(t.columns, func(c column) bool { return c.name == name }); at >= 0 {
		return t.columns[at].kind
	}
	return ""
}

// setName is a character set or a collation as all versions call it: utf8 became utf8mb3.
func setName(name string) string {
	if name == "utf8" || strings.HasPrefix(name, "utf8_") {
		return "utf8mb3" + strings.TrimPrefix(name, "utf8")
	}
	return name
}

var numberForm = regexp.MustCompile(`^-?[0-9]{1,100}(\.[0-9]{1,50})?$`)

// value is a value of a key in SQL. text is what a server has told, another host's too.
func (k keyColumn) value(text string) (string, error) {
	_, err := hex.DecodeString(text)
	switch {
	case k.form == asText:
		return literal(text), nil
	case k.form == asHex && err == nil:
		return "x'" + text + "'", nil
	case k.form == asNumber && numberForm.MatchString(text):
		return text, nil
	}
	return "", fmt.Errorf("%q is no value of the key %s", oneLine(text, 60), k.name)
}

// beyond is a condition of SQL: a key lies on one side of values, which belong to it too if equal.
func (t *table) beyond(sign string, values []string, equal bool) (string, error) {
	if len(values) != len(t.key) {
		return "", fmt.Errorf("a key of %s has %d columns, and not %d", t, len(t.key), len(values))
	}
	var ways []string
	same, outer := "", ""
	for i, k := range t.key {
		v, err := k.value(values[i])
		if err != nil {
			return "", err
		}
		with := sign
		if equal && i == len(t.key)-1 {
			with += "="
		}
		ways = append(ways, "("+same+ident(k.name)+" "+with+" "+v+")")
		same += ident(k.name) + " = " + v + " AND "
		if i == 0 {
			outer = ident(k.name) + " " + sign + "= " + v // by which an index is used
		}
	}
	return outer + " AND (" + strings.Join(ways, " OR ") + ")", nil
}

// span is a part of a table: the rows with keys above From, up to To. nil is no end.
type span struct {
	From []string `json:"from,omitempty"`
	To   []string `json:"to,omitempty"`
}

// where is the condition of SQL for a part of a table.
func (t *table) where(p span) (string, error) {
	var parts []string
	if p.From != nil {
		c, err := t.beyond(">", p.From, false)
		if err != nil {
			return "", err
		}
		parts = append(parts, c)
	}
	if p.To != nil {
		c, err := t.beyond("<", p.To, true)
		if err != nil {
			return "", err
		}
		parts = append(parts, c)
	}
	if parts == nil {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), nil
}

// from is a table in SQL, read in the order of its key.
func (t *table) from() string {
	name := ident(t.Schema) + "." + ident(t.Name)
	if t.key != nil {
		name += " FORCE INDEX (PRIMARY)"
	}
	return name
}

// end is the last key of a part of at most that many rows above from; nil where no more than
// these are left.
func (s *server) end(ctx context.Context, t *table, from []string, most int64) ([]string, error) {
	where, err := t.where(span{From: from})
	if err != nil {
		return nil, err
	}
	var names, columns []string
	for _, k := range t.key {
		names = append(names, ident(k.name))
		if k.form == asHex {
			columns = append(columns, "HEX("+ident(k.name)+")")
		} else {
			columns = append(columns, ident(k.name))
		}
	}
	rows, err := s.rows(ctx, fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT %d, 2", strings.Join(columns, ", "), t.from(), where, strings.Join(names, ", "), most-1))
	if err != nil || len(rows) < 2 {
		return nil, err
	}
	return rows[0], nil
}

// sums is what is compared of a part of a table.
type sums struct {
	Rows int64  `json:"rows"`
	Sum  string `json:"sum"`
}

// bytes is an expression of SQL for all that a column holds.
func (c column) bytes() string {
	name := ident(c.name)
	switch c.kind {
	case "float", "double": // as texts, FLOATs have six digits only
		return "CAST(" + name + " * 1e0 AS BINARY)"
	case "enum": // what is none of its words reads as the word '' does
		return "CONCAT(" + name + " + 0 = 0, ' ', CAST(" + name + " AS BINARY))"
	}
	return "CAST(" + name + " AS BINARY)"
}

// sum reads a part of a table. Each row counts with three quarters of the SHA-256 (MySQL 9.7
// has no MD5 by itself) of its columns' bytes, each with its length before it, so that no two
// rows read the same; and rows are folded and added, so that their order doesn't count, and
// two that are the same don't cancel each other.
func (s *server) sum(ctx context.Context, t *table, p span) (sums, error) {
	where, err := t.where(p)
	if err != nil {
		return sums{}, err
	}
	var fields []string
	for _, c := range t.columns {
		fields = append(fields, "ISNULL("+ident(c.name)+")", "LENGTH("+c.bytes()+")", c.bytes())
	}
	limit := ""
	if t.key != nil { // so that a row's sum is made once
		limit = " LIMIT 18446744073709551615"
	}
	word := func(from int) string { return fmt.Sprintf("CAST(CONV(SUBSTR(h, %d, 16), 16, 10) AS UNSIGNED)", from) }
	rows, err := s.rows(ctx, "SELECT COUNT(*), COALESCE(HEX(BIT_XOR("+word(1)+")), ''), COALESCE(HEX(BIT_XOR("+word(17)+")), ''), COALESCE(SUM("+word(33)+"), 0), COALESCE(SUM(h IS NULL), 0) FROM (SELECT SHA2(CONCAT_WS(',', "+strings.Join(fields, ", ")+"), 256) AS h FROM "+t.from()+where+limit+") AS r")
	if err != nil {
		return sums{}, fmt.Errorf("reading %s: %w", t, err)
	}
	if len(rows) != 1 {
		return sums{}, fmt.Errorf("reading %s: the server answers with %d rows", t, len(rows))
	}
	r := rows[0]
	if r[4] != "0" {
		return sums{}, fmt.Errorf("%s has rows larger than the server's max_allowed_packet, which can't be compared", t)
	}
	n, err := strconv.ParseInt(r[0], 10, 64)
	return sums{n, strings.Join(r[1:4], " ")}, err
}

// snapshot has the session see one moment of the server, and returns a position all of which
// that has. What is read of the moment is behind it, and up to seen.
func (s *server) snapshot(ctx context.Context) (before string, err error) {
	if s.flavor == mysqlOwn {
		if before, err = s.executed(ctx); err != nil {
			return "", err
		}
		return before, s.do(ctx, beginReading)
	}
	if err := s.do(ctx, beginReading); err != nil {
		return "", err
	}
	// MariaDB takes its snapshot where its log stands, between two transactions; a server's
	// gtid_binlog_pos is ahead of what can be seen.
	rows, err := s.rows(ctx, "SHOW STATUS WHERE Variable_name IN ('binlog_snapshot_file', 'binlog_snapshot_position')")
	if err != nil {
		return "", err
	}
	at := map[string]string{}
	for _, r := range rows {
		at[strings.ToLower(r[0])] = r[1]
	}
	pos, err := strconv.ParseUint(at["binlog_snapshot_position"], 10, 64)
	if err != nil || at["binlog_snapshot_file"] == "" {
		return "", errors.New("the server doesn't tell where its snapshot lies in its binary log")
	}
	rows, err = s.rows(ctx, fmt.Sprintf("SELECT COALESCE(BINLOG_GTID_POS(%s, %d), 'gone')", literal(at["binlog_snapshot_file"]), pos))
	if err != nil || len(rows) != 1 {
		return "", err
	}
	if rows[0][0] == "gone" {
		return "", errors.New("the server doesn't tell what it had at its snapshot: its binary log is gone already")
	}
	return rows[0][0], nil
}

// seen is a position that has all that the session sees of a snapshot. MySQL shows a
// transaction before it counts it, a moment: so it is asked for when all is read.
func (s *server) seen(ctx context.Context, before string) (string, error) {
	if s.flavor == mysqlOwn {
		return s.executed(ctx)
	}
	return before, nil
}

// executed is all that the server has: on MariaDB where its log stands.
func (s *server) executed(ctx context.Context) (string, error) {
	name := "gtid_executed"
	if s.flavor == mariadb {
		name = "gtid_binlog_pos"
	}
	rows, err := s.rows(ctx, "SELECT @@GLOBAL."+name)
	if err != nil || len(rows) != 1 {
		return "", err
	}
	return oneWord(rows[0][0]), nil
}

// errUnordered is a key by whose values, as they are told, a table can't be cut: letters that
// have no place in UTF-8 are told as others.
var errUnordered = errors.New("the values of the key don't grow")

// spans cuts a table as the session sees it, and calls do with each part.
func (s *server) spans(ctx context.Context, t *table, most int64, do func(span) error) error {
	const parts = 2000 // so that what is told of a table stays small
	most = max(most, t.rows/parts)
	var from []string
	had := map[string]bool{}
	for {
		var to []string
		var err error
		if t.key != nil {
			if to, err = s.end(ctx, t, from, most); err != nil {
				return err
			}
		}
		if to != nil && had[strings.Join(to, "\x00")] {
			return errUnordered
		}
		if err := do(span{From: from, To: to}); err != nil {
			return err
		}
		if to == nil {
			return nil
		}
		had[strings.Join(to, "\x00")] = true
		from = to
	}
}
