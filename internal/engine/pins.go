package engine

import (
	"fmt"
	"maps"
	"slices"

	"muster/internal/wire"
)

// A name such as an image's tag stands for the same on all hosts of a run. Hosts say what
// it stands for on them; where none knows, one of them finds out for all.

// pin is a name's state in a run. The run's mutex guards it.
type pin struct {
	answer string
	from   string  // the host that said so, or "the saved plan"
	by     *link   // who is finding out
	asking []asker // who waits for that
}

type asker struct {
	l *link
	n int
}

// How many names hosts may ask for in a run, and how long one or its answer may be.
const (
	maxPins   = 10000
	maxPinned = 4096
)

// savedPins are the answers that a saved plan has.
func savedPins(saved map[string]string) map[string]*pin {
	pins := map[string]*pin{}
	for name, answer := range saved {
		pins[name] = &pin{answer: answer, from: "the saved plan"}
	}
	return pins
}

// KnownPins returns what names stand for in this run.
func (r *Run) KnownPins() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]string{}
	for name, p := range r.pins {
		if p.answer != "" {
			all[name] = p.answer
		}
	}
	return all
}

// pinned takes what names stand for on a host that has planned a task. Where one stands
// for something else elsewhere, no host is applied to.
func (h *hostRun) pinned(p *wire.Planned) error {
	r := h.run
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(p.Pins)) {
		err := r.agree(h.name, name, p.Pins[name])
		if err != nil && r.applying {
			return err
		}
		if err != nil {
			r.disagreed = true
			*p = wire.Planned{ID: p.ID, Status: wire.Failed, Certainty: wire.Known, Error: err.Error(), Seconds: p.Seconds}
			return nil
		}
	}
	return nil
}

// agree notes what a name stands for on a host. It is an error where it stands for
// something else in this run. The mutex is held.
func (r *Run) agree(host, name, answer string) error {
	p, err := r.pinOf(name, answer)
	if err != nil {
		return err
	}
	switch p.answer {
	case answer:
	case "":
		p.answer, p.from = answer, host
	default:
		return fmt.Errorf("%s stands for %s here, and for %s by %s: all hosts of a run get the same, so nothing is made on any. Name exactly what they are to have", name, answer, p.answer, p.from)
	}
	return nil
}

func (r *Run) pinOf(name, answer string) (*pin, error) {
	p := r.pins[name]
	if p == nil {
		p = &pin{}
		if len(r.pins) >= maxPins || len(name) > maxPinned {
			return nil, fmt.Errorf("%w: more than %d names, or one of %d bytes", wire.ErrFrame, maxPins, len(name))
		}
		r.pins[name] = p
	}
	if len(answer) > maxPinned {
		return nil, fmt.Errorf("%w: a name that stands for %d bytes", wire.ErrFrame, len(answer))
	}
	return p, nil
}

// pin takes a host's question for a name, or what it has found out.
func (l *link) pin(m *wire.Pin) error {
	r := l.host.run
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.pinOf(m.Name, m.Mine+m.Answer)
	switch {
	case err != nil:
		return err
	case m.Told && p.by != l:
		return fmt.Errorf("%w: an answer for %q that it wasn't asked for", wire.ErrFrame, m.Name)
	case m.Told && m.Answer == "":
		p.by = nil
		r.nextAsker(m.Name, p)
	case m.Told:
		p.by = nil
		if p.answer == "" {
			p.answer, p.from = m.Answer, l.host.name
		}
		r.answerAll(p)
	case m.Mine != "":
		reply := &wire.Pin{N: m.N, Answer: m.Mine}
		if err := r.agree(l.host.name, m.Name, m.Mine); err != nil {
			reply.Answer, reply.Error = "", err.Error()
		}
		r.sendPin(l, reply)
		r.answerAll(p)
	case p.answer != "":
		r.sendPin(l, &wire.Pin{N: m.N, Answer: p.answer})
	default:
		if len(p.asking) >= maxPins {
			return fmt.Errorf("%w: a question asked %d times", wire.ErrFrame, len(p.asking))
		}
		p.asking = append(p.asking, asker{l, m.N})
		r.nextAsker(m.Name, p)
	}
	return nil
}

// answerAll answers who waits for a name. The mutex is held.
func (r *Run) answerAll(p *pin) {
	for _, a := range p.asking {
		r.sendPin(a.l, &wire.Pin{N: a.n, Answer: p.answer})
	}
	p.asking = nil
}

// nextAsker has the first who asked find out, unless somebody does. The mutex is held.
func (r *Run) nextAsker(name string, p *pin) {
	if p.by != nil || p.answer != "" || len(p.asking) == 0 {
		return
	}
	a := p.asking[0]
	p.asking, p.by = p.asking[1:], a.l
	r.sendPin(a.l, &wire.Pin{N: a.n})
	r.working.Add(1)
	go func() { // a host that is lost finds nothing out
		defer r.working.Done()
		select {
		case <-a.l.done:
		case <-r.life.Done():
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if p.by == a.l {
			p.by = nil
			r.nextAsker(name, p)
		}
	}()
}

// sendPin sends without holding up the run: a host that doesn't read is found out by
// its silence.
func (r *Run) sendPin(l *link, m *wire.Pin) {
	r.working.Add(1)
	go func() {
		defer r.working.Done()
		_ = l.conn.Send(&wire.Message{Pin: m})
	}()
}
