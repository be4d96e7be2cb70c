package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"muster/internal/drift"
	"muster/internal/engine"
	"muster/internal/wire"
)

// laterSchema is where the tasks of a run stood, and whose failures were expected. It is
// made with the next run, and a muster that doesn't know it passes over it.
const laterSchema = `
CREATE TABLE IF NOT EXISTS places (
	run  INTEGER NOT NULL REFERENCES runs (seq),
	task TEXT    NOT NULL,
	file TEXT    NOT NULL,
	line INTEGER NOT NULL,
	PRIMARY KEY (run, task)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tolerated (
	task INTEGER PRIMARY KEY REFERENCES tasks (id)
) STRICT`

// has reports whether the journal has a table that is made with the next run.
func (j *Journal) has(table string) (bool, error) {
	n := 0
	err := j.db.QueryRowContext(context.Background(), `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?`, table).Scan(&n)
	return n > 0, err
}

// taskColumns is what scanTask reads, of tasks t and their ends n.
func (j *Journal) taskColumns() (string, error) {
	tolerated := `0`
	has, err := j.has("tolerated")
	if has {
		tolerated = `coalesce(n.status, '') = 'failed' AND EXISTS (SELECT 1 FROM tolerated o WHERE o.task = t.id)`
	}
	return `t.host, t.task, t.name, t.play, t.kind, t.acts_on, t.planned, t.granted, n.ended, coalesce(n.status, ''), n.made,
		coalesce(n.error, ''), coalesce(n.undone, 0), coalesce(n.seconds, 0), ` + tolerated + `,
		(SELECT count(*) FROM edits e WHERE e.task = t.id), coalesce((SELECT e.missing FROM edits e WHERE e.task = t.id AND e.missing IS NOT NULL ORDER BY e.id LIMIT 1), '')`, err
}

// NameFiles says how the files in which tasks stand are called. It is called before the
// first grant.
func (r *Run) NameFiles(names func(string) string) { r.names = names }

// place keeps where a task stands, once for all hosts.
func (r *Run) place(t *tx, g engine.Granted) error {
	if g.File == "" {
		return nil
	}
	file := g.File
	if r.names != nil {
		file = r.names(file)
	}
	if file == "" {
		return nil
	}
	_, err := t.exec(`INSERT INTO places (run, task, file, line) VALUES (?, ?, ?, ?) ON CONFLICT (run, task) DO NOTHING`, r.seq, g.ID, file, g.Line)
	return err
}

// Changed is a task that changed something, or may have.
type Changed struct {
	Run  string // the id of its run
	Info RunInfo
	Task
}

// At is when it was made; where nobody knows, when it was begun.
func (c *Changed) At() time.Time {
	if c.Ended.IsZero() {
		return c.GrantedAt
	}
	return c.Ended
}

// Known reports whether it is known what it changed.
func (c *Changed) Known() bool { return c.Status != wire.Unknown && c.Status != "" }

// Changes returns what was changed since a moment, oldest first, on all hosts, or on the
// one that is named.
func (j *Journal) Changes(since time.Time, host string) ([]Changed, error) {
	places, err := j.has("places")
	if err != nil {
		return nil, j.explain("reading", err)
	}
	columns, err := j.taskColumns()
	if err != nil {
		return nil, j.explain("reading", err)
	}
	at := `NULL, NULL`
	if places {
		at = `(SELECT p.file FROM places p WHERE p.run = r.seq AND p.task = t.task), (SELECT p.line FROM places p WHERE p.run = r.seq AND p.task = t.task)`
	}
	var list []Changed
	err = j.query(func(rows *sql.Rows) error {
		c := Changed{}
		var info []byte
		var name string
		var file sql.NullString
		var line sql.NullInt64
		_, made, err := scanTask(rows, &c.Run, &info, &name, &file, &line)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(info, &c.Info); err != nil {
			return damaged("the run %s: %w", c.Run, err)
		}
		c.Task = made
		c.Host, c.File, c.Line = name, file.String, int(line.Int64)
		if c.Undone || c.Status == wire.Failed && len(c.Made) == 0 || c.Status == "" && c.Edits == 0 {
			return nil
		}
		list = append(list, c)
		return nil
	}, `SELECT `+columns+`, r.id, r.info, h.name, `+at+`
		FROM tasks t JOIN hosts h ON h.id = t.host JOIN runs r ON r.seq = h.run LEFT JOIN ends n ON n.task = t.id
		WHERE coalesce(n.ended, t.granted) >= ?1 AND (n.status IS NULL OR n.status IN ('changed', 'failed', 'unknown'))
		AND (?2 = '' OR CASE t.acts_on WHEN '' THEN h.name ELSE t.acts_on END = ?2) ORDER BY t.id`, since.UnixMilli(), host)
	return list, j.explain("reading", err)
}

// DriftOf returns what checks know of a task since it was made: the last check of its
// playbook that began after it, "" if there was none, and the drift that it found.
func (j *Journal) DriftOf(c *Changed) (check string, found *drift.Item, err error) {
	now, err := j.Position()
	if err != nil {
		return "", nil, err
	}
	k := &drift.Check{Playbooks: []string{c.Info.Playbook}, Inventory: c.Info.Inventory}
	last, err := j.LastDrift(k, now)
	if err != nil || k.Last == "" || k.LastBegan.Before(c.At()) {
		return "", nil, err
	}
	l, ok := last[drift.Place{Playbook: c.Info.Playbook, Host: c.Host, On: c.On, Play: c.Play, Path: drift.PathOf(c.ID)}]
	if ok && l.Quiet == 0 {
		found = &l.Item
	}
	return k.Last, found, nil
}
