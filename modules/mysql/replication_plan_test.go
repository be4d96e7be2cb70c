package mysql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
)

// runningServer answers as systemctl does of a server that runs.
type runningServer struct{}

func (runningServer) Run(_ context.Context, c host.Command) (host.Output, error) {
	if c.Argv[0] == "systemctl" {
		return host.Output{Stdout: []byte("Id=mariadb.service\nActiveState=active\nMainPID=7\n")}, nil
	}
	return host.Output{}, host.ErrNoProgram
}

// there is what a plan of a replica looks for besides asking the server, as it is on a host that
// has mariadb-backup, and where nothing is left of a copy.
func there() (list []host.Effect) {
	for _, dir := range []string{"/etc/mysql/mariadb.conf.d"} {
		list = append(list, host.Is(host.File(dir), host.FileInfo{Type: host.Directory}))
	}
	for _, program := range []string{"mariadb-backup", "mbstream", "mariadb"} {
		list = append(list, host.Is(host.File("/usr/bin/"+program), host.FileInfo{Type: host.Regular}))
	}
	text := host.ContentOf([]byte((&Replication{}).configuration(mariadb)), false)
	list = append(list, host.Is(host.File(settingsFile("/etc/mysql/mariadb.conf.d")), host.FileInfo{Type: host.Regular, Sum: text.Sum, Size: text.Size}))
	return append(list, host.Gone(host.File(copyPath)), host.Gone(host.File(trustPath)))
}

