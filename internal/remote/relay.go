package remote

import (
	"errors"
	"io"
	"sync"
	"time"

	"muster/internal/stream"
	"muster/internal/wire"
)

// relayed is the sender's end of a stream that goes through the controller. So many
// bytes are under way as the receiver may have to keep.
type relayed struct {
	conn   *wire.Conn
	number uint64

	mu    sync.Mutex
	room  int
	more  chan struct{} // there is room again
	ended chan struct{}
	why   error
}

func newRelayed(conn *wire.Conn, number uint64) *relayed {
	return &relayed{conn: conn, number: number, room: wire.Window, more: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Write sends p, and fails where the receiver takes nothing for wire.Stall.
func (r *relayed) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		r.mu.Lock()
		k := min(r.room, len(p)-n)
		r.room -= k
		why := r.why
		r.mu.Unlock()
		switch {
		case why != nil:
			return n, why
		case k > 0:
			if err := r.conn.Send(&wire.Message{Part: &wire.Part{Stream: r.number, Data: p[n : n+k]}}); err != nil {
				return n, err
			}
			n += k
			continue
		}
		stalled := time.NewTimer(wire.Stall)
		select {
		case <-r.more:
		case <-r.ended:
		case <-stalled.C:
			r.end(stream.ErrStalled)
		}
		stalled.Stop()
	}
	return n, nil
}

// took notes that the receiver has taken bytes.
func (r *relayed) took(n int) {
	r.mu.Lock()
	r.room = min(r.room+max(n, 0), wire.Window)
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// end has every Write fail.
func (r *relayed) end(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == nil {
		r.why = why
		close(r.ended)
	}
}

// incoming is the receiver's end of such a stream.
type incoming struct {
	conn   *wire.Conn
	number uint64

	mu   sync.Mutex
	more *sync.Cond
	data []byte
	end  error
}

func newIncoming(conn *wire.Conn, number uint64) *incoming {
	in := &incoming{conn: conn, number: number}
	in.more = sync.NewCond(&in.mu)
	return in
}

// errOverfull is a controller that sends more than there is room for.
var errOverfull = errors.New("more is sent than there is room for")

// put takes bytes that came.
func (in *incoming) put(data []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.data)+len(data) > wire.Window {
		in.end = errOverfull
	}
	in.data = append(in.data, data...)
	in.more.Signal()
}

// Read returns bytes of the stream.
func (in *incoming) Read(p []byte) (int, error) {
	in.mu.Lock()
	for len(in.data) == 0 && in.end == nil {
		in.more.Wait()
	}
	n := copy(p, in.data)
	if in.data = in.data[n:]; len(in.data) == 0 {
		in.data = nil
	}
	end := in.end
	in.mu.Unlock()
	if n == 0 && len(p) > 0 {
		return 0, end
	}
	return n, in.conn.Send(&wire.Message{Took: &wire.Took{Stream: in.number, Bytes: n}})
}

// Close has reading fail.
func (in *incoming) Close() error { return in.fail(io.ErrClosedPipe) }

func (in *incoming) fail(why error) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.end == nil {
		in.end = why
	}
	in.more.Broadcast()
	return nil
}
