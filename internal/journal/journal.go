// Package journal records runs: what is about to be made on each host, what
// was, and what takes it back.
//
// A journal is one SQLite file. Several muster processes may write to it at
// once, and each may be killed at any time: what was acknowledged is in it. It
// is for one machine, and not for a network's file system, which lacks the
// shared memory that SQLite's write-ahead log needs.
//
// Nothing is ever taken out of it. It grows by about 100 bytes a host of a run;
// by about 250 bytes a granted task, and its diffs; and by about 500 bytes an
// edit (3,500 where it is sealed to a post-quantum identity), and what stood
// there. Forty thousand tasks that each write a file of 500 bytes take 50 MB. A
// drift check adds a row for each host of a playbook and one for each drift.
package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrDamaged is a file that is no journal, or no longer a whole one. Trying
	// again doesn't help.
	ErrDamaged = errors.New("damaged")
	// ErrNewer is a journal that a newer muster has written. Trying again
	// doesn't help.
	ErrNewer = errors.New("of a newer muster")
	// ErrClosed is the use of a journal after Close, or of a run after End.
	ErrClosed = errors.New("the journal is closed")
)

// busyTimeout is how long to wait for another process that writes.
const busyTimeout = 30 * time.Second

// Options say how a journal is used.
type Options struct {
	// Recipients are whom to seal to what takes edits back. Without any, edits
	// that replace content are kept as not undoable.
	Recipients []age.Recipient
	// ReadOnly journals are only looked into: a file that isn't there is an
	// fs.ErrNotExist, and none is made.
	ReadOnly bool
}

// Journal is an open journal. Its methods may be called by many goroutines at
// once.
type Journal struct {
	path       string
	db         *sql.DB
	readOnly   bool
	recipients []age.Recipient

	mu     sync.Mutex
	writer *writer // from the first Begin on
	closed bool
}

// Open opens the journal at path. Unless it is opened to be read, it is made
// where it isn't there, with the folders above it, for the user alone. Errors
// are ErrDamaged, ErrNewer, or the system's.
func Open(path string, o Options) (*Journal, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	mode := "ro"
	if !o.ReadOnly {
		mode = "rw"
		err = create(path)
	}
	if err == nil {
		err = allowed(path, o.ReadOnly)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	query := url.Values{"mode": {mode}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"synchronous(FULL)", "foreign_keys(ON)", "cell_size_check(ON)", "trusted_schema(OFF)",
	}}
	file := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		return nil, fmt.Errorf("opening the journal %s: %w", path, err)
	}
	j := &Journal{path: path, db: db, readOnly: o.ReadOnly, recipients: o.Recipients}
	if err := j.prepare(context.Background()); err != nil {
		return nil, errors.Join(j.explain("opening", err), db.Close())
	}
	return j, nil
}

// create makes an empty file, and the folders above it, where they aren't.
func create(path string) error {
	dir := filepath.Dir(path)
	var made []string
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		made = append(made, filepath.Dir(at))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = f.Close()
	// So that not even a power cut takes the way to the file.
	for _, d := range append(made, dir) {
		err = errors.Join(err, syncDir(d))
	}
	return err
}

// allowed asks whether the file may be used: SQLite doesn't say why it can't
// open one. The file isn't opened for it, since closing it would drop the locks
// that another Journal of this process has on it (fcntl(2), F_SETLK).
func allowed(path string, readOnly bool) error {
	mode := uint32(unix.R_OK | unix.W_OK)
	if readOnly {
		mode = unix.R_OK
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close ends the journal's use. What is queued is written first.
func (j *Journal) Close() error {
	j.mu.Lock()
	w := j.writer
	first := !j.closed
	j.closed = true
	j.mu.Unlock()
	if !first {
		return nil
	}
	var err error
	if w != nil {
		err = w.close()
	}
	return errors.Join(err, j.explain("closing", j.db.Close()))
}

// explain says what an error of SQLite means for the journal, and what to do.
func (j *Journal) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var s *sqlite.Error
	if errors.As(err, &s) {
		switch s.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		case sqlite3.SQLITE_FULL:
			err = fmt.Errorf("no space left: %w", err)
		case sqlite3.SQLITE_BUSY:
			err = fmt.Errorf("another muster has held it for %s: %w", busyTimeout, err)
		}
	}
	text := fmt.Sprintf("%s the journal %s", doing, j.path)
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%s: %w; move it away, with the files %s-* beside it, to begin a new one", text, err, filepath.Base(j.path))
	}
	return fmt.Errorf("%s: %w", text, err)
}

// damaged is content that no journal has.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
}

// someOf names up to four of many.
func someOf(ids []string) string {
	if len(ids) > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:3], ", "), len(ids)-3)
	}
	return strings.Join(ids, ", ")
}
