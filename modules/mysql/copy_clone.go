package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	client "github.com/go-sql-driver/mysql"

	"muster/host"
)

// CloneServer has a server of MySQL's clone another, by the plugin clone: it throws its own
// data away, copies the other's files by a connection of its own, and starts anew with
// them. That is one statement, which ends with the connection lost.
type CloneServer struct {
	Copy copyNote `json:"copy"`
	inState
	// Address and Port are where this host finds the donor's server.
	Address string `json:"address"`
	Port    int    `json:"port"`
	// Loses is what the server's own data holds besides the system's, Drops its databases.
	Loses string   `json:"loses,omitempty"`
	Drops []string `json:"drops,omitempty"`

	bytes int64
}

// Type is "mysql.copy.clone/1".
func (*CloneServer) Type() string { return "mysql.copy.clone/1" }

// Describe says what is lost.
func (c *CloneServer) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: c.Copy.DataDir, Impact: "becomes a clone of " + c.Copy.Donor + "'s data; " + c.Copy.Unit + " starts anew with it"}
	if c.Loses != "" {
		d.Impact += "; loses " + c.Loses
	}
	d.Impact += c.inState.text()
	return d
}

// Effects is all that a copy may alter.
func (c *CloneServer) Effects() []host.Effect { return c.Copy.copyEffects() }

// Interruptible: it may take hours. The server then has no data, and the next run clones anew.
func (*CloneServer) Interruptible() {}

// Apply clones, and reads what became of it once the server is there again.
func (c *CloneServer) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	n := c.Copy
	left, err := leftOver(ctx, host.NewView(h, nil))
	if err != nil {
		return host.Result{}, err
	}
	again := left != nil && left.State == cloning
	if again { // MySQL may go on with a clone when whoever asked for it is gone
		whole, err := c.earlier(ctx, h, left.Begun)
		if err != nil {
			return host.Result{}, err
		}
		if whole {
			return host.Result{}, n.write(loaded)
		}
	}
	s, err := awaitServer(ctx, h, n.Unit)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	if !again {
		if err := s.holdsOnly(ctx, c.Drops); err != nil {
			return host.Result{}, err
		}
	}
	stream, err := h.Receive(ctx, n.Donor, donorRequest{Method: byClone})
	if err != nil {
		return host.Result{}, fmt.Errorf("asking %s for its data: %w", n.Donor, err)
	}
	defer stream.Close()
	login, err := readLogin(stream)
	if err != nil {
		return host.Result{}, fmt.Errorf("asking %s for an account to clone with: %w", n.Donor, err)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	closed, err := s.writable(ctx)
	if err != nil {
		return host.Result{}, err
	}
	if err := s.cloneFrom(ctx, c, login); err != nil {
		return host.Result{}, errors.Join(err, closed.back(ctx, s))
	}
	now, err := s.one(ctx, "SELECT NOW(3)", 1)
	if err != nil {
		return host.Result{}, errors.Join(err, closed.back(ctx, s))
	}
	n.Begun = now[0]
	if err := n.write(cloning); err != nil {
		return host.Result{}, err
	}
	if err := h.At("noted the clone"); err != nil {
		return host.Result{}, err
	}
	held, end := context.WithCancelCause(ctx)
	defer end(nil)
	go watchDonor(stream, end)
	stop := c.tell(held, h)
	cloneErr := s.do(held, c.statement(login))
	stop()
	if held.Err() != nil {
		return host.Result{}, fmt.Errorf("cloning %s: %w", n.Donor, context.Cause(held))
	}
	if err := h.At("cloned"); err != nil {
		return host.Result{}, err
	}
	if isServerError(cloneErr) && !isError(cloneErr, errRestartFailed) {
		err := fmt.Errorf("cloning %s: %w", n.Donor, cloneErr)
		if !again {
			err = errors.Join(err, s.keptOwn(ctx, n.Begun))
		}
		return host.Result{}, errors.Join(err, closed.back(ctx, s))
	}
	return host.Result{}, c.ended(ctx, h, cloneErr)
}

// keptOwn takes the note of a clone back that has failed before the server threw its own data
// away: that isn't a part of a copy, and whether it may go is asked again.
func (s *server) keptOwn(ctx context.Context, begun string) error {
	row, err := s.one(ctx, "SELECT COUNT(*) FROM performance_schema.clone_progress WHERE STAGE = 'DROP DATA' AND STATE <> 'Not Started' AND BEGIN_TIME >= "+literal(begun), 1)
	if err != nil || row[0] != "0" {
		return err
	}
	return host.Drop(copyPath)
}

// cloneFrom makes the server ready to clone.
func (s *server) cloneFrom(ctx context.Context, c *CloneServer, login *cloneLogin) error {
	if s.flavor != mysqlOwn {
		return fmt.Errorf("this is %s, which can't clone: %w", s.flavor, host.ErrMoved)
	}
	if err := s.do(ctx, "SET SESSION sql_log_bin = 0, wait_timeout = 31536000"); err != nil {
		return err
	}
	if _, err := s.ensureClonePlugin(ctx); err != nil {
		return err
	}
	return s.do(ctx, "SET GLOBAL clone_valid_donor_list = "+literal(net.JoinHostPort(c.Address, strconv.Itoa(c.Port))))
}

// statement is the one that clones. MySQL writes it into no log with its password.
func (c *CloneServer) statement(login *cloneLogin) string {
	text := fmt.Sprintf("CLONE INSTANCE FROM %s:%d IDENTIFIED BY %s", accountSQL(login.User, c.Address), c.Port, literal(login.Password))
	if login.TLS {
		text += " REQUIRE SSL"
	}
	return text
}

