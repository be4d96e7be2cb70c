package mysql

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
)

// told is a companion that has told something, and sends nothing.
type told struct{ out sourceOutput }

func (c told) Output(string) (json.RawMessage, error) { return host.Marshal(c.out) }
func (told) Receive(context.Context, string, json.RawMessage) (io.ReadCloser, error) {
	return nil, errors.New("nothing is sent")
}

// checksumFake is a replica of the server with the number 1, and what that tells of itself.
func checksumFake(t *testing.T, version string) (*fake, *sourceOutput) {
	t.Helper()
	f := replicaFake(t, version)
	from := &sourceOutput{Flavor: mariadb, ServerID: 1, Before: "0-1-5", After: "0-1-5"}
	status := []string{"Master_Host=10.0.1.31", "Master_Port=3306", "Slave_IO_Running=Yes", "Slave_SQL_Running=Yes", "Master_Server_Id=1", "Seconds_Behind_Master=0"}
	if version != mariadbVersion {
		*from = sourceOutput{Flavor: mysqlOwn, ServerID: 1, UUID: uuidA, Before: uuidA + ":1-5", After: uuidA + ":1-5"}
		f.sayNamed("SHOW REPLICA STATUS", "Source_Host=10.0.1.31", "Source_Port=3306", "Replica_IO_Running=Yes", "Replica_SQL_Running=Yes", "Source_Server_Id=1", "Source_UUID="+uuidA, "Seconds_Behind_Source=0")
		f.say("SELECT WAIT_FOR_EXECUTED_GTID_SET", "0")
	} else {
		f.sayNamed("SHOW ALL SLAVES STATUS", status...)
		f.say("SELECT MASTER_GTID_WAIT", "0")
	}
	f.say("SHOW BINARY LOGS", "bin.1|100")
	f.say("SHOW BINLOG EVENTS", "bin.1|4|Gtid_list|1|9|[]")
	return f, from
}

// lists has the fake tell tables of shop with a key of their own: "orders".
func (f *fake) lists(names ...string) {
	var tables, columns, keys []string
	for _, n := range names {
		tables = append(tables, "shop|"+n+"|3|YES")
		columns = append(columns, "shop|"+n+"|id|int||", "shop|"+n+"|what|varchar|utf8mb4|utf8mb4_bin")
		keys = append(keys, "shop|"+n+"|id|0")
	}
	f.say("SELECT t.TABLE_SCHEMA", tables...)
	f.say("SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE", columns...)
	f.say("SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COALESCE(SUB_PART", keys...)
}

// lists returns what the primary tells of tables that are as f has them.
func (o *sourceOutput) has(t *testing.T, f *fake) {
	t.Helper()
	list, err := asking(t.Context(), host.NewView(f.host(), nil), func(s *server) ([]*table, error) { return s.tables(t.Context(), nil) })
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range list {
		o.Tables = append(o.Tables, sourceTable{table: *at, Before: o.Before, After: o.After, Parts: []part{{span{}, sums{3, "A B 7"}}}})
	}
}

func planChecksum(t *testing.T, f *fake, from *sourceOutput, c Checksum) (modules.Plan, error) {
	t.Helper()
	c.Primary, c.Chunk, c.MaxLag = "db1", 100, 10
	h := f.host()
	h.Companions = told{*from}
	return c.Plan(t.Context(), host.NewView(h, nil))
}

func TestAReplicaIsComparedWithItsOwnPrimaryAlone(t *testing.T) {
	for name, c := range map[string]struct {
		version string
		alter   func(*fake, *sourceOutput)
		want    string
	}{
		"MariaDB, another server": {mariadbVersion, func(_ *fake, o *sourceOutput) { o.ServerID = 7 }, "replicates from 10.0.1.31:3306, whose server_id is 1, and not from db1, whose server_id is 7"},
		"MySQL, another server":   {mysql84, func(_ *fake, o *sourceOutput) { o.UUID = uuidB }, "replicates from 10.0.1.31:3306"},
		"nobody has answered": {mariadbVersion, func(f *fake, _ *sourceOutput) {
			f.sayNamed("SHOW ALL SLAVES STATUS", "Master_Host=10.0.1.31", "Master_Port=3306", "Slave_IO_Running=No", "Slave_SQL_Running=Yes", "Master_Server_Id=0")
		}, "nobody has answered this host's server at 10.0.1.31:3306"},
		"itself":      {mariadbVersion, func(_ *fake, o *sourceOutput) { o.ServerID = 2 }, "is that of db1 itself"},
		"no database": {mariadbVersion, func(_ *fake, o *sourceOutput) { o.Missing = []string{"shopp"} }, `db1 has no database "shopp"`},
		"a log with holes": {mariadbVersion, func(f *fake, _ *sourceOutput) {
			f.sayNamed("SHOW MASTER STATUS", "File=bin.1", "Binlog_Do_DB=", "Binlog_Ignore_DB=shop")
		}, "binlog_ignore_db = shop"},
	} {
		t.Run(name, func(t *testing.T) {
			f, from := checksumFake(t, c.version)
			f.lists("orders")
			from.has(t, f)
			c.alter(f, from)
			plan, err := planChecksum(t, f, from, Checksum{Databases: []string{"shop", "shopp"}})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "asking the database server") {
				t.Errorf("%v, and not %q", err, c.want)
			}
			if len(plan.Output) > 0 || len(f.statements("SELECT COUNT(*)")) > 0 {
				t.Errorf("rows were read: %s", plan.Output)
			}
			var at modules.ArgError
			if name == "no database" && (!errors.As(err, &at) || at.Arg+at.Path != "databases[1]") {
				t.Errorf("it isn't placed: %+v", at)
			}
		})
	}
}

