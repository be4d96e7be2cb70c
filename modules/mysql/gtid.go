package mysql

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// interval is transactions of one source, the first and the last.
type interval struct{ first, last uint64 }

// gtidSet is transactions as MySQL names them: by source, a server's UUID with a tag behind it
// where there is one ("uuid:tag"), the intervals of their numbers, in order, apart.
type gtidSet map[string][]interval

var (
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	tagForm  = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,31}$`)
)

// parseGTIDSet reads "UUID:1-5:8,UUID:tag:1-3:other:7", as gtid_executed is.
func parseGTIDSet(text string) (gtidSet, error) {
	set := gtidSet{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.ToLower(strings.Join(strings.Fields(part), ""))
		if part == "" {
			continue
		}
		fields := strings.Split(part, ":")
		uuid := fields[0]
		if !uuidForm.MatchString(uuid) || len(fields) == 1 {
			return nil, fmt.Errorf("%q is no set of GTIDs", oneLine(part, 80))
		}
		source := uuid
		for _, f := range fields[1:] {
			if tagForm.MatchString(f) {
				source = uuid + ":" + f
				continue
			}
			from, to, span := strings.Cut(f, "-")
			if !span {
				to = from
			}
			first, err1 := strconv.ParseUint(from, 10, 63)
			last, err2 := strconv.ParseUint(to, 10, 63)
			if err1 != nil || err2 != nil || first == 0 || last < first {
				return nil, fmt.Errorf("%q is no set of GTIDs", oneLine(part, 80))
			}
			set[source] = append(set[source], interval{first, last})
		}
	}
	for source, list := range set {
		set[source] = joined(list)
	}
	return set, nil
}

// joined puts intervals in order, those that touch in one.
func joined(list []interval) []interval {
	slices.SortFunc(list, func(a, b interval) int { return cmp.Compare(a.first, b.first) })
	var out []interval
	for _, i := range list {
		if n := len(out); n > 0 && i.first <= out[n-1].last+1 {
			out[n-1].last = max(out[n-1].last, i.last)
			continue
		}
		out = append(out, i)
	}
	return out
}

// and returns both sets in one.
func (s gtidSet) and(o gtidSet) gtidSet {
	all := gtidSet{}
	for _, set := range []gtidSet{s, o} {
		for source, list := range set {
			all[source] = joined(append(slices.Clone(all[source]), list...))
		}
	}
	return all
}

// minus returns what is in s and not in o.
func (s gtidSet) minus(o gtidSet) gtidSet {
	rest := gtidSet{}
	for source, list := range s {
		var left []interval
		for _, i := range list {
			for _, cut := range o[source] {
				if cut.last < i.first || i.first > i.last {
					continue
				}
				if cut.first > i.last {
					break
				}
				if cut.first > i.first {
					left = append(left, interval{i.first, cut.first - 1})
				}
				i.first = cut.last + 1
			}
			if i.first <= i.last {
				left = append(left, i)
			}
		}
		if left != nil {
			rest[source] = left
		}
	}
	return rest
}

// without returns s without what a server has made, with any tag.
func (s gtidSet) without(uuid string) gtidSet {
	rest := gtidSet{}
	for source, list := range s {
		if by, _, _ := strings.Cut(source, ":"); by != strings.ToLower(uuid) {
			rest[source] = list
		}
	}
	return rest
}

// holds reports whether all of o is in s.
func (s gtidSet) holds(o gtidSet) bool { return len(o.minus(s)) == 0 }

// count is how many transactions s has.
func (s gtidSet) count() (n uint64) {
	for _, list := range s {
		for _, i := range list {
			n += i.last - i.first + 1
		}
	}
	return n
}

// String writes it as parseGTIDSet reads it, in order.
func (s gtidSet) String() string {
	var parts []string
	for _, source := range slices.Sorted(maps.Keys(s)) {
		text := source
		for _, i := range s[source] {
			text += ":" + strconv.FormatUint(i.first, 10)
			if i.last > i.first {
				text += "-" + strconv.FormatUint(i.last, 10)
			}
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ",")
}

// gtid is a transaction as MariaDB names it: "0-1-57", the domain, the server that has made
// it, and its number, which grows within a domain whichever server makes them.
type gtid struct {
	domain, server uint32
	seq            uint64
}

func (g gtid) String() string { return fmt.Sprintf("%d-%d-%d", g.domain, g.server, g.seq) }

// gtidList is MariaDB's positions and states: the last transaction of each domain, or of each
// domain and server. All that come before are had, too.
type gtidList []gtid

// parseGTIDList reads "0-1-57,0-2-60".
func parseGTIDList(text string) (list gtidList, err error) {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		var g gtid
		fields := strings.Split(part, "-")
		if len(fields) != 3 {
			return nil, fmt.Errorf("%q is no GTID", oneLine(part, 80))
		}
		domain, err1 := strconv.ParseUint(fields[0], 10, 32)
		server, err2 := strconv.ParseUint(fields[1], 10, 32)
		g.seq, err = strconv.ParseUint(fields[2], 10, 64)
		if err1 != nil || err2 != nil || err != nil {
			return nil, fmt.Errorf("%q is no GTID", oneLine(part, 80))
		}
		g.domain, g.server = uint32(domain), uint32(server)
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b gtid) int {
		return cmp.Or(cmp.Compare(a.domain, b.domain), cmp.Compare(a.server, b.server), cmp.Compare(a.seq, b.seq))
	})
	return list, nil
}

// last is the highest number of a domain; ok is false where the list has none of it.
func (l gtidList) last(domain uint32) (seq uint64, ok bool) {
	for _, g := range l {
		if g.domain == domain {
			seq, ok = max(seq, g.seq), true
		}
	}
	return seq, ok
}

// made is the highest number of a domain that a server has made.
func (l gtidList) made(domain, server uint32) (seq uint64, ok bool) {
	for _, g := range l {
		if g.domain == domain && g.server == server {
			seq, ok = max(seq, g.seq), true
		}
	}
	return seq, ok
}

// reaches reports whether a position has all that another has.
func (l gtidList) reaches(o gtidList) bool {
	for _, g := range o {
		if seq, ok := l.last(g.domain); !ok || seq < g.seq {
			return false
		}
	}
	return true
}

// behind is by how many transactions a position is behind another.
func (l gtidList) behind(o gtidList) (n uint64) {
	for _, g := range o.position() {
		if seq, _ := l.last(g.domain); seq < g.seq {
			n += g.seq - seq
		}
	}
	return n
}

// position is the last of each domain.
func (l gtidList) position() (p gtidList) {
	for _, g := range l {
		if n := len(p); n > 0 && p[n-1].domain == g.domain {
			if g.seq > p[n-1].seq {
				p[n-1] = g
			}
			continue
		}
		p = append(p, g)
	}
	return p
}

// String writes it as parseGTIDList reads it.
func (l gtidList) String() string {
	var parts []string
	for _, g := range l {
		parts = append(parts, g.String())
	}
	return strings.Join(parts, ",")
}
