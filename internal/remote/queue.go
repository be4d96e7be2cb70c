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
	expect func(kind string) bool // of which kinds coming is kept
	coming map[string][]wire.Task // what came since expected was called last, by kind
	closed bool
}

func newQueue(expect func(kind string) bool) *queue {
	q := &queue{expect: expect, coming: map[string][]wire.Task{}}
	q.more = sync.NewCond(&q.mu)
	return q
}

func (q *queue) put(m *wire.Message) {
	q.mu.Lock()
	q.items = append(q.items, m)
	if m.Task != nil && !m.Task.Late && q.expect(m.Task.Kind) {
		q.coming[m.Task.Kind] = append(q.coming[m.Task.Kind], *m.Task)
	}
	q.mu.Unlock()
	q.more.Signal()
}

// expected returns the tasks of a kind that came since it was called last, where
// the kind wants to know.
func (q *queue) expected(kind string) []wire.Task {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.coming[kind]
	delete(q.coming, kind)
	return list
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
