// Command muster-remote is the half of muster that runs on hosts. It is pushed
// there by muster, speaks to it over its standard streams, and ends with them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"muster/host/facts"
	"muster/internal/remote"
	"muster/modules/all"
	"muster/modules/rotation"
)

func main() {
	if err := serve(isWorker()); err != nil {
		fmt.Fprintln(os.Stderr, "muster-remote:", err)
		os.Exit(1)
	}
}

func isWorker() bool { return len(os.Args) > 1 && os.Args[1] == "worker" }

// onlyPlans reports whether this is started for a login that only plans.
func onlyPlans() bool { return len(os.Args) > 1 && os.Args[1] == "plans" }

// outlive keeps signals from ending this program, without ignoring them: programs
// inherit what is ignored, and a daemon that a task starts could then not be ended,
// nor would a pipe's reader end its writer. What was ignored when this started,
// by whoever started it, is not passed on either.
func outlive(signals ...os.Signal) {
	for n := syscall.Signal(1); n < 32; n++ {
		if signal.Ignored(n) {
			signals = append(signals, n)
		}
	}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, signals...)
	go func() {
		for range caught { //nolint:revive // nothing is to be done
		}
	}()
}

func serve(worker bool) error {
	// The end of the input ends this program; nothing else does, so that the
	// change in hand is finished when a connection is cut.
	outlive(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE, syscall.SIGTERM)
	syscall.Umask(0o022)
	out := os.Stdout
	os.Stdout = os.Stderr // so that nothing stray gets between the messages
	o := remote.Options{Kinds: all.Registry(), Facts: facts.JSON, FactKeys: facts.Keys(), Worker: worker}
	o.Origin = remote.Origin()
	if !worker { // which is given what has passed that
		o.Outdated, o.Renew, o.OnlyPlans = rotation.Outdated, rotation.Renew, onlyPlans()
		if os.Geteuid() == 0 || o.OnlyPlans {
			o.Agreed = remote.AgreedDir
		}
	}
	if !worker { // whose program can't be read
		sum, err := remote.OwnSum()
		if err != nil {
			return err
		}
		o.Sum = sum
	}
	if os.Geteuid() == 0 && !worker {
		o.Spawn = (&spawner{}).spawn
	}
	return remote.Serve(context.Background(), os.Stdin, out, o)
}
