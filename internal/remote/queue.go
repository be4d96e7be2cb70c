package remote

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"

	"muster/internal/wire"
)

// queue holds what is to be done, without bound: the controller sends all it
// has, and must never wait for a slow change to be finished.
type queue struct {
	mu     sync.Mutex
	more   *sync.Cond
	items  []*wire.Message
	closed bool
}

func newQueue() *queue {
	q := &queue{}
	q.more = sync.NewCond(&q.mu)
	return q
}

func (q *queue) put(m *wire.Message) {
	q.mu.Lock()
	q.items = append(q.items, m)
	q.mu.Unlock()
	q.more.Signal()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.more.Signal()
}

// take returns the next message; idle where there is none now.
func (q *queue) take() (m *wire.Message, idle bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return nil, true
	}
	m, q.items = q.items[0], q.items[1:]
	return m, false
}

// wait returns the next message, nil at the end.
func (q *queue) wait() *wire.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 && !q.closed {
		q.more.Wait()
	}
	if len(q.items) == 0 {
		return nil
	}
	var m *wire.Message
	m, q.items = q.items[0], q.items[1:]
	return m
}

func sumOf(r io.Reader) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
