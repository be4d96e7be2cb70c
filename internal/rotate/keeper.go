package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"muster/internal/lang/plays"
)

// A rotation is whose note the accepting host has, until nothing was heard of them for 15
// minutes (modules/rotation). So while a part is being made, however long that takes, each
// rotation of the run is renewed there. One that somebody else has taken meanwhile, or that
// can't be renewed for so long that they soon may, isn't gone on with.
const (
	renewEvery = 2 * time.Minute
	// renewWithin is after what time without a renewal a part is ended. It leaves it the
	// time to finish the change in hand before others may begin.
	renewWithin = 10 * time.Minute
)

// ErrTaken says that somebody else goes on with a rotation. Trying again doesn't help.
var ErrTaken = errors.New("somebody else has taken the rotation")

// keeper renews the rotations of a run, and ends what is made for one that is lost.
type keeper struct {
	renew func(context.Context, *plays.Rotation) error

	mu     sync.Mutex
	heard  map[*job]time.Time // when each that is in hand was last noted or renewed
	lost   map[*job]error     // why it isn't any more
	busy   []*job             // for which something is being made
	cancel context.CancelCauseFunc
}

// keep renews the rotations that are noted, until the function that it returns is called.
func (m *Machine) keep(ctx context.Context) (k *keeper, end func()) {
	k = &keeper{renew: m.Hosts.Renew, heard: map[*job]time.Time{}, lost: map[*job]error{}}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(renewEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				k.round(ctx)
			}
		}
	}()
	return k, func() { cancel(); <-done }
}

// round renews all that are in hand.
func (k *keeper) round(ctx context.Context) {
	k.mu.Lock()
	var all []*job
	for j := range k.heard {
		all = append(all, j)
	}
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, renewEvery)
	defer cancel()
	var wait sync.WaitGroup
	for _, j := range all {
		wait.Go(func() {
			at := now()
			k.renewed(j, at, k.renew(ctx, j.r))
		})
	}
	wait.Wait()
}

// now is by the clock on the wall: while a machine sleeps others can take what it has in hand.
func now() time.Time { return time.Now().Round(0) }

// renewed notes how a renewal has ended that was begun at a time.
func (k *keeper) renewed(j *job, begun time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.heard[j]
	switch {
	case !ok: // it is over
		return
	case err == nil:
		k.heard[j] = begun
		return
	case errors.Is(err, ErrTaken):
	case now().Sub(at) < renewWithin:
		return
	default:
		err = fmt.Errorf("the host that accepts the value couldn't be told for %d minutes that this is still at work, so somebody else may take the rotation: %w", int(now().Sub(at).Minutes()), err)
	}
	k.lost[j] = err
	if slices.Contains(k.busy, j) {
		k.cancel(err)
	}
}

// noted says that a rotation is in hand from now on.
func (k *keeper) noted(j *job) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heard[j] = now()
}

// over says that a rotation isn't in hand any more.
func (k *keeper) over(j *job) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.heard, j)
}

// holding makes something for rotations as long as they are in hand.
func (k *keeper) holding(ctx context.Context, jobs []*job, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	k.mu.Lock()
	for _, j := range jobs {
		if err := k.lost[j]; err != nil {
			k.mu.Unlock()
			return err
		}
	}
	k.busy, k.cancel = jobs, cancel
	k.mu.Unlock()
	err := do(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy, k.cancel = nil, nil
	for _, j := range jobs {
		if lost := k.lost[j]; lost != nil {
			return lost
		}
	}
	return err
}
