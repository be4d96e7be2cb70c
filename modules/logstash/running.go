package logstash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/modules/loaded"
)

// running is a Logstash as pending changes will leave it: the sums of what it has loaded.
type running struct {
	Running bool              `json:"running"`
	Sums    map[string]string `json:"sums,omitempty"`
}

// current is a Logstash as it is, or as pending changes will leave it.
type current struct {
	running
	laid  bool
	since time.Time // what it has loaded besides is what stood there then
	node  *node     // nil where it doesn't run, or isn't asked
	mute  error     // why its API doesn't answer, though it runs
}

// upTime is how long a plan waits for a Logstash that somebody has just started.
const upTime = 45 * time.Second

// readCurrent asks for Logstash as it is.
func readCurrent(ctx context.Context, v *host.View, w *whole) (*current, error) {
	c := &current{}
	value, laid, open, err := v.Look(nodeKey)
	if err != nil {
		return nil, err
	}
	if open {
		return nil, host.NotYet(nodeKey)
	}
	if laid && value != nil {
		c.laid = true
		return c, host.Unmarshal(value, &c.running)
	}
	out, err := v.Query(ctx, host.Command{Argv: []string{"systemctl", "show", "--property=ActiveState", "--property=NRestarts", "--", unit}}, asked...)
	if err != nil {
		return nil, err
	}
	state := properties(string(out.Stdout))
	if c.Running = slices.Contains([]string{"active", "activating", "reloading"}, state["ActiveState"]); !c.Running {
		return c, nil
	}
	a, err := apiOf(w.settings, w.env)
	if err != nil {
		return nil, err
	}
	wait := upTime
	if state["NRestarts"] != "0" {
		wait = 0 // it ends again and again
	}
	c.node, err = host.Once(v, "logstash node "+strings.Join(a.addresses, " "), func() (*node, error) { return a.awaited(ctx, v, wait) })
	if err != nil {
		if c.mute = err; isNotYet(err) || ctx.Err() != nil {
			return nil, err
		}
		return c, nil
	}
	c.since = time.UnixMilli(c.node.start)
	data, err := v.ReadFile(ctx, loadedPath, noteLimit)
	if err != nil && !gone(err) {
		return nil, err
	}
	var s stamp
	if err == nil && json.Unmarshal(data, &s) == nil && s.Start == c.node.start {
		c.Sums = s.Sums
	}
	return c, nil
}

// awaited asks a node that may be about to answer.
func (a *api) awaited(ctx context.Context, v *host.View, wait time.Duration) (*node, error) {
	ctx, stop := context.WithTimeout(ctx, wait+answerTime)
	defer stop()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	begun := time.Now()
	for {
		n, err := a.look(ctx, func(ctx context.Context, address string) (net.Conn, error) { return v.Dial(ctx, address, asked...) })
		if err == nil || isNotYet(err) || !nobodyListens(err) || time.Since(begun) >= wait {
			return n, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}

// ringMark stands for the keystore's sum where an earlier task will fill it; "" where none does.
func ringMark(v *host.View) (string, error) {
	ring, err := pendingKeys(v)
	if err != nil || ring == nil {
		return "", err
	}
	hash := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(ring)) {
		fmt.Fprintf(hash, "%s %s\n", name, ring[name])
	}
	return "keys " + hex.EncodeToString(hash.Sum(nil)), nil
}

// changed are the files of names that aren't as Logstash has loaded them.
func (c *current) changed(v *host.View, names []string) ([]string, error) {
	mark, err := ringMark(v)
	if err != nil {
		return nil, err
	}
	var pending []string
	if mark != "" && slices.Contains(names, keystorePath) {
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == keystorePath })
		if c.Sums[keystorePath] != mark {
			pending = []string{keystorePath}
		}
	}
	list, err := loaded.Changed(v, names, c.Sums, c.since)
	return append(list, pending...), err
}

// leaves are the sums of all that Logstash has loaded once it has loaded what v has.
func leaves(v *host.View, names []string) (map[string]string, error) {
	mark, err := ringMark(v)
	if err != nil {
		return nil, err
	}
	if mark == "" {
		return loaded.Sums(v, names)
	}
	sums, err := loaded.Sums(v, slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == keystorePath }))
	if err == nil {
		sums[keystorePath] = mark
	}
	return sums, err
}

// behind is what the host is after changes.
func behind(v *host.View, changes []host.Change) *host.View {
	var effects []host.Effect
	for _, c := range changes {
		effects = append(effects, c.Effects()...)
	}
	return v.Behind(effects)
}
