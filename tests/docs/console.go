package docs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Step is something that a page has its reader do: write a file, or run a command. Pages have both in
// fenced blocks:
//
//	```hcl file=playbooks/site.hcl     (or any other language)
//	```console
//	$ muster plan playbooks/site.hcl
//	  some of what it prints, in order; … stands for what differs
//	$ muster drift # exits with 2
//	```
//
// Those of "console lab" run in this repository's folder, on the hosts that make demo brings up.
type Step struct {
	Line int // in the page
	Lab  bool

	File, Text string // the file to be written, in the folder where the commands are; "": a command

	Command string
	Code    int      // that it ends with
	Prints  []string // lines, of which each is a part of a line that it prints
}

var (
	blockLine = regexp.MustCompile("^```(\\S*) ?(.*)$")
	exitsWith = regexp.MustCompile(`# exits with (\d+)$`)
)

// Steps reads the steps of a page in order. Each command of it is one: what is no step is an
// error, so that no page has commands that nothing runs.
func Steps(page string) ([]Step, error) {
	var list []Step
	language, attributes, in := "", "", false
	for n, line := range strings.Split(page, "\n") {
		if m := blockLine.FindStringSubmatch(line); m != nil {
			in = !in
			language, attributes = m[1], m[2]
			file, named := strings.CutPrefix(attributes, "file=")
			switch {
			case !in:
			case named:
				list = append(list, Step{Line: n + 1, File: file})
			case language == "console" && (attributes == "" || attributes == "lab"):
			case language == "sh" || language == "bash" || language == "":
				return nil, fmt.Errorf("line %d: commands that nothing runs: they are to be in a console block", n+1)
			}
			continue
		}
		switch {
		case !in:
		case strings.HasPrefix(attributes, "file="):
			list[len(list)-1].Text += line + "\n"
		case language != "console":
		case strings.HasPrefix(line, "$ "):
			s := Step{Line: n + 1, Lab: attributes == "lab", Command: line[2:]}
			if m := exitsWith.FindStringSubmatch(line); m != nil {
				s.Code, _ = strconv.Atoi(m[1])
			}
			list = append(list, s)
		case strings.TrimSpace(line) != "":
			s := &list[len(list)-1]
			s.Prints = append(s.Prints, strings.TrimSpace(line))
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("there is nothing to do in it")
	}
	return list, nil
}

// Missing returns the first line that isn't printed as the step says; "" for none.
func (s *Step) Missing(printed string) string {
	for _, want := range s.Prints {
		var parts []string
		for _, part := range strings.Split(want, "…") {
			parts = append(parts, regexp.QuoteMeta(part))
		}
		at := regexp.MustCompile(strings.Join(parts, ".*")).FindStringIndex(printed)
		if at == nil {
			return want
		}
		printed = printed[at[1]:]
	}
	return ""
}

// Guides are the pages whose commands are run by tests: on this machine, or on real hosts.
func Guides() []string {
	return []string{"docs/tutorial.md", "docs/howto-bastion.md", "docs/howto-ansible.md", "docs/howto-rotation.md", "docs/howto-ci.md"}
}
