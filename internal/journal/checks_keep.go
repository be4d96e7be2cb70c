package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"muster/internal/drift"
)

// keeping is the transaction in which a check is written.
type keeping struct {
	ctx  context.Context
	conn *sql.Conn
}

// insert makes a row and returns its number; 0 where there was one already.
func (k keeping) insert(query string, args ...any) (int64, error) {
	res, err := k.conn.ExecContext(k.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return 0, err
	}
	return res.LastInsertId()
}

// check writes a check under the first id that is free, with all that it found.
func (k keeping) check(c *drift.Check, began Position) error {
	info, err := json.Marshal(checkInfo{c.Playbooks, c.Limit, c.Command, c.Muster, c.By})
	if err != nil {
		return err
	}
	seq := int64(0)
	for n := int(c.Began.UnixMilli() % time.Minute.Milliseconds()); seq == 0; n++ {
		c.ID = fmt.Sprintf("%s-%04x", c.Began.UTC().Format("20060102-1504"), n)
		seq, err = k.insert(`INSERT INTO checks (id, inventory, info, began, ended, outcome, tasks) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			c.ID, c.Inventory, string(info), c.Began.UnixMilli(), c.Ended.UnixMilli(), c.Outcome, int64(began))
		if err != nil {
			return err
		}
	}
	type key struct{ playbook, host string }
	looks := map[key]int64{}
	for i := range c.Looks {
		l := &c.Looks[i]
		id, err := k.insert(`INSERT INTO looks (check_of, playbook, host, error) VALUES (?, ?, ?, ?)`, seq, l.Playbook, l.Host, text(l.Error))
		if err != nil {
			return err
		}
		if l.Error == "" {
			looks[key{l.Playbook, l.Host}] = id
		}
	}
	for i := range c.Items {
		item := &c.Items[i]
		// What a host that wasn't looked at had is known from the last look.
		if look := looks[key{item.Playbook, item.Host}]; look != 0 && item.State != drift.Gone {
			if err := k.item(look, item); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k keeping) item(look int64, i *drift.Item) error {
	d, err := json.Marshal(driftItem{i.Name, i.Role, i.Label, i.Key, i.Kind, i.File, i.Line, i.Certainty})
	if err != nil {
		return err
	}
	changes, sum, err := summed(i.Changes)
	if err != nil {
		return err
	}
	if _, err := k.insert(`INSERT INTO drift_changes (sum, text) VALUES (?, ?) ON CONFLICT (sum) DO NOTHING`, sum, string(changes)); err != nil {
		return err
	}
	_, err = k.insert(`INSERT INTO drifts (look, acts_on, play, path, item, changes, state, since, returned) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		look, i.On, i.Play, i.Path, string(d), sum, string(i.State), i.Since.UnixMilli(), i.Returned)
	return err
}
