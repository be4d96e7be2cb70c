package mysql

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
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
		{"MariaDB, a plugin that isn't there", "2026-11-28 18:52:36 0 [ERROR] Couldn't load plugins from 'nosuch.so'.\n", 0, map[string]string{"plugin_load_add": "auth_socket;nosuch"}, "plugin_load_add", true, 0},
		{"MySQL, a plugin that isn't there", "2026-11-28T18:52:38.058135Z 0 [ERROR] [MY-010126] [Server] Can't open shared library '/usr/lib/mysql/plugin/nosuch.so' (errno: 0 cannot open shared object file). Couldn't load plugin\n", 0, map[string]string{"plugin_load_add": "x=nosuch.so"}, "plugin_load_add", true, 0},
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
		"where the data lies":        {"datadir": "/data"},
		"where a part of it lies":    {"innodb-data-home-dir": "/data"},
		"where nobody asks":          {"socket": "/tmp/mysql.sock"},
		"as whom it runs":            {"user": "root"},
		"how it is started":          {"bootstrap": true},
	} {
		if errs := (&Server{Settings: settings}).Check(func(string) bool { return false }); len(errs) == 0 {
			t.Errorf("%s: %v is taken", name, settings)
		}
	}
	if errs := (&Server{Settings: map[string]any{"max-connections": 10, "binlog_format": "row", "log_bin": "/var/log/mysql/bin", "socket": "/run/mysqld/mysqld.sock", "read_buffer_size": nil}}).Check(func(string) bool { return false }); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestASettingThatIsNullIsNotSet(t *testing.T) {
	about := about{flavor: mariadb, version: [3]int{10, 11, 0}}
	want := (&Server{Settings: map[string]any{"max_connections": nil, "sql_mode": ""}}).options(&about)
	if _, has := want["max_connections"]; has {
		t.Errorf("it is set to %q", want["max_connections"])
	}
	if mode, has := want["sql_mode"]; !has || mode != "" {
		t.Error("an empty text isn't set")
	}
}

// A number and a switch have no empty value: the server takes that for another one.
func TestAnEmptyValueThatTheServerTakesForAnother(t *testing.T) {
	v := &optionCheck{starts: map[string]string{"max_connections": "10", "sql_mode": ""}}
	if name, value := v.emptied(map[string]string{"max_connections": "", "sql_mode": "", "server_id": "3"}); name != "max_connections" || value != "10" {
		t.Errorf("%q, %q", name, value)
	}
	if name, _ := v.emptied(map[string]string{"sql_mode": ""}); name != "" {
		t.Errorf("%q can't be empty", name)
	}
}

func TestValuesAreShownInOneWay(t *testing.T) {
	p := &serverPlanner{want: map[string]string{}}
	for _, c := range []struct{ has, value, want string }{
		{"ON", "FALSE", "x: ON → OFF"}, {"OFF", "1", "x: OFF → ON"}, {"OFF", "true", "x: OFF → ON"},
		{"134217728", "1G", "x: 128M → 1G"}, {"134217728", "1073741824", "x: 128M → 1G"}, {"151", "200", "x: 151 → 200"},
		{"1", "0", "x: 1 → 0"}, {"", "a", `x: "" → a`}, {"1048577", "16M", "x: 1048577 → 16M"}, {"1048576", "200", "x: 1048576 → 200"},
	} {
		if got := p.shown("x", c.has, c.value); got != c.want {
			t.Errorf("%q and %q are shown as %q, and not %q", c.has, c.value, got, c.want)
		}
	}
}

