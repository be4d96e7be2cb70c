package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"muster/host"
)

// dialer connects to a socket of the host's.
type dialer func(ctx context.Context, address string) (net.Conn, error)

// viewDialer is the one of a view, for questions.
func viewDialer(v *host.View) dialer {
	return func(ctx context.Context, address string) (net.Conn, error) { return v.Dial(ctx, address, asked...) }
}

// dialTime is how long a server may take to let somebody in.
const dialTime = 10 * time.Second

// addresses are where a server may be asked that has this file. What the file has is not
// always what runs, so that the usual places come behind.
func (c *conf) addresses() (list []string) {
	if path, _ := c.value("unixsocket"); path != "" {
		list = append(list, "unix:"+path)
	}
	port, known := c.value("port")
	if !known {
		port = "6379"
	}
	bind, known := c.value("bind")
	if !known {
		bind = "*"
	}
	var others []string
	for _, a := range strings.Fields(bind) {
		switch a = strings.TrimPrefix(a, "-"); a {
		case "*", "0.0.0.0":
			a = "127.0.0.1"
		case "::", "::*":
			a = "::1"
		}
		if a == "127.0.0.1" || a == "::1" {
			list = append(list, "tcp:"+net.JoinHostPort(a, port))
		} else {
			others = append(others, "tcp:"+net.JoinHostPort(a, port))
		}
	}
	list = append(append(list, others...), "tcp:127.0.0.1:6379", "unix:/run/redis/redis-server.sock")
	var once []string
	for _, a := range list {
		if !slices.Contains(once, a) && !strings.HasSuffix(a, ":0") {
			once = append(once, a)
		}
	}
	return once
}

// login is whom the server is asked as: with one of these passwords, or as whom it takes
// everybody for.
type login struct {
	User string `json:"user"`
	// Passwords are contents, whose sums alone travel in changes.
	Passwords []host.Content `json:"passwords,omitempty"`
}

// loginOf is the login of a task.
func loginOf(v *host.View, user string, passwords ...string) login {
	l := login{User: user}
	for _, p := range passwords {
		if p != "" {
			l.Passwords = append(l.Passwords, v.Keep([]byte(p), true))
		}
	}
	return l
}

// reader reads contents: a view's or a host's.
type reader func(ctx context.Context, c host.Content, limit int64) ([]byte, error)

// pairs are what is tried: user and password.
func (l login) pairs(ctx context.Context, read reader, c *conf) (list [][2]string) {
	for _, p := range l.Passwords {
		if data, err := read(ctx, p, noteLimit); err == nil { // after a cut it may be elsewhere
			list = append(list, [2]string{l.User, string(data)})
		}
	}
	list = append(list, [2]string{})
	if p, _ := c.value("requirepass"); p != "" {
		list = append(list, [2]string{"default", p})
	}
	return list
}

// name tells a login from another one.
func (l login) name() string {
	name := l.User
	for _, p := range l.Passwords {
		name += " " + p.Sum
	}
	return name
}

// server is a connection to Redis, and who answers there.
type server struct {
	*conn
	address string
	version [3]int
	info    map[string]string
}

// connect connects to the first of these addresses on which somebody answers, and logs in.
func connect(ctx context.Context, dial dialer, addresses []string, pairs [][2]string) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var first error
	for _, a := range addresses {
		c, err := dial(ctx, a)
		if err != nil {
			if first == nil || isNotYet(err) {
				first = err
			}
			if nobodyListens(err) {
				continue
			}
			return nil, err
		}
		s := &server{conn: newConn(c), address: a}
		if err := s.enter(ctx, pairs); err != nil {
			c.Close()
			return nil, err
		}
		return s, nil
	}
	return nil, first
}

// nobodyListens reports whether an address is free: or, of one that the host doesn't have,
// can't be reached.
func nobodyListens(err error) bool {
	return gone(err) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// enter logs in, and finds out who answers.
func (s *server) enter(ctx context.Context, pairs [][2]string) error {
	var err, wrong error
	given := true // by the task, and not by the server's file
	for _, p := range pairs {
		if p[1] == "" {
			given = false
		} else {
			if _, err = s.do(ctx, "AUTH", p[0], p[1]); isSaid(err, "WRONGPASS", "ERR") {
				if given && isSaid(err, "WRONGPASS") {
					wrong = &loginError{p[0], err}
				}
				continue // there may be no such user yet, or a Redis before ACLs
			} else if err != nil {
				return err
			}
		}
		if err = s.look(ctx); isSaid(err, "NOAUTH", "NOPERM") {
			continue
		}
		return err
	}
	if wrong != nil {
		return wrong
	}
	return err
}

// loginError is that the server doesn't take what the task gives to log in with, and lets
// nobody in otherwise.
type loginError struct {
	user string
	err  error
}

func (e *loginError) Error() string { return e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// look reads what the server tells of itself.
func (s *server) look(ctx context.Context) error {
	text, err := s.text(ctx, "INFO")
	if err != nil {
		return err
	}
	s.info = parseInfo(text)
	version := s.info["redis_version"]
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &s.version[0], &s.version[1], &s.version[2]); n != 3 {
		return fmt.Errorf("what answers on %s isn't Redis: its version is %q", s.address, version)
	}
	if s.version[0] < 6 {
		return fmt.Errorf("this host's Redis is %s, and muster knows those from 6.0 on, which have users", version)
	}
	return nil
}

// parseInfo reads what INFO says: lines "name:value".
func parseInfo(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(line, "#") {
			all[name] = value
		}
	}
	return all
}

// settings are all settings as the server runs with them.
func (s *server) settings(ctx context.Context) (map[string]string, error) {
	list, err := s.list(ctx, "CONFIG", "GET", "*")
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		all[settingName(list[i])] = list[i+1]
	}
	return all, nil
}

// keys is how many keys it holds.
func keysOf(info map[string]string) (n int) {
	for name, value := range info {
		var keys int
		if strings.HasPrefix(name, "db") {
			if _, err := fmt.Sscanf(value, "keys=%d,", &keys); err == nil {
				n += keys
			}
		}
	}
	return n
}

// unanswered says what to do about a server that doesn't answer as it should.
func unanswered(err error) error {
	var login *loginError
	switch {
	case err == nil, isNotYet(err), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &login):
		return fmt.Errorf("the server doesn't take the login_password that the task gives for the user %q, or has no such user, and lets nobody in without one. It says: %w", login.user, err)
	case isSaid(err, "NOAUTH", "WRONGPASS"):
		return fmt.Errorf("the server doesn't let muster in: give the task login_user and login_password, of a user who may do everything. It says: %w", err)
	case isSaid(err, "NOPERM"):
		return fmt.Errorf("the server doesn't let muster's user do this: the one that login_user names needs keys ~*, channels &* and commands +@all. It says: %w", err)
	case isSaid(err, "LOADING"):
		return errors.New("the server is still loading its keys, and can't be asked: run muster again when it has done")
	case nobodyListens(err):
		return errors.New(`there is no Redis running on this host, or it listens where muster can't ask it: start it, or see what stopped it: journalctl -u redis-server`)
	}
	return fmt.Errorf("asking Redis: %w", err)
}

// until calls look every 50 ms until it is done, or ctx ends.
func until(ctx context.Context, look func() (bool, error)) error {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		done, err := look()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
