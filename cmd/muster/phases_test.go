package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/host/facts"
	"muster/internal/engine"
	"muster/internal/launch"
	"muster/transport"
)

// phases prints what each part of something costs, one after the other.
type phases struct {
	b   *testing.B
	all strings.Builder
}

// run measures a part that is done on every host at the same time.
func (p *phases) run(name string, hosts []string, do func(i int, host string) error) {
	start := time.Now()
	var wg sync.WaitGroup
	for i, h := range hosts {
		wg.Go(func() {
			if err := do(i, h); err != nil {
				p.b.Errorf("%s on %s: %v", name, h, err)
			}
		})
	}
	wg.Wait()
	if p.b.Failed() {
		p.b.FailNow()
	}
	fmt.Fprintf(&p.all, "  %-26s %4d ms\n", name, time.Since(start).Milliseconds())
}

// BenchmarkPhases shows what the parts of an unchanged run cost on real hosts,
// each begun when the one before has ended on all of them. It needs
// MUSTER_BENCH_INVENTORY and MUSTER_BENCH_PLAYBOOK, and hosts on which nothing is
// left to do: tests/bench.sh has them.
func BenchmarkPhases(b *testing.B) {
	file := os.Getenv("MUSTER_BENCH_PLAYBOOK")
	if file == "" {
		b.Fatal("this needs real hosts: make bench")
	}
	for b.Loop() {
		a := &app{out: io.Discard, err: os.Stderr, inventoryFile: os.Getenv("MUSTER_BENCH_INVENTORY"), output: "json"}
		r, err := a.prepare(b.Context(), request{file: file, readOnly: true})
		if err != nil {
			b.Fatal(err)
		}
		hosts := r.run.Hosts()
		p := &phases{b: b}
		conns := make([]transport.Conn, len(hosts))
		p.run("log in", hosts, func(i int, name string) (err error) {
			h, _ := r.loaded.inventory.Host(name)
			conns[i], err = r.reach.mux.Dial(b.Context(), h.Target())
			return err
		})
		run := func(command string) func(int, string) error {
			return func(i int, _ string) error {
				c, err := conns[i].Start(b.Context(), command)
				if err != nil {
					return err
				}
				go io.Copy(io.Discard, c.Stderr)
				_, err = io.Copy(io.Discard, c.Stdout)
				return err
			}
		}
		p.run("(for comparison: true)", hosts, run("true"))
		p.run("(sudo true)", hosts, run("sudo -n true"))
		streams, greetings := map[string]*stream{}, make([]*bufio.Reader, len(hosts))
		var mu sync.Mutex
		p.run("sudo, find the remote", hosts, func(i int, name string) error {
			started, err := launch.Start(b.Context(), conns[i], launch.Options{Binaries: remotes{}, Become: "root"})
			if err != nil {
				return err
			}
			greetings[i] = bufio.NewReader(started.Stdout)
			started.Stdout = greetings[i]
			mu.Lock()
			defer mu.Unlock()
			streams[name] = &stream{conn: conns[i], remote: started, login: "ops"}
			return nil
		})
		p.run("its greeting, with facts", hosts, func(i int, _ string) error {
			_, err := greetings[i].Peek(4)
			return err
		})
		opts := engine.Options{Playbook: r.playbook, FactsType: factsType(), FactKeys: facts.Keys(), Kinds: a.registry(), ReadOnly: true, Connect: func(_ context.Context, name string, _ engine.Start) (engine.Stream, error) {
			return streams[name], nil
		}}
		whole := engine.New(opts)
		p.run("all plans", []string{"all"}, func(int, string) error {
			if s := whole.Plan(b.Context()); s.Outcome != engine.OutcomeUnchanged {
				return fmt.Errorf("the run is %s", s.Outcome)
			}
			return nil
		})
		whole.Close()
		r.close()
		fmt.Print("an unchanged run, part by part:\n" + p.all.String())
	}
}
