package remote

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/stream"
	"muster/internal/wire"
)

// until returns the first message that is what is waited for.
func (c *controller) until(is func(m *wire.Message) bool) *wire.Message {
	c.t.Helper()
	for {
		m, err := c.Receive()
		if err != nil {
			c.t.Fatal(err)
		}
		if is(m) {
			return m
		}
	}
}

func (c *controller) say(m *wire.Message) {
	c.t.Helper()
	if err := c.Send(m); err != nil {
		c.t.Fatal(err)
	}
}

// sourceTask is a companion that has a file of some bytes to send.
func sourceTask(t *testing.T, size int) (task wire.Task, request []byte) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	return wire.Task{ID: "0/task.directory.x/of/web1", Kind: "directory_source", Args: map[string]any{"path": dir}}, []byte(`{"files":["YQ=="]}`)
}

func TestWorkersNeitherReceiveNorSend(t *testing.T) {
	c := serving(t, spawnWorker)
	c.say(&wire.Message{Open: &wire.Open{}})
	args := map[string]any{"path": t.TempDir(), "from_host": "db1"}
	companions := map[string][]byte{"db1": []byte(`{"manifest":{"Entries":null}}`)}
	c.say(&wire.Message{Task: &wire.Task{ID: "0/a", Kind: "directory", Args: args, As: other, Companions: companions}})
	m := c.until(func(m *wire.Message) bool { return m.Planned != nil })
	if m.Planned.Status != wire.Failed || !strings.Contains(m.Planned.Error, "become = true") {
		t.Errorf("planned as another user, it says %q", m.Planned.Error)
	}
	c.say(&wire.Message{Task: &wire.Task{ID: "0/b", Kind: "directory", Args: args, As: other, Companions: companions, Late: true}})
	c.say(&wire.Message{Grant: &wire.Grant{IDs: []string{"0/b"}, Epoch: 1}})
	m = c.until(func(m *wire.Message) bool { return m.Done != nil })
	if m.Done.Status != wire.Failed || !strings.Contains(m.Done.Error, "become = true") {
		t.Errorf("sent at its turn, it says %q", m.Done.Error)
	}
	source, request := sourceTask(t, 1)
	source.As = other
	c.say(&wire.Message{Task: &source})
	m = c.until(func(m *wire.Message) bool { return m.Planned != nil })
	if m.Planned.Status != wire.Failed || !strings.Contains(m.Planned.Error, "become = true") {
		t.Errorf("a companion of another user's says %q", m.Planned.Error)
	}
	c.say(&wire.Message{Send: &wire.Send{Stream: 1, Task: source, Request: request}})
	m = c.until(func(m *wire.Message) bool { return m.Sent != nil })
	if !strings.Contains(m.Sent.Error, "become = true") {
		t.Errorf("asked to send, it says %q", m.Sent.Error)
	}
}

func TestSessionThatOnlyPlansSendsNothing(t *testing.T) {
	c := serving(t, nil)
	c.say(&wire.Message{Open: &wire.Open{ReadOnly: true}})
	source, request := sourceTask(t, 1)
	c.say(&wire.Message{Send: &wire.Send{Stream: 1, Task: source, Request: request}})
	if m := c.until(func(m *wire.Message) bool { return m.Sent != nil }); m.Sent.Error == "" {
		t.Error("it sends")
	}
}

// Two are sent at a time, by companions alone. One that nobody comes for ends when the
// controller says so, and then another may be sent; what a host keeps off it is kept off
// as long.
func TestHostSendsTwoStreamsAtATime(t *testing.T) {
	c := serving(t, nil)
	c.say(&wire.Message{Open: &wire.Open{}})
	source, request := sourceTask(t, 1)
	send := func(n uint64, task wire.Task) {
		mine, _, err := stream.NewKeys()
		if err != nil {
			t.Fatal(err)
		}
		c.say(&wire.Message{Send: &wire.Send{Stream: n, Task: task, Request: request, Address: "127.0.0.1", Keys: mine}})
	}
	answer := func() *wire.Message {
		return c.until(func(m *wire.Message) bool { return m.Sent != nil || m.Listening != nil })
	}
	for n := range uint64(2) {
		send(n, source)
		if m := answer(); m.Listening == nil || m.Listening.Port == 0 {
			t.Fatalf("it doesn't listen: %+v", m.Sent)
		}
	}
	send(2, source)
	if m := answer(); m.Sent == nil || m.Sent.Stream != 2 || !strings.Contains(m.Sent.Error, "2 streams already") {
		t.Errorf("the third is answered with %+v", m)
	}
	c.say(&wire.Message{Hangup: &wire.Hangup{Stream: 1}})
	if m := answer(); m.Sent == nil || m.Sent.Stream != 1 || m.Sent.Error != stream.ErrGone.Error() {
		t.Errorf("the second ends with %+v", m)
	}
	send(3, wire.Task{ID: "x", Kind: "directory", Args: source.Args})
	if m := answer(); m.Sent == nil || !strings.Contains(m.Sent.Error, "isn't a companion's") {
		t.Errorf("a kind that is none is answered with %+v", m)
	}
	send(4, source)
	if m := answer(); m.Listening == nil {
		t.Errorf("another isn't sent: %+v", m.Sent)
	}
}

// A relayed stream has no more under way than there is room for, and one whose receiver
// takes nothing is given up.
func TestRelayedStreamThatStallsIsGivenUp(t *testing.T) {
	c := serving(t, nil)
	c.say(&wire.Message{Open: &wire.Open{}})
	source, request := sourceTask(t, 3*wire.Window)
	c.say(&wire.Message{Send: &wire.Send{Stream: 1, Task: source, Request: request}})
	got := 0
	m := c.until(func(m *wire.Message) bool {
		if m.Part != nil {
			got += len(m.Part.Data)
		}
		return m.Sent != nil
	})
	if got != wire.Window || m.Sent.Error != stream.ErrStalled.Error() {
		t.Errorf("%d bytes came, and it ends with %q", got, m.Sent.Error)
	}
}
