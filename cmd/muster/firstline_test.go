package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"muster/host/facts"
	"muster/internal/engine"
	"muster/internal/view"
)

// moments are when things happened first.
type moments struct {
	mu   sync.Mutex
	when map[string]time.Time
}

// note keeps the moment of the first thing of a name.
func (m *moments) note(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.when[name].IsZero() {
		m.when[name] = time.Now()
	}
}

func (m *moments) between(a, b string) time.Duration { return m.when[b].Sub(m.when[a]) }

// timed notes when tasks are sent to a remote and when it answers: what comes
// after something was sent.
type timed struct {
	engine.Stream
	m *moments
}

func (t timed) Write(p []byte) (int, error) {
	t.m.note("sent")
	return t.Stream.Write(p)
}

func (t timed) Read(p []byte) (int, error) {
	n, err := t.Stream.Read(p)
	t.m.mu.Lock()
	sent := !t.m.when["sent"].IsZero()
	t.m.mu.Unlock()
	if sent && n > 0 {
		t.m.note("answer")
	}
	return n, err
}

// lines notes when the first line is shown, and counts them.
type lines struct {
	m *moments
	n int
}

func (l *lines) Write(p []byte) (int, error) {
	l.m.note("line")
	l.n += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

// BenchmarkFirstLine shows when a plan of many tasks on one real host prints its
// first line. It needs MUSTER_BENCH_INVENTORY and MUSTER_BENCH_PLAYBOOK.
func BenchmarkFirstLine(b *testing.B) {
	file := os.Getenv("MUSTER_BENCH_PLAYBOOK")
	if file == "" {
		b.Fatal("this needs a real host: make bench")
	}
	for b.Loop() {
		m := &moments{when: map[string]time.Time{}}
		out := &lines{m: m}
		a := &app{out: out, err: os.Stderr, inventoryFile: os.Getenv("MUSTER_BENCH_INVENTORY"), output: "plain"}
		r, err := a.prepare(b.Context(), request{file: file, readOnly: true})
		if err != nil {
			b.Fatal(err)
		}
		run := engine.New(engine.Options{
			Playbook: r.playbook, FactsType: factsType(), FactKeys: facts.Keys(), Kinds: a.registry(), ReadOnly: true, Events: a.view().Event,
			Connect: func(ctx context.Context, name string, how engine.Start) (engine.Stream, error) {
				s, err := r.reach.connect(ctx, name, how)
				if err != nil {
					return nil, err
				}
				return timed{s, m}, nil
			},
		})
		a.view().Begin(view.Planning, run.Hosts())
		s := run.Plan(b.Context())
		m.note("end")
		if s.Outcome != engine.OutcomePending {
			b.Fatalf("the run is %s", s.Outcome)
		}
		run.Close()
		r.close()
		fmt.Printf("a plan of 1,000 tasks on one host: first line %.1f ms after the first answer (at most 100), which came %.1f ms after the first was sent; all %d lines after %.0f ms\n",
			1000*m.between("answer", "line").Seconds(), 1000*m.between("sent", "answer").Seconds(), out.n, 1000*m.between("sent", "end").Seconds())
	}
}
