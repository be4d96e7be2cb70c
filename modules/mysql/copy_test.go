package mysql

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/host"
)

// chosen is a donor and a recipient between which every method is possible.
func chosen(f flavor) *copyPlan {
	version, tools := [3]int{10, 11, 19}, []string{backupProgram, "mbstream", "mariadb", "mysql", "mariadb-dump", "mysqldump"}
	if f == mysqlOwn {
		version, tools = [3]int{8, 4, 6}, []string{cloneTool, "mysql", "mysqldump"}
	}
	return &copyPlan{
		primary: "db1", address: "db1", port: 3306, method: byAuto,
		donor: DonorOutput{Flavor: f, Version: versionText(version), DataBytes: 1_234_000_000, Tools: tools},
		here:  recipient{flavor: f, version: version, dataDir: "/var/lib/mysql", unit: "mariadb.service", tools: tools, free: 100e9},
	}
}

func without(list []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(names, s) })
}

func TestHowAReplicaGetsItsData(t *testing.T) {
	for name, c := range map[string]struct {
		flavor flavor
		change func(p *copyPlan)
		want   string // the method
		says   string // a part of the note, or of the error
	}{
		"MariaDB's files are copied":                        {mariadb, nil, byBackup, "It copies 1.2 GB from db1 by mariadb-backup."},
		"MySQL's are cloned":                                {mysqlOwn, nil, byClone, "It copies 1.2 GB from db1 by MySQL's clone."},
		"the donor lacks the tool, which the note says":     {mariadb, func(p *copyPlan) { p.donor.Tools = without(p.donor.Tools, backupProgram) }, byDump, "by a dump: mariadb-backup isn't installed on db1: install the package mariadb-backup there"},
		"the recipient lacks the tool":                      {mariadb, func(p *copyPlan) { p.here.tools = without(p.here.tools, "mbstream") }, byDump, "mbstream isn't installed on this host"},
		"the tool was asked for, and is lacking":            {mariadb, func(p *copyPlan) { p.method = byBackup; p.donor.Tools = nil }, "", "install the package mariadb-backup"},
		"another series: files are of no use":               {mariadb, func(p *copyPlan) { p.here.version = [3]int{11, 8, 2} }, byDump, "a copy of 10.11.19's files is of no use to 11.8.2"},
		"a series isn't its beginning":                      {mariadb, func(p *copyPlan) { p.donor.Version = "10.1.3" }, byDump, "10.1.3"},
		"data outside of the data directory":                {mariadb, func(p *copyPlan) { p.here.outside = "innodb_undo_directory = /undo" }, byDump, "innodb_undo_directory"},
		"a data directory that is mounted":                  {mariadb, func(p *copyPlan) { p.here.mounted = true }, byDump, "a file system is mounted at /var/lib/mysql"},
		"tables of other engines are in a backup":           {mariadb, func(p *copyPlan) { p.donor.Emptied = []string{"shop.old"} }, byBackup, ""},
		"a clone would leave them empty, and a dump torn":   {mysqlOwn, func(p *copyPlan) { p.donor.Emptied = []string{"shop.old"} }, "", "a clone leaves tables empty that aren't InnoDB's: shop.old"},
		"a dump that was asked for locks them, and says so": {mysqlOwn, func(p *copyPlan) { p.method = byDump; p.donor.Emptied = []string{"shop.old"} }, byDump, ""},
		"a clone that was asked for is refused for them":    {mysqlOwn, func(p *copyPlan) { p.method = byClone; p.donor.Emptied = []string{"shop.old"} }, "", "shop.old"},
		"no room":                     {mariadb, func(p *copyPlan) { p.here.free = 1e9 }, "", "has 1 GB left, and mariadb-backup needs 1.4 GB"},
		"MariaDB isn't cloned":        {mariadb, func(p *copyPlan) { p.method = byClone }, "", "clone is MySQL's"},
		"MySQL isn't backed up":       {mysqlOwn, func(p *copyPlan) { p.method = byBackup }, "", "mariadb-backup copies MariaDB only"},
		"neither becomes the other's": {mariadb, func(p *copyPlan) { p.donor.Flavor = mysqlOwn }, "", "the primary is MySQL and this server MariaDB"},
		"the plugin is lacking":       {mysqlOwn, func(p *copyPlan) { p.donor.Tools = without(p.donor.Tools, cloneTool) }, byDump, "the plugin clone isn't installed on db1"},
		"the server is stopped, and was to be copied by a backup": {mariadb, func(p *copyPlan) {
			p.left = &leftCopy{copyNote: p.note(byBackup)}
			p.here.stopped = true
			p.here.tools = nil
		}, byBackup, "left over from a backup of"},
	} {
		t.Run(name, func(t *testing.T) {
			p := chosen(c.flavor)
			if c.change != nil {
				c.change(p)
			}
			list, notes, err := p.changes()
			text := strings.Join(notes, "\n")
			if err != nil {
				text = err.Error()
			}
			if (err != nil) != (c.want == "") || !strings.Contains(text, c.says) {
				t.Fatalf("it says %q, and not %q", text, c.says)
			}
			if err != nil {
				return
			}
			if at := list[len(list)-1].(*PlaceCopy); at.Copy.Method != c.want {
				t.Errorf("it is copied by %s, want %s", at.Copy.Method, c.want)
			}
			if l, ok := list[0].(*LoadDump); ok && l.Lock != strings.Contains(name, "locks") {
				t.Errorf("locked: %v", l.Lock)
			}
		})
	}
}

