package remote

import (
	"cmp"
	"context"
	"errors"
	"os/user"
	"path/filepath"
	"time"

	"muster/host"
	"muster/internal/remote/process"
	"muster/internal/remote/record"
	"muster/internal/wire"
)

// errSilent is why a remote begins nothing more when its controller may be gone.
var errSilent = errors.New("nothing was heard of the controller for too long, so that nothing more is begun here")

// lostController reports whether a remote ends because its connection counts for nothing
// any more: the controller may take the host up again.
func lostController(err error) bool {
	return errors.Is(err, errGone) || errors.Is(err, errSilent) || errors.Is(err, record.ErrFenced) || errors.Is(err, host.ErrRebooting)
}

// open begins a session: the first of its run on this host, or one that takes the
// host up again.
func (s *server) open(ctx context.Context, o *wire.Open) error {
	s.session.Key, s.readOnly = o.Key, o.ReadOnly
	s.session.Host.Name, s.session.Host.RunName = o.Host, o.Run
	if s.o.Worker || o.Run == "" {
		return nil
	}
	s.lock.run, s.lock.name = o.Run, o.Host
	dir, err := s.records()
	if err == nil {
		s.lock.running = func() []process.ID { return record.Running(dir, o.Run) }
	}
	if err == nil && !o.ReadOnly {
		s.kept, err = s.newRecord(dir, o)
	}
	switch {
	case o.Take == 0:
		err = nil
	case err != nil:
		err = s.conn.Send(&wire.Message{TakenUp: &wire.TakenUp{Unknown: err.Error()}})
	case o.ReadOnly:
		err = s.conn.Send(&wire.Message{TakenUp: &wire.TakenUp{}})
	default:
		err = s.takeUp(ctx, o)
	}
	if err != nil || dir == "" {
		return err
	}
	// A run that is still here may finish what it has in hand.
	if err := s.lock.share(ctx); err != nil {
		return err
	}
	return s.cutOffs(ctx, dir, o.Run)
}

// records is where runs keep what they make.
func (s *server) records() (string, error) {
	if s.o.Records != "" {
		return s.o.Records, nil
	}
	return record.Dir()
}

func (s *server) newRecord(dir string, o *wire.Open) (*record.Record, error) {
	marks := s.o.Lock
	var err error
	if marks == "" {
		if marks, err = lockPath(); err != nil {
			return nil, err
		}
	}
	return record.New(record.Options{Dir: dir, Marks: filepath.Dir(marks), Run: o.Run, Take: o.Take, Key: o.Seal, Silence: s.o.Silence})
}

// takeUp tells what the run's earlier connections have made here, when they have
// let go of the host.
func (s *server) takeUp(ctx context.Context, o *wire.Open) error {
	unknown := func(err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return s.conn.Send(&wire.Message{TakenUp: &wire.TakenUp{Unknown: err.Error()}})
	}
	left, err := s.kept.TakeUp(ctx, s.lock.tell)
	if err != nil {
		return unknown(err)
	}
	if left.Unkept {
		return unknown(errors.New("the host couldn't keep what was made there"))
	}
	if len(left.Edits) > 0 {
		if err := s.takeBack(ctx, left.Edits); err != nil {
			return unknown(err)
		}
	}
	s.session.Unended, s.session.Boot = left.Unended, left.Boot
	for i := range left.Ended {
		if left.Earlier+i >= o.Have {
			if err := s.ended(&left.Ended[i]); err != nil {
				return err
			}
		}
	}
	return s.conn.Send(&wire.Message{TakenUp: &wire.TakenUp{Doubtful: left.Doubtful}})
}

// begin keeps that the task in hand is about to make its first change.
func (s *server) begin(id string, repeats bool) error {
	if s.kept != nil {
		if err := s.kept.Begin(id, repeats); err != nil {
			return err
		}
	}
	s.repeats = repeats
	s.begun.Store(true)
	return nil
}

