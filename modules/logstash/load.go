package logstash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/host"
	"muster/modules/loaded"
)

// verb is what is done to Logstash.
type verb string

const (
	verbStart   verb = "start"
	verbRestart verb = "restart"
	verbReload  verb = "reload"
	verbStop    verb = "stop"
)

// How long things may take. A JVM with its pipelines is up after some 30 s; a pipeline that
// is reloaded first ends, with all that is in it.
const (
	startTime  = 4 * time.Minute
	reloadTime = 2 * time.Minute
	doubtTime  = 15 * time.Second // a reload of what may be loaded already
	askEvery   = 250 * time.Millisecond
)

// Load has Logstash run with its files, and asks its node whether it does.
type Load struct {
	Verb  verb     `json:"verb"`
	Names []string `json:"names,omitempty"` // the files that it loads
	Runs  []string `json:"runs,omitempty"`  // the pipelines that are to run
	Gone  []string `json:"gone,omitempty"`  // those that aren't to
	Fresh []string `json:"fresh,omitempty"` // those whose files this plan writes
	For   []string `json:"for,omitempty"`
	Heap  int64    `json:"heap,omitempty"` // in bytes
	// Workers are a pipeline's, where they are given.
	Workers map[string]int `json:"workers,omitempty"`
	// Sums are those of files that have to stand there.
	Sums map[string]string `json:"sums,omitempty"`
	// Restored marks one that loads the files that stood there before.
	Restored bool `json:"restored,omitempty"`

	leaves running
	shows  []string
}

// Type is "logstash.load/1".
func (*Load) Type() string { return "logstash.load/1" }

// Describe says what is done, and for what.
func (l *Load) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: unit, Diff: strings.Join(l.shows, "\n")}
	var says []string
	if len(l.For) > 0 {
		says = append(says, "for "+strings.Join(l.For, ", "))
	}
	switch l.Verb {
	case verbStart:
		d.Diff = "state: stopped → running"
	case verbStop:
		d.Diff = "state: running → stopped"
	case verbRestart:
		d.Action = host.Restart
		says = append(says, "its inputs are away meanwhile")
	case verbReload:
		d.Action = host.Reload
	}
	if l.Restored {
		says = append(says, "with the files that stood there before")
	}
	d.Impact = strings.Join(says, "; ")
	return d
}

// Effects is what Logstash has loaded, and what muster notes of it.
func (l *Load) Effects() []host.Effect {
	list := keeps(loadedPath)
	if l.Restored {
		return append(list, host.Open(nodeKey.Space, nodeKey.Name), host.Open(host.Units, unit))
	}
	list = append(list, host.Is(nodeKey, l.leaves))
	if l.Verb == verbStart || l.Verb == verbStop {
		list = append(list, host.Open(host.Units, unit))
	}
	return list
}

// Want is that it runs with these files.
func (l *Load) Want() any {
	return Load{Names: l.Names, Runs: l.Runs, Heap: l.Heap, Workers: l.Workers, Sums: l.Sums, Restored: l.Restored}
}

// Apply has Logstash load its files.
func (l *Load) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	if l.Restored {
		return host.Result{}, l.restore(ctx, h)
	}
	for path, sum := range l.Sums {
		data, err := os.ReadFile(path)
		if err != nil || sumOf(data) != sum {
			return host.Result{}, fmt.Errorf("%s: %w", path, host.ErrMoved)
		}
	}
	undo := &Load{Verb: l.Verb, Names: l.Names, Gone: l.Fresh, Restored: true}
	switch l.Verb {
	case verbStart:
		undo.Verb = verbStop
	case verbStop:
		undo.Verb = verbStart
	}
	if err := h.Begin(host.Undo{After: []host.Change{undo}}); err != nil {
		return host.Result{}, err
	}
	if err := l.act(ctx, h); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("asked which pipelines run")
}

