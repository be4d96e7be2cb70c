package mysql

import (
	"errors"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"muster/host"
)

// listen has the fake listen on loopback, too, and returns the port.
func (f *fake) listen() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(conn)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// replicaFake is a server fit to be a replica, with settings in place and no source.
func replicaFake(t *testing.T, version string) *fake {
	f := newFake(t, version)
	f.say("SHOW GLOBAL VARIABLES WHERE", "server_id|2", "log_bin|ON", "log_slave_updates|ON", "gtid_strict_mode|ON", "gtid_mode|ON",
		"enforce_gtid_consistency|ON", "server_uuid|"+uuidB, "read_only|ON", "super_read_only|ON", "datadir|"+t.TempDir(), "rpl_semi_sync_slave_enabled|OFF")
	return f
}

// primaryOf is what the primary of the server tells, on a port of loopback.
func primaryOf(f *fake, port int) DonorOutput {
	p := DonorOutput{Flavor: mysqlOwn, Version: "8.0.30", ServerID: 1, UUID: uuidA, Binlog: true, LogUpdates: true, GTIDs: true, Port: port}
	if strings.Contains(f.version, "MariaDB") {
		p.Flavor, p.Version, p.UUID = mariadb, "10.11.1", ""
	}
	return p
}

// planned reads the fake as a replica, and judges it.
func planned(t *testing.T, f *fake, h *host.Host, p DonorOutput) (*replicationPlanner, verdict) {
	t.Helper()
	own, err := asking(t.Context(), host.NewView(h, nil), func(s *server) (*replica, error) { return s.replica(t.Context()) })
	if err != nil {
		t.Fatal(err)
	}
	r := &Replication{Primary: "db1", Address: "127.0.0.1", User: "repl", Password: "secret", Method: "auto", MaxLag: 60, State: "replicating"}
	planner := &replicationPlanner{Replication: r, v: host.NewView(h, nil), donor: p, own: own}
	planner.password = planner.v.Keep([]byte(r.Password), true)
	v, err := own.judge(&p, "db1", planner.where(), r.MaxLag)
	if err != nil {
		t.Fatal(err)
	}
	return planner, v
}

