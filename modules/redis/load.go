package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"muster/host"
)

// verb is what is done to Redis.
type verb string

const (
	verbStart   verb = "start"
	verbRestart verb = "restart"
	verbSet     verb = "set" // while it runs
	verbStop    verb = "stop"
)

// How long things may take: a restart, with the keys written and read; a log that is begun;
// a replica that gets in touch with its primary.
const (
	restartTime = 3 * time.Minute
	logTime     = 3 * time.Minute
	linkTime    = 30 * time.Second
)

// setting is a setting with its value.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Load has Redis run with its file, and asks it whether it does. Values are read from the
// file: passwords travel in no change.
type Load struct {
	Verb    verb     `json:"verb"`
	Unit    string   `json:"unit"`
	Path    string   `json:"path"`
	Program string   `json:"program"`
	Login   login    `json:"login"`
	Where   string   `json:"where,omitempty"` // where it is asked before
	Sum     string   `json:"sum,omitempty"`   // of the file, where that is written
	Names   []string `json:"names,omitempty"` // what it is to run with
	Set     []string `json:"set,omitempty"`   // while it runs
	For     []string `json:"for,omitempty"`   // what takes a restart
	// Follow is a primary that it is to follow, or "none"; "" where that stays.
	Follow string   `json:"follow,omitempty"`
	Impact []string `json:"impact,omitempty"`
	// Restored marks one that has the file loaded that stood there before. Back are
	// the settings as they were, Noted whom muster had noted.
	Restored bool      `json:"restored,omitempty"`
	Back     []setting `json:"back,omitempty"`
	Noted    *string   `json:"noted,omitempty"`

	shows   []string
	has     map[string]string
	follows string
}

// Type is "redis.load/1".
func (*Load) Type() string { return "redis.load/1" }

// Describe says what is done, and what takes a restart.
func (l *Load) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: l.Unit, Diff: strings.Join(l.shows, "\n")}
	says := slices.Clone(l.Impact)
	switch l.Verb {
	case verbStart:
		d.Diff = "state: stopped → running"
	case verbStop:
		d.Diff = "state: running → stopped"
	case verbRestart:
		d.Action = host.Restart
		if len(l.For) > 0 {
			says = append([]string{"for " + strings.Join(l.For, ", ")}, says...)
		}
	case verbSet:
		says = append([]string{"while it runs"}, says...)
	}
	if l.Restored {
		says = append(says, "with the file that stood there before")
	}
	d.Impact = strings.Join(says, "; ")
	return d
}

// Effects is what the server runs with.
func (l *Load) Effects() []host.Effect {
	effect := host.Is(serverKey, running{Running: true, Where: l.Where, Has: l.has, Follows: l.follows})
	if l.Restored {
		effect = host.Open(serverKey.Space, serverKey.Name)
	}
	list := []host.Effect{effect}
	if l.Verb == verbStart || l.Verb == verbStop || l.Restored {
		list = append(list, host.Open(host.Units, l.Unit))
	}
	if l.Follow != "" {
		list = append(list, keeps(followsPath)...)
	}
	return list
}

// Want is the file that it runs with.
func (l *Load) Want() any {
	return Load{Unit: l.Unit, Path: l.Path, Sum: l.Sum, Names: l.Names, Follow: l.Follow, Restored: l.Restored}
}

// Apply has the server load the file.
func (l *Load) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	text, err := os.ReadFile(l.Path)
	if err != nil {
		return host.Result{}, err
	}
	sum := sha256.Sum256(text)
	c := parseConf(string(text))
	if l.Restored {
		return host.Result{}, l.restore(ctx, h, c)
	}
	if l.Sum != "" && hex.EncodeToString(sum[:]) != l.Sum {
		return host.Result{}, fmt.Errorf("%s: %w", l.Path, host.ErrMoved)
	}
	undo := &Load{Verb: verbStop, Unit: l.Unit, Path: l.Path, Program: l.Program, Login: l.Login, Where: l.Where, Restored: true}
	s, err := l.connect(ctx, h, c)
	switch {
	case err != nil && l.Verb != verbStart:
		return host.Result{}, unanswered(err)
	case err == nil:
		defer s.Close()
		if l.Verb == verbStart {
			return host.Result{}, fmt.Errorf("%s: %w", l.Unit, host.ErrMoved)
		}
		if err := l.remember(ctx, s, undo); err != nil {
			return host.Result{}, unanswered(err)
		}
	}
	if err := h.Begin(host.Undo{After: []host.Change{undo}}); err != nil {
		return host.Result{}, err
	}
	if err := l.act(ctx, h, s, c); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("asked what Redis runs with")
}

