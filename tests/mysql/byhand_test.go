package mysql

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// receive and send are what somebody types who brings db1's data to a bare replica with
// MariaDB's own tools: over the network, straight into the data directory.
const (
	receive = `set -eu
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -qy --no-install-recommends mariadb-server mariadb-backup socat; } >/root/install.log 2>&1 || { tail -n 20 /root/install.log; exit 1; }
printf '[mysqld]\nserver_id = %s\nbind_address = %s\nlog_bin = hand-bin\nlog_slave_updates = 1\ngtid_strict_mode = 1\nread_only = 1\n' >/etc/mysql/mariadb.conf.d/99-hand.cnf
systemctl stop mariadb
find /var/lib/mysql -mindepth 1 -delete
socat -u TCP-LISTEN:4444,reuseaddr STDOUT | mbstream -x -C /var/lib/mysql
mariadb-backup --prepare --target-dir=/var/lib/mysql >/root/prepare.log 2>&1
chown -R mysql:mysql /var/lib/mysql
systemctl start mariadb
gtid=$(cut -f3 /var/lib/mysql/xtrabackup_binlog_info)
mariadb -e "SET GLOBAL gtid_slave_pos = '$gtid'; CHANGE MASTER TO MASTER_HOST = '10.0.1.31', MASTER_USER = 'replication', MASTER_PASSWORD = '` + password + `', MASTER_SSL = 1, MASTER_USE_GTID = slave_pos; START SLAVE"
`
	send = `set -eu
mariadb-backup --backup --stream=mbstream 2>/root/backup-%[1]s.log | socat -u STDIN TCP:%[1]s:4444,retry=600,interval=0.2
`
)

// byHand brings the replicas up from bare hosts as somebody would who knows how, both at
// once, and returns how long that took until they had caught up.
func byHand(t *testing.T) time.Duration {
	t.Helper()
	bare(t, hosts[1:]...)
	on(t, "db1", "apt-get install -qy --no-install-recommends socat")
	begun := time.Now()
	var wait sync.WaitGroup
	run := func(host, script string) {
		wait.Go(func() {
			if out, err := theLab.Host(host).Exec(t.Context(), "bash", "-o", "pipefail", "-c", script); err != nil {
				t.Errorf("by hand on %s: %v\n%s", host, err, out)
			}
		})
	}
	for i, host := range hosts[1:] {
		address := theLab.Host(host).Address()
		run(host, fmt.Sprintf(receive, fmt.Sprint(i+12), address))
		run("db1", fmt.Sprintf(send, address))
	}
	wait.Wait()
	for _, host := range hosts[1:] {
		caughtUp(t, host)
	}
	return time.Since(begun)
}

// Both ways in one run, each while the writer writes.
func TestReplicasTakeAsLongAsByHand(t *testing.T) {
	real(t)
	if f, _ := chosen(); f.name != "mariadb" || os.Getenv("TIMES") == "" {
		return // MariaDB's tools, or something else is asked for
	}
	bare(t, hosts...)
	apply(t, 0, "--limit", "db1")
	fill(t, size(t))
	w := startWriter(t)
	defer w.end()
	muster := apply(t, 0).Took
	hand := byHand(t)
	r := w.stop()
	fmt.Printf("%d MB to two bare replicas: muster %.1f s, by hand %.1f s, ratio %.2f; the longest wait for a commit %s\n", size(t), muster.Seconds(), hand.Seconds(), muster.Seconds()/hand.Seconds(), r.longest)
}
