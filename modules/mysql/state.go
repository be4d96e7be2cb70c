package mysql

import (
	"fmt"
	"muster/host"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// state is what a replica is in.
type state string

const (
	stateNone         state = "none"         // it replicates from nobody
	stateProvisioning state = "provisioning" // a copy of the primary's data was cut off
	stateRunning      state = "running"
	stateLagging      state = "lagging"      // it runs, far behind
	stateStopped      state = "stopped"      // somebody has stopped it
	stateBrokenIO     state = "broken(io)"   // nothing comes from the primary
	stateBrokenSQL    state = "broken(sql)"  // what comes can't be done
	stateDiverged     state = "diverged"     // its history contradicts the primary's
	stateErrant       state = "errant"       // it has transactions that the primary lacks
	stateWrongSource  state = "wrong source" // it gets another server's data
	statePurgedGap    state = "purged gap"   // the primary's logs lack what it needs next
)

// replica is what was read of a replica.
type replica struct {
	Flavor   flavor `json:"flavor"`
	Version  string `json:"version"`
	ServerID int64  `json:"server_id"`
	UUID     string `json:"uuid,omitempty"` // MySQL's server_uuid
	// As in DonorOutput.
	Binlog     bool `json:"binlog"`
	LogUpdates bool `json:"log_updates"`
	GTIDs      bool `json:"gtids"`
	// ReadOnly is read_only, on MySQL super_read_only.
	ReadOnly bool `json:"read_only,omitempty"`
	// SemiSync: the replica's side of it is on; NoSemiSync: the server doesn't know it.
	SemiSync   bool `json:"semi_sync,omitempty"`
	NoSemiSync bool `json:"no_semi_sync,omitempty"`
	// Executed is what it has: gtid_executed, on MariaDB gtid_binlog_state.
	Executed string `json:"executed,omitempty"`
	// SlavePos is MariaDB's gtid_slave_pos: up to where it has replicated.
	SlavePos string       `json:"slave_pos,omitempty"`
	Schemas  []SchemaSize `json:"schemas,omitempty"`
	Channels []channel    `json:"channels,omitempty"`
	// Staging says what a copy that was cut off has left.
	Staging string `json:"staging,omitempty"`
	// DataDir is the data directory.
	DataDir string `json:"data_dir,omitempty"`
}

// channel is a connection to a source, as the server tells of it.
type channel struct {
	Name string `json:"name,omitempty"`
	Host string `json:"host"`
	Port int    `json:"port"`
	User string `json:"user"`
	// IO and SQL are the two threads: "Yes", "No", "Connecting".
	IO       string `json:"io"`
	SQL      string `json:"sql"`
	IOErrno  int    `json:"io_errno,omitempty"`
	IOError  string `json:"io_error,omitempty"`
	SQLErrno int    `json:"sql_errno,omitempty"`
	SQLError string `json:"sql_error,omitempty"`
	// Seconds is how far behind it is; nil where it can't tell.
	Seconds *int `json:"seconds,omitempty"`
	// Auto: it asks its source for what its GTIDs lack.
	Auto bool `json:"auto"`
	// SourceID and SourceUUID are who has answered at its last connection.
	SourceID   int64  `json:"source_id,omitempty"`
	SourceUUID string `json:"source_uuid,omitempty"`
	TLS        bool   `json:"tls,omitempty"`
	CA         string `json:"ca,omitempty"`
	Verify     bool   `json:"verify,omitempty"`
	PublicKey  bool   `json:"public_key,omitempty"` // MySQL: asks for the key by which passwords go without TLS
	Retry      int    `json:"retry"`
	// Retrieved is MySQL's Retrieved_Gtid_Set.
	Retrieved string `json:"retrieved,omitempty"`
}

// verdict is the state a replica is in and why.
type verdict struct {
	State state
	// Why is a sentence without its full stop.
	Why string
	// Blocked says why it can't simply be pointed at the primary; "" where it can.
	Blocked string
	// Behind is how many transactions the primary has that it hasn't.
	Behind uint64
}

// history is how the GTIDs of a replica and a primary stand to each other.
type history struct {
	had    bool   // they have transactions in common
	extra  string // those that the primary lacks
	clash  string // those of them that contradict the primary's
	gap    string // those that the replica lacks and the primary's logs, too
	behind uint64
}

// source is the connection that the kind keeps, nil where there is none.
func (r *replica) source() *channel {
	if at := slices.IndexFunc(r.Channels, func(c channel) bool { return c.Name == "" }); at >= 0 {
		return &r.Channels[at]
	}
	return nil
}

// stuck reports whether a connection has ended with an error: nothing can have come since.
func (c *channel) stuck() bool { return c != nil && c.IO != "Yes" && c.IOErrno != 0 }

// isFrom reports whether who has answered at the last connection is the primary.
func (c *channel) isFrom(p *DonorOutput) bool {
	if p.Flavor == mysqlOwn {
		return strings.EqualFold(c.SourceUUID, p.UUID)
	}
	return c.SourceID == p.ServerID
}

// answered reports whether anybody has answered yet.
func (c *channel) answered() bool { return c.SourceID != 0 || c.SourceUUID != "" }

// compare tells how a replica and its primary, which was read before it, stand to each other.
func (r *replica) compare(p *DonorOutput) (history, error) {
	if r.Flavor == mysqlOwn {
		return r.compareSets(p)
	}
	return r.compareLists(p)
}

// compareSets does so by MySQL's sets.
func (r *replica) compareSets(p *DonorOutput) (h history, err error) {
	var has, its, purged, got gtidSet
	c := r.source()
	retrieved := ""
	if c != nil {
		retrieved = c.Retrieved
	}
	for _, read := range []struct {
		into *gtidSet
		text string
	}{{&has, r.Executed}, {&its, p.GTID}, {&purged, p.Purged}, {&got, retrieved}} {
		if *read.into, err = parseGTIDSet(read.text); err != nil {
			return h, err
		}
	}
	beyond := has.minus(its)
	h.had = len(has.minus(beyond)) > 0
	extra := beyond.without(p.UUID) // what the primary has made since it was asked
	switch {
	case c == nil:
	case c.isFrom(p):
		extra = extra.minus(got)
	case p.Source != "": // both may replicate from one source
		extra = extra.without(c.SourceUUID)
	}
	h.extra = extra.String()
	if c.stuck() {
		h.clash = beyond.minus(beyond.without(p.UUID)).String()
	}
	h.gap, h.behind = purged.minus(has).String(), its.minus(has).count()
	return h, nil
}

// compareLists does so by MariaDB's lists.
func (r *replica) compareLists(p *DonorOutput) (h history, err error) {
	var has, at, its, end, purged gtidList
	for _, read := range []struct {
		into *gtidList
		text string
	}{{&has, r.Executed}, {&at, r.SlavePos}, {&its, p.GTID}, {&end, p.Position}, {&purged, p.Purged}} {
		if *read.into, err = parseGTIDList(read.text); err != nil {
			return h, err
		}
	}
	c := r.source()
	if c == nil {
		if at, err = r.reached(); err != nil {
			return h, err
		}
	}
	for _, g := range at {
		seq, ok := its.last(g.domain)
		h.had = h.had || ok && seq >= g.seq
	}
	var extra, clash, gap gtidList
	for _, g := range has {
		if seq, ok := its.made(g.domain, g.server); ok && seq >= g.seq {
			continue
		}
		last, _ := its.last(g.domain)
		switch {
		case int64(g.server) == p.ServerID: // made since the primary was asked
			if c.stuck() && last < g.seq {
				clash = append(clash, g)
			}
		case int64(g.server) == r.ServerID:
			extra = append(extra, g)
			if last >= g.seq {
				clash = append(clash, g)
			}
		case last >= g.seq: // made long ago, by who was the primary then
		case c != nil && (c.isFrom(p) || p.Source != "") && at.reaches(gtidList{g}): // come through the primary since
		default:
			extra = append(extra, g)
		}
	}
	for _, g := range purged.position() {
		if !at.reaches(gtidList{g}) {
			gap = append(gap, g)
		}
	}
	h.extra, h.clash, h.gap, h.behind = extra.String(), clash.String(), gap.String(), at.behind(end)
	return h, nil
}

// reached is up to where a MariaDB that replicates from nobody has what there is: what it has
// replicated, and what it has made itself.
func (r *replica) reached() (gtidList, error) {
	all, err := parseGTIDList(r.Executed + "," + r.SlavePos)
	return all.position(), err
}

// judge tells the state that a replica is in. name is the primary's, where is how the
// replica is to find it: address and port. lag is from how many seconds on it lags.
func (r *replica) judge(p *DonorOutput, name, where string, lag int) (verdict, error) {
	h, err := r.compare(p)
	if err != nil {
		return verdict{}, err
	}
	v := verdict{Behind: h.behind}
	is := func(s state, format string, args ...any) (verdict, error) {
		v.State, v.Why = s, fmt.Sprintf(format, args...)
		return v, nil
	}
	switch {
	case h.clash != "":
		v.Blocked = fmt.Sprintf("this host has %s, which contradicts what %s has", h.clash, name)
	case h.extra != "":
		v.Blocked = fmt.Sprintf("this host has %s, which %s hasn't", h.extra, name)
	case h.gap != "":
		v.Blocked = fmt.Sprintf("the binary logs of %s begin behind what this host lacks: %s", name, h.gap)
	}
	c := r.source()
	switch {
	case r.Staging != "":
		return is(stateProvisioning, "%s", r.Staging)
	case len(r.Channels) > 1 || c == nil && len(r.Channels) == 1:
		var names []string
		for _, o := range r.Channels {
			names = append(names, strconv.Quote(o.Name))
		}
		v.Blocked = "it has connections that aren't muster's, by name: " + strings.Join(names, ", ") + ". End those, or the task"
		return is(stateWrongSource, "it replicates by several connections, or by one with a name: %s", strings.Join(names, ", "))
	case c == nil:
		return is(stateNone, "it replicates from nobody")
	}
	from := c.Host + ":" + strconv.Itoa(c.Port)
	if from != where && (!c.answered() || !c.isFrom(p)) {
		return is(stateWrongSource, "it replicates from %s, and not from %s", from, where)
	}
	if c.IO == "Yes" && c.answered() && !c.isFrom(p) {
		v.Blocked = fmt.Sprintf("%s leads to a server with the id %d, and the one of %s has %d: give an address that leads there", where, c.SourceID, name, p.ServerID)
		return is(stateWrongSource, "another server than that of %s answers at %s", name, where)
	}
	if p.Source != "" && !p.LogUpdates {
		v.Blocked = fmt.Sprintf("%s replicates from %s without logging what it gets (log_slave_updates is off), so that nothing of that arrives here: switch it on there, in its mysql_server, or replicate from %s", name, p.Source, p.Source)
		return is(stateWrongSource, "%s replicates from %s itself and doesn't log what it gets", name, p.Source)
	}
	switch {
	case h.clash != "":
		return is(stateDiverged, "%s", v.Blocked)
	case h.extra != "":
		return is(stateErrant, "%s", v.Blocked)
	case h.gap != "" && c.IO != "Yes":
		return is(statePurgedGap, "%s", v.Blocked)
	case c.SQL != "Yes" && c.SQLErrno != 0:
		return is(stateBrokenSQL, "%s", c.sqlProblem())
	case c.IO != "Yes" && c.IOErrno != 0:
		return is(stateBrokenIO, "error %d: %s", c.IOErrno, oneLine(c.IOError, 300))
	case c.IO == "No" && c.SQL != "Yes":
		return is(stateStopped, "somebody has stopped it")
	case c.IO == "No":
		return is(stateStopped, "the thread that gets what the primary has is stopped")
	case c.SQL != "Yes":
		return is(stateStopped, "the thread that does what has come is stopped")
	case c.IO != "Yes":
		return is(stateBrokenIO, "it is connecting to %s and hasn't got there", from)
	case c.Seconds != nil && *c.Seconds >= lag:
		return is(stateLagging, "it is %s behind %s, and %s", host.Counted(*c.Seconds, "second", "seconds"), name, host.Counted(h.behind, "transaction", "transactions"))
	}
	return is(stateRunning, "it has what %s has, or is about to", name)
}

var (
	tableWord = regexp.MustCompile(`on table ([^;]+);`)
	gtidWord  = regexp.MustCompile(`(?i)\bgtid (\d+-\d+-\d+)|transaction '([0-9a-f-]{36}(?::[a-z0-9_]+)?:\d+)'`)
)

// sqlProblem says what couldn't be done, with the table and the GTID, if they are told.
func (c *channel) sqlProblem() string {
	what := map[int]string{1032: "a row that is to be altered or deleted isn't there", 1062: "a row that is to be added is there already"}[c.SQLErrno]
	if what == "" {
		what = "a transaction can't be done"
	}
	if m := tableWord.FindStringSubmatch(c.SQLError); m != nil {
		what = oneLine(m[1], 130) + ": " + what
	}
	if m := gtidWord.FindStringSubmatch(c.SQLError); m != nil {
		what += ", by the transaction " + m[1] + m[2]
	}
	return fmt.Sprintf("%s (error %d: %s)", what, c.SQLErrno, oneLine(c.SQLError, 300))
}

// unfit says why a server can't be the primary's replica, whatever its state; "" if it can.
func (r *replica) unfit(p *DonorOutput, name string) string {
	const mend = ": its mysql_server task sets it"
	switch {
	case p.Flavor != r.Flavor:
		return fmt.Sprintf("%s has %s, and this host %s: they don't replicate from each other", name, p.Flavor, r.Flavor)
	case series(r.Version, p.Version) < 0:
		return fmt.Sprintf("%s has %s %s, which is newer than the %s here: a replica can't be older than its primary", name, p.Flavor, p.Version, r.Version)
	case r.ServerID == p.ServerID:
		return fmt.Sprintf("this host's server and that of %s have the same server_id, %d: give each its own, in its mysql_server task", name, r.ServerID)
	case r.UUID != "" && strings.EqualFold(r.UUID, p.UUID):
		return fmt.Sprintf("this host's server and that of %s have the same UUID, %s, since one was copied from the other: stop this one, remove auto.cnf from its data directory, and start it", name, r.UUID)
	case !p.Binlog:
		return fmt.Sprintf("the server of %s has no binary log (log_bin)%s", name, mend)
	case !p.GTIDs:
		return fmt.Sprintf("the server of %s isn't strict about GTIDs (%s)%s", name, gtidSetting(p.Flavor), mend)
	case !r.Binlog:
		return "this host's server has no binary log (log_bin)" + mend
	case !r.LogUpdates:
		return "this host's server doesn't log what it replicates (log_slave_updates)" + mend
	case !r.GTIDs:
		return "this host's server isn't strict about GTIDs (" + gtidSetting(r.Flavor) + ")" + mend
	case p.Port == 0:
		return fmt.Sprintf("the server of %s takes no connections from elsewhere (skip_networking)%s", name, mend)
	case p.Listens == "127.0.0.1" || p.Listens == "::1" || p.Listens == "localhost":
		return fmt.Sprintf("the server of %s listens on %s alone: give its mysql_server an address to listen on that this host can reach", name, p.Listens)
	}
	return ""
}

func gtidSetting(f flavor) string {
	if f == mariadb {
		return "gtid_strict_mode"
	}
	return "gtid_mode, enforce_gtid_consistency"
}

// series compares the first two numbers of two versions.
func series(a, b string) int {
	number := func(v string) (n int) {
		parts := strings.Split(v+".0", ".")
		for _, p := range parts[:2] {
			i, _ := strconv.Atoi(p)
			n = n*1000 + i
		}
		return n
	}
	return number(a) - number(b)
}
