package mysql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/host"
)

// serverVerb is what is done to a server.
type serverVerb string

const (
	serverStart   serverVerb = "start"
	serverRestart serverVerb = "restart"
	serverSet     serverVerb = "set" // while it runs
	serverStop    serverVerb = "stop"
)

// setting is a variable with its value.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// LoadServer has a server run with muster's file, and asks it whether it does.
type LoadServer struct {
	Verb    serverVerb `json:"verb"`
	Flavor  flavor     `json:"flavor"`
	Unit    string     `json:"unit"`
	Program string     `json:"program"`
	Path    string     `json:"path"`
	Sum     string     `json:"sum"`
	For     []string   `json:"for,omitempty"` // what takes the restart
	Set     []string   `json:"set,omitempty"` // set to what the file says
	Back    []setting  `json:"back,omitempty"`
	// Certificates are loaded anew; TLS is their mark.
	Certificates bool   `json:"certificates,omitempty"`
	TLS          string `json:"tls,omitempty"`
	// Restored marks one that loads the file that stood there before.
	Restored bool `json:"restored,omitempty"`

	marks map[string]string
	shows []string
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Type is "mysql.server.load/1".
func (*LoadServer) Type() string { return "mysql.server.load/1" }

// Describe says what is done, and what takes a restart.
func (l *LoadServer) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: l.Unit, Diff: strings.Join(l.shows, "\n")}
	var says []string
	switch l.Verb {
	case serverStart:
		d.Diff = "state: stopped → running"
	case serverStop:
		d.Diff = "state: running → stopped"
	case serverRestart:
		d.Action = host.Restart
		says = append(says, "ends its connections")
		if len(l.For) > 0 {
			says = append([]string{"for " + strings.Join(l.For, ", ")}, says...)
		}
	case serverSet:
		says = append(says, "while it runs")
	}
	if l.Certificates {
		says = append(says, "loads its certificates")
	}
	if l.Restored {
		says = append(says, "with the file that stood there before")
	}
	d.Impact = strings.Join(says, "; ")
	return d
}

// Effects is what the server has loaded, and what is noted of it. A restart leaves whom it
// lets in, and what it holds.
func (l *LoadServer) Effects() []host.Effect {
	effect := host.Is(serverKey, running{Running: true, Marks: l.marks, TLS: l.TLS})
	if l.Restored {
		effect = host.Open(serverKey.Space, serverKey.Name)
	}
	list := append(serverNoteEffects(), effect)
	if l.Verb == serverStart || l.Verb == serverStop || l.Restored {
		list = append(list, host.Open(host.Units, l.Unit))
	}
	if l.movesReplication() {
		list = append(list, host.Open(roleKey.Space, roleKey.Name))
	}
	return list
}

// movesReplication reports whether what replicas and their primary are asked about each
// other may be something else afterwards.
func (l *LoadServer) movesReplication() bool {
	return l.Verb != serverSet || l.Certificates || l.Restored || slices.ContainsFunc(l.Set, func(name string) bool {
		return slices.ContainsFunc([]string{"server_id", "gtid_", "enforce_gtid_", "read_only", "super_read_only", "rpl_semi_sync_"}, func(begin string) bool {
			return strings.HasPrefix(name, begin)
		})
	})
}

// Want is the file that it runs with.
func (l *LoadServer) Want() any {
	return LoadServer{Unit: l.Unit, Path: l.Path, Sum: l.Sum, TLS: l.TLS, Restored: l.Restored}
}

