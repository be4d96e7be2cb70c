// Package reboot has the kind that reboots hosts.
package reboot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "reboot", Reboots: true, New: func() modules.Module { return &Reboot{} }}}
}

// Where Debian and Ubuntu note that a reboot is required, and the packages that ask for it,
// one a line.
const (
	required   = "/run/reboot-required"
	requiredBy = "/run/reboot-required.pkgs"
)

// Reboot is a reboot of the host, after which the run goes on there.
//
// The host is waited for until it is back in another boot: for as long as the
// task's timeout says, 10 minutes without one. Until then nothing else is made
// there, and a host that isn't back has failed. The task needs root.
//
// Without when_required nobody can tell whether it was done: it reboots every
// time, which is shown and counts neither as drift nor as a state to be reached.
// Give it a condition, such as when = task.package.kernel.changed.
//
// In a play that reboots several hosts those that others are reached through
// (their via) come after these, and what these have left to do waits until they
// are back; a rolling play sees to that in each of its batches. The machine that
// muster itself runs on is refused.
//
// A run that is cut off while it waits tells nobody the end: the next one plans
// anew. With when_required it finds nothing to do; without it reboots again.
type Reboot struct {
	// Reboot only where the host says that it is required: where there is
	// /run/reboot-required. Ubuntu's packages make that file; on Debian those do of
	// which unattended-upgrades is told, where it is installed.
	WhenRequired bool `arg:"when_required" default:"false"`
	// What those are told who are logged in on the host.
	Message string `arg:"message"`
}

// Check refuses a message that isn't a line of text.
func (r *Reboot) Check(func(string) bool) []modules.ArgError {
	if strings.ContainsFunc(r.Message, unicode.IsControl) {
		return []modules.ArgError{{Arg: "message", Summary: "Wrong value", Detail: "The message is one line, without control characters."}}
	}
	return nil
}

// May is anything: whatever is set up to run at boot runs.
func (*Reboot) May() []host.Effect { return []host.Effect{host.Open(host.All, host.All)} }

// Plan finds out whether a reboot is required, where that counts.
func (r *Reboot) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	does := host.Description{Action: host.Run, Target: modules.RebootTarget}
	if r.Message != "" {
		does.Diff = "message: " + r.Message
	}
	if !r.WhenRequired {
		does.Impact = "runs every time"
		return r.plan(does)
	}
	info, err := v.Stat(required)
	if err == nil && !info.Exists() && v.Tainted() {
		err = host.NotYet(host.File(required)) // a command may upgrade packages
	}
	switch {
	case errors.Is(err, host.ErrNotYet):
		does.Impact = "where what is pending before it requires that"
		return modules.Plan{Then: []host.Description{does}}, err
	case err != nil || !info.Exists():
		return modules.Plan{}, err
	}
	if does.Impact, err = why(ctx, v); err != nil {
		return modules.Plan{}, err
	}
	return r.plan(does)
}

func (r *Reboot) plan(does host.Description) (modules.Plan, error) {
	if !host.IsRoot() {
		return modules.Plan{}, errors.New("only root can reboot the host: let root do it (become = true)")
	}
	return modules.Plan{Changes: []host.Change{&Order{Message: r.Message, Does: does}}, Always: !r.WhenRequired}, nil
}

// shownPackages is how many packages are named that ask for a reboot.
const shownPackages = 5

// why names the packages that ask for a reboot.
func why(ctx context.Context, v *host.View) (string, error) {
	info, err := v.Stat(requiredBy)
	if err != nil || info.Type != host.Regular {
		return "required", err
	}
	data, err := v.ReadFile(ctx, requiredBy, 1<<20)
	if err != nil {
		return "", err
	}
	names := strings.Fields(string(data))
	slices.Sort(names)
	names = slices.Compact(names)
	switch n := len(names) - shownPackages; {
	case len(names) == 0:
		return "required", nil
	case n > 0:
		return fmt.Sprintf("required by %s and %d more", strings.Join(names[:shownPackages], ", "), n), nil
	}
	return "required by " + strings.Join(names, ", "), nil
}

// Order is the order to reboot.
type Order struct {
	Message string           `json:"message,omitempty"`
	Does    host.Description `json:"does"`
}

// Type is "reboot.order/1".
func (*Order) Type() string { return "reboot.order/1" }

// Describe is what the module said.
func (o *Order) Describe() host.Description { return o.Does }

// Want is the order, whatever asks for it.
func (o *Order) Want() any { return o.Message }

// Effects is that anything may have been altered; what asked for it is gone.
func (*Order) Effects() []host.Effect {
	return []host.Effect{host.Open(host.All, host.All), host.Gone(host.File(required)), host.Gone(host.File(requiredBy))}
}

// Apply orders the reboot, once somebody waits for it. What came of it the next boot tells.
func (o *Order) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	if h.Reboots == nil {
		return host.Result{}, errors.New("nobody would wait for the host, so that it isn't rebooted")
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if err := h.Reboots(); err != nil {
		return host.Result{}, err
	}
	argv := []string{"shutdown", "-r", "--", "now"}
	if o.Message != "" {
		argv = append(argv, o.Message)
	}
	if _, err := h.Run(ctx, host.Command{Argv: argv}); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, host.ErrRebooting
}
