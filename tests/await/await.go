// Package await waits in tests for what others bring about: a process, a file, a
// goroutine that tells nobody.
package await

import (
	"context"
	"testing"
	"time"
)

// patience is how long anything is waited for: many times what it takes.
const patience = time.Minute

// Until waits until a condition holds, and fails the test, from whose goroutine it is
// called, where it never does.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if !True(t.Context(), holds) {
		t.Fatalf("waited in vain until %s", what)
	}
}

// True waits until a condition holds. It returns false where ctx ends first, or where
// that takes too long.
func True(ctx context.Context, holds func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return holds()
		case <-look.C:
		}
	}
	return true
}
