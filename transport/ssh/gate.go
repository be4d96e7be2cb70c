package ssh

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// gate keeps a wrong key from being tried on a whole fleet: servers count
// refused logins against the address they come from, which is the bastion's
// for every host behind it (sshd's PerSourcePenalties, fail2ban). Until one
// host has accepted a set of keys, few hosts at a time are offered it; when
// that many have refused it and none has accepted it, it is offered no more.
type gate struct {
	limit int

	mu   sync.Mutex
	sets map[string]*keySet
}

// keySet is what hosts made of one user's keys.
type keySet struct {
	accepted bool
	refused  []string      // the hosts' names
	slots    chan struct{} // one for each host that is being tried
	opened   chan struct{} // closed when accepted, or refused too often
}

// enter waits until h may be offered the keys of id. leave must be called
// with the outcome.
func (g *gate) enter(ctx context.Context, id, host string) (leave func(outcome), err error) {
	g.mu.Lock()
	s := g.sets[id]
	if s == nil {
		s = &keySet{slots: make(chan struct{}, g.limit), opened: make(chan struct{})}
		g.sets[id] = s
	}
	g.mu.Unlock()
	held := false
	select {
	case <-s.opened:
	default:
		select {
		case <-s.opened:
		case s.slots <- struct{}{}:
			held = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !s.accepted && len(s.refused) >= g.limit {
		if held {
			<-s.slots
		}
		return nil, fmt.Errorf("not tried: the same keys were refused by %s and accepted by no host: correct the user or the identity",
			strings.Join(s.refused, ", "))
	}
	return func(o outcome) {
		g.mu.Lock()
		defer g.mu.Unlock()
		settled := s.accepted || len(s.refused) >= g.limit
		switch o {
		case accepted:
			s.accepted = true
		case refused:
			s.refused = append(s.refused, host)
		}
		if !settled && (s.accepted || len(s.refused) >= g.limit) {
			close(s.opened)
		}
		if held && o != refused { // a refusal uses its slot up
			<-s.slots
		}
	}, nil
}

// outcome is how an offer of keys ended.
type outcome int

const (
	undecided outcome = iota // the connection ended first
	accepted
	refused
)
