package remote

import (
	"context"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// held is a module whose plan ends only when the test lets it.
type held struct {
	Name string `arg:"name,key,required"`
	let  chan struct{}
}

func (m *held) Plan(ctx context.Context, _ *host.View) (modules.Plan, error) {
	if m.Name != "first" {
		select {
		case <-m.let:
		case <-ctx.Done():
		}
	}
	return modules.Plan{}, nil
}

func TestAnswerDoesNotWaitForTheTasksBehindIt(t *testing.T) {
	let := make(chan struct{})
	toRemote, in := io.Pipe()
	out, fromRemote := io.Pipe()
	ended := make(chan error)
	go func() {
		defer fromRemote.Close()
		ended <- Serve(t.Context(), toRemote, fromRemote, Options{
			Kinds: modules.NewRegistry(modules.Kind{Name: "slow", New: func() modules.Module { return &held{let: let} }}),
			Facts: func(context.Context) []byte { return []byte("{}") }, Lock: filepath.Join(t.TempDir(), "lock"),
		})
	}()
	c := wire.NewConn(out, in)
	if m, err := c.Receive(); err != nil || m.Hello == nil {
		t.Fatal(m, err)
	}
	for _, name := range []string{"first", "second", "third"} {
		if err := c.Queue(&wire.Message{Task: &wire.Task{ID: name, Kind: "slow", Args: map[string]any{"name": name}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second", "third"} {
		m, err := c.Receive()
		if err != nil || m.Planned == nil || m.Planned.ID != name {
			t.Fatalf("waiting for the %s: %+v, %v", name, m, err)
		}
		if name == "first" {
			close(let) // it has come, though the second is still being planned
		}
	}
	in.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// mute is a worker that says it is there, and nothing more until its input ends.
type mute struct {
	io.Reader
	end func()
}

func newMute() *mute {
	r, w := io.Pipe()
	m := &mute{Reader: r, end: sync.OnceFunc(func() { w.Close() })}
	// It may have been told to end already.
	go func() {
		_ = wire.NewConn(nil, w).Send(&wire.Message{Hello: &wire.Hello{Protocol: wire.Protocol}})
	}()
	return m
}

func (*mute) Write(p []byte) (int, error) { return len(p), nil }
func (m *mute) CloseInput() error         { m.end(); return nil }
func (m *mute) Close() error              { m.end(); return nil }

func TestRemoteDoesNotOutliveItsControllerForAWorker(t *testing.T) {
	toRemote, in := io.Pipe()
	out, fromRemote := io.Pipe()
	asked, ended := make(chan struct{}), make(chan error)
	go func() {
		defer fromRemote.Close()
		ended <- Serve(t.Context(), toRemote, fromRemote, Options{
			Kinds: modules.NewRegistry(modules.Kind{Name: "slow", New: func() modules.Module { return &held{} }}),
			Facts: func(context.Context) []byte { return []byte("{}") }, Lock: filepath.Join(t.TempDir(), "lock"),
			Spawn: func(context.Context, string) (io.ReadWriteCloser, error) { close(asked); return newMute(), nil },
		})
	}()
	c := wire.NewConn(out, in)
	if m, err := c.Receive(); err != nil || m.Hello == nil {
		t.Fatal(m, err)
	}
	if err := c.Send(&wire.Message{Task: &wire.Task{ID: "0/task.slow.x", Kind: "slow", As: "daemon", Args: map[string]any{"name": "x"}}}); err != nil {
		t.Fatal(err)
	}
	<-asked // and now waits for the worker's answer
	in.Close()
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
