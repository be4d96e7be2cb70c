package mysql

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// A session goes on whatever becomes of the password that it was opened with, and servers keep
// nothing of when that was. But they number their sessions. So with each password that muster
// sets it notes the number of its own session: those of the account with a lower one were
// opened before, until the server starts anew and counts from the beginning.

// mark tells sessions that are older than an account's password from others.
type mark struct {
	session int64 // muster's own, when it set the password
	started int64 // the server, in seconds since 1970
}

// String is the mark as a note has it.
func (m mark) String() string { return fmt.Sprintf("session %d of %d", m.session, m.started) }

// notedMark reads the mark in an account's note; ok is false where there is none.
func notedMark(note string) (m mark, ok bool) {
	_, line, _ := strings.Cut(strings.TrimSpace(note), "\n")
	n, err := fmt.Sscanf(line, "session %d of %d", &m.session, &m.started)
	return m, err == nil && n == 2
}

// marks is the mark of a password that is set in this session.
func (s *server) marks(ctx context.Context) (m mark, err error) {
	rows, err := s.rows(ctx, "SELECT CONNECTION_ID(), UNIX_TIMESTAMP()")
	if err != nil || len(rows) != 1 {
		return m, errors.Join(err, errNoAnswer(rows))
	}
	up, err := s.rows(ctx, "SHOW GLOBAL STATUS LIKE 'Uptime'")
	if err != nil || len(up) != 1 {
		return m, errors.Join(err, errNoAnswer(up))
	}
	var list [3]int64
	for i, text := range []string{rows[0][0], rows[0][1], up[0][1]} {
		if list[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return m, err
		}
	}
	return mark{session: list[0], started: list[1] - list[2]}, nil
}

func errNoAnswer(rows [][]string) error {
	if len(rows) == 1 {
		return nil
	}
	return errors.New("the server doesn't tell since when it runs")
}

// clockSlip is how far apart two readings of a server's start may be.
const clockSlip = 5

// older are the numbers of an account's sessions that were opened before a mark.
func (s *server) older(ctx context.Context, name, at string, m mark) (ids []int64, err error) {
	now, err := s.marks(ctx)
	if err != nil {
		return nil, err
	}
	if d := now.started - m.started; d > clockSlip || d < -clockSlip {
		return nil, nil // it has started since: none is so old
	}
	list, err := s.named(ctx, "SHOW PROCESSLIST")
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		id, err := strconv.ParseInt(p["Id"], 10, 64)
		if err != nil {
			return nil, err
		}
		if p["User"] == name && id < m.session && comesFrom(p["Host"], at) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// comesFrom reports whether a session, of a client "HOST:PORT" or "localhost", may be one of an
// account's that logs in from there.
func comesFrom(client, at string) bool {
	if i := strings.LastIndexByte(client, ':'); i >= 0 {
		client = client[:i]
	}
	if base, bits, isNet := strings.Cut(at, "/"); isNet {
		a, err1 := netip.ParseAddr(client)
		b, err2 := netip.ParseAddr(base)
		m, ok := maskOf(bits)
		if err1 != nil || err2 != nil || !ok || !a.Is4() || !b.Is4() {
			return true // a name, of which nobody knows here what it stands for
		}
		n, _ := a.Prefix(32 - zeros(m))
		return n.Contains(b)
	}
	pattern := strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(at))
	ok, err := regexp.MatchString("(?i)^"+pattern+"$", client)
	return err != nil || ok
}

// zeros are the bits of a mask that are 0.
func zeros(m uint32) (n int) {
	for ; n < 32 && m&1 == 0; n++ {
		m >>= 1
	}
	return n
}

// oldSessions adds to a plan what becomes of the sessions that are older than the password,
// which may be one that the plan sets.
func (p *userPlanner) oldSessions(ctx context.Context, plan *modules.Plan, sets bool) error {
	if p.OldSessions == "" || p.real == nil || p.laid {
		return nil
	}
	if from, err := sourceOf(ctx, p.v); err != nil || from != "" {
		return err // a replica isn't told passwords, so that there is no mark
	}
	end := &EndSessions{Name: p.real.name, Host: p.real.host}
	if sets {
		if p.OldSessions == "end" {
			plan.Changes, plan.Atomic = append(plan.Changes, end), false
		}
		return nil
	}
	name := accountName(p.Name, p.Host)
	note, err := p.v.ReadFile(ctx, notePath(p.real.name, p.real.host), noteLimit)
	if err != nil && !gone(err) {
		return err
	}
	m, ok := notedMark(string(note))
	if !ok {
		plan.Notes = append(plan.Notes, fmt.Sprintf("Which sessions of %s are older than its password can't be told: muster hasn't set it here.", name))
		return nil
	}
	ids, err := asking(ctx, p.v, func(s *server) ([]int64, error) { return s.older(ctx, p.real.name, p.real.host, m) })
	switch {
	case err != nil || len(ids) == 0:
		return err
	case p.OldSessions == "count":
		plan.Notes = append(plan.Notes, fmt.Sprintf("Of %s %s older than its password and will go on: old_sessions = \"end\" ends what clients don't.", name, are(len(ids))))
	default:
		end.Sessions = len(ids)
		plan.Changes, plan.Atomic = append(plan.Changes, end), false
	}
	return nil
}

func are(sessions int) string { return host.Counted(sessions, "session is", "sessions are") }

// EndSessions ends sessions that were opened before an account's password was set, as its
// note tells.
type EndSessions struct {
	Name     string `json:"name"`
	Host     string `json:"host"`
	Sessions int    `json:"sessions,omitempty"` // how many there are; 0 where that isn't known yet
}

// Type is "mysql.user.sessions/1".
func (*EndSessions) Type() string { return "mysql.user.sessions/1" }

// Describe says how many are ended.
func (c *EndSessions) Describe() host.Description {
	d := host.Description{Action: host.Delete, Target: "sessions of " + userTarget(c.Name, c.Host), Impact: "those older than its password: what they are doing is rolled back"}
	if c.Sessions > 0 {
		d.Impact = are(c.Sessions) + " older than its password: what they are doing is rolled back"
	}
	return d
}

// Effects is none that another task could read.
func (*EndSessions) Effects() []host.Effect { return []host.Effect{} }

const (
	// endTime is how long sessions may take to end that were told to.
	endTime         = 30 * time.Second
	errNoSuchThread = 1094
)

// Apply ends them, and waits until they are gone.
func (c *EndSessions) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	err := c.apply(ctx, h)
	if err != nil {
		err = fmt.Errorf("ending old sessions of the account %s: %w", accountName(c.Name, c.Host), err)
	}
	return host.Result{}, err
}

func (c *EndSessions) apply(ctx context.Context, h *host.Host) error {
	s, err := acting(ctx, h)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := h.Begin(host.Undo{}); err != nil {
		return err
	}
	note, err := os.ReadFile(notePath(c.Name, c.Host))
	if err != nil && !gone(err) {
		return err
	}
	m, ok := notedMark(string(note))
	if !ok {
		return errors.New("it isn't known any more when its password was set")
	}
	ids, err := s.older(ctx, c.Name, c.Host, m)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.do(ctx, fmt.Sprintf("KILL CONNECTION %d", id)); err != nil && !isError(err, errNoSuchThread) {
			return err
		}
		if err := h.At("ended a session"); err != nil {
			return err
		}
	}
	waiting, stop := context.WithTimeout(ctx, endTime)
	defer stop()
	return until(waiting, pollTime, func() (bool, error) {
		ids, err := s.older(waiting, c.Name, c.Host, m)
		return len(ids) == 0, err
	})
}
