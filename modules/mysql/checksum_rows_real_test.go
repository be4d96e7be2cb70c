package mysql

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"muster/host"
)

// Rows that look the same, or are cut wrongly, are where a comparison would say "equal".
func TestRowsThatLookAlikeOnRealServers(t *testing.T) {
	primary, replica := startReplica(t)
	for _, s := range []string{
		"CREATE TABLE shop.floats (id INT PRIMARY KEY, f FLOAT, d DOUBLE, m FLOAT(10, 2))",
		"CREATE TABLE shop.decimals (a DECIMAL(20, 0), b INT, v INT, PRIMARY KEY (a, b))",
		"CREATE TABLE shop.big (id BIGINT UNSIGNED PRIMARY KEY, v INT)",
		"CREATE TABLE shop.words2 (id INT PRIMARY KEY, w ENUM('a', '', 'b'), s SET('x', 'y'))",
		"CREATE TABLE shop.twice (a INT)",
		"CREATE TABLE shop.places (id INT PRIMARY KEY, p POINT, g GEOMETRY)",
		"CREATE TABLE shop.made (id INT PRIMARY KEY, a INT, b INT AS (a * 2) VIRTUAL, c INT AS (a + 1) PERSISTENT, n INT INVISIBLE DEFAULT 4)",
		"CREATE TABLE shop.latin (id VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci PRIMARY KEY, v INT)",
		"CREATE TABLE shop.years (y YEAR, t TIME(2), v INT, PRIMARY KEY (y, t))",
		"CREATE TABLE shop.addresses (id INET6 PRIMARY KEY, u UUID)",
		"INSERT INTO shop.floats VALUES (1, 1234567, 0.1, 99999.99), (2, -0.0, -0.0, 0), (3, 1e-20, 1e300, NULL)",
		"INSERT INTO shop.decimals VALUES (12345678901234567890, 1, 1), (12345678901234567890, 2, 1), (12345678901234567890, 3, 1), (12345678901234567891, 1, 1), (12345678901234567891, 2, 1), (12345678901234567892, 1, 1)",
		"INSERT INTO shop.big VALUES (0, 1), (9007199254740992, 1), (9007199254740993, 1), (18446744073709551615, 1)",
		"INSERT INTO shop.words2 VALUES (1, '', 'x'), (2, 'a', ''), (3, NULL, 'x,y')",
		"INSERT INTO shop.twice VALUES (1), (1), (3)",
		"INSERT INTO shop.places VALUES (1, POINT(1, 2), ST_GeomFromText('LINESTRING(0 0,1 1)')), (2, NULL, NULL)",
		"INSERT INTO shop.made (id, a) VALUES (1, 1), (2, NULL)",
		"INSERT INTO shop.latin VALUES ('a', 1), ('Ä', 2), ('ß', 3), ('z ', 4)",
		"INSERT INTO shop.years VALUES (0, '-10:00:00.01', 1), (1999, '00:00:00', 2), (2026, '800:00:00.5', 3)",
		"INSERT INTO shop.addresses VALUES ('::1', '123e4567-e89b-12d3-a456-426655440000'), ('::2', NULL), ('fd00::7', NULL)",
	} {
		must(t, primary, s)
	}
	caughtUp(t, primary, replica)
	same := func(when string) {
		t.Helper()
		for _, chunk := range []int{1, 2, 5000} {
			plan, _, err := checks(t, chunk, false)
			if err != nil || len(plan.Changes) > 0 {
				t.Fatalf("%s, in chunks of %d: %v, %v", when, chunk, plan.Notes, err)
			}
		}
	}
	same("at first")
	for _, c := range []struct{ alter, back, want string }{
		{"UPDATE shop.floats SET f = 1234568 WHERE id = 1", "UPDATE shop.floats SET f = 1234567 WHERE id = 1", "shop.floats"},
		{"UPDATE shop.floats SET d = 0.1 + 1e-17 + 2e-17 WHERE id = 1", "UPDATE shop.floats SET d = 0.1 WHERE id = 1", "shop.floats"},
		{"UPDATE shop.decimals SET v = 2 WHERE a = 12345678901234567891 AND b = 1", "UPDATE shop.decimals SET v = 1", "shop.decimals"},
		{"UPDATE shop.decimals SET v = 2 WHERE a = 12345678901234567892", "UPDATE shop.decimals SET v = 1", "shop.decimals"},
		{"UPDATE shop.decimals SET v = 2 WHERE a = 12345678901234567890 AND b = 3", "UPDATE shop.decimals SET v = 1", "shop.decimals"},
		{"UPDATE shop.big SET v = 2 WHERE id = 9007199254740993", "UPDATE shop.big SET v = 1", "shop.big"},
		{"UPDATE shop.big SET v = 2 WHERE id = 18446744073709551615", "UPDATE shop.big SET v = 1", "shop.big"},
		{"UPDATE IGNORE shop.words2 SET w = 0 WHERE id = 1", "UPDATE shop.words2 SET w = '' WHERE id = 1", "shop.words2"},
		{"UPDATE shop.twice SET a = 2 WHERE a = 1", "UPDATE shop.twice SET a = 1 WHERE a = 2", "shop.twice"},
		{"UPDATE shop.places SET p = POINT(1, 3) WHERE id = 1", "UPDATE shop.places SET p = POINT(1, 2) WHERE id = 1", "shop.places"},
		{"UPDATE shop.made SET n = NULL WHERE id = 2", "UPDATE shop.made SET n = 4 WHERE id = 2", "shop.made"},
		{"UPDATE shop.latin SET v = 7 WHERE id = 'ß'", "UPDATE shop.latin SET v = 3 WHERE id = 'ß'", "shop.latin"},
		{"UPDATE shop.latin SET id = 'ä' WHERE id = 'Ä'", "UPDATE shop.latin SET id = 'Ä' WHERE id = 'ä'", "shop.latin"},
		{"UPDATE shop.years SET v = 7 WHERE y = 0", "UPDATE shop.years SET v = 1 WHERE v = 7", "shop.years"},
		{"UPDATE shop.addresses SET u = '123e4567-e89b-12d3-a456-426655440001' WHERE id = '::2'", "UPDATE shop.addresses SET u = NULL WHERE id = '::2'", "shop.addresses"},
		{"ALTER TABLE shop.latin MODIFY id VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin", "ALTER TABLE shop.latin MODIFY id VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci", "shop.latin has other columns, or another key"},
	} {
		silently(t, replica, c.alter)
		for _, chunk := range []int{1, 2, 5000} {
			if _, _, err := checks(t, chunk, false); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, in chunks of %d: %v", c.alter, chunk, err)
			}
		}
		silently(t, replica, c.back)
		same(c.back)
	}
	// A server's own limit doesn't cut the list of tables.
	must(t, replica, "SET GLOBAL sql_select_limit = 1")
	defer must(t, replica, "SET GLOBAL sql_select_limit = DEFAULT")
	same("with a limit on rows")
	silently(t, replica, "UPDATE shop.years SET v = 7 WHERE y = 0")
	if _, _, err := checks(t, 2, false); err == nil || !strings.Contains(err.Error(), "shop.years") {
		t.Errorf("with a limit on rows: %v", err)
	}
}

