package journal

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"muster/host"
	"muster/internal/drift"
	"muster/internal/wire"
)

// checksSchema is the tables of drift checks. They are made with the first check, and
// a muster that doesn't know them passes over them. Their order is that in which checks
// were kept, so that a clock that is set back turns nothing round.
const checksSchema = `
CREATE TABLE IF NOT EXISTS checks (
	seq       INTEGER PRIMARY KEY AUTOINCREMENT,
	id        TEXT    NOT NULL UNIQUE,
	inventory TEXT    NOT NULL,
	info      TEXT    NOT NULL,  -- checkInfo as JSON
	began     INTEGER NOT NULL,
	ended     INTEGER NOT NULL,
	outcome   TEXT    NOT NULL,
	tasks     INTEGER NOT NULL   -- the newest granted task when it began
) STRICT;

CREATE TABLE IF NOT EXISTS looks (
	id       INTEGER PRIMARY KEY,
	check_of INTEGER NOT NULL REFERENCES checks (seq),
	playbook TEXT    NOT NULL,
	host     TEXT    NOT NULL,
	error    TEXT                -- why it couldn't be checked; NULL: it was
) STRICT;
CREATE INDEX IF NOT EXISTS looks_of ON looks (playbook, host, check_of);

-- The changes of drifts: one that stays keeps them once.
CREATE TABLE IF NOT EXISTS drift_changes (
	sum  BLOB PRIMARY KEY,       -- SHA-256 of text
	text TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS drifts (
	id       INTEGER PRIMARY KEY,
	look     INTEGER NOT NULL REFERENCES looks (id),
	acts_on  TEXT    NOT NULL,
	play     TEXT    NOT NULL,
	path     TEXT    NOT NULL,
	item     TEXT    NOT NULL,   -- driftItem as JSON
	changes  BLOB    NOT NULL REFERENCES drift_changes (sum),
	state    TEXT    NOT NULL,
	since    INTEGER NOT NULL,
	returned INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS drifts_of ON drifts (look);
`

// checkInfo is what a check was told to do.
type checkInfo struct {
	Playbooks []string `json:"playbooks"`
	Limit     []string `json:"limit,omitempty"`
	Command   string   `json:"command,omitempty"`
	Muster    string   `json:"muster"`
	By        string   `json:"by"`
}

// driftItem is what is kept of a drift beside its place, its changes and its past.
type driftItem struct {
	Name      string         `json:"name"`
	Role      string         `json:"role,omitempty"`
	Label     string         `json:"label"`
	Key       string         `json:"key,omitempty"`
	Kind      string         `json:"kind"`
	File      string         `json:"file,omitempty"`
	Line      int            `json:"line,omitempty"`
	Certainty wire.Certainty `json:"certainty,omitempty"`
}

// Position is a moment in the order in which the journal's tasks were granted.
type Position int64

// Position is this moment: a check that begins has to ask for it before it looks.
func (j *Journal) Position() (Position, error) {
	var p Position
	err := j.db.QueryRowContext(context.Background(), `SELECT coalesce(max(id), 0) FROM tasks`).Scan(&p)
	return p, j.explain("reading", err)
}

// hasChecks reports whether there was a check ever.
func (j *Journal) hasChecks() (bool, error) {
	n := 0
	err := j.db.QueryRowContext(context.Background(), `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('checks', 'looks', 'drifts', 'drift_changes')`).Scan(&n)
	return n == 4, err
}

