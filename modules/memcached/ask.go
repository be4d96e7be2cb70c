package memcached

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Memcached's text protocol (doc/protocol.txt in its source).

const (
	answerTime = 10 * time.Second
	lineMost   = 8 << 10
	linesMost  = 2000
)

// place is where a Memcached is asked, and how.
type place struct {
	Addresses []string `json:"addresses"`
	TLS       bool     `json:"tls,omitempty"`
	Auth      string   `json:"auth,omitempty"` // the path of those who are let in
}

// placeOf is where a Memcached is asked that has this file.
func placeOf(text string) place {
	var p place
	var listen []string
	port := "11211"
	for line := range strings.Lines(text) {
		option, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch value = strings.TrimSpace(value); option {
		case "-l":
			listen = append(listen, strings.Split(value, ",")...)
		case "-p":
			port = value
		case "-Z":
			p.TLS = true
		case "-Y":
			p.Auth = value
		}
	}
	for _, a := range append(listen, "127.0.0.1") {
		a = strings.Trim(a, "[]")
		if a == "0.0.0.0" {
			a = "127.0.0.1"
		}
		if at := "tcp:" + net.JoinHostPort(a, port); !slices.Contains(p.Addresses, at) {
			p.Addresses = append(p.Addresses, at)
		}
	}
	return p
}

// conn is a connection to a Memcached.
type conn struct {
	net.Conn
	r *bufio.Reader
}

type dialer func(ctx context.Context, address string) (net.Conn, error)

// errShut is that nobody is let in with what is known.
var errShut = errors.New("it lets nobody in with what its file has")

// dial connects to a place, as one of those whom the file auth lets in.
func (p place) dial(ctx context.Context, dial dialer, auth string) (*conn, error) {
	var first error
	for _, address := range p.Addresses {
		raw, err := dial(ctx, address)
		if err != nil {
			if first == nil || isNotYet(err) {
				first = err
			}
			if nobodyListens(err) {
				continue
			}
			return nil, err
		}
		// The peer is on this host: its certificate needn't name how it is reached.
		if p.TLS {
			raw = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // see above
		}
		c := &conn{raw, bufio.NewReaderSize(raw, lineMost)}
		user, password, given := strings.Cut(strings.SplitN(auth, "\n", 2)[0], ":")
		if !given {
			return c, nil
		}
		if err := c.login(ctx, user, password); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	}
	return nil, first
}

// login shows a password, in the manner of an item that is set: to a Memcached that lets
// everybody in it would be one, so that it is asked for first whether it does.
func (c *conn) login(ctx context.Context, user, password string) error {
	open, err := c.ask(ctx, "version", func(string) bool { return true })
	if err != nil || strings.HasPrefix(open[0], "VERSION ") {
		return err
	}
	token := user + " " + password
	lines, err := c.ask(ctx, fmt.Sprintf("set muster 0 0 %d\r\n%s", len(token), token), func(string) bool { return true })
	switch {
	case err != nil:
		return err
	case lines[0] == "STORED":
		return nil
	}
	return errShut
}

func nobodyListens(err error) bool {
	return gone(err) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// ask sends a command, and reads lines up to one that is the last.
func (c *conn) ask(ctx context.Context, command string, last func(line string) bool) (lines []string, err error) {
	until := time.Now().Add(answerTime)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	if err := c.SetDeadline(until); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		return nil, err
	}
	for range linesMost {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if lines = append(lines, text); last(text) || strings.HasSuffix(strings.SplitN(text, " ", 2)[0], "ERROR") {
			return lines, nil
		}
	}
	return nil, errors.New("what answers isn't Memcached: its answer doesn't end")
}

// stats are what a command "stats" tells.
func (c *conn) stats(ctx context.Context, what string) (map[string]string, error) {
	lines, err := c.ask(ctx, strings.TrimSpace("stats "+what), func(l string) bool { return l == "END" })
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, l := range lines {
		if l == "END" {
			return all, nil
		}
		f := strings.SplitN(l, " ", 3)
		if len(f) < 2 || f[0] != "STAT" {
			if strings.HasPrefix(l, "CLIENT_ERROR unauth") {
				return nil, errShut
			}
			return nil, fmt.Errorf("what answers isn't Memcached: it says %.40q", l)
		}
		all[f[1]] = strings.Join(f[2:], " ")
	}
	return all, nil
}

// limit changes the memory.
func (c *conn) limit(ctx context.Context, megabytes uint64) error {
	lines, err := c.ask(ctx, fmt.Sprintf("cache_memlimit %d", megabytes), func(string) bool { return true })
	if err == nil && lines[0] != "OK" {
		err = fmt.Errorf("the server doesn't take its memory: %s", lines[0])
	}
	return err
}

// live is a Memcached that runs.
type live struct {
	where           place // that it was found at
	settings, stats map[string]string
	argv            []string
}

// look asks a Memcached for all that it tells of itself, with TLS and without: a run that was
// cut off leaves a file that says the one, and a process that takes the other.
func look(ctx context.Context, dial dialer, p place, auth string) (*live, error) {
	l, err := lookAt(ctx, dial, p, auth)
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		p.TLS = !p.TLS
		if other, oerr := lookAt(ctx, dial, p, auth); oerr == nil {
			return other, nil
		}
	}
	return l, err
}

func lookAt(ctx context.Context, dial dialer, p place, auth string) (*live, error) {
	c, err := p.dial(ctx, dial, auth)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	l, err := c.live(ctx)
	if err != nil {
		return nil, err
	}
	l.where = p
	return l, nil
}

// live asks for all that Memcached tells of itself, and how its process was started.
func (c *conn) live(ctx context.Context) (l *live, err error) {
	l = &live{}
	if l.stats, err = c.stats(ctx, ""); err != nil {
		return nil, err
	}
	if l.settings, err = c.stats(ctx, "settings"); err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(l.stats["pid"])
	if err != nil {
		return nil, errors.New("what answers isn't Memcached: it has no process")
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil {
		l.argv = strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
	}
	return l, nil
}

// unanswered says what to do about a Memcached that doesn't answer as it should.
func unanswered(err error) error {
	switch {
	case err == nil, isNotYet(err), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errShut):
		return fmt.Errorf("the server asks for a password, and %s has none that it takes: restart it (systemctl restart memcached), so that it reads that file", authPath)
	}
	return fmt.Errorf("asking Memcached: %w", err)
}

// authOf reads those who are let in; "" where everybody is.
func (p place) authOf(ctx context.Context, read func(ctx context.Context, path string, limit int64) ([]byte, error)) (string, error) {
	if p.Auth == "" {
		return "", nil
	}
	data, err := read(ctx, p.Auth, fileLimit)
	if gone(err) {
		return "", nil
	}
	return string(data), err
}

// onHost reads a file as it is.
func onHost(_ context.Context, path string, _ int64) ([]byte, error) { return os.ReadFile(path) }
