package journal

import (
	"context"
	"fmt"
)

// Process and its methods are those of this package.
type Process = process

// ThisProcess, BootID and NewProcess are for tests of what lives.
var (
	ThisProcess = thisProcess
	BootID      = bootID
)

// NewProcess names a process.
func NewProcess(pid int, started int64, boot string) Process { return process{pid, started, boot} }

// Alive is the process's alive.
func Alive(p Process) bool { return p.alive() }

// Started is the process's start.
func Started(p Process) int64 { return p.started }

// Commits is how often the journal has committed.
func (j *Journal) Commits() int64 { return j.writer.commits.Load() }

// Queued is how many writes wait.
func (j *Journal) Queued() int {
	j.writer.mu.Lock()
	defer j.writer.mu.Unlock()
	return len(j.writer.queue)
}

// Waiting is how many bytes wait to be written, or are being written.
func (j *Journal) Waiting() int {
	j.writer.mu.Lock()
	defer j.writer.mu.Unlock()
	return j.writer.bytes
}

// Hold makes the writer wait within a commit of its own until it is released.
func (r *Run) Hold() (release func()) {
	held, free := make(chan struct{}), make(chan struct{})
	r.queue(&op{do: func(*tx) error {
		close(held)
		<-free
		return nil
	}})
	<-held
	return func() { close(free) }
}

// LimitPages lets the file grow to this many pages of 4 KiB more; -1: no limit.
func (j *Journal) LimitPages(more int) error {
	w, err := j.startWriter()
	if err != nil {
		return err
	}
	pages := 0
	if err := w.conn.QueryRowContext(context.Background(), "PRAGMA page_count").Scan(&pages); err != nil {
		return err
	}
	if more < 0 {
		more = 1 << 20
	}
	_, err = w.conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+more))
	return err
}

// Setting is a pragma of the connection that writes.
func (j *Journal) Setting(name string) (value string, err error) {
	w, err := j.startWriter()
	if err != nil {
		return "", err
	}
	err = w.conn.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(&value)
	return value, err
}
