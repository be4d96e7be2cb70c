package redis

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// Server is the Redis of the host: its settings, whom it replicates from, and that it runs
// with them. Redis has to be installed by an earlier task; the role "redis" does all of it.
//
// The settings stand in Redis's own file, of which only those lines are edited that mean
// something else: 1gb is 1073741824. Redis itself checks them before anything is touched.
// What can be changed while it runs is set in the running server, and the rest takes a
// restart, which the plan says, with the keys that it costs. Then Redis is asked. Where it
// doesn't come up, or runs with something else, the file that was there before is put back
// and loaded, and the task fails. What isn't given stays as it is, in the file and in the
// server.
//
// Whom a server follows is changed by failovers, too. Muster notes what it has last set;
// where the server follows somebody else by now, the plan says so, and leaves it.
type Server struct {
	// The addresses that it listens on: "10.0.1.31", "::1", "*" for all. One with "-" before
	// it may be missing.
	Listen modules.OneOrMore `arg:"listen" means:"as it is; the packages have this host alone"`
	// The port that it listens on.
	Port *int `arg:"port" means:"as it is; the packages have 6379"`
	// How much memory its keys may take: "512mb", "1gb"; "0" is no limit.
	Memory string `arg:"memory" means:"as it is; the packages have no limit"`
	// What it does when that is full.
	Policy string `arg:"policy" oneof:"noeviction allkeys-lru allkeys-lfu allkeys-random volatile-lru volatile-lfu volatile-random volatile-ttl" means:"as it is; the packages have noeviction"`
	// What it keeps on disk: "none", and what lies there is moved aside, so that no start
	// loads it; "snapshots" of all keys from time to time, at the points
	// of the setting "save"; a "log" of each change; or "both".
	Persistence string `arg:"persistence" oneof:"none snapshots log both" means:"as it is; the packages have snapshots"`
	// The primary that it replicates from, "10.0.1.31:6379"; "none" where it is one itself.
	ReplicaOf string `arg:"replica_of" means:"as it is"`
	// As whom it logs in to the primary.
	ReplicaUser string `arg:"replica_user" means:"as it is"`
	// The password of that user. It stands in Redis's file.
	ReplicaPassword string `arg:"replica_password,sensitive"`
	// Whether replica_of is set also where a failover has changed whom the server follows, or
	// where it holds keys of its own, which are lost then.
	TakeBack bool `arg:"take_back"`
	// Other settings by their names: { timeout = 300, "lazyfree-lazy-eviction" = true }. One
	// that is null isn't set.
	Settings map[string]any `arg:"settings"`
	// As whom muster asks the server. Needed where it lets nobody in without a password.
	LoginUser string `arg:"login_user" default:"default"`
	// The password of that user.
	LoginPassword string `arg:"login_password,sensitive"`

	// Valid are all versions of login_password that may let muster in.
	Valid []string `versions:"login_password"`
}

// Output is what a server tells of itself.
type Output struct {
	// Its version: "7.0.15".
	Version string `json:"version"`
	// The port that it listens on.
	Port int `json:"port"`
	// "primary" or "replica".
	Role string `json:"role"`
	// Of a replica: its primary, "10.0.1.31:6379".
	Primary string `json:"primary"`
	// Of a replica: "up", where it is connected to its primary and has all of its keys, "down" else.
	Link string `json:"link"`
	// Of a replica: seconds since it last heard of its primary, which says something every 10 s;
	// -1 where it isn't connected.
	Lag int `json:"lag"`
	// Of a primary: its replicas.
	Replicas []Replica `json:"replicas"`
	// How many keys it holds.
	Keys int `json:"keys"`
}

// Replica is a replica as its primary sees it.
type Replica struct {
	// Its address and port.
	Address string `json:"address"`
	// "online" where it has all keys.
	State string `json:"state"`
	// Seconds since it last said how far it is, which it does every second.
	Lag int `json:"lag"`
	// How many bytes of changes it hasn't got yet.
	Behind int `json:"behind"`
}

