package mysql

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/modules"
)

func TestQueriesThatAreAskedWhilePlanning(t *testing.T) {
	for query, right := range map[string]bool{
		"SELECT 1": true, " ( select 1 )": true, "show tables": true, "WITH a AS (SELECT 1) SELECT * FROM a": true, "SELECT into_outfile FROM t": true,
		"DELETE FROM t": false, "SELECT 1 INTO OUTFILE '/tmp/x'": false, "select 1 into\n dumpfile '/tmp/x'": false, "SELECTION": false, "SET GLOBAL x = 1": false, "CALL p()": false,
	} {
		for _, q := range []*Query{{Statement: "DO 1", Unless: query}, {Statement: query, ReadOnly: true}} {
			if errs := q.Check(func(string) bool { return false }); (len(errs) == 0) != right {
				t.Errorf("%+v: %v", q, errs)
			}
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	for want, rows := range map[string][]string{"more than 1,000 rows": slices.Repeat([]string{"x"}, rowLimit+1), "more than 1 MiB": slices.Repeat([]string{strings.Repeat("x", 60000)}, 20)} {
		f := mariadbFake(t)
		f.say("SELECT a", rows...)
		if _, err := f.plan(&Query{Statement: "SELECT a", ReadOnly: true}, f.host()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestNobodyButTheServerCanListenWhereItIsAsked(t *testing.T) {
	for _, path := range sockets {
		if strings.HasPrefix(path, "/tmp/") || strings.HasPrefix(path, "/var/tmp/") || strings.HasPrefix(path, "/dev/shm/") {
			t.Errorf("anybody can listen on %s", path)
		}
	}
}

func TestServersThatLie(t *testing.T) {
	var db modules.Module = &Database{Name: "app", State: "present"}
	for name, c := range map[string]struct {
		module modules.Module
		set    func(f *fake)
		want   string
	}{
		"wants a file": {db, func(f *fake) {
			f.answers = []answer{{to: "SELECT SCHEMA_NAME", raw: append([]byte{0xfb}, "/etc/shadow"...)}}
		}, "local file"},
		"an endless list":  {db, func(f *fake) { f.say("SELECT SCHEMA_NAME", slices.Repeat([]string{"a|b|c"}, answerLimit+1)...) }, "more than 100,000 rows"},
		"no version":       {db, func(f *fake) { f.version = "none" }, "is no version"},
		"an old MariaDB":   {db, func(f *fake) { f.version = "5.5.5-10.3.39-MariaDB" }, "too old"},
		"an old MySQL":     {db, func(f *fake) { f.version = "5.7.44" }, "too old"},
		"no character set": {db, func(f *fake) {}, "no character set"},
		"closes":           {db, func(f *fake) { f.wild = func(c net.Conn) { c.Close() } }, "has closed the connection"},
		"rubbish": {db, func(f *fake) {
			f.wild = func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); c.Close() }
		}, "has closed the connection"},
		"few privileges":      {user(User{Name: "a", Password: "x"}), func(f *fake) { f.say("SHOW PRIVILEGES", "Select") }, "next to no privileges"},
		"accounts in no JSON": {user(User{Name: "a", Password: "x"}), func(f *fake) { f.say("SELECT User, Host, Priv", "a|localhost|{") }, "what the server has of the account a@localhost"},
		"unknown privileges": {user(User{Name: "a", Privileges: map[string]modules.OneOrMore{}}), func(f *fake) {
			f.say("SELECT User, Host, Priv", "a|localhost|{}")
			f.say("SHOW GRANTS", "GRANT SELECT ON `a")
		}, "in a way that muster doesn't know"},
		"root isn't let in": {db, func(f *fake) {
			f.wild = func(c net.Conn) { (&wire{Conn: c}).fail(errNoSuchLogin, "Access denied for user 'root'@'localhost'") }
		}, "doesn't let root in by its socket"},
		"too many connections": {db, func(f *fake) { f.wild = func(c net.Conn) { (&wire{Conn: c}).fail(1040, "Too many connections") } }, "Too many connections"},
	} {
		t.Run(name, func(t *testing.T) {
			f := mariadbFake(t)
			c.set(f)
			plan, err := f.plan(c.module, f.host())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q; the plan is %v", err, c.want, plan.Changes)
			}
		})
	}
}

func TestServerThatIsSilentIsGivenUp(t *testing.T) {
	f := mariadbFake(t)
	f.wild = func(net.Conn) {}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := (&Database{Name: "app", State: "present"}).Plan(ctx, host.NewView(f.host(), nil))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestNobodyListens(t *testing.T) {
	h := mariadbFake(t).host()
	dial := h.Dialer
	h.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) { return dial(ctx, network, "/nowhere") }
	_, err := (&Database{Name: "app", State: "present"}).Plan(t.Context(), host.NewView(h, nil))
	if err == nil || !strings.HasPrefix(err.Error(), "MariaDB doesn't run on this host") {
		t.Error(err)
	}
}

func TestBehindWhatBringsTheServerNothingIsKnown(t *testing.T) {
	modulesOf := func() []modules.Module {
		return []modules.Module{&Database{Name: "app", State: "present"}, user(User{Name: "a", Password: "x"}), &Query{Statement: "SELECT 1"}, &Query{Statement: "SELECT 1", ReadOnly: true}, &Query{Statement: "DO 1", Unless: "SELECT 0"}}
	}
	for name, c := range map[string]struct {
		laid  []host.Effect
		there bool // the server runs
		known bool
	}{
		"a package":                 {[]host.Effect{host.Is(host.Key{Space: host.Packages, Name: "mariadb-server"}, "1")}, false, false},
		"an upgrade":                {[]host.Effect{host.Is(host.Key{Space: host.Packages, Name: "mariadb-server"}, "2")}, true, false},
		"a package that depends on": {[]host.Effect{host.Is(host.Key{Space: host.Packages, Name: "galera"}, "1"), host.May(host.Files), host.May(host.Units)}, false, false},
		"the unit":                  {[]host.Effect{host.Open(host.Units, "mariadb.service")}, false, false},
		"its restart":               {[]host.Effect{host.Open(host.Units, "mysql.service")}, true, false},
		"anything at all":           {[]host.Effect{{Key: host.Key{Space: host.All, Name: host.All}, State: host.Unknown}}, false, false},
		"another file":              {[]host.Effect{host.Open(host.Files, "/etc/motd")}, true, true},
		"another package":           {[]host.Effect{host.Is(host.Key{Space: host.Packages, Name: "vim"}, "1"), host.May(host.Files), host.May(host.Units)}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, m := range modulesOf() {
				f := mariadbFake(t)
				f.say("SELECT @@GLOBAL.character_set_server", "utf8mb4|utf8mb4_bin")
				h := f.host()
				if !c.there {
					h.Dialer = func(context.Context, string, string) (net.Conn, error) { return nil, os.ErrNotExist }
				}
				p := &host.Preview{}
				p.Lay(c.laid)
				_, err := m.Plan(t.Context(), host.NewView(h, p))
				if c.known && err != nil || !c.known && !errors.Is(err, host.ErrNotYet) {
					t.Errorf("%T: %v", m, err)
				}
			}
		})
	}
}
