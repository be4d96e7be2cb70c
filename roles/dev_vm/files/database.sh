#!/bin/busybox sh
# Starts MariaDB, with a database "shop" and a user of that name.
set -eu
busybox mkdir -p /data /run/mysqld
if [ ! -e /data/made ]; then # not at all, or not whole
	busybox rm -rf /data/*
	for files in /usr/share/mariadb /usr/share/mysql; do
		[ ! -e $files/maria_add_gis_sp_bootstrap.sql ] || cd $files
	done
	{
		printf "%s\n" "CREATE DATABASE mysql;" "USE mysql;"
		# mysql_NAME.sql up to MariaDB 10.11, mariadb_NAME.sql from 11 on.
		busybox cat m*_system_tables.sql m*_performance_tables.sql m*_system_tables_data.sql maria_add_gis_sp_bootstrap.sql
	} >/run/bootstrap.sql
	mariadbd --no-defaults --bootstrap --datadir=/data --user=root --log-warnings=0 </run/bootstrap.sql
	busybox touch /data/made
fi
password=$(busybox cat /run/secrets/database)
printf "CREATE DATABASE IF NOT EXISTS shop;\nCREATE OR REPLACE USER shop@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON shop.* TO shop@'%%';\n" "$password" >/run/init.sql
exec mariadbd --no-defaults --datadir=/data --user=root --socket=/run/mysqld/mysqld.sock --skip-name-resolve --init-file=/run/init.sql
