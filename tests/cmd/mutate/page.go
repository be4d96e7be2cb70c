package main

import (
	"fmt"
	"os"
	"strings"
)

const intro = `# What breaks when the code is broken

Made by ` + "`make mutate`" + ` from the list in tests/mutations. Each row is one way to break the
code, in the words of whoever relied on it, and the tests that noticed when it was
tried last. ` + "`make mutate ONLY=REGEXP`" + ` tries those whose names match, and keeps what is
known of the others.

A new one is a file: the promise, an empty line, ` + "`file:` and `test:`" + ` (a package and
` + "`-run NAMES`" + `), then the sections ` + "`old` and `new`" + `. The old text stands in the file exactly
once; where it no longer does, the list has to follow the code.

| Mutation | What is no longer so | File | Last result |
|---|---|---|---|
`

// page is the list as docs/mutations.md shows it.
func page(list []Mutation, results map[string]Result) string {
	var b strings.Builder
	b.WriteString(intro)
	count := map[Outcome]int{}
	for _, m := range list {
		r, ok := results[m.Name]
		if !ok {
			r = Result{Outcome: "not tried"}
		}
		count[r.Outcome]++
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", m.Name, cell(m.Promise), m.File, cell(said(r)))
	}
	fmt.Fprintf(&b, "\n%s\n", totals(len(list), count))
	return b.String()
}

// totals is the last line of a run, and of the page.
func totals(n int, count map[Outcome]int) string {
	line := fmt.Sprintf("mutations: %d, killed: %d, survived: %d", n, count[Killed], count[Survived])
	for _, o := range []Outcome{Invalid, "not tried"} {
		if count[o] > 0 {
			line += fmt.Sprintf(", %s: %d", o, count[o])
		}
	}
	return line
}

func said(r Result) string {
	switch {
	case r.Detail == "":
		return string(r.Outcome)
	case r.Outcome == Killed:
		return "killed by " + r.Detail
	}
	return string(r.Outcome) + ": " + r.Detail
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// known reads the results that a page has; none where there is no page.
func known(file string) (map[string]Result, error) {
	results := map[string]Result{}
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return results, nil
	}
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(strings.ReplaceAll(strings.Trim(strings.TrimSpace(line), "|"), `\|`, "\x00"), " | ")
		if len(cells) != 4 {
			continue
		}
		text := strings.TrimSpace(strings.ReplaceAll(cells[3], "\x00", "|"))
		for _, o := range []Outcome{Killed, Survived, Invalid} {
			if rest, ok := strings.CutPrefix(text, string(o)); ok {
				rest = strings.TrimPrefix(strings.TrimPrefix(rest, " by "), ": ")
				results[strings.TrimSpace(cells[0])] = Result{o, rest}
			}
		}
	}
	return results, err
}
