package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	client "github.com/go-sql-driver/mysql"
)

// identity is which server a replica's source has to be.
type identity struct {
	ServerID int64  `json:"server_id"`
	UUID     string `json:"uuid,omitempty"`
}

// tryLogin logs in at a source as the replica would, and asks who answers and whether it may
// replicate: what can't work is found before a replica that runs is stopped for it.
func (l link) tryLogin(ctx context.Context, primary, password string, who identity) error {
	at := net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
	cfg := client.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd = "tcp", at, l.User, password
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = dialTime, dialTime, dialTime
	cfg.Logger, cfg.MaxAllowedPacket = &client.NopLogger{}, 1<<20
	if l.TLS {
		var err error
		if cfg.TLS, err = l.trusts(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	s, err := openConfig(ctx, cfg)
	switch {
	case isError(err, errAccessDenied, errNoSuchLogin):
		return fmt.Errorf("%s doesn't let %s in at %s: make the account there with an earlier mysql_user task, for this host, with this password and the privilege REPLICATION SLAVE; nothing is changed here. It says: %w", primary, l.User, at, err)
	case err != nil:
		return fmt.Errorf("logging in at %s as %s, as the replica would; nothing is changed here: %w", at, l.User, err)
	}
	defer s.Close()
	query := "SELECT @@server_id, ''"
	if who.UUID != "" {
		query = "SELECT @@server_id, @@server_uuid"
	}
	rows, err := s.rows(ctx, query)
	switch {
	case err != nil:
		return fmt.Errorf("asking who answers at %s: %w", at, err)
	case len(rows) != 1 || rows[0][0] != strconv.FormatInt(who.ServerID, 10) || !strings.EqualFold(rows[0][1], who.UUID):
		return fmt.Errorf("%s leads to another server than that of %s, which has the server_id %d: give an address that leads there; nothing is changed here", at, primary, who.ServerID)
	}
	may, err := s.mayReplicate(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("asking whether %s may replicate from %s: %w", l.User, primary, err)
	case !may:
		return fmt.Errorf("%s lets %s in and doesn't let it replicate: its account there lacks the privilege REPLICATION SLAVE on *.*; grant it with an earlier mysql_user task on %s; nothing is changed here", primary, l.User, primary)
	}
	return nil
}

// errNeedsPrivilege is a statement that the account may not make.
const errNeedsPrivilege = 1227

// mayReplicate reports whether whoever is logged in has the privilege REPLICATION SLAVE, by
// itself or by a role that it has when it logs in. MySQL is asked for what takes that
// privilege and nothing else. MariaDB has no such statement, and tells what is granted: to the
// account, to its role, and to everybody.
func (s *server) mayReplicate(ctx context.Context) (bool, error) {
	if err := s.hello(ctx); err != nil {
		return false, err
	}
	if s.flavor == mysqlOwn {
		query := "SHOW REPLICAS"
		if replica, _ := s.words(); replica == "SLAVE" {
			query = "SHOW SLAVE HOSTS"
		}
		_, err := s.rows(ctx, query)
		if isError(err, errNeedsPrivilege) {
			return false, nil
		}
		return err == nil, err
	}
	rows, err := s.rows(ctx, "SHOW GRANTS")
	if err != nil {
		return false, err
	}
	if s.atLeast([3]int{10, 11, 0}) { // what everybody may is listed by itself
		everybody, err := s.rows(ctx, "SHOW GRANTS FOR PUBLIC")
		if err != nil && !isError(err, errAccessDenied, errNoGrants, errNoSuchRole) {
			return false, err
		}
		rows = append(rows, everybody...)
	}
	return slices.ContainsFunc(rows, func(row []string) bool { return grantsReplication(row[0]) }), nil
}

// What MariaDB says of grants to somebody who has none, or isn't there.
const (
	errNoGrants   = 1141
	errNoSuchRole = 1959
)

// globalGrant is a line of SHOW GRANTS about all databases.
var globalGrant = regexp.MustCompile(`^GRANT (.+) ON \*\.\* TO `)

// grantsReplication reports whether a line of SHOW GRANTS has REPLICATION SLAVE in it.
func grantsReplication(line string) bool {
	m := globalGrant.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	list := strings.Split(m[1], ", ")
	return slices.Contains(list, "REPLICATION SLAVE") || slices.Contains(list, "ALL PRIVILEGES")
}

// openConfig connects. Whoever asks closes it.
func openConfig(ctx context.Context, cfg *client.Config) (*server, error) {
	connector, err := client.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	s := &server{db: sql.OpenDB(connector)}
	if err := s.db.PingContext(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// trusts is whom the connection may be to.
func (l link) trusts() (*tls.Config, error) {
	pem, err := os.ReadFile(l.CA)
	if err != nil {
		return nil, fmt.Errorf("reading who signs the primary's certificate: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", l.CA)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does it
		VerifyConnection: func(state tls.ConnectionState) error {
			var chain [][]byte
			for _, c := range state.PeerCertificates {
				chain = append(chain, c.Raw)
			}
			return l.accepts(chain, pem)
		},
	}, nil
}

// accepts says what is against the certificates that the primary shows, its own first, by what
// the CA's file holds. The servers take a certificate's common name where it names no host
// otherwise, which Go's own check doesn't.
func (l link) accepts(chain [][]byte, ca []byte) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	var leaf *x509.Certificate
	for i, der := range chain {
		c, err := x509.ParseCertificate(der)
		switch {
		case err != nil:
			return fmt.Errorf("the primary's certificate: %w", err)
		case i == 0:
			leaf = c
		default:
			between.AddCert(c)
		}
	}
	if leaf == nil {
		return errors.New("the primary shows no certificate")
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil {
		return fmt.Errorf("the primary's certificate isn't signed by whom %s trusts: %w", l.CA, err)
	}
	if !l.Verify || leaf.VerifyHostname(l.Host) == nil {
		return nil
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 && strings.EqualFold(leaf.Subject.CommonName, l.Host) {
		return nil
	}
	return errors.New("the primary's certificate is for another name than " + l.Host)
}
