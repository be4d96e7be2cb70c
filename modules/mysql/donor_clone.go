package mysql

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"muster/host"
)

const (
	// clonePrefix begins the names of accounts that last as long as one clone.
	clonePrefix = "muster_clone_"
	// cloneBeat is how often the donor says that it is there: whoever doesn't take that is gone.
	cloneBeat = time.Second
	// tidyTime is how long the donor takes, at most, to remove what it has made.
	tidyTime = 10 * time.Second
)

// cloneLogin is what a donor tells of the account that it has made for a clone: the
// stream's first line. Blank lines follow while the account is there.
type cloneLogin struct {
	User     string `json:"user"`
	Password string `json:"password"`
	TLS      bool   `json:"tls"`
}

// sendClone has an account with which the replica's server may clone this one, as long as
// the stream is open: MySQL's servers copy by a connection of their own. It is never in
// the binary log. The server's own lock of its name tells whether whoever made it lives: a
// donor that was killed leaves the account to the next.
func sendClone(ctx context.Context, h *host.Host, s *server, _ donorRequest, w io.Writer) (err error) {
	if s.flavor != mysqlOwn {
		return errors.New("clone is MySQL's, and this is MariaDB")
	}
	if err := s.do(ctx, "SET SESSION sql_log_bin = 0, wait_timeout = 31536000"); err != nil {
		return err
	}
	if err := s.cloneTurn(ctx); err != nil {
		return err
	}
	if err := s.dropLeftClones(ctx); err != nil {
		return fmt.Errorf("removing what an earlier clone left: %w", err)
	}
	if _, err := s.ensureClonePlugin(ctx); err != nil {
		return err
	}
	login, err := s.newCloneLogin(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
		defer cancel()
		// Whether the connection still stands isn't known where ctx has ended in the middle
		// of a statement.
		fresh, gone := acting(ctx, h)
		if gone == nil {
			defer fresh.Close()
			if gone = fresh.do(ctx, "SET SESSION sql_log_bin = 0"); gone == nil {
				gone = fresh.do(ctx, "DROP USER IF EXISTS "+accountSQL(login.User, "%"))
			}
		}
		if gone != nil {
			err = errors.Join(err, fmt.Errorf("removing the account %s of this clone: %w", login.User, gone))
		}
	}()
	if err := s.makeCloneUser(ctx, login); err != nil {
		return fmt.Errorf("making the account of this clone: %w", err)
	}
	line, err := host.Marshal(login)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return err
	}
	beat := time.NewTicker(cloneBeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-beat.C:
			if _, err := w.Write([]byte{'\n'}); err != nil {
				return err
			}
		}
	}
}

// cloneTurn waits until nobody else clones the server: it lets one at a time
// (ER_CLONE_TOO_MANY_CONCURRENT_CLONES), and two replicas may ask at once. The turn ends
// with the connection.
func (s *server) cloneTurn(ctx context.Context) error {
	for {
		got, err := s.one(ctx, "SELECT GET_LOCK('muster_clone', 1)", 1)
		switch {
		case err != nil:
			return fmt.Errorf("waiting for the clones of others: %w", err)
		case got[0] == "1":
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

// newCloneLogin invents an account, and takes the lock of its name.
func (s *server) newCloneLogin(ctx context.Context) (*cloneLogin, error) {
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	tls, err := s.takesTLS(ctx)
	if err != nil {
		return nil, err
	}
	login := &cloneLogin{User: clonePrefix + hex.EncodeToString(random[:6]), TLS: tls}
	// A server may ask passwords for letters of each kind.
	login.Password = "aA1-" + hex.EncodeToString(random[6:])
	got, err := s.one(ctx, "SELECT GET_LOCK("+literal(login.User)+", 0)", 1)
	if err == nil && got[0] != "1" {
		err = errors.New("somebody else has the lock of the clone's account")
	}
	return login, err
}

func (s *server) makeCloneUser(ctx context.Context, login *cloneLogin) error {
	create := "CREATE USER " + accountSQL(login.User, "%") + " IDENTIFIED BY " + literal(login.Password)
	if login.TLS {
		create += " REQUIRE SSL"
	}
	// A donor that is killed together with its whole host leaves it: not for longer than a day.
	if err := s.do(ctx, create+" PASSWORD EXPIRE INTERVAL 1 DAY"); err != nil {
		return err
	}
	return s.do(ctx, "GRANT BACKUP_ADMIN ON *.* TO "+accountSQL(login.User, "%"))
}

// dropLeftClones removes the accounts of clones whose donor was killed.
func (s *server) dropLeftClones(ctx context.Context) error {
	rows, err := s.rows(ctx, "SELECT User, Host FROM mysql.user WHERE User LIKE "+literal(strings.ReplaceAll(clonePrefix, "_", `\_`)+"%")+" AND IS_FREE_LOCK(User) = 1")
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := s.do(ctx, "DROP USER IF EXISTS "+accountSQL(r[0], r[1])); err != nil {
			return err
		}
	}
	return nil
}

// ensureClonePlugin loads the plugin clone where it isn't, and reports whether it did. It
// stays loaded: MySQL can't unload it while somebody else's clone may be in its hands.
func (s *server) ensureClonePlugin(ctx context.Context) (bool, error) {
	rows, err := s.rows(ctx, "SELECT PLUGIN_STATUS FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'clone'")
	if err != nil {
		return false, err
	}
	if len(rows) > 0 {
		if rows[0][0] != "ACTIVE" {
			return false, fmt.Errorf("the server's plugin clone is %s", strings.ToLower(rows[0][0]))
		}
		return false, nil
	}
	if err := s.do(ctx, "INSTALL PLUGIN clone SONAME "+literal(clonePlugin)); err != nil {
		return false, fmt.Errorf("loading the plugin clone: %w", err)
	}
	return true, nil
}
