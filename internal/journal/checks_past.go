package journal

import (
	"database/sql"
	"slices"
	"strings"
	"time"

	"muster/internal/drift"
)

// PastDrift returns what the last checks of a check's playbooks and inventory found, at
// most so many, its own included where it is kept.
func (j *Journal) PastDrift(c *drift.Check, most int) (p drift.Past, err error) {
	defer func() { err = j.explain("reading", err) }()
	if ok, err := j.hasChecks(); err != nil || !ok || len(c.Playbooks) == 0 {
		return p, err
	}
	playbooks := strings.TrimSuffix(strings.Repeat("?, ", len(c.Playbooks)), ", ")
	var names []any
	for _, name := range c.Playbooks {
		names = append(names, name)
	}
	at := map[int64]int{} // the column of each check
	var seqs []int64
	err = j.query(func(rows *sql.Rows) error {
		var seq, began int64
		if err := rows.Scan(&seq, &began); err != nil {
			return err
		}
		seqs, p.Checks = append(seqs, seq), append(p.Checks, time.UnixMilli(began).UTC())
		return nil
	}, `SELECT c.seq, c.began FROM checks c WHERE c.inventory = ? AND EXISTS (SELECT 1 FROM looks l WHERE l.check_of = c.seq AND l.playbook IN (`+playbooks+`)) ORDER BY c.seq DESC LIMIT ?`,
		slices.Concat([]any{c.Inventory}, names, []any{most})...)
	if err != nil || len(seqs) == 0 {
		return p, err
	}
	slices.Reverse(seqs)
	slices.Reverse(p.Checks)
	for i, seq := range seqs {
		at[seq] = i
	}
	hosts, tasks := rowsOf{list: &p.Hosts, wide: len(seqs)}, rowsOf{list: &p.Tasks, wide: len(seqs)}
	since := slices.Concat([]any{seqs[0]}, names)
	err = j.query(func(rows *sql.Rows) error {
		var seq int64
		var host string
		var unchecked bool
		var n int
		if err := rows.Scan(&seq, &host, &unchecked, &n); err != nil {
			return err
		}
		if column, ok := at[seq]; ok {
			f := &hosts.of(host).Found[column]
			f.Looked, f.Unchecked, f.N = true, f.Unchecked || unchecked, f.N+n
		}
		return nil
	}, `SELECT l.check_of, l.host, l.error IS NOT NULL, count(d.id) FROM looks l LEFT JOIN drifts d ON d.look = l.id
		WHERE l.check_of >= ? AND l.playbook IN (`+playbooks+`) GROUP BY l.id ORDER BY l.host`, since...)
	if err != nil {
		return p, err
	}
	err = j.query(func(rows *sql.Rows) error {
		var seq int64
		var role, name string
		var n int
		if err := rows.Scan(&seq, &role, &name, &n); err != nil {
			return err
		}
		if role != "" {
			name = "role." + role + " " + name
		}
		if column, ok := at[seq]; ok {
			tasks.of(name).Found[column].N += n
		}
		return nil
	}, `SELECT l.check_of, coalesce(json_extract(d.item, '$.role'), ''), json_extract(d.item, '$.name'), count(*) FROM drifts d JOIN looks l ON d.look = l.id
		WHERE l.check_of >= ? AND l.playbook IN (`+playbooks+`) GROUP BY l.check_of, l.playbook, d.play, d.path ORDER BY 2, 3`, since...)
	if err != nil {
		return p, err
	}
	for _, r := range p.Tasks { // each check was about all of its tasks
		for i := range r.Found {
			r.Found[i].Looked = true
		}
	}
	p.Sort()
	return p, nil
}

// rowsOf makes the rows of a table as they are asked for.
type rowsOf struct {
	list *[]drift.PastRow
	wide int
	at   map[string]int
}

func (r *rowsOf) of(name string) *drift.PastRow {
	i, ok := r.at[name]
	if !ok {
		if r.at == nil {
			r.at = map[string]int{}
		}
		i = len(*r.list)
		r.at[name] = i
		*r.list = append(*r.list, drift.PastRow{Name: name, Found: make([]drift.Found, r.wide)})
	}
	return &(*r.list)[i]
}