// errRestartFailed is what a server says that can't start itself anew, since nobody watches
// over it. It has stopped.
const errRestartFailed = 3707

// ended finds out what became of a clone. The connection is lost in any case: where the
// server was told by systemd's unit that it is watched over it starts itself, else it stops.
func (c *CloneServer) ended(ctx context.Context, h *host.Host, cloneErr error) error {
	n := c.Copy
	if h.Report != nil {
		h.Report("cloned; waiting for " + n.Unit + " to start with it")
	}
	if err := settle(ctx, h, n.Unit); err != nil {
		return err
	}
	s, err := awaitServer(ctx, h, n.Unit)
	if err != nil {
		return err
	}
	defer s.Close()
	row, err := s.one(ctx, "SELECT STATE, ERROR_NO, ERROR_MESSAGE FROM performance_schema.clone_status", 3)
	if err != nil {
		return fmt.Errorf("asking what became of the clone: %w", errors.Join(err, cloneErr))
	}
	if row[0] != "Completed" {
		return fmt.Errorf("the clone of %s is %q: error %s: %s", n.Donor, row[0], row[1], oneLine(row[2], 300))
	}
	return n.write(loaded)
}

// isServerError reports whether it is the server that has answered so.
func isServerError(err error) bool {
	var said *client.MySQLError
	return errors.As(err, &said)
}

// settleTime is how long a server may take to begin to stop after a clone.
const settleTime = 10 * time.Second

// settle waits until a server that has cloned has stopped, or started anew: it still answers
// for a moment. Where that takes too long, who asks next will tell.
func settle(ctx context.Context, h *host.Host, unit string) error {
	waiting, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	state := func() string {
		out, err := h.Runner.Run(waiting, host.Command{Argv: []string{"systemctl", "show", "--property=ActiveState", "--value", unit}})
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out.Stdout))
	}
	anew := false
	_ = until(waiting, pollTime, func() (bool, error) {
		if state() != "active" {
			return true, nil
		}
		s, err := connect(waiting, h.Dial)
		if err != nil {
			return false, nil //nolint:nilerr // it is stopping, or starting
		}
		defer s.Close()
		row, err := s.one(waiting, "SELECT STATE FROM performance_schema.clone_status", 1)
		anew = err == nil && row[0] != "In Progress"
		return anew, nil
	})
	if !anew { // stopping takes until all is written
		_ = until(waiting, pollTime, func() (bool, error) { return state() != "deactivating", nil })
	}
	return ctx.Err()
}

// goneTime is how long a clone may be said to be in progress that no session makes.
const goneTime = 30 * time.Second

// earlier waits for the end of a clone that another run has begun, at that time of the
// server's or later, and reports whether it is whole.
func (c *CloneServer) earlier(ctx context.Context, h *host.Host, begun string) (whole bool, err error) {
	if h.Report != nil {
		h.Report("waiting for the clone that an earlier run has begun")
	}
	seen := time.Now()
	err = until(ctx, pollTime, func() (bool, error) {
		if time.Since(seen) >= goneTime {
			return true, nil
		}
		s, err := awaitServer(ctx, h, c.Copy.Unit)
		if err != nil {
			return false, err
		}
		defer s.Close()
		rows, err := s.rows(ctx, "SELECT STATE, (SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_INFO LIKE 'CLONE INSTANCE%') FROM performance_schema.clone_status WHERE BEGIN_TIME >= "+literal(begun))
		switch {
		case err != nil: // it may be starting anew
			return false, nil //nolint:nilerr // see above
		case len(rows) == 0:
			return true, nil
		case rows[0][0] == "In Progress":
			if rows[0][1] != "0" {
				seen = time.Now()
			}
			return false, nil
		}
		whole = rows[0][0] == "Completed"
		return true, nil
	})
	return whole, err
}

// tell reports how far a clone is, by a connection of its own, until it is stopped.
func (c *CloneServer) tell(ctx context.Context, h *host.Host) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		if h.Report == nil {
			return
		}
		s, err := connect(ctx, h.Dial)
		if err != nil {
			return
		}
		defer s.Close()
		tick := time.NewTicker(tellEach)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			rows, err := s.rows(ctx, "SELECT SUM(DATA), SUM(ESTIMATE) FROM performance_schema.clone_progress")
			if err != nil {
				return
			}
			if len(rows) == 1 && len(rows[0]) == 2 {
				done, _ := strconv.ParseInt(rows[0][0], 10, 64)
				total, _ := strconv.ParseInt(rows[0][1], 10, 64)
				h.Report(progressText(done, max(total, done)))
			}
		}
	}()
	return func() { cancel(); <-over }
}

// readLogin reads what a donor says first, a line.
func readLogin(stream io.Reader) (*cloneLogin, error) {
	var line []byte
	for one := make([]byte, 1); len(line) < noteLimit; {
		if _, err := io.ReadFull(stream, one); err != nil {
			return nil, err
		}
		if one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	login := &cloneLogin{}
	if err := host.Unmarshal(line, login); err != nil || !strings.HasPrefix(login.User, clonePrefix) {
		return nil, errors.New("it has answered something else")
	}
	return login, nil
}

// watchDonor reads what a donor says as long as the account is there, and ends the clone
// where that fails.
func watchDonor(stream io.Reader, end context.CancelCauseFunc) {
	_, err := io.Copy(io.Discard, stream)
	if err == nil {
		err = errors.New("the donor has ended before the clone did")
	}
	end(err)
}
