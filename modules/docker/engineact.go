package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"muster/host"
)

// engineVerb is what is done to the daemon.
type engineVerb string

const (
	actStart   engineVerb = "start"
	actReload  engineVerb = "reload"
	actRestart engineVerb = "restart"
	actStop    engineVerb = "stop"
)

// EngineAct has the daemon load its file, and asks it whether it has.
type EngineAct struct {
	Verb engineVerb `json:"verb"`
	// First has it loaded by a reload before the restart, so that the daemon that goes
	// leaves the containers, or stops them, as the file says.
	First bool     `json:"first,omitempty"`
	Keys  []string `json:"keys,omitempty"`  // of which the daemon has something else
	Stops []string `json:"stops,omitempty"` // containers that the restart stops
	Keeps bool     `json:"keeps,omitempty"` // it keeps running ones
	// Wants is the sum of the settings, Sum that of the file that holds them.
	Wants string `json:"wants,omitempty"`
	Sum   string `json:"sum,omitempty"`
	// Back takes it back, once the file that was there before is restored.
	Back engineVerb `json:"back,omitempty"`
	// Restored marks an act that loads the restored file, since the process Invocation
	// was to load another one, at Since (RFC 3339).
	Restored   bool   `json:"restored,omitempty"`
	Invocation string `json:"invocation,omitempty"`
	Since      string `json:"since,omitempty"`

	after engine
}

// act plans what has the daemon load the settings.
func (e *Engine) act(ctx context.Context, v *host.View, now *engine, want, old map[string]any, keys []string) (*EngineAct, error) {
	a := &EngineAct{Verb: actReload, Back: actReload, Keys: keys, Wants: sumOfText(daemonJSON(want)), Sum: sumOfText(daemonJSON(want)), after: engine{Running: true, Loaded: marksOf(want)}}
	if sameSetting(old, want) { // written as somebody else does
		data, err := v.ReadFile(ctx, configFile, configLimit)
		if err != nil {
			return nil, err
		}
		a.Sum = sumOfText(string(data))
	}
	if !now.Running {
		a.Verb, a.Back = actStart, actStop
		return a, nil
	}
	all := daemonSettings()
	for _, key := range keys {
		var was any
		_ = json.Unmarshal([]byte(now.Loaded[key]), &was) // only features are told apart
		if !all[key].reloadable(key, was, want[key]) {
			a.Verb = actRestart
		}
		if !all[key].reloadable(key, want[key], old[key]) {
			a.Back = actRestart
		}
	}
	if a.Verb == actReload {
		return a, nil
	}
	a.Back = actRestart
	a.First = slices.Contains(keys, "live-restore")
	a.Keeps = e.LiveRestore && !slices.ContainsFunc(keys, func(k string) bool { return all[k].detaches })
	if a.Keeps || now.info == nil {
		return a, nil
	}
	list, err := listContainers(ctx, v)
	for _, c := range list {
		if c.State == container.StateRunning && len(c.Names) > 0 {
			a.Stops = append(a.Stops, strings.TrimPrefix(c.Names[0], "/"))
		}
	}
	slices.Sort(a.Stops)
	return a, err
}

// Type is "docker.engine/1".
func (*EngineAct) Type() string { return "docker.engine/1" }

// Want is the settings that the daemon is to have.
func (a *EngineAct) Want() any { return EngineAct{Wants: a.Wants} }

// Describe says what is loaded, and what becomes of containers.
func (a *EngineAct) Describe() host.Description {
	d := host.Description{Action: host.Reload, Target: unit}
	var says []string
	if len(a.Keys) > 0 && a.Verb != actStart {
		says = append(says, "loads "+enumerate(a.Keys))
	}
	switch {
	case a.Verb == actStart:
		d.Action, d.Diff = host.Update, "state: stopped → running"
	case a.Verb == actStop:
		d.Action, d.Diff = host.Update, "state: running → stopped"
	case a.Verb == actRestart:
		d.Action = host.Restart
		switch {
		case a.Restored:
		case a.Keeps:
			says = append(says, "running containers go on (live restore)")
		case len(a.Stops) > 0:
			says = append(says, "stops the containers "+enumerate(a.Stops))
		default:
			says = append(says, "no container runs")
		}
		if gone := unseen(a.Keys); gone != "" && !a.Restored {
			says = append(says, gone)
		}
	}
	d.Impact = strings.Join(says, "; ")
	return d
}

