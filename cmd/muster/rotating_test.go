package main

import (
	"errors"
	"fmt"
	"testing"

	"muster/internal/engine"
	"muster/internal/rotate"
)

func TestRotationEndsWithTheExitCodeOfItsHosts(t *testing.T) {
	one := func(c engine.Counts) *engine.Summary {
		return &engine.Summary{Hosts: map[string]*engine.Counts{"a": {}, "b": &c}, Order: []string{"a", "b"}}
	}
	cut := one(engine.Counts{Failed: 1})
	cut.Outcome = engine.OutcomeInterrupted
	both := one(engine.Counts{Unreachable: true})
	both.Hosts["a"].Failed = 1
	for name, c := range map[string]struct {
		err  error
		code exitError
	}{
		"a host failed":             {proved(one(engine.Counts{Failed: 1})), exitFailed},
		"one is left as it is":      {proved(one(engine.Counts{Pending: 1})), exitFailed},
		"one can't be reached":      {proved(one(engine.Counts{Unreachable: true})), exitUnreachable},
		"and another failed":        {proved(both), exitFailed},
		"it was interrupted":        {proved(cut), exitInterrupted},
		"a value is refused":        {rotate.ErrRefused, exitFailed},
		"somebody else has it":      {rotate.ErrTaken, exitFailed},
		"no host has to do with it": {errors.New("it isn't open"), exitUsage},
	} {
		if code := rotationCode(fmt.Errorf("accept: %w", c.err)); code != c.code {
			t.Errorf("%s: %d, want %d", name, code, c.code)
		}
	}
	if err := proved(one(engine.Counts{})); err != nil {
		t.Error(err)
	}
}
