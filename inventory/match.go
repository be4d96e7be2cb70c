package inventory

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"muster/internal/spelling"
)

// UnknownNameError is a pattern that names no host and no group.
type UnknownNameError struct {
	Name       string
	Suggestion string // a name that is spelled much like it, or ""
	Alone      bool   // there is no inventory that could have it
}

func (e *UnknownNameError) Error() string {
	s := fmt.Sprintf("no host or group is named %s", quote(e.Name))
	if e.Suggestion != "" {
		s += fmt.Sprintf("; did you mean %s?", quote(e.Suggestion))
	}
	if e.Alone {
		s += "; " + noInventory
	}
	return s
}

// AloneError says that patterns would mean this machine where there is no
// inventory, without its name being written. Nothing is acted on then: the
// reason may be a wrong folder or a forgotten -i.
type AloneError struct{ Patterns []string }

func (e *AloneError) Error() string {
	return fmt.Sprintf("%s names no host: %s", quote(strings.Join(e.Patterns, ",")), noInventory)
}

const noInventory = `there is no inventory (-i names one, or inventory in muster.hcl), and without one this machine is acted on only where "localhost" is written`

// PatternError is a pattern that can't be read.
type PatternError struct {
	Pattern string
	Reason  string
}

func (e *PatternError) Error() string {
	return fmt.Sprintf("pattern %s: %s", quote(e.Pattern), e.Reason)
}

// Match returns the hosts that the patterns name, in the inventory's order.
//
// A pattern is the name of a host or a group, a glob over both ("web*",
// "db[12]", "?"), or "all"; a bracket stands for one character. Hosts are those that any such pattern names, less
// those outside a pattern that begins with "&", less those in one that begins
// with "!"; the order of patterns has no meaning. Where all patterns begin
// with "&" or "!", they start from "all"; no pattern is no host. A pattern may
// be several, separated by commas.
//
// Where there is no inventory (LocalOnly), patterns have to name localhost
// itself: those that don't are an *AloneError.
//
// A bastion is named by its name alone. A glob may name nothing; a name that
// is unknown is an *UnknownNameError, unless the inventory is Partial. The
// error joins all there are.
func (inv *Inventory) Match(patterns []string) ([]*Host, error) {
	var want, within, without []string
	var problems []error
	for _, list := range patterns {
		for p := range strings.SplitSeq(list, ",") {
			p = strings.TrimSpace(p)
			word := strings.TrimSpace(strings.TrimLeft(p, "!&"))
			if err := inv.check(p, word); err != nil {
				problems = append(problems, err)
				continue
			}
			switch p[0] {
			case '!':
				without = append(without, word)
			case '&':
				within = append(within, word)
			default:
				want = append(want, word)
			}
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if inv.alone && len(patterns) > 0 && !slices.Contains(want, localhost) {
		return nil, &AloneError{patterns}
	}
	if len(want) == 0 && len(within)+len(without) > 0 {
		want = []string{All}
	}
	chosen := set{}
	for _, p := range want {
		inv.add(chosen, p)
	}
	for _, p := range within {
		in := set{}
		inv.add(in, p)
		for h := range chosen {
			if !in[h] {
				delete(chosen, h)
			}
		}
	}
	out := set{}
	for _, p := range without {
		inv.add(out, p)
	}
	var hosts []*Host
	for _, list := range [][]*Host{inv.bastions, inv.hosts} {
		for _, h := range list {
			if chosen[h] && !out[h] {
				hosts = append(hosts, h)
			}
		}
	}
	return hosts, nil
}

// set is a set of hosts.
type set map[*Host]bool

// check says what is wrong with pattern p, whose name is word.
func (inv *Inventory) check(p, word string) error {
	switch {
	case p == "":
		return &PatternError{p, "it is empty"}
	case word == "" || len(p)-len(strings.TrimLeft(p, "!&")) > 1:
		return &PatternError{p, "one \"!\" or \"&\" stands before a name"}
	case strings.ContainsAny(word, `*?[\`):
		if _, err := path.Match(word, ""); err != nil {
			return &PatternError{p, "a bracket is not closed"}
		}
		if r := rangeIn(word); r != "" {
			return &PatternError{p, fmt.Sprintf("a bracket stands for one character ([1-3] for 1, 2 or 3), and %s is none: name the hosts, with commas between them, or give them a group", quote(r))}
		}
		return nil
	}
	_, host := inv.byName[word]
	_, group := inv.group[word]
	if host || group || inv.Partial {
		return nil
	}
	if strings.Contains(word, ":") {
		return &PatternError{p, fmt.Sprintf("a colon joins no patterns; write %s: what stands between commas is added, with \"!\" before it taken out, and with \"&\" before it kept alone", quote(strings.ReplaceAll(p, ":", ",")))}
	}
	names := make([]string, 0, len(inv.groups)+len(inv.byName))
	for _, g := range inv.groups {
		names = append(names, g.Name)
	}
	for _, list := range [][]*Host{inv.hosts, inv.bastions} {
		for _, h := range list {
			names = append(names, h.Name)
		}
	}
	return &UnknownNameError{word, spelling.Nearest(word, names), inv.alone}
}

// numbers is a range of numbers of which one has several digits: [1-20] would
// stand for 0, 1 and 2.
var numbers = regexp.MustCompile(`^\^?([0-9]{2,}-[0-9]+|[0-9]+-[0-9]{2,})$`)

// rangeIn returns the first bracket of a glob that looks like a range of names, as
// other tools have them ("web[1:3]"); "" if there is none. As characters it would
// stand for some of them. What is escaped is always a character.
func rangeIn(word string) string {
	begin, in := -1, ""
	for i := 0; i < len(word); i++ {
		switch {
		case word[i] == '\\':
			i++
		case begin < 0 && word[i] == '[':
			begin, in = i, ""
		case begin >= 0 && word[i] == ']':
			if strings.Contains(in, ":") || strings.Contains(in, "..") || numbers.MatchString(in) {
				return word[begin : i+1]
			}
			begin = -1
		default:
			in += word[i : i+1]
		}
	}
	return ""
}

// add puts the hosts that a name or a glob means into s.
func (inv *Inventory) add(s set, word string) {
	if !strings.ContainsAny(word, `*?[\`) {
		if h, ok := inv.byName[word]; ok {
			s[h] = true
		}
		if g, ok := inv.group[word]; ok {
			inv.addGroup(s, g)
		}
		return
	}
	for _, h := range inv.hosts {
		if ok, _ := path.Match(word, h.Name); ok {
			s[h] = true
		}
	}
	for _, g := range inv.groups {
		if ok, _ := path.Match(word, g.Name); ok && g.Name != All {
			inv.addGroup(s, g)
		}
	}
}

func (inv *Inventory) addGroup(s set, g *Group) {
	for _, name := range g.Members {
		s[inv.byName[name]] = true
	}
}
