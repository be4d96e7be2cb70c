package engine

import (
	"fmt"

	"muster/host"
	"muster/internal/copies"
	"muster/internal/wire"
	"muster/modules"
)

// A task may keep a copy of a file of its host in the project's folder. The host names the
// task; where the copy is its arguments say, and nothing that the host says.

// keptCopy is the copy that a task keeps.
type keptCopy struct {
	copies.Place
	hidden bool // what is in it isn't to be shown
}

// copyOf is the copy that a task keeps; nil where it keeps none.
func (h *hostRun) copyOf(t *wire.Task) *keptCopy {
	k := h.run.o.Kinds.Kind(t.Kind)
	if k == nil {
		return nil
	}
	if _, is := k.New().(modules.Copier); !is {
		return nil
	}
	m, errs := h.run.o.Kinds.Decode(t.Kind, t.Args)
	if len(errs) > 0 {
		return nil
	}
	c := &keptCopy{copies.Place{Project: h.run.o.Project, Host: h.name}, t.Sensitive && !t.Apart}
	c.To, c.Path = m.(modules.Copier).CopyOf()
	return c
}

// copy is that of a task which the host was sent, and with making is making. The mutex is
// held.
func (h *hostRun) copy(id string, making bool) (*keptCopy, error) {
	it := h.sentTo(id)
	if it == nil || it.copy == nil || making && !it.making {
		return nil, fmt.Errorf("%w: of a copy that no task keeps: %q", wire.ErrFrame, id)
	}
	return it.copy, nil
}

// copyOf takes a host's question what a task's copy is.
func (l *link) copyOf(m *wire.Copy) error {
	r := l.host.run
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := l.host.copy(m.ID, false)
	if err != nil {
		return err
	}
	if l.looking {
		return fmt.Errorf("%w: two questions for copies at once", wire.ErrFrame)
	}
	l.looking = true
	r.working.Add(1)
	go func() {
		defer r.working.Done()
		limit := int64(host.DiffLimit)
		if p.hidden {
			limit = 0
		}
		c, err := p.Look(limit)
		a := &wire.Copy{N: m.N, Path: c.Path, Sum: c.Sum, Size: c.Size, Data: c.Data, Hidden: p.hidden}
		if err != nil {
			a = &wire.Copy{N: m.N, Error: err.Error()}
		}
		r.mu.Lock()
		l.looking = false
		r.mu.Unlock()
		_ = l.conn.Send(&wire.Message{Copy: a})
	}()
	return nil
}

// bring takes a part of what is to replace a copy.
func (l *link) bring(m *wire.Bring) error {
	r := l.host.run
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := l.host.copy(m.ID, true)
	if err != nil {
		return err
	}
	if m.First {
		if l.bringing != nil {
			close(l.bringing) // it was given up
		}
		l.bringing = make(chan *wire.Bring, 1)
		r.working.Add(1)
		go func(parts chan *wire.Bring) {
			defer r.working.Done()
			l.replace(p.Place, parts)
		}(l.bringing)
	}
	if l.bringing == nil {
		return fmt.Errorf("%w: a part of a copy that wasn't begun: %q", wire.ErrFrame, m.ID)
	}
	select {
	case l.bringing <- m:
	default:
		return fmt.Errorf("%w: a part of a copy before the last one was answered: %q", wire.ErrFrame, m.ID)
	}
	return nil
}

// replace replaces a copy by the parts that come, and answers each of them.
func (l *link) replace(p copies.Place, parts chan *wire.Bring) {
	var n *copies.New
	defer func() {
		if n != nil {
			n.Drop()
		}
	}()
	for {
		var m *wire.Bring
		select {
		case m = <-parts:
		case <-l.done:
		case <-l.host.run.life.Done():
		}
		if m == nil {
			return
		}
		var err error
		if n == nil {
			n, err = p.Create()
		}
		if err == nil {
			_, err = n.Write(m.Data)
		}
		if err == nil && m.Last {
			err = n.Keep(m.Sum)
		}
		a := &wire.Copy{N: m.N}
		if err != nil {
			a.Error = fmt.Sprintf("bringing %s: %v", p.Name(), err)
		}
		if sent := l.conn.Send(&wire.Message{Copy: a}); err != nil || sent != nil || m.Last {
			return
		}
	}
}
