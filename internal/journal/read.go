package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"muster/internal/engine"
	"muster/internal/task"
	"muster/internal/wire"
)

// The states of a run that has no outcome.
const (
	Running = "running"
	CutOff  = "cut off" // its process is gone, and never said how it ended
)

// Unfinished is the status of a host on which the run hasn't ended.
const Unfinished engine.HostEnd = "unfinished"

// Summary is a run in short.
type Summary struct {
	ID string
	RunInfo
	Began, Ended time.Time // UTC, in milliseconds; Ended is zero where it didn't
	State        string    // the outcome, Running, or CutOff
	Hosts, Done  int       // how many there are, and how many are done

	seq int64
}

// Detail is a run with all that is known of it.
type Detail struct {
	Summary
	PerHost []Host // in the order of the run
}

// Host is what became of a run on a host.
type Host struct {
	Name   string
	Status engine.HostEnd // or Unfinished
	Error  string         // why it isn't done
	Ended  time.Time
	Tasks  []Task // those that were granted, in this order

	id int64
}

// Task is a task that a host was told to make.
type Task struct {
	engine.Granted
	task.Done
	GrantedAt time.Time
	Ended     time.Time // zero: the journal doesn't know what became of it
	// Edits is how many edits it made, as far as is known; Undoable, whether
	// what takes them back was kept for each, and NotUndoable why not.
	Edits       int
	Undoable    bool
	NotUndoable string
}

// Open is the tasks of which it isn't known whether they were made, by their places in
// Tasks. Of a host that was lost the run has said which. Of another, a run that has ended
// knows of all but the one that its host had in hand: tasks are made in their order, and
// what follows that one was granted and not begun.
func (h *Host) Open(ended bool) map[int]bool {
	open := map[int]bool{}
	for i := range h.Tasks {
		t := &h.Tasks[i]
		if t.Status == wire.Unknown || t.Status == "" && (!ended || len(open) == 0 || t.Edits > 0) {
			open[i] = true
		}
	}
	return open
}

// NotFoundError is an id that no run has.
type NotFoundError struct{ ID string }

func (e *NotFoundError) Error() string { return fmt.Sprintf("there is no run %q", e.ID) }

// SeveralError is the begin of more than one run's id.
type SeveralError struct {
	ID  string
	IDs []string // newest first
}

func (e *SeveralError) Error() string {
	return fmt.Sprintf("%d runs begin with %q: %s", len(e.IDs), e.ID, someOf(e.IDs))
}

const summary = `SELECT r.seq, r.id, r.info, r.began, r.ended, coalesce(r.outcome, ''), r.pid, r.started, r.boot,
	(SELECT count(*) FROM hosts h WHERE h.run = r.seq), (SELECT count(*) FROM hosts h WHERE h.run = r.seq AND h.status = 'done') FROM runs r `

// Runs returns the newest runs, newest first: limit of them, or all if it is 0.
func (j *Journal) Runs(limit int) ([]Summary, error) {
	if limit <= 0 {
		limit = -1
	}
	list, err := j.summaries(summary+`ORDER BY r.seq DESC LIMIT ?`, limit)
	return list, j.explain("reading", err)
}

// Find returns the run whose id begins with id, or the newest if id is "last".
// Its errors are NotFoundError and SeveralError.
func (j *Journal) Find(id string) (*Detail, error) {
	var list []Summary
	var err error
	switch id {
	case "":
	case "last":
		list, err = j.Runs(1)
	default:
		list, err = j.summaries(summary+`WHERE substr(r.id, 1, length(?1)) = ?1 ORDER BY r.id <> ?1, r.seq DESC`, id)
		err = j.explain("reading", err)
	}
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, &NotFoundError{id}
	case len(list) > 1 && list[0].ID != id:
		several := &SeveralError{ID: id}
		for _, s := range list {
			several.IDs = append(several.IDs, s.ID)
		}
		return nil, several
	}
	return j.detail(&list[0])
}

// Latest returns the newest run of a playbook with an inventory, however it
// ended; nil if there is none.
func (j *Journal) Latest(playbook, inventory string) (*Detail, error) {
	list, err := j.summaries(summary+`WHERE r.playbook = ? AND r.inventory = ? ORDER BY r.seq DESC LIMIT 1`, playbook, inventory)
	if err != nil || len(list) == 0 {
		return nil, j.explain("reading", err)
	}
	return j.detail(&list[0])
}

