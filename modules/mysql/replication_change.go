package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"muster/host"
)

// SetSource says whom a replica replicates from, and how, and has it do so.
type SetSource struct {
	// Primary is the name of the host that it is.
	Primary string `json:"primary"`
	// From is how it was connected when this was planned; nil where it wasn't.
	From *link `json:"from,omitempty"`
	To   link  `json:"to"`
	// Password is the content of the password.
	Password host.Content `json:"password"`
	// Is who has to answer there.
	Is identity `json:"is"`
	// Position is MariaDB's gtid_slave_pos where it isn't what the server itself has noted.
	Position string `json:"position,omitempty"`
	// File is where MariaDB keeps it.
	File string `json:"file,omitempty"`
	// Anew: the server gets its data by earlier changes of the plan.
	Anew bool `json:"anew,omitempty"`
	// Why is the state that this is to end.
	Why string `json:"why,omitempty"`
	// Trust is noted: by which certificate of the primary and which CA the connection is made.
	Trust string `json:"trust,omitempty"`
}

// Type is "mysql.replication.source/1".
func (*SetSource) Type() string { return "mysql.replication.source/1" }

// Describe shows what changes, without the password.
func (c *SetSource) Describe() host.Description {
	from := link{}
	d := host.Description{Action: host.Create, Target: replicationTarget}
	if c.From != nil {
		from, d.Action = *c.From, host.Update
		d.Impact = "stops and starts the replica's threads"
	}
	if c.Why != "" {
		d.Impact += "; it is " + c.Why
	}
	var lines []string
	add := func(name, a, b string) {
		if a != b {
			lines = append(lines, change(name, a, b))
		}
	}
	at := func(l link) string {
		if l.Host == "" {
			return ""
		}
		return l.Host + ":" + strconv.Itoa(l.Port)
	}
	add("address", at(from), at(c.To))
	add("user", from.User, c.To.User)
	if from.Password != c.To.Password {
		lines = append(lines, "password: is set")
	}
	add("tls", from.tls(), c.To.tls())
	if c.From != nil && !from.Auto {
		lines = append(lines, "positions: by GTID")
	}
	if c.From != nil && from.Retry != c.To.Retry {
		add("retry", fmt.Sprintf("after %d s", from.Retry), fmt.Sprintf("after %d s", c.To.Retry))
	}
	d.Diff = strings.Join(lines, "\n")
	return d
}

// tls says how a connection is secured.
func (l link) tls() string {
	switch {
	case l.Host == "":
		return ""
	case !l.TLS && l.PublicKey:
		return "none, passwords by the server's key"
	case !l.TLS:
		return "none"
	case !l.Verify:
		return "by " + l.CA + ", any name"
	}
	return "by " + l.CA
}

// Effects is what the replica is connected to, and that it runs.
func (c *SetSource) Effects() []host.Effect {
	effects := append([]host.Effect{host.Is(sourceKey, c.To), host.Is(runningKey, true)}, fileEffects(c.File)...)
	return append(effects, trustEffects(c.Trust)...)
}

// fileEffects is that a server has written a file of its own; "" is none.
func fileEffects(path string) []host.Effect {
	if path == "" {
		return nil
	}
	return []host.Effect{host.Open(host.Files, path)}
}

