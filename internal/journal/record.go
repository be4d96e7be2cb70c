package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/wire"
)

// RunInfo says what a run was told to do.
type RunInfo struct {
	Playbook  string   `json:"playbook"` // its path, relative to the project
	Inventory string   `json:"inventory,omitempty"`
	PlanFile  string   `json:"plan_file,omitempty"` // the saved plan that was made; "" if it is none
	Resumes   string   `json:"resumes,omitempty"`   // the id of the run that it goes on with
	Limit     []string `json:"limit,omitempty"`
	Tags      []string `json:"tags,omitempty"`
	SkipTags  []string `json:"skip_tags,omitempty"`
	Command   string   `json:"command,omitempty"` // the command line, without what is sensitive
	Muster    string   `json:"muster"`            // the version
	By        string   `json:"by"`                // "user@host"
	// Began is when the run began to log in and to plan; zero: when it is kept.
	Began time.Time `json:"-"`
}

// Run is a run while it is made. It is an engine.Journal. What it is given
// holds no secret: the caller has redacted it.
type Run struct {
	w     *writer
	id    string
	seq   int64
	names func(string) string // of the files in which tasks stand; nil: as they are given
	// left is what couldn't be written, for another try; the writer's own.
	left []*op

	mu    sync.Mutex
	err   error
	ended bool
}

var _ engine.Journal = (*Run)(nil)

