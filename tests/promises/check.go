package promises

import "fmt"

// Check returns what is wrong with promises, as the source of the tree at root
// shows it.
func Check(root string, list []Promise) []Problem {
	var problems []Problem
	source := NewSource(root)
	said := map[string]int{}
	for _, p := range list {
		if first, ok := said[p.Text]; ok {
			problems = append(problems, Problem{p.Line, fmt.Sprintf("this is promised in line %d, too", first)})
		}
		said[p.Text] = p.Line
		for _, t := range p.Tests {
			err := source.Has(t)
			if err == nil {
				err = CheckCommand(root, p.Command, t)
			}
			if err != nil {
				problems = append(problems, Problem{p.Line, err.Error()})
			}
		}
	}
	return problems
}
