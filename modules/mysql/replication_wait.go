package mysql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"muster/host"
)

// A replica that has just been told to connect, or whose primary has just started anew, is on
// its way for a moment. It is judged when that is over.

const (
	// beginTime is how long a replica may take to connect and begin, pollTime how often it is
	// asked meanwhile.
	beginTime = 30 * time.Second
	pollTime  = 200 * time.Millisecond
	// connectTime is how long one connection may take that is under way.
	connectTime = 5 * time.Second
)

// connecting reports whether a connection is under way. An error that it has may be one of its
// last try.
func (c *channel) connecting() bool { return c != nil && c.IO == "Connecting" }

// until asks again and again until look says that it is over, or ctx ends.
func until(ctx context.Context, every time.Duration, look func() (over bool, err error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		over, err := look()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil || over:
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// connected is the replica once a connection that is under way has come to its end, or has had
// the time for one more try.
func (p *replicationPlanner) connected(ctx context.Context) (*replica, error) {
	return asking(ctx, p.v, func(s *server) (*replica, error) {
		waiting, stop := context.WithTimeout(ctx, retryTime*time.Second+connectTime)
		defer stop()
		err := until(waiting, pollTime, func() (bool, error) {
			now, err := s.unnamed(waiting)
			return !now.connecting(), err
		})
		if err != nil && waiting.Err() == nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		fresh, err := connect(ctx, viewDialer(p.v)) // a question that was cut off ends the connection
		if err != nil {
			return nil, err
		}
		defer fresh.Close()
		return fresh.replica(ctx)
	})
}

// start has the replica replicate, and waits until it does.
func (s *server) start(ctx context.Context, h *host.Host, primary string) error {
	replica, _ := s.words()
	if err := s.do(ctx, "START "+replica); err != nil {
		return fmt.Errorf("starting the replica: %w", err)
	}
	if err := h.At("started the replica"); err != nil {
		return err
	}
	return s.begun(ctx, primary, func(c *channel) bool { return c.IO == "Yes" && c.SQL == "Yes" })
}

// begun waits until a replica's threads are as wanted. What they have failed with is the error.
func (s *server) begun(ctx context.Context, primary string, wanted func(*channel) bool) error {
	var last *channel
	waiting, stop := context.WithTimeout(ctx, beginTime)
	defer stop()
	err := until(waiting, pollTime, func() (bool, error) {
		c, err := s.unnamed(waiting)
		switch {
		case err != nil:
			return false, err
		case c == nil:
			return false, errors.New("the replica is connected to nobody any more: somebody has reset it meanwhile")
		case wanted(c):
			return true, nil
		case c.SQL != "Yes" && c.SQLErrno != 0, c.IO == "No" && c.IOErrno != 0:
			return false, fmt.Errorf("the replica doesn't run: %s", c.trouble(primary))
		}
		last = c
		return false, nil
	})
	switch {
	case err == nil || waiting.Err() == nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("the replica hasn't begun within %s: %s", beginTime, last.trouble(primary))
}