func TestAddressesOfTheHost(t *testing.T) {
	trie := `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.1.0/24 2 0 2
        |-- 10.0.1.0
           /24 link UNICAST
        |-- 10.0.1.31
           /32 host LOCAL
        |-- 10.0.1.255
           /32 link BROADCAST
        |-- 127.0.0.1
           /32 host LOCAL
`
	want := []netip.Addr{netip.MustParseAddr("10.0.1.31"), netip.MustParseAddr("127.0.0.1")}
	if got := localAddresses(trie); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	want = []netip.Addr{netip.MustParseAddr("fe80::1"), netip.MustParseAddr("::1")}
	if got := localAddresses6("fe800000000000000000000000000001 02 40 20 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n"); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestAServerListensOnAddressesThatItsHostHas(t *testing.T) {
	plan := func(preview *host.Preview, listen ...string) error {
		p := &serverPlanner{Server: &Server{Listen: listen}, v: host.NewView(host.New(), preview)}
		return p.addresses(t.Context())
	}
	if err := plan(nil, "127.0.0.1", "::1", "*"); err != nil {
		t.Error(err)
	}
	var at modules.ArgError
	if err := plan(nil, "127.0.0.1", "198.51.100.77"); !errors.As(err, &at) || at.Arg+at.Path != "listen[1]" || !strings.Contains(at.Detail, "no address 198.51.100.77") {
		t.Errorf("%v", err)
	}
	pending := &host.Preview{}
	pending.Lay([]host.Effect{host.Open(host.Files, "/etc/network/interfaces")})
	if err := plan(pending, "198.51.100.77"); err != nil {
		t.Errorf("although what is pending may bring it: %v", err)
	}
	if errs := (&Server{Listen: modules.OneOrMore{}}).Check(func(string) bool { return false }); len(errs) != 1 || errs[0].Arg != "listen" {
		t.Errorf("an empty list: %v", errs)
	}
}

func TestMariaDBsBinaryLogStaysWhereItIs(t *testing.T) {
	vars := map[string]string{"log_bin": "ON", "log_bin_basename": "/var/lib/mysql/mysqld-bin", "datadir": "/var/lib/mysql/", "gtid_binlog_state": "0-1-5"}
	p := func(f flavor, to string) error {
		return (&serverPlanner{Server: &Server{Settings: map[string]any{"log_bin": to}}, about: about{flavor: f}, want: map[string]string{"log_bin": to}, now: &running{vars: vars}}).logStays()
	}
	if err := p(mariadb, "/var/log/mysql/binlog"); err == nil || !strings.Contains(err.Error(), "/var/lib/mysql/mysqld-bin") {
		t.Error(err)
	}
	for _, same := range []string{"mysqld-bin", "/var/lib/mysql/mysqld-bin"} {
		if err := p(mariadb, same); err != nil {
			t.Error(err)
		}
	}
	if err := p(mysqlOwn, "/var/log/mysql/binlog"); err != nil { // it keeps its GTIDs in a table
		t.Error(err)
	}
	vars["gtid_binlog_state"] = ""
	if err := p(mariadb, "/var/log/mysql/binlog"); err != nil {
		t.Errorf("of a log without anything: %v", err)
	}
}

func TestAReplicasRelayLogStaysWhereItIs(t *testing.T) {
	vars := map[string]string{"relay_log_basename": "/var/lib/mysql/db2-relay-bin", "datadir": "/var/lib/mysql/"}
	for _, version := range []string{mariadbVersion, mysql84} {
		f, _ := checksumFake(t, version) // a replica
		lone := newFake(t, version)
		p := func(f *fake, to string) error {
			return (&serverPlanner{Server: &Server{Settings: map[string]any{"relay_log": to}}, v: host.NewView(f.host(), nil), want: map[string]string{"relay_log": to}, now: &running{vars: vars}}).relayStays(t.Context())
		}
		if err := p(f, "other-relay"); err == nil || !strings.Contains(err.Error(), "lies at /var/lib/mysql/db2-relay-bin") {
			t.Errorf("%s: %v", version, err)
		}
		if err := p(f, "db2-relay-bin"); err != nil {
			t.Errorf("%s: %v", version, err)
		}
		if err := p(lone, "other-relay"); err != nil {
			t.Errorf("%s, of one that is no replica: %v", version, err)
		}
	}
}

func TestNumbersAreShownWithTheirThousandsApart(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567", 123456: "123,456"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q, and not %q", n, got, want)
		}
	}
}
