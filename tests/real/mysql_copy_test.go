package real

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// replicaPlay makes db2 the replica of db1.
const replicaPlay = `
play "replica" {
  hosts  = ["db2"]
  become = true
  task "mysql_replication" "replica" {
    primary  = "db1"
    user     = "repl"
    password = "repl-1"
    method   = "METHOD"
  }
}
`

// plainServers has db1 and db2 run MariaDB, db1 with something to copy.
func plainServers(t *testing.T) {
	t.Helper()
	clear := func(host string) {
		_, _ = theLab.Host(host).Exec(context.Background(), "sh", "-c", `
systemctl stop mariadb; systemctl reset-failed mariadb
rm -rf /var/lib/mysql /var/lib/mysql.muster-* /var/lib/muster/mysql /etc/mysql/mariadb.conf.d/zz-muster-* /etc/mysql/mariadb.conf.d/99-copy.cnf`)
	}
	for host, id := range map[string]string{"db1": "1", "db2": "2"} {
		on(t, host, `dpkg -s mariadb-backup mariadb-server >/dev/null 2>&1 || { apt-get update -q && apt-get install -qy --no-install-recommends mariadb-server mariadb-backup; } >/root/install.log 2>&1 || { cat /root/install.log; exit 1; }`)
		clear(host)
		t.Cleanup(func() {
			clear(host)
			_, _ = theLab.Host(host).Exec(context.Background(), "sh", "-c", "mariadb-install-db --user=mysql --datadir=/var/lib/mysql --auth-root-authentication-method=socket --skip-test-db && systemctl start mariadb")
		})
		on(t, host, `printf '[mysqld]\nbind_address = 0.0.0.0\nserver_id = `+id+`\nlog_bin = own-bin\ngtid_strict_mode = 1\nlog_slave_updates = 1\n' >/etc/mysql/mariadb.conf.d/99-copy.cnf
mariadb-install-db --user=mysql --datadir=/var/lib/mysql --auth-root-authentication-method=socket --skip-test-db >/root/install.log 2>&1 || { cat /root/install.log; exit 1; }
systemctl start mariadb`)
	}
	on(t, "db1", `mariadb -e "CREATE DATABASE shop; CREATE USER repl@'%' IDENTIFIED BY 'repl-1'; GRANT REPLICATION SLAVE ON *.* TO repl@'%'; CREATE USER app@localhost IDENTIFIED BY 'app-1'; GRANT ALL ON shop.* TO app@localhost"
mariadb shop -e "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, n BIGINT NOT NULL); CREATE TABLE pages (id INT PRIMARY KEY, body VARBINARY(2000)); INSERT INTO pages SELECT seq, CONCAT(RANDOM_BYTES(500), RANDOM_BYTES(500)) FROM seq_1_to_100000"`)
}

// orders has db1 take orders one after the other until it is stopped, and returns how many
// were acknowledged.
func orders(t *testing.T) (stop func() int) {
	t.Helper()
	on(t, "db1", `rm -f /root/stop-orders /root/orders
systemd-run --quiet --unit=orders --collect sh -c 'n=0; while [ ! -e /root/stop-orders ]; do n=$((n + 1)); mariadb shop -e "INSERT INTO orders (n) VALUES ($n)" && echo $n >>/root/orders; done'
while [ ! -s /root/orders ]; do sleep 0.05; done`)
	stop = sync.OnceValue(func() int {
		out, err := theLab.Host("db1").Exec(context.Background(), "sh", "-c", "touch /root/stop-orders; while systemctl is-active -q orders; do sleep 0.05; done; wc -l </root/orders")
		n, convErr := strconv.Atoi(strings.TrimSpace(string(out)))
		if err != nil || convErr != nil {
			t.Errorf("the orders that were taken: %v, %v", err, convErr)
		}
		return n
	})
	t.Cleanup(func() { stop() })
	return stop
}

