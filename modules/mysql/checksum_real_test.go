package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/modules"
)

// source is the donor beside the host's own server as the companion of mysql_checksum.
type source struct{ *ChecksumSource }

func (s source) Output(string) (json.RawMessage, error) {
	plan, err := s.Plan(context.Background(), host.NewView(donorHost(), nil))
	return plan.Output, err
}

func (s source) Receive(ctx context.Context, _ string, request json.RawMessage) (io.ReadCloser, error) {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.CloseWithError(s.Send(ctx, donorHost(), request, w))
	}()
	return stream{r, func() { cancel(); <-ended }}, nil
}

// startReplica has the host's own server replicate from the donor beside it.
func startReplica(t *testing.T) (primary, replica *sql.DB) {
	t.Helper()
	onLabHost(t)
	primary = startDonor(t)
	plainRecipient(t)
	replica = rootOf(t, sockets[0])
	for _, s := range []string{
		"SET sql_log_bin = 0", "DROP DATABASE mine", "DROP USER own@localhost", "SET sql_log_bin = 1", "RESET MASTER",
		fmt.Sprintf("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %d, MASTER_USER = 'repl', MASTER_PASSWORD = 'repl-1', MASTER_USE_GTID = slave_pos", donorPort),
		"START SLAVE",
	} {
		must(t, replica, s)
	}
	t.Cleanup(func() { // to a replica nothing may be written, which other cases do
		must(t, replica, "STOP SLAVE")
		must(t, replica, "RESET SLAVE ALL")
	})
	caughtUp(t, primary, replica)
	return primary, replica
}

func caughtUp(t *testing.T, primary, replica *sql.DB) {
	t.Helper()
	if got := value(t, replica, "SELECT MASTER_GTID_WAIT('"+value(t, primary, "SELECT @@gtid_binlog_pos")+"', 60)"); got != "0" {
		t.Fatalf("the replica doesn't get there: %s", value(t, replica, "SELECT @@gtid_slave_pos"))
	}
}

// silently alters the replica alone, behind everybody's back.
func silently(t *testing.T, replica *sql.DB, statement string) {
	t.Helper()
	conn, err := replica.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, s := range []string{"SET sql_log_bin = 0", statement, "SET sql_log_bin = 1"} {
		if _, err := conn.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// checks plans a check, with chunks of that many rows.
func checks(t *testing.T, chunk int, fenced bool) (modules.Plan, *host.Host, error) {
	t.Helper()
	c := &Checksum{Primary: "donor", Databases: []string{"shop"}, Chunk: chunk, MaxLag: 10, Fenced: fenced}
	h := host.New()
	h.Companions = source{&ChecksumSource{Databases: c.Databases, Chunk: chunk, Fenced: fenced}}
	plan, err := c.Plan(t.Context(), host.NewView(h, nil))
	return plan, h, err
}

// apply makes the plan's check, if it has one, and returns what is known then.
func apply(t *testing.T, plan modules.Plan, h *host.Host) (out ChecksumOutput, err error) {
	t.Helper()
	data := plan.Output
	for _, c := range plan.Changes {
		var r host.Result
		r, err = c.Apply(t.Context(), h)
		data = r.Output
	}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &out); err != nil {
			t.Fatal(err)
		}
	}
	return out, err
}

