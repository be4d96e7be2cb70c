package remote

import (
	"context"

	"muster/internal/wire"
)

// outdated is an error where a task is made with a value that counts no more. One that is
// made with values which are about to be retired is taken without them where that is done.
func (s *server) outdated(t *wire.Task) error {
	if len(t.Made) == 0 && t.Ended == nil || s.o.Outdated == nil {
		return nil
	}
	if s.refuses == nil {
		s.refuses = s.o.Outdated()
	}
	if err := s.refuses(t.Made); err != nil || t.Ended == nil {
		return err
	}
	over := 0
	for _, made := range t.Ended.Made {
		if s.refuses([]string{made}) != nil {
			over++
		}
	}
	switch over {
	case 0:
	case len(t.Ended.Made):
		t.Args, t.Others = t.Ended.Args, t.Ended.Others
	default: // of two secrets, one has ended
		return s.refuses(t.Ended.Made)
	}
	t.Ended = nil
	return nil
}

// late takes a task for its turn, which is now.
func (s *server) late(ctx context.Context, t wire.Task) error {
	if _, err := s.agrees(ctx, &t); err != nil {
		return err
	}
	if err := s.outdated(&t); err != nil {
		t.As = "" // it fails with that, before anything of it is made
		s.session.Late(t)
		s.session.refuse(t.ID, err)
		return nil
	}
	if t.As == "" || t.As == s.user {
		delete(s.waits, t.ID)
		s.session.Late(t)
		return nil
	}
	if len(t.Companions) > 0 {
		t.As = "" // it fails with what is said of it, before anything of it is made
		s.session.Late(t)
		s.session.refuse(t.ID, errNoCompanions)
		return nil
	}
	// Whoever makes its user had their turn.
	d, err := s.delegate(ctx, t.As)
	if err != nil {
		s.waits[t.ID] = t // tried once more, and said, when the task is granted
		return nil
	}
	delete(s.waits, t.ID)
	s.sendLate(d, t)
	return nil
}
