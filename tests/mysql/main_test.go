// Package mysql makes clusters of MariaDB and of MySQL on the lab's hosts, while
// something writes to the primary.
//
//	FLAVOR  mariadb (10.11 of Debian 12, the default), mariadb-11 (11.8 of Debian 13), or
//	        mysql (9.7 of Debian's unstable release)
//	SIZE    how much is on the primary before its replicas come, in MB
//	METHOD  how the replicas get it: auto, clone, backup or dump
//	KILL    at which step something is killed, or all; see cut_test.go
//	TIMES   only measures, against the tools by hand
package mysql

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"muster/tests/lab"
	"muster/tests/operator"
)

// theLab is the lab of all tests: three hosts for databases.
var theLab *operator.Lab

// A flavor is a server, and where Debian has it.
type flavor struct {
	name     string // as muster calls it
	suite    string
	packages string // what an operator installs by hand
}

var flavors = map[string]flavor{
	"mariadb":    {"mariadb", "bookworm", "mariadb-server mariadb-backup"},
	"mariadb-11": {"mariadb", "trixie", "mariadb-server mariadb-backup"},
	"mysql":      {"mysql", "sid", "mysql-server"},
}

func chosen() (flavor, string) {
	name := cmp.Or(os.Getenv("FLAVOR"), "mariadb")
	f, ok := flavors[name]
	if !ok {
		panic("FLAVOR is mariadb, mariadb-11 or mysql, not " + name)
	}
	return f, name
}

var hosts = []string{"db1", "db2", "db3"}

func TestMain(m *testing.M) {
	f, _ := chosen()
	o := lab.Options{ID: "mysql", Hosts: hosts, Suites: map[string]string{}}
	for _, h := range hosts {
		if f.suite != lab.DefaultSuite {
			o.Suites[h] = f.suite
		}
	}
	operator.Main(m, o, func(l *operator.Lab) { theLab = l })
}

// real skips what needs the lab's hosts.
func real(t *testing.T) { t.Helper(); theLab.Need(t) }

type result = operator.Result

// command is muster on the workstation.
func command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return theLab.Command(ctx, t, append(args, "--no-color")...)
}

// muster runs muster on the workstation, and checks its exit code.
func muster(t *testing.T, code int, args ...string) result {
	t.Helper()
	return theLab.MusterEnds(t, code, append(args, "--no-color")...)
}

func on(t *testing.T, host, script string) string { t.Helper(); return theLab.On(t, host, script) }

// used are the hosts that aren't as they were made.
var used = map[string]bool{}

// bare has hosts be as they were made.
func bare(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if used[name] {
			if err := theLab.Host(name).Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		used[name] = true
		if f, _ := chosen(); f.name == "mysql" { // it makes its data in a second there, else in half a minute
			on(t, name, "mkdir -p /var/lib/mysql && mount -t tmpfs none /var/lib/mysql")
		}
	}
}

// sql asks a host's server.
func sql(t *testing.T, host, statement string) string {
	t.Helper()
	return on(t, host, fmt.Sprintf("$(command -v mariadb || command -v mysql) -N -B -e %q", statement))
}

// show prints for whoever has asked to see what happens.
func show(format string, args ...any) {
	if os.Getenv("MUSTER_SHOW") != "" {
		fmt.Printf(format+"\n", args...)
	}
}
