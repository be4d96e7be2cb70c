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
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/tests/lab"
)

// theLab is the lab of all tests: three hosts for databases.
var theLab *lab.Lab

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
	if os.Getenv("MUSTER_REAL") == "" {
		os.Exit(m.Run())
	}
	f, _ := chosen()
	o := lab.Options{ID: cmp.Or(os.Getenv("MUSTER_LAB_ID"), "mysql"), Hosts: hosts, Suites: map[string]string{}}
	for _, h := range hosts {
		if f.suite != lab.DefaultSuite {
			o.Suites[h] = f.suite
		}
	}
	l, err := lab.Up(context.Background(), o)
	if err != nil {
		panic(err)
	}
	theLab = l
	code := m.Run()
	if err := l.Down(); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// real skips what needs the lab's hosts.
func real(t *testing.T) {
	t.Helper()
	if theLab == nil {
		t.Skip("real hosts: run make mysql")
	}
}

// result is what a muster said and how it ended.
type result struct {
	out, err string
	code     int
	took     time.Duration
}

// command is muster on the workstation, with the lab's inventory.
func command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := filepath.Abs("../../bin/muster")
	if err != nil {
		t.Fatal(err)
	}
	return theLab.Command(ctx, path, append(args, "-i", "../../inventory/lab.hcl", "--no-color")...)
}

// muster runs muster on the workstation with the lab's inventory, and checks its exit code.
func muster(t *testing.T, code int, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := command(ctx, t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	begun := time.Now()
	err := cmd.Run()
	r := result{out: out.String(), err: errs.String(), took: time.Since(begun)}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if r.code != code {
		t.Fatalf("muster %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.err)
	}
	return r
}

// on runs a script as root inside a host.
func on(t *testing.T, host, script string) string {
	t.Helper()
	out, err := theLab.Host(host).Exec(t.Context(), "sh", "-c", script)
	if err != nil {
		t.Fatalf("on %s, %s: %v\n%s", host, script, err, out)
	}
	return strings.TrimSpace(string(out))
}

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
