package mysql

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"muster/host"
)

// readDonor asks the server what it is and what it holds.
func readDonor(ctx context.Context, v *host.View) (DonorOutput, error) {
	o, err := asking(ctx, v, func(s *server) (DonorOutput, error) { return s.donor(ctx) })
	if err != nil {
		return o, err
	}
	if o.TLS {
		if o.Chain, err = servedChain(ctx, viewDialer(v)); err != nil {
			return o, err
		}
	}
	for _, tool := range []string{backupProgram, "mariadb-dump", "mysqldump"} {
		at, err := findProgram(v, tool)
		if err != nil {
			return o, err
		}
		if at != "" {
			o.Tools = append(o.Tools, tool)
		}
	}
	if o.Flavor != mysqlOwn {
		return o, nil
	}
	plugins, err := asking(ctx, v, func(s *server) ([]string, error) { return s.one(ctx, "SELECT @@GLOBAL.plugin_dir", 1) })
	if err != nil {
		return o, err
	}
	info, err := v.Stat(filepath.Join(plugins[0], clonePlugin))
	if err == nil && info.Exists() {
		o.Tools = append(o.Tools, cloneTool)
	}
	return o, err
}

// servedChain is the certificates that the server shows, its own first.
func servedChain(ctx context.Context, dial dialer) (chain [][]byte, err error) {
	db, err := open(ctx, dial, login{user: "root", tls: true, chain: func(c [][]byte) { chain = c }})
	if err == nil {
		db.Close()
	}
	if chain == nil && err != nil && (nobodyListens(err) || errors.Is(err, context.Canceled)) {
		return nil, err
	}
	return chain, nil // without one it takes no TLS, whatever it says
}

// cloneTool is how MySQL's plugin is called among the tools.
const cloneTool = "clone"

// clonePlugin is the file of MySQL's plugin clone.
const clonePlugin = "mysql_clone.so"

// programDirs are where the servers' packages have their programs.
var programDirs = []string{"/usr/bin", "/usr/local/bin", "/usr/sbin"}

// findProgram returns the path of a program, "" where it isn't installed.
func findProgram(v *host.View, name string) (string, error) {
	for _, dir := range programDirs {
		path := filepath.Join(dir, name)
		info, err := v.Stat(path)
		if err != nil {
			return "", err
		}
		if info.Exists() {
			return path, nil
		}
	}
	return "", nil
}

