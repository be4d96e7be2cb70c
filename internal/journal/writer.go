package journal

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
)

const (
	// batchOps is how many queued writes share a commit at most.
	batchOps = 4096
	// queueBytes is how much content may wait to be written before who brings
	// more has to wait: so that a slow disk doesn't fill the memory.
	queueBytes = 32 << 20
)

// op is a write that is queued.
type op struct {
	run *Run
	do  func(t *tx) error
	// done is told when the write is durable, or can't be; nil where nobody waits.
	done chan error
	// withdrawn writes are passed over: who waited for it has gone.
	withdrawn *atomic.Bool
	size      int // in bytes, of what it holds in memory beside itself
	grant     bool
}

// writer is the one goroutine of a journal that writes. What was queued while
// it committed shares its next commit.
type writer struct {
	j    *Journal
	conn *sql.Conn
	tx   *tx

	mu      sync.Mutex
	change  sync.Cond
	queue   []*op
	bytes   int
	closing bool
	ended   chan struct{}
	commits atomic.Int64
}

// tx is the open transaction, with the statements that were prepared so far.
type tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// stmt returns a prepared statement.
func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s := t.stmts[query]; s != nil {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err == nil {
		t.stmts[query] = s
	}
	return s, err
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	s, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.Background(), args...)
}

// errNoRow is a change to what isn't in the journal.
var errNoRow = errors.New("it isn't in it")

// change is exec of what has to find exactly one row, else errNoRow.
func (t *tx) change(query string, args ...any) error {
	r, err := t.exec(query, args...)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n != 1 {
		err = errNoRow
	}
	return err
}

// startWriter returns the journal's writer.
func (j *Journal) startWriter() (*writer, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	if j.writer != nil {
		return j.writer, nil
	}
	conn, err := j.db.Conn(context.Background())
	if err != nil {
		return nil, j.explain("writing", err)
	}
	if _, err := conn.ExecContext(context.Background(), laterSchema); err != nil {
		return nil, errors.Join(j.explain("writing", err), conn.Close())
	}
	w := &writer{j: j, conn: conn, tx: &tx{conn: conn, stmts: map[string]*sql.Stmt{}}, ended: make(chan struct{})}
	w.change.L = &w.mu
	j.writer = w
	go w.write()
	return w, nil
}

// add queues a write.
func (w *writer) add(o *op) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.bytes > queueBytes && !w.closing {
		w.change.Wait()
	}
	if w.closing {
		return ErrClosed
	}
	w.queue = append(w.queue, o)
	w.bytes += o.size
	w.change.Broadcast()
	return nil
}

// close writes what is queued and ends the writer.
func (w *writer) close() error {
	w.mu.Lock()
	w.closing = true
	w.change.Broadcast()
	w.mu.Unlock()
	<-w.ended
	var err error
	for _, s := range w.tx.stmts {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, w.conn.Close())
}

// next waits for queued writes; none come once the journal is closing.
func (w *writer) next() []*op {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closing {
		w.change.Wait()
	}
	n := min(len(w.queue), batchOps)
	batch := w.queue[:n:n]
	w.queue = w.queue[n:]
	return batch
}

func (w *writer) write() {
	defer close(w.ended)
	for batch := w.next(); len(batch) > 0; batch = w.next() {
		w.commit(batch)
		size := 0
		for _, o := range batch {
			size += o.size
		}
		w.mu.Lock()
		w.bytes -= size
		w.change.Broadcast()
		w.mu.Unlock()
	}
}

// commit writes a batch. Where that can't be done, its runs are broken: they
// are granted nothing more. Their other writes are tried again together with
// what comes after: they tell of changes that were made.
func (w *writer) commit(batch []*op) {
	var list []*op
	for _, o := range batch {
		switch broken := o.run.Err(); {
		case o.withdrawn != nil && o.withdrawn.Load():
		case o.grant && broken != nil:
			o.end(broken)
		default:
			list = append(list, o)
		}
	}
	for _, r := range runsOf(list) {
		list, r.left = append(r.left, list...), nil
	}
	if len(list) == 0 {
		return
	}
	err := w.transact(list)
	if err != nil {
		err = w.j.explain("writing", err)
		for _, o := range list {
			o.run.fail(err)
			if o.done == nil {
				o.run.left = append(o.run.left, o)
			}
		}
	}
	for _, o := range list {
		o.end(err)
	}
}

// runsOf returns the runs that writes belong to.
func runsOf(list []*op) []*Run {
	var runs []*Run
	seen := map[*Run]bool{}
	for _, o := range list {
		if !seen[o.run] {
			seen[o.run] = true
			runs = append(runs, o.run)
		}
	}
	return runs
}

func (o *op) end(err error) {
	if o.done != nil {
		o.done <- err
	}
}

// transact makes writes durable, all or none.
func (w *writer) transact(list []*op) error {
	ctx := context.Background()
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	var err error
	for _, o := range list {
		if err = o.do(w.tx); err != nil {
			break
		}
	}
	if err == nil {
		_, err = w.conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		_, _ = w.conn.ExecContext(ctx, "ROLLBACK") // SQLite may have done so itself
		return err
	}
	w.commits.Add(1)
	return nil
}
