package engine

import (
	"context"
	"slices"
)

// line is what a play has for one host, where several hosts' tasks act on it, in the
// order in which it was planned: each of these plans counts on those before it, so
// that it is made in that order, too.
type line struct{ items []*item }

// lineUp finds the lines of all plays, before anything is made.
func (r *Run) lineUp() {
	type key struct {
		play, round int
		on          *hostRun
	}
	lines := map[key]*line{}
	for _, h := range r.order {
		h.eachItem(func(it *item) {
			if it.at == nil {
				return
			}
			k := key{it.at[0], it.at[1], it.on}
			if lines[k] == nil {
				lines[k] = &line{}
			}
			lines[k].items = append(lines[k].items, it)
		})
	}
	for _, l := range lines {
		first := l.items[0].owner
		if !slices.ContainsFunc(l.items, func(it *item) bool { return it.owner != first }) {
			continue
		}
		slices.SortStableFunc(l.items, func(a, b *item) int { return a.stands().compare(b.stands()) })
		for i, it := range l.items {
			it.line, it.turn = l, i
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
		for i := it.turn - 1; i >= 0; i-- {
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

// over reports whether nothing more becomes of an item. The mutex is held.
func (it *item) over() bool {
	return it.final || it.owner.past(place{making: true, at: next(it.at)})
}