// holdCopied compares the replica with the primary, and what was acknowledged.
func holdCopied(t *testing.T, taken int) {
	t.Helper()
	position := on(t, "db1", `mariadb -N -e "SELECT @@gtid_binlog_pos"`)
	if on(t, "db2", `mariadb -N -e "SELECT MASTER_GTID_WAIT('`+position+`', 60)"`) != "0" {
		t.Fatalf("the replica hasn't come to %s:\n%s", position, on(t, "db2", `mariadb -e "SHOW SLAVE STATUS\G"`))
	}
	const sums = `mariadb -N -e "CHECKSUM TABLE shop.orders, shop.pages EXTENDED; SELECT COUNT(*), MAX(n) FROM shop.orders; SHOW GRANTS FOR app@localhost"`
	want, got := on(t, "db1", sums), on(t, "db2", sums)
	if want != got {
		t.Errorf("the primary has\n%s\nand the replica\n%s", want, got)
	}
	if n := on(t, "db2", `mariadb -N -e "SELECT COUNT(*) FROM shop.orders"`); n != strconv.Itoa(taken) {
		t.Errorf("the replica has %s orders, and %d were acknowledged", n, taken)
	}
	if left := on(t, "db2", "ls -d /var/lib/mysql.* /var/lib/mysql/muster_copied /var/lib/muster/mysql/copy.json 2>/dev/null; true"); left != "" {
		t.Errorf("left behind: %s", left)
	}
	if n := on(t, "db1", `mariadb -N -e "SELECT COUNT(*) FROM mysql.user WHERE User LIKE 'muster%'"`); n != "0" {
		t.Errorf("the primary has %s accounts of muster's", n)
	}
}

func TestReplicaIsGivenItsPrimarysDataUnderWrites(t *testing.T) {
	for _, method := range []string{"auto", "dump"} {
		t.Run(method, func(t *testing.T) {
			if theLab == nil {
				t.Skip("real hosts: run tests/real.sh")
			}
			plainServers(t)
			stop := orders(t)
			play := playbook(t, strings.Replace(replicaPlay, "METHOD", method, 1))
			r := muster(t, "apply", play, "--yes")
			taken := stop()
			if r.Code != 0 {
				t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
			}
			holdCopied(t, taken)
			if r := muster(t, "plan", play, "--detailed-exitcode"); r.Code != 0 {
				t.Errorf("planned again, it isn't settled: exit code %d\n%s%s", r.Code, r.Out, r.Err)
			}
		})
	}
}

// A run that is killed while data comes leaves the replica's server as it was; the next one
// begins anew.
func TestCopyOfAPrimarysDataIsKilled(t *testing.T) {
	if theLab == nil {
		t.Skip("real hosts: run tests/real.sh")
	}
	for name, kill := range map[string][2]string{ // a host, and how what runs there is killed
		"the controller":           {},
		"the replica's remote":     {"db2", `for e in /proc/[0-9]*/exe; do case $(readlink $e) in *muster*) p=${e%/exe}; kill -9 ${p#/proc/} ;; esac; done`},
		"the donor's remote":       {"db1", `for e in /proc/[0-9]*/exe; do case $(readlink $e) in *muster*) p=${e%/exe}; kill -9 ${p#/proc/} ;; esac; done`},
		"the donor's tool":         {"db1", "pkill -9 -x mariadb-backup"},
		"the tool of the receiver": {"db2", "pkill -9 -x mbstream"},
	} {
		t.Run(name, func(t *testing.T) {
			plainServers(t)
			stop := orders(t)
			play := playbook(t, strings.Replace(replicaPlay, "METHOD", "backup", 1))
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := command(ctx, t, "apply", play, "--yes")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			on(t, "db2", "for i in $(seq 600); do [ -e /var/lib/mysql.muster-copy/ibdata1 ] && exit; sleep 0.05; done; exit 1")
			if kill[0] == "" {
				if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			} else if _, err := theLab.Host(kill[0]).Exec(ctx, "sh", "-c", kill[1]); err != nil {
				t.Logf("killing: %v", err) // it may have ended by itself
			}
			_ = cmd.Wait()
			// A run that has taken the host up again may have gone on, and be over.
			if got := on(t, "db2", `mariadb -N -e "SELECT @@server_id"`); got != "2" {
				t.Errorf("after the kill the replica's server says %q", got)
			}
			r := muster(t, "apply", play, "--yes")
			taken := stop()
			if r.Code != 0 {
				t.Fatalf("killed: %s\nexit code %d\n%s%s", out.String(), r.Code, r.Out, r.Err)
			}
			holdCopied(t, taken)
		})
	}
}