// replicaPlan plans the fake, which the inventory calls db2, as a replica of MariaDB's.
// left, if not nil, is what a copy that was cut off has noted.
func replicaPlan(t *testing.T, f *fake, change func(*Replication), left *copyNote) (modules.Plan, error) {
	t.Helper()
	h := f.host()
	h.Name, h.Runner = "db2", runningServer{}
	h.Bodies.Keep([]byte((&Replication{}).configuration(mariadb)), false)
	effects := there()
	if left != nil {
		data, err := host.Marshal(left)
		if err != nil {
			t.Fatal(err)
		}
		c := h.Bodies.Keep(data, false)
		effects = append(effects, host.Is(host.File(copyPath), host.FileInfo{Type: host.Regular, Sum: c.Sum, Size: c.Size}))
	}
	v := host.NewView(h, nil).Behind(effects)
	r := &Replication{Primary: "db1", Address: "127.0.0.1", User: "repl", Password: "secret", Method: "auto", MaxLag: 60, State: "replicating"}
	if change != nil {
		change(r)
	}
	staging, err := r.leftOver(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	p := &replicationPlanner{Replication: r, v: v, password: v.Keep([]byte(r.Password), true), donor: DonorOutput{
		Flavor: mariadb, Version: "10.11.19", ServerID: 1, Binlog: true, LogUpdates: true, GTIDs: true, Port: 3306,
		GTID: "0-1-9", Position: "0-1-9", Purged: "0-1-5", Schemas: []SchemaSize{{Name: "shop", Tables: 1, Bytes: 5 << 30}}, Tools: []string{backupProgram, "mariadb-dump"},
	}}
	if p.own, err = readReplica(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	own := *p.own
	own.Staging, p.own = staging, &own
	return p.plan(t.Context())
}

// has has the fake hold transactions, and databases with a table each.
func (f *fake) has(t *testing.T, binlog, slave string, databases ...string) {
	data := t.TempDir()
	if err := os.WriteFile(data+"/master.info", []byte("33\n\n4\n127.0.0.1\nrepl\nsecret\n3306\n10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.say("SHOW GLOBAL VARIABLES WHERE", "server_id|2", "log_bin|ON", "log_slave_updates|ON", "gtid_strict_mode|ON", "read_only|ON",
		"datadir|"+data, "plugin_dir|/usr/lib/mysql/plugin", "rpl_semi_sync_slave_enabled|OFF", "gtid_binlog_state|"+binlog, "gtid_slave_pos|"+slave)
	var rows, names []string
	for _, d := range databases {
		rows, names = append(rows, d+"|1|3145728"), append(names, d)
	}
	f.say("SELECT s.SCHEMA_NAME", rows...)
	f.say("SELECT SCHEMA_NAME FROM", names...)
}

// isReplica has the fake replicate from db1.
func (f *fake) isReplica(fields ...string) {
	f.sayNamed("SHOW ALL SLAVES STATUS", append([]string{"Master_Host=127.0.0.1", "Master_Port=3306", "Master_User=repl", "Master_Server_Id=1", "Using_Gtid=Slave_Pos", "Connect_Retry=10", "Slave_SQL_Running=Yes"}, fields...)...)
}

func TestAPlanSaysTheReplicasStateAndWhy(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(f *fake)
		allow string
		says  string
	}{
		"none":       {func(f *fake) { f.has(t, "", "") }, "", "None: it replicates from nobody. The data is copied, since the binary logs of db1 don't reach back to the beginning"},
		"own data":   {func(f *fake) { f.has(t, "0-2-3", "", "mine") }, "db2", "None: it replicates from nobody. This host's own databases go"},
		"purged gap": {func(f *fake) { f.has(t, "0-1-3", "0-1-3"); f.isReplica("Slave_IO_Running=No") }, "", "Purged gap: the binary logs of db1 begin behind what this host lacks: 0-1-5."},
		"errant":     {func(f *fake) { f.has(t, "0-2-30", "0-1-9"); f.isReplica("Slave_IO_Running=Yes") }, "db2", "Errant: this host has 0-2-30, which db1 hasn't."},
	} {
		t.Run(name, func(t *testing.T) {
			f := replicaFake(t, mariadbVersion)
			c.set(f)
			plan, err := replicaPlan(t, f, func(r *Replication) { r.AllowDestroy = []string{c.allow} }, nil)
			if err != nil || len(plan.Notes) == 0 || !strings.HasPrefix(plan.Notes[0], c.says) {
				t.Errorf("it notes %q, %v, and not %q", plan.Notes, err, c.says)
			}
			state, _, _ := strings.Cut(c.says, ":")
			if d := plan.Changes[0].Describe(); !strings.HasSuffix(d.Impact, fmt.Sprintf("; the replica's state is %q", strings.ToLower(state))) {
				t.Errorf("the change says %q", d.Impact)
			}
		})
	}
}

func TestOwnDataGoesOnlyWhereThePlaybookNamesTheHost(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(f *fake)
		left *copyNote
		want string // "": it goes on without being allowed
	}{
		"databases":                                            {set: func(f *fake) { f.has(t, "0-2-3", "", "mine") }, want: "databases have to go: mine (1 table, at least 2 MiB). It can't just be connected: this host has 0-2-3, which contradicts what db1 has"},
		"databases and no transaction":                         {set: func(f *fake) { f.has(t, "", "", "mine") }, want: "It can't just be connected: the binary logs of db1 begin behind what this host lacks"},
		"databases of who has replicated":                      {set: func(f *fake) { f.has(t, "0-2-30", "0-1-9", "mine") }, want: "It can't just be connected: this host has 0-2-30, which db1 hasn't"},
		"errant":                                               {set: func(f *fake) { f.has(t, "0-2-30", "0-1-9"); f.isReplica("Slave_IO_Running=Yes") }, want: "This host has 0-2-30"},
		"behind a gap, with what the primary has":              {set: func(f *fake) { f.has(t, "0-1-3", "0-1-3", "shop"); f.isReplica("Slave_IO_Running=No") }},
		"behind a gap, with more":                              {set: func(f *fake) { f.has(t, "0-1-3", "0-1-3", "shop", "mine"); f.isReplica("Slave_IO_Running=No") }, want: "databases of this host's own would go: mine"},
		"a copy was cut off, and nothing came":                 {set: func(f *fake) { f.has(t, "", "") }, left: &copyNote{Method: byBackup, State: copying}},
		"a copy was cut off, and databases came":               {set: func(f *fake) { f.has(t, "0-2-3", "", "mine") }, left: &copyNote{Method: byBackup, State: copying}, want: "databases have to go: mine"},
		"a copy was cut off, and the replica has come to more": {set: func(f *fake) { f.has(t, "0-1-9", "0-1-9", "mine"); f.isReplica("Slave_IO_Running=Yes") }, left: &copyNote{Method: byBackup, State: copying}, want: "would go: mine"},
		"a copy was cut off, and it replicates from elsewhere": {set: func(f *fake) {
			f.has(t, "0-7-3", "0-7-3", "shop")
			f.isReplica("Slave_IO_Running=Yes", "Master_Host=db7", "Master_Server_Id=7")
		}, left: &copyNote{Method: byBackup, State: copying}, want: "databases have to go: shop"},
		"a dump was cut off, whose part is there": {set: func(f *fake) { f.has(t, "", "", "shop") }, left: &copyNote{Method: byDump, State: loading}},
	} {
		t.Run(name, func(t *testing.T) {
			f := replicaFake(t, mariadbVersion)
			c.set(f)
			if c.left != nil {
				c.left.Donor, c.left.Flavor, c.left.DataDir, c.left.Unit = "db1", mariadb, t.TempDir(), "mariadb.service"
			}
			_, err := replicaPlan(t, f, func(r *Replication) { r.AllowDestroy = []string{"db3"} }, c.left)
			var arg modules.ArgError
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.As(err, &arg) || arg.Arg != "allow_destroy" || !strings.Contains(arg.Detail, c.want) || !strings.Contains(arg.Detail, `allow_destroy = ["db2"]`)):
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := replicaPlan(t, f, func(r *Replication) { r.AllowDestroy = []string{"db2"} }, c.left); err != nil {
				t.Errorf("where it is allowed: %v", err)
			}
		})
	}
}

