package mysql

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// Server is the MariaDB or MySQL server of the host: its packages, its settings, and that it
// runs with them.
//
// The settings stand in one file, zz-muster.cnf, in the folder that the server reads last;
// the packages' own files stay as they are. The server's own check takes that file, together
// with all others that it reads, before anything is touched: a name that it doesn't know, and
// a value that it doesn't take, fail the plan. What can be changed while it runs is set in
// the running server, and the rest takes a restart, which the plan says and why. Then the
// server is asked. Where it doesn't come up, or runs with something else, the file that was
// there before is put back and loaded, and the task fails. So a "service" of the same server
// needs no restart_on or reload_on.
//
// What runs is compared, and not only the file: a setting that somebody has changed in the
// running server is set back. A setting that the task no longer has leaves the file, and is
// set back to what the server then would start with.
//
// Replication counts on some settings, which are on everywhere: the binary log with whole
// rows, a replica's changes in its own binary log, and GTIDs, which MariaDB keeps in strict
// order. Whether a server only reads is told by mysql_replication.
type Server struct {
	// Whose server: "mariadb" or "mysql". One that is installed is found.
	Flavor string `arg:"flavor" oneof:"mariadb mysql" means:"the one that is installed, else mariadb"`
	// The version of its package, as apt has it: "1:10.11.14-0+deb12u2". Not given: the
	// installed one stays.
	Version string `arg:"version"`
	// Its number among the servers that replicate from each other, each has its own.
	ServerID *int `arg:"server_id" means:"the server's own choice, 1"`
	// The addresses that it listens on: "10.0.1.31", "::1", "*" for all.
	Listen modules.OneOrMore `arg:"listen" means:"what the packages' files say"`
	// The port that it listens on.
	Port *int `arg:"port" means:"what the packages' files say, else 3306"`
	// Settings of the section [mysqld], by the names of the server's variables:
	// { max_connections = 200, innodb_buffer_pool_size = "1G" }. One that is null isn't set;
	// "" is a text without letters, which numbers and switches aren't.
	Settings map[string]any `arg:"settings"`
	// The certificate that it shows to clients. One that has changed on the host is loaded
	// without a restart.
	TLS *ServerTLS `arg:"tls"`
}

// ServerTLS is what a server shows to clients.
type ServerTLS struct {
	// The path of its certificate on the host, those that lead to the CA's behind it.
	Certificate string `arg:"certificate,path,required"`
	// The path of the certificate's key, which the user "mysql" can read.
	Key string `arg:"key,path,required"`
	// The path of the certificates of the CA, by which clients' are told.
	CA string `arg:"ca,path,required"`
	// Whether clients that come over the network have to use TLS.
	Require bool `arg:"require"`
}

// ServerOutput is what a server tells of itself.
type ServerOutput struct {
	// "mariadb" or "mysql".
	Flavor string `json:"flavor"`
	// Its version: "10.11.14".
	Version string `json:"version"`
	// The port that it listens on.
	Port int `json:"port"`
	// Its number among the servers that replicate from each other.
	ServerID int `json:"server_id"`
	// MySQL's own identifier of the server; MariaDB has none.
	UUID string `json:"uuid"`
	// Where its data lies.
	DataDir string `json:"data_dir"`
}

// arguments are the variables that are arguments of their own, or another kind's.
func arguments() map[string]string {
	return map[string]string{
		"server_id": "server_id", "bind_address": "listen", "port": "port",
		"ssl_cert": "tls", "ssl_key": "tls", "ssl_ca": "tls", "require_secure_transport": "tls",
	}
}

// always are the settings that replication counts on, by flavor and version.
func (a *about) always() map[string]string {
	if a.flavor == mariadb {
		return map[string]string{"binlog_format": "ROW", "log_slave_updates": "ON", "gtid_strict_mode": "ON"}
	}
	want := map[string]string{"enforce_gtid_consistency": "ON", "gtid_mode": "ON"}
	if a.atLeast([3]int{8, 0, 26}) {
		want["log_replica_updates"] = "ON"
	} else {
		want["log_slave_updates"] = "ON"
	}
	if !a.atLeast([3]int{8, 4, 0}) { // from then on there is no other worth the name
		want["binlog_format"] = "ROW"
	}
	return want
}

