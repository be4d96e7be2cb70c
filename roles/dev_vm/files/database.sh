#!/bin/busybox sh
# Starts MariaDB, with a database "shop" and a user of that name.
set -eu
busybox mkdir -p /data /run/mysqld
if [ ! -e /data/made ]; then # not at all, or not whole
	busybox rm -rf /data/*
	{
		printf "%s\n" "CREATE DATABASE mysql;" "USE mysql;"
		cd /usr/share/mysql
		busybox cat mysql_system_tables.sql mysql_performance_tables.sql mysql_system_tables_data.sql maria_add_gis_sp_bootstrap.sql
	} | mariadbd --no-defaults --bootstrap --datadir=/data --user=root --log-warnings=0
	busybox touch /data/made
fi
password=$(busybox cat /run/secrets/database)
printf "CREATE DATABASE IF NOT EXISTS shop;\nCREATE OR REPLACE USER shop@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON shop.* TO shop@'%%';\n" "$password" >/run/init.sql
exec mariadbd --no-defaults --datadir=/data --user=root --socket=/run/mysqld/mysqld.sock --skip-name-resolve --init-file=/run/init.sql
