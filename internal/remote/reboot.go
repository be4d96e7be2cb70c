package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"muster/host"
	"muster/internal/remote/process"
	"muster/internal/wire"
	"muster/modules"
)

// leave lets a task order a reboot: the controller has been told, so that it waits for the
// host, and the host keeps which boot that ends, so that the next connection can tell
// whether it came about.
func (s *server) leave(id string) error {
	boot, err := s.boot()
	switch {
	case err != nil:
		return fmt.Errorf("finding out in which boot the host is: %w", err)
	case s.kept == nil:
		return errors.New("nothing is kept on this host, so that nobody could tell whether it has rebooted")
	}
	if err := s.conn.Send(&wire.Message{Reboot: &wire.Reboot{ID: id, Boot: boot}}); err != nil {
		return s.deaf()
	}
	over := time.NewTimer(cmp.Or(s.o.ProofWait, wire.ProofWait))
	defer over.Stop()
	for {
		select {
		case a := <-s.reboots:
			switch {
			case a.ID != id:
				continue
			case a.Error != "":
				return errors.New(a.Error)
			}
			return s.kept.Reboots(boot)
		case <-s.lost:
			return s.deaf()
		case <-over.C:
			return errors.New("the controller doesn't answer, and nobody would wait for the host")
		}
	}
}

// reboots reports whether a task's host reboots for it: until that is ordered it may be made
// again, and afterwards the boot id tells whether it was made.
func (s *Session) reboots(t *task) bool {
	k := s.Kinds.Kind(t.Kind)
	return k != nil && k.Reboots
}

func (s *server) boot() (string, error) {
	if s.o.Boot != nil {
		return s.o.Boot()
	}
	return process.Boot()
}

// rebooted tells the end of a task that has ordered a reboot in an earlier connection of
// the run: where the host is in another boot it is made. It returns false of any other task.
func (s *server) rebooted(ctx context.Context, id string, d *wire.Done) bool {
	if s.session.Unended != id || s.session.Boot == "" {
		return false
	}
	before := s.session.Boot
	s.session.Boot = "" // a later attempt is one of its own
	truth := modules.False
	boot, err := s.boot()
	switch {
	case err != nil:
		d.Status, d.Error = wire.Failed, "finding out in which boot the host is: "+err.Error()
	case boot == before:
		d.Status, d.Error = wire.Failed, "the host was told to reboot and hasn't: it still has the boot id "+boot
	default:
		d.Status, truth = wire.Changed, modules.True
		d.Changes = []host.Description{{Action: host.Run, Target: modules.RebootTarget}}
		if t := s.session.tasks[id]; t != nil && t.Shown != nil && len(t.Shown.Changes) > 0 {
			d.Changes = t.Shown.Changes
		}
	}
	s.session.Settled(id, truth)
	s.tell(ctx, "", wire.Lay{Reset: true, Settled: s.settled(id)})
	return true
}