// optionName is a name as variables have it: options are written with dashes, too.
func optionName(name string) string { return strings.ToLower(strings.ReplaceAll(name, "-", "_")) }

// Check refuses what can't be a server's settings.
func (s *Server) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, path, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	if s.ServerID != nil && (*s.ServerID < 1 || int64(*s.ServerID) > 1<<32-1) {
		fail("server_id", "", "Wrong value", "It is a whole number from 1 to 4294967295.")
	}
	if s.Port != nil && (*s.Port < 1 || *s.Port > 65535) {
		fail("port", "", "Wrong value", "A port is a number from 1 to 65535.")
	}
	if strings.ContainsAny(s.Version, " =/\n") {
		fail("version", "", "Wrong value", "%q is no version of a package: it is as `apt-cache policy` shows it.", s.Version)
	}
	if s.Listen != nil && len(s.Listen) == 0 {
		fail("listen", "", "Empty value", "A list without addresses is none to listen on: leave the argument out where the packages' files are to say, and give settings { skip_networking = true } where nobody is to come over the network.")
	}
	for i, a := range s.Listen {
		if a != "*" && net.ParseIP(a) == nil {
			fail("listen", fmt.Sprintf("[%d]", i), "Wrong value", "%q is no address: it is one such as \"10.0.1.31\", or \"*\" for all. The port is an argument of its own.", a)
		}
		if len(s.Listen) > 1 && (a == "*" || a == "::" || a == "0.0.0.0") {
			fail("listen", fmt.Sprintf("[%d]", i), "Conflicting arguments", "%q stands for all addresses, beside which there is no other.", a)
		}
	}
	seen := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(s.Settings)) {
		at, name := fmt.Sprintf("[%q]", key), optionName(key)
		if other, twice := seen[name]; twice {
			fail("settings", at, "Conflicting arguments", "%q and %q are one setting: give one of them.", other, key)
		}
		seen[name] = key
		s.checkSetting(fail, at, name, s.Settings[key])
	}
	if s.TLS != nil {
		for _, p := range []struct{ arg, path string }{{"certificate", s.TLS.Certificate}, {"key", s.TLS.Key}, {"ca", s.TLS.CA}} {
			if p.path != "" && (!filepath.IsAbs(p.path) || strings.ContainsAny(p.path, "\n\"")) {
				fail("tls", "."+p.arg, "Wrong value", "%q isn't the whole path of a file on the host.", p.path)
			}
		}
	}
	return errs
}

// checkSetting refuses one of the settings.
func (s *Server) checkSetting(fail func(arg, path, summary, detail string, args ...any), at, name string, value any) {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" || name == "" {
		fail("settings", at, "Wrong value", "%q is no name of a setting.", name)
		return
	}
	if arg := arguments()[name]; arg != "" {
		fail("settings", at, "Conflicting arguments", "%s is an argument of its own: %q.", name, arg)
	}
	if why := fixedByPackages(name, value); why != "" {
		fail("settings", at, "Not muster's to set", "%s", why)
		return
	}
	if name == "read_only" || name == "super_read_only" {
		fail("settings", at, "Conflicting arguments", "Whether a server only reads goes with its part in a replication, and is the kind mysql_replication's.")
	}
	text, why := optionText(value)
	if why != "" || value == nil {
		if why != "" {
			fail("settings", at, "Wrong value", "%s", why)
		}
		return
	}
	_, isUnknown := value.(modules.UnknownValue)
	for _, f := range []flavor{mariadb, mysqlOwn} {
		for n, must := range (&about{flavor: f, version: [3]int{8, 0, 30}}).always() {
			if n == name && !isUnknown && !alike(must, text) {
				fail("settings", at, "Conflicting arguments", "%s is %s on all servers: replication counts on it.", name, must)
				return
			}
		}
	}
	if (name == "log_bin" && slices.Contains([]string{"0", "1", "ON", "OFF"}, text)) || name == "skip_log_bin" || name == "disable_log_bin" {
		fail("settings", at, "Conflicting arguments", "The binary log is on on all servers: log_bin is where it lies, such as \"/var/log/mysql/binlog\".")
	}
}

