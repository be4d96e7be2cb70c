package mysql

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	client "github.com/go-sql-driver/mysql"

	"muster/host"
	"muster/modules"
)

// Query is one statement that the MariaDB or MySQL server on the host is told, as root
// through its socket. It is guarded by a query, "unless", which is asked while planning
// and in a transaction that only reads; afterwards it has to say that the statement was
// made. A statement without a guard is made in each run.
type Query struct {
	// The statement, one.
	Statement string `arg:"statement,required"`
	// A query, SELECT or SHOW: the statement counts as made where it has a row whose first
	// column is neither NULL, nor 0, nor empty.
	Unless string `arg:"unless"`
	// The database that both are about.
	Database string `arg:"database"`
	// The statement is a query that only reads: it is asked while planning, too, it changes
	// nothing, and its answer is the task's output.
	ReadOnly bool `arg:"read_only"`
}

// said is an error of a statement that a playbook gives: the server quotes from it, which
// may be secret.
func said(doing string, err error) error {
	var words *client.MySQLError
	if !errors.As(err, &words) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return &host.SaidError{Err: fmt.Errorf("%s: the server refuses it with error %d", doing, words.Number), Said: words.Message}
}

// QueryOutput is what a task of the kind offers.
type QueryOutput struct {
	// The rows of the answer, at most 1000: the columns' texts by their names. A column
	// that is NULL is left out.
	Rows []map[string]string `json:"rows"`
	// How many rows the statement has changed.
	Affected int `json:"affected"`
}

// rowLimit is how many rows a task offers, sizeLimit how many bytes in all.
const (
	rowLimit  = 1000
	sizeLimit = 1 << 20
)

// asks is how queries begin that only read.
var asks = regexp.MustCompile(`(?i)^[\s(]*(select|show|with|table|values|describe|desc|explain)\b`)

// writesFile is a part of a query that has the server write a file, which no transaction
// keeps it from.
var writesFile = regexp.MustCompile(`(?i)\binto\s+(outfile|dumpfile)\b`)

// Check refuses contradictions, and guards that aren't queries.
func (q *Query) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	if strings.TrimSpace(q.Statement) == "" {
		fail("statement", "Wrong value", "It is empty.")
	}
	if q.Unless != "" && q.ReadOnly {
		fail("unless", "Conflicting arguments", "A statement that only reads is asked in each run and changes nothing: leave unless out.")
	}
	if q.Unless != "" && (!asks.MatchString(q.Unless) || writesFile.MatchString(q.Unless)) {
		fail("unless", "Wrong value", "It has to be a query that only reads, such as SELECT or SHOW: it is asked while planning.")
	}
	if q.ReadOnly && (!asks.MatchString(q.Statement) || writesFile.MatchString(q.Statement)) {
		fail("statement", "Wrong value", "With read_only = true it has to be a query, such as SELECT or SHOW: it is asked while planning.")
	}
	if why := wrongName(q.Database); q.Database != "" && why != "" {
		fail("database", "Wrong value", "%q is no name of a database: %s.", q.Database, why)
	}
	return errs
}

// May is all that the server keeps.
func (q *Query) May() []host.Effect {
	if q.ReadOnly {
		return []host.Effect{}
	}
	return queryEffects()
}

func queryEffects() []host.Effect {
	return []host.Effect{host.Open(databases, ""), host.Open(users, ""), host.Open(statements, "")}
}

// statements is the space of what statements leave, all of it one thing.
const statements = "mysql"

// unsettled is host.ErrNotYet where pending changes are about what a query may ask for.
func (q *Query) unsettled(v *host.View) error {
	if err := settled(v); err != nil {
		return err
	}
	for _, space := range []string{databases, users, statements} {
		if names := v.Laid(space); len(names) > 0 {
			return host.NotYet(host.Key{Space: space, Name: names[0]})
		}
		if _, _, _, err := v.Look(host.Key{Space: space, Name: host.All}); err != nil {
			return err
		}
	}
	return nil
}

// Plan asks the guard, or the query itself.
func (q *Query) Plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	if !unlogged.MatchString(q.Statement) {
		defer func() { plan, err = notOnReplica(ctx, v, plan, err) }()
	}
	run := &RunQuery{Statement: q.Statement, Unless: q.Unless, Database: q.Database}
	if err := q.unsettled(v); err != nil {
		if !q.ReadOnly {
			plan.Then = []host.Description{run.Describe()}
		}
		return plan, err
	}
	switch {
	case q.ReadOnly:
		output, err := host.Once(v, "mysql query "+q.Database+"\x00"+q.Statement, func() (QueryOutput, error) {
			return asking(ctx, v, func(s *server) (QueryOutput, error) { return s.query(ctx, q.Database, q.Statement) })
		})
		if err != nil {
			return plan, said("asking the query", err)
		}
		plan.Output, err = host.Marshal(output)
		return plan, err
	case q.Unless == "":
		// Nobody asks yet, but a server that isn't there is to be found now.
		if _, err := asking(ctx, v, func(*server) (bool, error) { return true, nil }); err != nil {
			return plan, err
		}
		plan.Always = true
	default:
		done, err := asking(ctx, v, func(s *server) (bool, error) { return s.done(ctx, q.Database, q.Unless) })
		if err != nil {
			return plan, said("asking unless", err)
		}
		if done {
			return plan, nil
		}
	}
	plan.Changes = []host.Change{run}
	return plan, nil
}

