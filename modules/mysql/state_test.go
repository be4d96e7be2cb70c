package mysql

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestStates judges what was read of replicas: a case is a file.
func TestStates(t *testing.T) {
	files, err := filepath.Glob("testdata/states/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var r replica
			var p DonorOutput
			var state, blocked string
			for _, f := range a.Files {
				switch f.Name {
				case "replica.json":
					err = json.Unmarshal(f.Data, &r)
				case "primary.json":
					err = json.Unmarshal(f.Data, &p)
				case "state":
					state = strings.TrimSpace(string(f.Data))
				case "blocked":
					blocked = strings.TrimSpace(string(f.Data))
				}
				if err != nil {
					t.Fatalf("%s: %v", f.Name, err)
				}
			}
			v, err := r.judge(&p, "db1", "db1:3306", 60)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(v.State) + ": " + v.Why; got != state {
				t.Errorf("it is judged\n%s\nand not\n%s", got, state)
			}
			if v.Blocked != blocked {
				t.Errorf("blocked by\n%q\nand not\n%q", v.Blocked, blocked)
			}
		})
	}
}

func TestServersThatCannotReplicate(t *testing.T) {
	own := replica{Flavor: mariadb, Version: "10.11.19", ServerID: 2, Binlog: true, LogUpdates: true, GTIDs: true}
	its := DonorOutput{Flavor: mariadb, Version: "10.11.19", ServerID: 1, Binlog: true, GTIDs: true, Port: 3306}
	if why := own.unfit(&its, "db1"); why != "" {
		t.Fatalf("two servers that can: %s", why)
	}
	for name, c := range map[string]struct {
		alter func(r *replica, p *DonorOutput)
		want  string
	}{
		"one server id":            {func(r *replica, _ *DonorOutput) { r.ServerID = 1 }, "same server_id, 1"},
		"one UUID":                 {func(r *replica, p *DonorOutput) { r.UUID, p.UUID = uuidA, strings.ToUpper(uuidA) }, "same UUID"},
		"two flavors":              {func(_ *replica, p *DonorOutput) { p.Flavor = mysqlOwn }, "don't replicate from each other"},
		"an older replica":         {func(_ *replica, p *DonorOutput) { p.Version = "11.4.2" }, "a replica can't be older"},
		"no log on the primary":    {func(_ *replica, p *DonorOutput) { p.Binlog = false }, "db1 has no binary log"},
		"lax GTIDs on the primary": {func(_ *replica, p *DonorOutput) { p.GTIDs = false }, "gtid_strict_mode"},
		"no log":                   {func(r *replica, _ *DonorOutput) { r.Binlog = false }, "this host's server has no binary log"},
		"updates unlogged":         {func(r *replica, _ *DonorOutput) { r.LogUpdates = false }, "log_slave_updates"},
		"lax GTIDs":                {func(r *replica, _ *DonorOutput) { r.GTIDs = false }, "gtid_strict_mode"},
		"no network":               {func(_ *replica, p *DonorOutput) { p.Port = 0 }, "skip_networking"},
		"only on loopback":         {func(_ *replica, p *DonorOutput) { p.Listens = "127.0.0.1" }, "listens on 127.0.0.1 alone"},
	} {
		t.Run(name, func(t *testing.T) {
			r, p := own, its
			c.alter(&r, &p)
			if why := r.unfit(&p, "db1"); !strings.Contains(why, c.want) {
				t.Errorf("%q doesn't say %q", why, c.want)
			}
		})
	}
}

func TestServersSayYesInTheirOwnWords(t *testing.T) {
	for word, want := range map[string]bool{"ON": true, "1": true, "YES": true, "Yes": true, "yes": true, "OFF": false, "No": false, "0": false, "": false, "Preparing": false} {
		if yes(word) != want {
			t.Errorf("%q is taken for %v", word, !want)
		}
	}
}
