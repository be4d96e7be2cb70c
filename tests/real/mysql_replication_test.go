package real

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// replicated is three hosts with MariaDB, two of which replicate from the first. password is
// the replication account's; more are arguments of the replicas' tasks.
func replicated(t *testing.T, password, more string) string {
	return playbook(t, fmt.Sprintf(`
play "databases" {
  hosts  = ["db1", "db2", "db3"]
  become = true
  task "mysql_server" "server" {
    server_id = { db1 = 1, db2 = 2, db3 = 3 }[host.name]
    listen    = ["0.0.0.0"]
  }
}

play "primary" {
  hosts  = ["db1"]
  become = true
  task "mysql_user" "repl" {
    host       = "%%"
    password   = %[1]q
    privileges = { "*.*" = ["REPLICATION SLAVE"] }
  }
}

play "replicas" {
  hosts  = ["db2", "db3"]
  become = true
  task "mysql_replication" "replica" {
    primary  = "db1"
    user     = "repl"
    password = %[1]q
    %[2]s
  }
}
`, password, more))
}

// sql has a host's server make statements.
func sql(t *testing.T, host, statements string) string {
	t.Helper()
	return on(t, host, "mariadb -N <<'END'\n"+statements+"\nEND")
}

// caughtUp waits until a replica has what db1 has.
func caughtUp(t *testing.T, replica string) {
	t.Helper()
	if got := sql(t, replica, "SELECT MASTER_GTID_WAIT('"+sql(t, "db1", "SELECT @@gtid_binlog_pos")+"', 60)"); got != "0" {
		t.Fatalf("%s doesn't get there: %s", replica, sql(t, replica, "SHOW ALL SLAVES STATUS\\G"))
	}
}

