package mysql

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"muster/host"
)

// answers is a companion that sends the same answer each time.
type answers struct{ a partAnswer }

func (answers) Output(string) (json.RawMessage, error) { return nil, nil }
func (c answers) Receive(context.Context, string, json.RawMessage) (io.ReadCloser, error) {
	line, err := host.Marshal(c.a)
	return io.NopCloser(strings.NewReader(string(line) + "\n")), err
}

func TestAPartThatIsReadAgain(t *testing.T) {
	written := []string{"bin.1|4|Gtid_list|1|9|[]", "bin.1|5|Gtid|1|9|BEGIN GTID 0-1-6", "bin.1|6|Table_map|1|9|table_id: 7 (shop.orders)"}
	altered := []string{"bin.1|4|Gtid_list|1|9|[]", "bin.1|5|Gtid|1|9|GTID 0-1-6", "bin.1|6|Query|1|9|use `shop`; ALTER TABLE orders ADD b INT"}
	for name, c := range map[string]struct {
		alter  func(*fake, *partAnswer)
		fence  bool
		differ string // what differs; "" for nothing
		open   string // why it stays open; "" where it doesn't
	}{
		"the same":        {alter: func(*fake, *partAnswer) {}},
		"another content": {alter: func(f *fake, _ *partAnswer) { f.say("SELECT COUNT(*)", "3|A|C|7|0") }, differ: "rows"},
		"another content of what was written": {alter: func(f *fake, _ *partAnswer) {
			f.say("SELECT COUNT(*)", "3|A|C|7|0")
			f.say("SHOW BINLOG EVENTS", written...)
		}, open: "it was written to meanwhile"},
		"another content behind a fence": {alter: func(f *fake, _ *partAnswer) {
			f.say("SELECT COUNT(*)", "3|A|C|7|0")
			f.say("SHOW BINLOG EVENTS", written...)
		}, fence: true, differ: "rows"},
		"a fence that isn't had":             {alter: func(_ *fake, a *partAnswer) { a.Problem = "its writers don't end" }, fence: true, open: "its writers don't end"},
		"a table that was dropped on both":   {alter: func(f *fake, a *partAnswer) { f.lists(); a.Shape = "" }},
		"a table that isn't there":           {alter: func(f *fake, _ *partAnswer) { f.lists() }, differ: "missing"},
		"a table too many":                   {alter: func(_ *fake, a *partAnswer) { a.Shape = "" }, differ: "extra"},
		"another shape":                      {alter: func(_ *fake, a *partAnswer) { a.Shape = "other" }, differ: "columns"},
		"a shape that has come meanwhile":    {alter: func(f *fake, a *partAnswer) { a.Shape = "other"; f.say("SHOW BINLOG EVENTS", altered...) }, open: "a statement was replicated"},
		"a shape that isn't here yet":        {alter: func(f *fake, a *partAnswer) { a.Shape = "other"; f.say("SELECT MASTER_GTID_WAIT('0-1-9'", "-1") }, open: "hasn't got there yet"},
		"a table that goes while it is read": {alter: func(f *fake, _ *partAnswer) { f.refuse("SELECT COUNT(*)", 1412, "Table definition has changed") }, open: "dropped or altered"},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := checksumFake(t, mariadbVersion)
			f.lists("orders")
			f.say("SELECT COUNT(*)", "3|A|B|7|0")
			h := f.host()
			s, err := connect(t.Context(), viewDialer(host.NewView(h, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			own, err := s.table(t.Context(), "shop", "orders")
			if err != nil || own == nil {
				t.Fatal(own, err)
			}
			a := partAnswer{sums: sums{3, "A B 7"}, Before: "0-1-5", After: "0-1-5", Shape: own.Shape, Listed: [2]string{"0-1-5", "0-1-9"}}
			c.alter(f, &a)
			h.Companions = answers{a}
			into := &comparison{}
			again := &comparer{server: s, maxLag: 10, into: into}
			if err := again.part(t.Context(), h, "db1", openPart{partRequest: partRequest{Schema: "shop", Table: "orders", Fence: c.fence}}); err != nil {
				t.Fatal(err)
			}
			differ, open := "", ""
			for _, d := range into.differences {
				differ += d.What
			}
			for _, p := range into.open {
				open += p.Why
			}
			if differ != c.differ || (open == "") != (c.open == "") || !strings.Contains(open, c.open) {
				t.Errorf("it differs by %q, and %q is open", differ, open)
			}
		})
	}
}

// What the primary answers has the moments that count: its table is listed between two
// positions, behind a fence once more.
func TestThePrimaryAnswersForAPart(t *testing.T) {
	for _, fence := range []bool{false, true} {
		f := newFake(t, mariadbVersion)
		f.lists("orders")
		f.say("SELECT COUNT(*)", "3|A|B|7|0")
		f.say("SELECT @@GLOBAL.gtid_binlog_pos", "0-1-5")
		f.say("SHOW STATUS WHERE Variable_name", "binlog_snapshot_file|bin.1", "binlog_snapshot_position|7")
		f.say("SELECT COALESCE(BINLOG_GTID_POS", "0-1-4")
		s, err := connect(t.Context(), viewDialer(host.NewView(f.host(), nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		q := partRequest{Schema: "shop", Table: "orders", Fence: fence}
		a, err := s.answerPart(t.Context(), q)
		at := map[bool]string{false: "0-1-4", true: "0-1-5"}[fence]
		if err != nil || a.Before != at || a.After != at || a.Listed != [2]string{"0-1-5", "0-1-5"} || a.Rows != 3 || a.Problem != "" {
			t.Errorf("fenced %v: %+v, %v", fence, a, err)
		}
		got := f.statements("LOCK TABLES", "SELECT t.TABLE_SCHEMA")
		if last := got[len(got)-1]; !strings.HasPrefix(last, "SELECT t.TABLE_SCHEMA") || fence != (len(got) == 3) {
			t.Errorf("fenced %v: it is asked %q", fence, got)
		}
		f.refuse("LOCK TABLES", 1205, "Lock wait timeout exceeded")
		f.refuse("SELECT COUNT(*)", 1146, "Table 'shop.orders' doesn't exist")
		if a, err = s.answerPart(t.Context(), q); err != nil || a.Problem == "" {
			t.Errorf("fenced %v, of what can't be read: %+v, %v", fence, a, err)
		}
		// A snapshot whose log is gone has no position, and isn't at the beginning of all.
		f.say("SELECT COALESCE(BINLOG_GTID_POS", "gone")
		if _, err := s.answerPart(t.Context(), partRequest{Schema: "shop", Table: "orders"}); err == nil || !strings.Contains(err.Error(), "is gone already") {
			t.Errorf("%v", err)
		}
	}
}
