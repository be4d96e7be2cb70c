package mysql

import (
	"slices"
	"testing"
)

// While a secret is rotated an account keeps what lets it in of the passwords that are
// valid, and the one to be used is added beside it.
func TestAccountOfARotatedPassword(t *testing.T) {
	native := func(passwords ...string) (list []method) {
		for _, p := range passwords {
			list = append(list, method{Plugin: nativePlugin, Auth: nativeHash(p)})
		}
		return list
	}
	caching := []method{{Plugin: cachingPlugin, Auth: "24"}}
	for _, c := range []struct {
		name    string
		flavor  flavor
		methods []method
		lets    []string // by login
		second  bool
		is      bool
		keep    string
	}{
		{"MySQL lets in the one to be used", mysqlOwn, caching, []string{"used"}, false, true, ""},
		{"MySQL lets in both", mysqlOwn, caching, []string{"used", "next"}, true, true, ""},
		{"MySQL lets in another that is valid", mysqlOwn, caching, []string{"next"}, false, true, "next"},
		{"MySQL lets in none", mysqlOwn, caching, nil, false, false, ""},
		{"MariaDB lets in the one to be used", mariadb, native("used"), []string{"used"}, false, true, ""},
		{"MariaDB lets in both", mariadb, native("next", "used"), nil, false, true, ""},
		{"MariaDB lets in another and a third", mariadb, native("next", "foreign"), nil, false, true, "next"},
		{"MariaDB lets in two that aren't valid", mariadb, native("foreign", "odd"), nil, false, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := &account{name: "app", host: "localhost", methods: c.methods}
			if c.second {
				now.second = "sum"
			}
			known := &proofs{}
			for _, password := range []string{"next", "used"} {
				said := wrong
				if slices.Contains(c.lets, password) {
					said = right
				}
				if _, err := known.of(now, password, func() (proof, error) { return said, nil }); err != nil {
					t.Fatal(err)
				}
			}
			u := &User{Name: "app", Host: "localhost", Password: "used", Valid: []string{"next", "used"}, proofs: known}
			p := &userPlanner{User: u, all: &accounts{about: about{flavor: c.flavor}, list: []account{*now}}, real: now, now: now.standing(nil)}
			is, keep, err := p.rotating(t.Context(), now.plugin())
			if err != nil || is != c.is || keep != c.keep {
				t.Errorf("%v %q %v, want %v %q", is, keep, err, c.is, c.keep)
			}
		})
	}
}
