package haproxy

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
)

// verb is what is done to HAProxy.
type verb string

const (
	verbStart  verb = "start"
	verbReload verb = "reload"
	verbTell   verb = "update"
)

// Load has HAProxy load its files, and asks it whether it has.
type Load struct {
	Verb   verb              `json:"verb"`
	Config string            `json:"config"`
	Files  map[string]string `json:"files"` // sums by path
	Sum    string            `json:"sum"`
	Told   []told            `json:"told,omitempty"`
	Certs  []string          `json:"certs,omitempty"`
	Maps   []string          `json:"maps,omitempty"`
	Impact string            `json:"impact,omitempty"`
	// Restored marks one that loads the files that stood there before.
	Restored bool `json:"restored,omitempty"`
	// Tried are the servers, as lines of a configuration, that were told what isn't to be.
	Tried string `json:"tried,omitempty"`
}

// Type is "haproxy.load/1".
func (*Load) Type() string { return "haproxy.load/1" }

// Describe says what is done, and why it has to be.
func (l *Load) Describe() host.Description {
	switch {
	case l.Restored:
		return host.Description{Action: host.Reload, Target: unit, Impact: "with the files that stood there before"}
	case l.Verb == verbStart:
		return host.Description{Action: host.Restart, Target: unit, Impact: l.Impact}
	case l.Verb == verbReload:
		return host.Description{Action: host.Reload, Target: unit, Impact: l.Impact}
	}
	d := host.Description{Action: host.Update, Target: unit, Impact: "told while it runs, without a reload"}
	if len(l.Told)+len(l.Certs)+len(l.Maps) == 0 {
		return host.Description{Action: host.Check, Target: unit, Impact: "whether it runs with this"}
	}
	var lines []string
	for _, t := range l.Told {
		lines = append(lines, t.Shows)
	}
	for _, path := range slices.Concat(l.Certs, l.Maps) {
		lines = append(lines, "loads "+path)
	}
	d.Diff = strings.Join(lines, "\n")
	return d
}

// Effects is what HAProxy has loaded, and what muster notes of it.
func (l *Load) Effects() []host.Effect {
	list := []host.Effect{host.Is(loadedKey, loaded{Running: true, Sum: l.Sum})}
	if l.Verb == verbStart { // a reload leaves it running
		list = append(list, host.Open(host.Units, unit))
	}
	return append(list, keeps()...)
}

// Want is that it loads these files.
func (l *Load) Want() any { return Load{Config: l.Config, Files: l.Files, Restored: l.Restored} }

// Apply loads the files, and asks the worker that then serves.
func (l *Load) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	if err := l.asPlanned(); err != nil && !l.Restored {
		return host.Result{}, err
	}
	d, err := l.look(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	text, err := os.ReadFile(l.Config)
	if err != nil {
		return host.Result{}, err
	}
	if l.Restored {
		return host.Result{}, l.restore(ctx, h, d, text)
	}
	back := &Load{Verb: verbReload, Config: l.Config, Restored: true, Tried: parse(string(text)).told(l.Told)}
	if err := h.Begin(host.Undo{After: []host.Change{back}}); err != nil {
		return host.Result{}, err
	}
	if l.Verb == verbTell && d.running() {
		return host.Result{}, l.tell(ctx, h, d, text)
	}
	return host.Result{}, l.load(ctx, h, d, text)
}

// asPlanned returns host.ErrMoved where the files aren't those that were planned.
func (l *Load) asPlanned() error {
	for path, sum := range l.Files {
		data, err := os.ReadFile(path)
		if err != nil || sumOf(data) != sum {
			return fmt.Errorf("%s: %w", path, host.ErrMoved)
		}
	}
	return nil
}

func (l *Load) look(ctx context.Context, h *host.Host) (*daemon, error) {
	d, err := lookDaemon(func(c host.Command) (host.Output, error) { return h.Runner.Run(ctx, c) }, os.ReadFile)
	if err == nil && d == nil {
		err = fmt.Errorf("%s: %w", unit, host.ErrMoved)
	}
	return d, err
}

// load reloads HAProxy, or starts it.
func (l *Load) load(ctx context.Context, h *host.Host, d *daemon, text []byte) error {
	want := parse(string(text))
	set, err := keepStates(ctx, h, d, want, &parsed{})
	if err != nil {
		return err
	}
	if err := h.At("kept states"); err != nil {
		return err
	}
	worker, err := serve(ctx, h, d, l.Verb == verbStart)
	if err == nil {
		err = confirm(ctx, h, d, want)
	}
	if err == nil && want.loadsState {
		err = configured(ctx, h, d, text, want, set)
	}
	if err == nil {
		err = served(ctx, want, l.certsOf())
	}
	if err != nil {
		return err
	}
	if err := h.At("loaded"); err != nil {
		return err
	}
	if err := putState(keptPath, []byte(emptyState(""))); err != nil {
		return err
	}
	return confirmed(worker, l.loads(text), text)
}

