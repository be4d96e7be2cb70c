// Package real runs muster against the lab's hosts, as an operator would.
package real

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"muster/tests/lab"
	"muster/tests/operator"
)

// theLab is one lab for all tests of this package: they bring their hosts back
// to life, and use files of their own. HIRE_SUITE is the release of the new hire's machine.
var theLab *operator.Lab

func TestMain(m *testing.M) {
	o := lab.Options{ID: "real", Docker: []string{dockerHost, "app1", "app2"}}
	if suite := os.Getenv("HIRE_SUITE"); suite != "" {
		o.Suites = map[string]string{newHire: suite}
	}
	operator.Main(m, o, func(l *operator.Lab) { theLab = l })
}

type (
	result = operator.Result
	event  = operator.Event
)

func binary(t *testing.T) string { t.Helper(); return operator.Binary(t) }

func command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return theLab.Command(ctx, t, args...)
}

func muster(t *testing.T, args ...string) result { t.Helper(); return theLab.Muster(t, args...) }

func playbook(t *testing.T, text string) string { t.Helper(); return operator.Playbook(t, text) }

func events(t *testing.T, r result) (list []event, summary event) {
	t.Helper()
	return operator.Events(t, r)
}

func on(t *testing.T, host, script string) string { t.Helper(); return theLab.On(t, host, script) }