func TestReplicaIsConnectedInEachDialect(t *testing.T) {
	for _, c := range []struct {
		version, change, start, show string
	}{
		{mariadbVersion, "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = PORT, MASTER_USER = 'repl', MASTER_PASSWORD = 'secret', MASTER_CONNECT_RETRY = 10, MASTER_SSL = 0, MASTER_SSL_CA = '', MASTER_SSL_VERIFY_SERVER_CERT = 0, MASTER_USE_GTID = slave_pos", "START SLAVE", "SHOW ALL SLAVES STATUS"},
		{"8.0.20", "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = PORT, MASTER_USER = 'repl', MASTER_PASSWORD = 'secret', MASTER_CONNECT_RETRY = 10, MASTER_SSL = 0, MASTER_SSL_CA = '', MASTER_SSL_VERIFY_SERVER_CERT = 0, MASTER_AUTO_POSITION = 1, GET_MASTER_PUBLIC_KEY = 1", "START SLAVE", "SHOW SLAVE STATUS"},
		{mysql80, "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = PORT, SOURCE_USER = 'repl', SOURCE_PASSWORD = 'secret', SOURCE_CONNECT_RETRY = 10, SOURCE_SSL = 0, SOURCE_SSL_CA = '', SOURCE_SSL_VERIFY_SERVER_CERT = 0, SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1", "START REPLICA", "SHOW REPLICA STATUS"},
		{mysql84, "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = PORT, SOURCE_USER = 'repl', SOURCE_PASSWORD = 'secret', SOURCE_CONNECT_RETRY = 10, SOURCE_SSL = 0, SOURCE_SSL_CA = '', SOURCE_SSL_VERIFY_SERVER_CERT = 0, SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1", "START REPLICA", "SHOW REPLICA STATUS"},
	} {
		t.Run(c.version, func(t *testing.T) {
			f := replicaFake(t, c.version)
			f.lets["repl"] = true
			port := f.listen()
			p := primaryOf(f, port)
			p.Version = c.version
			if p.Flavor == mariadb {
				p.Version = "10.11.1"
				f.say("SELECT @@server_id, ''", "1|")
			}
			f.say("SELECT @@server_id, @@server_uuid", "1|"+uuidA)
			f.say("SHOW GRANTS", "GRANT REPLICATION SLAVE ON *.* TO `repl`@`%`")
			h := f.host()
			planner, v := planned(t, f, h, p)
			changes, err := planner.connect(t.Context(), v)
			if err != nil || len(changes) != 1 {
				t.Fatalf("%v, %v", changes, err)
			}
			set := changes[0].(*SetSource)
			// As it is once it was connected.
			running := []string{"Source_Host=127.0.0.1", "Replica_IO_Running=Yes", "Replica_SQL_Running=Yes", "Source_Port=1"}
			h.Step = func(where string) error {
				if where == "connected the replica" {
					f.sayNamed(c.show, running...)
				}
				return nil
			}
			if _, err := set.Apply(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(c.change, "PORT = PORT", "PORT = "+strconv.Itoa(port))
			if got := f.statements("CHANGE", "START S", "START R", "STOP"); !slices.Equal(got, []string{want, c.start}) {
				t.Errorf("it is told\n%s\nand not\n%s\n%s", strings.Join(got, "\n"), want, c.start)
			}
			if !slices.Contains(f.statements("SET SESSION sql_log_off"), quiet) {
				t.Error("the password gets into the general log")
			}
		})
	}
}

func TestReplicaThatRunsIsNotStoppedForALoginThatFails(t *testing.T) {
	f := replicaFake(t, mysql84)
	port := f.listen() // which lets nobody in but root
	to := link{Host: "127.0.0.1", Port: port, User: "repl", Auto: true, PublicKey: true, Retry: 10}
	f.sayNamed("SHOW REPLICA STATUS", "Source_Host=127.0.0.1", "Source_Port="+strconv.Itoa(port), "Source_User=repl", "Replica_IO_Running=Yes", "Replica_SQL_Running=Yes", "Auto_Position=1", "Get_Source_public_key=1", "Connect_Retry=10")
	h := f.host()
	set := &SetSource{Primary: "db1", From: &to, To: to, Is: identity{1, uuidA}, Password: h.Bodies.Keep([]byte("other"), true)}
	_, err := set.Apply(t.Context(), h)
	if err == nil || !strings.Contains(err.Error(), "db1 doesn't let repl in") {
		t.Fatalf("%v", err)
	}
	f.lets["repl"] = true
	f.say("SELECT @@server_id", "7|"+uuidB)
	_, err = set.Apply(t.Context(), h)
	if err == nil || !strings.Contains(err.Error(), "leads to another server") {
		t.Fatalf("%v", err)
	}
	if got := f.statements("STOP", "CHANGE"); len(got) > 0 {
		t.Errorf("it was told %q", got)
	}
}

// An account that is let in and may not replicate is as good as none.
func TestReplicaIsNotStoppedForAnAccountThatMayNotReplicate(t *testing.T) {
	for name, c := range map[string]struct {
		version, ask string
		grants       []string // nil: the statement is refused
		may          bool
	}{
		"MySQL refuses the question":        {mysql84, "SHOW REPLICAS", nil, false},
		"MySQL answers it":                  {mysql84, "SHOW REPLICAS", []string{"2||3306|1|x"}, true},
		"before 8.0.23 it has another name": {"8.0.20", "SHOW SLAVE HOSTS", nil, false},
		"MariaDB grants too little":         {mariadbVersion, "SHOW GRANTS", []string{"GRANT SELECT, REPLICATION SLAVE ADMIN ON *.* TO `repl`@`%` IDENTIFIED BY PASSWORD '*X'", "GRANT REPLICATION SLAVE ON `shop`.* TO `repl`@`%`"}, false},
		"MariaDB grants it":                 {mariadbVersion, "SHOW GRANTS", []string{"GRANT USAGE ON *.* TO `other`@`%`", "GRANT RELOAD, REPLICATION SLAVE ON *.* TO `repl`@`%` IDENTIFIED BY PASSWORD '*X'"}, true},
		"by a role":                         {mariadbVersion, "SHOW GRANTS", []string{"GRANT `replicas` TO `repl`@`%`", "GRANT USAGE ON *.* TO `repl`@`%`", "GRANT REPLICATION SLAVE ON *.* TO `replicas`"}, true},
		"with everything":                   {mariadbVersion, "SHOW GRANTS", []string{"GRANT ALL PRIVILEGES ON *.* TO `repl`@`%` WITH GRANT OPTION"}, true},
		"to everybody":                      {mariadbVersion, "SHOW GRANTS FOR PUBLIC", []string{"GRANT REPLICATION SLAVE ON *.* TO PUBLIC"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := replicaFake(t, c.version)
			f.lets["repl"] = true
			port := f.listen()
			p := primaryOf(f, port)
			f.say("SELECT @@server_id, ''", "1|")
			f.say("SELECT @@server_id, @@server_uuid", "1|"+uuidA)
			f.say("SHOW GRANTS", "GRANT USAGE ON *.* TO `repl`@`%`")
			if f.say(c.ask, c.grants...); c.grants == nil {
				f.refuse(c.ask, errNeedsPrivilege, "Access denied; you need (at least one of) the REPLICATION SLAVE privilege(s) for this operation")
			}
			to := link{Host: "127.0.0.1", Port: port, User: "repl", Auto: true}
			h := f.host()
			set := &SetSource{Primary: "db1", To: to, Is: identity{p.ServerID, p.UUID}, Password: h.Bodies.Keep([]byte("secret"), true)}
			h.Step = func(string) error { return errors.New("it was stopped") }
			_, err := set.Apply(t.Context(), h)
			if want := map[bool]string{true: "it was stopped", false: "db1 lets repl in and doesn't let it replicate"}[c.may]; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func TestUnchangedReplicaIsOnlyAsked(t *testing.T) {
	f := replicaFake(t, mysql84)
	f.sayNamed("SHOW REPLICA STATUS", "Source_Host=127.0.0.1", "Source_Port=3306", "Source_User=repl", "Replica_IO_Running=Yes", "Replica_SQL_Running=Yes", "Auto_Position=1", "Get_Source_public_key=1", "Connect_Retry=10", "Source_UUID="+uuidA, "Seconds_Behind_Source=0")
	f.say("SELECT User_password", "secret")
	p, v := planned(t, f, f.host(), primaryOf(f, 3306))
	if v.State != stateRunning {
		t.Fatalf("it is %s: %s", v.State, v.Why)
	}
	if changes, err := p.connect(t.Context(), v); err != nil || len(changes) > 0 {
		t.Errorf("%v, %v", changes, err)
	}
	p.password = p.v.Keep([]byte("rotated"), true)
	changes, err := p.connect(t.Context(), v)
	if err != nil || len(changes) != 1 {
		t.Fatalf("%v, %v", changes, err)
	}
	d := changes[0].Describe()
	if d.Diff != "password: is set" || strings.Contains(d.Impact+d.Target, "rotated") {
		t.Errorf("%+v", d)
	}
	data, err := host.Marshal(changes[0])
	if err != nil || strings.Contains(string(data), "rotated") {
		t.Errorf("the change holds the password: %s", data)
	}
}

func TestReplicationPasswordsKeepToTheServersLimit(t *testing.T) {
	r := &Replication{Primary: "db1", User: "repl", Method: "auto", MaxLag: 60, State: "replicating"}
	known := func(string) bool { return false }
	for password, wrong := range map[string]bool{strings.Repeat("ü", 32): false, strings.Repeat("x", 33): true, "two\nlines": true} {
		r.Password = password
		errs := r.Check(known)
		if (len(errs) > 0) != wrong {
			t.Errorf("%q: %v", password, errs)
		}
	}
	r.Password = ""
	if errs := r.Check(known); len(errs) != 1 || errs[0].Arg != "password" {
		t.Errorf("no password: %v", errs)
	}
	if errs := r.Check(func(arg string) bool { return arg == "password" }); len(errs) != 0 {
		t.Errorf("a password that isn't known yet: %v", errs)
	}
}

func TestPasswordOfMariaDBsFile(t *testing.T) {
	for text, want := range map[string]string{
		"33\nmysql-bin.000001\n4\ndb1\nrepl\ngeheim\n3306\n60\n0\n": "geheim",
		"33\n\n4\ndb1\nrepl\n\n3306\n60\n":                          "",
	} {
		if got, err := passwordIn(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "33\n", "mysql-bin.000001\n4\ndb1\nrepl\ngeheim\n3306\n60\n"} {
		if _, err := passwordIn(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestReplicaWaitsForWhatItsServerSays(t *testing.T) {
	f := replicaFake(t, mysql84)
	f.sayNamed("SHOW REPLICA STATUS", "Source_Host=db1", "Replica_IO_Running=No", "Last_IO_Errno=13114", "Last_IO_Error=the source has purged", "Replica_SQL_Running=Yes")
	_, err := (&StartReplica{}).Apply(t.Context(), f.host())
	if err == nil || !strings.Contains(err.Error(), "13114: the source has purged") {
		t.Errorf("%v", err)
	}
	f.say("SHOW REPLICA STATUS")
	if _, err := (&StartReplica{}).Apply(t.Context(), f.host()); !errors.Is(err, host.ErrMoved) {
		t.Errorf("a replica that was reset meanwhile: %v", err)
	}
}

func TestPrimarysCertificate(t *testing.T) {
	if _, err := (link{CA: t.TempDir() + "/none"}).trusts(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestReplicaConnectsAnewByOtherCertificates(t *testing.T) {
	const noted = "a\n"
	for name, test := range map[string]struct {
		mark, note string
		want       bool
	}{
		"as noted":                    {"a", noted, false},
		"another certificate or CA":   {"b", noted, true},
		"connected by somebody else":  {"b", "", false},
		"neither TLS nor certificate": {"", noted, false},
	} {
		t.Run(name, func(t *testing.T) {
			effects := []host.Effect{}
			h := host.New()
			if test.note != "" {
				c := h.Bodies.Keep([]byte(test.note), false)
				effects = append(effects, host.Is(host.File(trustPath), host.FileInfo{Type: host.Regular, Sum: c.Sum, Size: c.Size}))
			} else {
				effects = append(effects, host.Gone(host.File(trustPath)))
			}
			p := &replicationPlanner{Replication: &Replication{}, v: host.NewView(h, nil).Behind(effects)}
			if got, err := p.distrusted(t.Context(), test.mark); err != nil || got != test.want {
				t.Errorf("%v, %v, want %v", got, err, test.want)
			}
		})
	}
}

// What a pending change of the server's settings may move isn't planned on as it is by now.
func TestReplicationWaitsForItsServersSettings(t *testing.T) {
	for name, c := range map[string]struct {
		load LoadServer
		want bool
	}{
		"a restart":         {LoadServer{Verb: serverRestart}, true},
		"a start":           {LoadServer{Verb: serverStart}, true},
		"its number":        {LoadServer{Verb: serverSet, Set: []string{"max_connections", "server_id"}}, true},
		"GTIDs":             {LoadServer{Verb: serverSet, Set: []string{"gtid_strict_mode"}}, true},
		"its certificates":  {LoadServer{Verb: serverSet, Certificates: true}, true},
		"anything else":     {LoadServer{Verb: serverSet, Set: []string{"max_connections"}}, false},
		"what was restored": {LoadServer{Verb: serverSet, Restored: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := host.NewView(host.New(), nil).Behind(c.load.Effects())
			_, err := (&Replication{Primary: "db1", State: "replicating"}).Plan(t.Context(), v)
			if got := errors.Is(err, host.ErrNotYet); got != c.want {
				t.Errorf("%v", err)
			}
			if _, err := (&Donor{}).Plan(t.Context(), v); c.want && !errors.Is(err, host.ErrNotYet) {
				t.Errorf("the donor: %v", err)
			}
		})
	}
}
