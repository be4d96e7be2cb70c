package mysql

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
)

// secret is a password whose parts are seen wherever they come up.
const secret = "ge'heim\\4711"

func nothingSecret(t *testing.T, text string) {
	t.Helper()
	for _, part := range []string{"heim", "4711"} {
		if strings.Contains(text, part) {
			t.Errorf("the password, or a part of it, is in %q", text)
		}
	}
}

func wantStatements(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the server was told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// forget removes what a test has noted of an account.
func forget(t *testing.T, name, at string) {
	t.Helper()
	t.Cleanup(func() { _ = os.Remove(notePath(name, at)) })
}

func TestMariaDBIsNeverToldAPassword(t *testing.T) {
	for plugin, hash := range map[string]string{nativePlugin: "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7", ed25519Plugin: "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"} {
		f := mariadbFake(t)
		h := f.host()
		plan, err := f.plan(user(User{Name: "t1", Password: "secret", Plugin: plugin}), h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := makePlan(t, h, plan); !errors.Is(err, errGone) { // the fake doesn't have it afterwards
			t.Fatal(err)
		}
		for _, s := range f.asked {
			if strings.Contains(s, "secret") {
				t.Errorf("it is told %s", s)
			}
		}
		wantStatements(t, f.statements("CREATE"), "CREATE USER 't1'@'localhost' IDENTIFIED VIA "+plugin+" USING '"+hash+"'")
	}
}

func TestAccountThatSomebodyHasMadeMeanwhile(t *testing.T) {
	f := mariadbFake(t)
	h := f.host()
	plan, err := f.plan(user(User{Name: "t1", Password: secret}), h)
	if err != nil {
		t.Fatal(err)
	}
	f.say("SELECT User, Host, Priv FROM mysql.global_priv", `t1|localhost|{"plugin":"mysql_native_password","authentication_string":"*X"}`)
	if _, err := makePlan(t, h, plan); !errors.Is(err, host.ErrMoved) {
		t.Errorf("%v, want ErrMoved", err)
	}
	wantStatements(t, f.statements("CREATE", "ALTER", "DROP"))
}

func TestPrivilegesThatSomebodyHasChangedMeanwhile(t *testing.T) {
	f := mariadbFake(t, `t1|localhost|{"plugin":"mysql_native_password","authentication_string":"*X"}`)
	f.say("SHOW GRANTS", "GRANT SELECT ON `app`.* TO `t1`@`localhost`")
	h := f.host()
	plan, err := f.plan(user(User{Name: "t1", Privileges: map[string]modules.OneOrMore{"app.*": {"INSERT"}}}), h)
	if err != nil {
		t.Fatal(err)
	}
	f.say("SHOW GRANTS", "GRANT SELECT, DELETE ON `app`.* TO `t1`@`localhost`")
	if _, err := makePlan(t, h, plan); !errors.Is(err, host.ErrMoved) {
		t.Errorf("%v, want ErrMoved", err)
	}
	wantStatements(t, f.statements("GRANT", "REVOKE"))
}

func TestTablesThatCameSinceThePlanAreNotDropped(t *testing.T) {
	f := mariadbFake(t)
	h := f.host()
	f.say("SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT", "utf8mb4|utf8mb4_bin")
	f.say("SELECT (SELECT COUNT(*) FROM information_schema.ROUTINES", "0")
	f.say("SELECT TABLE_NAME, TABLE_TYPE", "orders|BASE TABLE|5")
	drop := &DropDatabase{Name: "app", Loses: contents{Tables: []string{"orders"}}}
	f.say("SELECT TABLE_NAME, TABLE_TYPE", "orders|BASE TABLE|5", "payments|BASE TABLE|5")
	if _, err := drop.Apply(t.Context(), h); !errors.Is(err, host.ErrMoved) || !strings.Contains(err.Error(), "the table payments") {
		t.Errorf("%v, want ErrMoved", err)
	}
	wantStatements(t, f.statements("DROP"))
	f.say("SELECT TABLE_NAME, TABLE_TYPE", "orders|BASE TABLE|500000")
	if _, err := drop.Apply(t.Context(), h); err != nil {
		t.Error(err)
	}
	wantStatements(t, f.statements("DROP"), "DROP DATABASE `app`")
}

func TestDatabaseMadeSinceThePlan(t *testing.T) {
	f := mariadbFake(t)
	f.say("SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT", "latin1|latin1_bin")
	for _, c := range []host.Change{&CreateDatabase{Name: "app", To: schema{"utf8mb4", "utf8mb4_bin"}}, &AlterDatabase{Name: "app", From: schema{"ascii", "ascii_bin"}, To: schema{"utf8mb4", "utf8mb4_bin"}}} {
		if _, err := c.Apply(t.Context(), f.host()); !errors.Is(err, host.ErrMoved) {
			t.Errorf("%s: %v, want ErrMoved", c.Type(), err)
		}
	}
	wantStatements(t, f.statements("CREATE", "ALTER"))
}

func TestSizesInAPlanHoldStill(t *testing.T) {
	for size, want := range map[int64]string{0: "less than 1 MiB", 1<<20 - 1: "less than 1 MiB", 3 << 20: "at least 2 MiB", 5000 << 20: "at least 4 GiB", 1 << 43: "at least 8 TiB"} {
		if got := roughly(size); got != want {
			t.Errorf("%d: %s, want %s", size, got, want)
		}
	}
}

func TestMySQLAccountIsMade(t *testing.T) {
	for _, version := range []string{mysql80, mysql84, mysql97} {
		t.Run(version, func(t *testing.T) {
			f := mysqlFake(t, version)
			h := f.host()
			tls := true
			seven := 7
			u := user(User{Name: "t2", Password: secret, RequireTLS: &tls, Limits: &Limits{AtOnce: &seven}, Privileges: map[string]modules.OneOrMore{
				"*.*": {"PROCESS", "BACKUP_ADMIN"}, "app_db.*": {"all"}, "app_db.t": {"select (b, A)", "GRANT OPTION"},
			}})
			plan, err := f.plan(u, h)
			if err != nil {
				t.Fatal(err)
			}
			d := plan.Changes[0].Describe()
			nothingSecret(t, d.Diff+d.Impact+d.Target)
			forget(t, "t2", "localhost")
			_, err = makePlan(t, h, plan)
			if !errors.Is(err, errGone) { // the fake doesn't have it afterwards
				t.Fatal(err)
			}
			wantStatements(t, f.statements("CREATE", "GRANT", "REVOKE", "SET SESSION sql_log_off"),
				"SET SESSION sql_log_off = 1, long_query_time = 31536000",
				`CREATE USER 't2'@'localhost' IDENTIFIED BY 'ge''heim\\4711' REQUIRE SSL WITH MAX_USER_CONNECTIONS 7`,
				"GRANT BACKUP_ADMIN, PROCESS ON *.* TO 't2'@'localhost'",
				"GRANT ALL PRIVILEGES ON `app\\_db`.* TO 't2'@'localhost'",
				"GRANT SELECT (`a`, `b`) ON `app_db`.`t` TO 't2'@'localhost' WITH GRANT OPTION")
		})
	}
}

func TestMySQLAllPrivilegesStay(t *testing.T) {
	f := mysqlFake(t, mysql84, "t3|localhost|caching_sha2_password|2441||N|N|0|0|0|0")
	static := strings.ToUpper(strings.NewReplacer(",Grant option", "", ",Proxy", "", ",Usage", "").Replace(commonPrivileges + ",Create role,Drop role,Replication client"))
	f.say("SHOW GRANTS FOR 't3'@'localhost'",
		"GRANT "+static+" ON *.* TO `t3`@`localhost` WITH GRANT OPTION",
		"GRANT "+strings.TrimPrefix(mysqlOnly, ",Create role,Drop role,Replication client,")+" ON *.* TO `t3`@`localhost` WITH GRANT OPTION",
		"GRANT PROXY ON ``@`` TO `t3`@`localhost` WITH GRANT OPTION",
		"GRANT `r`@`%` TO `t3`@`localhost`")
	plan, err := f.plan(user(User{Name: "t3", Privileges: map[string]modules.OneOrMore{"*.*": {"ALL", "GRANT OPTION"}}}), f.host())
	if err != nil || len(plan.Changes) > 0 {
		t.Errorf("the plan is %+v, %v: want nothing", plan.Changes, err)
	}
}

func TestMySQLPasswordIsPutBack(t *testing.T) {
	f := mysqlFake(t, mysql84, "t4|localhost|caching_sha2_password|2441243030352401||N|N|0|0|0|0")
	f.say("SHOW GRANTS FOR 't4'@'localhost'", "GRANT USAGE ON *.* TO `t4`@`localhost`")
	f.refuse("GRANT", 1146, "Table 'app.t' doesn't exist")
	h := f.host()
	plan, err := f.plan(user(User{Name: "t4", Password: secret, Privileges: map[string]modules.OneOrMore{"app.t": {"SELECT"}}}), h)
	if err != nil {
		t.Fatal(err)
	}
	undo, err := makePlan(t, h, plan)
	if err == nil || !strings.Contains(err.Error(), "Table 'app.t' doesn't exist") {
		t.Fatal(err)
	}
	f.say("SELECT User, Host, plugin, HEX(authentication_string)", "t4|localhost|caching_sha2_password|99||N|N|0|0|0|0")
	if _, err := undo[0].Apply(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	wantStatements(t, f.statements("ALTER"),
		`ALTER USER 't4'@'localhost' IDENTIFIED WITH caching_sha2_password BY 'ge''heim\\4711'`,
		"ALTER USER 't4'@'localhost' IDENTIFIED WITH caching_sha2_password AS 0x2441243030352401")
}

func TestPasswordThatMySQLDoesNotTakeIsRefused(t *testing.T) {
	f := mysqlFake(t, mysql84)
	_, err := f.plan(user(User{Name: "t5", Password: strings.Repeat("x", 257)}), f.host())
	if err == nil || !strings.Contains(err.Error(), "more than 256 bytes") {
		t.Error(err)
	}
	if _, err := f.plan(user(User{Name: "t5", Password: strings.Repeat("x", 256)}), f.host()); err != nil {
		t.Error(err)
	}
}

func TestPartialRevokesStayUnlessTheTaskSpeaksOfThem(t *testing.T) {
	f := mysqlFake(t, mysql84, "t6|localhost|caching_sha2_password|2441||N|N|0|0|0|0")
	f.say("SHOW GRANTS", "GRANT SELECT ON *.* TO `t6`@`localhost`", "REVOKE SELECT ON `mysql`.* FROM `t6`@`localhost`")
	plan, err := f.plan(user(User{Name: "t6", Privileges: map[string]modules.OneOrMore{"*.*": {"SELECT"}}}), f.host())
	if err != nil || len(plan.Changes) > 0 || len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "SELECT on `mysql`.*") {
		t.Errorf("an exception that the task doesn't speak of: %v, %q, %v", plan.Changes, plan.Notes, err)
	}
	if plan, err := f.plan(user(User{Name: "t6"}), f.host()); err != nil || len(plan.Changes) > 0 {
		t.Errorf("where privileges aren't declared: %v, %v", plan.Changes, err)
	}
	// Taken back, and then given on the database: the same statement twice.
	plan, err = f.plan(user(User{Name: "t6", Privileges: map[string]modules.OneOrMore{"*.*": {"SELECT"}, "mysql.*": {"SELECT"}}}), f.host())
	if err != nil || len(plan.Changes) != 1 || strings.Count(plan.Changes[0].Describe().Diff, "grant SELECT on `mysql`.*") != 2 {
		t.Errorf("an exception that the task speaks of: %v, %v", plan.Changes, err)
	}
	// With what it is an exception of, it goes by itself.
	plan, err = f.plan(user(User{Name: "t6", Privileges: map[string]modules.OneOrMore{"*.*": {"PROCESS"}}}), f.host())
	if err != nil || len(plan.Changes) != 1 || strings.Contains(plan.Changes[0].Describe().Diff, "mysql") || len(plan.Notes) > 0 {
		t.Errorf("an exception of nothing: %v, %v", plan.Changes, err)
	}
}

func TestServerThatQuotesThePasswordIsNotQuoted(t *testing.T) {
	for _, said := range []struct {
		code uint16
		text string
	}{{errParse, `near 'heim\\4711' at line 1`}, {1819, `the password ge'heim\4711 is weak`}, {1819, `weak: ge''heim\\4711`}} {
		f := mysqlFake(t, mysql84)
		f.refuse("CREATE USER", said.code, said.text)
		h := f.host()
		plan, err := f.plan(user(User{Name: "t7", Password: secret}), h)
		if err != nil {
			t.Fatal(err)
		}
		_, err = makePlan(t, h, plan)
		if err == nil {
			t.Fatal("no error")
		}
		nothingSecret(t, err.Error())
	}
}

func TestOneLoginFailsForAnAccountInARun(t *testing.T) {
	f := mariadbFake(t, `t8|localhost|{"plugin":"mysql_native_password","authentication_string":"*X"}`)
	h, p := f.host(), &proofs{}
	for range 3 {
		plan, err := f.plan(user(User{Name: "t8", Password: secret, proofs: p}), h)
		if err != nil || len(plan.Changes) != 1 {
			t.Fatal(plan.Changes, err)
		}
	}
	if n := len(slices.DeleteFunc(slices.Clone(f.tried), func(s string) bool { return s != "t8" })); n != 1 {
		t.Errorf("%d logins have failed", n)
	}
}

func TestLoginAsSomebodyElseProvesNothing(t *testing.T) {
	f := mariadbFake(t, `t9|%|{"plugin":"mysql_native_password","authentication_string":"*X"}`)
	f.lets["t9"], f.me["t9"] = true, "@localhost"
	plan, err := f.plan(user(User{Name: "t9", Host: "%", Password: secret}), f.host())
	if err != nil || len(plan.Changes) != 1 {
		t.Errorf("the plan is %v, %v: want the password to be set", plan.Changes, err)
	}
}

func TestWhomTheSocketLeadsTo(t *testing.T) {
	native := []method{{Plugin: nativePlugin}}
	of := func(list ...account) *accounts { return &accounts{list: list} }
	any1, local := account{name: "a", host: "%", methods: native}, account{name: "a", host: "localhost", methods: native}
	for _, c := range []struct {
		name string
		all  *accounts
		to   account
		want bool
	}{
		{"localhost", of(any1, local), local, true},
		{"any host alone", of(any1), any1, true},
		{"any host behind localhost", of(any1, local), any1, false},
		{"any host behind an anonymous localhost", of(any1, account{host: "localhost"}), any1, false},
		{"any host behind a pattern of names", of(any1, account{name: "a", host: "local%"}), any1, false},
		{"any host beside an address", of(any1, account{name: "a", host: "10.0.0.1"}, account{name: "b", host: "localhost"}), any1, true},
		{"an address", of(account{name: "a", host: "127.0.0.1", methods: native}), account{name: "a", host: "127.0.0.1", methods: native}, false},
		{"locked", of(local), account{name: "a", host: "localhost", methods: native, locked: true}, false},
		{"TLS that the server hasn't got", of(local), account{name: "a", host: "localhost", methods: native, tls: anyTLS}, false},
		{"two methods", of(local), account{name: "a", host: "localhost", methods: []method{{Plugin: nativePlugin}, {Plugin: "unix_socket"}}}, false},
	} {
		if got := c.all.reachable(&c.to); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestHundredUnchangedTasksCostOneConnection(t *testing.T) {
	var accounts, names []string
	for i := range 100 {
		name := fmt.Sprintf("u%d", i)
		names = append(names, name)
		accounts = append(accounts, name+`|localhost|{"plugin":"mysql_native_password","authentication_string":"*X"}`)
	}
	f := mariadbFake(t, accounts...)
	f.say("SHOW GRANTS", "GRANT SELECT ON `app`.* TO `u`@`localhost`")
	v := host.NewView(f.host(), nil)
	expectUsers(v, names)
	for _, name := range names {
		plan, err := user(User{Name: name, Privileges: map[string]modules.OneOrMore{"app.*": {"SELECT"}}}).Plan(t.Context(), v)
		if err != nil || len(plan.Changes) > 0 {
			t.Fatal(plan.Changes, err)
		}
	}
	if f.conns != 1 || len(f.asked) > 110 {
		t.Errorf("%d connections, %d questions", f.conns, len(f.asked))
	}
}

func TestWhatALoginHasProvedIsNotedForTheNextRun(t *testing.T) {
	const anywhere = `t10|%|{"plugin":"mysql_native_password","authentication_string":"*X"}`
	f := mariadbFake(t, anywhere)
	f.lets["t10"], f.me["t10"] = true, "t10@%"
	forget(t, "t10", "%")
	h := f.host()
	s, err := connect(t.Context(), h.Dial)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.prove(t.Context(), h, "t10", "%", passwords{password: secret}, &proofs{}, nil); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(notePath("t10", "%"))
	if err != nil {
		t.Fatal(err)
	}
	nothingSecret(t, string(data))
	// Another account is before it by now, and another run knows nothing of this one's login.
	f.say("SELECT User, Host, Priv FROM mysql.global_priv", anywhere, `t10|localhost|{"plugin":"unix_socket"}`)
	for password, changes := range map[string]int{secret: 0, "another": 1} {
		plan, err := f.plan(user(User{Name: "t10", Host: "%", Password: password}), h)
		if err != nil || len(plan.Changes) != changes {
			t.Errorf("%q: %v, %v: want %d changes", password, plan.Changes, err, changes)
		}
	}
	// The server has made something else of the password since.
	f.say("SELECT User, Host, Priv FROM mysql.global_priv", strings.Replace(anywhere, "*X", "*Y", 1), `t10|localhost|{"plugin":"unix_socket"}`)
	if plan, err := f.plan(user(User{Name: "t10", Host: "%", Password: secret}), h); err != nil || len(plan.Changes) != 1 {
		t.Errorf("a password that somebody else has set: %v, %v", plan.Changes, err)
	}
}

func TestDatabaseIsPutBack(t *testing.T) {
	f := mariadbFake(t)
	h := f.host()
	f.say("SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT", "latin1|latin1_bin")
	undo, err := makePlan(t, h, modules.Plan{Changes: []host.Change{&AlterDatabase{Name: "app", From: schema{"latin1", "latin1_bin"}, To: schema{"utf8mb4", "utf8mb4_bin"}}}})
	if err != nil {
		t.Fatal(err)
	}
	f.say("SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT", "utf8mb4|utf8mb4_bin")
	if _, err := undo[0].Apply(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	f.say("SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT", []string{}...)
	f.answers[0].rows = [][]string{}
	undo, err = makePlan(t, h, modules.Plan{Changes: []host.Change{&CreateDatabase{Name: "new", To: schema{"utf8mb4", "utf8mb4_bin"}}}})
	if err != nil {
		t.Fatal(err)
	}
	f.say("SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT", "utf8mb4|utf8mb4_bin")
	f.say("SELECT (SELECT COUNT(*) FROM information_schema.ROUTINES", "0")
	f.say("SELECT TABLE_NAME, TABLE_TYPE", "orders|BASE TABLE|5")
	if _, err := undo[0].Apply(t.Context(), h); !errors.Is(err, host.ErrMoved) {
		t.Errorf("a database that has tables by now is taken back: %v", err)
	}
	f.answers[0].rows = [][]string{}
	if _, err := undo[0].Apply(t.Context(), h); err != nil {
		t.Error(err)
	}
	wantStatements(t, f.statements("CREATE", "ALTER", "DROP"),
		"ALTER DATABASE `app` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "ALTER DATABASE `app` CHARACTER SET latin1 COLLATE latin1_bin",
		"CREATE DATABASE `new` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "DROP DATABASE `new`")
}

// On a replica it would be a transaction that the primary hasn't.
func TestCertificatesAreLoadedWithoutTheBinaryLog(t *testing.T) {
	for name, c := range map[string]struct {
		f    *fake
		want []string
	}{
		"MariaDB": {mariadbFake(t), []string{"FLUSH NO_WRITE_TO_BINLOG SSL"}},
		"MySQL":   {newFake(t, mysql84), []string{"SET SESSION sql_log_bin = 0", "ALTER INSTANCE RELOAD TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := acting(t.Context(), c.f.host())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.reloadTLS(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := c.f.statements("FLUSH", "ALTER INSTANCE", "SET SESSION sql_log_bin"); !slices.Equal(got, c.want) {
				t.Errorf("it is told %q, not %q", got, c.want)
			}
		})
	}
}