// started keeps that a program acts for the task in hand, or has whoever keeps such
// things do so.
func (s *server) started(pid int) {
	if !s.begun.Load() {
		return
	}
	if s.o.Worker {
		_ = s.conn.Send(&wire.Message{Runs: &wire.Runs{PID: pid}})
		return
	}
	s.keepRuns(pid)
}

func (s *server) keepRuns(pid int) {
	if id, err := process.Of(pid); err == nil && s.kept != nil {
		s.kept.Runs(id)
	}
}

// maxRuns is how many programs a worker may start for one task that are kept.
const maxRuns = 10_000

// theirRuns takes a worker's word that it has started a process, if that is its user's.
func (s *server) theirRuns(d *delegate, r *wire.Runs) {
	u, err := user.Lookup(d.user)
	if err != nil || len(d.runs) == maxRuns {
		return
	}
	id, err := process.Of(r.PID)
	if err != nil {
		return
	}
	if uid, err := process.User(r.PID); err == nil && u.Uid == uid {
		d.runs = append(d.runs, id)
		s.keepRuns(r.PID)
	}
}

// keepEdit keeps what takes an edit of an atomic task back.
func (s *server) keepEdit(u *wire.Undo) error {
	if s.kept == nil {
		return nil
	}
	return s.kept.Edit(u)
}

// keepWhole keeps that the atomic plan in hand is whole: its task may go on, and what
// is cut off then is none of its edits.
func (s *server) keepWhole() error {
	if s.kept == nil {
		return nil
	}
	return s.kept.Undone()
}

// tellUndo tells the controller what takes an edit back. Where it can't be told any
// more, the edit isn't made: a new connection will have it made.
func (s *server) tellUndo(u *wire.Undo) error {
	err := s.conn.Send(&wire.Message{Undo: u})
	if errors.Is(err, wire.ErrTooLarge) {
		err = s.conn.Send(&wire.Message{Undo: &wire.Undo{ID: u.ID, Target: u.Target, Missing: "it is too large"}})
	}
	if err == nil {
		return nil
	}
	return s.deaf()
}

// deaf notes that the controller can't be told anything any more.
func (s *server) deaf() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	return errGone
}

// still returns why nothing more is to be begun here; nil while the controller is
// there, and has this connection.
func (s *server) still() error {
	switch {
	case s.isGone():
		return errGone
	case s.o.Worker:
		return nil // whoever started it looks
	case time.Since(time.Unix(0, s.heard.Load())) > cmp.Or(s.o.Silence, wire.Silence):
		return errSilent
	case s.kept != nil:
		return s.kept.Fenced()
	}
	return nil
}

func (s *server) isGone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// finishing is how long a change in hand that could be interrupted goes on when the
// connection is lost, unless a new one waits for its end.
const finishing = 2 * time.Minute

// letFinish lets the change in hand go on for a while.
func (s *server) letFinish() {
	time.AfterFunc(cmp.Or(s.o.Finishing, finishing), func() {
		if s.kept == nil || s.kept.Fenced() == nil {
			s.abort(errGone)
		}
	})
}

// over keeps what became of a task, unless that is in doubt: a task that failed after
// the connection was lost may have failed for that. It will be planned again, unless
// it isn't to be made twice, or was on probation and taken back: it may be what cut the
// connection.
func (s *server) over(d *wire.Done) error {
	if why := s.still(); why != nil && d.Status == wire.Failed && !s.decided && !(s.begun.Load() && s.repeats) {
		return why
	}
	if s.kept != nil {
		s.kept.End(d, s.begun.Load())
	}
	return nil
}

func (s *server) acked(ends int) {
	if s.kept != nil {
		s.kept.Ack(ends)
	}
}

func (s *server) settleRecord() {
	if s.kept != nil {
		s.kept.Settle()
	}
}

func (s *server) closeRecord() {
	if s.kept != nil {
		s.kept.Close()
	}
}
