package mysql

// DonorOutput is what the companion of mysql_replication on the primary, mysql_donor, tells
// of its server: all that the replica's plan has to know of the other side. It was read some
// time before the replica's own state, so that the replica may have more by then.
type DonorOutput struct {
	Flavor  flavor `json:"flavor"`  // "MariaDB" or "MySQL"
	Version string `json:"version"` // "10.11.19"
	// ServerID is server_id; UUID is server_uuid, "" on MariaDB.
	ServerID int64  `json:"server_id"`
	UUID     string `json:"uuid,omitempty"`
	// GTID is all that the server has: on MySQL gtid_executed. On MariaDB a list that holds
	// gtid_binlog_state and gtid_slave_pos, with the last number of each domain and server.
	GTID string `json:"gtid"`
	// Position is where its binary log ends: on MariaDB gtid_binlog_pos, or gtid_current_pos
	// where it hasn't logged what it has; on MySQL gtid_executed.
	Position string `json:"position"`
	// Purged is what its binary logs don't hold any more: on MySQL gtid_purged, on MariaDB
	// the list of GTIDs at the beginning of the oldest log. It is "" where they reach
	// back to the beginning.
	Purged string `json:"purged,omitempty"`
	// Binlog is log_bin; LogUpdates is log_slave_updates (log_replica_updates); GTIDs is
	// gtid_strict_mode on MariaDB, and on MySQL gtid_mode = ON with
	// enforce_gtid_consistency.
	Binlog     bool `json:"binlog"`
	LogUpdates bool `json:"log_updates"`
	GTIDs      bool `json:"gtids"`
	// Source is the address that it replicates from itself, "" where it is no replica.
	Source string `json:"source,omitempty"`
	// SemiSync: it waits for replicas that acknowledge.
	SemiSync bool `json:"semi_sync,omitempty"`
	// Port and Listens are where it listens: port, and bind_address ("*": everywhere). Port
	// is 0 where it takes no connections but through its socket.
	Port    int    `json:"port"`
	Listens string `json:"listens,omitempty"`
	// TLS: it offers TLS.
	TLS bool `json:"tls"`
	// Chain is the certificates that it shows, in DER, its own first; none without TLS.
	Chain [][]byte `json:"chain,omitempty"`
	// Accounts: accounts there are about to change, by tasks that aren't made yet.
	Accounts bool `json:"accounts,omitempty"`
	// Schemas are the databases besides the server's own, in the order of their names.
	Schemas []SchemaSize `json:"schemas,omitempty"`
	// Engines are those of their tables, in order; Emptied the tables, DATABASE.TABLE, that
	// a clone would leave empty since they aren't InnoDB's.
	Engines []string `json:"engines,omitempty"`
	Emptied []string `json:"emptied,omitempty"`
	// DataBytes is how much a copy of the whole data directory takes, roughly.
	DataBytes int64 `json:"data_bytes"`
	// Tools are the programs and plugins there that can send a copy: "mariadb-backup",
	// "mariadb-dump", "mysqldump", "clone".
	Tools []string `json:"tools,omitempty"`
}

// SchemaSize is a database and how much it holds.
type SchemaSize struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	Tables int    `json:"tables"`
}
