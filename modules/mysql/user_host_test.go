package mysql

import (
	"errors"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
)

func checkHost(at, state, name string) []modules.ArgError {
	return (&User{Name: name, Host: at, State: state}).Check(func(string) bool { return false })
}

func TestHostsFromWhichNobodyCanComeAreRefused(t *testing.T) {
	for at, hint := range map[string]string{
		"10.0.0.0/33": "", "10.0.0.0/255.255.256.0": "", "10.0.0.0/": "", "10.0.0/24": "", "10.0.0.0/024": "", "fd00::/64": "", "%/24": "",
		"10.0.0.7/255.255.255.0": `host = "10.0.0.0/255.255.255.0"`, "10.0.0.7/24": `host = "10.0.0.0/24"`, "0.0.0.0/0": `host = "%"`,
		"10.0.0.256": "", "10.0.1": "", "10.0.1.": `host = "10.0.1.%"`,
		"::0001": `host = "::1"`, "::ffff:10.0.0.1": `host = "10.0.0.1"`, "fe80::1%eth0": "", "a:b": "",
	} {
		if at == "fe80::1%eth0" {
			continue // % stands for other letters
		}
		errs := checkHost(at, "present", "app")
		if len(errs) != 1 || errs[0].Arg != "host" || errs[0].Hint != hint {
			t.Errorf("%q: %+v", at, errs)
		}
	}
	for _, at := range []string{"localhost", "%", "10.0.%", "10.0.1.7", "10.0.0.0/255.255.0.0", "10.0.1.0/24", "10.0.0.0/255.0.0.0", "db1.example.com", "%.example.com", "::1", "fd00::7", "10.0.1._"} {
		if errs := checkHost(at, "present", "app"); len(errs) > 0 {
			t.Errorf("%q: %+v", at, errs)
		}
	}
}

func TestANetworkByItsBitsIsForServersThatKnowIt(t *testing.T) {
	for version, takes := range map[string]bool{mariadbVersion: false, "8.0.20": false, mysql84: true} {
		a := &about{}
		if err := a.is(version, ""); err != nil {
			t.Fatal(err)
		}
		err := a.takesBits("10.0.1.0/24")
		var wrong modules.ArgError
		if takes && err != nil || !takes && (!errors.As(err, &wrong) || wrong.Hint != `host = "10.0.1.0/255.255.255.0"`) {
			t.Errorf("%s: %v", version, err)
		}
		if err := a.takesBits("10.0.1.0/255.255.255.0"); err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestServersOwnAccountsAreLeftAlone(t *testing.T) {
	for name, state := range map[string]string{"mariadb.sys": "absent", "mysql.sys": "present", "mysql.session": "absent", "mysql.infoschema": "absent", "root": "absent"} {
		if errs := checkHost("localhost", state, name); len(errs) != 1 || errs[0].Arg != "name" {
			t.Errorf("%s %s: %+v", name, state, errs)
		}
	}
	for name, at := range map[string]string{"root": "%", "mysql.sys": "10.0.1.7", "app": "localhost"} {
		if errs := checkHost(at, "absent", name); len(errs) > 0 {
			t.Errorf("%s@%s: %+v", name, at, errs)
		}
	}
}

// What isn't there yet isn't told to be updated.
func TestWhatIsToComeIsCreated(t *testing.T) {
	pending := &host.Preview{}
	pending.Lay(brings())
	for m, want := range map[modules.Module]string{
		user(User{Name: "app", Password: "x"}):    "create account app@localhost",
		user(User{Name: "app", State: "absent"}):  "delete account app@localhost",
		&Database{Name: "shop", State: "present"}: "create database shop",
		&Database{Name: "shop", State: "absent"}:  "delete database shop",
	} {
		plan, err := m.Plan(t.Context(), host.NewView(host.New(), pending))
		if !errors.Is(err, host.ErrNotYet) || len(plan.Then) != 1 || strings.Join([]string{string(plan.Then[0].Action), plan.Then[0].Target}, " ") != want {
			t.Errorf("%+v, %v, and not %s", plan.Then, err, want)
		}
	}
}