func TestReplicaIsProvedOnRealServers(t *testing.T) {
	primary, replica := startReplica(t)
	for _, s := range []string{
		"CREATE TABLE shop.pairs (a VARCHAR(20) COLLATE utf8mb4_general_ci, b INT, v DOUBLE, PRIMARY KEY (a, b))",
		"CREATE TABLE shop.bytes (id BINARY(3) PRIMARY KEY, v LONGBLOB, j JSON, t TIMESTAMP NULL)",
		"CREATE TABLE shop.words (id ENUM('z', 'b', 'a') PRIMARY KEY, v BIT(5))",
		"CREATE TABLE shop.bare (a INT, b VARCHAR(10) CHARACTER SET latin1)",
		"CREATE TABLE shop.`odd.na``me` (`a b` INT PRIMARY KEY, `select` TEXT)",
		"CREATE TABLE shop.days (d DATETIME(3) PRIMARY KEY, n DECIMAL(10, 2))",
		"CREATE TABLE shop.nothing (id INT PRIMARY KEY)",
		"INSERT INTO shop.pairs VALUES ('a', 1, 1.5), ('A', 2, NULL), ('b', 1, 1e300), ('o''x\\\\', 1, 0), ('ü', 3, -0.1), ('b', 2, 2)",
		"INSERT INTO shop.bytes VALUES (x'000001', x'00ff', '{}', NULL), (x'00ff27', NULL, NULL, '2026-01-01'), (x'ffffff', x'27', '[1]', NULL), (x'5c2700', '', NULL, NULL)",
		"INSERT INTO shop.words VALUES ('a', b'1'), ('z', b'0'), ('b', NULL)",
		"INSERT INTO shop.bare VALUES (1, 'x'), (1, 'x'), (NULL, 'ü')",
		"INSERT INTO shop.`odd.na``me` VALUES (1, 'x'), (2, NULL), (3, '')",
		"INSERT INTO shop.days VALUES ('2026-01-01 00:00:00.001', 1), ('2026-01-01 00:00:00.002', 2), ('2025-01-01', 3)",
	} {
		must(t, primary, s)
	}
	caughtUp(t, primary, replica)
	for _, chunk := range []int{1, 2, 3, 5000} {
		plan, _, err := checks(t, chunk, false)
		if err != nil || len(plan.Changes) > 0 {
			t.Fatalf("chunks of %d: %v, %v", chunk, plan.Notes, err)
		}
		var out ChecksumOutput
		if err := json.Unmarshal(plan.Output, &out); err != nil {
			t.Fatal(err)
		}
		if out.Tables != 9 || out.Rows != 1+3+6+4+3+3+3+3 {
			t.Errorf("chunks of %d: %d rows of %d tables are read", chunk, out.Rows, out.Tables)
		}
	}
	for _, c := range []struct{ alter, back, want string }{
		{"UPDATE shop.stock SET n = 7 WHERE id = 2", "UPDATE shop.stock SET n = 2 WHERE id = 2", "shop.stock, keys above 1 up to 2: 1 row on both, of other content"},
		{"DELETE FROM shop.stock WHERE id = 3", "INSERT INTO shop.stock VALUES (3, 3)", "shop.stock, keys above 2: 0 rows, and 1 on the primary"},
		{"INSERT INTO shop.nothing VALUES (1)", "DELETE FROM shop.nothing", "shop.nothing: 1 row, and 0 on the primary"},
		{"UPDATE shop.pairs SET v = 0 WHERE v IS NULL", "UPDATE shop.pairs SET v = NULL WHERE v = 0 AND b = 2", "shop.pairs, keys above a,1 up to A,2: 1 row on both"},
		{"UPDATE shop.bytes SET v = x'00fe' WHERE id = x'000001'", "UPDATE shop.bytes SET v = x'00ff' WHERE id = x'000001'", "shop.bytes, keys up to 000001"},
		{"UPDATE shop.bare SET a = 2 WHERE a = 1", "UPDATE shop.bare SET a = 1 WHERE a = 2", "shop.bare: 3 rows on both, of other content"},
		{"UPDATE shop.words SET v = b'11' WHERE id = 'a'", "UPDATE shop.words SET v = b'1' WHERE id = 'a'", "shop.words: 3 rows on both"},
		{"ALTER TABLE shop.nothing ADD COLUMN more INT", "ALTER TABLE shop.nothing DROP COLUMN more", "shop.nothing has other columns"},
		{"DROP TABLE shop.nothing", "CREATE TABLE shop.nothing (id INT PRIMARY KEY)", "shop.nothing isn't on this host"},
		{"CREATE TABLE shop.more (id INT PRIMARY KEY)", "DROP TABLE shop.more", "shop.more is on this host alone"},
	} {
		silently(t, replica, c.alter)
		if _, _, err := checks(t, 1, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, and not %q", c.alter, err, c.want)
		}
		silently(t, replica, c.back)
		if plan, _, err := checks(t, 1, false); err != nil || len(plan.Changes) > 0 {
			t.Fatalf("%s: %v, %v", c.back, plan.Notes, err)
		}
	}
	must(t, replica, "STOP SLAVE SQL_THREAD")
	if _, _, err := checks(t, 1, false); err == nil || !strings.Contains(err.Error(), "doesn't do what it has replicated") {
		t.Errorf("of a replica that is stopped: %v", err)
	}
}

func TestHotTableIsNeverToldToDifferOnRealServers(t *testing.T) {
	primary, replica := startReplica(t)
	for range 200 {
		must(t, primary, "INSERT INTO shop.orders (what) VALUES ('before')")
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { // alters the same rows again and again, so that the table stays small
		for n := 0; ; n++ {
			select {
			case <-stop:
				ended <- nil
				return
			case <-time.After(time.Millisecond):
			}
			if _, err := primary.Exec("UPDATE shop.orders SET what = ? WHERE id > 50 AND id % 7 = ?", fmt.Sprintf("order %d", n), n%7); err != nil {
				ended <- err
				return
			}
		}
	}()
	hot := 0
	for n := range 12 {
		plan, h, err := checks(t, 50, false)
		if err != nil {
			t.Fatalf("nothing differs: %v", err)
		}
		hot += len(plan.Changes)
		if n%6 != 0 {
			continue
		}
		out, err := apply(t, plan, h)
		if err != nil || len(out.Differences) > 0 {
			t.Fatalf("nothing differs: %+v, %v", out, err)
		}
	}
	if hot == 0 {
		t.Error("no chunk was ever hot: the writer is too slow for this test")
	}
	// A row that differs in what is written to is found where it holds still.
	silently(t, replica, "UPDATE shop.orders SET what = 'other' WHERE id = 7")
	plan, h, err := checks(t, 50, false)
	if err == nil {
		var out ChecksumOutput
		if out, err = apply(t, plan, h); err == nil && !strings.Contains(strings.Join(out.NotProved, "\n"), "keys up to 50") {
			t.Errorf("a chunk that differs is said to be proved: %+v", out)
		}
	}
	if err != nil && !strings.Contains(err.Error(), "shop.orders, keys up to 50: 50 rows on both, of other content") {
		t.Error(err)
	}
	// And behind a fence in any case.
	if plan, h, err = checks(t, 50, true); err == nil {
		_, err = apply(t, plan, h)
	}
	if err == nil || !strings.Contains(err.Error(), "shop.orders, keys up to 50: 50 rows on both, of other content") || strings.Count(err.Error(), "shop.orders") != 1 {
		t.Errorf("behind a fence: %v", err)
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
