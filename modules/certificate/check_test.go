package certificate

import (
	"os"
	"strings"
	"testing"
	"time"

	"muster/modules"
)

// What is wrong in a playbook is told before any host is asked.
func TestCertificateArgumentsAreChecked(t *testing.T) {
	day, days := modules.Duration(24*time.Hour), func(n int) *int { return &n }
	for _, c := range []struct {
		name string
		task Certificate
		want string // argument: text; "" for none
	}{
		{"right", Certificate{Names: []string{"www.example.com", "*.example.com", "::1"}}, ""},
		{"no names", Certificate{}, "names: needs the names"},
		{"an address with one digit too many", Certificate{Names: []string{"10.0.0.300"}}, "names: is no name"},
		{"a line in the common name", Certificate{Names: []string{"a.example"}, CommonName: "a\nb"}, "common_name: one line"},
		{"a century", Certificate{Names: []string{"a.example"}, Days: days(36500)}, "days: 1 to 7300"},
		{"made anew in every run", Certificate{Names: []string{"a.example"}, Days: days(1), RenewBefore: &day}, "renew_before: in every run"},
		{"both in one file", Certificate{Names: []string{"a.example"}, Key: "/etc/a.pem"}, "key: two files"},
		{"a relative key", Certificate{Names: []string{"a.example"}, Key: "a.key"}, "key: absolute path"},
		{"a secret that isn't asked for", Certificate{Names: []string{"a.example"}, Issued: "x"}, `issued: goes with issuer = "project"`},
		{"no secret", Certificate{Issuer: "project"}, "issued: needs the certificate"},
		{"days of a secret", Certificate{Issuer: "project", Issued: "x", Days: days(3)}, "days: where the secret is made"},
	} {
		c.task.Path = "/etc/a.pem"
		var got string
		for _, e := range c.task.Check(func(string) bool { return false }) {
			got += e.Arg + ": " + e.Detail + "\n"
		}
		arg, text, _ := strings.Cut(c.want, ": ")
		if c.want == "" && got != "" || c.want != "" && (!strings.HasPrefix(got, arg+": ") || !strings.Contains(got, text)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A certificate that ends is told from the day on that its renewal is due.
func TestEndsOfAuthoritiesAreTold(t *testing.T) {
	text, err := os.ReadFile("testdata/ca_expired.txtar")
	if err != nil {
		t.Fatal(err)
	}
	certs, err := decode(strings.ReplaceAll(string(text), "\n    ", "\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := &CATrust{Name: "old"}
	for at, want := range map[string]string{"2019-06-01": "isn't good before 2020-01-01", "2020-06-01": "", "2020-12-10": "expires on 2021-01-01", "2021-01-01": "has expired on 2021-01-01"} {
		now, err := time.Parse(time.DateOnly, at)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(c.ends(certs[:1], now), "")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("on %s: %q, want %q", at, got, want)
		}
	}
}
