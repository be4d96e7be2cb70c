package logstash

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Server is the Logstash of the host: its heap, settings and keystore, and that it runs with
// them. It has to be installed by an earlier task; the role "logstash" does all of it. Its
// pipelines are tasks of the kind logstash_pipeline.
//
// Settings are compared by what they mean, and those that aren't given stay. Logstash's own
// program tests them, with all pipelines, before a file is touched. They take a restart.
// Then its node is asked whether every pipeline runs. Where one doesn't, or Logstash ends,
// what stood there before is put back and started, and the task fails. Without a pipeline
// Logstash isn't started.
type Server struct {
	// How much memory Java may take for objects: "1g", "512m". Both -Xms and -Xmx, so that
	// it doesn't grow while it runs.
	Heap string `arg:"heap" means:"as it is; the packages have 1g"`
	// Settings as logstash.yml has them: { "pipeline.workers" = 4, "queue.type" = "persisted" }.
	// One that is null isn't set.
	Settings map[string]any `arg:"settings"`
	// Values of the keystore, which settings and pipelines name as ${NAME}. Others that it
	// holds stay. Their names have no capital letters there: NAME and name are one.
	Keystore map[string]string `arg:"keystore,sensitive"`
	// The pipelines that there may be: all others are taken out, the packages' own "main",
	// too.
	Pipelines *[]string `arg:"pipelines" means:"those that are there stay"`
}

// Output is what Logstash tells of itself.
type Output struct {
	// Its version: "8.17.0"; "" where it doesn't run.
	Version string `json:"version"`
	// The pipelines that run.
	Pipelines []string `json:"pipelines"`
}

var (
	keyName = regexp.MustCompile(`^[a-zA-Z_.][a-zA-Z0-9_.]*$`)
	idText  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_-]*$`)
)

// notSettings says why a name isn't taken as a setting; "" where it may be one.
func notSettings(name string) string {
	switch name {
	case "path.config", "config.string":
		return "With it Logstash would read none of its pipelines.yml: give the pipelines as tasks of the kind logstash_pipeline."
	case "api.enabled", "http.enabled":
		return "The API is how muster finds out whether the pipelines run."
	case "keystore.file", "keystore.classname":
		return "Its keystore is " + keystorePath + "; the argument keystore fills it."
	case "config.test_and_exit", "interactive", "version", "help", "allow_superuser":
		return name + " is for calls by hand, and isn't a service's."
	}
	return ""
}

// Check refuses what can't be Logstash's.
func (s *Server) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, path, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	if n, ok := heapBytes(s.Heap); s.Heap != "" && (!ok || n < 64<<20) {
		fail("heap", "", "Wrong value", "%q is no size of a heap: it is one such as \"1g\" or \"512m\", of 64m or more.", s.Heap)
	}
	flat := flatSettings(s.Settings)
	for _, name := range slices.Sorted(maps.Keys(flat)) {
		if why := notSettings(name); why != "" {
			fail("settings", fmt.Sprintf("[%q]", name), "Not a setting", "%s", why)
		} else if !regexp.MustCompile(`^[a-z][a-z0-9_.-]*$`).MatchString(name) {
			fail("settings", fmt.Sprintf("[%q]", name), "Wrong value", "%q is no name of a setting: it is one such as \"pipeline.workers\".", name)
		}
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Keystore)) {
		value, path := s.Keystore[name], fmt.Sprintf("[%q]", name)
		switch before := seen[strings.ToLower(name)]; {
		case before != "":
			fail("keystore", path, "Conflicting arguments", "The keystore takes %q and %q for one name.", before, name)
		case !keyName.MatchString(name):
			fail("keystore", path, "Wrong value", "%q is no name: it begins with a letter, \"_\" or \".\", and has letters, digits, \"_\" and \".\" besides.", name)
		case value == "" || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			fail("keystore", path, "Wrong value", "A value is one line of ASCII, and not empty: the keystore takes no other.")
		}
		seen[strings.ToLower(name)] = name
	}
	if s.Pipelines != nil {
		for i, id := range *s.Pipelines {
			if !idText.MatchString(id) {
				fail("pipelines", fmt.Sprintf("[%d]", i), "Wrong value", "%q is no pipeline's name: it has letters, digits, \"_\" and \"-\".", id)
			}
		}
	}
	return errs
}

// Withhold shows diffs where only the keystore is sensitive: its values are in none.
func (s *Server) Withhold(diff string, sensitive []string) (string, bool) {
	return diff, !slices.ContainsFunc(sensitive, func(a string) bool { return a != "keystore" })
}

// May is Logstash's files, and Logstash.
func (s *Server) May() []host.Effect {
	list := append(keeps(loadedPath), keeps(filledPath)...)
	for _, path := range []string{settingsPath, jvmPath, keystorePath, pipelinesPath} {
		list = append(list, host.Open(host.Files, path))
	}
	list = append(list, host.Begins(host.Files, textsFolder+"/"))
	return append(list, host.Open(nodeKey.Space, nodeKey.Name), host.Open(keysKey.Space, keysKey.Name), host.Open(host.Units, unit))
}
