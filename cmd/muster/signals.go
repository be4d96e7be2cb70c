package main

import (
	"os"
	"os/signal"
	"syscall"
)

// ignoredAtStart are the signals that keepIgnoring has found.
var ignoredAtStart = map[os.Signal]bool{}

// keepIgnoring has signals that were ignored when muster was started (by nohup, or
// in a script's background) do nothing, as before, without being ignored: programs
// would inherit that. Go gives those it starts every other signal's default.
func keepIgnoring() {
	var ignored []os.Signal
	for n := syscall.Signal(1); n < 32; n++ {
		if signal.Ignored(n) {
			ignored = append(ignored, n)
			ignoredAtStart[n] = true
		}
	}
	if len(ignored) > 0 {
		// What isn't taken from a full channel is dropped.
		signal.Notify(make(chan os.Signal, 1), ignored...)
	}
}
