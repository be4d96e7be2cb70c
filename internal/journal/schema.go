package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// applicationID marks a file as a journal of muster ("MstJ").
	applicationID = 0x4d73744a
	// version is that of the schema, in the file as user_version.
	version = 1
)

// schema makes an empty journal. Times are milliseconds since 1970, UTC; NULL
// where it hasn't come to that.
const schema = `
CREATE TABLE runs (
	seq       INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which they began
	id        TEXT    NOT NULL UNIQUE,
	playbook  TEXT    NOT NULL,
	inventory TEXT    NOT NULL,
	info      TEXT    NOT NULL,  -- RunInfo as JSON
	began     INTEGER NOT NULL,
	ended     INTEGER,
	outcome   TEXT,
	pid       INTEGER NOT NULL,  -- the process, as long as it hasn't ended
	started   INTEGER NOT NULL,  -- of it, in ticks since boot; 0: unknown
	boot      TEXT    NOT NULL   -- the system's boot_id; "": unknown
) STRICT;
CREATE INDEX runs_of ON runs (playbook, inventory, seq);

CREATE TABLE hosts (
	id     INTEGER PRIMARY KEY,  -- in the order of the run
	run    INTEGER NOT NULL REFERENCES runs (seq),
	name   TEXT    NOT NULL,
	status TEXT,
	error  TEXT,
	ended  INTEGER,
	UNIQUE (run, name)
) STRICT;

CREATE TABLE tasks (
	id      INTEGER PRIMARY KEY,  -- in the order of grants
	host    INTEGER NOT NULL REFERENCES hosts (id),
	task    TEXT    NOT NULL,
	name    TEXT    NOT NULL,
	play    TEXT    NOT NULL,
	kind    TEXT    NOT NULL,
	acts_on TEXT    NOT NULL,
	planned TEXT,                -- the changes as JSON; NULL: none
	granted INTEGER NOT NULL,
	UNIQUE (host, task)
) STRICT;

-- Apart from tasks, so that an end doesn't write the task's changes once more.
CREATE TABLE ends (
	task    INTEGER PRIMARY KEY REFERENCES tasks (id),
	ended   INTEGER NOT NULL,
	status  TEXT    NOT NULL,
	made    TEXT,                -- as planned has them; "=": those of planned
	error   TEXT,
	undone  INTEGER NOT NULL,
	seconds REAL    NOT NULL
) STRICT;

CREATE TABLE edits (
	id      INTEGER PRIMARY KEY,  -- in the order in which they were made
	task    INTEGER NOT NULL REFERENCES tasks (id),
	target  TEXT    NOT NULL,
	missing TEXT,                 -- why there is nothing to take it back with
	steps   BLOB,                 -- what takes it back, as CBOR
	sealed  BLOB                  -- the same, sealed with age
) STRICT;
CREATE INDEX edits_of ON edits (task);
`

// prepare makes sure that the file is a journal of this version.
func (j *Journal) prepare(ctx context.Context) error {
	v, err := j.version(ctx, j.db)
	if err != nil || v == version {
		return err
	}
	if j.readOnly {
		return fmt.Errorf("nothing is in it: %w", fs.ErrNotExist)
	}
	conn, err := j.db.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(j.build(ctx, conn), conn.Close())
}

// querier is a database, or one connection to it.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// version is that of the file; 0 if it is empty.
func (j *Journal) version(ctx context.Context, q querier) (int, error) {
	var v, app, tables int
	err := q.QueryRowContext(ctx, "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)").Scan(&v, &app, &tables)
	switch {
	case err != nil:
		return 0, err
	case v == 0 && app == 0 && tables == 0:
		return 0, nil
	case app != applicationID || v < 1:
		return 0, damaged("this database isn't a journal of muster")
	case v > version:
		return 0, fmt.Errorf("it is %w: its version is %d, and this muster knows %d", ErrNewer, v, version)
	}
	return v, nil
}

// build fills an empty file. Several processes may come to it at once.
func (j *Journal) build(ctx context.Context, conn *sql.Conn) error {
	// The change to a write-ahead log doesn't wait for others by itself.
	for until := time.Now().Add(busyTimeout); ; {
		_, err := conn.ExecContext(ctx, "PRAGMA journal_mode = WAL")
		if err == nil {
			break
		}
		if !isBusy(err) || time.Now().After(until) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	v, err := j.version(ctx, conn)
	if err == nil && v == 0 {
		_, err = conn.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d", schema, applicationID, version))
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		_, _ = conn.ExecContext(ctx, "ROLLBACK") // the error is told
	}
	return err
}

func isBusy(err error) bool {
	var s *sqlite.Error
	return errors.As(err, &s) && s.Code()&0xff == sqlite3.SQLITE_BUSY
}
