package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"muster/host"
)

// LoadDump makes a server's databases and accounts those of a dump that a donor sends. The
// server runs meanwhile, and writes nothing of it into its binary log.
type LoadDump struct {
	Copy copyNote `json:"copy"`
	inState
	// Lock has the donor lock its tables against writing while it dumps.
	Lock bool `json:"lock,omitempty"`
	// Drops are the server's own databases that go.
	Drops []string `json:"drops,omitempty"`
	// Loses says what they hold.
	Loses string `json:"loses,omitempty"`

	bytes int64
}

// Type is "mysql.copy.load/1".
func (*LoadDump) Type() string { return "mysql.copy.load/1" }

// Describe says what is lost, and what happens on the donor.
func (l *LoadDump) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: "databases and accounts", Impact: "become a dump of " + l.Copy.Donor + "'s"}
	if l.Lock {
		d.Impact += "; " + l.Copy.Donor + " takes no writes while it is dumped: not all of its tables are InnoDB's"
	}
	if l.Loses != "" {
		d.Impact += "; loses " + l.Loses
	}
	d.Impact += l.inState.text()
	return d
}

// Effects is all that a copy may alter.
func (l *LoadDump) Effects() []host.Effect { return l.Copy.copyEffects() }

// Interruptible: it may take hours.
func (*LoadDump) Interruptible() {}

// Apply drops what the server has, whatever a run before it has loaded of another dump
// included, and loads the dump.
func (l *LoadDump) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	n := l.Copy
	s, err := awaitServer(ctx, h, n.Unit)
	if err != nil {
		return host.Result{}, err
	}
	defer func() { s.Close() }()
	left, err := leftOver(ctx, host.NewView(h, nil))
	if err != nil {
		return host.Result{}, err
	}
	if left == nil || left.State != loading {
		if err := s.holdsOnly(ctx, l.Drops); err != nil {
			return host.Result{}, err
		}
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if err := n.write(loading); err != nil {
		return host.Result{}, err
	}
	if err := h.At("noted the dump"); err != nil {
		return host.Result{}, err
	}
	closed, err := s.writable(ctx)
	if err != nil {
		return host.Result{}, err
	}
	if err = s.forgetSource(ctx); err == nil {
		err = s.empty(ctx)
	}
	if err != nil {
		return host.Result{}, errors.Join(err, closed.back(ctx, s))
	}
	if err := h.At("dropped the databases"); err != nil {
		return host.Result{}, err
	}
	n.Position, err = l.load(ctx, h, s)
	// The session may have been idle for longer than the server allows.
	s.Close()
	fresh, connectErr := acting(context.WithoutCancel(ctx), h)
	if connectErr != nil {
		return host.Result{}, errors.Join(err, connectErr)
	}
	s = fresh
	if err := errors.Join(err, closed.back(ctx, s)); err != nil {
		return host.Result{}, fmt.Errorf("loading the dump of %s: %w", n.Donor, err)
	}
	if err := s.do(ctx, "FLUSH PRIVILEGES"); err != nil {
		return host.Result{}, err
	}
	if err := h.At("loaded the dump"); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, n.write(loaded)
}

// forgetSource ends what the server has replicated from so far, so that it doesn't go on
// with other data when it is started.
func (s *server) forgetSource(ctx context.Context) error {
	word, _ := s.words()
	stop := "STOP ALL SLAVES"
	if s.flavor == mysqlOwn {
		stop = "STOP " + word
	}
	if err := s.do(ctx, stop); err != nil {
		return err
	}
	return s.do(ctx, "RESET "+word+" ALL")
}

// holdsOnly is ErrMoved where the server holds databases that the plan hasn't named.
func (s *server) holdsOnly(ctx context.Context, named []string) error {
	names, err := s.ownSchemas(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.Contains(named, name) {
			return fmt.Errorf("the server holds the database %s by now: %w", name, host.ErrMoved)
		}
	}
	return nil
}

