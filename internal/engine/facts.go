package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"muster/host"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/wire"
	"muster/transport"
)

// Facts connects to a host only to ask what it is.
func Facts(ctx context.Context, connect Connector, host string) (json.RawMessage, error) {
	stream, err := connect(ctx, host, Start{})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	m, err := greeting(ctx, wire.NewHostConn(stream, stream), stream, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", host, err)
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

// Particulars are what a host that can't be reached has of its own in the error that says
// so: where it was looked for, "10.0.1.13:22", and the fingerprint of a key that isn't
// known. Both are "" where the error isn't about that.
func Particulars(err error) (address, fingerprint string) {
	var u *transport.UnreachableError
	if !errors.As(err, &u) || u.Stage == transport.StageBastion {
		return "", ""
	}
	address, _, _ = strings.Cut(u.Where, " ")
	var k *transport.HostKeyError
	if errors.As(err, &k) && k.Verdict == transport.KeyUnknown {
		fingerprint = k.Fingerprint
	}
	return address, fingerprint
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
	read := eval.FactsRead{Names: r.o.Playbook.Facts}
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
	if h.hasFacts && !h.asked {
		return fmt.Errorf("%w: facts that weren't asked for", wire.ErrFrame)
	}
	h.facts, h.hasFacts, h.asked = facts, true, false
	h.run.change.Broadcast()
	return nil
}

// Facts implements lang.Results.
func (r *Run) Facts(q eval.FactsRead) (cty.Value, bool) {
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
func (r *Run) factsOf(q eval.FactsRead) (cty.Value, bool) {
	h := r.hosts[q.Host]
	unknown := cty.UnknownVal(r.o.FactsType)
	switch {
	case h == nil || h.err != nil:
		return unknown, true
	case !h.hasFacts:
		return unknown, false
	case r.applying || !r.movable(q):
		return h.facts, true
	case !h.past(place{at: []int{q.Play}}):
		return unknown, false
	}
	open := map[string]bool{}
	for _, it := range h.earlier(q.Play) {
		if it.planned == nil {
			return unknown, false
		}
		for _, name := range it.planned.Facts {
			open[name] = open[name] || q.Reads(name) && it.pending()
		}
	}
	return without(h.facts, open), true
}

// earlier returns the items of plays before that of an index that act on the host.
// The mutex is held.
func (h *hostRun) earlier(play int) []*item {
	var list []*item
	for _, it := range h.outcomes {
		if it.on == h && it.shared == nil && it.inst.Task.Play.Index < play {
			list = append(list, it)
		}
	}
	return list
}

// movable reports whether changes can move any of what is read.
func (r *Run) movable(q eval.FactsRead) bool {
	for name := range r.o.FactKeys {
		if q.Reads(name) {
			return true
		}
	}
	return false
}

// Facts implements lang.Results for what is evaluated for this host: it notes
// where what is read may be moved by changes that are pending.
func (h *hostRun) Facts(q eval.FactsRead) (cty.Value, bool) {
	facts, settled := h.run.Facts(q)
	r := h.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if of := r.hosts[q.Host]; settled && !r.applying && of != nil && r.movable(q) {
		for _, it := range of.earlier(q.Play) {
			if it.pending() {
				h.guessed = h.guessed || slices.ContainsFunc(it.planned.MayFacts, q.Reads)
			}
		}
	}
	return facts, settled
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

// gather asks hosts for their facts again, at the end of a play: those on which
// something was changed by it, whoever did that, where the playbook reads facts that
// changes move. Until then facts are those at the play's start.
func (r *Run) gather(ctx context.Context, p *plays.Play) {
	if !r.movable(eval.FactsRead{Names: r.o.Playbook.Facts}) || p.Index == len(r.o.Playbook.Plays)-1 {
		return
	}
	each(r.reviewable(func(it *item) bool { return it.inst.Task.Play == p && it.altered() }), func(h *hostRun) {
		if r.enter(ctx) != nil {
			return
		}
		defer r.leave()
		r.mu.Lock()
		h.asked = true
		r.mu.Unlock()
		h.send(&wire.Message{Gather: &wire.Gather{}}, false)
		_ = r.await(ctx, func() bool { return !h.asked || h.err != nil })
	})
}

// altered reports whether the host may be another one since the item was made, also
// where it was judged to have changed nothing.
func (it *item) altered() bool {
	return it.done != nil && (it.done.Status == wire.Failed || slices.ContainsFunc(it.done.Changes, func(d host.Description) bool { return d.Action.Counts() }))
}