// act does it, and asks the node what became of it.
func (l *Load) act(ctx context.Context, h *host.Host) error {
	if l.Verb == verbStop {
		_, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "stop", "--", unit}})
		if err == nil {
			err = host.Drop(loadedPath)
		}
		return err
	}
	a, err := onHost(ctx, h)
	if err != nil {
		return err
	}
	since := time.Now()
	var before *node
	if l.Verb == verbReload {
		if before, err = a.look(ctx, h.Dial); err != nil {
			return fmt.Errorf("asking Logstash before its reload: %w", err)
		}
		_, err = h.Run(ctx, host.Command{Argv: []string{"systemctl", "kill", "--signal=SIGHUP", "--kill-whom=main", "--", unit}})
	} else {
		_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", "--", unit}})
		_, err = h.Run(ctx, host.Command{Argv: []string{"systemctl", "restart", "--", unit}})
	}
	if err == nil {
		err = h.At(string(l.Verb) + "ed")
	}
	if err != nil {
		return err
	}
	now, err := l.await(ctx, h, a, before)
	if err == nil {
		err = l.verify(now)
	}
	if err != nil {
		return withLog(ctx, h, since, err)
	}
	return l.noteLoaded(now)
}

// onHost is where the node answers by the files on the host.
func onHost(ctx context.Context, h *host.Host) (*api, error) {
	text, err := os.ReadFile(settingsPath)
	if err != nil && !gone(err) {
		return nil, err
	}
	f, err := parseSettings(string(text))
	if err != nil {
		return nil, err
	}
	env, err := environment(ctx, host.NewView(h, nil))
	if err != nil {
		return nil, err
	}
	return apiOf(f, env)
}

// await waits until the node has taken all of it, or says that it hasn't.
func (l *Load) await(ctx context.Context, h *host.Host, a *api, before *node) (*node, error) {
	limit := startTime
	if before != nil {
		limit = reloadTime
	}
	begun, restarts := time.Now(), 0
	if before != nil {
		restarts, _ = restartsOf(ctx, h)
	}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		now, err := a.look(ctx, h.Dial)
		if err == nil {
			missing, failed := l.missing(before, now)
			doubted := before != nil && time.Since(begun) > doubtTime && onlyDoubted(missing)
			if failed != nil || len(missing) == 0 || doubted {
				return now, failed
			}
			err = fmt.Errorf("after %s not all is loaded: %s", limit, strings.Join(missing, ", "))
		}
		if n, up := restartsOf(ctx, h); n > restarts || !up {
			return nil, errors.New("it ends right after it has loaded its files")
		}
		if time.Since(begun) > limit {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// missing are the pipelines that aren't as they are to be yet; failed says that one never
// will be.
func (l *Load) missing(before, now *node) (missing []string, failed error) {
	for _, id := range l.Runs {
		p, was := now.pipelines[id], (*live)(nil)
		if before != nil {
			was = before.pipelines[id]
		}
		if p != nil && p.broken() != "" && p.since(was) {
			return nil, fmt.Errorf("the pipeline %q: %s", id, p.broken())
		}
		switch {
		case p == nil || !p.runs:
			missing = append(missing, "the pipeline "+strconv.Quote(id)+" doesn't run")
		case was != nil && was.runs && p.ID == was.ID && slices.Contains(l.Fresh, id) && (was.reloads.Success == nil || !newer(*was.reloads.Success, textPath(id), pipelinesPath)):
			missing = append(missing, "the pipeline "+strconv.Quote(id)+" "+asBefore)
		}
	}
	for _, id := range l.Gone {
		if now.runs(id) {
			missing = append(missing, "the pipeline "+strconv.Quote(id)+" still runs")
		}
	}
	return missing, nil
}

// asBefore ends what is said of a pipeline that hasn't been loaded anew.
const asBefore = "runs as before"

// onlyDoubted reports whether all that is missing are pipelines that run as before: what they
// have loaded may be what stands there, and Logstash then reloads nothing.
func onlyDoubted(missing []string) bool {
	return !slices.ContainsFunc(missing, func(m string) bool { return !strings.HasSuffix(m, asBefore) })
}

// newer reports whether a moment lies after the last change of all these files.
func newer(t time.Time, paths ...string) bool {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && !info.ModTime().Before(t) {
			return false
		}
	}
	return true
}

// restartsOf is how often systemd has started Logstash again since somebody started it: where
// it ends by itself, that grows. up is whether it runs, or is about to.
func restartsOf(ctx context.Context, h *host.Host) (n int, up bool) {
	out, err := h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "show", "--property=NRestarts", "--property=ActiveState", "--", unit}})
	if err != nil {
		return 0, true // it isn't told
	}
	state := properties(string(out.Stdout))
	n, _ = strconv.Atoi(state["NRestarts"])
	return n, state["ActiveState"] != "failed" && state["ActiveState"] != "inactive"
}

