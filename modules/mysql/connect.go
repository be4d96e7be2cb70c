package mysql

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	client "github.com/go-sql-driver/mysql"

	"muster/host"
	"muster/modules"
)

// sockets are where servers of Debian's, Red Hat's and SUSE's packages listen. Only root and
// the server's own user can listen there. In /tmp, where Oracle's archives have it, anybody
// could, and be told passwords while the server is down.
var sockets = []string{"/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/run/mysql/mysql.sock"}

// serverKeys are what the server's answers depend on: the packages and units that bring it.
var serverKeys = []host.Key{
	{Space: host.Packages, Name: "mariadb-server"}, {Space: host.Packages, Name: "mysql-server"},
	{Space: host.Packages, Name: "default-mysql-server"}, {Space: host.Packages, Name: "mysql-community-server"},
	{Space: host.Units, Name: "mariadb.service"}, {Space: host.Units, Name: "mysql.service"}, {Space: host.Units, Name: "mysqld.service"},
}

const (
	// dialTime is how long the server may take to let somebody in, answerTime how long
	// to answer a question while planning.
	dialTime   = 10 * time.Second
	answerTime = 30 * time.Second
	// lockTime is how long a change waits, in seconds, for those who use what it alters.
	// The servers' own limits are a day and a year.
	lockTime = 60
)

// dialer connects to a socket of the host's: "unix:/run/mysqld/mysqld.sock".
type dialer func(ctx context.Context, address string) (net.Conn, error)

// viewDialer is the one of a view, for questions.
func viewDialer(v *host.View) dialer {
	return func(ctx context.Context, address string) (net.Conn, error) {
		return v.Dial(ctx, address, serverKeys...)
	}
}

// login is whom the server is asked as.
type login struct {
	user, password string
	tls            bool
	shown          func(certificate []byte) // told the certificate that the server shows
	chain          func(chain [][]byte)     // told all that it shows
}

// look has the server's certificate told to whoever asks.
func (l login) look(c tls.ConnectionState) error {
	if l.shown != nil && len(c.PeerCertificates) > 0 {
		l.shown(c.PeerCertificates[0].Raw)
	}
	if l.chain != nil {
		var chain [][]byte
		for _, c := range c.PeerCertificates {
			chain = append(chain, bytes.Clone(c.Raw))
		}
		l.chain(chain)
	}
	return nil
}

// open connects to the server. The pool that it returns has one connection, which is made
// already; whoever asks closes it.
func open(ctx context.Context, dial dialer, who login) (*sql.DB, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, address, err := dialAny(ctx, dial)
	if err != nil {
		return nil, err
	}
	cfg := client.NewConfig()
	cfg.Net, cfg.Addr = "unix", address
	cfg.User, cfg.Passwd = who.user, who.password
	cfg.Logger = &client.NopLogger{}
	cfg.InterpolateParams = false
	// Its size is the server's to limit. The driver would ask for that first.
	cfg.MaxAllowedPacket = 16 << 20
	if who.tls {
		// The peer is on this host: the socket is a file that only the server can have.
		cfg.TLS = &tls.Config{InsecureSkipVerify: true, VerifyConnection: who.look} //nolint:gosec // see above
	}
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if conn == nil {
			return nil, errors.New("the connection to the server is lost")
		}
		first := conn
		conn = nil
		return first, nil
	}
	connector, err := client.NewConnector(cfg)
	if err != nil {
		conn.Close()
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		if conn != nil {
			conn.Close()
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("%s hasn't let anybody in within %s: %w", address, dialTime, err)
		}
		return nil, err
	}
	return db, nil
}