func TestDifferencesAreInTheOutputOfATaskThatFails(t *testing.T) {
	f, from := checksumFake(t, mariadbVersion)
	f.lists("orders")
	from.has(t, f)
	f.say("SELECT COUNT(*)", "3|A|C|7|0")
	plan, err := planChecksum(t, f, from, Checksum{})
	if err == nil || !strings.Contains(err.Error(), "shop.orders: 3 rows on both, of other content") {
		t.Fatal(err)
	}
	var out ChecksumOutput
	if err := json.Unmarshal(plan.Output, &out); err != nil || len(out.Differences) != 1 || out.Differences[0].Table != "orders" {
		t.Errorf("%s, %v", plan.Output, err)
	}
	f.say("SELECT COUNT(*)", "3|A|B|7|0")
	if plan, err = planChecksum(t, f, from, Checksum{}); err != nil || len(plan.Changes) > 0 {
		t.Errorf("%v, %v", plan, err)
	}
}

func TestDifferencesThatDoNotFailAreTold(t *testing.T) {
	f, from := checksumFake(t, mariadbVersion)
	f.lists("orders")
	from.has(t, f)
	f.say("SELECT COUNT(*)", "3|A|C|7|0")
	no := false
	plan, err := planChecksum(t, f, from, Checksum{Fail: &no})
	if err != nil || len(plan.Changes) > 0 || len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "Differs from db1: shop.orders: 3 rows on both") {
		t.Errorf("%q, %v", plan.Notes, err)
	}
	many := ChecksumOutput{Differences: make([]Difference, 5000)} // a plan with as many notes isn't taken
	if notes := many.notes("db1"); len(notes) != 51 || notes[50] != "Differs from db1: 4,950 more." {
		t.Errorf("%d notes, the last %q", len(notes), notes[len(notes)-1])
	}
}

func TestNothingToCompareIsTold(t *testing.T) {
	errs := (&Checksum{Databases: []string{}, Chunk: 1, MaxLag: 1}).Check(func(string) bool { return false })
	if len(errs) != 1 || errs[0].Arg != "databases" {
		t.Errorf("of an empty list: %v", errs)
	}
	f, from := checksumFake(t, mariadbVersion)
	plan, err := planChecksum(t, f, from, Checksum{Databases: []string{"shop"}})
	if err != nil || len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "Nothing is proved: db1 has no tables in shop") {
		t.Errorf("%q, %v", plan.Notes, err)
	}
}

// What the replica's log tells of the time between both readings decides.
func TestATableThatMayHaveBeenAlteredMeanwhileIsNotProved(t *testing.T) {
	created := []string{"bin.1|4|Gtid_list|1|9|[]", "bin.1|5|Gtid|1|9|GTID 0-1-6", "bin.1|6|Query|1|9|use `shop`; CREATE TABLE more (id INT PRIMARY KEY)"}
	parent := []string{"bin.1|4|Gtid_list|1|9|[]", "bin.1|5|Gtid|1|9|BEGIN GTID 0-1-6", "bin.1|6|Table_map|1|9|table_id: 7 (shop.parents)"}
	for name, c := range map[string]struct {
		alter func(*fake, *sourceOutput)
		open  bool
		want  string
	}{
		// The primary had it already when it took the table's snapshot: what it had when it was asked for
		// its tables counts.
		"a table that was made while they were listed": {func(f *fake, o *sourceOutput) {
			o.After, o.Tables[0].Before, o.Tables[0].After = "0-1-6", "0-1-6", "0-1-6"
			f.lists()
			f.say("SHOW BINLOG EVENTS", created...)
		}, true, "a statement was replicated"},
		"a table that isn't there": {func(f *fake, _ *sourceOutput) { f.lists() }, false, "isn't on this host"},
		"rows that follow a foreign key": {func(f *fake, _ *sourceOutput) {
			f.say("SELECT COUNT(*)", "3|A|C|7|0")
			f.say("SHOW BINLOG EVENTS", parent...)
			f.say("SELECT UNIQUE_CONSTRAINT_SCHEMA", "shop|children|shop|orders", "shop|parents|shop|children")
		}, true, "it was written to meanwhile"},
		"rows beside such a table": {func(f *fake, _ *sourceOutput) {
			f.say("SELECT COUNT(*)", "3|A|C|7|0")
			f.say("SHOW BINLOG EVENTS", parent...)
			f.say("SELECT UNIQUE_CONSTRAINT_SCHEMA", "shop|parents|shop|children")
		}, false, "of other content"},
		"what triggers do here": {func(f *fake, _ *sourceOutput) {
			f.say("SELECT COUNT(*)", "3|A|C|7|0")
			f.say("SHOW BINLOG EVENTS", parent...)
			f.say("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('slave_run", "slave_run_triggers_for_rbr|YES")
		}, true, "triggers alter tables"},
		"a replica that hasn't got there": {func(f *fake, _ *sourceOutput) {
			f.lists()
			f.say("SELECT MASTER_GTID_WAIT", "-1")
		}, true, "hasn't got there yet"},
	} {
		t.Run(name, func(t *testing.T) {
			f, from := checksumFake(t, mariadbVersion)
			f.lists("orders")
			from.has(t, f)
			c.alter(f, from)
			plan, err := planChecksum(t, f, from, Checksum{})
			switch {
			case c.open && err != nil, !c.open && err == nil:
				t.Errorf("%v", err)
			case c.open && (len(plan.Changes) != 1 || !strings.Contains(strings.Join(plan.Notes, " "), c.want)):
				t.Errorf("%q, and not %q", plan.Notes, c.want)
			case !c.open && !strings.Contains(err.Error(), c.want):
				t.Errorf("%v, and not %q", err, c.want)
			}
		})
	}
}

