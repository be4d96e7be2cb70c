package drift

import (
	"cmp"
	"slices"
)

// Compare fills the check's Items: what its looks found, held against what is known
// from the checks before, by place.
func (c *Check) Compare(last map[Place]Last) {
	c.Items = nil
	for i := range c.Looks {
		l := &c.Looks[i]
		found := map[Place]bool{}
		for _, item := range l.Items {
			found[item.Place] = true
			before, known := last[item.Place]
			c.Items = append(c.Items, c.compared(item, before, known))
		}
		for place, before := range last {
			if place.Playbook != l.Playbook || place.Host != l.Host || found[place] || before.Quiet > 0 {
				continue
			}
			item := before.Item
			item.Altered, item.PutRight, item.Known = false, Run{}, nil
			switch {
			case l.Error != "" || l.Partial && !l.Settled[place]:
				item.State = Unchecked
			default:
				item.State, item.PutRight, item.Contested = Gone, before.PutRight, false
			}
			c.Items = append(c.Items, item)
		}
	}
	rank := map[State]int{New: 0, Still: 1, Gone: 2, Unchecked: 3}
	slices.SortStableFunc(c.Items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(rank[a.State], rank[b.State]), cmp.Compare(a.Playbook, b.Playbook), cmp.Compare(a.Host, b.Host),
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path), cmp.Compare(a.On, b.On))
	})
}

// compared is an item with what its past says of it.
func (c *Check) compared(item Item, before Last, known bool) Item {
	item.State, item.Since = New, c.Began
	switch {
	case !known || before.Quiet >= ContestedAfter:
		return item
	case before.Quiet == 0 && before.PutRight.ID == "":
		item.State, item.Since, item.Returned = Still, before.Since, before.Returned
		item.Altered = before.Same != nil && !before.Same(item.Changes)
	default: // somebody put it right, and it is back
		item.Returned, item.PutRight = before.Returned+1, before.PutRight
	}
	item.Contested = item.Returned >= ContestedAfter
	return item
}