// configured asks the worker whether its servers are as the configuration has them.
func configured(ctx context.Context, h *host.Host, d *daemon, text []byte, want *parsed, set map[string]bool) error {
	s, err := d.worker(h.Dial, text)
	if err != nil {
		return nil // it can't be asked
	}
	return s.asConfigured(ctx, want, set)
}

// loads are the sums of the files, that of the configuration without others' marks.
func (l *Load) loads(text []byte) map[string]string {
	files := maps.Clone(l.Files)
	files[l.Config] = sumOf([]byte(withoutMarks(string(text))))
	return files
}

// certsOf are the certificates among the files.
func (l *Load) certsOf() (list []string) {
	for path := range l.Files {
		if filepath.Dir(path) == certsFolder {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

// tell changes the running HAProxy through its socket.
func (l *Load) tell(ctx context.Context, h *host.Host, d *daemon, text []byte) error {
	s, err := d.worker(h.Dial, text)
	if err != nil {
		return err
	}
	worker, ok := newestWorker(d.PID)
	if !ok {
		return fmt.Errorf("no worker of HAProxy serves")
	}
	for _, path := range l.Certs {
		if err := s.certificate(ctx, path); err != nil {
			return err
		}
	}
	for _, path := range l.Maps {
		if err := s.lines(ctx, path); err != nil {
			return err
		}
	}
	want := parse(string(text))
	states, err := s.ask(ctx, "show servers state")
	if err != nil {
		return err
	}
	_, set := kept(states, parse(loadedText(d)), want, &parsed{})
	if err := s.apply(ctx, l.Told); err != nil {
		return err
	}
	err = confirm(ctx, h, d, want)
	if err == nil {
		err = s.asConfigured(ctx, want, set)
	}
	if err == nil {
		err = served(ctx, want, l.Certs)
	}
	if err != nil {
		return err
	}
	if err := h.At("told"); err != nil {
		return err
	}
	return confirmed(worker, l.loads(text), text)
}

// restore loads the files that stood there before. Where HAProxy doesn't take them, the
// configuration that was last confirmed comes back, if it is taken.
func (l *Load) restore(ctx context.Context, h *host.Host, d *daemon, text []byte) error {
	if err := h.Begin(host.Undo{}); err != nil {
		return err
	}
	if said := taken(ctx, h, d, l.Config); said != "" {
		good, err := os.ReadFile(goodPath)
		if err != nil || string(good) == string(text) {
			return fmt.Errorf("what stood in %s before isn't taken either: %s", l.Config, said)
		}
		tmp := goodPath
		if also := taken(ctx, h, &daemon{Argv: replaced(d.Argv, l.Config, tmp)}, tmp); also != "" {
			return fmt.Errorf("neither what stood in %s before is taken (%s) nor what was last confirmed (%s)", l.Config, said, also)
		}
		if err := host.Put(l.Config, good, 0o644); err != nil {
			return err
		}
		text = good
	}
	want := parse(string(text))
	if _, err := keepStates(ctx, h, d, want, parse(l.Tried)); err != nil {
		return err
	}
	worker, err := serve(ctx, h, d, !d.running())
	if err == nil {
		err = confirm(ctx, h, d, want)
	}
	if err != nil {
		return fmt.Errorf("loading %s as it was before: %w", l.Config, err)
	}
	_ = putState(keptPath, []byte(emptyState("")))
	_ = worker
	_ = host.Drop(stampPath) // of the other files nothing is known: they are judged by time
	return h.At("restored")
}

// taken returns what HAProxy finds wrong with a configuration, "" where it takes it.
func taken(ctx context.Context, h *host.Host, d *daemon, path string) string {
	argv := slices.DeleteFunc(d.checking(path, path), func(a string) bool { return a == "-dW" })
	out, err := h.Runner.Run(ctx, host.Command{Argv: argv})
	switch {
	case err != nil:
		return err.Error()
	case out.ExitCode == 0:
		return ""
	}
	for _, c := range complaints(string(out.Stderr)+string(out.Stdout), path) {
		return c.text
	}
	return out.LastWords()
}

func replaced(argv []string, old, instead string) []string {
	out := slices.Clone(argv)
	for i, a := range out {
		if a == old {
			out[i] = instead
		}
	}
	return out
}
