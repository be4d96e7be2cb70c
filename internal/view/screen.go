package view

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// Screen is the two streams that a command writes to. Where the second is a terminal, a
// footer may stand below what was written: it is taken away before anything else is
// written by either, and put back behind it. Its methods may be called at the same time.
type Screen struct {
	mu       sync.Mutex
	out, err io.Writer
	// size tells the columns and rows of the terminal that the footer stands on; nil: there
	// is none.
	size   func() (columns, rows int)
	shared bool // out goes there, too

	footer  []string // as it is to be
	drawn   []string // as it is on the terminal; nil: it isn't
	columns int      // when it was drawn
	within  bool     // a line was begun and not ended: a question, say
	last    time.Time
}

// NewScreen returns a screen of two streams. Size is nil where err isn't a terminal that
// a footer can stand on; shared says that out is that terminal, too.
func NewScreen(out, err io.Writer, size func() (columns, rows int), shared bool) *Screen {
	return &Screen{out: out, err: err, size: size, shared: shared}
}

// Terminal reports whether the screen can have a footer.
func (s *Screen) Terminal() bool { return s.size != nil }

// Size is how large the terminal is, in cells; 80 by 24 where it doesn't say.
func (s *Screen) Size() (columns, rows int) {
	if s.size != nil {
		columns, rows = s.size()
	}
	if columns <= 0 || rows <= 0 {
		return 80, 24
	}
	return columns, rows
}

// Out returns the stream of results, and Err the one of all else.
func (s *Screen) Out() io.Writer { return &pane{s, s.out, s.shared} }

// Err is what Out says.
func (s *Screen) Err() io.Writer { return &pane{s, s.err, true} }

// pane is one of a screen's streams.
type pane struct {
	screen *Screen
	to     io.Writer
	shown  bool // on the terminal that has the footer
}

// Write writes above the footer.
func (p *pane) Write(text []byte) (int, error) {
	s := p.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.shown || s.size == nil || len(text) == 0 {
		return p.to.Write(text)
	}
	s.erase()
	n, err := p.to.Write(text)
	s.within = text[len(text)-1] != '\n'
	// Of many lines that come one by one, not each takes the footer along.
	if time.Since(s.last) >= redrawn {
		s.draw()
	}
	return n, err
}

// redrawn is how long the footer isn't drawn anew for what is written meanwhile.
const redrawn = 50 * time.Millisecond

// Footer shows lines below what is written, in the place of those before; none: it ends.
func (s *Screen) Footer(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size == nil {
		return
	}
	columns, _ := s.Size()
	if s.drawn != nil && slices.Equal(lines, s.footer) && columns == s.columns {
		return
	}
	s.footer = lines
	s.erase()
	s.draw()
}

// draw puts the footer where the cursor is, which is at the begin of a line then.
func (s *Screen) draw() {
	if len(s.footer) == 0 || s.within {
		return
	}
	columns, rows := s.Size()
	var text bytes.Buffer
	s.drawn, s.columns, s.last = nil, columns, time.Now()
	for _, line := range s.footer[:min(len(s.footer), max(1, rows-2))] {
		line = ansi.Truncate(line, max(1, columns-1), "…")
		s.drawn = append(s.drawn, line)
		text.WriteString(line + "\n")
	}
	_, _ = s.err.Write(text.Bytes())
}

// erase takes the footer away. A terminal that has become narrower meanwhile has broken
// its lines.
func (s *Screen) erase() {
	if s.drawn == nil {
		return
	}
	columns, _ := s.Size()
	up := 0
	for _, line := range s.drawn {
		up++
		if width := ansi.StringWidth(line); columns < s.columns && width > columns {
			up += (width - 1) / columns
		}
	}
	s.drawn = nil
	// Line by line: a terminal that is cleared as a whole may keep what was on it.
	_, _ = io.WriteString(s.err, "\r"+ansi.EraseEntireLine+strings.Repeat(ansi.CUU1+ansi.EraseEntireLine, up))
}
