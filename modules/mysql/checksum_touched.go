package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// touched is what a server has logged that it has altered since a position.
type touched struct {
	// all says why nobody can tell what was altered; "" where the tables are all.
	all    string
	tables map[[2]string]bool
}

// has says why a table may have been altered since; "" where it wasn't.
func (t *touched) has(schema, name string, lower bool) string {
	switch {
	case t.all != "":
		return t.all
	case t.tables[[2]string{schema, name}], lower && t.tables[[2]string{strings.ToLower(schema), strings.ToLower(name)}]:
		return "it was written to meanwhile"
	}
	return ""
}

// spread adds what is altered along with the tables that are, and logged by nobody: those
// that a foreign key has follow, and on MariaDB what triggers do here.
func (s *server) spread(ctx context.Context, t *touched) error {
	if t.all != "" || len(t.tables) == 0 {
		return nil
	}
	if s.flavor == mariadb {
		vars, err := s.variables(ctx, "slave_run_triggers_for_rbr")
		if err != nil {
			return err
		}
		if word := strings.ToUpper(vars["slave_run_triggers_for_rbr"]); word == "YES" || word == "ENFORCE" {
			t.all = "triggers alter tables on this host that it doesn't log (slave_run_triggers_for_rbr = " + word + ")"
			return nil
		}
	}
	keys, err := s.rows(ctx, "SELECT UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, CONSTRAINT_SCHEMA, TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE UPDATE_RULE NOT IN ('RESTRICT', 'NO ACTION') OR DELETE_RULE NOT IN ('RESTRICT', 'NO ACTION')")
	if err != nil {
		return fmt.Errorf("asking for foreign keys: %w", err)
	}
	for grown := true; grown; {
		grown = false
		for _, k := range keys {
			child := [2]string{k[2], k[3]}
			if !t.tables[child] && t.has(k[0], k[1], s.lower) != "" {
				t.tables[child], grown = true, true
			}
		}
	}
	return nil
}

// moment is transactions that a server had.
type moment interface {
	// has reports whether a transaction is among them, all those of a list.
	has(gtids string) (bool, error)
}

type setMoment struct{ set gtidSet }

func (m setMoment) has(gtids string) (bool, error) {
	set, err := parseGTIDSet(gtids)
	return err == nil && m.set.holds(set), err
}

type listMoment struct{ list gtidList }

func (m listMoment) has(gtids string) (bool, error) {
	list, err := parseGTIDList(gtids)
	return err == nil && m.list.reaches(list), err
}

// moment reads a position.
func (f flavor) moment(gtids string) (moment, error) {
	if f == mysqlOwn {
		set, err := parseGTIDSet(gtids)
		return setMoment{set}, err
	}
	list, err := parseGTIDList(gtids)
	return listMoment{list}, err
}

// touchedLimit is how many events of binary logs are read to tell what was altered.
const touchedLimit = 500_000

// touched reads the server's binary log, which has what it has replicated too, for what was
// altered by transactions that aren't of a position.
func (s *server) touched(ctx context.Context, before string) (*touched, error) {
	since, err := s.flavor.moment(before)
	if err != nil {
		return nil, err
	}
	logs, err := s.rows(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return nil, fmt.Errorf("asking for the binary logs: %w", err)
	}
	first := -1
	// What was read before needn't be read again, where the position has all of that.
	if at := s.read; at != nil {
		if had, err := since.has(at.before); err != nil {
			return nil, err
		} else if had {
			first = slices.IndexFunc(logs, func(l []string) bool { return l[0] == at.log })
		}
	}
	again := first >= 0
	for i := len(logs) - 1; i >= 0 && first < 0; i-- {
		begins, err := s.begins(ctx, logs[i][0])
		if err != nil {
			return nil, err
		}
		if had, err := since.has(begins); err != nil {
			return nil, err
		} else if had {
			first = i
		}
	}
	if first < 0 {
		return &touched{all: "this host's binary logs don't reach back to when the primary was read"}, nil
	}
	t := &touched{tables: map[[2]string]bool{}}
	r := &eventReader{since: since, into: t, limit: touchedLimit}
	mark := readLog{before: before}
	if again {
		mark = readLog{before, s.read.log, s.read.from}
	}
	for i, log := range logs[first:] {
		from := ""
		if again && i == 0 {
			from = s.read.from
		}
		err := s.events(ctx, log[0], from, func(pos, kind, info string) (bool, error) {
			if !r.behind && isGTID(kind) { // a transaction begins, and all before it were had
				mark.log, mark.from = log[0], pos
			}
			return r.read(kind, info)
		})
		if err != nil {
			return nil, err
		}
	}
	if s.read = nil; mark.log != "" {
		s.read = &mark
	}
	return t, nil
}

// readLog is up to where a binary log holds nothing but what a position has.
type readLog struct{ before, log, from string }

func isGTID(kind string) bool {
	return strings.HasPrefix(strings.ToLower(kind), "gtid") && kind != "Gtid_list"
}

