package mysql

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"muster/host"
	"muster/modules"
	"muster/modules/modulestest"
)

// BenchmarkUnchanged is what tasks cost on their host where nothing is to be done: one
// session's plans, with all that they ask of the server. On a lab's host with MariaDB:
//
//	MUSTER_LAB_HOST=1 ./mysql.test -test.run '^$' -test.bench Unchanged
func BenchmarkUnchanged(b *testing.B) {
	if os.Getenv(modulestest.LabHost) == "" {
		b.Skip("it takes a lab's host: " + modulestest.LabHost)
	}
	h := host.New()
	proofs := &proofs{}
	server := func() modules.Module { return &Server{} }
	databases := func() (list []modules.Module) {
		for _, name := range []string{"bench_one", "bench_two", "bench_three"} {
			list = append(list, &Database{Name: name, State: "present"})
		}
		return list
	}
	users := func() (list []modules.Module) {
		for _, name := range []string{"bench1", "bench2", "bench3", "bench4", "bench5", "bench6", "bench7", "bench8", "bench9", "bench10"} {
			list = append(list, &User{Name: name, Host: "localhost", Password: "geheim-" + name, State: "present", proofs: proofs, Privileges: map[string]modules.OneOrMore{"bench_one.*": {"ALL PRIVILEGES"}}})
		}
		return list
	}
	query := func() modules.Module {
		return &Query{Statement: "CREATE TABLE bench_one.t (id INT PRIMARY KEY)", Unless: "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'bench_one' AND TABLE_NAME = 't'"}
	}
	all := func() []modules.Module {
		return append(append(append([]modules.Module{server()}, databases()...), users()...), query())
	}
	for round := 0; round < 2; round++ { // what is to be there is made first
		for _, m := range all() {
			plan, err := m.Plan(b.Context(), host.NewView(h, nil))
			if err != nil {
				b.Fatal(err)
			}
			for _, c := range plan.Changes {
				if _, err := c.Apply(b.Context(), h); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Cleanup(func() {
		ctx := context.WithoutCancel(b.Context()) // which is over by then
		for _, m := range append(databases(), users()...) {
			switch m := m.(type) {
			case *Database:
				m.State = "absent"
			case *User:
				m.State, m.Password, m.Privileges = "absent", "", nil
			}
			plan, err := m.Plan(ctx, host.NewView(h, nil))
			for _, c := range plan.Changes {
				if _, cerr := c.Apply(ctx, h); cerr != nil {
					err = cerr
				}
			}
			if err != nil {
				b.Error(err)
			}
		}
	})
	for _, c := range []struct {
		name  string
		tasks func() []modules.Module
	}{
		{"mysql_server", func() []modules.Module { return []modules.Module{server()} }},
		{"mysql_database-3", databases},
		{"mysql_user-10", users},
		{"mysql_query", func() []modules.Module { return []modules.Module{query()} }},
		{"all", all},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				v := host.NewView(h, nil)
				clear(proofs.said) // each run is a remote of its own
				for _, m := range c.tasks() {
					plan, err := m.Plan(b.Context(), v)
					if err != nil || len(plan.Changes) > 0 {
						b.Fatalf("%v, %v", plan.Changes, err)
					}
				}
			}
		})
	}
}

// BenchmarkChecksum is what a check costs that finds nothing, on both sides together: of
// rows of 200 bytes, in the server that MUSTER_BENCH_ROWS fills.
func BenchmarkChecksum(b *testing.B) {
	if os.Getenv(modulestest.LabHost) == "" {
		b.Skip("it takes a lab's host: " + modulestest.LabHost)
	}
	s, err := connect(b.Context(), viewDialer(host.NewView(host.New(), nil)))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for _, q := range []string{
		"SET SESSION sql_log_bin = 0", "DROP DATABASE IF EXISTS bench", "CREATE DATABASE bench", "CREATE TABLE bench.rows (id INT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(200), c DATETIME)",
		"INSERT INTO bench.rows (a, b, c) SELECT seq, REPEAT('x', 180), '2026-01-01' FROM bench.seq_1_to_200000",
	} {
		if err := s.do(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	defer func() { _ = s.do(b.Context(), "DROP DATABASE bench") }()
	for b.Loop() {
		c := &ChecksumSource{Databases: []string{"bench"}, Chunk: 5000}
		plan, err := c.read(b.Context(), s)
		if err != nil {
			b.Fatal(err)
		}
		var n int64
		for _, p := range plan.Tables[0].Parts {
			n += p.Rows
		}
		if data, _ := json.Marshal(plan); n != 200000 || len(data) == 0 {
			b.Fatalf("%d rows are read", n)
		}
		b.SetBytes(200 * n)
		b.ReportMetric(float64(len(plan.Tables[0].Parts)), "parts")
	}
}
