package engine_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"muster/internal/engine"
	"muster/internal/wire"
)

// parrot starts a remote that finds every task unchanged.
func parrot(context.Context, string, engine.Start) (engine.Stream, error) {
	toRemote, in := io.Pipe()
	out, fromRemote := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer fromRemote.Close()
		conn := wire.NewConn(toRemote, fromRemote)
		if conn.Send(&wire.Message{Hello: &wire.Hello{Protocol: wire.Protocol, Sum: "right", Facts: []byte(`{"os":"debian"}`)}}) != nil {
			return
		}
		for {
			m, err := conn.Receive()
			if err != nil {
				return
			}
			if m.Task != nil && conn.Send(&wire.Message{Planned: &wire.Planned{ID: m.Task.ID, Status: wire.Unchanged, Certainty: wire.Known}}) != nil {
				return
			}
		}
	}()
	return &pipe{in: in, out: out, ended: ended, trips: &trips{}}, nil
}

// A run of 100 tasks may take 150 KB more for each further host. What the
// remotes' ends take in this process is counted too.
func TestRunTakesLittleMemoryForEachHost(t *testing.T) {
	const few, many, limit = 20, 170, 150 << 10
	used := func(hosts int) uint64 {
		f := newFleet(t)
		var names []string
		for i := range hosts {
			names = append(names, fmt.Sprintf("web%d", i))
		}
		r := f.runWith(func(o *engine.Options) { o.Connect, o.Events = parrot, nil }, hundred[:strings.Index(hundred, `play "again"`)], names...)
		s := r.Plan(t.Context())
		if s.Outcome != engine.OutcomeUnchanged || s.Hosts["web1"].Unchanged != 100 {
			t.Fatalf("%s %+v", s.Outcome, s.Hosts["web1"])
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		r.Close()
		return m.HeapAlloc + m.StackInuse
	}
	used(few)
	small, large := used(few), used(many)
	each := (int64(large) - int64(small)) / (many - few)
	t.Logf("%d KB for each host", each>>10)
	if each > limit {
		t.Errorf("a host takes %d KB, and may take %d", each>>10, limit>>10)
	}
}
