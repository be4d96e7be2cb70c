package remote

import (
	"errors"
	"fmt"

	"muster/internal/wire"
)

// fault tells the controller why this ends.
func (s *server) fault(err error) error {
	_ = s.conn.Send(&wire.Message{Fault: &wire.Fault{Error: err.Error()}})
	return err
}

// planned answers a task. A plan that is too large to be sent fails it.
func (s *server) planned(p *wire.Planned) error {
	err := s.conn.Soon(&wire.Message{Planned: p})
	if errors.Is(err, wire.ErrTooLarge) {
		err = s.conn.Soon(&wire.Message{Planned: &wire.Planned{ID: p.ID, Status: wire.Failed, Certainty: wire.Known, Error: tooLarge("what it would do", err), Seconds: p.Seconds}})
	}
	return err
}

// ended answers a grant of a task, likewise.
func (s *server) ended(d *wire.Done) error {
	err := s.conn.Send(&wire.Message{Done: d})
	if errors.Is(err, wire.ErrTooLarge) {
		err = s.conn.Send(&wire.Message{Done: &wire.Done{ID: d.ID, Status: wire.Failed, Error: tooLarge("what it did", err), Seconds: d.Seconds}})
	}
	return err
}

func tooLarge(what string, err error) string {
	return fmt.Sprintf("%s can't be told, or what its program printed: %v. Have less printed, or written at a time", what, err)
}
