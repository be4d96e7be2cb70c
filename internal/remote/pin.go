package remote

import (
	"context"
	"errors"

	"muster/internal/wire"
)

// pin answers what a name stands for. What the host has itself is told with the plan,
// without waiting for the controller; what it would have to find out is asked for, as is
// everything once changes are made.
func (s *Session) pin(ctx context.Context, name, mine string, resolve func(context.Context) (string, error)) (string, error) {
	answer, known := s.pins[name]
	switch {
	case known && (mine == "" || mine == answer):
	case mine != "" && s.pinned != nil || mine != "" && s.Ask == nil:
		answer = mine
	case s.Ask == nil:
		var err error
		if answer, err = resolve(ctx); err != nil {
			return "", err
		}
	default:
		var err error
		if answer, err = s.Ask(ctx, name, mine, resolve); err != nil {
			return "", err
		}
	}
	if _, known := s.pins[name]; !known {
		s.pins[name] = answer
	}
	if s.pinned != nil {
		s.pinned[name] = answer
	}
	return answer, nil
}

// askPin asks the controller, and finds out what it asks for in return.
func (s *server) askPin(ctx context.Context, name, mine string, resolve func(context.Context) (string, error)) (string, error) {
	s.asked++
	if err := s.conn.Send(&wire.Message{Pin: &wire.Pin{N: s.asked, Name: name, Mine: mine}}); err != nil {
		return "", err
	}
	for {
		select {
		case p := <-s.answers:
			switch {
			case p.N != s.asked: // an answer that nobody waits for any more
				continue
			case p.Error != "":
				return "", errors.New(p.Error)
			case p.Answer != "":
				return p.Answer, nil
			}
			answer, err := resolve(ctx)
			told := &wire.Pin{Name: name, Answer: answer, Told: true}
			if err != nil {
				told.Answer, told.Error = "", err.Error()
			}
			if sent := s.conn.Send(&wire.Message{Pin: told}); err == nil {
				err = sent
			}
			return answer, err
		case <-s.lost:
			return "", errGone
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}
