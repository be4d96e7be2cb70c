package main

import (
	"cmp"
	"context"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/charmbracelet/x/ansi"

	"muster/tests/browser"
)

// terminal keeps what is on a screen that the view writes to: of what terminals know it
// knows what the view uses.
type terminal struct {
	mu   sync.Mutex
	rows []string // with their colours
	at   int
}

func (x *terminal) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for s := string(p); s != ""; {
		if len(x.rows) <= x.at {
			x.rows = append(x.rows, "")
		}
		switch {
		case strings.HasPrefix(s, ansi.CUU1):
			s = s[len(ansi.CUU1):]
			x.at--
		case strings.HasPrefix(s, ansi.EraseEntireLine):
			s = s[len(ansi.EraseEntireLine):]
			x.rows[x.at] = ""
		case s[0] == '\r':
			s = s[1:]
		case s[0] == '\n':
			s = s[1:]
			x.at++
		default:
			n := 1 // a colour's escape is part of its line
			for n < len(s) && s[n] != '\r' && s[n] != '\n' && !strings.HasPrefix(s[n:], ansi.CUU1) && !strings.HasPrefix(s[n:], ansi.EraseEntireLine) {
				n++
			}
			x.rows[x.at] += s[:n]
			s = s[n:]
		}
	}
	return len(p), nil
}

// text is what is on it, broken at its last column as terminals do.
func (x *terminal) text(columns int) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.Trim(ansi.Hardwrap(strings.Join(x.rows, "\n"), columns, true), "\n")
}

// theme is how a terminal looks.
type theme struct{ paper, ink, bold, faint, red, green, yellow string }

var (
	dark  = theme{"#16181d", "#d5d8de", "#ffffff", "#858b96", "#f47067", "#6cc070", "#d9b04c"}
	light = theme{"#ffffff", "#24292f", "#000000", "#6e7781", "#c4232c", "#1a7f37", "#8a6100"}
)

var (
	sgr    = regexp.MustCompile("\x1b\\[([0-9;]*)m")
	number = regexp.MustCompile(`[0-9]+`)
)

// page is a terminal's text as a page.
func (t theme) page(text string, columns int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<!doctype html><meta charset="utf-8"><style>body{margin:0;background:%s;color:%s}
pre{margin:14px;width:%dch;font:15px/1.35 "DejaVu Sans Mono",monospace}</style><pre>`, t.paper, t.ink, columns)
	open := false
	from := 0
	for _, m := range sgr.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(html.EscapeString(text[from:m[0]]))
		from = m[1]
		if open {
			b.WriteString("</span>")
			open = false
		}
		if style := t.style(text[m[2]:m[3]]); style != "" {
			b.WriteString(`<span style="` + style + `">`)
			open = true
		}
	}
	b.WriteString(html.EscapeString(text[from:]))
	if open {
		b.WriteString("</span>")
	}
	return b.String() + "</pre>"
}

func (t theme) style(codes string) string {
	style, color := "", ""
	for _, code := range number.FindAllString(codes, -1) {
		switch code {
		case "1":
			style, color = "font-weight:bold;", cmp.Or(color, t.bold)
		case "2":
			color = t.faint
		case "31":
			color = t.red
		case "32":
			color = t.green
		case "33":
			color = t.yellow
		}
	}
	if color != "" {
		style += "color:" + color
	}
	return style
}

// terminals makes the pictures of the terminal.
func terminals(folder string) error {
	for _, s := range []struct {
		name    string
		columns int
		theme   theme
		text    func(columns int) string
	}{
		{"screen-plan.png", 100, dark, planned},
		{"screen-apply.png", 100, dark, func(n int) string { return made(n, 0) }},
		{"screen-failures.png", 100, dark, func(n int) string { return made(n, 3) }},
		{"screen-waiting.png", 100, dark, waiting},
		{"screen-200.png", 100, dark, large},
		{"screen-80.png", 80, dark, func(n int) string { return made(n, 3) }},
		{"screen-light.png", 100, light, planned},
	} {
		text := s.text(s.columns)
		dir, err := os.MkdirTemp("", "pictures-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		// A column of this font takes nine pixels and a line twenty, and some more.
		w := browser.Window{Width: int64(s.columns)*903/100 + 30, Height: int64(strings.Count(text, "\n")+1)*81/4 + 30}
		p, err := browser.Open(context.Background(), dir, s.theme.page(text, s.columns), w)
		if err != nil {
			return err
		}
		err = save(p, filepath.Join(folder, s.name))
		p.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