// A method is one of the flavor's, also where nothing is to be copied.
func TestAMethodOfTheOtherFlavorIsNotTaken(t *testing.T) {
	f := replicaFake(t, mariadbVersion)
	f.has(t, "0-1-9", "0-1-9")
	f.isReplica("Slave_IO_Running=Yes")
	_, err := replicaPlan(t, f, func(r *Replication) { r.Method = byClone }, nil)
	var arg modules.ArgError
	if !errors.As(err, &arg) || arg.Arg != "method" || !strings.Contains(arg.Detail, "clone is MySQL's") {
		t.Error(err)
	}
}

// A connection that is under way isn't taken for a broken one, whatever its last try has come to.
func TestAConnectionThatIsUnderWayIsWaitedFor(t *testing.T) {
	for name, fields := range map[string][]string{
		"just begun":                       {"Slave_IO_Running=Connecting"},
		"preparing":                        {"Slave_IO_Running=Preparing"},
		"the primary has just begun":       {"Slave_IO_Running=Connecting", "Last_IO_Errno=2003", "Last_IO_Error=error reconnecting to master: Connection refused"},
		"the account has just been mended": {"Slave_IO_Running=Connecting", "Last_IO_Errno=1045", "Last_IO_Error=Access denied"},
	} {
		t.Run(name, func(t *testing.T) {
			f := replicaFake(t, mariadbVersion)
			f.has(t, "0-1-9", "0-1-9")
			f.isReplica(fields...)
			asked := 0
			f.before = func(statement string) {
				if strings.HasPrefix(statement, "SHOW ALL SLAVES STATUS") {
					if asked++; asked == 3 {
						f.isReplica("Slave_IO_Running=Yes", "Seconds_Behind_Master=0")
					}
				}
			}
			plan, err := replicaPlan(t, f, nil, nil)
			if err != nil || len(plan.Changes) > 0 || asked < 3 {
				t.Errorf("%v, %v; it was asked %d times", plan.Changes, err, asked)
			}
		})
	}
}

// One that has ended is broken, and one that waits for the account to be mended isn't known yet.
func TestAConnectionThatHasEndedIsBroken(t *testing.T) {
	f := replicaFake(t, mariadbVersion)
	f.has(t, "0-1-9", "0-1-9")
	f.isReplica("Slave_IO_Running=No", "Last_IO_Errno=1236", "Last_IO_Error=no")
	if _, err := replicaPlan(t, f, nil, nil); err == nil || !strings.Contains(err.Error(), "broken(io): error 1236: no") {
		t.Error(err)
	}
	p := &replicationPlanner{Replication: &Replication{Primary: "db1"}, donor: DonorOutput{Accounts: true}}
	if plan, err := p.broken(t.Context(), verdict{State: stateBrokenIO}); !errors.Is(err, host.ErrNotYet) || len(plan.Then) != 1 {
		t.Errorf("%+v, %v", plan, err)
	}
}

// Where the server is stopped its directories tell what has come since the copy was begun.
func TestOwnDataOfAServerThatIsStoppedIsAskedFor(t *testing.T) {
	data := t.TempDir()
	for _, dir := range []string{"mysql", "sys", "#innodb_redo", "lost+found", "shop", "mine"} {
		if err := os.Mkdir(data+"/"+dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		had   []string
		state copyState
		allow string
		want  string
	}{
		"it had them":              {[]string{"mine", "shop"}, copying, "", ""},
		"one has come":             {[]string{"shop"}, copying, "", "would go: mine."},
		"one has come, and may go": {[]string{"shop"}, copying, "db2", ""},
		"a dump's part is there":   {nil, loading, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.New()
			h.Name = "db2"
			note, _ := host.Marshal(copyNote{Donor: "db1", Method: byBackup, DataDir: data, State: c.state, Had: c.had})
			kept := h.Bodies.Keep(note, false)
			v := host.NewView(h, nil).Behind([]host.Effect{host.Is(host.File(copyPath), host.FileInfo{Type: host.Regular, Sum: kept.Sum, Size: kept.Size})})
			p := &replicationPlanner{Replication: &Replication{Primary: "db1", AllowDestroy: []string{c.allow}}, v: v}
			err := p.askAgainStopped(t.Context())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A copy may take hours: what the server has come to meanwhile doesn't go with it.
func TestADatabaseThatComesWhileACopyIsMadeIsNotLost(t *testing.T) {
	f := replicaFake(t, mariadbVersion)
	f.has(t, "", "", "mine", "newer")
	data := t.TempDir() + "/data"
	for _, dir := range []string{data, data + ".muster-ready", data + ".muster-ready/" + copyMark} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h := f.host()
	h.Runner = runningServer{}
	use := &UseCopy{Copy: copyNote{Donor: "db1", Method: byBackup, DataDir: data, Unit: "mariadb.service"}, Drops: []string{"mine"}}
	if _, err := use.Apply(t.Context(), h); !errors.Is(err, host.ErrMoved) || !strings.Contains(err.Error(), "newer") {
		t.Error(err)
	}
	if _, err := os.Stat(data + ".muster-ready/" + copyMark); err != nil {
		t.Errorf("the copy is gone: %v", err)
	}
}
