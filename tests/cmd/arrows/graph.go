package main

import (
	"cmp"
	"slices"
	"strings"
)

// arrow goes from a file that uses to the one that is used, by their numbers.
type arrow struct{ from, to int }

// graph is files and the arrows between them.
type graph struct {
	packages int
	files    []string
	number   map[string]int
	arrows   map[arrow]names
}

// names is what an arrow is for.
type names map[string]bool

func (n names) String() string {
	var list []string
	for name := range n {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func newGraph(packages int) *graph {
	return &graph{packages: packages, number: map[string]int{}, arrows: map[arrow]names{}}
}

func (g *graph) file(name string) {
	g.number[name] = len(g.files)
	g.files = append(g.files, name)
}

// add adds what a file uses of another; files that aren't the graph's don't count.
func (g *graph) add(from, to, name string) {
	f, ok1 := g.number[from]
	t, ok2 := g.number[to]
	if !ok1 || !ok2 || f == t {
		return
	}
	a := arrow{f, t}
	if g.arrows[a] == nil {
		g.arrows[a] = names{}
	}
	g.arrows[a][name] = true
}

func (g *graph) count() int { return len(g.arrows) }

// circles puts files into groups: two are in one where each can be reached from the
// other. The groups come in an order in which all arrows between them go down, and
// at says which group a file is in.
func (g *graph) circles() (groups [][]int, at []int) {
	reach := make([][]bool, len(g.files))
	for i := range reach {
		reach[i] = make([]bool, len(g.files))
		reach[i][i] = true
	}
	for a := range g.arrows {
		reach[a.from][a.to] = true
	}
	for k := range reach {
		for i := range reach {
			if !reach[i][k] {
				continue
			}
			for j := range reach {
				reach[i][j] = reach[i][j] || reach[k][j]
			}
		}
	}
	at = make([]int, len(g.files))
	for i := range at {
		at[i] = -1
	}
	for i := range g.files {
		if at[i] >= 0 {
			continue
		}
		var group []int
		for j := range g.files {
			if reach[i][j] && reach[j][i] {
				at[j] = len(groups)
				group = append(group, j)
			}
		}
		groups = append(groups, group)
	}
	return groups, at
}

// inCircles is how many arrows lead to a file from which a way leads back.
func (g *graph) inCircles() int {
	_, at := g.circles()
	n := 0
	for a := range g.arrows {
		if at[a.from] == at[a.to] {
			n++
		}
	}
	return n
}

// back returns the arrows against the best order that is found: of each circle a file is
// moved to where the fewest run back up, until none gains by it. That is the least there
// is or close to it, and the same each time.
func (g *graph) back() []arrow {
	groups, _ := g.circles()
	var up []arrow
	for _, group := range groups {
		order := g.order(group)
		place := map[int]int{}
		for i, f := range order {
			place[f] = i
		}
		for a := range g.arrows {
			from, in := place[a.from]
			to, too := place[a.to]
			if in && too && from > to {
				up = append(up, a)
			}
		}
	}
	slices.SortFunc(up, func(a, b arrow) int {
		return cmp.Or(strings.Compare(g.files[a.from], g.files[b.from]), strings.Compare(g.files[a.to], g.files[b.to]))
	})
	return up
}

// order puts the files of a circle into an order, those that use first.
func (g *graph) order(group []int) []int {
	weight := func(above, below int) int { // what it costs to have below under above
		n := 0
		if g.arrows[arrow{below, above}] != nil {
			n++
		}
		if g.arrows[arrow{above, below}] != nil {
			n--
		}
		return n
	}
	// Begin with those that use the most and are used the least.
	score := map[int]int{}
	for _, f := range group {
		for _, o := range group {
			score[f] += weight(o, f)
		}
	}
	order := slices.Clone(group)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(score[b], score[a]) })
	for gained := true; gained; {
		gained = false
		for i := 0; i < len(order); i++ {
			f := order[i]
			best, to, sum := 0, i, 0
			for j := i - 1; j >= 0; j-- { // above what stands at j
				if sum += weight(f, order[j]); sum < best {
					best, to = sum, j
				}
			}
			sum = 0
			for j := i + 1; j < len(order); j++ { // below it
				if sum += weight(order[j], f); sum < best {
					best, to = sum, j
				}
			}
			if to != i {
				order = slices.Insert(slices.Delete(order, i, i+1), to, f)
				gained = true
			}
		}
	}
	return order
}
