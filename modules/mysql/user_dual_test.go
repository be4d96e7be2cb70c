package mysql

import (
	"slices"
	"strings"
	"testing"

	"muster/host"
)

// MySQL drops the second password that an account has where its first is retained.
func TestASecondPasswordIsNeverLostByRetaining(t *testing.T) {
	const with = "caching_sha2_password"
	by := func(password string) string {
		return "ALTER USER 'app'@'localhost' IDENTIFIED WITH " + with + " BY '" + password + "'"
	}
	const retain = " RETAIN CURRENT PASSWORD"
	for _, c := range []struct {
		name   string
		valid  []string // by login
		second bool
		want   []string
	}{
		{"the old one alone is valid", []string{"old"}, false, []string{by("new") + retain}},
		{"the new one alone is valid", []string{"new"}, false, []string{by("old") + retain}},
		{"the old one and a third", []string{"old"}, true, []string{by("old"), by("new") + retain}},
		{"the new one and a third", []string{"new"}, true, []string{by("new"), by("old") + retain}},
		{"none of them", nil, false, []string{by("old"), by("new") + retain}},
		{"none of them, and two others", nil, true, []string{by("old"), by("new") + retain}},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := &account{name: "app", host: "localhost", methods: []method{{Plugin: with, Auth: "24"}}}
			if c.second {
				now.second = "sum"
			}
			known := &proofs{}
			for _, password := range []string{"new", "old"} {
				said := wrong
				if slices.Contains(c.valid, password) {
					said = right
				}
				if _, err := known.of(now, password, func() (proof, error) { return said, nil }); err != nil {
					t.Fatal(err)
				}
			}
			set := &SetUser{Name: "app", Host: "localhost", From: now.standing(nil), To: *now.standing(nil), Plugin: with, Sets: true, proofs: known}
			all := &accounts{about: about{flavor: mysqlOwn}, list: []account{*now}}
			got, err := set.statements(t.Context(), host.New(), all, now, accountSQL("app", "localhost"), passwords{"new", "old"})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%v\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// MySQL leaves the second password of an account whose first is set without a word of it.
func TestAPlainResetDiscardsASecondPassword(t *testing.T) {
	const set, discard = "ALTER USER 'app'@'localhost' IDENTIFIED WITH caching_sha2_password BY 'new'", "ALTER USER 'app'@'localhost' DISCARD OLD PASSWORD"
	for name, c := range map[string]struct {
		second string
		state  string
		want   []string
	}{
		"one password":                  {"", "present", []string{set}},
		"two passwords":                 {"sum", "present", []string{set, discard}},
		"two, at a rotation's end":      {"sum", existing, []string{set, discard}},
		"one, which a rotation resumes": {"", existing, []string{set}},
	} {
		t.Run(name, func(t *testing.T) {
			now := account{name: "app", host: "localhost", methods: []method{{Plugin: cachingPlugin, Auth: "24"}}, second: c.second}
			f := mysqlFake(t, mysql84)
			h := f.host()
			p := &userPlanner{User: user(User{Name: "app", State: c.state, Password: "new"}), v: host.NewView(h, nil), all: &accounts{about: about{flavor: mysqlOwn}, list: []account{now}}, real: &now, now: now.standing(nil)}
			if _, err := p.proofs.of(&now, "new", func() (proof, error) { return wrong, nil }); err != nil {
				t.Fatal(err)
			}
			change, err := p.change(t.Context())
			if err != nil || change == nil {
				t.Fatal(change, err)
			}
			got, err := change.statements(t.Context(), h, p.all, &now, accountSQL("app", "localhost"), passwords{password: "new"})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%v\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}
