package main

import (
	"maps"
	"testing"

	"muster/tests/lab"
)

func TestAReleaseIsGivenForAllHostsOrSome(t *testing.T) {
	for _, c := range []struct {
		flag  string
		hosts []string
		want  map[string]string
	}{
		{"", []string{"db1"}, nil},
		{"trixie", []string{"db1"}, map[string]string{"db1": "trixie", lab.Bastion: "trixie"}},
		{"db1=trixie,db2=sid", []string{"db1", "db2", "db3"}, map[string]string{"db1": "trixie", "db2": "sid"}},
	} {
		got, err := suites(c.flag, c.hosts)
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("-suite %q for %v: %v, %v, not %v", c.flag, c.hosts, got, err, c.want)
		}
	}
	for _, wrong := range []string{"db1=", "=sid", "db1=sid,db2"} {
		if got, err := suites(wrong, nil); err == nil {
			t.Errorf("-suite %q: %v, no error", wrong, got)
		}
	}
}
