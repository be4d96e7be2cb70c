package engine

import (
	"slices"

	"muster/internal/lang/plays"
	"muster/internal/wire"
)

// tellRescues tells what would be run where blocks fail, so that nothing is made
// that the plan never named.
func (r *Run) tellRescues() {
	for _, p := range r.o.Playbook.Plays {
		var order []*plays.Block
		hosts := map[*plays.Block][]string{}
		for _, h := range r.order {
			if pr := h.playRun(p); pr != nil {
				for _, b := range pr.rescues() {
					if hosts[b] == nil {
						order = append(order, b)
					}
					hosts[b] = append(hosts[b], h.name)
				}
			}
		}
		for _, b := range order {
			e := &RescueEvent{Play: p.Name, Block: b.Label, Hosts: hosts[b]}
			for t := range plays.TasksOf(b.Rescue) {
				if r.chosen(t) {
					e.Tasks = append(e.Tasks, t.Name())
				}
			}
			if len(e.Tasks) > 0 {
				r.emit(e)
			}
		}
	}
}

// rescues returns the blocks with a rescue in which something is pending or has
// failed already, each once.
func (p *playRun) rescues() []*plays.Block {
	var list []*plays.Block
	var walk func(nodes []*node)
	walk = func(nodes []*node) {
		for _, n := range nodes {
			if n.block == nil {
				continue
			}
			pending := false
			eachNode(n.block.nodes, func(it *item) {
				pending = pending || it.pending() || it.planned != nil && it.planned.Status == wire.Failed
			})
			if b := n.block.block; pending && len(b.Rescue) > 0 && !slices.Contains(list, b) {
				list = append(list, b)
			}
			walk(n.block.nodes)
			walk(n.block.always)
		}
	}
	for _, nodes := range [][]*node{p.before, p.nodes, p.after} {
		walk(nodes)
	}
	return list
}
