package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"muster/internal/lang"
	"muster/internal/wire"
	"muster/modules"
	"muster/transport"
)

// Facts connects to a host only to ask what it is.
func Facts(ctx context.Context, connect Connector, host string) (json.RawMessage, error) {
	stream, err := connect(ctx, host, Start{})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	m, err := wire.NewConn(stream, stream).Receive()
	if err != nil {
		return nil, fmt.Errorf("%s: the remote didn't start: %w", host, because(err, stream))
	}
	if m.Hello == nil || !json.Valid(m.Hello.Facts) {
		return nil, fmt.Errorf("%s: what answers there isn't this muster's remote", host)
	}
	return m.Hello.Facts, nil
}

// IsUnreachable reports whether a host wasn't let in to at all.
func IsUnreachable(err error) bool {
	var u *transport.UnreachableError
	return errors.As(err, &u)
}

// Worse returns the error that weighs more: one after login.
func Worse(a, b error) error {
	if a == nil || IsUnreachable(a) && !IsUnreachable(b) {
		return b
	}
	return a
}

// readFacts reads facts as remotes send them. Those that the playbook doesn't
// read are null: all facts of a host are many times what a playbook reads.
func (r *Run) readFacts(data []byte) (cty.Value, error) {
	read := lang.FactsRead{Names: r.o.Playbook.Facts}
	if read.Names == nil {
		return ctyjson.Unmarshal(data, r.o.FactsType)
	}
	var said map[string]json.RawMessage
	if err := json.Unmarshal(data, &said); err != nil {
		return cty.NilVal, err
	}
	attrs := map[string]cty.Value{}
	for name, t := range r.o.FactsType.AttributeTypes() {
		switch {
		case !read.Reads(name):
			attrs[name] = cty.NullVal(t)
		case said[name] == nil:
			return cty.NilVal, fmt.Errorf("%s is missing", name)
		default:
			var err error
			if attrs[name], err = ctyjson.Unmarshal(said[name], t); err != nil {
				return cty.NilVal, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return cty.ObjectVal(attrs), nil
}

// setFacts takes the facts that a remote sent.
func (h *hostRun) setFacts(data []byte) error {
	facts, err := h.run.readFacts(data)
	if err != nil {
		return fmt.Errorf("%w: the facts of %s: %w", wire.ErrFrame, h.name, err)
	}
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	h.facts, h.hasFacts, h.asked = facts, true, false
	h.run.change.Broadcast()
	return nil
}

// reach notes that every play before that of an index has been walked.
func (h *hostRun) reach(play int) {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	h.reached, h.at = play, nil
	h.run.change.Broadcast()
}

// Facts implements lang.Results.
func (r *Run) Facts(q lang.FactsRead) (cty.Value, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hosts[q.Host] == nil && r.enroll != nil {
		// A host that no play is about: it is only asked what it is.
		r.enroll(r.enlist(q.Host))
	}
	return r.factsOf(q)
}

// factsOf is Facts with the mutex held. Facts that earlier plays are about to
// alter are unknown while planning; they are gathered again after those plays.
func (r *Run) factsOf(q lang.FactsRead) (cty.Value, bool) {
	h := r.hosts[q.Host]
	unknown := cty.UnknownVal(r.o.FactsType)
	switch {
	case h == nil || h.err != nil:
		return unknown, true
	case !h.hasFacts:
		return unknown, false
	case r.applying || !r.mayAlter(q):
		return h.facts, true
	case h.reached < q.Play:
		return unknown, false
	}
	open := map[string]bool{}
	for _, it := range h.outcomes {
		if it.on != h || it.inst.Task.Play.Index >= q.Play {
			continue
		}
		for _, name := range r.o.Kinds.Kind(it.inst.Task.Kind).Facts {
			if !q.Reads(name) || it.shared != nil {
				continue
			}
			if it.planned == nil {
				return unknown, false
			}
			open[name] = open[name] || it.pending()
		}
	}
	return without(h.facts, open), true
}

// mayAlter reports whether plays before the one that reads have tasks that may
// alter what it reads.
func (r *Run) mayAlter(q lang.FactsRead) bool {
	for name := range r.alters[q.Play] {
		if q.Reads(name) {
			return true
		}
	}
	return false
}

// altered returns, for each play, the facts that the plays before it may alter.
func altered(plays []*lang.Play, kinds *modules.Registry) []map[string]bool {
	list := make([]map[string]bool, len(plays)+1)
	list[0] = map[string]bool{}
	for i, p := range plays {
		list[i+1] = maps.Clone(list[i])
		for t := range p.Tasks() {
			for _, name := range kinds.Kind(t.Kind).Facts {
				list[i+1][name] = true
			}
		}
	}
	return list
}

// without returns facts of which some aren't known.
func without(facts cty.Value, open map[string]bool) cty.Value {
	attrs := facts.AsValueMap()
	for name, is := range open {
		if is && attrs[name] != cty.NilVal {
			attrs[name] = cty.UnknownVal(attrs[name].Type())
		}
	}
	return cty.ObjectVal(attrs)
}

// gather asks for the host's facts again, at the end of a play that has altered
// some, where the playbook reads them.
func (h *hostRun) gather(ctx context.Context, p *lang.Play) {
	r := h.run
	q := lang.FactsRead{Names: r.o.Playbook.Facts}
	r.mu.Lock()
	for _, it := range h.outcomes {
		if it.on != h || it.inst.Task.Play != p || it.done == nil || it.done.Status != wire.Changed && it.done.Status != wire.Failed {
			continue
		}
		for _, name := range r.o.Kinds.Kind(it.inst.Task.Kind).Facts {
			h.asked = h.asked || q.Reads(name)
		}
	}
	asked := h.asked && h.err == nil
	r.mu.Unlock()
	if !asked || ctx.Err() != nil {
		return
	}
	h.send(&wire.Message{Gather: &wire.Gather{}}, false)
	_ = r.await(ctx, func() bool { return !h.asked || h.err != nil })
}