// Apply connects the replica and waits until it replicates.
func (c *SetSource) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	password, err := h.Bodies.Read(ctx, c.Password, 1<<10)
	if err != nil {
		return host.Result{}, err
	}
	s, err := acting(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	now, err := s.unnamed(ctx)
	if err != nil {
		return host.Result{}, err
	}
	if !c.Anew && !c.expects(now) {
		return host.Result{}, fmt.Errorf("somebody has connected the replica otherwise: %w", host.ErrMoved)
	}
	if err := c.To.tryLogin(ctx, c.Primary, string(password), c.Is); err != nil {
		return host.Result{}, err
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if err := s.do(ctx, quiet); err != nil {
		return host.Result{}, fmt.Errorf("keeping the password out of the server's logs: %w", err)
	}
	replica, _ := s.words()
	if now != nil {
		if err := s.do(ctx, "STOP "+replica); err != nil {
			return host.Result{}, fmt.Errorf("stopping the replica: %w", err)
		}
	}
	if err := h.At("stopped the replica"); err != nil {
		return host.Result{}, err
	}
	if c.Position != "" {
		if err := s.do(ctx, "SET GLOBAL gtid_slave_pos = "+literal(c.Position)); err != nil {
			return host.Result{}, fmt.Errorf("setting the position: %w", err)
		}
	}
	if err := s.do(ctx, s.changeSource(c.To, string(password))); err != nil {
		return host.Result{}, fmt.Errorf("connecting the replica: %w", withoutPassword(err, string(password)))
	}
	if err := h.At("connected the replica"); err != nil {
		return host.Result{}, err
	}
	if err := noteTrust(c.Trust); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, s.start(ctx, h, c.Primary)
}

// expects reports whether the replica is as this was planned on, or as a cut-off try left it.
func (c *SetSource) expects(now *channel) bool {
	if now == nil {
		return c.From == nil
	}
	is := linkOf(now, "")
	same := func(l link) bool { l.Password = ""; return *is == l }
	return same(c.To) || c.From != nil && same(*c.From)
}

// unnamed is the connection that has no name, nil where there is none.
func (s *server) unnamed(ctx context.Context) (*channel, error) {
	list, err := s.channels(ctx)
	return (&replica{Channels: list}).source(), err
}

// changeSource is the statement that connects a replica.
func (s *server) changeSource(l link, password string) string {
	_, source := s.words()
	bit := func(b bool) string {
		if b {
			return "1"
		}
		return "0"
	}
	fields := []string{
		"HOST = " + literal(l.Host), "PORT = " + strconv.Itoa(l.Port), "USER = " + literal(l.User), "PASSWORD = " + literal(password),
		"CONNECT_RETRY = " + strconv.Itoa(l.Retry), "SSL = " + bit(l.TLS), "SSL_CA = " + literal(l.CA), "SSL_VERIFY_SERVER_CERT = " + bit(l.Verify),
	}
	text := "CHANGE MASTER TO "
	if s.flavor == mysqlOwn {
		fields = append(fields, "AUTO_POSITION = 1")
		if source == "SOURCE" {
			text = "CHANGE REPLICATION SOURCE TO "
		}
	} else {
		fields = append(fields, "USE_GTID = slave_pos")
	}
	for i := range fields {
		fields[i] = source + "_" + fields[i]
	}
	if s.flavor == mysqlOwn {
		name := "GET_" + source + "_PUBLIC_KEY"
		fields = append(fields, name+" = "+bit(l.PublicKey))
	}
	return text + strings.Join(fields, ", ")
}

// trouble is what keeps a replica from running.
func (c *channel) trouble(primary string) string {
	switch {
	case c == nil:
		return "the server doesn't say why"
	case c.SQL != "Yes" && c.SQLErrno != 0:
		return c.sqlProblem()
	case c.IOErrno != 0:
		text := fmt.Sprintf("error %d: %s", c.IOErrno, oneLine(c.IOError, 300))
		if c.IOErrno == errAccessDenied {
			text += ": the account has to be one of " + primary + ", for this host, with this password and the privilege REPLICATION SLAVE, made by an earlier mysql_user task there"
		}
		return text
	}
	return "it is connecting, and the server says nothing about it"
}

// StartReplica starts a replica that somebody has stopped.
type StartReplica struct {
	Why string `json:"why"`
}

// Type is "mysql.replication.start/1".
func (*StartReplica) Type() string { return "mysql.replication.start/1" }

// Describe says why.
func (c *StartReplica) Describe() host.Description {
	return host.Description{Action: host.Update, Target: replicationTarget, Diff: "state: stopped → running", Impact: c.Why}
}

// Effects is that it runs.
func (*StartReplica) Effects() []host.Effect { return []host.Effect{host.Is(runningKey, true)} }

// Apply starts it and waits until it runs.
func (c *StartReplica) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, err := acting(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	now, err := s.unnamed(ctx)
	switch {
	case err != nil:
		return host.Result{}, err
	case now == nil:
		return host.Result{}, fmt.Errorf("it replicates from nobody: %w", host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, s.start(ctx, h, now.Host)
}

// EndReplication has a server replicate from nobody.
type EndReplication struct {
	From link   `json:"from"`
	File string `json:"file,omitempty"` // as SetSource's
}

// Type is "mysql.replication.end/1".
func (*EndReplication) Type() string { return "mysql.replication.end/1" }

// Describe says from whom.
func (c *EndReplication) Describe() host.Description {
	return host.Description{Action: host.Delete, Target: replicationTarget, Impact: fmt.Sprintf("from %s:%d; the data stays", c.From.Host, c.From.Port)}
}

// Effects is that there is no source.
func (c *EndReplication) Effects() []host.Effect {
	return append([]host.Effect{host.Gone(sourceKey), host.Gone(runningKey)}, fileEffects(c.File)...)
}

// Apply stops the replica and has it forget its source. What it has received and not done by
// then is done by nobody: MariaDB and MySQL throw away what waits.
func (c *EndReplication) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, err := acting(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	now, err := s.unnamed(ctx)
	switch {
	case err != nil || now == nil:
		return host.Result{}, err
	case now.Host != c.From.Host || now.Port != c.From.Port:
		return host.Result{}, fmt.Errorf("it replicates from %s by now: %w", now.Host, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	replica, _ := s.words()
	for _, statement := range []string{"STOP " + replica, "RESET " + replica + " ALL"} {
		if err := s.do(ctx, statement); err != nil {
			return host.Result{}, fmt.Errorf("ending replication: %w", err)
		}
		if err := h.At(statement); err != nil {
			return host.Result{}, err
		}
	}
	return host.Result{}, nil
}
