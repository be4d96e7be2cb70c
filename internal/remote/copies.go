package remote

import (
	"context"
	"errors"
	"fmt"
	"io"

	"muster/host"
	"muster/internal/wire"
)

// Copies has the controller tell of the copies that tasks keep in the project's folder, and
// replace them.
type Copies interface {
	Copy(ctx context.Context, id string) (host.Copy, error)
	Bring(ctx context.Context, id string, c host.Content, r io.Reader) error
}

// copyOf is the copy of the task in hand.
type copyOf struct {
	s  *Session
	id string
}

// errNoCopies is a task of a user whom root's remote made a worker for.
var errNoCopies = errors.New(`only the remote itself can bring a file to the project: give the task "become = true"`)

func (c copyOf) Copy(ctx context.Context) (host.Copy, error) {
	if c.s.Copies == nil {
		return host.Copy{}, errNoCopies
	}
	return c.s.Copies.Copy(ctx, c.id)
}

func (c copyOf) Bring(ctx context.Context, content host.Content, r io.Reader) error {
	if c.s.Copies == nil {
		return errNoCopies
	}
	return c.s.Copies.Bring(ctx, c.id, content, r)
}

// projectCopies are those of the controller that a server speaks to. They are asked for one
// task at a time.
type projectCopies struct {
	s       *server
	asked   int
	answers chan *wire.Copy
}

// answered takes what the controller answers.
func (p *projectCopies) answered(m *wire.Copy) {
	select {
	case p.answers <- m:
	default: // nobody asked for so many
	}
}

// Copy asks what a task's copy is.
func (p *projectCopies) Copy(ctx context.Context, id string) (host.Copy, error) {
	p.asked++
	a, err := p.ask(ctx, &wire.Message{Copy: &wire.Copy{N: p.asked, ID: id}})
	if err != nil {
		return host.Copy{}, err
	}
	return host.Copy{Path: a.Path, Sum: a.Sum, Size: a.Size, Data: a.Data, Hidden: a.Hidden}, nil
}

// Bring sends a part at a time.
func (p *projectCopies) Bring(ctx context.Context, id string, c host.Content, r io.Reader) error {
	r = host.Verified(io.NopCloser(r), c)
	buf := make([]byte, wire.BringPart)
	for first := true; ; first = false {
		n, err := io.ReadFull(r, buf)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return fmt.Errorf("reading what is to be brought: %w", err)
		}
		p.asked++
		m := &wire.Bring{N: p.asked, ID: id, First: first, Data: buf[:n], Last: last}
		if last {
			m.Sum = c.Sum
		}
		if _, err := p.ask(ctx, &wire.Message{Bring: m}); err != nil || last {
			return err
		}
	}
}

// ask waits for the answer to the last question.
func (p *projectCopies) ask(ctx context.Context, m *wire.Message) (*wire.Copy, error) {
	if err := p.s.conn.Send(m); err != nil {
		return nil, p.s.deaf()
	}
	for {
		select {
		case a := <-p.answers:
			switch {
			case a.N != p.asked: // an answer that nobody waits for any more
				continue
			case a.Error != "":
				return nil, errors.New(a.Error)
			}
			return a, nil
		case <-p.s.lost:
			return nil, errGone
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
