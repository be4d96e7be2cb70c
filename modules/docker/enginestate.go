package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"muster/host"
)

// What of daemon.json the daemon has loaded is found out in three ways. Some keys it
// tells itself (docker info). What muster had it load is noted, for as long as that
// process runs. And a daemon that was started after the file was last changed has
// loaded that file. What none of them tells counts as not loaded.

// settingsKey is the key of what the daemon has loaded.
var settingsKey = host.Key{Space: "docker_engine", Name: "settings"}

// engine is the daemon, as far as its settings go.
type engine struct {
	Running bool `json:"running"`
	// Loaded are the values that it has, by their keys, as marks of them. It has "" where
	// what it has is something else than what is wanted, nobody can tell what.
	Loaded map[string]string `json:"loaded,omitempty"`

	invocation string
	exact      bool         // nothing of Loaded is guessed
	info       *system.Info // nil where it doesn't run
}

// unitState is what systemd says of the unit.
type unitState struct {
	active     string
	invocation string
	started    time.Time
}

func (s unitState) running() bool { return s.active == "active" || s.active == "reloading" }

// programs runs a program, as a view or a host does.
type programs func(ctx context.Context, c host.Command) (host.Output, error)

// lookUnit asks systemd about the unit. Docker itself isn't asked whether it runs: that
// would start it, where its socket is systemd's.
func lookUnit(ctx context.Context, run programs) (unitState, error) {
	ask := func(flags ...string) (host.Output, error) {
		argv := append([]string{"systemctl", "show", "--property=ActiveState,InvocationID,ExecMainStartTimestamp"}, flags...)
		out, err := run(ctx, host.Command{Argv: append(argv, "--", unit), Env: []string{"TZ=UTC"}})
		if err == nil && out.ExitCode != 0 {
			err = &host.ExitError{Argv: argv, Output: out}
		}
		return out, err
	}
	out, err := ask("--timestamp=us+utc")
	if err != nil && strings.Contains(out.LastWords(), "--timestamp") { // systemd before 248: whole seconds
		out, err = ask()
	}
	var s unitState
	for line := range strings.Lines(string(out.Stdout)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "ActiveState":
			s.active = value
		case "InvocationID":
			s.invocation = value
		case "ExecMainStartTimestamp":
			for _, layout := range []string{"Mon 2006-01-02 15:04:05.999999 MST", "Mon 2006-01-02 15:04:05 MST"} {
				if t, err := time.Parse(layout, value); err == nil {
					s.started = t
				}
			}
		}
	}
	return s, err
}

// engineNow returns the daemon as pending changes will leave it, compared with what is
// wanted.
func (e *Engine) engineNow(ctx context.Context, v *host.View, want map[string]any, s *unitStart) (*engine, error) {
	return host.Read(v, settingsKey, func() (*engine, error) {
		u, err := lookUnit(ctx, func(ctx context.Context, c host.Command) (host.Output, error) { return v.Query(ctx, c, engineKeys...) })
		if err != nil {
			return nil, err
		}
		now := &engine{invocation: u.invocation}
		if !u.running() {
			return now, nil
		}
		now.Running = true
		c, err := asking(ctx, v)
		if err != nil {
			return nil, err
		}
		if now.info, err = host.Once(v, "docker info", func() (*system.Info, error) { return infoOf(ctx, c) }); err != nil {
			return nil, unanswered(err)
		}
		now.Loaded, now.exact = loadedBy(u)
		if !now.exact {
			for key := range want {
				now.Loaded[key] = ""
			}
		}
		for key, agrees := range toldBy(want, now.info, s) {
			value, wanted := want[key]
			switch {
			case !agrees:
				now.Loaded[key] = ""
			case wanted:
				now.Loaded[key] = markOf(key, value)
			default:
				delete(now.Loaded, key)
			}
		}
		return now, nil
	})
}

// infoTime is how long the daemon may take to answer: right after its start it is busy.
const infoTime = 30 * time.Second

func infoOf(ctx context.Context, c *client.Client) (*system.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, infoTime)
	defer cancel()
	r, err := c.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking Docker for its settings: %w", err)
	}
	return &r.Info, nil
}

// clockLag is how far a file's change time may lie before the moment at which it was
// changed: the kernel's coarse clock.
const clockLag = 10 * time.Millisecond

// loadedBy returns what a running daemon has loaded of its file, exact false where
// nobody can tell.
func loadedBy(u unitState) (loaded map[string]string, exact bool) {
	if s := readEngineStamp(); s != nil && s.Invocation == u.invocation {
		return s.Loaded, true
	}
	loaded = map[string]string{}
	st, err := os.Stat(configFile)
	switch {
	case os.IsNotExist(err):
		return loaded, true
	case err != nil:
		return loaded, false
	}
	if !host.StatusChanged(st).Add(clockLag).Before(u.started) {
		return loaded, false
	}
	data, err := os.ReadFile(configFile)
	if err != nil {
		return loaded, false
	}
	var has map[string]any
	if len(strings.TrimSpace(string(data))) > 0 && json.Unmarshal(data, &has) != nil {
		return loaded, false
	}
	return marksOf(has), true
}

