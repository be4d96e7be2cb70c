package inventory

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Origin says where a variable or a setting of a host has its value from.
type Origin struct {
	Name  string
	Value cty.Value // null: given as null, which turns off what it beat
	Where string    // "host", "group db", "source program.cloud", "defaults"
	At    hcl.Range // of the value's place in a file
	Beat  []Origin  // values that it stands before, those of groups in the order of declaration; their Beat is empty
}

// Origins says for each variable of the host where its value is from and what
// it beat: the host's own first, then its groups', each in order of
// declaration.
func (h *Host) Origins() []Origin {
	return origins(h.node.vars, h.groups.vars, nil)
}

// Connection says the same of the settings that are given: address, user,
// via, port, identity, connection.
func (h *Host) Connection() []Origin {
	return origins(h.node.settings, h.groups.settings, h.below)
}

func origins(own []assignment, groups []choice, below []*scope) []Origin {
	var list []Origin
	index := map[string]int{}
	add := func(o Origin) {
		i, taken := index[o.Name]
		if !taken {
			index[o.Name] = len(list)
			list = append(list, o)
			return
		}
		list[i].Beat = append(list[i].Beat, o)
	}
	for _, a := range own {
		add(origin(definition{where: "host", assignment: a}))
	}
	for _, c := range groups {
		add(origin(c.definition))
		for _, d := range c.beat {
			add(origin(d))
		}
	}
	for _, s := range below {
		for _, a := range s.settings {
			add(origin(definition{where: s.where, assignment: a}))
		}
	}
	return list
}

func origin(d definition) Origin {
	return Origin{Name: d.name, Value: d.value, Where: d.where, At: d.at}
}