// fixedByPackages says why a setting isn't taken that decides where the server's data lies, or
// how it is started and asked; "" where it is none of these.
func fixedByPackages(name string, value any) string {
	switch name {
	case "datadir", "innodb_data_home_dir", "innodb_data_file_path", "innodb_log_group_home_dir", "innodb_undo_directory",
		"aria_log_dir_path", "innodb_system_tablespaces", "log_basename":
		return fmt.Sprintf("%s says where the server's data lies, and muster doesn't move data: with another place the server would start without it, or not at all. Stop the server, move the data, and say so in the packages' own files.", name)
	case "socket":
		if path, ok := value.(string); ok && slices.Contains(sockets, filepath.Clean(path)) {
			return ""
		} else if _, ok := value.(modules.UnknownValue); ok {
			return ""
		}
		return fmt.Sprintf("Muster asks the server at its socket, which it finds where the packages have it: %s. Leave it there; a client that looks elsewhere takes a link.", sockets[0])
	case "user":
		return "The server runs as the user that its unit has, and takes no other from a file: the packages have it run as mysql, whose the data is."
	case "basedir", "defaults_file", "defaults_extra_file", "defaults_group_suffix", "no_defaults", "print_defaults", "daemonize", "bootstrap", "initialize", "initialize_insecure", "help", "verbose", "version", "validate_config", "chroot":
		return fmt.Sprintf("%s is for the command line that starts the server, which its unit has, and no setting of a server that runs.", name)
	}
	return ""
}

// optionText is a value as files and the server have it; why not, else.
func optionText(value any) (text, why string) {
	switch v := value.(type) {
	case nil, modules.UnknownValue:
		return "", ""
	case bool:
		if v {
			return "ON", ""
		}
		return "OFF", ""
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
	return "", "A setting is a string, a number or a bool; lists are strings with commas: \"a,b\"."
}

// May is what installing leaves, and the server.
func (s *Server) May() []host.Effect {
	return append(brings(), host.Open(serverKey.Space, serverKey.Name), host.Open(roleKey.Space, roleKey.Name))
}

// options are the settings that the file is to hold, by the names of variables.
func (s *Server) options(a *about) map[string]string {
	want := a.always()
	if s.ServerID != nil {
		want["server_id"] = strconv.Itoa(*s.ServerID)
	}
	if len(s.Listen) > 0 {
		want["bind_address"] = strings.Join(s.Listen, ",")
	}
	if s.Port != nil {
		want["port"] = strconv.Itoa(*s.Port)
	}
	if t := s.TLS; t != nil {
		want["ssl_cert"], want["ssl_key"], want["ssl_ca"] = t.Certificate, t.Key, t.CA
		if t.Require {
			want["require_secure_transport"] = "ON"
		}
	}
	for key, value := range s.Settings {
		if value != nil {
			want[optionName(key)], _ = optionText(value)
		}
	}
	return want
}

// place is where in the task an option comes from; "" for those that are always there.
func (s *Server) place(option string) (arg, path string) {
	for key := range s.Settings {
		if optionName(key) == option {
			return "settings", fmt.Sprintf("[%q]", key)
		}
	}
	arg = arguments()[option]
	switch {
	case option == "ssl_cert":
		path = ".certificate"
	case option == "ssl_key":
		path = ".key"
	case option == "ssl_ca":
		path = ".ca"
	case option == "require_secure_transport":
		path = ".require"
	}
	return arg, path
}
