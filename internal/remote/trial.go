package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"muster/host"
	"muster/internal/remote/revert"
	"muster/internal/wire"
	"muster/modules"
)

// Trial is changes on probation, of which the revert is armed.
type Trial interface {
	// Prove waits for a login that proves the changes, and disarms the revert. An error
	// is why they don't stand; TakeBack is then called.
	Prove() error
	// TakeBack runs the revert at once, and returns what the task has failed with.
	TakeBack(cause error) error
}

// errNoTrial is a task on probation of a user whom root's remote made a worker for.
var errNoTrial = errors.New(`only the remote itself can have a change proven by a new login: give the task "become = true"`)

// noTrial is Session.Probation of a worker.
func noTrial(string, host.Revert) (Trial, error) { return nil, errNoTrial }

// trial is changes on probation that the controller is asked to prove.
type trial struct {
	s     *server
	id    string
	armed *revert.Armed
	back  error // what its revert came to
	fired bool  // before it could be disarmed
}

// probation arms a task's revert.
func (s *server) probation(id string, r host.Revert) (Trial, error) {
	dir, err := s.runFolder()
	if err != nil {
		return nil, err
	}
	armed, err := revert.Arm(context.Background(), revert.Options{Dir: dir, Revert: r, After: cmp.Or(s.o.Probation, modules.ProbationTime), Plain: s.o.Plain})
	if err != nil {
		return nil, err
	}
	return &trial{s: s, id: id, armed: armed}, nil
}

// runFolder is where the lock lies, and whatever ends with a restart of the host.
func (s *server) runFolder() (string, error) {
	path, err := s.o.Lock, error(nil)
	if path == "" {
		path, err = lockPath()
	}
	return filepath.Dir(path), err
}

// Prove asks the controller, and believes nobody else.
func (t *trial) Prove() error {
	if err := t.asked(); err != nil {
		return err
	}
	t.fired, t.back = t.armed.Disarm()
	if t.fired {
		return errors.New("it took too long")
	}
	return t.back
}

// asked returns nil where the controller says that a login has succeeded.
func (t *trial) asked() error {
	s := t.s
	s.proofs++
	if err := s.conn.Send(&wire.Message{Prove: &wire.Prove{ID: t.id, N: s.proofs}}); err != nil {
		return err
	}
	over := time.NewTimer(cmp.Or(s.o.ProofWait, wire.ProofWait))
	defer over.Stop()
	for {
		select {
		case p := <-s.proven:
			switch {
			case p.N != s.proofs:
			case p.Error != "":
				return errors.New(p.Error)
			default:
				return nil
			}
		case <-s.lost:
			return errGone
		case <-over.C:
			return errors.New("the controller doesn't answer")
		}
	}
}

// TakeBack runs the revert. What became of the task is certain then, whatever has become of
// the connection: it isn't made again by a run that takes the host up.
func (t *trial) TakeBack(cause error) error {
	if !t.fired {
		t.back = t.armed.Fire()
	}
	if t.back != nil {
		return fmt.Errorf("no new login has proven the change: %w; taking it back failed too: %w", cause, t.back)
	}
	t.s.decided = true
	return fmt.Errorf("no new login has proven the change, which has been taken back: %w", cause)
}
