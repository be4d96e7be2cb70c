//go:build long

package lab_test

import (
	"context"
	"testing"
	"time"

	"muster/tests/lab"
)

// Ubuntu's mirror is asked by make test-long alone: make test needs Debian's and no other.
func TestHostsOfUbuntu(t *testing.T) {
	l := realLab(t, lab.Options{ID: "lt1", Hosts: []string{"app1"}, Suites: map[string]string{"app1": "noble"}})
	if got := mustLogin(t, l, "app1", ". /etc/os-release; echo $ID $VERSION_CODENAME"); got != "ubuntu noble" {
		t.Errorf("app1 runs %q, not Ubuntu's noble", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := l.Host("app1").Offers(ctx, "docker.io"); err != nil {
		t.Errorf("noble's Docker: %v", err)
	}
}