// The replica's tables are listed behind all that the primary had when it was asked.
func TestAReplicasTablesAreListedOnceItHasThePrimarys(t *testing.T) {
	f, from := checksumFake(t, mariadbVersion)
	f.lists("orders")
	from.has(t, f)
	f.say("SELECT COUNT(*)", "3|A|B|7|0")
	f.asked = nil
	if _, err := planChecksum(t, f, from, Checksum{}); err != nil {
		t.Fatal(err)
	}
	if got := f.statements("SELECT MASTER_GTID_WAIT", "SELECT t.TABLE_SCHEMA"); len(got) < 2 || !strings.HasPrefix(got[0], "SELECT MASTER_GTID_WAIT('0-1-5'") {
		t.Errorf("it is asked\n%s", strings.Join(got, "\n"))
	}
}

func TestThePrimaryReadsADatabaseThatIsToComeAtItsTurn(t *testing.T) {
	f := newFake(t, mariadbVersion)
	f.say("SHOW GLOBAL VARIABLES WHERE", "server_id|1", "log_bin|ON")
	f.say("SELECT SCHEMA_NAME", "shop|utf8mb4|utf8mb4_bin")
	f.say("SELECT @@GLOBAL.character_set_server", "utf8mb4|utf8mb4_bin")
	f.say("SELECT @@GLOBAL.gtid_binlog_pos", "0-1-5")
	plan := func(pending ...host.Change) (modules.Plan, error) {
		p := &host.Preview{}
		for _, c := range pending {
			p.Lay(c.Effects())
		}
		return (&ChecksumSource{Databases: []string{"shop", "more"}, Chunk: 10}).Plan(t.Context(), host.NewView(f.host(), p))
	}
	made, err := plan()
	var out sourceOutput
	if err != nil || json.Unmarshal(made.Output, &out) != nil || len(out.Missing) != 1 || out.Missing[0] != "more" {
		t.Errorf("of one that isn't there it tells %s, %v", made.Output, err)
	}
	if made, err = plan(&CreateDatabase{Name: "more"}); !errors.Is(err, host.ErrNotYet) {
		t.Errorf("of one that is to be made it tells %s, %v", made.Output, err)
	}
}

func TestATableWhoseKeyIsNotToldAsItIsIsReadWhole(t *testing.T) {
	f := newFake(t, mariadbVersion)
	f.say("SHOW STATUS WHERE Variable_name", "binlog_snapshot_file|bin.1", "binlog_snapshot_position|7")
	f.say("SELECT COALESCE(BINLOG_GTID_POS", "0-1-5")
	f.say("SELECT `id` FROM", "?", "x")
	f.say("SELECT COUNT(*)", "3|A|B|7|0")
	s, err := connect(t.Context(), viewDialer(host.NewView(f.host(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	of := &table{Schema: "shop", Name: "t", columns: []column{{"id", "varchar"}, {"f", "float"}}, key: []keyColumn{{"id", asText}}}
	at, err := s.sourceTable(t.Context(), of, 1)
	if err != nil || len(at.Parts) != 1 || at.Parts[0].From != nil || at.Parts[0].To != nil {
		t.Errorf("%+v, %v", at.Parts, err)
	}
	for _, q := range f.statements("SELECT COUNT(*)") {
		if !strings.Contains(q, "CAST(`f` * 1e0 AS BINARY)") {
			t.Errorf("a FLOAT counts with six digits: %s", q)
		}
	}
}

func TestAnAnswerIsReadWholeWhateverTheServersLimit(t *testing.T) {
	f := newFake(t, mariadbVersion)
	s, err := connect(t.Context(), viewDialer(host.NewView(f.host(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if got := f.statements("SET SESSION sql_mode"); len(got) != 1 || !strings.Contains(got[0], "sql_select_limit = 18446744073709551615") {
		t.Errorf("%q", got)
	}
}
