package mysql

import (
	"strings"
	"testing"
)

// A session is told from others by the number that muster's own had when it set the password.
func TestSessionsOlderThanAPasswordAreToldOrEnded(t *testing.T) {
	session := func(f *fake, lines ...string) {
		a := answer{to: "SHOW PROCESSLIST", names: []string{"Id", "User", "Host"}, rows: [][]string{}}
		for _, l := range lines {
			a.rows = append(a.rows, strings.Split(l, "|"))
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.answers = append([]answer{a}, f.answers...)
	}
	all := []string{"7|app|10.0.1.21:4711", "99|app|10.0.1.22:4712", "101|app|10.0.1.21:4713", "8|other|10.0.1.21:1", "9|app|192.0.2.1:1"}
	for name, c := range map[string]struct {
		how     string
		uptime  string
		now     []string
		note    string
		killed  string
		unknown bool
	}{
		"told":                     {how: "count", now: all, note: "2 sessions are older"},
		"one is told":              {how: "count", now: all[1:4], note: "1 session is older"},
		"none are left":            {how: "count", now: all[2:]},
		"ended":                    {how: "end", now: all, killed: "7 99"},
		"none to end":              {how: "end", now: all[2:]},
		"nothing is said":          {now: all},
		"the server has restarted": {how: "end", uptime: "10", now: all},
		"muster hasn't set it":     {how: "end", now: all, unknown: true, note: "can't be told"},
	} {
		t.Run(name, func(t *testing.T) {
			f := mariadbFake(t, priv("app", "10.0.1.%", "old"))
			h := f.host()
			forget(t, "app", "10.0.1.%")
			f.before = func(statement string) {
				if strings.HasPrefix(statement, "ALTER USER") {
					f.say("SELECT User, Host, Priv FROM mysql.global_priv", priv("app", "10.0.1.%", "new", "old"))
				}
			}
			account := User{Name: "app", Host: "10.0.1.%", State: existing, Password: "new"}
			accept := account
			accept.OldPassword = "old"
			plan, err := f.plan(user(accept), h)
			if err == nil && !c.unknown {
				_, err = makePlan(t, h, plan)
			}
			if err != nil {
				t.Fatal(err)
			}
			f.before = func(statement string) {
				if strings.HasPrefix(statement, "KILL CONNECTION 99") {
					session(f, all[2:]...)
				}
			}
			f.say("SELECT User, Host, Priv FROM mysql.global_priv", priv("app", "10.0.1.%", "new"))
			if !c.unknown {
				if err := keepNote(&accountsOf(f, t)[0], "new", nil); err != nil { // by the retirement: the mark stays
					t.Fatal(err)
				}
			}
			session(f, c.now...)
			if c.uptime != "" {
				f.say("SHOW GLOBAL STATUS LIKE 'Uptime'", "Uptime|"+c.uptime)
			}
			account.OldSessions = c.how
			if c.unknown {
				account.Password, account.State = "", "present" // nothing to be set
			}
			plan, err = f.plan(user(account), h)
			notes := strings.Join(plan.Notes, "; ")
			if err != nil || !strings.Contains(notes, c.note) || (notes != "") != (c.note != "") || (len(plan.Changes) > 0) != (c.killed != "") {
				t.Fatalf("%v, %q, %v", plan.Changes, notes, err)
			}
			if _, err := makePlan(t, h, plan); err != nil {
				t.Error(err)
			}
			killed := strings.ReplaceAll(strings.Join(f.statements("KILL"), " "), "KILL CONNECTION ", "")
			if killed != c.killed {
				t.Errorf("it has ended %q, want %q", killed, c.killed)
			}
			if plan, err = f.plan(user(account), h); err != nil || len(plan.Changes) > 0 {
				t.Errorf("the second time: %v, %v", plan.Changes, err)
			}
		})
	}
}

// accountsOf are the accounts that the fake has.
func accountsOf(f *fake, t *testing.T) []account {
	t.Helper()
	s, err := connect(t.Context(), f.host().Dial)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.readAccounts(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestSessionsBelongToTheAccountTheyMayHaveComeBy(t *testing.T) {
	for _, c := range []struct {
		client, at string
		is         bool
	}{
		{"10.0.1.21:4711", "%", true}, {"localhost", "%", true}, {"localhost", "localhost", true},
		{"10.0.1.21:4711", "localhost", false}, {"10.0.1.21:4711", "10.0.1.%", true}, {"10.0.11.21:1", "10.0.1.%", false},
		{"10.0.1.21:4711", "10.0.1.2_", true}, {"10.0.1.21:1", "10.0.1.0/255.255.255.0", true},
		{"10.0.2.21:1", "10.0.1.0/255.255.255.0", false}, {"10.0.2.21:1", "10.0.0.0/16", true},
		{"app1.example:1", "10.0.0.0/16", true}, {"APP1.example:1", "app1.%", true}, {"fd00::1:4711", "fd00::1", true},
	} {
		if got := comesFrom(c.client, c.at); got != c.is {
			t.Errorf("%s of %s: %v", c.client, c.at, got)
		}
	}
}
