package mysql

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"muster/host"
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
	// The hosts, by the inventory's names, whose databases may be thrown away for the
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

// ReplicationOutput is what a task of the kind offers.
type ReplicationOutput struct {
	// The state that the replica is in: "running", "lagging", "none" where it is absent.
	State string `json:"state"`
	// Why it is said to be in that state.
	Reason string `json:"reason"`
	// How many seconds it is behind its primary; -1 where the server can't tell.
	Lag int `json:"lag"`
	// How many transactions the primary had that the replica hadn't.
	Behind int `json:"behind"`
	// The GTIDs that the replica has.
	GTID string `json:"gtid"`
}

// longestPassword is how many characters of a password the servers keep of a replica's
// (CHANGE MASTER, CHANGE REPLICATION SOURCE), longestUser how many of the account's name.
const (
	longestPassword = 32
	longestUser     = 96
)

// Check refuses what no server takes.
func (r *Replication) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, where, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: where, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	plain := func(s string) bool {
		return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' })
	}
	if r.State == "absent" {
		if r.User != "" || r.Password != "" {
			fail("state", "", "Conflicting arguments", "Replication that is to be absent has no user and no password.")
		}
		return errs
	}
	for _, a := range []struct{ arg, value string }{{"user", r.User}, {"password", r.Password}} {
		if a.value == "" {
			fail(a.arg, "", "Missing argument", "A replica logs in at its primary: give it the user and the password of the account there that has the privilege REPLICATION SLAVE.")
		}
	}
	if n := utf8.RuneCountInString(r.Password); n > longestPassword || !plain(r.Password) {
		fail("password", "", "Wrong value", "A replica's password has at most %d characters, on one line: the servers keep no longer one. Give the account on the primary a shorter one.", longestPassword)
	}
	if utf8.RuneCountInString(r.User) > longestUser || !plain(r.User) {
		fail("user", "", "Wrong value", "%q is no name of an account.", oneLine(r.User, 80))
	}
	if strings.ContainsAny(r.Address, " /'") || !plain(r.Address) {
		fail("address", "", "Wrong value", "%q is no name and no address. A port is an argument of its own.", oneLine(r.Address, 80))
	} else if name, port, ok := strings.Cut(r.Address, ":"); ok && !strings.Contains(port, ":") {
		errs = append(errs, modules.ArgError{Arg: "address", Summary: "Wrong value", Detail: "The port is an argument of its own.", Hint: fmt.Sprintf("address = %q, port = %s", name, port)})
	}
	if r.Port < 0 || r.Port > 65535 {
		fail("port", "", "Wrong value", "A port is a number up to 65535.")
	}
	if r.MaxLag < 1 && !unknown("max_lag") {
		fail("max_lag", "", "Wrong value", "It is a number of seconds, at least 1.")
	}
	if r.TLS != nil && r.TLS.CA != "" && (!path.IsAbs(r.TLS.CA) || !plain(r.TLS.CA)) {
		fail("tls", ".ca", "Wrong value", "%q isn't an absolute path.", r.TLS.CA)
	}
	return errs
}

// Withhold hides the lines of what is sensitive. The password is in none.
func (r *Replication) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "address", "user", "password", "tls", "semi_sync", "read_only")
}

// May is all that a copy of the primary's data brings along, and the kind's own settings.
func (r *Replication) May() []host.Effect {
	effects := append(queryEffects(), host.Open(replication, ""))
	for _, f := range []flavor{mariadb, mysqlOwn} {
		for _, dir := range settingsFolders(f) {
			effects = append(effects, host.Open(host.Files, settingsFile(dir)))
		}
	}
	// Where the server's data lies isn't known from here: it is where the packages have it.
	n := copyNote{DataDir: "/var/lib/mysql", Unit: "mariadb.service"}
	if r.State == "absent" {
		return append(effects, fileEffects((&replica{DataDir: n.DataDir}).sourceFile())...)
	}
	for _, k := range serverKeys {
		if k.Space == host.Units {
			effects = append(effects, host.Open(k.Space, k.Name))
		}
	}
	return append(append(effects, n.copyEffects()...), host.Open(host.Files, trustPath))
}

// Companions is the primary.
func (r *Replication) Companions() []modules.Companion {
	if r.State == "absent" {
		return nil
	}
	return []modules.Companion{{Host: r.Primary, Arg: "primary", Kind: "mysql_donor", Args: map[string]any{"method": r.Method}, Relay: r.Relay}}
}

// Hosts are those whose data may go.
func (r *Replication) Hosts() (list []modules.NamedHost) {
	for i, name := range r.AllowDestroy {
		if name != "" {
			list = append(list, modules.NamedHost{Host: name, Arg: "allow_destroy", Path: fmt.Sprintf("[%d]", i)})
		}
	}
	return list
}

// replication is the space of what a replica is set to, which has three names.
const replication = "mysql_replication"

var (
	sourceKey   = host.Key{Space: replication, Name: "source"}   // whom it replicates from, and how
	runningKey  = host.Key{Space: replication, Name: "running"}  // whether it does
	settingsKey = host.Key{Space: replication, Name: "settings"} // of the server as a replica
)

// link is how a replica is connected to its source.
type link struct {
	Host string `json:"host"`
	Port int    `json:"port"`
	User string `json:"user"`
	// Password is its sum; "" where it isn't known.
	Password  string `json:"password,omitempty"`
	Auto      bool   `json:"auto"`
	TLS       bool   `json:"tls,omitempty"`
	CA        string `json:"ca,omitempty"`
	Verify    bool   `json:"verify,omitempty"`
	PublicKey bool   `json:"public_key,omitempty"`
	Retry     int    `json:"retry"`
}

// retryTime is how many seconds a replica waits before it connects again. The servers' own is a
// minute, in which a primary that was restarted has long come back.
const retryTime = 10

// settings are those of a server as a replica.
type settings struct {
	ReadOnly bool `json:"read_only"`
	SemiSync bool `json:"semi_sync,omitempty"`
}

// linkOf is a connection as the server has it, with the sum of its password.
func linkOf(c *channel, password string) *link {
	l := &link{Host: c.Host, Port: c.Port, User: c.User, Password: password, Auto: c.Auto, TLS: c.TLS, PublicKey: c.PublicKey, Retry: c.Retry}
	if c.TLS {
		l.CA, l.Verify = c.CA, c.Verify
	}
	return l
}

// wanted is the connection that the arguments ask for. password is the sum of theirs.
func (r *Replication) wanted(p *DonorOutput, password string) link {
	l := link{Host: r.address(), Port: r.Port, User: r.User, Password: password, Auto: true, Retry: retryTime}
	if l.Port == 0 {
		l.Port = p.Port
	}
	if r.TLS != nil {
		l.TLS, l.CA, l.Verify = true, r.TLS.CA, r.TLS.Verify == nil || *r.TLS.Verify
	} else {
		// Without TLS caching_sha2_password lets in only whom it remembers, or who has its key.
		l.PublicKey = p.Flavor == mysqlOwn
	}
	return l
}

// address is where this host finds the primary.
func (r *Replication) address() string {
	if r.Address != "" {
		return r.Address
	}
	return r.Primary
}
