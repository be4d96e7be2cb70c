// Package record keeps on a host what a run is making there, so that a new connection
// of the same run can tell what became of it when the first was lost.
//
// A record is a file of lines: a task is begun, a task has ended. It is there from the
// first change on, and gone when the controller has acknowledged every end. Each
// connection of a run has a number; one with a higher number fences those before it:
// they begin nothing more, and their record is read when they have let go of it.
package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"muster/host"
	"muster/internal/remote/process"
	"muster/internal/wire"
)

// Limits of what is kept: the ends of tasks past it are kept without what they
// say, and a record that nobody came back for is removed by a later run.
const (
	maxSize = 64 << 20 // bytes
	maxAge  = 24 * time.Hour
)

// patience is how long is waited without a word.
const patience = 2 * time.Second

// ErrFenced is a remote whose run has connected anew: it begins nothing more.
var ErrFenced = errors.New("the run has taken this host up again through another connection")

// Record is what one connection of a run keeps. It isn't safe for concurrent use.
type Record struct {
	dir, marks string // where records are, and marks of those that couldn't be kept
	run        string
	take       int
	f          *os.File // nil until there is something to keep
	size       int64
	open       bool   // a task was begun that hasn't ended: a host makes one at a time
	ended      int    // of all the run's tasks here
	acked      int    // of those, how many the controller has
	given      bool   // up: nothing more is kept
	heard      bool   // the controller has been told what earlier connections made
	key        []byte // of the run; nil: what tasks say isn't kept
	editKey    []byte // of the edits of the task in hand; nil: it has none yet
	keyAt      int64  // where in the file that stands
	vigil      process.Vigil
}

// entry is a line of the file.
type entry struct {
	Earlier int         `json:"earlier,omitempty"` // tasks that had ended before there was a file
	Begin   string      `json:"begin,omitempty"`   // a task's ID
	Repeats bool        `json:"repeats,omitempty"` // it is no task to be planned again: each time it runs it does its work anew
	End     *wire.Done  `json:"end,omitempty"`     // without what the task says
	Said    []byte      `json:"said,omitempty"`    // the whole end, sealed with the run's key
	Key     []byte      `json:"key,omitempty"`     // of the edits of the task in hand; zeros: they are settled
	Boot    string      `json:"boot,omitempty"`    // that the task in hand ends: it is about to order a reboot
	Edit    []byte      `json:"edit,omitempty"`    // of an atomic task, with what takes it back: a wire.Undo, sealed with that
	Of      string      `json:"of,omitempty"`      // the edit's task
	Undone  bool        `json:"undone,omitempty"`  // the edits so far are taken back
	Runs    *process.ID `json:"runs,omitempty"`    // a program of the task in hand
}

