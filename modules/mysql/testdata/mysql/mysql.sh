# What the cases stand on: MySQL on a lab host. As in mariadb.sh:
#   sql STATEMENT, as USER PASSWORD [STATEMENT], plain, bare, served, certified
sql() { mysql -N -B --raw -e "$1"; }
as() { MYSQL_PWD=$2 mysql -N -B --raw -u "$1" -e "${3-SELECT CURRENT_USER()}" 2>&1; }
own=/etc/mysql/mysql.conf.d/zz-muster.cnf
. "${MYSQL%/*/*}/certificates.sh"
start() {
	systemctl reset-failed mysql 2>/dev/null || true
	rm -rf /var/lib/muster/mysql /var/lib/mysql/mysqld-auto.cnf
	systemctl restart mysql
}
plain() {
	systemctl is-active -q mysql || start
	sql "SET GLOBAL partial_revokes = OFF" 2>/dev/null || true
	sql "SELECT CONCAT('DROP USER ', QUOTE(User), '@', QUOTE(Host), ';') FROM mysql.user WHERE User <> 'root' AND User NOT LIKE 'mysql.%' AND User <> 'debian-sys-maint'" | mysql
	sql "SELECT CONCAT('DROP DATABASE \`', SCHEMA_NAME, '\`;') FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')" | mysql
	rm -rf /var/lib/muster/mysql
}
bare() { rm -f $own; start; }
served() {
	cat >$own <<-END
		# Written by muster, by a task "mysql_server": what is changed here is overwritten.
		[mysqld]
		enforce_gtid_consistency = ON
		gtid_mode = ON
		log_replica_updates = ON
		max_connections = 177
		server_id = 31
	END
	start
}
certified() {
	ca
	signed old
	signed new
	cp -p $tls/old.pem $tls/served.pem
	cp -p $tls/old.key $tls/served.key
	served
	printf 'ssl_ca = %s\nssl_cert = %s\nssl_key = %s\n' $tls/ca.pem $tls/served.pem $tls/served.key >>$own
	start
	cp -p $tls/new.pem $tls/served.pem
	cp -p $tls/new.key $tls/served.key
	systemctl show -P InvocationID mysql >/run/muster-invocation
}
