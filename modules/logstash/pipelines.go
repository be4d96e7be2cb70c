package logstash

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// entry is a pipeline as pipelines.yml has it.
type entry struct {
	id         string
	settings   map[string]string // by flat key, as spelled writes them
	begin, end int               // its lines, end exclusive; counted from 0
}

// pipelinesFile is a pipelines.yml: a list of pipelines with their settings.
type pipelinesFile struct {
	lines   []string
	entries []entry
}

// parsePipelines reads a pipelines.yml.
func parsePipelines(text string) (*pipelinesFile, error) {
	f := &pipelinesFile{lines: strings.SplitAfter(text, "\n")}
	if last := len(f.lines) - 1; f.lines[last] == "" {
		f.lines = f.lines[:last]
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return f, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.SequenceNode || root.Style&yaml.FlowStyle != 0 && len(root.Content) > 0 {
		return nil, errors.New(`it has to be a list whose pipelines begin with lines such as "- pipeline.id: main"`)
	}
	if len(root.Content) == 0 { // "[]"
		f.lines = slices.DeleteFunc(f.lines, func(l string) bool { return strings.TrimSpace(l) == "[]" })
	}
	if len(root.Content) == 0 {
		return f, nil
	}
	seen := map[string]int{}
	for _, n := range root.Content {
		e := entry{settings: map[string]string{}, begin: n.Line - 1, end: len(f.lines)}
		if n.Kind != yaml.MappingNode || n.Column < 3 || !strings.HasPrefix(strings.TrimSpace(f.lines[e.begin]), "-") {
			return nil, fmt.Errorf(`line %d: a pipeline begins with a line such as "- pipeline.id: main"`, n.Line)
		}
		nodes := map[string]*yaml.Node{}
		if err := flatten(nodes, "", n); err != nil {
			return nil, err
		}
		for key, value := range nodes {
			e.settings[key] = valueOf(value)
		}
		if e.id = bare(e.settings["pipeline.id"]); e.id == "" {
			e.id = "main" // its default
		}
		if at := seen[e.id]; at > 0 {
			return nil, fmt.Errorf("line %d: the pipeline %q stands there twice, in line %d, too", n.Line, e.id, at)
		}
		seen[e.id] = n.Line
		if last := len(f.entries) - 1; last >= 0 { // comments before an entry are its own
			end := e.begin
			for end > f.entries[last].begin+1 && blank(f.lines[end-1]) {
				end--
			}
			f.entries[last].end, e.begin = end, end
		}
		f.entries = append(f.entries, e)
	}
	last := &f.entries[len(f.entries)-1]
	for last.end > last.begin+1 && blank(f.lines[last.end-1]) {
		last.end--
	}
	return f, nil
}

func blank(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || strings.HasPrefix(line, "#")
}

// find returns the entry of a pipeline; nil if there is none.
func (f *pipelinesFile) find(id string) *entry {
	for i := range f.entries {
		if f.entries[i].id == id {
			return &f.entries[i]
		}
	}
	return nil
}

// ids are the pipelines, in their order.
func (f *pipelinesFile) ids() (list []string) {
	for _, e := range f.entries {
		list = append(list, e.id)
	}
	return list
}

// without is the text without some pipelines.
func (f *pipelinesFile) without(ids []string) string {
	var text strings.Builder
	at := 0
	for _, e := range f.entries {
		if slices.Contains(ids, e.id) {
			text.WriteString(strings.Join(f.lines[at:e.begin], ""))
			at = e.end
		}
	}
	text.WriteString(strings.Join(f.lines[at:], ""))
	return text.String()
}

// with is the text with a pipeline that has these settings; "" takes one out, and those that
// aren't named stay. Other pipelines keep their lines.
func (f *pipelinesFile) with(id string, want map[string]string) string {
	e := f.find(id)
	if e == nil {
		text := strings.Join(f.lines, "")
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		return text + written(id, want)
	}
	has := maps.Clone(e.settings)
	differs := false
	for name, value := range want {
		switch {
		case value == "" && has[name] != "":
			delete(has, name)
			differs = true
		case value != "" && !same(name, has[name], value):
			has[name], differs = value, true
		}
	}
	if !differs {
		return strings.Join(f.lines, "")
	}
	begin := e.begin
	for begin < e.end && blank(f.lines[begin]) {
		begin++
	}
	return strings.Join(f.lines[:begin], "") + written(id, has) + strings.Join(f.lines[e.end:], "")
}

// written are the lines of a pipeline.
func written(id string, settings map[string]string) string {
	text := "- pipeline.id: " + spelled(id) + "\n"
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if name != "pipeline.id" && settings[name] != "" {
			text += "  " + name + ": " + settings[name] + "\n"
		}
	}
	return text
}