// Each state that a replica can be in is made by hand, and seen by a plan, which says what it
// is and why, and does what the state allows.
func TestStatesOfAReplica(t *testing.T) {
	command(t.Context(), t)
	t.Cleanup(func() {
		for _, host := range []string{"db1", "db2", "db3"} {
			_, _ = theLab.Host(host).Exec(context.Background(), "sh", "-c", `DEBIAN_FRONTEND=noninteractive apt-get purge -qy 'mariadb-*' >/dev/null 2>&1; rm -rf /var/lib/mysql* /etc/mysql /var/lib/muster/mysql`)
		}
	})
	const password = "first"
	limit := ""
	says := func(t *testing.T, book, command string, code int, words ...string) {
		t.Helper()
		args := []string{command, book}
		if command == "apply" {
			args = append(args, "--yes")
		}
		if limit != "" {
			args = append(args, "--limit", limit)
		}
		r := muster(t, args...)
		said := strings.Join(strings.Fields(r.Out+r.Err), " ")
		if r.Code != code {
			t.Fatalf("%s: exit code %d, not %d\n%s%s", command, r.Code, code, r.Out, r.Err)
		}
		for _, w := range words {
			if !strings.Contains(said, w) {
				t.Errorf("%s doesn't say %q:\n%s%s", command, w, r.Out, r.Err)
			}
		}
	}
	book := replicated(t, password, "")
	says(t, book, "apply", 0, "db2 2 changed", "db3 2 changed")
	if said := muster(t, "plan", book); strings.Contains(said.Out+said.Err, "first") {
		t.Errorf("the password is shown:\n%s", said.Out)
	}
	sql(t, "db1", `CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY, what VARCHAR(100)); INSERT INTO shop.orders VALUES (1, 'one'), (2, 'two');`)
	caughtUp(t, "db2")
	caughtUp(t, "db3")

	t.Run("running: nothing is done, and the threads go on", func(t *testing.T) {
		const threads = "SELECT GROUP_CONCAT(ID ORDER BY ID) FROM information_schema.PROCESSLIST WHERE USER = 'system user'"
		before := sql(t, "db2", threads)
		says(t, book, "apply", 0, "Nothing to change")
		if after := sql(t, "db2", threads); before == "" || after != before {
			t.Errorf("the threads were %s and are %s", before, after)
		}
		if got := sql(t, "db2", "SELECT @@read_only"); got != "1" {
			t.Errorf("read_only is %s", got)
		}
	})
	limit = "db2"
	t.Run("read_only holds over a restart", func(t *testing.T) {
		on(t, "db2", "systemctl restart mariadb")
		caughtUp(t, "db2")
		says(t, book, "plan", 0, "Nothing to change")
	})
	t.Run("a primary that has just started is waited for", func(t *testing.T) {
		on(t, "db1", "systemctl stop mariadb")
		on(t, "db2", `for i in $(seq 100); do mariadb -e 'SHOW SLAVE STATUS\G' | grep -q 'Last_IO_Errno: 20' && exit 0; sleep 0.1; done; exit 1`)
		on(t, "db1", "systemctl start mariadb")
		says(t, book, "plan", 0, "Nothing to change")
	})
	t.Run("what would be written to a replica is an error", func(t *testing.T) {
		says(t, playbook(t, `
play "data" {
  hosts  = ["db2"]
  become = true
  task "mysql_database" "notes" {}
}
`), "apply", 4, "replicates from db1:3306", "Write it for the primary")
	})
	t.Run("stopped: started", func(t *testing.T) {
		sql(t, "db2", "STOP SLAVE SQL_THREAD")
		says(t, book, "plan", 0, "state: stopped → running", "the thread that does what has come is stopped")
		sql(t, "db2", "STOP SLAVE")
		says(t, book, "apply", 0, "somebody has stopped it")
		says(t, book, "plan", 0, "Nothing to change")
	})
	t.Run("lagging: told", func(t *testing.T) {
		lag := replicated(t, password, "max_lag = 2")
		sql(t, "db2", "STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 60; START SLAVE")
		sql(t, "db1", "INSERT INTO shop.orders VALUES (3, 'three')")
		on(t, "db2", `for i in $(seq 100); do [ "$(mariadb -e 'SHOW SLAVE STATUS\G' | sed -n 's/.*Seconds_Behind_Master: //p')" -lt 3 ] || exit 0; sleep 0.2; done; exit 1`)
		says(t, lag, "plan", 0, "lagging", "behind db1", "Nothing to change")
		sql(t, "db2", "STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 0; START SLAVE")
		caughtUp(t, "db2")
	})
	t.Run("broken(io): a reason that muster can't end", func(t *testing.T) {
		sql(t, "db1", "REVOKE REPLICATION SLAVE ON *.* FROM repl@'%'")
		sql(t, "db2", "STOP SLAVE; START SLAVE")
		on(t, "db2", `for i in $(seq 100); do mariadb -e 'SHOW SLAVE STATUS\G' | grep -q 'Last_IO_Errno: 0' || exit 0; sleep 0.2; done; exit 1`)
		says(t, book, "plan", 4, "broken(io): error")
		sql(t, "db1", "GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
		sql(t, "db2", "STOP SLAVE; START SLAVE")
		caughtUp(t, "db2")
	})
	t.Run("broken(sql): table and transaction, nothing is skipped", func(t *testing.T) {
		for _, c := range []struct{ silently, primary, mend, words string }{
			{"INSERT INTO shop.orders VALUES (4, 'mine')", "INSERT INTO shop.orders VALUES (4, 'four')", "DELETE FROM shop.orders WHERE id = 4", "shop.orders: a row that is to be added is there already, by the transaction 0-1-"},
			{"DELETE FROM shop.orders WHERE id = 1", "UPDATE shop.orders SET what = 'uno' WHERE id = 1", "INSERT INTO shop.orders VALUES (1, 'one')", "shop.orders: a row that is to be altered or deleted isn't there, by the transaction 0-1-"},
		} {
			sql(t, "db2", "SET sql_log_bin = 0; "+c.silently)
			sql(t, "db1", c.primary)
			on(t, "db2", `for i in $(seq 100); do mariadb -e 'SHOW SLAVE STATUS\G' | grep -q 'Last_SQL_Errno: 0' || exit 0; sleep 0.1; done; exit 1`)
			before := sql(t, "db2", "SELECT @@gtid_slave_pos")
			says(t, book, "apply", 4, "broken(sql)", c.words, "Nothing is skipped")
			if after := sql(t, "db2", "SELECT @@gtid_slave_pos"); after != before {
				t.Errorf("it has gone on from %s to %s", before, after)
			}
			sql(t, "db2", "SET sql_log_bin = 0; "+c.mend+"; START SLAVE")
			caughtUp(t, "db2")
		}
	})
	t.Run("wrong source: pointed at the primary where GTIDs allow it", func(t *testing.T) {
		sql(t, "db2", "STOP SLAVE; CHANGE MASTER TO MASTER_HOST = 'db3', MASTER_USE_GTID = slave_pos; START SLAVE")
		says(t, book, "apply", 0, "wrong source: it replicates from db3:3306, and not from db1:3306", "address: db3:3306 → db1:3306")
		says(t, book, "plan", 0, "Nothing to change")
		says(t, replicated(t, password, `address = "db3"`), "apply", 4, "db3:3306 leads to another server than that of db1")
		says(t, book, "plan", 0, "Nothing to change")
	})
	t.Run("wrong source: a replica of a replica that doesn't log what it gets", func(t *testing.T) {
		on(t, "db3", "sed -i 's/log_slave_updates = ON/log_slave_updates = OFF/' /etc/mysql/mariadb.conf.d/zz-muster.cnf && systemctl restart mariadb")
		chain := playbook(t, `
play "chain" {
  hosts  = ["db2"]
  become = true
  task "mysql_replication" "replica" {
    primary  = "db3"
    user     = "repl"
    password = "first"
  }
}
`)
		sql(t, "db2", "STOP SLAVE; CHANGE MASTER TO MASTER_HOST = 'db3', MASTER_USE_GTID = slave_pos; START SLAVE")
		says(t, chain, "plan", 4, "wrong source: db3 replicates from db1:3306 itself and doesn't log what it gets")
		on(t, "db3", "sed -i 's/log_slave_updates = OFF/log_slave_updates = ON/' /etc/mysql/mariadb.conf.d/zz-muster.cnf && systemctl restart mariadb")
		says(t, book, "apply", 0)
		caughtUp(t, "db2")
	})
	t.Run("a name that stands for no address", func(t *testing.T) {
		says(t, replicated(t, password, `address = "nowhere"`), "plan", 4, "nowhere stands for no address on this host")
	})
	t.Run("one server_id", func(t *testing.T) {
		sql(t, "db2", "SET GLOBAL server_id = 1")
		says(t, playbook(t, `
play "replicas" {
  hosts  = ["db2"]
  become = true
  task "mysql_replication" "replica" {
    primary  = "db1"
    user     = "repl"
    password = "first"
  }
}
`), "plan", 4, "have the same server_id, 1")
		sql(t, "db2", "SET GLOBAL server_id = 2")
	})
	limit = ""
	t.Run("the password rotated: changed and connected anew in the same run", func(t *testing.T) {
		says(t, replicated(t, "second", ""), "apply", 0, "password: is set")
		sql(t, "db1", "INSERT INTO shop.orders VALUES (5, 'five')")
		for _, host := range []string{"db2", "db3"} {
			sql(t, host, "STOP SLAVE; START SLAVE") // it shows when it connects
			caughtUp(t, host)
		}
		says(t, replicated(t, "second", ""), "plan", 0, "Nothing to change")
		says(t, book, "apply", 0)
	})
	limit = "db2"
	t.Run("data of its own: refused with names and sizes", func(t *testing.T) {
		on(t, "db2", "mariadb -e 'STOP SLAVE; RESET SLAVE ALL; RESET MASTER; SET GLOBAL gtid_slave_pos = \"\"'")
		says(t, book, "plan", 4, "this host's databases have to go: shop (1 table, less than 1 MiB)", `allow_destroy = ["db2"]`)
		says(t, replicated(t, password, `allow_destroy = ["db3"]`), "plan", 4, `allow_destroy = ["db2"]`)
		says(t, replicated(t, password, `allow_destroy = ["db9"]`), "plan", 1, `"db9" is no host of this inventory`)
		says(t, replicated(t, password, `allow_destroy = ["db2"]`), "apply", 0, "None: it replicates from nobody. This host's own databases go")
		caughtUp(t, "db2")
		says(t, book, "plan", 0, "Nothing to change")
		if a, b := sql(t, "db1", "CHECKSUM TABLE shop.orders"), sql(t, "db2", "CHECKSUM TABLE shop.orders"); a != b {
			t.Errorf("the copy is %s, and not %s", b, a)
		}
	})
	t.Run("purged gap: the data is copied anew", func(t *testing.T) {
		sql(t, "db2", "STOP SLAVE")
		sql(t, "db1", "INSERT INTO shop.orders VALUES (6, 'six'); FLUSH BINARY LOGS; INSERT INTO shop.orders VALUES (7, 'seven'); FLUSH BINARY LOGS")
		caughtUp(t, "db3")
		on(t, "db1", `mariadb -e "PURGE BINARY LOGS TO '$(mariadb -N -e 'SHOW BINARY LOGS' | tail -1 | cut -f1)'"`)
		sql(t, "db2", "SET sql_log_bin = 0; CREATE DATABASE legacy; CREATE TABLE legacy.t (i INT)")
		says(t, book, "apply", 4, "these databases of this host's own would go: legacy (1 table", `allow_destroy = ["db2"]`)
		sql(t, "db2", "SET sql_log_bin = 0; DROP DATABASE legacy")
		says(t, book, "apply", 0, "Purged gap: the binary logs of db1 begin behind what this host lacks", "copies", "from db1", "db2 1 unchanged, 1 changed")
		caughtUp(t, "db2")
		if got := sql(t, "db2", "SELECT COUNT(*) FROM shop.orders"); got != "7" {
			t.Errorf("it has %s rows", got)
		}
	})
	t.Run("errant: refused with the transaction", func(t *testing.T) {
		sql(t, "db2", "INSERT INTO shop.orders VALUES (99, 'mine')")
		says(t, book, "apply", 4, "The replica is errant", "This host has 0-2-", "which db1 hasn't", `allow_destroy = ["db2"]`)
	})
	t.Run("diverged: refused, and copied anew where that is allowed", func(t *testing.T) {
		sql(t, "db1", "INSERT INTO shop.orders VALUES (8, 'eight')")
		on(t, "db2", `for i in $(seq 100); do mariadb -e 'SHOW SLAVE STATUS\G' | grep -q 'Last_SQL_Errno: 0' || exit 0; sleep 0.1; done; exit 1`)
		says(t, book, "apply", 4, "The replica is diverged", "contradicts what db1 has")
		says(t, replicated(t, password, `allow_destroy = ["db2"]`), "apply", 0, "Diverged: this host has 0-2-")
		caughtUp(t, "db2")
		if got := sql(t, "db2", "SELECT COUNT(*) FROM shop.orders WHERE id = 99"); got != "0" {
			t.Error("the errant row is there still")
		}
	})
	t.Run("a row changed silently is found", func(t *testing.T) {
		proof := playbook(t, `
play "proof" {
  hosts  = ["db2", "db3"]
  become = true
  task "mysql_checksum" "db1" {}
}
`)
		limit = ""
		says(t, proof, "plan", 0)
		sql(t, "db3", "SET sql_log_bin = 0; UPDATE shop.orders SET what = 'other' WHERE id = 2")
		says(t, proof, "plan", 4, "shop.orders: 8 rows on both, of other content")
		sql(t, "db3", "SET sql_log_bin = 0; UPDATE shop.orders SET what = 'two' WHERE id = 2")
		says(t, proof, "plan", 0)
	})
	t.Run("absent: none, and it takes writes", func(t *testing.T) {
		limit = ""
		end := playbook(t, `
play "end" {
  hosts  = ["db2", "db3"]
  become = true
  task "mysql_replication" "replica" {
    primary = "db1"
    state   = "absent"
  }
}
`)
		says(t, end, "apply", 0, "from db1:3306; the data stays")
		says(t, end, "plan", 0, "Nothing to change")
		if got := sql(t, "db2", "SHOW ALL SLAVES STATUS") + sql(t, "db2", "SELECT @@read_only"); got != "0" {
			t.Errorf("it is %s", got)
		}
	})
}
