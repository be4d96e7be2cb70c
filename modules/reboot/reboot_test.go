package reboot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"muster/host"
	"muster/host/hosttest"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) { modulestest.Run(t, Kinds()...) }

// orders is a host on which programs are only noted.
type orders struct {
	argv [][]string
	fail error
}

func (o *orders) Run(_ context.Context, c host.Command) (host.Output, error) {
	o.argv = append(o.argv, c.Argv)
	return host.Output{}, o.fail
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRebootIsMadeWhereItIsRequired(t *testing.T) {
	if hosttest.Apart(t, "/run/") {
		return
	}
	view := func(pending ...host.Effect) *host.View {
		return host.NewView(&host.Host{Runner: &orders{}}, nil).Behind(pending)
	}
	r := &Reboot{WhenRequired: true}
	impact := func() string {
		t.Helper()
		p, err := r.Plan(t.Context(), view())
		if err != nil || len(p.Changes) != 1 || p.Always {
			t.Fatalf("%+v, %v", p, err)
		}
		return p.Changes[0].Describe().Impact
	}
	if p, err := r.Plan(t.Context(), view()); err != nil || len(p.Changes) > 0 {
		t.Errorf("where it isn't required: %+v, %v", p, err)
	}
	for what, e := range map[string]host.Effect{"packages": host.May(host.Files), "an unguarded command": host.Open(host.All, host.All)} {
		p, err := r.Plan(t.Context(), view(e))
		if !errors.Is(err, host.ErrNotYet) || len(p.Then) != 1 {
			t.Errorf("behind %s: %+v, %v", what, p, err)
		}
	}
	put(t, required, "*** System restart required ***\n")
	if got := impact(); got != "required" {
		t.Error(got)
	}
	put(t, requiredBy, "linux-image-6.1\ndbus\nlinux-image-6.1\n")
	if got := impact(); got != "required by dbus, linux-image-6.1" {
		t.Error(got)
	}
	put(t, requiredBy, "a\nb\nc\nd\ne\nf\ng\n")
	if got := impact(); got != "required by a, b, c, d, e and 2 more" {
		t.Error(got)
	}
	// What it leaves is settled: what asked for it is gone.
	p, err := r.Plan(t.Context(), view((&Order{}).Effects()[1:]...))
	if err != nil || len(p.Changes) > 0 {
		t.Errorf("behind itself: %+v, %v", p, err)
	}
}

func TestRebootIsOrderedOnceTheRunWaits(t *testing.T) {
	refused := errors.New("no")
	for _, c := range []struct {
		what    string
		order   Order
		reboots func() error
		fail    error
		argv    []string
		is      error
	}{
		{"with a message", Order{Message: "-back soon"}, func() error { return nil }, nil, []string{"shutdown", "-r", "--", "now", "-back soon"}, host.ErrRebooting},
		{"without one", Order{}, func() error { return nil }, nil, []string{"shutdown", "-r", "--", "now"}, host.ErrRebooting},
		{"where the run doesn't wait", Order{}, func() error { return refused }, nil, nil, refused},
		{"that fails", Order{}, func() error { return nil }, refused, []string{"shutdown", "-r", "--", "now"}, refused},
	} {
		o := &orders{fail: c.fail}
		_, err := c.order.Apply(t.Context(), &host.Host{Runner: o, Reboots: c.reboots})
		var argv []string
		if len(o.argv) > 0 {
			argv = o.argv[0]
		}
		if !errors.Is(err, c.is) || !slices.Equal(argv, c.argv) || len(o.argv) > 1 {
			t.Errorf("%s: %q, %v", c.what, o.argv, err)
		}
	}
}
