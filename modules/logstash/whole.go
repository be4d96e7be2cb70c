package logstash

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// whole is all that Logstash reads, as it is to be.
type whole struct {
	settings  *settingsFile
	pipelines *pipelinesFile
	texts     map[string]string // of pipelines, by id; those that muster can't tell are missing
	jvm       string
	env       map[string]string
	keys      []string // names in the keystore, nil until they are asked for
}

// readWhole reads what Logstash reads, as earlier tasks leave it.
func readWhole(ctx context.Context, v *host.View) (*whole, error) {
	info, err := v.Stat(program)
	if err != nil {
		return nil, err
	}
	if !info.Exists() {
		return nil, errMissing
	}
	w := &whole{texts: map[string]string{}}
	text := map[string]string{}
	for _, path := range []string{settingsPath, pipelinesPath, jvmPath} {
		data, err := v.ReadFile(ctx, path, fileLimit)
		if err != nil && !gone(err) {
			return nil, err
		}
		text[path] = string(data)
	}
	w.jvm = text[jvmPath]
	if w.settings, err = parseSettings(text[settingsPath]); err != nil {
		return nil, fmt.Errorf("reading %s: %w", settingsPath, err)
	}
	if w.pipelines, err = parsePipelines(text[pipelinesPath]); err != nil {
		return nil, fmt.Errorf("reading %s: %w", pipelinesPath, err)
	}
	if w.env, err = environment(ctx, v); err != nil {
		return nil, err
	}
	for _, e := range w.pipelines.entries {
		if err := w.readText(ctx, v, e); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// readText reads the text of a pipeline, from all its files in their order.
func (w *whole) readText(ctx context.Context, v *host.View, e entry) error {
	if text := bare(e.settings["config.string"]); text != "" {
		w.texts[e.id] = text
		return nil
	}
	pattern, known := filled(bare(e.settings["path.config"]), w.env)
	if !known || pattern == "" || !filepath.IsAbs(pattern) || strings.ContainsAny(filepath.Dir(pattern), "*?[{") || strings.Contains(pattern, "{") {
		return nil
	}
	info, err := v.Stat(pattern)
	if err != nil {
		return err
	}
	files := []string{pattern}
	if info.Type == host.Directory || strings.ContainsAny(filepath.Base(pattern), "*?[") {
		if info.Type == host.Directory {
			pattern = filepath.Join(pattern, "*")
		}
		names, err := v.ReadDir(filepath.Dir(pattern))
		if err != nil && !gone(err) {
			return err
		}
		files = nil
		slices.Sort(names)
		for _, name := range names {
			if ok, _ := filepath.Match(filepath.Base(pattern), name); ok && !strings.HasPrefix(name, ".") {
				files = append(files, filepath.Join(filepath.Dir(pattern), name))
			}
		}
	}
	var texts []string
	for _, path := range files {
		data, err := v.ReadFile(ctx, path, fileLimit)
		if err != nil && !gone(err) {
			return err
		}
		if err == nil {
			texts = append(texts, string(data))
		}
	}
	w.texts[e.id] = strings.Join(texts, "\n")
	return nil
}

// textPath is where a pipeline's text stands that muster has written.
func textPath(id string) string { return filepath.Join(textsFolder, id+".conf") }

// ready are the pipelines that have something to run: the packages' own reads a folder that
// is empty at first.
func (w *whole) ready() (list []string) {
	for _, e := range w.pipelines.entries {
		if text, known := w.texts[e.id]; !known || len(tokens(text)) > 0 {
			list = append(list, e.id)
		}
	}
	return list
}

// names are the files that Logstash reads: those of its own, and those of its pipelines. What
// of the second has changed takes a reload, of the first a restart.
func (w *whole) names() (own, pipelines []string) {
	own = append([]string{settingsPath, jvmPath, keystorePath}, envPaths()...)
	pipelines = []string{pipelinesPath}
	for _, e := range w.pipelines.entries {
		path, known := filled(bare(e.settings["path.config"]), w.env)
		if known && filepath.IsAbs(path) && !strings.ContainsAny(filepath.Dir(path), "*?[{") && !strings.Contains(path, "{") {
			pipelines = append(pipelines, path)
		}
	}
	return own, pipelines
}

// defined returns an error where a variable has no value, which Logstash would end with.
func (w *whole) defined(ctx context.Context, v *host.View, list []need, where string) error {
	for _, n := range list {
		if _, ok := w.env[n.name]; ok {
			continue
		}
		if w.keys == nil {
			keys, err := keyNames(ctx, v, w.env)
			if err != nil {
				return err
			}
			w.keys = append([]string{}, keys...)
		}
		if !slices.Contains(w.keys, strings.ToLower(n.name)) {
			return modules.ArgError{Summary: "Undefined variable", Detail: fmt.Sprintf("%s, line %d: ${%s} is neither in the keystore nor in Logstash's environment. Give its value in the argument keystore of the task \"logstash\", or in %s, or write a default: ${%s:value}.", where, n.line, n.name, envPaths()[0], n.name)}
		}
	}
	return nil
}

// apart returns an error where two inputs listen on one port.
func (w *whole) apart() error {
	var list []listener
	for _, e := range w.pipelines.entries {
		list = append(list, listeners(e.id, w.texts[e.id], w.env)...)
	}
	a, b := clash(list)
	if a == nil {
		return nil
	}
	return modules.ArgError{Summary: "Two inputs on one port", Detail: fmt.Sprintf("The pipeline %q listens on %s in its line %d, and so does %q in its line %d: give one of them another port, or an address of its own with \"host\".", a.pipeline, a, a.line, b.pipeline, b.line)}
}

// staged puts all that Logstash reads into a private folder, so that it can be tested without
// touching anything: its data and logs go there, too.
func (w *whole) staged(ctx context.Context, v *host.View, s *host.Scratch) error {
	values := map[string]string{"allow_superuser": "true"} // root tests
	for name, n := range w.settings.values {
		if value := valueOf(n); value != "" && !strings.HasPrefix(name, "path.") && name != "allow_superuser" {
			values[name] = value
		}
	}
	if plugins := valueOf(w.settings.values["path.plugins"]); plugins != "" {
		values["path.plugins"] = plugins
	}
	files := map[string]string{"settings/logstash.yml": block(values, ""), "settings/jvm.options": withHeap(w.jvm, "1g")}
	list := ""
	for _, id := range w.ready() {
		e := w.pipelines.find(id)
		own := map[string]string{}
		for name, value := range e.settings {
			if name != "path.queue" && name != "path.dead_letter_queue" && name != "pipeline.id" {
				own[name] = value
			}
		}
		if text, known := w.texts[id]; known {
			name := fmt.Sprintf("pipelines/%d.conf", len(files))
			files[name] = text
			delete(own, "config.string")
			own["path.config"] = spelled(filepath.Join(s.Path(), name))
		}
		list += written(id, own)
	}
	if list == "" { // so that the settings are tested by themselves
		list = written("main", map[string]string{"config.string": spelled("input { generator { count => 1 } } output { null { } }")})
	}
	files["settings/pipelines.yml"] = list
	for name, text := range files {
		if _, err := s.Write(name, []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{"data", "logs"} {
		if err := s.MakeDir(name); err != nil {
			return err
		}
	}
	return stageKeystore(ctx, v, s)
}

// block is a mapping as lines.
func block(values map[string]string, indent string) string {
	var lines []string
	for name, value := range values {
		lines = append(lines, indent+name+": "+value+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// test has Logstash's own program test the whole. What it refuses is a modules.ArgError
// without a place.
func (w *whole) test(ctx context.Context, v *host.View, sensitive bool) error {
	s, err := v.Scratch()
	if err != nil {
		return err
	}
	defer s.Remove()
	if err := w.staged(ctx, v, s); err != nil {
		return err
	}
	env := pairs(w.env)
	pending, err := pendingKeys(v)
	if err != nil {
		return err
	}
	for name := range pending { // its values aren't there yet
		env = append(env, name+"=1", strings.ToUpper(name)+"=1")
	}
	slices.Sort(env)
	ctx, stop := context.WithTimeout(ctx, testTime)
	defer stop()
	out, err := v.Query(ctx, host.Command{Env: env, Argv: []string{program, "--path.settings", filepath.Join(s.Path(), "settings"), "--path.data", filepath.Join(s.Path(), "data"), "--path.logs", filepath.Join(s.Path(), "logs"), "--config.test_and_exit"}}, asked[0], host.File(program))
	if err != nil || out.ExitCode == 0 {
		return err
	}
	return modules.ArgError{Summary: "Logstash doesn't take this", Detail: "Its own test, of all pipelines and settings as they would be, ends with: " + strings.ReplaceAll(complaint(string(out.Stdout)+"\n"+string(out.Stderr), sensitive), s.Path()+"/", "")}
}

// complaint is what a test says is wrong. It quotes the text before the mistake, which isn't
// shown of what is sensitive.
func complaint(said string, sensitive bool) string {
	last := "it doesn't say why"
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if _, reason, ok := strings.Cut(line, "Reason: "); ok {
			last = reason
			break
		}
		if strings.Contains(line, "ERROR") || strings.Contains(line, "FATAL") || last == "it doesn't say why" && line != "" {
			last = line
		}
	}
	if sensitive {
		last, _, _ = strings.Cut(last, " after ")
	}
	return last
}

// pendingKeys are the names that the keystore is to get by an earlier task; nil where it gets none.
func pendingKeys(v *host.View) (map[string]string, error) {
	value, laid, _, err := v.Look(keysKey)
	if err != nil || !laid || value == nil {
		return nil, err
	}
	var has keyring
	if err := json.Unmarshal(value, &has); err != nil {
		return nil, err
	}
	return has.Keys, nil
}