// ownSchemas names the databases besides the system's.
func (s *server) ownSchemas(ctx context.Context) (names []string, err error) {
	rows, err := s.rows(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN "+systemSchemas()+" ORDER BY 1")
	for _, r := range rows {
		names = append(names, r[0])
	}
	return names, err
}

// empty drops all databases but the system's, and all accounts that a replica has as its
// primary does.
func (s *server) empty(ctx context.Context) error {
	if err := s.do(ctx, "SET SESSION sql_log_bin = 0, foreign_key_checks = 0"); err != nil {
		return err
	}
	names, err := s.ownSchemas(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.do(ctx, "DROP DATABASE IF EXISTS "+ident(name)); err != nil {
			return fmt.Errorf("dropping the database %s: %w", name, err)
		}
	}
	list, err := s.readAccounts(ctx, "")
	if err != nil {
		return err
	}
	for _, a := range list {
		drop := "DROP USER IF EXISTS " + accountSQL(a.name, a.host)
		switch {
		case !s.replicated(a), a.role && a.name == publicRole:
			continue
		case a.role:
			drop = "DROP ROLE IF EXISTS " + literal(a.name)
		}
		if err := s.do(ctx, drop); err != nil {
			return fmt.Errorf("dropping the account %s: %w", accountName(a.name, a.host), err)
		}
	}
	return nil
}

// load feeds the dump to the server's own client, and returns its position.
func (l *LoadDump) load(ctx context.Context, h *host.Host, s *server) (string, error) {
	socket, err := s.one(ctx, "SELECT @@GLOBAL.socket", 1)
	if err != nil {
		return "", err
	}
	program := "mariadb"
	if s.flavor == mysqlOwn {
		program = "mysql"
	}
	stream, err := h.Receive(ctx, l.Copy.Donor, donorRequest{Method: byDump, Lock: l.Lock})
	if err != nil {
		return "", fmt.Errorf("asking %s for its data: %w", l.Copy.Donor, err)
	}
	defer stream.Close()
	in := newProgress(stream, 0, l.told(h))
	tail := &lastBytes{from: in}
	out, err := h.Runner.Run(ctx, host.Command{
		// In binary mode the client has no commands of its own: a dump can't have it run
		// programs or read files.
		Argv: []string{program, "--no-defaults", "--user=root", "--socket=" + socket[0], packetLimit, "--default-character-set=utf8mb4",
			"--binary-mode", "--local-infile=0", "--batch", "--silent"},
		Stdin:       io.MultiReader(strings.NewReader("SET SESSION sql_log_bin = 0;\n"), tail),
		OutputLimit: toolOutput,
	})
	done, ended, failed := in.state()
	switch {
	case failed != nil:
		return "", fmt.Errorf("after %s: %w", bytesText(done), failed)
	case errors.Is(err, host.ErrNoProgram):
		return "", fmt.Errorf("%s isn't installed: it comes with the server's client", program)
	case err != nil:
		return "", err
	case out.ExitCode != 0:
		return "", &host.SaidError{Err: fmt.Errorf("%s has ended with exit code %d, after %s", program, out.ExitCode, bytesText(done)), Said: toolWords(out.Stderr)}
	case !ended:
		return "", fmt.Errorf("%s has ended before the dump did", program)
	}
	return tail.position()
}

// told is how the progress of a dump is reported: its statements are more or less than the files
// that they come from, so that there is no total of them.
func (l *LoadDump) told(h *host.Host) func(string) {
	if h.Report == nil {
		return nil
	}
	return func(done string) {
		h.Report(fmt.Sprintf("%s of statements have come, of about %s of data", done, bytesText(l.bytes)))
	}
}

// lastBytes hands a stream on, and keeps its end.
type lastBytes struct {
	from io.Reader
	last []byte
}

// lastLimit is how much of a dump's end is kept: a position has some ten bytes for each
// domain or server that ever wrote.
const lastLimit = 256 << 10

func (l *lastBytes) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	l.last = append(l.last, p[:n]...)
	if len(l.last) > 2*lastLimit {
		l.last = append(l.last[:0], l.last[len(l.last)-lastLimit:]...)
	}
	return n, err
}

// position reads the last line.
func (l *lastBytes) position() (string, error) {
	text := strings.TrimSuffix(string(l.last), "\n")
	line := text[strings.LastIndexByte(text, '\n')+1:]
	position, ok := strings.CutPrefix(line, positionLine)
	if !ok && line != strings.TrimSpace(positionLine) {
		return "", errors.New("the dump has ended without its position: it isn't whole")
	}
	return position, nil
}
