package main

//lint:file-ignore ST1005 these texts are Logstash's own

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// plugin is a plugin of a pipeline with its options.
type plugin struct {
	kind, name string
	options    map[string]string
}

// grammar reads a pipeline's text (grammar.treetop).
type grammar struct {
	text string
	at   int
}

var (
	blanks  = regexp.MustCompile(`^(?:[ \t\r\n]+|#[^\n]*(?:\n|$))+`)
	bareTok = regexp.MustCompile(`^[A-Za-z0-9_.-]+`)
)

func (g *grammar) skip() { g.at += len(blanks.FindString(g.text[g.at:])) }

func (g *grammar) expected(what string) error {
	before := g.text[:g.at]
	line := strings.Count(before, "\n") + 1
	column := g.at - strings.LastIndex(before, "\n")
	return fmt.Errorf("Expected one of %s at line %d, column %d (byte %d) after %s", what, line, column, g.at+1, before) //nolint:staticcheck // Logstash's words
}

func (g *grammar) take(mark string) bool {
	g.skip()
	if !strings.HasPrefix(g.text[g.at:], mark) {
		return false
	}
	g.at += len(mark)
	return true
}

func (g *grammar) word() string {
	g.skip()
	w := bareTok.FindString(g.text[g.at:])
	g.at += len(w)
	return w
}

// parse reads all sections.
func (g *grammar) parse() (list []plugin, err error) {
	sections := 0
	for {
		g.skip()
		if g.at == len(g.text) {
			if sections == 0 {
				return nil, g.expected(`[ \t\r\n], "#", "input", "filter", "output"`)
			}
			return list, nil
		}
		kind := g.word()
		if kind != "input" && kind != "filter" && kind != "output" {
			g.at -= len(kind)
			return nil, g.expected(`[ \t\r\n], "#", "input", "filter", "output"`)
		}
		sections++
		if !g.take("{") {
			return nil, g.expected(`[ \t\r\n], "#", "{"`)
		}
		if list, err = g.plugins(kind, list); err != nil {
			return nil, err
		}
	}
}

// plugins reads plugins and branches up to the end of a block.
func (g *grammar) plugins(kind string, list []plugin) ([]plugin, error) {
	for {
		if g.take("}") {
			return list, nil
		}
		name := g.word()
		switch name {
		case "":
			return nil, g.expected(`[ \t\r\n], "#", "if", [A-Za-z0-9_-], '"', "'", "}"`)
		case "if", "else":
			open := strings.Index(g.text[g.at:], "{")
			if open < 0 {
				return nil, g.expected(`"{"`)
			}
			g.at += open + 1
			var err error
			if list, err = g.plugins(kind, list); err != nil {
				return nil, err
			}
			continue
		}
		if !g.take("{") {
			return nil, g.expected(`[ \t\r\n], "#", "{"`)
		}
		options, err := g.options()
		if err != nil {
			return nil, err
		}
		list = append(list, plugin{kind, name, options})
	}
}

// options reads a plugin's options, or a hash's pairs, up to the end of the block.
func (g *grammar) options() (map[string]string, error) {
	all := map[string]string{}
	for {
		if g.take("}") {
			return all, nil
		}
		name, err := g.value()
		if err != nil {
			return nil, err
		}
		if !g.take("=>") {
			return nil, g.expected(`[ \t\r\n], "#", "=>"`)
		}
		if all[name], err = g.value(); err != nil {
			return nil, err
		}
	}
}

// value reads a value: of lists, hashes and codecs only that they are right.
func (g *grammar) value() (string, error) {
	g.skip()
	if g.at == len(g.text) {
		return "", g.expected(`[ \t\r\n], "#", '"', "'", [A-Za-z_-], [0-9], "[", "{"`)
	}
	switch c := g.text[g.at]; c {
	case '"', '\'':
		end := strings.IndexByte(g.text[g.at+1:], c)
		if end < 0 {
			return "", g.expected(`"\\", ` + strconv.Quote(string(c)))
		}
		text := g.text[g.at+1 : g.at+1+end]
		g.at += end + 2
		return text, nil
	case '[':
		g.at++
		for !g.take("]") {
			if _, err := g.value(); err != nil {
				return "", err
			}
			g.take(",")
		}
		return "[]", nil
	case '{':
		g.at++
		_, err := g.options()
		return "{}", err
	}
	w := g.word()
	if w == "" {
		return "", g.expected(`[ \t\r\n], "#", '"', "'", [A-Za-z_-], [0-9], "[", "{"`)
	}
	here := g.at
	if g.take("{") { // a codec
		if _, err := g.options(); err != nil {
			return "", err
		}
		return w, nil
	}
	g.at = here
	return w, nil
}

// plugins are those that it has, and whether they need a port.
func hasPlugin(kind, name string) (has, port bool) {
	all := map[string]string{
		"input": "beats elastic_agent tcp udp http syslog generator heartbeat stdin file gelf", "filter": "mutate grok date json drop dissect",
		"output": "stdout null elasticsearch file http tcp",
	}
	has = strings.Contains(" "+all[kind]+" ", " "+name+" ")
	return has, kind == "input" && strings.Contains(" tcp udp beats elastic_agent ", " "+name+" ")
}

// build makes a pipeline's plugins of its text: JavaPipeline.new.
func build(c config, env *variables) ([]plugin, error) {
	list, err := (&grammar{text: c.text}).parse()
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		has, port := hasPlugin(p.kind, p.name)
		if !has {
			return nil, fmt.Errorf("Unable to configure plugins: (PluginLoadingError) Couldn't find any %s plugin named '%s'. Are you sure this is correct? Trying to load the %s %s plugin resulted in this error: Unable to load the requested plugin named %s of type %s. The plugin is not installed.", p.kind, p.name, p.name, p.kind, p.name, p.kind) //nolint:staticcheck // Logstash's words
		}
		for name, value := range p.options {
			if p.options[name], err = env.replace(value); err != nil {
				return nil, fmt.Errorf("Unable to configure plugins: (ConfigurationError) %w", err) //nolint:staticcheck // Logstash's words
			}
		}
		if given, ok := p.options["port"]; ok {
			if _, err := strconv.Atoi(given); err != nil {
				return nil, fmt.Errorf("Unable to configure plugins: (ConfigurationError) Something is wrong with your configuration. Setting `port` of the %s input: must be a number, got %q (Ruby)", p.name, given) //nolint:staticcheck // as Logstash's begin
			}
		} else if port {
			return nil, fmt.Errorf("Unable to configure plugins: (ConfigurationError) Something is wrong with your configuration. Missing a required setting for the %s input plugin: port", p.name) //nolint:staticcheck // as Logstash's begin
		}
	}
	return list, nil
}