// Apply has the server load the file.
func (l *LoadServer) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	if l.Restored {
		return host.Result{}, l.restore(ctx, h)
	}
	text, err := os.ReadFile(l.Path)
	if err != nil {
		return host.Result{}, err
	}
	if sumOf(string(text)) != l.Sum {
		return host.Result{}, fmt.Errorf("%s: %w", l.Path, host.ErrMoved)
	}
	options := ownOptions(string(text))
	undo := &LoadServer{Verb: serverStop, Flavor: l.Flavor, Unit: l.Unit, Program: l.Program, Path: l.Path, Restored: true}
	var before map[string]string
	s, err := connect(ctx, h.Dial)
	switch {
	case err != nil && l.Verb == serverSet:
		return host.Result{}, unanswered(err)
	case err == nil:
		defer s.Close()
		if l.Verb == serverStart {
			return host.Result{}, fmt.Errorf("%s: %w", l.Unit, host.ErrMoved)
		}
		if before, err = s.globals(ctx); err != nil {
			return host.Result{}, unanswered(err)
		}
		undo.Verb = l.Verb
		undo.Certificates = l.Certificates
	}
	for _, name := range l.changed() {
		undo.Back = append(undo.Back, setting{name, before[name]})
	}
	if err := h.Begin(host.Undo{After: []host.Change{undo}}); err != nil {
		return host.Result{}, err
	}
	if l.Verb == serverSet {
		err = l.set(ctx, h, s, options)
	} else {
		if s != nil {
			s.Close()
		}
		s, err = nil, restartServer(ctx, h, l.Unit)
		if err == nil {
			if s, err = awaitReady(ctx, h); err == nil {
				defer s.Close()
			}
		}
	}
	if err != nil {
		return host.Result{}, err
	}
	if err := l.verify(ctx, h, s, options, text); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("noted what the server has loaded")
}

// changed are the variables that are set while it runs.
func (l *LoadServer) changed() []string {
	names := slices.Clone(l.Set)
	for _, b := range l.Back {
		names = append(names, b.Name)
	}
	return names
}

// set changes the running server.
func (l *LoadServer) set(ctx context.Context, h *host.Host, s *server, options map[string]string) error {
	for _, name := range l.Set {
		if err := s.setGlobal(ctx, name, options[name]); err != nil {
			return err
		}
		if err := h.At("set " + name); err != nil {
			return err
		}
	}
	for _, b := range l.Back {
		if err := s.setGlobal(ctx, b.Name, b.Value); err != nil {
			return err
		}
		if err := h.At("set " + b.Name); err != nil {
			return err
		}
	}
	if !l.Certificates {
		return nil
	}
	if err := s.reloadTLS(ctx); err != nil {
		return err
	}
	return h.At("loaded the certificates")
}

// verify asks the server whether it runs with the file, and notes what it has made of it. A
// value that it has rounded is its own, where the file is what it has it from.
func (l *LoadServer) verify(ctx context.Context, h *host.Host, s *server, options map[string]string, text []byte) error {
	vars, err := s.globals(ctx)
	if err != nil {
		return unanswered(err)
	}
	note := serverNote{Options: map[string]notedOption{}, TLS: l.TLS}
	var v *optionCheck
	for _, name := range sortedNames(options) {
		value := options[name]
		if agrees, known := runsWith(vars, name, value); !agrees && known {
			if v == nil { // for what the server calls by another name
				if v, err = l.understood(ctx, h, text); err != nil {
					return err
				}
			}
			from := s.origin(ctx, name)
			ours := from == l.Path || from == "AUTO" || slices.Contains(l.Set, name)
			if !alike(v.starts[name], vars[name]) && !ours {
				return fmt.Errorf("the server was to run with %s = %s, and has %q, which it has from %s", name, value, vars[name], from)
			}
		}
		note.Options[name] = notedOption{Mark: markOf(value), Has: vars[name]}
	}
	if l.TLS != "" {
		leaf, err := served(ctx, h.Dial)
		if err != nil {
			return unanswered(err)
		}
		data, err := os.ReadFile(options["ssl_cert"])
		if err != nil {
			return err
		}
		if !shows(leaf, data) {
			return errors.New("the server was to load its certificate, and shows another one, or none: see its log, journalctl -u " + l.Unit)
		}
	}
	return writeServerNote(note, text)
}

// understood is what the server's program makes of its files.
func (l *LoadServer) understood(ctx context.Context, h *host.Host, text []byte) (*optionCheck, error) {
	files, err := readOptions(ctx, host.NewView(h, nil), l.Flavor)
	if err != nil {
		return nil, err
	}
	return checkOptions(ctx, h.Runner.Run, l.Program, l.Flavor, files.with(string(text)), ownOptions(string(text)))
}

