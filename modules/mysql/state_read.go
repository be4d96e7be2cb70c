package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"muster/host"
)

// readReplica asks the server what it is as a replica, once for all tasks of a host.
func readReplica(ctx context.Context, v *host.View) (*replica, error) {
	return host.Once(v, "mysql replica", func() (*replica, error) {
		return asking(ctx, v, func(s *server) (*replica, error) { return s.replica(ctx) })
	})
}

// replica reads all that judge takes, and what its settings are.
func (s *server) replica(ctx context.Context) (*replica, error) {
	vars, err := s.variables(ctx, "server_id", "server_uuid", "log_bin", "log_slave_updates", "log_replica_updates",
		"gtid_strict_mode", "gtid_mode", "enforce_gtid_consistency", "gtid_executed", "gtid_binlog_state", "gtid_slave_pos",
		"read_only", "super_read_only", "datadir", "rpl_semi_sync_slave_enabled", "rpl_semi_sync_replica_enabled")
	if err != nil {
		return nil, err
	}
	r := &replica{
		Flavor: s.flavor, Version: fmt.Sprintf("%d.%d.%d", s.version[0], s.version[1], s.version[2]),
		UUID: vars["server_uuid"], Binlog: yes(vars["log_bin"]), DataDir: vars["datadir"],
		LogUpdates: yes(vars["log_slave_updates"]) || yes(vars["log_replica_updates"]),
		SemiSync:   yes(vars["rpl_semi_sync_slave_enabled"]) || yes(vars["rpl_semi_sync_replica_enabled"]),
	}
	r.NoSemiSync = vars["rpl_semi_sync_slave_enabled"]+vars["rpl_semi_sync_replica_enabled"] == ""
	r.ServerID, _ = strconv.ParseInt(vars["server_id"], 10, 64)
	if s.flavor == mariadb {
		r.GTIDs, r.ReadOnly = yes(vars["gtid_strict_mode"]), vars["read_only"] != "OFF"
		r.Executed, r.SlavePos = oneWord(vars["gtid_binlog_state"]), oneWord(vars["gtid_slave_pos"])
	} else {
		r.GTIDs, r.ReadOnly = yes(vars["gtid_mode"]) && yes(vars["enforce_gtid_consistency"]), yes(vars["super_read_only"])
		r.Executed = oneWord(vars["gtid_executed"])
	}
	if r.Channels, err = s.channels(ctx); err != nil {
		return nil, err
	}
	if len(r.Channels) == 0 { // what it holds tells then what may be done; sizes take long to count
		r.Schemas, err = s.schemas(ctx)
	}
	return r, err
}

// schemas are the databases besides the server's own.
func (s *server) schemas(ctx context.Context) (list []SchemaSize, err error) {
	rows, err := s.rows(ctx, "SELECT s.SCHEMA_NAME, COUNT(t.TABLE_NAME), COALESCE(SUM(COALESCE(t.DATA_LENGTH, 0) + COALESCE(t.INDEX_LENGTH, 0)), 0) FROM information_schema.SCHEMATA s LEFT JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = s.SCHEMA_NAME WHERE s.SCHEMA_NAME NOT IN "+systemSchemas()+" GROUP BY s.SCHEMA_NAME ORDER BY s.SCHEMA_NAME")
	for _, row := range rows {
		n, _ := strconv.Atoi(row[1])
		size, _ := strconv.ParseInt(row[2], 10, 64)
		list = append(list, SchemaSize{Name: row[0], Tables: n, Bytes: size})
	}
	return list, err
}

// words are how the server's statements call replicas and sources: it has been both ways.
func (a *about) words() (replica, source string) {
	if a.flavor == mysqlOwn && a.atLeast([3]int{8, 0, 23}) {
		return "REPLICA", "SOURCE"
	}
	return "SLAVE", "MASTER"
}

