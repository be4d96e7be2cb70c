package mysql

import (
	"slices"
	"strings"
	"testing"

	"muster/host"
)

func TestWhatWasWrittenSince(t *testing.T) {
	for name, c := range map[string]struct {
		version, before string
		logs            map[string][]string // lines "TYPE|INFO" of each binary log
		order           []string
		hot, quiet      string // tables, written to and not
		all             string // why nothing can be told
	}{
		"MariaDB, in the same log": {
			version: mariadbVersion, before: "0-1-5", order: []string{"bin.1"},
			logs: map[string][]string{"bin.1": {"Format_desc|", "Gtid_list|[]", "Gtid|BEGIN GTID 0-1-5", "Table_map|table_id: 7 (shop.old)", "Xid|COMMIT",
				"Gtid|BEGIN GTID 0-1-6 cid=9", "Annotate_rows|update", "Table_map|table_id: 8 (shop.hot)", "Xid|COMMIT"}},
			hot: "shop.hot", quiet: "shop.old",
		},
		"MariaDB, in a log before": {
			version: mariadbVersion, before: "0-1-5,3-1-2", order: []string{"bin.1", "bin.2"},
			logs: map[string][]string{
				"bin.1": {"Format_desc|", "Gtid_list|[0-1-4]", "Gtid|BEGIN GTID 0-1-6", "Table_map|table_id: 8 (shop.hot)"},
				"bin.2": {"Format_desc|", "Gtid_list|[0-1-6,\n3-1-2]", "Gtid|BEGIN GTID 0-2-7", "Table_map|table_id: 9 (shop.own)"},
			},
			hot: "shop.hot", quiet: "shop.old",
		},
		"MariaDB, logs that don't reach back": {
			version: mariadbVersion, before: "0-1-5", order: []string{"bin.2"},
			logs: map[string][]string{"bin.2": {"Gtid_list|[0-1-6]"}},
			all:  "don't reach back",
		},
		"MariaDB, a statement": {
			version: mariadbVersion, before: "0-1-5", order: []string{"bin.1"},
			logs: map[string][]string{"bin.1": {"Gtid_list|[]", "Gtid|GTID 0-1-6", "Query|use `shop`; ALTER TABLE quiet ADD b INT"}},
			all:  "a statement was replicated",
		},
		"MariaDB, a statement from before": {
			version: mariadbVersion, before: "0-1-6", order: []string{"bin.1"},
			logs:  map[string][]string{"bin.1": {"Gtid_list|[]", "Gtid|GTID 0-1-6", "Query|use `shop`; ALTER TABLE quiet ADD b INT"}},
			quiet: "shop.quiet",
		},
		"MariaDB, a transaction that was prepared before": {
			version: mariadbVersion, before: "0-1-6", order: []string{"bin.1"},
			logs: map[string][]string{"bin.1": {"Gtid_list|[]", "Gtid|XA START X'31' GTID 0-1-6", "Table_map|table_id: 8 (shop.quiet)", "XA_prepare|XA PREPARE X'31'", "Gtid|GTID 0-1-7", "Query|XA COMMIT X'31',X'',1"}},
			all:  "committed meanwhile that was logged before",
		},
		"MariaDB, a file that was loaded": {
			version: mariadbVersion, before: "0-1-5", order: []string{"bin.1"},
			logs: map[string][]string{"bin.1": {"Gtid_list|[]", "Gtid|BEGIN GTID 0-1-6", "Begin_load_query|;file_id=1;block_len=9", "Execute_load_query|use `shop`; LOAD DATA"}},
			all:  "Begin_load_query",
		},
		"MySQL, what has no GTID": {
			version: mysql84, before: uuidA + ":1-5", order: []string{"bin.1"},
			logs: map[string][]string{"bin.1": {"Previous_gtids|", "Gtid|SET @@SESSION.GTID_NEXT= '" + uuidA + ":5'", "Xid|COMMIT", "Anonymous_Gtid|SET @@SESSION.GTID_NEXT= 'ANONYMOUS'", "Query|BEGIN", "Table_map|table_id: 8 (shop.hot)"}},
			hot:  "shop.hot", quiet: "shop.old",
		},
		"MySQL": {
			version: mysql84, before: uuidA + ":1-5", order: []string{"bin.1"},
			logs: map[string][]string{"bin.1": {"Previous_gtids|" + uuidA + ":1-4", "Gtid|SET @@SESSION.GTID_NEXT= '" + uuidA + ":5'", "Query|BEGIN", "Table_map|table_id: 7 (shop.old)", "Xid|",
				"Gtid|SET @@SESSION.GTID_NEXT= '" + uuidA + ":6'", "Query|BEGIN", "Table_map|table_id: 8 (sh.op.hot)", "Xid|COMMIT"}},
			hot: "sh.op.hot", quiet: "shop.old",
		},
		"MySQL with tags": {
			version: mysql97, before: uuidA + ":1-5", order: []string{"bin.1"},
			logs: map[string][]string{"bin.1": {"Previous_gtids|", "Gtid_tagged|SET @@SESSION.GTID_NEXT= '" + uuidA + ":tag:1'", "Query|BEGIN", "Table_map|table_id: 8 (shop.hot)"}},
			hot:  "shop.hot", quiet: "shop.old",
		},
		"MySQL, compressed": {
			version: mysql84, before: uuidA + ":1-5", order: []string{"bin.1"},
			logs: map[string][]string{"bin.1": {"Previous_gtids|", "Gtid|SET @@SESSION.GTID_NEXT= '" + uuidA + ":6'", "Transaction_payload|compression='ZSTD'"}},
			all:  "compressed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, c.version)
			for log, lines := range c.logs {
				var rows []string
				for _, l := range lines {
					rows = append(rows, log+"|4|"+strings.Replace(l, "|", "|1|9|", 1))
				}
				f.say("SHOW BINLOG EVENTS IN '"+log+"'", rows...)
			}
			f.say("SHOW BINARY LOGS", c.order...)
			s, err := connect(t.Context(), viewDialer(host.NewView(f.host(), nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got, err := s.touched(t.Context(), c.before)
			if err != nil {
				t.Fatal(err)
			}
			if c.all != "" {
				if why := got.has("shop", "any", false); !strings.Contains(why, c.all) {
					t.Errorf("%q doesn't say %q", why, c.all)
				}
				return
			}
			at := strings.LastIndex(c.hot, ".")
			if c.hot != "" && got.has(c.hot[:at], c.hot[at+1:], false) == "" {
				t.Errorf("%s is said to be as it was: %v", c.hot, got.tables)
			}
			schema, table, _ := strings.Cut(c.quiet, ".")
			if why := got.has(schema, table, false); why != "" {
				t.Errorf("%s: %s", c.quiet, why)
			}
		})
	}
}

// A log of a day has millions of events, of which those since the position count.
func TestWhatWasReadOfALogIsNotReadAgain(t *testing.T) {
	since, err := mariadb.moment("0-1-5")
	if err != nil {
		t.Fatal(err)
	}
	r := &eventReader{since: since, into: &touched{tables: map[[2]string]bool{}}, limit: 3}
	for range 10 {
		for _, e := range [][2]string{{"Gtid", "BEGIN GTID 0-1-4"}, {"Table_map", "table_id: 7 (shop.old)"}, {"Xid", "COMMIT"}} {
			if more, err := r.read(e[0], e[1]); !more || err != nil {
				t.Fatalf("%q, %v", r.into.all, err)
			}
		}
	}
	f := newFake(t, mariadbVersion)
	f.say("SHOW BINARY LOGS", "bin.1")
	f.say("SHOW BINLOG EVENTS IN 'bin.1'", "bin.1|4|Gtid_list|1|9|[]", "bin.1|10|Gtid|1|9|BEGIN GTID 0-1-5", "bin.1|20|Xid|1|9|COMMIT", "bin.1|30|Gtid|1|9|BEGIN GTID 0-1-6", "bin.1|40|Table_map|1|9|table_id: 8 (shop.hot)", "bin.1|50|Gtid|1|9|BEGIN GTID 0-1-7")
	s, err := connect(t.Context(), viewDialer(host.NewView(f.host(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, before := range []string{"0-1-5", "0-1-6", "0-1-4"} {
		if _, err := s.touched(t.Context(), before); err != nil {
			t.Fatal(err)
		}
	}
	got := slices.DeleteFunc(f.statements("SHOW BINLOG EVENTS"), func(q string) bool { return strings.HasSuffix(q, "LIMIT 3") })
	want := []string{"SHOW BINLOG EVENTS IN 'bin.1'", "SHOW BINLOG EVENTS IN 'bin.1' FROM 30", "SHOW BINLOG EVENTS IN 'bin.1'"}
	if !slices.Equal(got, want) {
		t.Errorf("it is asked %q", got)
	}
}

func TestPartsOfTablesInSQL(t *testing.T) {
	pairs := &table{Schema: "a`b", Name: "t", key: []keyColumn{{"a", asText}, {"b", asHex}}}
	for _, c := range []struct {
		part span
		want string
	}{
		{span{}, ""},
		{span{From: []string{"x'y", "00ff"}}, " WHERE `a` >= 'x''y' AND ((`a` > 'x''y') OR (`a` = 'x''y' AND `b` > x'00ff'))"},
		{span{To: []string{"1", ""}}, " WHERE `a` <= '1' AND ((`a` < '1') OR (`a` = '1' AND `b` <= x''))"},
	} {
		if got, err := pairs.where(c.part); err != nil || got != c.want {
			t.Errorf("%v is %q, %v", c.part, got, err)
		}
	}
	// What another host tells is data.
	numbers := &table{Schema: "a", Name: "t", key: []keyColumn{{"n", asNumber}}}
	for _, n := range []string{"-5", "18446744073709551615", "12345678901234567890.50"} {
		// Between quotes the last digits wouldn't count.
		if got, err := numbers.where(span{To: []string{n}}); err != nil || got != " WHERE `n` <= "+n+" AND ((`n` <= "+n+"))" {
			t.Errorf("%s is %q, %v", n, got, err)
		}
	}
	for _, n := range []string{"", "1e5", "1 OR 1", "a", "--1"} {
		if got, err := numbers.where(span{To: []string{n}}); err == nil {
			t.Errorf("%q is taken: %s", n, got)
		}
	}
	for _, values := range [][]string{{"1"}, {"1", "x'; DROP"}, {"1", "2", "3"}} {
		if got, err := pairs.where(span{From: values}); err == nil {
			t.Errorf("%q is taken: %s", values, got)
		}
	}
}

func TestChecksumSourceSendsWhatItsTaskMayAsk(t *testing.T) {
	f := newFake(t, mariadbVersion)
	c := &ChecksumSource{Databases: []string{"shop"}, Chunk: 10}
	for _, request := range []string{`{"database":"mysql","table":"user"}`, `{"database":"other","table":"t"}`, `{"database":"shop","table":"t","fence":true}`} {
		var sent strings.Builder
		if err := c.Send(t.Context(), f.host(), []byte(request), &sent); err == nil || sent.Len() > 0 {
			t.Errorf("%s: %v, %q is sent", request, err, sent.String())
		}
	}
	c.Databases = nil
	if err := c.Send(t.Context(), f.host(), []byte(`{"database":"mysql","table":"user"}`), &strings.Builder{}); err == nil {
		t.Error("the server's own tables are sent")
	}
}