// restartServer restarts a server, or starts it. Systemd refuses one that was started too
// often, by anybody, so that its count is begun anew.
func restartServer(ctx context.Context, h *host.Host, unit string) error {
	_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", "--", unit}})
	since := time.Now()
	if _, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "restart", "--", unit}}); err != nil {
		return withServerLog(ctx, h, unit, since, err)
	}
	return h.At("restarted")
}

// readyTime is how long a server may take to let somebody in after it says that it is ready.
const readyTime = 30 * time.Second

// awaitReady connects to a server that is starting.
func awaitReady(ctx context.Context, h *host.Host) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		s, err := connect(ctx, h.Dial)
		if err == nil || !nobodyListens(err) {
			return s, unanswered(err)
		}
		select {
		case <-ctx.Done():
			return nil, unanswered(err)
		case <-look.C:
		}
	}
}

// restore has the server run with the file that was put back. Where that isn't taken
// either, the one comes back that it last ran with.
func (l *LoadServer) restore(ctx context.Context, h *host.Host) error {
	if err := h.Begin(host.Undo{}); err != nil {
		return err
	}
	switch l.Verb {
	case serverStop:
		_, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "stop", "--", l.Unit}})
		_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", "--", l.Unit}})
		return err
	case serverSet:
		if s, err := connect(ctx, h.Dial); err == nil {
			defer s.Close()
			for _, b := range l.Back {
				if err := s.setGlobal(ctx, b.Name, b.Value); err != nil {
					return err
				}
			}
			if l.Certificates {
				_ = s.reloadTLS(ctx) // files that it doesn't take leave it as it is
			}
			return h.At("set back")
		}
	}
	text, err := os.ReadFile(l.Path)
	if err != nil && !gone(err) {
		return err
	}
	v, err := l.understood(ctx, h, text)
	if err != nil {
		return err
	}
	if v.why != "" {
		good, err := os.ReadFile(serverGoodPath)
		if err != nil || string(good) == string(text) {
			return fmt.Errorf("what stood in %s before isn't taken either: %s", l.Path, v.why)
		}
		if err := host.Put(l.Path, good, 0o644); err != nil {
			return err
		}
	}
	if err := restartServer(ctx, h, l.Unit); err != nil {
		return err
	}
	s, err := awaitReady(ctx, h)
	if err != nil {
		return err
	}
	s.Close()
	return h.At("restored")
}

// withServerLog adds to an error what the server last complained of.
func withServerLog(ctx context.Context, h *host.Host, unit string, since time.Time, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	out, lerr := h.Runner.Run(ctx, host.Command{Argv: []string{"journalctl", "--no-pager", "--quiet", "-o", "cat", "--unit=" + unit, "--since=@" + strconv.FormatInt(since.Unix(), 10)}, OutputLimit: 64 << 10})
	log := string(out.Stdout)
	if file, err := h.Runner.Run(ctx, host.Command{Argv: []string{"tail", "-n", "60", "/var/log/mysql/error.log"}}); err == nil {
		for line := range strings.Lines(string(file.Stdout)) { // MySQL's lines begin with the time
			if line >= since.UTC().Format("2006-01-02T15:04:05") {
				log += line
			}
		}
	}
	var wrong []string
	for line := range strings.Lines(log) {
		if m := saidForm.FindStringSubmatch(strings.TrimSpace(line)); lerr == nil && m != nil && m[1] == "ERROR" && !slices.Contains(wrong, m[2]) && !strings.HasPrefix(m[2], "Aborting") {
			wrong = append(wrong, m[2])
		}
	}
	if len(wrong) == 0 {
		return err
	}
	text := strings.Join(wrong[max(0, len(wrong)-6):], "\n")
	if h.Redact != nil {
		text = h.Redact(text)
	}
	return &host.SaidError{Err: err, Said: "the last lines of its log:\n" + text}
}
