package remote

import (
	"strings"
	"testing"

	"muster/internal/wire"
)

func TestWorkersBringNothing(t *testing.T) {
	c := serving(t, spawnWorker)
	c.say(&wire.Message{Open: &wire.Open{}})
	c.say(&wire.Message{Task: &wire.Task{ID: "0/a", Kind: "fetch", Args: map[string]any{"path": "/etc/passwd", "to": "fetched"}, As: other}})
	m := c.until(func(m *wire.Message) bool { return m.Planned != nil || m.Copy != nil })
	if m.Copy != nil || m.Planned.Status != wire.Failed || !strings.Contains(m.Planned.Error, "become = true") {
		t.Errorf("planned as another user, it says %+v", m)
	}
}

// An answer to an earlier question, which somebody has given up, is passed over.
func TestOnlyTheAnswerToTheLastQuestionForACopyCounts(t *testing.T) {
	c := serving(t, nil)
	c.say(&wire.Message{Open: &wire.Open{}})
	c.say(&wire.Message{Task: &wire.Task{ID: "0/a", Kind: "fetch", Args: map[string]any{"path": "/etc/passwd", "to": "fetched"}}})
	m := c.until(func(m *wire.Message) bool { return m.Copy != nil })
	c.say(&wire.Message{Copy: &wire.Copy{N: m.Copy.N - 1, Sum: "of a question before"}})
	c.say(&wire.Message{Copy: &wire.Copy{N: m.Copy.N, Error: "the disk is gone"}})
	m = c.until(func(m *wire.Message) bool { return m.Planned != nil })
	if m.Planned.Status != wire.Failed || m.Planned.Error != "the disk is gone" {
		t.Errorf("it says %+v", m.Planned)
	}
}