// arguments are the settings that are arguments of their own, or another kind's.
func arguments() map[string]string {
	return map[string]string{"bind": "listen", "port": "port", "maxmemory": "memory", "maxmemory-policy": "policy",
		"appendonly": "persistence", "replicaof": "replica_of", "masteruser": "replica_user", "masterauth": "replica_password"}
}

// notSettings says why a name isn't taken as a setting; "" where it may be one.
func notSettings(name string) string {
	switch name {
	case "user", "requirepass":
		return `Who may use Redis is told by tasks of the kind redis_user; task "redis_user" "default" is whom it takes those for who don't log in.`
	case "aclfile":
		return "Its users stand in Redis's own file, or in the file that its packages name: with another one it would begin without them."
	case "dir", "dbfilename", "appendfilename", "appenddirname":
		return name + " says where the keys lie on disk, and muster doesn't move them: elsewhere Redis would begin without them. Stop it, move them, and say so in its file."
	case "include", "loadmodule", "rename-command":
		return name + " stands in Redis's file several times, and isn't one setting: write it there by hand."
	case "cluster-enabled":
		return "Muster doesn't set up Redis Cluster, whose servers have to be told of each other, and in which its users and replicas are other things."
	case "daemonize", "supervised", "pidfile":
		return name + " goes with how systemd starts Redis, and is its unit's."
	}
	return ""
}

// Check refuses what can't be a server's settings.
func (s *Server) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, path, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	if s.Port != nil && (*s.Port < 1 || *s.Port > 65535) {
		fail("port", "", "Wrong value", "A port is a number from 1 to 65535.")
	}
	if s.Listen != nil && len(s.Listen) == 0 {
		fail("listen", "", "Empty value", "A list without addresses is none to listen on: leave the argument out, or give it \"127.0.0.1\".")
	}
	for i, a := range s.Listen {
		if a != "*" && a != "-::*" && net.ParseIP(strings.TrimPrefix(a, "-")) == nil {
			fail("listen", fmt.Sprintf("[%d]", i), "Wrong value", "%q is no address: it is one such as \"10.0.1.31\", or \"*\" for all. The port is an argument of its own.", a)
		}
	}
	if _, ok := number(s.Memory); s.Memory != "" && (!ok || strings.HasPrefix(s.Memory, "-")) {
		fail("memory", "", "Wrong value", "%q is no size: it is one such as \"512mb\" or \"1gb\"; \"0\" is no limit.", s.Memory)
	}
	if s.ReplicaOf != "" && s.ReplicaOf != "none" {
		if _, _, err := primaryOf(s.ReplicaOf); err != nil {
			fail("replica_of", "", "Wrong value", "%s", err)
		}
	}
	if s.TakeBack && s.ReplicaOf == "" && !unknown("replica_of") {
		fail("take_back", "", "Conflicting arguments", "There is nothing to take back without replica_of.")
	}
	for _, arg := range []struct{ name, value string }{{"replica_user", s.ReplicaUser}, {"replica_password", s.ReplicaPassword}, {"login_password", s.LoginPassword}} {
		if strings.ContainsAny(arg.value, "\n\r\x00") {
			fail(arg.name, "", "Wrong value", "It is one line.")
		}
	}
	seen := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(s.Settings)) {
		at, name := fmt.Sprintf("[%q]", key), settingName(key)
		if other, twice := seen[name]; twice {
			fail("settings", at, "Conflicting arguments", "%q and %q are one setting: give one of them.", other, key)
		}
		seen[name] = key
		switch arg, why := arguments()[name], notSettings(name); {
		case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "":
			fail("settings", at, "Wrong value", "%q is no name of a setting.", key)
		case arg != "":
			fail("settings", at, "Conflicting arguments", "%s is an argument of its own: %q.", name, arg)
		case why != "":
			fail("settings", at, "Not muster's to set", "%s", why)
		case name == "save" && (s.Persistence == "none" || s.Persistence == "log"):
			fail("settings", at, "Conflicting arguments", "With persistence = %q there are no snapshots: give \"both\", or leave save out.", s.Persistence)
		default:
			if _, why := settingText(s.Settings[key]); why != "" {
				fail("settings", at, "Wrong value", "%s", why)
			}
		}
	}
	return errs
}