// dialAny connects to the first socket on which somebody listens. Its error is the one of
// the usual socket where nobody does, or the one that another reason than that has.
func dialAny(ctx context.Context, dial dialer) (conn net.Conn, address string, err error) {
	var first error
	for _, path := range sockets {
		conn, err := dial(ctx, "unix:"+path)
		switch {
		case err == nil:
			return conn, path, nil
		case first == nil, errors.Is(first, fs.ErrNotExist) && !errors.Is(err, fs.ErrNotExist):
			first = err
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
	}
	return nil, "", first
}

// stated is an error about what the server has told, in muster's own words.
type stated string

func (s stated) Error() string { return string(s) }

// unanswered says what to do about a server that doesn't answer.
func unanswered(err error) error {
	var said *client.MySQLError
	var wrong modules.ArgError
	var plain stated
	switch {
	case err == nil, errors.Is(err, host.ErrNotYet), errors.Is(err, context.Canceled), errors.As(err, &wrong), errors.As(err, &plain):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return errors.New(`MariaDB doesn't run on this host, and neither does MySQL: install it in an earlier task, task "package" "mariadb-server" {}, or see what stopped it: journalctl -u mariadb -u mysql`)
	case errors.Is(err, os.ErrPermission):
		return errors.New(`only root is let in to the database server's socket: give the task "become = true"`)
	case errors.As(err, &said) && (said.Number == errAccessDenied || said.Number == errNoSuchLogin):
		return fmt.Errorf(`the server doesn't let root in by its socket: give it that account, CREATE USER root@localhost IDENTIFIED VIA unix_socket (MySQL: WITH auth_socket), with all privileges. It says: %s`, said.Message)
	case errors.Is(err, client.ErrUnknownPlugin):
		return errors.New("the server asks root for a way to log in that muster doesn't know: give root@localhost the plugin unix_socket (MySQL: auth_socket)")
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, client.ErrInvalidConn):
		return errors.New("the database server has closed the connection: see why in its log, journalctl -u mariadb -u mysql")
	}
	return fmt.Errorf("asking the database server: %w", err)
}

// Numbers of the server's errors (MySQL's errmsg, MariaDB's are the same below 1900).
const (
	errAccessDenied  = 1045
	errNoSuchLogin   = 1698 // access denied without a password
	errUserLimit     = 1226
	errTooManyOfUser = 1203
	errMustChange    = 1862
	errLockedMySQL   = 3118
	errLockedMariaDB = 4151
	errParse         = 1064
	errPrevented     = 1290 // a setting of the server forbids the statement
	errPolicy        = 1819 // a password that the policy forbids
	errHistory       = 3638 // one that the account had before
	errWrongType     = 1232
)

// isError reports whether the server has answered with one of these errors.
func isError(err error, numbers ...uint16) bool {
	var said *client.MySQLError
	return errors.As(err, &said) && slices.Contains(numbers, said.Number)
}

// errorNumber is that of a server's error; 0 for another one.
func errorNumber(err error) uint16 {
	var said *client.MySQLError
	if !errors.As(err, &said) {
		return 0
	}
	return said.Number
}

// acting connects for a change.
func acting(ctx context.Context, h *host.Host) (*server, error) {
	s, err := connect(ctx, h.Dial)
	return s, unanswered(err)
}

// connect connects as root, and finds out who answers.
func connect(ctx context.Context, dial dialer) (*server, error) {
	db, err := open(ctx, dial, login{user: "root"})
	if err != nil {
		return nil, err
	}
	s := &server{db: db}
	if err := s.hello(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// asking has do ask the server while planning, and closes the connection.
func asking[T any](ctx context.Context, v *host.View, do func(*server) (T, error)) (T, error) {
	var none T
	if !host.IsRoot() {
		return none, errors.New(`only root may ask the database server: give the task "become = true"`)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	s, err := connect(ctx, viewDialer(v))
	if err != nil {
		return none, unanswered(err)
	}
	defer s.Close()
	t, err := do(s)
	if err != nil {
		return none, unanswered(err)
	}
	return t, nil
}

// settled is host.ErrNotYet where pending changes are about who answers.
func settled(v *host.View) error {
	for _, k := range serverKeys {
		if _, laid, _, err := v.Look(k); err != nil {
			return err
		} else if laid {
			return host.NotYet(k)
		}
	}
	return nil
}

// settledRole is host.ErrNotYet where pending changes are about who answers, or about what
// the server is to others that replicate.
func settledRole(v *host.View) error {
	if err := settled(v); err != nil {
		return err
	}
	_, laid, _, err := v.Look(roleKey)
	if err == nil && laid {
		err = host.NotYet(roleKey)
	}
	return err
}

// oneLine is text on one line, of at most that many letters.
func oneLine(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