// marksOf are settings by which they can be told apart.
func marksOf(settings map[string]any) map[string]string {
	out := map[string]string{}
	for key, value := range settings {
		out[key] = markOf(key, value)
	}
	return out
}

// markOf is the sum of a value: it may hold a password, that of a proxy. Of features it is
// the value, since which of them have changed counts.
func markOf(key string, value any) string {
	if key == "features" {
		return encodeSetting(value)
	}
	sum := sha256.Sum256([]byte(encodeSetting(value)))
	return hex.EncodeToString(sum[:])
}

// engineStamp is what a process of the daemon was made to load.
type engineStamp struct {
	Invocation string            `json:"invocation"`
	Loaded     map[string]string `json:"loaded"`
}

// engineStampPath is in /run: it goes with the boot, as the process does.
const engineStampPath = "/run/muster/stamps/docker-engine"

func readEngineStamp() *engineStamp {
	data, err := os.ReadFile(engineStampPath)
	s := &engineStamp{}
	if err != nil || host.Unmarshal(data, s) != nil || s.Loaded == nil {
		return nil
	}
	return s
}

func writeEngineStamp(s *engineStamp) error {
	d, err := host.MakeDirs(filepath.Dir(engineStampPath), 0o700)
	if err != nil {
		return err
	}
	d.Close()
	data, err := host.Marshal(s)
	if err == nil {
		err = host.Put(engineStampPath, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("noting what Docker has loaded: %w", err)
	}
	return nil
}

// toldBy returns for each key that the daemon tells of whether it has what is wanted, or
// its own default. Keys for which the unit has a flag are left out.
func toldBy(want map[string]any, info *system.Info, s *unitStart) map[string]bool {
	agrees := map[string]bool{}
	yes := func(key string, has bool) {
		wanted, _ := want[key].(bool)
		agrees[key] = wanted == has
	}
	yes("debug", info.Debug)
	yes("live-restore", info.LiveRestoreEnabled)
	yes("experimental", info.ExperimentalBuild)
	agrees["log-driver"] = settingText(want["log-driver"], "json-file") == info.LoggingDriver
	agrees["default-runtime"] = settingText(want["default-runtime"], "runc") == info.DefaultRuntime
	agrees["labels"] = sameSet(settingTexts(want["labels"]), info.Labels)
	if want["storage-driver"] != nil {
		agrees["storage-driver"] = want["storage-driver"] == info.Driver
	}
	if r := info.RegistryConfig; r != nil {
		var mirrors, has []string
		for _, m := range settingTexts(want["registry-mirrors"]) {
			mirrors = append(mirrors, strings.TrimSuffix(m, "/"))
		}
		for _, m := range r.Mirrors {
			has = append(has, strings.TrimSuffix(m, "/"))
		}
		agrees["registry-mirrors"] = sameSet(mirrors, has)
		var insecure []string
		for _, c := range r.InsecureRegistryCIDRs {
			if !c.Addr().IsLoopback() {
				insecure = append(insecure, c.Masked().String())
			}
		}
		for name, index := range r.IndexConfigs {
			if index != nil && !index.Secure {
				insecure = append(insecure, name)
			}
		}
		agrees["insecure-registries"] = sameSet(insecureRegistries(want["insecure-registries"]), insecure)
	}
	if driver := cgroupDriver(want); driver != "" && driver != info.CgroupDriver {
		agrees["exec-opts"] = false
	}
	for key := range agrees {
		if s.of(key) != nil {
			delete(agrees, key)
		}
	}
	return agrees
}

func settingText(v any, otherwise string) string {
	if s, ok := v.(string); ok && s != "" {
		return s
	}
	return otherwise
}

func settingTexts(v any) (list []string) {
	items, _ := v.([]any)
	for _, item := range items {
		if s, ok := item.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

// sameSet reports whether two lists hold the same, in any order.
func sameSet(a, b []string) bool {
	one, two := slices.Clone(a), slices.Clone(b)
	slices.Sort(one)
	slices.Sort(two)
	return slices.Equal(slices.Compact(one), slices.Compact(two))
}

// changed are the keys of which the daemon has something else than is wanted, in order.
func (n *engine) changed(want map[string]any) []string {
	keys := map[string]bool{}
	for key, value := range want {
		if has, loaded := n.Loaded[key]; !loaded || has != markOf(key, value) {
			keys[key] = true
		}
	}
	for key := range n.Loaded {
		if want[key] == nil {
			keys[key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}