// primaryOf reads "HOST:PORT".
func primaryOf(text string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(text)
	if err != nil && !strings.Contains(text, ":") {
		host, port, err = text, "6379", nil
	}
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 1 || n > 65535 || host == "" || strings.ContainsAny(host, " \"'\n\r\t") {
		return "", "", fmt.Errorf("%q is no primary: it is one such as \"10.0.1.31:6379\", or \"none\"", text)
	}
	return host, port, nil
}

// settingText is a value as Redis has it; why not, else.
func settingText(value any) (text, why string) {
	switch v := value.(type) {
	case nil, modules.UnknownValue:
		return "", ""
	case bool:
		if v {
			return "yes", ""
		}
		return "no", ""
	case string:
		if strings.ContainsAny(v, "\n\r\x00") {
			return "", "A setting is one line."
		}
		return strings.TrimSpace(v), ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), ""
	case int, int64, uint64:
		return fmt.Sprint(v), ""
	}
	return "", `A setting is a string, a number or a bool; several words are one string: "3600 1 300 100".`
}

// Withhold shows diffs where only passwords are sensitive: they are in none.
func (s *Server) Withhold(diff string, sensitive []string) (string, bool) {
	return diff, !slices.ContainsFunc(sensitive, func(a string) bool { return a != "login_password" && a != "replica_password" })
}

// May is Redis's file, and the server.
func (s *Server) May() []host.Effect {
	list := append(keeps(followsPath), host.Open(serverKey.Space, serverKey.Name))
	for _, p := range configPaths {
		list = append(list, host.Open(host.Files, p))
	}
	snapshot, log := onDisk(func(string) (string, bool) { return "", false })
	for _, p := range []string{snapshot, log} {
		list = append(list, (&SetAside{Path: p}).Effects()...)
	}
	for _, k := range asked[2:] {
		list = append(list, host.Open(k.Space, k.Name))
	}
	return list
}

// option is a setting that is wanted.
type option struct{ name, value string }

// savesUsually is when Redis writes its file where nobody says (redis.conf of Redis 7).
const savesUsually = "3600 1 300 100 60 10000"

// options are the settings that are wanted, in order. has is what the server, or its file,
// has of a setting.
func (s *Server) options(has func(name string) string) []option {
	want := map[string]string{}
	for key, value := range s.Settings {
		if value != nil {
			want[settingName(key)], _ = settingText(value)
		}
	}
	if len(s.Listen) > 0 {
		want["bind"] = strings.Join(s.Listen, " ")
	}
	if s.Port != nil {
		want["port"] = strconv.Itoa(*s.Port)
	}
	for name, value := range map[string]string{"maxmemory": s.Memory, "maxmemory-policy": s.Policy, "masteruser": s.ReplicaUser, "masterauth": s.ReplicaPassword} {
		if value != "" {
			want[name] = value
		}
	}
	switch s.Persistence {
	case "none":
		want["save"] = ""
		if _, given := want["rdb-del-sync-files"]; !given { // the snapshots by which it replicates
			want["rdb-del-sync-files"] = "yes"
		}
	case "log":
		want["save"] = ""
	case "snapshots", "both":
		if _, given := want["save"]; !given {
			if want["save"] = has("save"); len(savePoints(want["save"])) == 0 {
				want["save"] = savesUsually
			}
		}
	}
	if s.Persistence != "" {
		want["appendonly"], _ = settingText(s.Persistence == "log" || s.Persistence == "both")
	}
	var list []option
	for _, name := range slices.Sorted(maps.Keys(want)) {
		list = append(list, option{name, want[name]})
	}
	return list
}

// place is where in the task a setting comes from.
func (s *Server) place(name string) (arg, path string) {
	for key := range s.Settings {
		if settingName(key) == name {
			return "settings", fmt.Sprintf("[%q]", key)
		}
	}
	if name == "save" || name == "rdb-del-sync-files" {
		return "persistence", ""
	}
	return arguments()[name], ""
}

var errNotRoot = errors.New(`only root may set up Redis: give the task "become = true"`)
