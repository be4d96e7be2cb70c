package engine

import (
	"cmp"
	"iter"
	"slices"

	"muster/internal/lang/plays"
)

// place says how far a host has come in a run: everything before it is over there. A
// host's place only grows, and whether hosts have come past one is the one question by
// which they wait for each other's tasks. A task stands at a place as well.
type place struct {
	making bool
	at     []int // the play's index, its round, and a number for each list of steps around
	rank   int   // the host's among those of the play, which take turns at a step
}

// The rounds of a play.
const (
	roundAll     = iota // on all of its hosts: the only one, or a trial; see bracket.go
	roundBatches        // batch by batch
	roundOver
)

// The lists of steps of a block.
const (
	blockSteps = iota
	blockRescue
	blockAlways
)

// compare orders places as they are come to.
func (p place) compare(o place) int {
	if p.making != o.making {
		if o.making {
			return -1
		}
		return 1
	}
	return cmp.Or(slices.Compare(p.at, o.at), cmp.Compare(p.rank, o.rank))
}

// next is the place behind all that stands at one, and in it.
func next(at []int) []int {
	if at == nil {
		return nil
	}
	at = slices.Clone(at)
	at[len(at)-1]++
	return at
}

// comesTo notes the place that the host has come to.
func (h *hostRun) comesTo(p place) {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if p.compare(h.place) > 0 {
		h.place = p
		h.run.change.Broadcast()
	}
}

// walks notes the place that planning has come to on the host.
func (h *hostRun) walks(w walking) {
	if w.at != nil && !w.late {
		h.comesTo(place{at: w.at, rank: w.rank})
	}
}

// makes notes the place that making has come to on the host.
func (h *hostRun) makes(at []int) {
	if at != nil {
		h.comesTo(place{making: true, at: at})
	}
}

// past reports whether the host has come to a place, or won't come further. The mutex is
// held.
func (h *hostRun) past(p place) bool { return h.err != nil || h.place.compare(p) >= 0 }

// past reports whether all of hosts have. The mutex is held.
func past(hosts iter.Seq[*hostRun], p place) bool {
	for h := range hosts {
		if !h.past(p) {
			return false
		}
	}
	return true
}

// of are the hosts of a play that are in the run. The mutex is held.
func (r *Run) of(p *plays.Play) iter.Seq[*hostRun] {
	return func(yield func(*hostRun) bool) {
		for _, name := range p.Hosts {
			if h := r.hosts[name]; h != nil && !yield(h) {
				return
			}
		}
	}
}

// inPlay reports whether a play is being planned on the host, by its index. The mutex is
// held.
func (h *hostRun) inPlay(index int) bool {
	return !h.place.making && len(h.place.at) > 0 && h.place.at[0] == index
}

// underway reports whether a play is being made on the host. The mutex is held.
func (h *hostRun) underway() bool {
	return h.place.making && len(h.place.at) > 1 && h.place.at[1] < roundOver
}

// at is the place of a part of a play on the host.
func (p *playRun) at(part int) []int {
	if p.batch > 0 {
		return []int{p.play.Index, roundBatches, p.batch, part}
	}
	return []int{p.play.Index, roundAll}
}

// stands is the place at which an item is made.
func (it *item) stands() place {
	return place{making: true, at: it.at, rank: it.owner.playRun(it.inst.Task.Play).rank}
}

// hasTurns reports whether hosts may wait for each other inside a play: then its steps'
// places are noted.
func (r *Run) hasTurns(p *plays.Play) bool {
	for _, s := range p.Steps {
		if s.Barrier != nil {
			return true
		}
	}
	for t := range p.Tasks() {
		if t.ActsElsewhere() || t.Once || r.reboots(t) {
			return true
		}
	}
	return false
}
