package engine

import (
	"fmt"

	"muster/internal/wire"
)

// relaying is what of a flow goes through the controller. It keeps no more than the
// receiver has room for, since the sender has no more under way. The run's mutex guards it.
type relaying struct {
	parts   [][]byte // that came, and aren't handed on
	under   int      // bytes that the receiver hasn't taken
	taken   int      // bytes that it has, and the sender isn't told
	pending bool     // something is being handed on
}

// put takes bytes of the sender's.
func (x *relaying) put(data []byte) error {
	if x.under += len(data); x.under > wire.Window || len(data) == 0 {
		return fmt.Errorf("%w: it sends more than there is room for", wire.ErrFrame)
	}
	x.parts = append(x.parts, data)
	return nil
}

// took notes what the receiver has taken.
func (x *relaying) took(n int) error {
	if n < 0 || n > x.under {
		return fmt.Errorf("%w: it has taken more than was sent", wire.ErrFrame)
	}
	x.under -= n
	x.taken += n
	return nil
}

// empty reports whether everything was handed on.
func (x *relaying) empty() bool { return len(x.parts) == 0 && !x.pending }

// relay hands on what a flow's hosts say, until stop is called. None of them holds up
// what else the other says.
func (r *Run) relay(f *flow) (stop func()) {
	ended := false
	hand := func(ready func() bool, next func() (*link, *wire.Message)) {
		defer r.working.Done()
		for r.await(r.life, func() bool { return ended || ready() }) == nil {
			r.mu.Lock()
			if ended {
				r.mu.Unlock()
				return
			}
			l, m := next()
			r.mu.Unlock()
			err := l.conn.Send(m)
			r.mu.Lock()
			f.relaying.pending = f.relaying.pending && m.Part == nil
			r.change.Broadcast()
			r.mu.Unlock()
			if err != nil {
				return
			}
		}
	}
	r.working.Add(2)
	x := &f.relaying
	go hand(func() bool { return len(x.parts) > 0 }, func() (*link, *wire.Message) {
		data := x.parts[0]
		x.parts, x.pending = x.parts[1:], true
		return f.to, &wire.Message{Part: &wire.Part{Stream: f.number, Data: data}}
	})
	go hand(func() bool { return x.taken > 0 }, func() (*link, *wire.Message) {
		n := x.taken
		x.taken = 0
		return f.from, &wire.Message{Took: &wire.Took{Stream: f.id, Bytes: n}}
	})
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		ended = true
		r.change.Broadcast()
	}
}