// use has the session be about a database.
func (s *server) use(ctx context.Context, database string) error {
	if database == "" {
		return nil
	}
	return s.do(ctx, "USE "+ident(database))
}

// reading has do ask in a transaction that only reads, which is given up then.
func (s *server) reading(ctx context.Context, database string, do func() error) error {
	// As the server takes statements from everybody else.
	if err := s.do(ctx, "SET SESSION sql_mode = DEFAULT"); err != nil {
		return err
	}
	if err := s.use(ctx, database); err != nil {
		return err
	}
	if err := s.do(ctx, "START TRANSACTION READ ONLY"); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return s.do(ctx, "ROLLBACK")
}

// done asks a guard.
func (s *server) done(ctx context.Context, database, query string) (done bool, err error) {
	err = s.reading(ctx, database, func() error {
		o, first, err := s.answer(ctx, query)
		if err != nil {
			return err
		}
		if len(o.Rows) > 0 {
			done = first != ""
			if n, err := strconv.ParseFloat(first, 64); err == nil {
				done = n != 0
			}
		}
		return nil
	})
	return done, err
}

// query asks a query that only reads.
func (s *server) query(ctx context.Context, database, query string) (o QueryOutput, err error) {
	err = s.reading(ctx, database, func() error {
		o, _, err = s.answer(ctx, query)
		return err
	})
	return o, err
}

// answer reads an answer, and the first column of its first row.
func (s *server) answer(ctx context.Context, query string) (o QueryOutput, first string, err error) {
	o.Rows = []map[string]string{}
	r, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return o, "", err
	}
	defer r.Close()
	names, err := r.Columns()
	if err != nil {
		return o, "", err
	}
	size := 0
	for r.Next() {
		if len(o.Rows) == rowLimit {
			return o, "", fmt.Errorf("the answer has more than %s rows: give the query a LIMIT", grouped(rowLimit))
		}
		fields, into := make([]*string, len(names)), make([]any, len(names))
		for i := range fields {
			into[i] = &fields[i]
		}
		if err := r.Scan(into...); err != nil {
			return o, "", err
		}
		row := map[string]string{}
		for i, f := range fields {
			if f != nil {
				row[names[i]] = *f
				size += len(*f) + len(names[i])
			}
		}
		if size > sizeLimit {
			return o, "", fmt.Errorf("the answer has more than %d MiB: give the query a LIMIT, or fewer columns", sizeLimit>>20)
		}
		if len(o.Rows) == 0 && len(fields) > 0 && fields[0] != nil {
			first = *fields[0]
		}
		o.Rows = append(o.Rows, row)
	}
	return o, first, r.Err()
}

// RunQuery is a statement that is made.
type RunQuery struct {
	Statement string `json:"statement"`
	Unless    string `json:"unless,omitempty"`
	Database  string `json:"database,omitempty"`
}

// Type is "mysql.query.run/1".
func (*RunQuery) Type() string { return "mysql.query.run/1" }

// Describe shows the statement.
func (r *RunQuery) Describe() host.Description {
	target := "statement"
	if r.Database != "" {
		target += " in " + databaseTarget(r.Database)
	}
	return host.Description{Action: host.Run, Target: target, Diff: strings.TrimSpace(r.Statement)}
}

// Effects is all that the server keeps.
func (*RunQuery) Effects() []host.Effect { return queryEffects() }

// Interruptible: a statement may take hours.
func (*RunQuery) Interruptible() {}

// Apply has the statement made, unless the guard says that it was.
func (r *RunQuery) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, err := acting(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	if r.Unless != "" {
		done, err := s.done(ctx, r.Database, r.Unless)
		if err != nil {
			return host.Result{}, said("asking unless", err)
		}
		if done {
			return host.Result{}, nil
		}
	} else if err := s.reading(ctx, r.Database, func() error { return nil }); err != nil {
		return host.Result{}, err
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	o, err := s.run(ctx, r.Statement)
	if err != nil {
		return host.Result{}, said("making the statement", err)
	}
	output, err := host.Marshal(o)
	if err != nil {
		return host.Result{}, err
	}
	return host.Result{Output: output}, h.At("made the statement")
}

// run makes a statement.
func (s *server) run(ctx context.Context, statement string) (QueryOutput, error) {
	if asks.MatchString(statement) {
		o, _, err := s.answer(ctx, statement)
		return o, err
	}
	o := QueryOutput{Rows: []map[string]string{}}
	r, err := s.db.ExecContext(ctx, statement)
	if err != nil {
		return o, err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return o, errors.Join(errors.New("how many rows it has changed"), err)
	}
	o.Affected = int(n)
	return o, nil
}