// properties are those that `systemctl show` prints.
func properties(said string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(said) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		all[name] = value
	}
	return all
}

// verify compares what the node says of itself.
func (l *Load) verify(n *node) error {
	if l.Heap > 0 && n.heapMax > 0 && (n.heapMax > l.Heap || n.heapMax < l.Heap-l.Heap/5) { // some collectors keep a part back
		return fmt.Errorf("its heap was to be %d MB, and is %d MB: see whether LS_JAVA_OPTS has -Xmx", l.Heap>>20, n.heapMax>>20)
	}
	for _, id := range slices.Sorted(maps.Keys(l.Workers)) {
		if p := n.pipelines[id]; p != nil && p.Workers != l.Workers[id] {
			return fmt.Errorf("the pipeline %q was to have %d workers, and has %d", id, l.Workers[id], p.Workers)
		}
	}
	return nil
}

// stamp is what a Logstash was seen to have loaded.
type stamp struct {
	Start int64             `json:"start"` // of its JVM: another process has loaded what it found
	Sums  map[string]string `json:"sums"`
}

// noteLoaded notes what is loaded.
func (l *Load) noteLoaded(n *node) error {
	sums, err := loaded.Load(l.Names)
	if err != nil {
		return err
	}
	data, err := json.Marshal(stamp{n.start, sums})
	if err != nil {
		return err
	}
	return note(loadedPath, data)
}

// restore has Logstash run with the files that were put back.
func (l *Load) restore(ctx context.Context, h *host.Host) error {
	if err := h.Begin(host.Undo{}); err != nil {
		return err
	}
	if l.Verb == verbStop {
		_, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "stop", "--", unit}})
		_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", "--", unit}})
		return err
	}
	w, err := readWhole(ctx, host.NewView(h, nil))
	if err != nil {
		return err
	}
	back := &Load{Verb: l.Verb, Names: l.Names, Runs: w.ready()}
	for _, id := range l.Gone {
		if w.pipelines.find(id) == nil {
			back.Gone = append(back.Gone, id)
		}
	}
	if err := back.act(ctx, h); err != nil {
		if l.Verb != verbReload {
			return err
		}
		back.Verb = verbRestart
		if err := back.act(ctx, h); err != nil {
			return err
		}
	}
	return h.At("restored")
}

// withLog adds to an error what Logstash has complained of since.
func withLog(ctx context.Context, h *host.Host, since time.Time, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	out, lerr := h.Runner.Run(ctx, host.Command{Argv: []string{"journalctl", "--no-pager", "--quiet", "-o", "cat", "--unit=" + unit, "--since=@" + strconv.FormatInt(since.Unix(), 10)}, OutputLimit: 64 << 10})
	var said []string
	for line := range strings.Lines(string(out.Stdout)) {
		if line = strings.TrimSpace(line); (strings.Contains(line, "ERROR") || strings.Contains(line, "FATAL")) && !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	if lerr != nil || len(said) == 0 {
		return err
	}
	text := strings.Join(said[max(0, len(said)-6):], "\n")
	if h.Redact != nil {
		text = h.Redact(text)
	}
	return &host.SaidError{Err: err, Said: "what it said:\n" + text}
}