// remember keeps in undo what is changed while the server runs. Of passwords the file is
// what tells.
func (l *Load) remember(ctx context.Context, s *server, undo *Load) error {
	undo.Verb = l.Verb
	vars, err := s.settings(ctx)
	if err != nil {
		return err
	}
	for _, name := range l.Set {
		b := setting{Name: name}
		if !secretSetting(name) {
			b.Value = vars[name]
		}
		undo.Back = append(undo.Back, b)
	}
	if l.Follow != "" {
		undo.Follow = spoken(followsNow(s.info))
		data, err := os.ReadFile(followsPath)
		if err != nil && !gone(err) {
			return err
		}
		text := string(data)
		undo.Noted = &text
	}
	return nil
}

// act has the server run with the file.
func (l *Load) act(ctx context.Context, h *host.Host, s *server, c *conf) (err error) {
	if s != nil {
		if err := l.set(ctx, h, s, c); err != nil {
			return err
		}
		if l.Verb == verbRestart {
			s.Close()
		}
	}
	if l.Verb != verbSet {
		if s, err = l.restarted(ctx, h, c); err != nil {
			return err
		}
		defer s.Close()
	}
	if l.Follow != "" {
		if err := note(followsPath, []byte(begins+l.Follow+"\n")); err != nil {
			return err
		}
		if err := s.following(ctx, l.Follow); err != nil {
			return unanswered(err)
		}
		if err := h.At("follows " + l.Follow); err != nil {
			return err
		}
		if err := s.linked(ctx, h, l.Follow); err != nil {
			return err
		}
	}
	if err := l.verify(ctx, s, c); err != nil || l.Follow == "" {
		return err
	}
	return note(followsPath, []byte(l.Follow+"\n"))
}

// connect connects to the server as it runs before the change.
func (l *Load) connect(ctx context.Context, h *host.Host, c *conf) (*server, error) {
	addresses := c.addresses()
	if l.Where != "" {
		addresses = append([]string{l.Where}, addresses...)
	}
	return connect(ctx, h.Dial, addresses, l.Login.pairs(ctx, h.Bodies.Read, c))
}

// set changes the running server. From Redis 7 on it takes all settings or none.
func (l *Load) set(ctx context.Context, h *host.Host, s *server, c *conf) error {
	values := map[string]string{}
	for _, name := range l.Set {
		values[name], _ = c.value(name)
	}
	if err := s.configure(ctx, l.Set, values); err != nil {
		return err
	}
	if err := h.At("set"); err != nil {
		return err
	}
	if values["appendonly"] == "yes" {
		return s.logged(ctx)
	}
	if slices.Contains(l.Set, "appendonly") || slices.Contains(l.Set, "save") {
		return s.unwriting(ctx)
	}
	return nil
}

// configure sets settings in the running server.
func (s *server) configure(ctx context.Context, names []string, values map[string]string) error {
	var all []string
	for _, name := range names {
		if s.version[0] >= 7 {
			all = append(all, name, values[name])
		} else if _, err := s.do(ctx, "CONFIG", "SET", name, values[name]); err != nil {
			return fmt.Errorf("setting %s: %w", name, withoutValue(err, values))
		}
	}
	if len(all) == 0 {
		return nil
	}
	if _, err := s.do(ctx, append([]string{"CONFIG", "SET"}, all...)...); err != nil {
		return fmt.Errorf("setting %s: %w", strings.Join(names, ", "), withoutValue(err, values))
	}
	return nil
}

// withoutValue is an error in which no password stands.
func withoutValue(err error, values map[string]string) error {
	for name, value := range values {
		if secretSetting(name) && value != "" && strings.Contains(err.Error(), value) {
			return errors.New("the server doesn't take it")
		}
	}
	return err
}

// unwriting waits until the server is done with what it was writing to disk when settings
// changed: it would put that in its place later.
func (s *server) unwriting(ctx context.Context) error {
	waiting, stop := context.WithTimeout(ctx, logTime)
	defer stop()
	return until(waiting, func() (bool, error) {
		text, err := s.text(waiting, "INFO", "persistence")
		info := parseInfo(text)
		return info["rdb_bgsave_in_progress"] != "1" && info["aof_rewrite_in_progress"] != "1", err
	})
}