// Begin records that a run begins on hosts, in this order, and returns when
// that is durable.
func (j *Journal) Begin(info RunInfo, hosts []string) (*Run, error) {
	if j.readOnly {
		return nil, fmt.Errorf("writing the journal %s: it was opened to be read", j.path)
	}
	text, err := json.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("writing the journal: %w", err)
	}
	w, err := j.startWriter()
	if err != nil {
		return nil, err
	}
	r := &Run{w: w}
	now, self := time.Now(), thisProcess()
	err = r.wait(context.Background(), &op{do: func(t *tx) error {
		if err := r.insert(t, now, &info, text, self); err != nil {
			return err
		}
		for _, name := range hosts {
			if err := r.host(t, name); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// insert makes the run's row under the first id that is free.
func (r *Run) insert(t *tx, now time.Time, info *RunInfo, text []byte, self process) error {
	began := now
	if !info.Began.IsZero() {
		began = info.Began
	}
	for n := int(now.UnixMilli() % time.Minute.Milliseconds()); ; n++ {
		// Four digits of the millisecond in the minute, so that ids sort.
		r.id = fmt.Sprintf("%s-%04x", now.UTC().Format("20060102-1504"), n)
		res, err := t.exec(`INSERT INTO runs (id, playbook, inventory, info, began, pid, started, boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			r.id, info.Playbook, info.Inventory, string(text), began.UnixMilli(), self.pid, self.started, self.boot)
		if err != nil {
			return err
		}
		if made, err := res.RowsAffected(); err != nil || made == 0 {
			if err != nil {
				return err
			}
			continue
		}
		r.seq, err = res.LastInsertId()
		return err
	}
}

// host makes sure that a host has its row.
func (r *Run) host(t *tx, name string) error {
	_, err := t.exec(`INSERT INTO hosts (run, name) VALUES (?, ?) ON CONFLICT (run, name) DO NOTHING`, r.seq, name)
	return err
}

// ID names the run: UTC's minute and four digits more, which sort by time.
func (r *Run) ID() string { return r.id }

// Err is the first failure to write something. From then on nothing is granted.
func (r *Run) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *Run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

// Grant returns when it is durable that the host is about to make tasks, or an
// error: nothing may be made then. Where ctx ends first, they may or may not be
// recorded.
func (r *Run) Grant(ctx context.Context, host string, tasks []engine.Granted) error {
	if err := r.Err(); err != nil {
		return err
	}
	type row struct {
		engine.Granted
		planned any
	}
	rows := make([]row, len(tasks))
	for i, t := range tasks {
		text, err := changesText(t.Changes)
		if err != nil {
			return err
		}
		rows[i] = row{t, text}
	}
	now := time.Now().UnixMilli()
	return r.wait(ctx, &op{grant: true, do: func(t *tx) error {
		if err := r.host(t, host); err != nil {
			return err
		}
		for _, g := range rows {
			_, err := t.exec(`INSERT INTO tasks (host, task, name, play, kind, acts_on, planned, granted)
				VALUES ((SELECT id FROM hosts WHERE run = ? AND name = ?), ?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (host, task) DO UPDATE SET planned = excluded.planned, granted = excluded.granted`,
				r.seq, host, g.ID, g.Name, g.Play, g.Kind, g.On, g.planned, now)
			if err != nil {
				return err
			}
			if err := r.place(t, g.Granted); err != nil {
				return err
			}
			// The end of an earlier grant isn't that of this one.
			if _, err := t.exec(`DELETE FROM ends WHERE task = `+taskRow, r.seq, host, g.ID); err != nil {
				return err
			}
		}
		return nil
	}})
}

// taskRow finds a granted task by run, host and task.
const taskRow = `(SELECT t.id FROM tasks t JOIN hosts h ON h.id = t.host WHERE h.run = ? AND h.name = ? AND t.task = ?)`

// Before records what takes an edit back. It returns at once, unless very much
// waits to be written.
func (r *Run) Before(host, task string, u *wire.Undo) {
	e, err := r.w.j.seal(u)
	if err != nil {
		r.fail(err)
		return
	}
	r.queue(&op{size: len(e.steps) + len(e.sealed), do: func(t *tx) error {
		return r.granted(host, task, t.change(`INSERT INTO edits (task, target, missing, steps, sealed) SELECT id, ?, ?, ?, ? FROM (SELECT `+taskRow+` AS id) WHERE id IS NOT NULL`,
			u.Target, text(e.missing), blob(e.steps), blob(e.sealed), r.seq, host, task))
	}})
}

// Tolerated records that the failure of a granted task is an expected one. It doesn't wait.
func (r *Run) Tolerated(host, task string) {
	r.queue(&op{do: func(t *tx) error {
		return r.granted(host, task, t.change(`INSERT OR REPLACE INTO tolerated (task) SELECT id FROM tasks WHERE id = `+taskRow, r.seq, host, task))
	}})
}

// Done records what became of a granted task; of several ends of one, the last
// stays. It doesn't wait.
func (r *Run) Done(host, task string, d *wire.Done) {
	made, err := changesText(d.Changes)
	if err != nil {
		r.fail(err)
		return
	}
	now, end := time.Now().UnixMilli(), *d
	r.queue(&op{do: func(t *tx) error {
		return r.granted(host, task, t.change(`INSERT OR REPLACE INTO ends (task, ended, status, made, error, undone, seconds)
			SELECT id, ?, ?, CASE WHEN ? = planned THEN '=' ELSE ? END, ?, ?, ? FROM tasks WHERE id = `+taskRow,
			now, string(end.Status), made, made, text(end.Error), end.Undone, end.Seconds, r.seq, host, task))
	}})
}

// granted takes the error of a write about a task that has to be in it. One
// that isn't there is the caller's fault, and breaks the run, but not the
// writes that share the commit.
func (r *Run) granted(host, task string, err error) error {
	if errors.Is(err, errNoRow) {
		r.fail(fmt.Errorf("writing the journal: %s on %s was never granted", task, host))
		return nil
	}
	return err
}

// HostEnd records how the run ended on a host, and why. It doesn't wait.
func (r *Run) HostEnd(host string, end engine.HostEnd, why string) {
	now := time.Now().UnixMilli()
	r.queue(&op{do: func(t *tx) error {
		_, err := t.exec(`INSERT INTO hosts (run, name, status, error, ended) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (run, name) DO UPDATE SET status = excluded.status, error = excluded.error, ended = excluded.ended`,
			r.seq, host, string(end), text(why), now)
		return err
	}})
}

// End records what the run came to, once everything before is durable, and
// returns the run's first failure.
func (r *Run) End(outcome string) error {
	now := time.Now().UnixMilli()
	err := r.wait(context.Background(), &op{do: func(t *tx) error {
		return t.change(`UPDATE runs SET ended = ?, outcome = ? WHERE seq = ?`, now, outcome, r.seq)
	}})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.err != nil {
		return r.err
	}
	return err
}

// queue queues a write that nobody waits for.
func (r *Run) queue(o *op) {
	o.run = r
	if err := r.open(); err != nil {
		r.fail(err)
		return
	}
	if err := r.w.add(o); err != nil {
		r.fail(err)
	}
}

// wait queues a write and waits until it is durable.
func (r *Run) wait(ctx context.Context, o *op) error {
	o.run, o.done, o.withdrawn = r, make(chan error, 1), &atomic.Bool{}
	if err := r.open(); err != nil {
		return err
	}
	if err := r.w.add(o); err != nil {
		return err
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		o.withdrawn.Store(true)
		return context.Cause(ctx)
	}
}

// open is an error once the run has ended.
func (r *Run) open() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return ErrClosed
	}
	return nil
}

// changesText is changes as JSON; nil if there are none.
func changesText(list []host.Description) (any, error) {
	if len(list) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("writing the journal: %w", err)
	}
	return string(b), nil
}

// text is NULL where s is empty.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// blob is NULL where b is nil.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}