// What is planned says nothing that moves while it waits for its turn.
func TestACopyIsPlannedTwiceTheSame(t *testing.T) {
	p, later := chosen(mariadb), chosen(mariadb)
	p.own = []SchemaSize{{Name: "mine", Tables: 2, Bytes: 3 << 20}}
	later.own, later.donor.DataBytes, later.here.free = p.own, p.donor.DataBytes+5e6, p.here.free-1e6
	first, _, err := p.changes()
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := later.changes()
	if err != nil {
		t.Fatal(err)
	}
	for i := range first {
		_, a, _ := host.Encode(first[i])
		_, b, _ := host.Encode(second[i])
		if !bytes.Equal(a, b) || first[i].Describe() != second[i].Describe() {
			t.Errorf("%s and then %s", a, b)
		}
	}
	if got := first[2].Describe().Impact; !strings.Contains(got, "loses mine (2 tables, at least 2 MiB)") {
		t.Error(got)
	}
}

func TestWhatAKillHasLeft(t *testing.T) {
	for name, c := range map[string]struct {
		note copyState
		dirs []string // below the folder of the data directory
		want copyState
		next []string // the types of what comes
	}{
		"nothing has come yet":                    {copying, []string{"data/"}, copying, []string{"receive", "prepare", "use", "place", "end"}},
		"some has come":                           {copying, []string{"data/", "data.muster-copy/x"}, copying, []string{"receive", "prepare", "use", "place", "end"}},
		"marked, and not yet ready":               {copying, []string{"data/", "data.muster-copy/" + copyMark}, copying, []string{"receive", "prepare", "use", "place", "end"}},
		"ready":                                   {copying, []string{"data/", "data.muster-ready/" + copyMark}, prepared, []string{"use", "place", "end"}},
		"between two renames":                     {copying, []string{"data.muster-old/", "data.muster-ready/" + copyMark}, prepared, []string{"use", "place", "end"}},
		"exchanged":                               {copying, []string{"data/" + copyMark, "data.muster-ready/"}, swapped, []string{"place", "end"}},
		"exchanged, the old one aside":            {copying, []string{"data/" + copyMark, "data.muster-old/"}, swapped, []string{"place", "end"}},
		"at its position":                         {placed, []string{"data/" + copyMark, "data.muster-old/"}, placed, []string{"end"}},
		"at its position, the old one removed":    {placed, []string{"data/" + copyMark}, placed, []string{"end"}},
		"at its position, the mark removed":       {placed, []string{"data/"}, placed, []string{"end"}},
		"it didn't start, and was exchanged back": {copying, []string{"data/", "data.muster-old/" + copyMark}, copying, []string{"receive", "prepare", "use", "place", "end"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, d := range c.dirs {
				path := filepath.Join(root, d)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if !strings.HasSuffix(d, "/") {
					if err := os.WriteFile(path, nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			p := chosen(mariadb)
			p.here.dataDir = filepath.Join(root, "data")
			n := p.note(byBackup)
			n.State = c.note
			data, _ := host.Marshal(n)
			v := host.NewView(host.New(), nil)
			left, err := readLeft(v, data)
			if err != nil || left.State != c.want {
				t.Fatalf("it is %v, %v, want %s", left, err, c.want)
			}
			p.left = left
			list, _, err := p.changes()
			if err != nil {
				t.Fatal(err)
			}
			var next []string
			for _, change := range append(list, p.end(list)...) {
				next = append(next, strings.TrimSuffix(strings.TrimPrefix(change.Type(), "mysql.copy."), "/1"))
			}
			if !slices.Equal(next, c.next) {
				t.Errorf("what comes is %q, want %q", next, c.next)
			}
		})
	}
}

// Another primary's copy that is in place is nobody's to overwrite.
func TestACopyOfAnotherPrimaryIsNoOwnData(t *testing.T) {
	for _, state := range []copyState{prepared, swapped, loaded, placed} {
		p := chosen(mariadb)
		p.left = &leftCopy{copyNote: copyNote{Donor: "db9", Method: byBackup, DataDir: "/var/lib/mysql", State: state}}
		if _, _, err := p.changes(); err == nil || !strings.Contains(err.Error(), `primary = "db9"`) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

func TestWhereADumpSaysItsPosition(t *testing.T) {
	for name, c := range map[string]struct {
		flavor flavor
		text   string
		want   []string
	}{
		"MariaDB's log and place":     {mariadb, "-- MariaDB dump\n\n-- CHANGE MASTER TO MASTER_LOG_FILE='own-bin.000001', MASTER_LOG_POS=726;\n", []string{"own-bin.000001", "726"}},
		"a set":                       {mysqlOwn, "/* SET @@GLOBAL.GTID_PURGED='+3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:tag:1-7';*/\n", []string{"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:tag:1-7"}},
		"a set, as MySQL 8.0 has it":  {mysqlOwn, "/*\nSET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';\n*/", []string{"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"}},
		"none":                        {mariadb, "-- MariaDB dump\nCREATE TABLE t (a INT);\n", nil},
		"in a text of the database's": {mariadb, strings.Repeat("-- and so on\n", positionLimit/10) + "-- CHANGE MASTER TO MASTER_LOG_FILE='x', MASTER_LOG_POS=1;\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			f := &positionFinder{to: &out, flavor: c.flavor}
			for chunk := range slices.Chunk([]byte(c.text), 20+len(c.text)/50) {
				if _, err := f.Write(chunk); err != nil {
					t.Fatal(err)
				}
			}
			if out.String() != c.text {
				t.Error("it isn't handed on as it is")
			}
			var got []string
			if f.found != nil {
				got = f.found[1:]
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestADumpsLastLineIsItsPosition(t *testing.T) {
	for text, want := range map[string]string{
		"INSERT;\n-- muster position: 0-1-5\n":                             "0-1-5",
		"INSERT;\n-- muster position: \n":                                  "",
		"-- muster position: 0-1-5\nINSERT;\n":                             "error",
		"INSERT 1;\nINSERT":                                                "error",
		strings.Repeat("x", 3*lastLimit) + "\n-- muster position: 0-1-9\n": "0-1-9",
	} {
		l := &lastBytes{from: strings.NewReader(text)}
		if _, err := io.Copy(io.Discard, l); err != nil {
			t.Fatal(err)
		}
		got, err := l.position()
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
}

func TestThePositionOfACopy(t *testing.T) {
	for text, want := range map[string]string{
		"mysqld-bin.000002\t850\t0-1-7\n":       "0-1-7",
		"mysqld-bin.000002\t850\t0-1-7,1-2-3\n": "0-1-7,1-2-3",
		"mysqld-bin.000001\t330\t\n":            "",
		"mysqld-bin.000001\t330\n":              "",
		"":                                      "none",
		"a\tb\tRESET MASTER\n":                  "none",
		"a\t1\t0-1-7\tmore":                     "none",
	} {
		got, ok := parsePosition(text)
		if !ok {
			got = "none"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestWhatAToolSaysIsShort(t *testing.T) {
	text := strings.Repeat("[01] 2026-11-28 18:47:04 Copying ./shop/orders.ibd\n", 400) +
		"[00] 2026-11-28 18:47:05 mariadb-backup: Error writing file 'UNOPENED' (Errcode: 32 \"Broken pipe\")\n[00] 2026-11-28 18:47:05 waiting\n"
	if got := toolWords([]byte(text)); got != `mariadb-backup: Error writing file 'UNOPENED' (Errcode: 32 "Broken pipe")` {
		t.Error(got)
	}
	if got := toolWords([]byte("one\ntwo\n")); got != "one\ntwo" {
		t.Error(got)
	}
}

// The tool has ended with 0 after errors.
func TestABackupEndsWithItsLastLine(t *testing.T) {
	if err := toolError(backupProgram, host.Output{Stderr: []byte("[00] 2026-11-28 18:47:05 completed OK!\n")}, nil); err != nil {
		t.Error(err)
	}
	for _, out := range []host.Output{{}, {Stderr: []byte("completed OK!\nerror: no\n")}, {ExitCode: 1, Stderr: []byte("completed OK!\n")}} {
		if toolError(backupProgram, out, nil) == nil {
			t.Errorf("%+v is none", out)
		}
	}
	err := toolError(backupProgram, host.Output{}, errors.Join(host.ErrNoProgram))
	if err == nil || !strings.Contains(err.Error(), "install the package mariadb-backup") {
		t.Errorf("without the tool it says %v", err)
	}
}

func TestProgressIsToldInBytesOfAll(t *testing.T) {
	for want, n := range map[string][2]int64{"1.2 of 3.4 GB": {1_200_000_000, 3_400_000_000}, "12 MB of 3.4 GB": {12_000_000, 3_400_000_000}, "4 GB": {4_000_000_000, 3_400_000_000}, "0.5 of 2 kB": {500, 2000}, "1 GB": {999_999_999, 0}} {
		if got := progressText(n[0], n[1]); got != want {
			t.Errorf("%d of %d: %q, want %q", n[0], n[1], got, want)
		}
	}
}

// A dump's statements aren't as long as the files of its data: there is no total of them.
func TestADumpsProgressHasNoTotal(t *testing.T) {
	var said []string
	h := host.New()
	h.Report = func(text string) { said = append(said, text) }
	l := &LoadDump{bytes: 1_000_000}
	in := newProgress(strings.NewReader(strings.Repeat("x", 2_000_000)), 0, l.told(h))
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Fatal(err)
	}
	if got := said[len(said)-1]; got != "2 MB of statements have come, of about 1 MB of data" {
		t.Error(got)
	}
}

// A donor sends in no other way than its own arguments say.
func TestADonorSendsOnlyAsItMay(t *testing.T) {
	f := mariadbFake(t)
	var w bytes.Buffer
	for method, request := range map[string]string{byDump: `{"method":"backup"}`, byAuto: `{"method":"/etc/shadow"}`, byClone: `{"method":""}`} {
		if err := (&Donor{Method: method}).Send(context.Background(), f.host(), []byte(request), &w); err == nil || w.Len() > 0 {
			t.Errorf("%s asked for %s: %v, and %d bytes", method, request, err, w.Len())
		}
	}
}
