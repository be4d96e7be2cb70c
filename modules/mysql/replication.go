package mysql

import (
	"muster/modules"
)

// Replication makes the MariaDB or MySQL server on the host a replica of another host's, by
// GTIDs, and keeps it one. It reads what the replica and its primary say of themselves, and
// tells the state that follows from it: none, provisioning, running, lagging, stopped,
// broken(io), broken(sql), diverged, errant, wrong source, purged gap. An empty replica gets
// the primary's data first, unless the primary's binary logs have all of it.
type Replication struct {
	// The host of the inventory whose server is replicated from.
	Primary string `arg:"primary,required"`
	// Where this host finds the primary: a name or an address.
	Address string `arg:"address" means:"the primary's name"`
	// The port that the primary's server listens on.
	Port int `arg:"port" means:"the primary's own"`
	// The account on the primary that replicates, made there by a mysql_user task with the
	// privilege REPLICATION SLAVE.
	User string `arg:"user"`
	// Its password, of at most 32 characters: the servers keep no longer one of a replica.
	Password string `arg:"password,sensitive"`
	// How an empty replica gets the primary's data: "clone" (MySQL's own), "backup"
	// (mariadb-backup), "dump", or "logs", which copies nothing and has the primary's
	// binary logs replayed from the beginning. "auto" chooses; logs alone only where the
	// primary holds no databases.
	Method string `arg:"method" oneof:"auto clone backup dump logs" default:"auto"`
	// The connection to the primary is TLS.
	TLS *ReplicationTLS `arg:"tls"`
	// The replica acknowledges transactions to a primary that waits for it. The primary's
	// side of that is a setting of its mysql_server.
	SemiSync *bool `arg:"semi_sync" means:"as it is"`
	// The hosts, by their own host names, whose databases may be thrown away for the
	// primary's.
	AllowDestroy []string `arg:"allow_destroy"`
	// The copy of the primary's data goes through the controller: no connection between the
	// hosts is needed for it. Replication itself needs one.
	Relay bool `arg:"relay"`
	// The replica takes writes from its primary alone: read_only (on MySQL super_read_only), in
	// a file of its own, so that it holds over a restart.
	ReadOnly *bool `arg:"read_only" means:"true"`
	// From how many seconds behind its primary on the replica is told to lag. That is told
	// and changes nothing.
	MaxLag int `arg:"max_lag" default:"60"`
	// "absent" ends replication: the source is forgotten, and the server takes writes.
	State string `arg:"state" oneof:"replicating absent" default:"replicating"`
}

// ReplicationTLS is how the connection to the primary is secured.
type ReplicationTLS struct {
	// The file on this host with the certificates of those who sign the primary's.
	CA string `arg:"ca,required"`
	// The primary's certificate has to be of the name or address that this host finds it at.
	Verify *bool `arg:"verify" means:"true"`
}

// Companions is the primary.
func (r *Replication) Companions() []modules.Companion {
	if r.State == "absent" {
		return nil
	}
	return []modules.Companion{{Host: r.Primary, Arg: "primary", Kind: "mysql_donor", Relay: r.Relay}}
}
