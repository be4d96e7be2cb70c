package main

//lint:file-ignore ST1005 these texts are Logstash's own

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// known are its settings and their types, those of environment.rb that matter here.
func known() map[string]string {
	return map[string]string{
		"allow_superuser": "bool", "node.name": "string", "path.data": "string", "path.logs": "string", "path.queue": "string", "path.dead_letter_queue": "string",
		"path.config": "string", "config.string": "string", "config.test_and_exit": "bool", "config.reload.automatic": "bool", "config.reload.interval": "time",
		"config.debug": "bool", "config.support_escapes": "bool", "pipeline.id": "string", "pipeline.workers": "positive", "pipeline.batch.size": "positive",
		"pipeline.batch.delay": "number", "pipeline.unsafe_shutdown": "bool", "pipeline.ordered": "string", "pipeline.ecs_compatibility": "string",
		"pipeline.reloadable": "bool", "queue.type": "memory persisted", "queue.max_bytes": "string", "queue.drain": "bool", "queue.page_capacity": "string",
		"queue.checkpoint.writes": "number", "dead_letter_queue.enable": "bool", "dead_letter_queue.max_bytes": "string", "log.level": "fatal error warn debug info trace",
		"log.format": "json plain", "api.enabled": "bool", "api.http.host": "string", "api.http.port": "string", "api.environment": "string",
		"api.auth.type": "none basic", "api.auth.basic.username": "string", "api.auth.basic.password": "string", "slowlog.threshold.warn": "time",
	}
}

// settings are by flat name.
type settings map[string]string

// variables are what ${NAME} stands for: the keystore comes before the environment, and is
// read once (LazySingleton).
type variables struct {
	keystore string
	read     bool
	values   map[string]string
}

var placeholder = regexp.MustCompile(`\$\{([a-zA-Z_.][a-zA-Z0-9_.]*)(:([^}]*))?\}`)

func (v *variables) replace(text string) (string, error) {
	var err error
	out := placeholder.ReplaceAllStringFunc(text, func(p string) string {
		m := placeholder.FindStringSubmatch(p)
		if !v.read {
			var kerr error
			if v.values, kerr = readKeystore(v.keystore); kerr != nil && !errors.Is(kerr, os.ErrNotExist) {
				err = kerr
			}
			v.read = true
		}
		if value, ok := v.values[strings.ToLower(m[1])]; ok {
			return value
		}
		if value, ok := os.LookupEnv(m[1]); ok {
			return value
		}
		if m[2] == "" && err == nil {
			err = fmt.Errorf("Cannot evaluate `%s`. Replacement variable `%s` is not defined in a Logstash secret store or as an Environment entry and there is no default value given.", p, m[1]) //nolint:staticcheck // Logstash's words
		}
		return m[3]
	})
	return out, err
}

// readSettings reads logstash.yml.
func readSettings(path string, env *variables) (settings, error) {
	s := settings{"path.data": "/usr/share/logstash/data", "api.http.host": "127.0.0.1", "api.http.port": "9600-9700", "queue.type": "memory", "pipeline.workers": "2", "pipeline.batch.size": "125", "config.reload.interval": "3s"}
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var doc map[string]any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	return s, s.merge(doc, env)
}

// merge adds settings, checked.
func (s settings) merge(doc map[string]any, env *variables) error {
	flat := map[string]any{}
	flatten(flat, "", doc)
	names := make([]string, 0, len(flat))
	for name := range flat {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		typ, ok := known()[name]
		if !ok {
			return fmt.Errorf("Setting \"%s\" doesn't exist. Please check if you haven't made a typo.", name) //nolint:staticcheck // Logstash's words
		}
		if flat[name] == nil {
			continue
		}
		value, err := env.replace(fmt.Sprint(flat[name]))
		if err != nil {
			return err
		}
		if !fits(typ, value) {
			return fmt.Errorf("Setting \"%s\" is invalid: %q isn't %s", name, value, typ) //nolint:staticcheck // as Logstash's begin
		}
		s[name] = value
	}
	return nil
}

func fits(typ, value string) bool {
	n, err := strconv.Atoi(value)
	switch typ {
	case "string":
		return true
	case "bool":
		return value == "true" || value == "false"
	case "positive":
		return err == nil && n > 0
	case "number":
		return err == nil
	case "time":
		return regexp.MustCompile(`^-?[0-9]+(nanos|micros|ms|s|m|h|d)?$`).MatchString(value)
	}
	return slices.Contains(strings.Fields(typ), value)
}

func flatten(into map[string]any, prefix string, m map[string]any) {
	for key, value := range m {
		if inner, ok := value.(map[string]any); ok {
			flatten(into, prefix+key+".", inner)
		} else {
			into[prefix+key] = value
		}
	}
}

// config is a pipeline's settings and text (PipelineConfig).
type config struct {
	id       string
	settings settings
	text     string
}

// fetch reads pipelines.yml and the texts (multi_local.rb, local.rb).
func fetch(s settings, env *variables) ([]config, error) {
	path := filepath.Join(s["path.settings"], "pipelines.yml")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("Failed to read pipelines yaml file. Location: %s", path) //nolint:staticcheck // Logstash's words
	}
	var doc any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("Failed to parse contents of pipelines yaml file. Location: %s, Exception: %w", path, err) //nolint:staticcheck // Logstash's words
	}
	list, ok := doc.([]any)
	if doc == nil {
		return nil, fmt.Errorf("Pipelines YAML file is empty. Location: %s", path) //nolint:staticcheck // Logstash's words
	}
	if !ok {
		return nil, fmt.Errorf("Pipelines YAML file must contain an array of pipeline configs. Found \"%T\" in %s", doc, path) //nolint:staticcheck // Logstash's words
	}
	var out []config
	seen := map[string]bool{}
	for _, item := range list {
		own := settings{}
		for name, value := range s {
			own[name] = value
		}
		m, _ := item.(map[string]any)
		if err := own.merge(m, env); err != nil {
			return nil, err
		}
		c := config{id: own["pipeline.id"], settings: own, text: own["config.string"]}
		if c.id == "" {
			c.id = "main"
		}
		if seen[c.id] {
			return nil, fmt.Errorf("Pipelines YAML file contains duplicate pipeline ids: [%q]. Location: %s", c.id, path) //nolint:staticcheck // Logstash's words
		}
		seen[c.id] = true
		if c.text == "" {
			files, _ := filepath.Glob(own["path.config"])
			var texts []string
			for _, f := range files {
				data, err := os.ReadFile(f)
				if err != nil {
					return nil, err
				}
				texts = append(texts, string(data))
			}
			if len(files) == 0 {
				logged("INFO", "logstash.config.source.local.configpathloader", "No config files found in path "+own["path.config"])
				continue
			}
			c.text = strings.Join(texts, "\n")
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("No configuration found in the configured sources.") //nolint:staticcheck // Logstash's words
	}
	return out, nil
}