// systemSchemas is a list of the server's own databases, as SQL has it.
func systemSchemas() string {
	var list []string
	for _, name := range ownDatabases {
		list = append(list, literal(name))
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// variables reads global variables by their names, in lower case. Those that the server
// doesn't know are missing.
func (s *server) variables(ctx context.Context, names ...string) (map[string]string, error) {
	var list []string
	for _, n := range names {
		list = append(list, literal(n))
	}
	rows, err := s.rows(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ("+strings.Join(list, ", ")+")")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, r := range rows {
		if len(r) == 2 {
			found[strings.ToLower(r[0])] = r[1]
		}
	}
	return found, nil
}

func yes(value string) bool {
	return value == "1" || strings.EqualFold(value, "ON") || strings.EqualFold(value, "YES")
}

// donor reads what the server itself knows.
func (s *server) donor(ctx context.Context) (o DonorOutput, err error) {
	o.Flavor, o.Version = s.flavor, fmt.Sprintf("%d.%d.%d", s.version[0], s.version[1], s.version[2])
	vars, err := s.variables(ctx, "server_id", "server_uuid", "port", "skip_networking", "bind_address", "log_bin",
		"log_slave_updates", "log_replica_updates", "gtid_strict_mode", "gtid_mode", "enforce_gtid_consistency",
		"gtid_executed", "gtid_purged", "gtid_binlog_state", "gtid_binlog_pos", "gtid_current_pos", "gtid_slave_pos",
		"rpl_semi_sync_master_enabled", "rpl_semi_sync_source_enabled", "have_ssl")
	if err != nil {
		return o, err
	}
	o.ServerID, _ = strconv.ParseInt(vars["server_id"], 10, 64)
	o.Binlog, o.LogUpdates = yes(vars["log_bin"]), yes(vars["log_slave_updates"]) || yes(vars["log_replica_updates"])
	o.SemiSync = yes(vars["rpl_semi_sync_master_enabled"]) || yes(vars["rpl_semi_sync_source_enabled"])
	if !yes(vars["skip_networking"]) {
		o.Port, _ = strconv.Atoi(vars["port"])
		o.Listens = vars["bind_address"]
	}
	if s.flavor == mariadb {
		o.GTIDs, o.TLS = yes(vars["gtid_strict_mode"]), yes(vars["have_ssl"])
		o.GTID = lastGTIDs(vars["gtid_binlog_state"], vars["gtid_slave_pos"])
		if o.Position = oneWord(vars["gtid_binlog_pos"]); !o.LogUpdates {
			o.Position = oneWord(vars["gtid_current_pos"])
		}
		if o.Binlog {
			o.Purged, err = s.oldestLogged(ctx)
		}
	} else {
		o.GTIDs = yes(vars["gtid_mode"]) && yes(vars["enforce_gtid_consistency"])
		o.UUID, o.GTID, o.Purged = vars["server_uuid"], oneWord(vars["gtid_executed"]), oneWord(vars["gtid_purged"])
		o.Position = o.GTID
		o.TLS, err = s.takesTLS(ctx)
	}
	if err != nil {
		return o, err
	}
	if o.Source, err = s.source(ctx); err != nil {
		return o, err
	}
	return o, s.holds(ctx, &o)
}

// oneWord is a list of GTIDs without the spaces and lines that servers put between them.
func oneWord(text string) string { return strings.Join(strings.Fields(text), "") }

// lastGTIDs merges lists of MariaDB's GTIDs (domain-server-number): of each domain and
// server the one with the highest number, in order.
func lastGTIDs(lists ...string) string {
	last := map[[2]uint64]uint64{}
	for _, g := range strings.Split(oneWord(strings.Join(lists, ",")), ",") {
		parts := strings.Split(g, "-")
		if len(parts) != 3 {
			continue
		}
		var n [3]uint64
		for i, p := range parts {
			n[i], _ = strconv.ParseUint(p, 10, 64)
		}
		at := [2]uint64{n[0], n[1]}
		last[at] = max(last[at], n[2])
	}
	var list []string
	for _, at := range slices.SortedFunc(maps.Keys(last), func(a, b [2]uint64) int { return slices.Compare(a[:], b[:]) }) {
		list = append(list, fmt.Sprintf("%d-%d-%d", at[0], at[1], last[at]))
	}
	return strings.Join(list, ",")
}

// one reads the one row of an answer, which has to have that many columns.
func (s *server) one(ctx context.Context, query string, columns int) ([]string, error) {
	rows, err := s.rows(ctx, query)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 || len(rows[0]) != columns {
		return nil, fmt.Errorf("the server's answer to %q is none", oneLine(query, 60))
	}
	return rows[0], nil
}

// takesTLS asks whether MySQL lets anybody in by TLS.
func (s *server) takesTLS(ctx context.Context) (bool, error) {
	rows, err := s.rows(ctx, "SHOW GLOBAL STATUS LIKE 'Ssl_server_not_after'")
	return err == nil && len(rows) == 1 && rows[0][1] != "", err
}

// listed is how MariaDB writes the position at which a log begins: "[0-1-4,1-2-3]".
var listed = regexp.MustCompile(`^\[([0-9,\- \n]*)\]$`)

// oldestLogged is the position at which the oldest of MariaDB's binary logs begins.
func (s *server) oldestLogged(ctx context.Context) (string, error) {
	logs, err := s.rows(ctx, "SHOW BINARY LOGS")
	if err != nil || len(logs) == 0 {
		return "", err
	}
	events, err := s.rows(ctx, "SHOW BINLOG EVENTS IN "+literal(logs[0][0])+" LIMIT 4")
	if err != nil {
		return "", err
	}
	for _, e := range events { // Log_name, Pos, Event_type, Server_id, End_log_pos, Info
		if len(e) == 6 && e[2] == "Gtid_list" {
			if m := listed.FindStringSubmatch(e[5]); m != nil {
				return strings.NewReplacer(" ", "", "\n", "").Replace(m[1]), nil
			}
		}
	}
	return "", nil
}

// source is the server's own source, "" where it has none.
func (s *server) source(ctx context.Context) (string, error) {
	query := "SHOW ALL SLAVES STATUS"
	if s.flavor == mysqlOwn {
		query = "SELECT HOST, PORT FROM performance_schema.replication_connection_configuration WHERE HOST <> '' ORDER BY CHANNEL_NAME LIMIT 1"
	}
	rows, err := s.named(ctx, query)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	if s.flavor == mysqlOwn {
		return rows[0]["HOST"] + ":" + rows[0]["PORT"], nil
	}
	return rows[0]["Master_Host"] + ":" + rows[0]["Master_Port"], nil
}

// named reads an answer whole, each row by its columns' names. What is NULL is left out.
func (s *server) named(ctx context.Context, query string) ([]map[string]string, error) {
	o, _, err := s.answer(ctx, query)
	return o.Rows, err
}

// emptiedLimit is how many tables of other engines than InnoDB a donor names.
const emptiedLimit = 100

// holds reads databases, engines and sizes.
func (s *server) holds(ctx context.Context, o *DonorOutput) error {
	rows, err := s.rows(ctx, `SELECT s.SCHEMA_NAME, t.ENGINE, COUNT(t.TABLE_NAME), SUM(IFNULL(t.DATA_LENGTH, 0) + IFNULL(t.INDEX_LENGTH, 0))
FROM information_schema.SCHEMATA s LEFT JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = s.SCHEMA_NAME AND t.TABLE_TYPE NOT LIKE '%VIEW'
WHERE s.SCHEMA_NAME NOT IN `+systemSchemas()+` GROUP BY 1, 2 ORDER BY 1, 2`)
	if err != nil {
		return err
	}
	others := false
	for _, r := range rows {
		if n := len(o.Schemas); n == 0 || o.Schemas[n-1].Name != r[0] {
			o.Schemas = append(o.Schemas, SchemaSize{Name: r[0]})
		}
		if r[1] == "" {
			continue
		}
		in := &o.Schemas[len(o.Schemas)-1]
		tables, _ := strconv.Atoi(r[2])
		size, _ := strconv.ParseInt(r[3], 10, 64)
		in.Tables, in.Bytes = in.Tables+tables, in.Bytes+size
		if !slices.Contains(o.Engines, r[1]) {
			o.Engines = append(o.Engines, r[1])
		}
		if r[1] != innoDB {
			others = true
			o.DataBytes += size
		}
	}
	slices.Sort(o.Engines)
	if others {
		if o.Emptied, err = s.notInnoDB(ctx); err != nil {
			return err
		}
	}
	// InnoDB's files are what there is to copy: they hold more than rows and indexes.
	files := "SELECT SUM(FILE_SIZE) FROM information_schema.INNODB_TABLESPACES"
	if s.flavor == mariadb {
		files = "SELECT SUM(FILE_SIZE) FROM information_schema.INNODB_SYS_TABLESPACES"
	}
	one, err := s.one(ctx, files, 1)
	if err != nil {
		return err
	}
	size, _ := strconv.ParseInt(one[0], 10, 64)
	o.DataBytes += size
	return nil
}

const innoDB = "InnoDB"

// notInnoDB names tables of other engines.
func (s *server) notInnoDB(ctx context.Context) (list []string, err error) {
	rows, err := s.rows(ctx, fmt.Sprintf(`SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
WHERE TABLE_SCHEMA NOT IN %s AND TABLE_TYPE NOT LIKE '%%VIEW' AND ENGINE <> '%s' ORDER BY 1, 2 LIMIT %d`, systemSchemas(), innoDB, emptiedLimit))
	for _, r := range rows {
		list = append(list, r[0]+"."+r[1])
	}
	return list, err
}
