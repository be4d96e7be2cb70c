package haproxy

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// refusal is what HAProxy says instead of an answer.
func refusal(answer string) error {
	first, _, _ := strings.Cut(strings.TrimSpace(answer), "\n")
	if first == "" {
		return fmt.Errorf("it is empty: %w", errTorn)
	}
	return fmt.Errorf("it is %q", first)
}

// columns finds columns by their names in a header.
func columns(header []string, wanted string) ([]int, error) {
	var at []int
	for _, name := range strings.Fields(wanted) {
		i := slices.Index(header, name)
		if i < 0 {
			return nil, fmt.Errorf("it has no column %s", name)
		}
		at = append(at, i)
	}
	return at, nil
}

// parseStates reads the answer to `show servers state`.
func parseStates(answer string) (rows []row, err error) {
	var at []int
	width := 0
	for line := range strings.Lines(answer) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || at == nil && len(f) == 1 && f[0] == "1":
		case at == nil && f[0] == "#":
			if at, err = columns(f[1:], statesHeader); err != nil {
				return nil, err
			}
			width = len(f) - 1
		case at == nil:
			return nil, refusal(answer)
		case f[0] == "#":
		case len(f) != width:
			return nil, fmt.Errorf("a line has %d fields of %d: %w", len(f), width, errTorn)
		default:
			r := row{BackendID: f[at[0]], Backend: f[at[1]], Name: f[at[2]]}
			for i, into := range []*int{&r.Op, &r.Admin, &r.Weight, &r.Initial, &r.Check, &r.Agent} {
				if *into, err = strconv.Atoi(f[at[3+i]]); err != nil {
					return nil, fmt.Errorf("of the server %s: %w", r.name(), err)
				}
			}
			rows = append(rows, r)
		}
	}
	if at == nil {
		return nil, refusal(answer)
	}
	return rows, nil
}

// addStats adds what the answer to `show stat` tells of the same servers. It has nothing of
// a section that is disabled. Where partly, an answer that is torn is not told from that.
func addStats(rows []row, answer string, partly bool) ([]row, error) {
	stats, err := parseStats(answer)
	if err != nil {
		return nil, err
	}
	backends := map[string]bool{}
	for _, s := range stats {
		backends[s.Backend] = true
	}
	both := make([]row, 0, len(rows))
	for _, r := range rows {
		s, ok := stats[r.name()]
		switch {
		case ok:
			r.Sessions, r.Backup, r.Says, r.Healthy = s.Sessions, s.Backup, s.Says, s.Healthy
			both = append(both, r)
		case !partly || backends[r.Backend]:
			return nil, fmt.Errorf("it lacks the server %s: %w", r.name(), errTorn)
		}
	}
	if len(both) != len(stats) {
		return nil, fmt.Errorf("it has %d servers, and %d are known: %w", len(stats), len(both), errTorn)
	}
	return both, nil
}

// parseStats reads the answer to `show stat`: what it tells of servers, by BACKEND/SERVER.
func parseStats(answer string) (map[string]row, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(answer), "# ")
	if !ok {
		return nil, refusal(answer)
	}
	c := csv.NewReader(strings.NewReader(text))
	c.LazyQuotes = true
	lines, err := c.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	at, err := columns(lines[0], statsHeader)
	if err != nil {
		return nil, err
	}
	all := map[string]row{}
	for _, f := range lines[1:] {
		text := func(i int) string { return f[at[i]] }
		number := func(i int) int { n, _ := strconv.Atoi(text(i)); return n }
		if text(1) == "FRONTEND" || text(1) == "BACKEND" {
			continue
		}
		r := row{Backend: text(0), Name: text(1), Sessions: number(2) + number(3), Backup: number(4) > 0}
		// A check that passes sets its counter to the highest value at once.
		r.Healthy = number(7) > 0 && number(7) >= number(5)+number(6)-1
		r.Says = text(10)
		for _, i := range []int{8, 9} {
			if text(i) != "" {
				r.Says += ", " + text(i)
			}
		}
		all[r.name()] = r
	}
	return all, nil
}
