package engine

import (
	"cmp"
	"context"
	"slices"

	"muster/internal/lang/plays"
)

// line is what a play has for one host, where several hosts' tasks act on it, in the
// order in which it was planned: each of these plans counts on those before it, so
// that it is made in that order, too.
type line struct{ items []*item }

// lineUp finds the lines of all plays, before anything is made.
func (r *Run) lineUp() {
	type place struct {
		play *plays.Play
		part int // of a rolling play: what stands around it is one of its own
		on   *hostRun
	}
	lines := map[place]*line{}
	for _, h := range r.order {
		h.eachItem(func(it *item) {
			if it.at == nil {
				return
			}
			p := place{it.inst.Task.Play, it.at[0], it.on}
			if lines[p] == nil {
				lines[p] = &line{}
			}
			lines[p].items = append(lines[p].items, it)
		})
	}
	for p, l := range lines {
		first := l.items[0].owner
		if !slices.ContainsFunc(l.items, func(it *item) bool { return it.owner != first }) {
			continue
		}
		rank := map[string]int{}
		for i, name := range p.play.Hosts {
			rank[name] = i
		}
		slices.SortStableFunc(l.items, func(a, b *item) int {
			return cmp.Or(slices.Compare(a.at, b.at), cmp.Compare(rank[a.owner.name], rank[b.owner.name]))
		})
		for i, it := range l.items {
			it.line, it.place = l, i
		}
	}
}

// awaitTurn waits until what other hosts have before an item in its line is over. Nobody
// waits for ever: what is waited for stands earlier in the play, or is an earlier host's.
func (h *hostRun) awaitTurn(ctx context.Context, g *granted, it *item) bool {
	if it.line == nil {
		return true
	}
	r := h.run
	clear := func() bool {
		for i := it.place - 1; i >= 0; i-- {
			if o := it.line.items[i]; o.owner != h && !o.over() {
				return h.err != nil || it.on.err != nil || r.stop
			}
		}
		return true
	}
	r.mu.Lock()
	now := clear()
	r.mu.Unlock()
	return now || g.drain(ctx) && r.awaitOthers(ctx, clear) == nil && !h.isOver()
}

// over reports whether nothing more becomes of an item while its host's batch is made.
// The mutex is held.
func (it *item) over() bool {
	return it.final || it.left || it.owner.err != nil || !it.owner.underway
}

// leave notes that the host comes to none of the items of nodes any more.
func (h *hostRun) leave(nodes ...*node) {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	eachNode(nodes, func(it *item) { it.left = true })
	h.run.change.Broadcast()
}
