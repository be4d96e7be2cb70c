package launch

import (
	"io"
	"strings"
	"sync"
	"unicode"
)

// maxTail is how much of stderr is kept.
const maxTail = 16 << 10

// tail keeps the end of a stream and counts a prompt in it.
type tail struct {
	prompt string
	asked  func(times int) // called at each prompt, from follow
	done   chan struct{}   // closed at the stream's end

	mu    sync.Mutex
	kept  []byte
	panic string // what a program said as it panicked; "": none did
	asks  int
}

func newTail(prompt string, asked func(int)) *tail {
	return &tail{prompt: prompt, asked: asked, done: make(chan struct{})}
}

// follow reads r to its end.
func (t *tail) follow(r io.Reader) {
	defer close(t.done)
	buffer := make([]byte, 512)
	for {
		n, err := r.Read(buffer)
		for range t.add(buffer[:n]) {
			t.mu.Lock()
			t.asks++
			times := t.asks
			t.mu.Unlock()
			t.asked(times)
		}
		if err != nil {
			return
		}
	}
}

// add keeps p and takes prompts out; it returns how many there were.
func (t *tail) add(p []byte) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	found := strings.Count(string(t.kept), t.prompt)
	if found > 0 {
		t.kept = []byte(strings.ReplaceAll(string(t.kept), t.prompt, "\n"))
	}
	if over := len(t.kept) - maxTail; over > 0 {
		t.panic = t.panicked()
		t.kept = append([]byte(nil), t.kept[over:]...)
	}
	return found
}

// times is how often the prompt came.
func (t *tail) times() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.asks
}

// forget drops what is kept.
func (t *tail) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept, t.panic = nil, ""
}

// words are the last lines; of a program that panicked, what it said then, and not
// the stacks that it printed after it.
func (t *tail) words() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := t.panicked(); text != "" {
		return clean(text)
	}
	return clean(lastLines(string(t.kept)))
}

// panicked returns what a Go program said as it panicked, up to the first stack.
func (t *tail) panicked() string {
	if t.panic != "" {
		return t.panic
	}
	said := false
	var lines []string
	for line := range strings.Lines(string(t.kept)) {
		said = said || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
		if said && strings.HasPrefix(line, "goroutine ") {
			break
		}
		if line = strings.TrimSpace(line); said && line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[:min(len(lines), 4)], "; ")
}

// lastLines returns the last lines that say something, as one.
func lastLines(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-4):], "; ")
}

// maxWords is how much of a host's words an error repeats.
const maxWords = 600

// clean makes a host's words inert: one line, no control or invisible
// characters, of bounded length.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if s = strings.TrimSpace(s); len(s) > maxWords {
		s = "…" + strings.ToValidUTF8(s[len(s)-maxWords:], "")
	}
	return s
}
