package repository

import (
	"os"
	"strings"
	"testing"
	"time"
)

func testKey(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".asc")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const goodFingerprint = "F691E07A9E98266C8BE093CF06B369DF08236C73"

// What gpg shows of each of these keys.
func TestKeysAreRead(t *testing.T) {
	for _, c := range []struct{ name, fingerprint, unusable string }{
		{"good", goodFingerprint, ""},
		{"expired", "8D4554905137DBB56EF469EFC2FD245F128C2739", "has expired on 2020-01-08"},
		{"revoked", "7F6F472BA674108049E6F85B1310C458EA183F89", "was revoked by its owner"},
	} {
		_, keys, err := material(testKey(t, c.name))
		if err != nil || len(keys) != 1 || keys[0].fingerprint != c.fingerprint {
			t.Errorf("%s: %+v, %v", c.name, keys, err)
			continue
		}
		switch err := unusable(keys, time.Now()); {
		case c.unusable == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.unusable != "" && (err == nil || !strings.Contains(err.Error(), c.unusable)):
			t.Errorf("%s: %v, want %s", c.name, err, c.unusable)
		}
	}
}

// What is wrong in a playbook is told before any host is asked.
func TestArgumentsAreChecked(t *testing.T) {
	good, expired := testKey(t, "good"), testKey(t, "expired")
	right := func() *AptRepository {
		return &AptRepository{Name: "shop", URIs: []string{"https://deb.example.org"}, Suites: []string{"stable"}, Components: []string{"main"}, SignedBy: good, Fingerprint: []string{goodFingerprint}}
	}
	for _, c := range []struct {
		name   string
		change func(r *AptRepository)
		want   string // argument: text; "" for none
	}{
		{"right", func(r *AptRepository) {}, ""},
		{"a spaced fingerprint", func(r *AptRepository) { r.Fingerprint[0] = "f691 e07a 9e98 266c 8be0  93cf 06b3 69df 0823 6c73" }, ""},
		{"a name that apt passes over", func(r *AptRepository) { r.Name = "a b" }, "name: apt takes letters"},
		{"a path as a name", func(r *AptRepository) { r.Name = "../x" }, "name: apt takes letters"},
		{"no address", func(r *AptRepository) { r.URIs = nil }, "uris: It needs the address"},
		{"a word as address", func(r *AptRepository) { r.URIs[0] = "deb.example.org" }, "uris: is no address"},
		{"a login in the address", func(r *AptRepository) { r.URIs[0] = "https://me:pw@deb.example.org" }, "uris: auth.conf.d"},
		{"a line in a suite", func(r *AptRepository) { r.Suites[0] = "stable\nTrusted: yes" }, "suites: is one word"},
		{"no component", func(r *AptRepository) { r.Components = nil }, "components: A suite has components"},
		{"a component of a folder", func(r *AptRepository) { r.Suites[0] = "./" }, "components: is a folder"},
		{"another type", func(r *AptRepository) { r.Types = []string{"rpm"} }, `types: "deb" or "deb-src"`},
		{"a field that is an argument", func(r *AptRepository) { r.Options = map[string]string{"signed-by": "x"} }, "options: argument of its own: signed_by"},
		{"a line in a field", func(r *AptRepository) { r.Options = map[string]string{"Pdiffs": "no\nTrusted: yes"} }, "options: one line"},
		{"no key", func(r *AptRepository) { r.SignedBy, r.Fingerprint = "", nil }, "signed_by: needs the key"},
		{"no key, and trusted", func(r *AptRepository) {
			r.SignedBy, r.Fingerprint, r.Options = "", nil, map[string]string{"Trusted": "yes"}
		}, ""},
		{"a key that is trusted anyway", func(r *AptRepository) { r.Options = map[string]string{"Trusted": "yes"} }, "options: leave out one"},
		{"a key that is cut off", func(r *AptRepository) { r.SignedBy = good[:200] }, "signed_by: cut off"},
		{"a damaged key", func(r *AptRepository) { r.SignedBy = strings.Replace(good, "mDMEZ3", "mDMEZ4", 1) }, "signed_by: damaged"},
		{"a private key", func(r *AptRepository) { r.SignedBy = testKey(t, "good.private") }, "signed_by: private key"},
		{"no key at all", func(r *AptRepository) { r.SignedBy = "hello" }, "signed_by: neither a key"},
		{"another key", func(r *AptRepository) { r.SignedBy = expired }, "fingerprint: the key isn't " + goodFingerprint},
		{"one more key", func(r *AptRepository) { r.SignedBy += expired }, "fingerprint: one more key than"},
		{"both keys", func(r *AptRepository) {
			r.SignedBy, r.Fingerprint = good+expired, append(r.Fingerprint, "8D4554905137DBB56EF469EFC2FD245F128C2739")
		}, ""},
		{"a short key id", func(r *AptRepository) { r.Fingerprint[0] = "08236C73" }, "fingerprint: can be forged"},
		{"an address without a fingerprint", func(r *AptRepository) { r.SignedBy, r.Fingerprint = "https://deb.example.org/key.asc", nil }, "fingerprint: could send another"},
	} {
		r := right()
		c.change(r)
		errs := r.Check(func(string) bool { return false })
		var got string
		for _, e := range errs {
			got += e.Arg + ": " + e.Detail + "\n"
		}
		arg, text, _ := strings.Cut(c.want, ": ")
		if c.want == "" && got != "" || c.want != "" && (len(errs) != 1 || errs[0].Arg != arg || !strings.Contains(got, text)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Whatever a host has at a key's place is read without a panic.
func FuzzKeys(f *testing.F) {
	for _, name := range []string{"good", "expired", "revoked"} {
		text, err := os.ReadFile("testdata/" + name + ".asc")
		if err != nil {
			f.Fatal(err)
		}
		data, err := dearmor(string(text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if keys, err := keysOf(data); err == nil {
			for _, k := range keys {
				if len(k.fingerprint) < 40 {
					t.Error(k)
				}
			}
		}
	})
}
