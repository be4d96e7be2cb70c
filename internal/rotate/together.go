package rotate

import (
	"context"
	"fmt"
	"slices"

	"muster/internal/lang/plays"
)

// prove has the consumers of all rotations use the new values, and verifies that: of those
// with a pending value, and of those whose old one is about to end. A playbook that several
// apply is applied once, when all of them have come to it.
func (m *Machine) prove(ctx context.Context, jobs []*job) {
	var going []*job
	m.each(ctx, jobs, func(_ context.Context, j *job) error {
		if j.v.Pending == 0 {
			if until, err := m.graceEnds(j); j.v.Previous == 0 || err != nil || m.Now().Before(until) {
				return err
			}
		}
		going = append(going, j)
		return nil
	})
	for {
		m.each(ctx, going, m.proveOwn)
		going = slices.DeleteFunc(going, func(j *job) bool { return j.stopped() || j.proved })
		if len(going) == 0 {
			return
		}
		m.applyTogether(ctx, going)
	}
}

// proveOwn makes the phases of a rotation, up to the next playbook that it applies.
func (m *Machine) proveOwn(ctx context.Context, j *job) error {
	for ; j.at < len(j.r.Phases); j.at++ {
		phase := j.r.Phases[j.at]
		switch {
		case phase == "accept" || phase == "retire":
			continue
		case j.r.Applies[phase] != "":
			return nil
		}
		if err := m.make(ctx, j, phase); err != nil {
			return fmt.Errorf("%s: %w", phase, err)
		}
	}
	j.proved = true
	return nil
}

// applyTogether applies the playbook that the first of the waiting rotations has come to,
// for all that have. One that others have still before them waits for these, unless all
// wait for each other.
func (m *Machine) applyTogether(ctx context.Context, waiting []*job) {
	pick := waiting[0]
	for _, j := range waiting {
		file := j.r.Applies[j.r.Phases[j.at]]
		if !slices.ContainsFunc(waiting, func(o *job) bool { return o.later(file) }) {
			pick = j
			break
		}
	}
	file := pick.r.Applies[pick.r.Phases[pick.at]]
	var together []*job
	var list []*plays.Rotation
	var last error
	for _, j := range waiting {
		if phase := j.r.Phases[j.at]; j.r.Applies[phase] == file {
			err := j.k.holding(ctx, []*job{j}, func(ctx context.Context) error { return m.noteInTime(ctx, j, phase) })
			if err != nil {
				j.result.Err = err
				j.k.over(j)
				continue
			}
			m.step(j, phase)
			m.Say(j.r, phase, titled(phase))
			together, list = append(together, j), append(list, j.r)
		}
	}
	if len(list) > 0 {
		last = together[0].k.holding(ctx, together, func(ctx context.Context) error { return m.Hosts.Apply(ctx, file, list) })
	}
	for _, j := range together {
		if last != nil {
			j.result.Err = fmt.Errorf("%s: %w", j.r.Phases[j.at], last)
			j.k.over(j)
		}
		j.at++
	}
}

// later reports whether a rotation comes to a playbook after the phase that it is at.
func (j *job) later(file string) bool {
	if j.r.Applies[j.r.Phases[j.at]] == file {
		return false
	}
	return slices.ContainsFunc(j.r.Phases[j.at:], func(phase string) bool { return j.r.Applies[phase] == file })
}
