// Package stream carries what one host sends to another.
//
// The sender listens, the receiver dials. Each has a key that was made for this stream,
// and knows the other's: whoever comes with another is turned away. What is sent goes in
// frames, and at its end stands the sender's verdict: a stream that is cut anywhere is an
// error for its reader.
package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxFrame and maxVerdict are how many bytes a frame has at most, and how many a verdict.
const (
	maxFrame   = 64 << 10
	maxVerdict = 16 << 10
)

// ErrGone is why a sender ends whose receiver has gone away.
var ErrGone = errors.New("the receiver has closed the stream")

// ErrStalled is why a sender ends whose receiver takes nothing.
var ErrStalled = errors.New("the receiver has taken nothing for some seconds, and was given up")

// Send has send write to conn, and ends it with what that returns. The context that send
// gets ends when the receiver is gone. The error is send's, or why nothing could be sent.
func Send(ctx context.Context, conn io.Writer, send func(ctx context.Context, w io.Writer) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &writer{ctx: ctx, cancel: cancel, conn: conn}
	if r, ok := conn.(io.Reader); ok { // a receiver says nothing: it can only end
		go func() {
			var one [1]byte
			if _, err := r.Read(one[:]); err == nil {
				cancel(errors.New("the receiver has said something, and has nothing to say"))
			}
			cancel(ErrGone)
		}()
	}
	err := send(ctx, w)
	if gone := context.Cause(ctx); gone != nil {
		return gone
	}
	verdict := ""
	if err != nil {
		verdict = err.Error()
		if verdict == "" {
			verdict = "it failed, and doesn't say why"
		}
		verdict = verdict[:min(len(verdict), maxVerdict)]
	}
	tail := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(len(verdict)))
	if _, said := conn.Write(append(tail, verdict...)); said != nil && err == nil {
		return said
	}
	return err
}

// writer makes frames.
type writer struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	conn   io.Writer
	buf    []byte
}

// Write sends bytes. Once it has failed, it fails for good, and so does the context.
func (w *writer) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		if w.ctx.Err() != nil {
			return n, context.Cause(w.ctx)
		}
		part := p[:min(len(p), maxFrame)]
		w.buf = append(binary.BigEndian.AppendUint32(w.buf[:0], uint32(len(part))), part...)
		if _, err := w.conn.Write(w.buf); err != nil {
			w.cancel(err)
			return n, context.Cause(w.ctx)
		}
		n, p = n+len(part), p[len(part):]
	}
	return n, nil
}

// NewReader returns what a sender has sent through conn. Reading ends with io.EOF only
// behind a good verdict. name is the sender's, for errors.
func NewReader(conn io.Reader, name string) io.Reader { return &reader{conn: conn, name: name} }

type reader struct {
	conn io.Reader
	name string
	left int // of the frame
	end  error
}

// Read returns bytes of the stream.
func (r *reader) Read(p []byte) (int, error) {
	if r.end != nil {
		return 0, r.end
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.left == 0 {
		n, err := r.number()
		switch {
		case err != nil:
			return 0, r.cut(err)
		case n == 0:
			return 0, r.verdict()
		case n > maxFrame:
			r.end = fmt.Errorf("%s sends what is no stream: a frame of %d bytes", r.name, n)
			return 0, r.end
		}
		r.left = int(n)
	}
	n, err := r.conn.Read(p[:min(len(p), r.left)])
	r.left -= n
	if err != nil && n == 0 {
		return 0, r.cut(err)
	}
	return n, nil
}

func (r *reader) number() (uint32, error) {
	var head [4]byte
	_, err := io.ReadFull(r.conn, head[:])
	return binary.BigEndian.Uint32(head[:]), err
}

// cut ends the stream where no verdict has come.
func (r *reader) cut(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	r.end = fmt.Errorf("the stream from %s was cut: %w", r.name, err)
	return r.end
}

// verdict reads the sender's.
func (r *reader) verdict() error {
	n, err := r.number()
	if err == nil && n > maxVerdict {
		err = errors.New("its verdict is too long")
	}
	if err != nil {
		return r.cut(err)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r.conn, text); err != nil {
		return r.cut(err)
	}
	if r.end = io.EOF; n > 0 {
		r.end = fmt.Errorf("%s: %s", r.name, text)
	}
	return r.end
}
