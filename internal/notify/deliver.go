package notify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Delivery is how a message is delivered: how often it is tried, and how long that takes
// at most. The zero value tries three times, waits 2 s and 8 s between them, and gives
// each 10 s.
type Delivery struct {
	Timeout time.Duration // of one try
	Waits   []time.Duration
	// Wait waits, or returns why not; nil: by the clock.
	Wait func(context.Context, time.Duration) error
}

// longest is how long a receiver that asks for time is waited for.
const longest = 30 * time.Second

// attemptError is why a message wasn't taken.
type attemptError struct {
	err   error
	again bool          // it may be taken when it is sent once more
	after time.Duration // but not before
}

func (e *attemptError) Error() string { return e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

// Send delivers a message. The error says how often it was tried, and has no secret of the
// receiver's.
func (d Delivery) Send(ctx context.Context, r *Receiver, m *Message) error {
	if d.Timeout == 0 {
		d.Timeout = 10 * time.Second
	}
	if d.Waits == nil {
		d.Waits = []time.Duration{2 * time.Second, 8 * time.Second}
	}
	if d.Wait == nil {
		d.Wait = wait
	}
	m.Redact(r.private.Redact)
	for tried := 1; ; tried++ {
		err := d.once(ctx, r, m)
		if err == nil {
			return nil
		}
		var attempt *attemptError
		last := tried > len(d.Waits) || !errors.As(err, &attempt) || !attempt.again || attempt.after > longest
		if !last {
			last = d.Wait(ctx, max(d.Waits[tried-1], attempt.after)) != nil
		}
		if last {
			text := r.private.Redact(err.Error())
			if tried > 1 {
				text += fmt.Sprintf(" (tried %d times)", tried)
			}
			return errors.New(text)
		}
	}
}

func (d Delivery) once(ctx context.Context, r *Receiver, m *Message) error {
	own, cancel := context.WithTimeoutCause(ctx, d.Timeout, errSlow)
	defer cancel()
	err := r.send(own, m)
	if err != nil && ctx.Err() == nil && own.Err() != nil {
		return &attemptError{err: fmt.Errorf("%w within %s", errSlow, d.Timeout), again: true}
	}
	return err
}

// errSlow is why a try ends.
var errSlow = errors.New("it doesn't answer")

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
