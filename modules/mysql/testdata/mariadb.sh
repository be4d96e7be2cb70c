# What the cases stand on: MariaDB on a lab host.
#   sql STATEMENT     tells MariaDB, and prints its answer without a head
#   halted            plain, and MariaDB doesn't run
#   logging           MariaDB keeps a binary log until 99-muster-test.cnf is removed
#   plain             no databases and accounts but its own
#   as USER PASSWORD [STATEMENT]  logs in by the socket
#   grants ACCOUNT    its privileges, without how it is let in
#   auth USER HOST    what MariaDB knows of a password
#   bare              plain, and without a file of muster's
#   beside            another server, 127.0.0.1:3308, from which repl may replicate: a primary
#                     without databases, with the GTID 0-1-2
#   second            plain, and fit to be its replica
#   single            again as it was after second
#   connected         second's server replicates from beside's, as muster has it
#   served            a server with muster's own file, with server_id 31 and 177 connections
own=/etc/mysql/mariadb.conf.d/zz-muster.cnf
logs=/etc/mysql/mariadb.conf.d/99-muster-test.cnf
sql() { mariadb -N -B --raw -e "$1"; }
as() { MYSQL_PWD=$2 mariadb -N -B --raw -u "$1" -e "${3-SELECT CURRENT_USER()}" 2>&1; }
grants() { sql "SHOW GRANTS FOR $1" | sed 's/ IDENTIFIED .*//'; }
auth() { sql "SELECT JSON_VALUE(Priv, '\$.authentication_string') FROM mysql.global_priv WHERE User = '$1' AND Host = '$2'"; }
plain() {
	rm -f /etc/mysql/mariadb.conf.d/zzz-last.cnf
	systemctl reset-failed mariadb 2>/dev/null || true # it may have been started often
	if [ -e $own ] || [ -e $logs ]; then # of a case before
		rm -f $own $logs
		systemctl restart mariadb
	fi
	systemctl is-active -q mariadb || systemctl start mariadb
	sql "UNINSTALL SONAME 'simple_password_check'" 2>/dev/null || true # of a case before
	sql 'STOP ALL SLAVES; RESET SLAVE ALL' 2>/dev/null # it may have been a replica
	sql "SELECT CONCAT('DROP DATABASE \`', REPLACE(SCHEMA_NAME, '\`', '\`\`'), '\`;') FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')" | mariadb
	sql "SELECT CONCAT(IF(IFNULL(JSON_VALUE(Priv, '\$.is_role'), 0), CONCAT('DROP ROLE ', QUOTE(User)), CONCAT('DROP USER ', QUOTE(User), '@', QUOTE(Host))), ';') FROM mysql.global_priv WHERE User NOT IN ('root', 'mysql', 'mariadb.sys')" | mariadb
	rm -rf /var/lib/muster/mysql
}
halted() { plain; systemctl stop mariadb; systemctl reset-failed mariadb 2>/dev/null || true; }
logging() {
	systemctl reset-failed mariadb 2>/dev/null || true
	rm -f /var/lib/mysql/muster-bin.*
	printf '[mysqld]\nlog_bin = muster-bin\n' >$logs
	systemctl restart mariadb
}
bare() {
	rm -f ${own%/*}/zzz-last.cnf $own $logs /var/lib/mysql/mysqld-bin.*
	rm -rf /var/lib/muster/mysql
	systemctl reset-failed mariadb 2>/dev/null || true
	systemctl restart mariadb
}
served() {
	rm -f ${own%/*}/zzz-last.cnf $logs
	cat >$own <<-END
		# Written by muster, by a task "mysql_server": what is changed here is overwritten.
		[mysqld]
		binlog_format = ROW
		gtid_strict_mode = ON
		log_bin = mysqld-bin
		log_slave_updates = ON
		max_connections = 177
		server_id = 31
	END
	rm -rf /var/lib/muster/mysql
	systemctl reset-failed mariadb 2>/dev/null || true
	systemctl restart mariadb
}
# certified is served with TLS, and with another certificate in the files than it has loaded.
certified() {
	ca
	signed old
	signed new
	cp -p $tls/old.pem $tls/served.pem
	cp -p $tls/old.key $tls/served.key
	served
	printf 'ssl_ca = %s\nssl_cert = %s\nssl_key = %s\n' $tls/ca.pem $tls/served.pem $tls/served.key >>$own
	{ sed -n 1,2p $own; sed 1,2d $own | sort; } >$own.new && mv $own.new $own
	systemctl restart mariadb
	cp -p $tls/new.pem $tls/served.pem
	cp -p $tls/new.key $tls/served.key
	systemctl show -P InvocationID mariadb >/run/muster-invocation
}
besides() { mariadb --no-defaults --socket=/var/lib/mysql-beside/s.sock -N -B -e "$1"; }
beside() {
	systemctl stop muster-beside 2>/dev/null || true
	systemctl reset-failed muster-beside 2>/dev/null || true
	rm -rf /var/lib/mysql-beside
	mariadb-install-db --no-defaults --user=mysql --datadir=/var/lib/mysql-beside --auth-root-authentication-method=socket --skip-test-db >/tmp/beside.log 2>&1
	systemd-run -q --unit muster-beside --collect mariadbd --no-defaults --user=mysql --datadir=/var/lib/mysql-beside --socket=/var/lib/mysql-beside/s.sock \
		--bind-address=127.0.0.1 --port=3308 --pid-file=/var/lib/mysql-beside/pid --server-id=1 --log-bin=beside-bin --gtid-strict-mode --log-slave-updates
	timeout 60 sh -c 'until mariadb --no-defaults --socket=/var/lib/mysql-beside/s.sock -e "DO 1" 2>/dev/null; do sleep 0.1; done'
	besides "CREATE USER repl@'%' IDENTIFIED BY 'repl-1'; GRANT REPLICATION SLAVE ON *.* TO repl@'%'"
}
replicates=${own%/*}/zz-muster-replication.cnf
second() {
	plain
	rm -f /var/lib/mysql/muster-bin.* $replicates
	printf '[mysqld]\nserver_id = 2\nlog_bin = muster-bin\nlog_slave_updates = 1\ngtid_strict_mode = 1\n' >$logs
	systemctl restart mariadb
	single
}
single() {
	systemctl reset-failed mariadb 2>/dev/null || true
	rm -f $replicates
	rm -rf /var/lib/muster/mysql
	sql "STOP ALL SLAVES; RESET SLAVE ALL; SET GLOBAL read_only = 0; SET GLOBAL rpl_semi_sync_slave_enabled = 0; DROP USER IF EXISTS repl@'%'; DROP DATABASE IF EXISTS mine; RESET MASTER; SET GLOBAL gtid_slave_pos = ''" 2>/dev/null
}
connected() {
	printf '# Written by muster, mysql_replication.\n[mysqld]\nread_only = ON\n' >$replicates
	sql "SET GLOBAL read_only = 1; CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 3308, MASTER_USER = 'repl', MASTER_PASSWORD = 'repl-1', MASTER_CONNECT_RETRY = 10, MASTER_USE_GTID = slave_pos; START SLAVE; DO MASTER_GTID_WAIT('0-1-2', 30)"
}
runs() { mariadb -e "SHOW SLAVE STATUS\G" | grep -c '_Running: Yes'; }
