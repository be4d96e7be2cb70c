package mysql

import (
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
)

// What a kind writes on a replica would be a transaction that the primary lacks.
func TestNothingIsWrittenToAReplica(t *testing.T) {
	const mariadbStatus, mysqlStatus = "SHOW ALL SLAVES STATUS", "SELECT HOST, PORT FROM performance_schema.replication_connection_configuration"
	asReplica := func(f *fake) {
		f.sayNamed(mariadbStatus, "Master_Host=db1", "Master_Port=3306")
		f.sayNamed(mysqlStatus, "HOST=db1", "PORT=3306")
	}
	nobody := func(*fake) {}
	database, account := &Database{Name: "app", State: "present"}, func() modules.Module { return user(User{Name: "app", Password: "app-1"}) }
	for name, c := range map[string]struct {
		set    func(f *fake)
		laid   []host.Effect
		module func() modules.Module
		writes bool // is planned to
		wrong  bool
	}{
		"a database":                        {set: asReplica, module: func() modules.Module { return database }, wrong: true},
		"one on a server of its own":        {set: nobody, module: func() modules.Module { return database }, writes: true},
		"one that is there, replicated":     {set: func(f *fake) { asReplica(f); f.say("SELECT SCHEMA_NAME", "app|utf8mb4|utf8mb4_bin") }, module: func() modules.Module { return database }},
		"one that is to go":                 {set: func(f *fake) { asReplica(f); f.say("SELECT SCHEMA_NAME", "app|utf8mb4|utf8mb4_bin") }, module: func() modules.Module { return &Database{Name: "app", State: "absent"} }, wrong: true},
		"an account":                        {set: asReplica, module: account, wrong: true},
		"an account on a server of its own": {set: nobody, module: account, writes: true},
		"a statement":                       {set: asReplica, module: func() modules.Module { return &Query{Statement: "INSERT INTO app.t VALUES (1)"} }, wrong: true},
		"a guarded one":                     {set: asReplica, module: func() modules.Module { return &Query{Statement: "SET PASSWORD = 'x'", Unless: "SELECT 0"} }, wrong: true},
		"a guarded one that was made": {set: func(f *fake) { asReplica(f); f.say("SELECT 1 FROM t", "1") }, module: func() modules.Module {
			return &Query{Statement: "INSERT INTO app.t VALUES (1)", Unless: "SELECT 1 FROM t"}
		}},
		"one that is in no binary log":   {set: asReplica, module: func() modules.Module { return &Query{Statement: "SET GLOBAL max_connections = 5"} }, writes: true},
		"a query":                        {set: asReplica, module: func() modules.Module { return &Query{Statement: "SELECT 1", ReadOnly: true} }},
		"behind what makes it a replica": {set: nobody, laid: (&SetSource{To: link{Host: "db1", Port: 3306}}).Effects(), module: func() modules.Module { return database }, wrong: true},
		"behind what ends that":          {set: asReplica, laid: (&EndReplication{}).Effects(), module: func() modules.Module { return database }, writes: true},
	} {
		for _, version := range []string{mariadbVersion, mysql84} {
			t.Run(name+" "+version, func(t *testing.T) {
				f := mariadbFake(t)
				if version == mysql84 {
					f = mysqlFake(t, version)
				}
				f.say("SELECT @@GLOBAL.character_set_server", "utf8mb4|utf8mb4_bin")
				c.set(f)
				plan, err := c.module().Plan(t.Context(), host.NewView(f.host(), nil).Behind(c.laid))
				switch {
				case c.wrong && (err == nil || !strings.Contains(err.Error(), "replicates from db1:3306") || len(plan.Changes) > 0):
					t.Errorf("%v, %v", plan.Changes, err)
				case !c.wrong && (err != nil || c.writes != (len(plan.Changes) > 0)):
					t.Errorf("%v, %v", plan.Changes, err)
				}
			})
		}
	}
}
