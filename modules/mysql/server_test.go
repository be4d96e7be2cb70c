package mysql

import (
	"maps"
	"testing"

	"muster/host"
)

func TestValuesAreAlikeToAServer(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1G", "1073741824", true}, {"130M", "136314880", true}, {"1g", "1G", true}, {"10", "10.000000", true},
		{"ON", "1", true}, {"OFF", "0", true}, {"on", "TRUE", true}, {"ON", "OFF", false},
		{"NO_ZERO_DATE, STRICT_TRANS_TABLES", "STRICT_TRANS_TABLES,NO_ZERO_DATE", true},
		{"/var/lib/mysql", "/var/lib/mysql/", true}, {"row", "ROW", true},
		{"1G", "1073741825", false}, {"", "0", false}, {"a", "b", false},
	} {
		if got := alike(c.a, c.b); got != c.want {
			t.Errorf("alike(%q, %q) = %v", c.a, c.b, got)
		}
	}
}

func TestMustersFileIsReadAsItIsWritten(t *testing.T) {
	want := map[string]string{
		"server_id": "31", "init_connect": `SET @a = 'x # y'`, "sql_mode": "", "secure_file_priv": `a\b`,
		"ssl_cert": "/etc/mysql/tls/a.pem", "max_connections": "200",
	}
	if got := ownOptions(ownText(want)); !maps.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

func TestWhatAServersProgramSaysOfItsSettings(t *testing.T) {
	for _, c := range []struct {
		name, said string
		code       int
		want       map[string]string
		refused    string
		wrong      bool
		made       int
	}{
		{"MariaDB, an unknown name", "2026-11-28 18:52:35 0 [ERROR] /usr/sbin/mariadbd: unknown variable 'max_conections=200'\n", 7, map[string]string{"max_conections": "200"}, "max_conections", true, 0},
		{"MySQL, an unknown name", "2026-11-28T18:52:38.058135Z 0 [ERROR] [MY-000067] [Server] unknown variable 'max_conections=200'.\n2026-11-28T18:52:38.058167Z 0 [ERROR] [MY-010119] [Server] Aborting\n", 1, map[string]string{"max_conections": "200"}, "max_conections", true, 0},
		{"InnoDB's, with the exit code 0", "2026-11-28 18:52:36 0 [ERROR] /usr/sbin/mariadbd: Error while setting value 'FOO' to 'innodb-flush-method'\n2026-11-28 18:52:36 0 [ERROR] Parsing options for plugin 'InnoDB' failed. Disabling plugin\n", 0, map[string]string{"innodb_flush_method": "FOO"}, "innodb_flush_method", true, 0},
		{"a bool that is none", "2026-11-28 18:52:36 0 [Warning] option 'slow_query_log': boolean value 'maybe' wasn't recognized. Set to OFF.\n", 0, map[string]string{"slow_query_log": "maybe"}, "slow_query_log", true, 0},
		{"a value by itself", "/usr/sbin/mariadbd: Character set 'utf9' is not a compiled character set\n", 1, map[string]string{"character_set_server": "utf9"}, "character_set_server", true, 0},
		{"another value is taken", "2026-11-28 18:52:35 0 [Warning] Buffered warning: option 'max_connections': unsigned value 0 adjusted to 10\n", 0, map[string]string{"max_connections": "0"}, "", false, 1},
		{"other people's", "2026-11-28 18:52:36 0 [ERROR] Couldn't load plugins from 'nosuch.so'.\n", 0, map[string]string{"max_connections": "9"}, "", false, 0},
		{"what is about the network", "2026-11-28 18:52:36 0 [ERROR] WSREP: getaddrinfo() failed on 'db1'\n", 0, map[string]string{"bind_address": "db1"}, "", false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &optionCheck{}
			v.judge(host.Output{Stderr: []byte(c.said), ExitCode: c.code}, c.want)
			if v.refused != c.refused || (v.why != "") != c.wrong || len(v.made) != c.made {
				t.Errorf("refused %q, why %q, made %q", v.refused, v.why, v.made)
			}
		})
	}
}

func TestASettingHasOneNameAndPlace(t *testing.T) {
	for name, settings := range map[string]map[string]any{
		"twice":                      {"max-connections": 1, "max_connections": 2},
		"an argument of its own":     {"port": 3307},
		"what replication counts on": {"gtid_mode": "OFF"},
		"no binary log":              {"skip-log-bin": true},
		"another kind's":             {"read_only": true},
		"two lines":                  {"init_connect": "a\nb"},
		"no name":                    {"a b": 1},
	} {
		if errs := (&Server{Settings: settings}).Check(func(string) bool { return false }); len(errs) == 0 {
			t.Errorf("%s: %v is taken", name, settings)
		}
	}
	if errs := (&Server{Settings: map[string]any{"max-connections": 10, "binlog_format": "row", "log_bin": "/var/log/mysql/bin"}}).Check(func(string) bool { return false }); len(errs) > 0 {
		t.Error(errs)
	}
}