// between is the donor as the companion, beside which something is done once it was read.
type between struct {
	source
	do func()
}

func (b between) Output(name string) (json.RawMessage, error) {
	out, err := b.source.Output(name)
	b.do()
	return out, err
}

// moving is the donor as the companion, where something is done after each part that was read
// without a fence.
type moving struct {
	source
	do func()
}

func (m moving) Receive(ctx context.Context, name string, request json.RawMessage) (io.ReadCloser, error) {
	stream, err := m.source.Receive(ctx, name, request)
	var asked partRequest
	if err != nil || json.Unmarshal(request, &asked) != nil || asked.Fence {
		return stream, err
	}
	answer, err := io.ReadAll(stream)
	if err := errors.Join(err, stream.Close()); err != nil {
		return nil, err
	}
	m.do()
	return io.NopCloser(bytes.NewReader(answer)), nil
}

// What InnoDB alters by a foreign key is in no log of MySQL's, and what an XA transaction
// alters is logged before it is seen.
func TestWhatNoLogNamesIsNeverToldToDifferOnRealServers(t *testing.T) {
	primary, replica := startReplica(t)
	for _, s := range []string{
		"CREATE TABLE shop.parents (id INT PRIMARY KEY, n INT)",
		"CREATE TABLE shop.children (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE)",
		"CREATE TABLE shop.prepared (id INT PRIMARY KEY, n INT)",
		"INSERT INTO shop.prepared VALUES (1, 0)", "INSERT INTO shop.parents VALUES (1, 1), (2, 2)", "INSERT INTO shop.children VALUES (1, 1), (2, 2)",
	} {
		must(t, primary, s)
	}
	for _, c := range []struct {
		name          string
		before, after []string
		open          []string
	}{
		{"rows that go with those of another table", nil, []string{"DELETE FROM shop.parents WHERE id = 1"}, []string{"shop.children", "shop.parents"}},
		{"an XA transaction that was prepared before", []string{"XA START 'a'", "UPDATE shop.prepared SET n = 1", "XA END 'a'", "XA PREPARE 'a'"}, []string{"XA COMMIT 'a'"}, []string{"shop.prepared (a transaction (XA)"}},
		{"a table that is made", nil, []string{"CREATE TABLE shop.fresh (id INT PRIMARY KEY)"}, []string{"shop.fresh"}},
		{"a table that goes", nil, []string{"DROP TABLE shop.fresh"}, []string{"shop.fresh"}},
		{"a table that is altered", nil, []string{"ALTER TABLE shop.prepared ADD COLUMN more INT DEFAULT 7"}, []string{"shop.prepared"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := primary.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			run := func(statements []string) {
				for _, s := range statements {
					if _, err := conn.ExecContext(t.Context(), s); err != nil {
						t.Fatalf("%s: %v", s, err)
					}
				}
				caughtUp(t, primary, replica)
			}
			run(c.before)
			h := host.New()
			h.Companions = between{source{&ChecksumSource{Databases: []string{"shop"}, Chunk: 50}}, func() { run(c.after) }}
			check := &Checksum{Primary: "donor", Databases: []string{"shop"}, Chunk: 50, MaxLag: 10}
			plan, err := check.Plan(t.Context(), host.NewView(h, nil))
			if err != nil || len(plan.Changes) != 1 {
				t.Fatalf("nothing differs: %v, %v", plan.Notes, err)
			}
			for _, part := range c.open {
				if !strings.Contains(strings.Join(plan.Notes, " "), part) {
					t.Errorf("%q doesn't name %q", plan.Notes, part)
				}
			}
			if plan, _, err = checks(t, 50, false); err != nil || len(plan.Changes) > 0 {
				t.Errorf("once it holds still: %v, %v", plan.Notes, err)
			}
		})
	}
}