var gtidInList = regexp.MustCompile(`\d+-\d+-\d+`)

// begins is the GTIDs that came before a binary log.
func (s *server) begins(ctx context.Context, log string) (string, error) {
	rows, err := s.rows(ctx, "SHOW BINLOG EVENTS IN "+literal(log)+" LIMIT 3")
	if err != nil {
		return "", fmt.Errorf("reading the binary log %s: %w", log, err)
	}
	for _, r := range rows {
		switch {
		case len(r) < 6:
		case r[2] == "Gtid_list":
			return strings.Join(gtidInList.FindAllString(r[5], -1), ","), nil
		case r[2] == "Previous_gtids":
			return oneWord(r[5]), nil
		}
	}
	return "", fmt.Errorf("the binary log %s doesn't say what came before it", log)
}

// events reads a binary log, event by event, until do says that it is enough; from is the
// position of an event, or "".
func (s *server) events(ctx context.Context, log, from string, do func(pos, kind, info string) (more bool, err error)) error {
	query := "SHOW BINLOG EVENTS IN " + literal(log)
	if at, err := strconv.ParseUint(from, 10, 64); err == nil {
		query += " FROM " + strconv.FormatUint(at, 10)
	}
	r, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("reading the binary log %s: %w", log, err)
	}
	defer r.Close()
	for r.Next() {
		var pos, kind, info sql.NullString
		var skip sql.RawBytes
		if err := r.Scan(&skip, &pos, &kind, &skip, &skip, &info); err != nil {
			return err
		}
		if more, err := do(pos.String, kind.String, info.String); err != nil || !more {
			return err
		}
	}
	return r.Err()
}

// eventReader takes what transactions alter from the events that servers show of their logs.
type eventReader struct {
	since  moment
	into   *touched
	had    bool // the transaction in hand is one of the position
	behind bool // one was met that isn't
	events int  // of those that aren't
	limit  int
}

var (
	xaCommit    = regexp.MustCompile(`(?i)^XA COMMIT\b`)
	tableMap    = regexp.MustCompile(`^table_id: \d+ \((.*)\)$`)
	mysqlNext   = regexp.MustCompile(`GTID_NEXT\s*=\s*'([^']+)'`)
	transaction = regexp.MustCompile(`(?i)^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|XA (START|BEGIN|END|PREPARE|ROLLBACK))\b`)
	// Events that alter no table by themselves: rows have a Table_map before them, and
	// statements a Query behind what they count on.
	harmless = regexp.MustCompile(`(?i)^(Format_desc|Gtid_list|Previous_gtids|Rotate|Stop|Xid|XA_prepare|Annotate_rows|Rows_query|Binlog_checkpoint|Start_encryption|Heartbeat.*|(Write|Update|Delete|Partial_update|Update_partial)_rows.*|Update_rows_partial|Rows_partial|Intvar|RAND|User var|View_change|Transaction_context)$`)
)

func (e *eventReader) read(kind, info string) (more bool, err error) {
	switch {
	case kind == "Gtid_list", kind == "Previous_gtids":
	case kind == "Anonymous_Gtid":
		e.had, e.behind = false, true
	case strings.HasPrefix(strings.ToLower(kind), "gtid"):
		name := gtidInList.FindString(info)
		if m := mysqlNext.FindStringSubmatch(info); m != nil {
			name = m[1]
		}
		e.had, err = e.since.has(name)
		e.behind = e.behind || !e.had
		return err == nil, err
	case e.had:
		return true, nil
	}
	if e.events++; e.events > e.limit {
		e.into.all = "too much was written meanwhile to tell"
		return false, nil
	}
	switch {
	case kind == "Gtid_list", kind == "Previous_gtids", kind == "Anonymous_Gtid":
	case kind == "Table_map":
		m := tableMap.FindStringSubmatch(info)
		if m == nil {
			e.into.all = "the binary log tells of a table in a way that muster doesn't know"
			return false, nil
		}
		// A name may have a point itself: all ways to read it count.
		for i, c := range m[1] {
			if c == '.' {
				e.into.tables[[2]string{m[1][:i], m[1][i+1:]}] = true
			}
		}
	case kind == "Transaction_payload":
		e.into.all = "the binary log is compressed, which hides what was written meanwhile"
		return false, nil
	case strings.HasPrefix(kind, "Query") && transaction.MatchString(info), harmless.MatchString(kind):
	case strings.HasPrefix(kind, "Query") && xaCommit.MatchString(info):
		e.into.all = "a transaction (XA) was committed meanwhile that was logged before"
		return false, nil
	case strings.HasPrefix(kind, "Query"):
		e.into.all = "a statement was replicated meanwhile that isn't told by its rows"
		return false, nil
	default:
		e.into.all = fmt.Sprintf("the binary log has an event %q, of which muster doesn't know what it alters", oneLine(kind, 40))
		return false, nil
	}
	return true, nil
}