// channels asks for all connections to sources.
func (s *server) channels(ctx context.Context) ([]channel, error) {
	word, _ := s.words()
	query := "SHOW " + word + " STATUS"
	if s.flavor == mariadb {
		query = "SHOW ALL SLAVES STATUS"
	}
	rows, err := s.named(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("asking for the state of replication: %w", err)
	}
	var list []channel
	for _, row := range rows {
		c := readChannel(row)
		if c.SQL != "Yes" && c.SQLErrno != 0 && s.flavor == mysqlOwn {
			if err := s.workers(ctx, &c); err != nil {
				return nil, err
			}
		}
		if c.SQL != "Yes" && c.SQLErrno != 0 && s.flavor == mariadb && !gtidWord.MatchString(c.SQLError) {
			if next, err := s.nextReceived(ctx, c.Name, row["Relay_Log_File"], row["Relay_Log_Pos"]); err != nil {
				return nil, err
			} else if next != "" {
				c.SQLError += ", Gtid " + next
			}
		}
		list = append(list, c)
	}
	return list, nil
}

// nextReceived is the first transaction in MariaDB's relay log from a position on; "" where
// that is gone.
func (s *server) nextReceived(ctx context.Context, name, file, position string) (string, error) {
	at, err := strconv.ParseUint(position, 10, 64)
	if err != nil || file == "" {
		return "", nil
	}
	rows, err := s.rows(ctx, fmt.Sprintf("SHOW RELAYLOG %s EVENTS IN %s FROM %d LIMIT 10", literal(name), literal(file), at))
	if isError(err, errBadLog) {
		return "", nil
	}
	for _, row := range rows {
		if len(row) > 5 && row[2] == "Gtid" {
			words := strings.Fields(row[5]) // "BEGIN GTID 0-1-7", "GTID 0-1-8 cid=21"
			for i, w := range words[:max(len(words)-1, 0)] {
				if w == "GTID" {
					return words[i+1], nil
				}
			}
		}
	}
	return "", err
}

// errBadLog is a log that isn't there, or a position in it at which nothing begins.
const errBadLog = 1220

// readChannel reads a row of SHOW REPLICA STATUS, or of what that was called before.
func readChannel(row map[string]string) channel {
	f := map[string]string{}
	for name, value := range row {
		f[strings.NewReplacer("master", "source", "slave", "replica").Replace(strings.ToLower(name))] = value
	}
	number := func(name string) int { n, _ := strconv.Atoi(f[name]); return n }
	c := channel{
		Name: f["connection_name"] + f["channel_name"], Host: f["source_host"], User: f["source_user"], Port: number("source_port"),
		IO: f["replica_io_running"], SQL: f["replica_sql_running"],
		IOErrno: number("last_io_errno"), IOError: f["last_io_error"], SQLErrno: number("last_sql_errno"), SQLError: f["last_sql_error"],
		Auto:     f["auto_position"] == "1" || strings.EqualFold(f["using_gtid"], "slave_pos"),
		SourceID: int64(number("source_server_id")), SourceUUID: f["source_uuid"],
		TLS: yes(f["source_ssl_allowed"]), CA: f["source_ssl_ca_file"], Verify: yes(f["source_ssl_verify_server_cert"]),
		PublicKey: yes(f["get_source_public_key"]), Retry: number("connect_retry"), Retrieved: oneWord(f["retrieved_gtid_set"]),
	}
	if c.IO == "Preparing" {
		c.IO = "Connecting"
	}
	if n, err := strconv.Atoi(f["seconds_behind_source"]); err == nil {
		c.Seconds = &n
	}
	return c
}

// workers asks MySQL what its threads have failed with: SHOW REPLICA STATUS says only that one
// has.
func (s *server) workers(ctx context.Context, c *channel) error {
	rows, err := s.rows(ctx, "SELECT LAST_ERROR_NUMBER, LAST_ERROR_MESSAGE FROM performance_schema.replication_applier_status_by_worker WHERE LAST_ERROR_NUMBER <> 0 AND CHANNEL_NAME = "+literal(c.Name)+" ORDER BY LAST_ERROR_TIMESTAMP LIMIT 1")
	if err != nil || len(rows) == 0 {
		return err
	}
	if n, err := strconv.Atoi(rows[0][0]); err == nil {
		c.SQLErrno, c.SQLError = n, rows[0][1]
	}
	return nil
}