// query calls scan for every row of an answer.
func (j *Journal) query(scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := j.db.QueryContext(context.Background(), query, args...)
	if err != nil {
		return err
	}
	for err == nil && rows.Next() {
		err = scan(rows)
	}
	return errors.Join(err, rows.Err(), rows.Close())
}

func (j *Journal) summaries(query string, args ...any) ([]Summary, error) {
	var list []Summary
	err := j.query(func(rows *sql.Rows) error {
		var s Summary
		var p process
		var info []byte
		var began int64
		var ended sql.NullInt64
		if err := rows.Scan(&s.seq, &s.ID, &info, &began, &ended, &s.State, &p.pid, &p.started, &p.boot, &s.Hosts, &s.Done); err != nil {
			return err
		}
		if err := json.Unmarshal(info, &s.RunInfo); err != nil {
			return damaged("the run %s: %w", s.ID, err)
		}
		s.Began, s.Ended = time.UnixMilli(began).UTC(), moment(ended)
		switch {
		case ended.Valid:
		case p.alive():
			s.State = Running
		default:
			s.State = CutOff
		}
		list = append(list, s)
		return nil
	}, query, args...)
	return list, err
}

func moment(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// detail reads the hosts and tasks of a run.
func (j *Journal) detail(s *Summary) (*Detail, error) {
	d := &Detail{Summary: *s}
	at := map[int64]int{} // the places of hosts
	err := j.query(func(rows *sql.Rows) error {
		var h Host
		var ended sql.NullInt64
		if err := rows.Scan(&h.id, &h.Name, &h.Status, &h.Error, &ended); err != nil {
			return err
		}
		h.Ended = moment(ended)
		at[h.id] = len(d.PerHost)
		d.PerHost = append(d.PerHost, h)
		return nil
	}, `SELECT id, name, coalesce(status, ?), coalesce(error, ''), ended FROM hosts WHERE run = ? ORDER BY id`, string(Unfinished), s.seq)
	if err != nil {
		return nil, j.explain("reading", err)
	}
	columns, err := j.taskColumns()
	if err != nil {
		return nil, j.explain("reading", err)
	}
	err = j.query(func(rows *sql.Rows) error {
		host, t, err := scanTask(rows)
		if err != nil {
			return err
		}
		if i, ok := at[host]; ok { // else it has come in between
			t.Host = d.PerHost[i].Name
			d.PerHost[i].Tasks = append(d.PerHost[i].Tasks, t)
		}
		return nil
	}, `SELECT `+columns+`
		FROM hosts h JOIN tasks t ON t.host = h.id LEFT JOIN ends n ON n.task = t.id WHERE h.run = ? ORDER BY t.id`, s.seq)
	if err != nil {
		return nil, j.explain("reading", err)
	}
	return d, nil
}

// scanTask reads a task, and into more the columns behind those of taskColumns. What
// never came to its turn was kept as skipped once.
func scanTask(rows *sql.Rows, more ...any) (host int64, t Task, err error) {
	var granted int64
	var ended sql.NullInt64
	var planned, made []byte
	err = rows.Scan(append([]any{
		&host, &t.ID, &t.Name, &t.Play, &t.Kind, &t.On, &planned, &granted, &ended, &t.Status, &made,
		&t.Error, &t.Undone, &t.Seconds, &t.Tolerated, &t.Edits, &t.NotUndoable,
	}, more...)...)
	if err != nil {
		return 0, t, err
	}
	if t.Status == wire.Skipped && t.Error != "" {
		t.Status = wire.NotReached
	}
	at := placeOf(t.ID)
	t.Role, t.Ref.Task, t.Key = at.Role, at.Label, at.Key
	t.GrantedAt, t.Ended = time.UnixMilli(granted).UTC(), moment(ended)
	if planned != nil {
		err = json.Unmarshal(planned, &t.Changes)
	}
	switch {
	case string(made) == "=":
		t.Made = t.Changes
	case made != nil:
		err = errors.Join(err, json.Unmarshal(made, &t.Made))
	}
	if err != nil {
		return 0, t, damaged("the task %s: %w", t.ID, err)
	}
	t.Undoable = t.Edits > 0 && t.NotUndoable == ""
	return host, t, nil
}