// A table whose writer doesn't come to an end is not proved behind a fence, and no error.
func TestFenceThatIsNotHadOnRealServers(t *testing.T) {
	primary, replica := startReplica(t)
	must(t, primary, "CREATE TABLE shop.aria (id INT PRIMARY KEY, n INT) ENGINE = Aria")
	must(t, primary, "INSERT INTO shop.aria VALUES (1, 1), (2, 2)")
	caughtUp(t, primary, replica)
	silently(t, replica, "UPDATE shop.aria SET n = 3 WHERE id = 2")
	plan, h, err := checks(t, 50, true)
	if err != nil || len(plan.Changes) != 1 {
		t.Fatalf("%v, %v", plan.Notes, err)
	}
	if out, err := apply(t, plan, h); err == nil || len(out.Differences) != 1 || !strings.Contains(err.Error(), "shop.aria") {
		t.Errorf("a table without transactions, behind a fence: %+v, %v", out, err)
	}
	must(t, primary, "DROP TABLE shop.aria")
	long, err := primary.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	for _, s := range []string{"BEGIN", "INSERT INTO shop.stock VALUES (77, 7)"} {
		if _, err := long.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	h.Companions = moving{source{&ChecksumSource{Databases: []string{"shop"}, Chunk: 50, Fenced: true}}, func() {
		n++
		must(t, primary, fmt.Sprintf("UPDATE shop.stock SET n = %d WHERE id = 1", n))
		caughtUp(t, primary, replica)
	}}
	silently(t, replica, "UPDATE shop.stock SET n = 99 WHERE id = 2")
	check := &CheckRows{Primary: "donor", MaxLag: 10, Fenced: true, Fail: true, Parts: []openPart{{partRequest: partRequest{Schema: "shop", Table: "stock"}}}}
	result, err := check.Apply(t.Context(), h)
	if err != nil || len(result.Open) != 1 || !strings.Contains(result.Open[0], "don't come to an end") {
		t.Errorf("%q, %v", result.Open, err)
	}
	if n != rounds-1 {
		t.Errorf("read %d times before the fence, not %d", n, rounds-1)
	}
	if _, err := long.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Error(err)
	}
}