// LastDrift returns what checks knew of the drift of playbooks with an inventory, and
// fills in which check was the last of one of them. Of each host it goes back as far as
// drift is remembered (drift.ContestedAfter).
func (j *Journal) LastDrift(c *drift.Check, upTo Position) (_ map[drift.Place]drift.Last, err error) {
	defer func() { err = j.explain("reading", err) }()
	known := map[drift.Place]drift.Last{}
	if ok, err := j.hasChecks(); err != nil || !ok {
		return known, err
	}
	var last int64
	for _, playbook := range c.Playbooks {
		if err := j.lastOf(playbook, c.Inventory, upTo, known); err != nil {
			return nil, err
		}
		err := j.query(func(rows *sql.Rows) error {
			var seq, began int64
			var id string
			if err := rows.Scan(&seq, &id, &began); err != nil {
				return err
			}
			if seq > last {
				last, c.Last, c.LastBegan = seq, id, time.UnixMilli(began).UTC()
			}
			return nil
		}, `SELECT c.seq, c.id, c.began FROM checks c JOIN looks l ON l.check_of = c.seq WHERE l.playbook = ? AND c.inventory = ? ORDER BY c.seq DESC LIMIT 1`, playbook, c.Inventory)
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}

// lastOf adds what is known of a playbook: the newest drift of each place, unless its
// host was since looked at so often without it that it is forgotten.
func (j *Journal) lastOf(playbook, inventory string, upTo Position, known map[drift.Place]drift.Last) error {
	return j.query(func(rows *sql.Rows) error {
		l := drift.Last{}
		l.Playbook = playbook
		var item, changes []byte
		var sum []byte
		var since, from int64
		if err := rows.Scan(&l.Host, &l.On, &l.Play, &l.Path, &item, &sum, &changes, &l.State, &since, &l.Returned, &l.Quiet, &from); err != nil {
			return err
		}
		if _, have := known[l.Place]; have {
			return nil
		}
		var d driftItem
		if err := errors.Join(json.Unmarshal(item, &d), json.Unmarshal(changes, &l.Changes)); err != nil {
			return damaged("the drift of %s on %s: %w", l.Path, l.Host, err)
		}
		l.Name, l.Role, l.Label, l.Key, l.Kind, l.File, l.Line, l.Certainty = d.Name, d.Role, d.Label, d.Key, d.Kind, d.File, d.Line, d.Certainty
		l.Since = time.UnixMilli(since).UTC()
		l.Contested = l.Returned >= drift.ContestedAfter
		l.Same = func(list []host.Description) bool {
			_, other, err := summed(list)
			return err == nil && string(other) == string(sum)
		}
		made, err := j.putRight(l.Place, Position(from), upTo)
		l.PutRight = made
		known[l.Place] = l
		return err
	}, `WITH seen AS (
			SELECT l.id, l.host, c.tasks, row_number() OVER (PARTITION BY l.host ORDER BY c.seq DESC) - 1 AS quiet
			FROM looks l JOIN checks c ON c.seq = l.check_of WHERE l.playbook = ? AND c.inventory = ? AND l.error IS NULL)
		SELECT s.host, d.acts_on, d.play, d.path, d.item, d.changes, t.text, d.state, d.since, d.returned, s.quiet, s.tasks
		FROM seen s JOIN drifts d ON d.look = s.id JOIN drift_changes t ON t.sum = d.changes WHERE s.quiet < ? ORDER BY s.quiet`,
		playbook, inventory, drift.ContestedAfter)
}

// putRight is the newest run that made a task between two moments.
func (j *Journal) putRight(p drift.Place, from, to Position) (drift.Run, error) {
	var r drift.Run
	err := j.query(func(rows *sql.Rows) error {
		var info []byte
		var at int64
		if err := rows.Scan(&r.ID, &info, &at); err != nil {
			return err
		}
		var i RunInfo
		if err := json.Unmarshal(info, &i); err != nil {
			return damaged("the run %s: %w", r.ID, err)
		}
		r.By, r.At = i.By, time.UnixMilli(at).UTC()
		return nil
	}, `SELECT r.id, r.info, n.ended FROM tasks t JOIN ends n ON n.task = t.id JOIN hosts h ON h.id = t.host JOIN runs r ON r.seq = h.run
		WHERE t.id > ? AND t.id <= ? AND h.name = ? AND r.playbook = ? AND t.play = ? AND t.acts_on = ?
		AND substr(t.task, instr(t.task, '/') + 1) = ? AND n.status = 'changed' AND n.undone = 0 ORDER BY t.id DESC LIMIT 1`,
		int64(from), int64(to), p.Host, p.Playbook, p.Play, p.On, p.Path)
	return r, err
}

// summed is changes as JSON, and the sum under which they are kept.
func summed(list []host.Description) (text, sum []byte, err error) {
	if list == nil {
		list = []host.Description{}
	}
	if text, err = json.Marshal(list); err != nil {
		return nil, nil, fmt.Errorf("writing the journal: %w", err)
	}
	s := sha256.Sum256(text)
	return text, s[:], nil
}

// KeepCheck keeps a check that was compared, with the moment at which it began, and
// gives it its id. It returns when that is durable.
func (j *Journal) KeepCheck(c *drift.Check, began Position) (err error) {
	defer func() { err = j.explain("writing", err) }()
	ctx := context.Background()
	conn, err := j.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	k := keeping{ctx, conn}
	_, err = conn.ExecContext(ctx, checksSchema)
	if err == nil {
		err = k.check(c, began)
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		c.ID = ""
		_, _ = conn.ExecContext(ctx, "ROLLBACK") // the error is told
	}
	return err
}
