package mysql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
)

// priv is an account of MariaDB's with these passwords.
func priv(name, at string, passwords ...string) string {
	var ways []string
	for _, p := range passwords {
		ways = append(ways, fmt.Sprintf(`{"plugin":"mysql_native_password","authentication_string":%q}`, nativeHash(p)))
	}
	if len(ways) == 1 {
		return name + "|" + at + "|" + ways[0]
	}
	return name + "|" + at + `|{"auth_or":[` + strings.Join(ways, ",") + `]}`
}

func TestOnlyThePasswordOfAnExistingAccountIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		has, old  string // passwords, with a space between
		at        string
		statement string
		wrong     string
	}{
		"the old one":          {has: "old", old: "old", statement: "OR mysql_native_password USING '" + nativeHash("old") + "'"},
		"the new one":          {has: "new", old: "old", statement: "OR mysql_native_password USING '" + nativeHash("old") + "'"},
		"both":                 {has: "new old", old: "old"},
		"both, of which one":   {has: "new old", statement: "USING '" + nativeHash("new") + "'"},
		"the old one and more": {has: "other old", old: "old", statement: "OR mysql_native_password USING '" + nativeHash("old") + "'"},
		"another":              {has: "other", old: "old", wrong: "is let in by neither password"},
		"others":               {has: "other odd", old: "old", wrong: "is let in by neither password"},
		"another, alone":       {has: "other", statement: "USING '" + nativeHash("new") + "'"},
		"of another host":      {has: "old", old: "old", at: "%", wrong: "there is app@10.0.%: is that the account?"},
		"none":                 {wrong: "none is made: make it first"},
	} {
		t.Run(name, func(t *testing.T) {
			f := mariadbFake(t)
			if c.has != "" {
				f.say("SELECT User, Host, Priv FROM mysql.global_priv", priv("app", "10.0.%", strings.Fields(c.has)...))
			}
			h := f.host()
			forget(t, "app", "10.0.%")
			if c.at == "" {
				c.at = "10.0.%"
			}
			plan, err := f.plan(user(User{Name: "app", Host: c.at, State: existing, Password: "new", OldPassword: c.old}), h)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || len(plan.Changes) > 0 {
					t.Errorf("%v, %v", plan.Changes, err)
				}
				return
			}
			if err != nil || (c.statement != "") != (len(plan.Changes) > 0) {
				t.Fatalf("%v, %v", plan.Changes, err)
			}
			_, _ = makePlan(t, h, plan) // the fake has what it had: that it isn't proved is no matter
			if set := strings.Join(f.statements("ALTER", "CREATE"), "\n"); !strings.HasSuffix(set, c.statement) || strings.Contains(set, "CREATE") {
				t.Errorf("it was told %s, want …%s", set, c.statement)
			}
		})
	}
}

func TestExistingAccountTakesAPasswordAndNothingElse(t *testing.T) {
	yes := true
	known := func(string) bool { return false }
	for name, u := range map[string]User{
		"no password":           {Name: "app", State: existing},
		"privileges":            {Name: "app", State: existing, Password: "x", Privileges: map[string]modules.OneOrMore{}},
		"TLS":                   {Name: "app", State: existing, Password: "x", RequireTLS: &yes},
		"limits":                {Name: "app", State: existing, Password: "x", Limits: &Limits{}},
		"a plugin":              {Name: "app", State: existing, Password: "x", Plugin: "ed25519"},
		"replicated, and made":  {Name: "app", Password: "x", Replicated: true},
		"replicated, and going": {Name: "app", State: "absent", Replicated: true},
	} {
		if errs := user(u).Check(known); len(errs) != 1 {
			t.Errorf("%s: %v", name, errs)
		}
	}
	if errs := user(User{Name: "app", State: existing, Password: "x", Replicated: true}).Check(known); len(errs) > 0 {
		t.Error(errs)
	}
}

// A replica is told nothing, and is right once it has caught up.
func TestReplicaIsAwaitedForItsPassword(t *testing.T) {
	const asks = "SELECT User, Host, Priv FROM mysql.global_priv"
	f := mariadbFake(t, priv("app", "%", "new", "old"))
	f.sayNamed("SHOW ALL SLAVES STATUS", "Master_Host=db1", "Master_Port=3306")
	f.lets["app"], f.me["app"] = true, "app@%"
	h := f.host()
	retired := user(User{Name: "app", Host: "%", State: existing, Password: "new", Replicated: true})
	plan, err := f.plan(retired, h)
	if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Describe().Action != host.Check {
		t.Fatalf("%v, %v", plan.Changes, err)
	}
	asked := 0
	f.before = func(statement string) {
		if strings.HasPrefix(statement, asks) {
			if asked++; asked == 3 {
				f.say(asks, priv("app", "%", "new"))
			}
		}
	}
	if _, err := makePlan(t, h, plan); err != nil || asked < 3 {
		t.Errorf("after %d questions: %v", asked, err)
	}
	if plan, err = f.plan(retired, h); err != nil || len(plan.Changes) > 0 {
		t.Errorf("%v, %v", plan.Changes, err)
	}
	wantStatements(t, f.statements("ALTER", "CREATE", "SET PASSWORD"))
}

// On a server of its own the password is set, whatever is said of replicas.
func TestPrimaryIsToldWhatReplicasAreAwaitedFor(t *testing.T) {
	f := mariadbFake(t, priv("app", "%", "old"))
	plan, err := f.plan(user(User{Name: "app", Host: "%", State: existing, Password: "new", Replicated: true}), f.host())
	if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Describe().Action != host.Update {
		t.Fatalf("%v, %v", plan.Changes, err)
	}
}

// What the server never takes can be told from what it takes no password at all for.
func TestPasswordThatThePolicyForbidsIsRefused(t *testing.T) {
	const prevents = "The server is running with the %s option so it cannot execute this statement"
	for name, c := range map[string]struct {
		code    uint16
		says    string
		refused bool
		told    string
	}{
		"the policy":           {errPolicy, "no: " + secret, true, "error 1819"},
		"it had it before":     {errHistory, "no: " + secret, true, "error 3638"},
		"no SQL":               {errParse, "no: " + secret, false, "aren't shown"},
		"no hashes are taken":  {errPrevented, fmt.Sprintf(prevents, "--strict-password-validation"), false, "strict_password_validation = OFF"},
		"nothing is written":   {errPrevented, fmt.Sprintf(prevents, "--read-only"), false, "--read-only"},
		"no accounts are kept": {errPrevented, fmt.Sprintf(prevents, "--skip-grant-tables"), false, "--skip-grant-tables"},
	} {
		for server, f := range map[string]*fake{"MySQL": mysqlFake(t, mysql84), "MariaDB": mariadbFake(t)} {
			f.refuse("CREATE USER", c.code, c.says)
			h := f.host()
			plan, err := f.plan(user(User{Name: "t7", Password: secret}), h)
			if err != nil {
				t.Fatal(err)
			}
			_, err = makePlan(t, h, plan)
			if err == nil || errors.Is(err, host.ErrRefused) != c.refused || !strings.Contains(err.Error(), c.told) {
				t.Errorf("%s, %s: %v", server, name, err)
				continue
			}
			nothingSecret(t, err.Error())
		}
	}
}