// Effects is what the daemon has loaded. A reload, and a restart that keeps containers,
// leave what else is asked of it as it is.
func (a *EngineAct) Effects() []host.Effect {
	list := []host.Effect{host.Is(settingsKey, a.after)}
	if a.Restored {
		list = []host.Effect{host.Open(settingsKey.Space, settingsKey.Name)}
	}
	if a.Verb == actStart || a.Verb == actStop || a.Restored || a.Verb == actRestart && !a.Keeps {
		list = append(list, host.Open(host.Units, unit))
	}
	return list
}

// Apply has the file loaded and asks the daemon what it has.
func (a *EngineAct) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	now, err := lookUnit(ctx, h.Runner.Run)
	if err != nil {
		return host.Result{}, err
	}
	if a.Restored {
		return host.Result{}, a.restore(ctx, h, now)
	}
	want, sum, err := settingsNow(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	if sum != a.Sum {
		return host.Result{}, fmt.Errorf("%s: %w", configFile, host.ErrMoved)
	}
	back := &EngineAct{Verb: a.Back, Restored: true, Invocation: now.invocation, Since: time.Now().UTC().Format(time.RFC3339Nano)}
	if err := h.Begin(host.Undo{After: []host.Change{back}}); err != nil {
		return host.Result{}, err
	}
	if a.Verb == actReload || a.First {
		if err := reloadEngine(ctx, h); err != nil {
			return host.Result{}, err
		}
	}
	if a.Verb != actReload {
		if err := restartEngine(ctx, h); err != nil {
			return host.Result{}, err
		}
	}
	return host.Result{}, verifyEngine(ctx, h, want)
}

// restore has the daemon load the file that was put back. A reload is enough for the
// process that had loaded it before, where it has refused the other one, or a reload can
// load all that is different.
func (a *EngineAct) restore(ctx context.Context, h *host.Host, now unitState) error {
	if err := h.Begin(host.Undo{}); err != nil {
		return err
	}
	if a.Verb == actStop {
		resetFailed(ctx, h)
		_, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "stop", "--", unit}})
		return err
	}
	want, _, err := settingsNow(ctx, h)
	if err != nil {
		return err
	}
	if now.running() && now.invocation == a.Invocation && (a.Verb == actReload || !loadedSince(ctx, h, a.Since)) {
		if reloadEngine(ctx, h) == nil && verifyEngine(ctx, h, want) == nil {
			return nil
		}
	}
	if err := restartEngine(ctx, h); err != nil {
		return err
	}
	return verifyEngine(ctx, h, want)
}

// settingsNow returns the settings that stand in the file, and its sum; none where there is
// no file.
func settingsNow(ctx context.Context, h *host.Host) (settings map[string]any, sum string, err error) {
	data, err := host.NewView(h, nil).ReadFile(ctx, configFile, configLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", nil
	case err != nil:
		return nil, "", err
	}
	sum = sumOfText(string(data))
	if strings.TrimSpace(string(data)) == "" {
		return nil, sum, nil
	}
	return settings, sum, json.Unmarshal(data, &settings)
}

// verifyEngine asks the daemon whether it has the settings, and notes what it has loaded.
func verifyEngine(ctx context.Context, h *host.Host, want map[string]any) error {
	s, err := unitStartOf(ctx, host.NewView(h, nil))
	if err != nil || s == nil {
		return err
	}
	c, err := acting(h)
	if err != nil {
		return err
	}
	info, err := infoOf(ctx, c)
	if err != nil {
		return withEngineLog(ctx, h, fmt.Errorf("dockerd was to load its settings: %w", unanswered(err)))
	}
	var not []string
	agrees := toldBy(want, info, s)
	for _, key := range slices.Sorted(maps.Keys(agrees)) {
		if !agrees[key] {
			not = append(not, key)
		}
	}
	if not != nil {
		return withEngineLog(ctx, h, fmt.Errorf("dockerd was to load its settings, and says that it has another value of %s", enumerate(not)))
	}
	u, err := lookUnit(ctx, h.Runner.Run)
	if err != nil {
		return err
	}
	if err := writeEngineStamp(&engineStamp{Invocation: u.invocation, Loaded: marksOf(want)}); err != nil {
		return err
	}
	return h.At("noted what Docker has loaded")
}