// logged waits until the log that was turned on holds all keys: until then a restart
// would lose them.
func (s *server) logged(ctx context.Context) error {
	waiting, stop := context.WithTimeout(ctx, logTime)
	defer stop()
	err := until(waiting, func() (bool, error) {
		text, err := s.text(waiting, "INFO", "persistence")
		if err != nil {
			return false, err
		}
		info := parseInfo(text)
		busy := info["aof_rewrite_in_progress"] == "1" || info["aof_rewrite_scheduled"] == "1"
		if !busy && info["aof_last_bgrewrite_status"] == "err" {
			return false, errors.New("the server couldn't begin its log: see /var/log/redis/redis-server.log for why, such as a full disk")
		}
		return !busy && info["aof_enabled"] == "1", nil
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("the server hasn't begun its log after %s", logTime)
	}
	return err
}

// restarted restarts the server, or starts it, and waits until it has loaded its keys.
// Systemd refuses one that was started too often, so that its count is begun anew.
func (l *Load) restarted(ctx context.Context, h *host.Host, c *conf) (*server, error) {
	ctx, stop := context.WithTimeout(ctx, restartTime)
	defer stop()
	_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", "--", l.Unit}})
	began := logSize(c)
	if err := l.started(ctx, h); err != nil {
		return nil, withLog(h, c, began, err)
	}
	if err := h.At("restarted"); err != nil {
		return nil, err
	}
	var s *server
	err := until(ctx, func() (bool, error) {
		var err error
		s, err = connect(ctx, h.Dial, c.addresses(), l.Login.pairs(ctx, h.Bodies.Read, c))
		if err != nil && (nobodyListens(err) || isSaid(err, "LOADING")) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, withLog(h, c, began, unanswered(err))
	}
	return s, nil
}

// started restarts the unit. Debian's has systemd try again for ever where Redis ends at
// once, so that this waits for what becomes of it.
func (l *Load) started(ctx context.Context, h *host.Host) error {
	if _, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "restart", "--", l.Unit}}); err != nil {
		return err
	}
	return nil
}

// verify asks the server whether it runs with the settings of the file.
func (l *Load) verify(ctx context.Context, s *server, c *conf) error {
	vars, err := s.settings(ctx)
	if err != nil {
		return unanswered(err)
	}
	for _, name := range l.Names {
		want, _ := c.value(name)
		if has := vars[name]; !same(name, want, has) {
			if secretSetting(name) {
				return fmt.Errorf("the server was to run with another %s, and has the one before", name)
			}
			return fmt.Errorf("the server was to run with %s = %q, and has %q", name, want, has)
		}
	}
	return nil
}

// fixed reports whether a setting takes a restart. From Redis 7 on it is asked with a request
// that it refuses in any case: to set one setting twice.
func (s *server) fixed(ctx context.Context, name string) (bool, error) {
	if s.version[0] < 7 {
		return slices.Contains([]string{"port", "bind", "databases", "tcp-backlog", "unixsocket", "unixsocketperm", "logfile", "io-threads", "io-threads-do-reads",
			"always-show-logo", "cluster-enabled", "cluster-config-file", "aclfile", "disable-thp", "syslog-enabled", "syslog-ident", "syslog-facility", "set-proc-title", "rdbchecksum"}, name), nil
	}
	_, err := s.do(ctx, "CONFIG", "SET", name, "", name, "")
	var s2 said
	switch {
	case err == nil:
		return false, errors.New("the server takes one setting twice")
	case !errors.As(err, &s2):
		return false, err
	}
	return strings.Contains(err.Error(), "immutable") || strings.Contains(err.Error(), "protected"), nil
}

// restore has the server run with the file that was put back.
func (l *Load) restore(ctx context.Context, h *host.Host, c *conf) error {
	if err := h.Begin(host.Undo{}); err != nil {
		return err
	}
	if l.Verb == verbStop {
		_, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "stop", "--", l.Unit}})
		_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", "--", l.Unit}})
		return err
	}
	s, err := l.connect(ctx, h, c)
	if err == nil {
		values := map[string]string{}
		var names []string
		for _, b := range l.Back {
			names = append(names, b.Name)
			if values[b.Name] = b.Value; secretSetting(b.Name) {
				values[b.Name], _ = c.value(b.Name)
			}
		}
		err = s.configure(ctx, names, values)
		s.Close()
	}
	if err != nil || l.Verb == verbRestart {
		if s, err = l.restarted(ctx, h, c); err != nil {
			return err
		}
		s.Close()
	}
	if l.Follow != "" {
		if s, err = l.connect(ctx, h, c); err != nil {
			return unanswered(err)
		}
		defer s.Close()
		if followsNow(s.info) != lineless(l.Follow) {
			if err := s.following(ctx, l.Follow); err != nil {
				return unanswered(err)
			}
		}
		if l.Noted != nil && *l.Noted == "" {
			err = host.Drop(followsPath)
		} else if l.Noted != nil {
			err = note(followsPath, []byte(*l.Noted))
		}
		if err != nil {
			return err
		}
	}
	return h.At("restored")
}

// lineless is a primary as followsNow has it.
func lineless(primary string) string {
	if primary == "none" {
		return ""
	}
	return primary
}
