package logstash

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// logstash.yml has its settings as flat keys ("pipeline.workers: 2") or in each other
// ("pipeline:", "  workers: 2"), which Logstash takes alike.

// settingsFile is a logstash.yml.
type settingsFile struct {
	text   string
	values map[string]*yaml.Node // by flat key
}

// parseSettings reads a logstash.yml.
func parseSettings(text string) (*settingsFile, error) {
	f := &settingsFile{text: text, values: map[string]*yaml.Node{}}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return f, nil
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it holds something else than keys with values")
	}
	return f, flatten(f.values, "", doc.Content[0])
}

// flatten adds the values of a mapping under their flat keys.
func flatten(into map[string]*yaml.Node, prefix string, n *yaml.Node) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := prefix+n.Content[i].Value, n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if value.Kind == yaml.MappingNode {
			if err := flatten(into, key+".", value); err != nil {
				return err
			}
			continue
		}
		if into[key] != nil {
			return fmt.Errorf("line %d: %s stands there twice", n.Content[i].Line, key)
		}
		into[key] = value
	}
	return nil
}

// valueOf is a value of YAML as JSON has it; "" where it isn't given.
func valueOf(n *yaml.Node) string {
	if n == nil || n.Tag == "!!null" {
		return ""
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return n.Value
	}
	return spelled(v)
}

// spelled is a value as it is written: JSON is YAML, too.
func spelled(v any) string {
	switch v := v.(type) {
	case *big.Float:
		return v.Text('f', -1)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return string(data)
}

// flatSettings are an argument's settings by flat keys, without those that are null.
func flatSettings(settings map[string]any) map[string]string {
	flat := map[string]string{}
	var add func(prefix string, m map[string]any)
	add = func(prefix string, m map[string]any) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			switch v := m[key].(type) {
			case nil:
			case map[string]any:
				add(prefix+key+".", v)
			default:
				flat[prefix+key] = spelled(v)
			}
		}
	}
	add("", settings)
	return flat
}

// bare is a value without its quotes: Logstash takes "2" and 2 alike.
func bare(value string) string {
	var text string
	if json.Unmarshal([]byte(value), &text) == nil {
		return text
	}
	return value
}

var (
	sizeText = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([kmgtp]?)b?$`)
	timeText = regexp.MustCompile(`^([0-9]+)(nanos|micros|ms|s|m|h|d)$`)
)

// same reports whether two values of a setting mean the same.
func same(name, a, b string) bool {
	a, b = bare(a), bare(b)
	if a == b {
		return true
	}
	if strings.HasSuffix(name, "_bytes") || strings.HasSuffix(name, "_capacity") {
		x, xok := bytesOf(a)
		y, yok := bytesOf(b)
		return xok && yok && x == y
	}
	if strings.HasSuffix(name, ".interval") || strings.HasPrefix(name, "slowlog.threshold.") {
		x, xok := timeOf(a)
		y, yok := timeOf(b)
		return xok && yok && x == y
	}
	return false
}

// bytesOf reads a size: "1024mb" is "1gb" (org.logstash.util.ByteValue).
func bytesOf(text string) (float64, bool) {
	m := sizeText.FindStringSubmatch(strings.ToLower(strings.TrimSpace(text)))
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(m[1], 64)
	for range strings.Index(" kmgtp", m[2]) {
		if m[2] != "" {
			n *= 1024
		}
	}
	return n, err == nil
}

// timeOf reads a time: "3000ms" is "3s" (org.logstash.util.TimeValue).
func timeOf(text string) (time.Duration, bool) {
	m := timeText.FindStringSubmatch(strings.ToLower(strings.TrimSpace(text)))
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 32)
	unit := map[string]time.Duration{"nanos": 1, "micros": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
	return time.Duration(n) * unit, err == nil
}

// with is the text with these settings. Lines that mean the same stay, and so do those of
// other settings.
func (f *settingsFile) with(want map[string]string) (string, error) {
	lines := strings.SplitAfter(f.text, "\n")
	var add []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		n := f.values[name]
		switch {
		case n == nil:
			add = append(add, name+": "+want[name]+"\n")
		case same(name, valueOf(n), want[name]):
		case n.Tag == "!!null" && n.Line == 0, n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0, lastLine(n) != n.Line, n.Anchor != "":
			return "", fmt.Errorf("line %d: the value of %s isn't written on one line: write it so, and muster changes it from then on", n.Line, name)
		default:
			line := lines[n.Line-1]
			end := "\n"
			if n.LineComment != "" {
				end = " " + n.LineComment + "\n"
			}
			lines[n.Line-1] = strings.TrimRight(string([]rune(line)[:n.Column-1]), " ") + " " + want[name] + end
		}
	}
	text := strings.Join(lines, "")
	if text != "" && !strings.HasSuffix(text, "\n") && len(add) > 0 {
		text += "\n"
	}
	text += strings.Join(add, "")
	is, err := parseSettings(text)
	if err != nil {
		return "", fmt.Errorf("its lines can't be changed one by one: %w", err)
	}
	for name, value := range want {
		if !same(name, valueOf(is.values[name]), value) {
			return "", fmt.Errorf("the line of %s can't be changed by itself: write it as %q", name, name+": "+value)
		}
	}
	return text, nil
}

// lastLine is the last line on which something of a value begins.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// get is a setting without quotes; "" where it isn't given.
func (f *settingsFile) get(name string) string { return bare(valueOf(f.values[name])) }