// Dir is where records are: root's, or the user's own.
func Dir() (string, error) {
	if host.IsRoot() {
		return "/var/lib/muster", nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "muster"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local/state/muster"), nil
}

// runName is what a run may be called: its name is a part of the file's.
var runName = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

// Options say whose record it is, and where.
type Options struct {
	Dir   string // of records; see Dir
	Marks string // of what tells that no record could be kept: another file system
	Run   string // the run's name, in hex
	Take  int    // the connection's number in the run, from 0
	// Key is what the run's connections seal with what tasks say, KeySize bytes. Without
	// one that isn't kept.
	Key []byte
	// Silence is how long an earlier connection may do nothing at all before it is
	// ended; 0: wire.Silence.
	Silence time.Duration
}

// New returns the record of a run's connection. Nothing is written before something
// begins.
func New(o Options) (*Record, error) {
	if !runName.MatchString(o.Run) {
		return nil, fmt.Errorf("a run can't be called %q", o.Run)
	}
	if o.Key != nil && len(o.Key) != KeySize {
		return nil, fmt.Errorf("a run's key has %d bytes, not %d", KeySize, len(o.Key))
	}
	return &Record{dir: o.Dir, marks: o.Marks, run: o.Run, take: o.Take, key: o.Key, vigil: process.Vigil{Silence: cmp.Or(o.Silence, wire.Silence)}}, nil
}

func (r *Record) path() string  { return filepath.Join(r.dir, r.run+".journal") }
func (r *Record) fence() string { return filepath.Join(r.dir, r.run+".fence") }

// mark is a file that tells that no record could be kept.
func (r *Record) mark() string { return filepath.Join(r.marks, r.run+".unkept") }

// Fenced returns ErrFenced where a later connection of the run has been made.
func (r *Record) Fenced() error {
	text, err := os.ReadFile(r.fence())
	if err != nil {
		return nil
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && n > r.take {
		return ErrFenced
	}
	return nil
}

// raise fences the connections before this one. One that comes too late leaves the
// fence of a later one.
func (r *Record) raise() error {
	if err := r.Fenced(); err != nil {
		return err
	}
	return host.Put(r.fence(), []byte(strconv.Itoa(r.take)), 0o600)
}

// Begin keeps, durably, that a task is about to make its first change, and whether it
// repeats its work whenever it is made (a command without a guard). Where that can't be kept,
// on a full or a read-only disk, a mark says so, and the task may be made all the
// same: its run isn't taken up again.
func (r *Record) Begin(id string, repeats bool) error {
	if err := r.Fenced(); err != nil {
		return err
	}
	if !r.given {
		err := r.begin(entry{Begin: id, Repeats: repeats})
		if errors.Is(err, ErrFenced) {
			return err
		}
		if err != nil && r.giveUp() != nil {
			return fmt.Errorf("what is made here can't be kept: %w", err)
		}
	}
	r.open = true
	return nil
}

func (r *Record) begin(e entry) error {
	if r.f == nil {
		if err := r.claim(context.Background(), nil); err != nil {
			return err
		}
		if err := r.Fenced(); err != nil { // by who had it meanwhile
			return err
		}
		if r.ended > 0 {
			if err := r.write(entry{Earlier: r.ended}); err != nil {
				return err
			}
		}
	}
	if err := r.forget(); err != nil { // of a task that was taken back when the host was taken up
		return err
	}
	if err := r.write(e); err != nil {
		return err
	}
	return r.f.Sync()
}

// giveUp leaves a mark in the record's place.
func (r *Record) giveUp() error {
	d, err := host.MakeDirs(r.marks, 0o700)
	if err != nil {
		return err
	}
	d.Close()
	if err := host.Put(r.mark(), nil, 0o600); err != nil {
		return err
	}
	r.given = true
	return nil
}

// Edit keeps, durably, what takes back an edit that an atomic task is about to make.
func (r *Record) Edit(u *wire.Undo) error {
	if r.f == nil || r.given {
		return nil
	}
	e, err := r.seal(u)
	if err == nil {
		err = r.write(e)
	}
	if err != nil {
		return err
	}
	return r.f.Sync()
}

// Reboots keeps, durably, that the task in hand is about to order the end of a boot. Without
// that nobody could tell whether it came about.
func (r *Record) Reboots(boot string) error {
	if r.f == nil || r.given {
		return errors.New("the host couldn't keep that it is to be rebooted")
	}
	if err := r.write(entry{Boot: boot}); err != nil {
		return err
	}
	return r.f.Sync()
}

// Undone keeps that the edits of the task in hand were taken back, or belong to an
// atomic plan that is whole: nobody is to take them back any more.
func (r *Record) Undone() error {
	if r.f == nil || r.given {
		return nil
	}
	if err := r.write(entry{Undone: true}); err != nil {
		return err
	}
	if err := r.f.Sync(); err != nil {
		return err
	}
	return r.forget()
}

// Runs keeps that a process acts for the task in hand: it may outlive who started it.
// That isn't synced: neither outlives the host.
func (r *Record) Runs(id process.ID) {
	if r.f == nil || r.given || !r.open || r.size > maxSize {
		return
	}
	if r.write(entry{Runs: &id}) != nil {
		_ = r.giveUp()
	}
}

// End keeps what became of a task, begun or passed over. The next Begin makes it
// durable.
func (r *Record) End(d *wire.Done, begun bool) {
	r.ended++
	if begun {
		r.open = false
	}
	if r.f == nil || r.given {
		return
	}
	err := r.write(r.end(d))
	if err == nil && begun {
		err = r.forget()
	}
	if err != nil {
		_ = r.giveUp()
	}
}

func (r *Record) write(e entry) error {
	line, err := host.Marshal(e)
	if err != nil {
		return err
	}
	n, err := r.f.Write(append(line, '\n'))
	r.size += int64(n)
	return err
}

// Ack notes how many ends of the run the controller has. Who says so has heard what was
// told when the host was taken up.
func (r *Record) Ack(n int) { r.acked, r.heard = max(r.acked, n), true }

// Close lets go of the record, and removes it where nothing is in doubt. One that an
// earlier connection still has is that one's, and stays, as does one of which the
// controller hasn't been told what earlier connections made.
func (r *Record) Close() {
	r.Settle()
	if r.f != nil {
		_ = r.f.Close()
	}
}

// Settle removes the record where nothing is in doubt. What begins after that is kept anew.
func (r *Record) Settle() {
	if r.take > 0 && !r.heard || r.open || r.acked < r.ended || r.Fenced() != nil {
		return
	}
	if r.f != nil {
		_ = host.Drop(r.path())
		_ = host.Drop(r.fence())
	}
	if r.f != nil || r.given {
		_ = host.Drop(r.mark())
	}
	if r.f != nil {
		_ = r.f.Close()
		r.f, r.size, r.editKey = nil, 0, nil
	}
}

// Left is what the earlier connections have left.
type Left struct {
	Earlier  int         // tasks that ended before those that are kept
	Ended    []wire.Done // in the order in which they ended
	Unended  string      // begun without an end
	Doubtful []string    // that, where it isn't to be repeated
	Boot     string      // the id of the boot that it was about to end; "": of none
	// Edits are those of an atomic task that has no end, in the order in which they
	// were made; the last may not have been.
	Edits  []wire.Undo
	Unkept bool   // it couldn't be kept: nobody knows
	key    []byte // of the edits of what has no end
	keyAt  int64
	// runs are the processes that acted for what has no end. They had ended when the
	// host was taken up.
	runs []process.ID
}
