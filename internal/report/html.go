package report

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"

	"muster/host"
	"muster/internal/view"
)

//go:embed page.css
var css string

const (
	// diffLines is how many lines of a diff a page shows.
	diffLines = 200
	// pageBudget is how many bytes of diffs it holds, so that the page of a large fleet
	// stays one that a browser opens at once. What is left out is said.
	pageBudget = 3 << 20
	// lineBytes is how long a line of a page may be: a browser takes a time for a long one that
	// grows with its square, and half a minute for some of 20,000 characters.
	lineBytes = 1000
)

// writeHTML writes a page that needs nothing else, and that a browser lets do nothing:
// its policy allows its own style sheet, by its sum, and neither scripts nor loading.
func writeHTML(w io.Writer, c *Report) error {
	style := "\n" + css
	sum := sha256.Sum256([]byte(style))
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>%s</style>
`, base64.StdEncoding.EncodeToString(sum[:]), style)
	writePage(&markup{out}, c)
	return out.Flush()
}

type fleetCount struct {
	state string
	n     int
}

// fleetOf counts the hosts by their states, the worst first.
func fleetOf(c *Report) []fleetCount {
	var fleet []fleetCount
	for i := range c.Hosts {
		state := c.Hosts[i].State()
		at := slices.IndexFunc(fleet, func(f fleetCount) bool { return f.state == state })
		if at < 0 {
			at, fleet = len(fleet), append(fleet, fleetCount{state: state})
		}
		fleet[at].n++
	}
	worst := []string{"unreachable", "failed", "unknown", "pending", "changed", "unchanged"}
	slices.SortStableFunc(fleet, func(a, b fleetCount) int { return slices.Index(worst, a.state) - slices.Index(worst, b.state) })
	return fleet
}

// short is a line that a browser shows at once. What is left out is said.
func short(line string) string {
	if len(line) <= lineBytes {
		return line
	}
	return fmt.Sprintf("%s… (%s)", strings.ToValidUTF8(line[:lineBytes], ""), host.Counted(len(line)-lineBytes, "more byte", "more bytes"))
}

// shortLines is text whose lines are short.
func shortLines(text string) string {
	if len(text) <= lineBytes {
		return text
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = short(lines[i])
	}
	return strings.Join(lines, "\n")
}

// shownDiff is as much of a diff as there is room for, and how many lines of it are left out.
func shownDiff(diff string, room int) (shown []string, left int) {
	if diff == "" {
		return nil, 0
	}
	lines := strings.Split(strings.TrimRight(view.Clean(diff), "\n"), "\n")
	for i, text := range lines {
		text = short(text)
		if room -= len(text); i == diffLines || room < 0 {
			return shown, len(lines) - i
		}
		shown = append(shown, text)
	}
	return shown, 0
}
