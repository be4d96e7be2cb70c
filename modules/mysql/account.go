package mysql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// method is a way in which an account is let in. MariaDB's may have several.
type method struct {
	Plugin string `json:"plugin"`
	Auth   string `json:"auth,omitempty"` // what the server knows of the password; in hex, on MySQL
}

// What an account's connections have to be.
const (
	plainTLS = ""      // anything
	anyTLS   = "ssl"   // TLS
	certTLS  = "x509"  // TLS with a certificate of the client's
	ownCert  = "issue" // with one of a certain issuer, subject or cipher
)

// limits are what an account may do in an hour, and how many connections it has at once;
// 0 is no limit.
type limits [4]int

// limitWords are how statements call them.
var limitWords = [4]string{"MAX_QUERIES_PER_HOUR", "MAX_UPDATES_PER_HOUR", "MAX_CONNECTIONS_PER_HOUR", "MAX_USER_CONNECTIONS"}

// account is an account as a server has it, without its privileges.
type account struct {
	name, host      string
	methods         []method
	second          string // of MySQL's second password a sum; "" where there is none
	tls             string
	limits          limits
	locked, expired bool
	role            bool
}

// dual reports whether it has a second password.
func (a *account) dual() bool {
	return a.second != "" || len(a.methods) > 1 && !strings.Contains(a.plugin(), " ")
}

// plugin names its methods: "mysql_native_password or unix_socket".
func (a *account) plugin() string {
	var names []string
	for _, m := range a.methods {
		if !slices.Contains(names, m.Plugin) { // several passwords of one
			names = append(names, m.Plugin)
		}
	}
	return strings.Join(names, " or ")
}

// auth is a digest of what the server knows of its password: another one where that is set.
func (a *account) auth() string {
	sum := sha256.New()
	for _, m := range a.methods {
		fmt.Fprintf(sum, "%q %q ", m.Plugin, m.Auth)
	}
	if a.second != "" {
		fmt.Fprintf(sum, "%q ", a.second)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// accounts are all accounts of a server, and what it knows about privileges.
type accounts struct {
	about
	list       []account
	privileges privileges
	grants     map[string]granted // of those that were asked about, by name@host
}

// granted is an account's privileges, or why they can't be told.
type granted struct {
	grants grants
	err    error
}

func (a *accounts) find(name, host string) *account {
	at := slices.IndexFunc(a.list, func(o account) bool { return o.name == name && strings.EqualFold(o.host, host) })
	if at < 0 {
		return nil
	}
	return &a.list[at]
}

func accountName(name, host string) string { return name + "@" + strings.ToLower(host) }

// accounts asks for all accounts, and for the privileges of those with these names.
func (s *server) accounts(ctx context.Context, names []string) (*accounts, error) {
	a := &accounts{privileges: privileges{}, grants: map[string]granted{}}
	rows, err := s.rows(ctx, "SHOW GLOBAL STATUS LIKE 'Ssl_server_not_after'")
	if err != nil {
		return nil, err
	}
	s.tls = len(rows) == 1 && rows[0][1] != ""
	a.about = s.about
	if a.list, err = s.readAccounts(ctx, ""); err != nil {
		return nil, err
	}
	if rows, err = s.rows(ctx, "SHOW PRIVILEGES"); err != nil {
		return nil, err
	}
	for _, r := range rows {
		a.privileges[strings.ToUpper(r[0])] = true
	}
	if len(a.privileges) < 10 {
		return nil, errors.New("the server tells next to no privileges that there are")
	}
	for _, o := range a.list {
		if slices.Contains(names, o.name) && !o.role {
			g, err := s.grantsOf(ctx, o.name, o.host, a.privileges)
			a.grants[accountName(o.name, o.host)] = granted{g, err}
		}
	}
	return a, nil
}

// grantsOf asks for an account's privileges.
func (s *server) grantsOf(ctx context.Context, name, host string, p privileges) (grants, error) {
	rows, err := s.rows(ctx, "SHOW GRANTS FOR "+accountSQL(name, host))
	if err != nil {
		return nil, err
	}
	g := grants{}
	for _, r := range rows {
		if err := g.addLine(r[0], p, s.fold); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// accountNow is an account as it is; nil where there is none.
func (s *server) accountNow(ctx context.Context, name, host string) (*account, error) {
	list, err := s.readAccounts(ctx, " WHERE User = "+literal(name))
	if err != nil {
		return nil, err
	}
	return (&accounts{list: list}).find(name, host), nil
}

func (s *server) readAccounts(ctx context.Context, where string) (list []account, err error) {
	query := "SELECT User, Host, plugin, HEX(authentication_string), ssl_type, account_locked, password_expired, max_questions, max_updates, max_connections, max_user_connections, SHA2(JSON_UNQUOTE(JSON_EXTRACT(User_attributes, '$.additional_password')), 256) FROM mysql.user"
	if s.flavor == mariadb {
		query = "SELECT User, Host, Priv FROM mysql.global_priv"
	}
	rows, err := s.rows(ctx, query+where+" ORDER BY User, Host")
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		a := account{name: r[0], host: r[1]}
		if s.flavor == mariadb {
			err = a.fromJSON(r[2])
		} else {
			err = a.fromRow(r[2:])
		}
		if err != nil {
			return nil, fmt.Errorf("what the server has of the account %s: %w", accountName(r[0], r[1]), err)
		}
		list = append(list, a)
	}
	return list, nil
}

// fromJSON reads MariaDB's mysql.global_priv.Priv.
func (a *account) fromJSON(text string) error {
	type way struct {
		Plugin *string `json:"plugin"`
		Auth   string  `json:"authentication_string"`
	}
	var p struct {
		way
		Or            []way  `json:"auth_or"`
		Locked        bool   `json:"account_locked"`
		Changed       *int64 `json:"password_last_changed"`
		TLS           int    `json:"ssl_type"`
		Queries       int    `json:"max_queries"`
		Updates       int    `json:"max_updates"`
		Connections   int    `json:"max_connections"`
		AtOnce        int    `json:"max_user_connections"`
		Role          bool   `json:"is_role"`
		QueriesByName int    `json:"max_questions"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	if p.Or == nil {
		p.Or = []way{{}}
	}
	for _, w := range p.Or {
		if w.Plugin == nil {
			w = p.way
		}
		name := ""
		if w.Plugin != nil {
			name = *w.Plugin
		}
		a.methods = append(a.methods, method{Plugin: name, Auth: w.Auth})
	}
	a.locked, a.role = p.Locked, p.Role
	a.expired = p.Changed != nil && *p.Changed == 0
	if p.TLS < 0 || p.TLS > 3 {
		return fmt.Errorf("ssl_type %d", p.TLS)
	}
	a.tls = []string{plainTLS, anyTLS, certTLS, ownCert}[p.TLS]
	a.limits = limits{max(p.Queries, p.QueriesByName), p.Updates, p.Connections, p.AtOnce}
	return nil
}

// fromRow reads a row of MySQL's mysql.user.
func (a *account) fromRow(r []string) error {
	a.methods = []method{{Plugin: r[0], Auth: r[1]}}
	if len(r) > 9 {
		a.second = r[9]
	}
	tls, ok := map[string]string{"": plainTLS, "ANY": anyTLS, "X509": certTLS, "SPECIFIED": ownCert}[r[2]]
	if !ok {
		return fmt.Errorf("ssl_type %q", r[2])
	}
	a.tls, a.locked, a.expired = tls, r[3] == "Y", r[4] == "Y"
	for i := range a.limits {
		var err error
		if a.limits[i], err = strconv.Atoi(r[5+i]); err != nil {
			return err
		}
	}
	return nil
}

// standing is an account as it stands at its key.
type standing struct {
	Plugin string `json:"plugin"` // "": the server's own choice
	Auth   string `json:"auth,omitempty"`
	// Password is the sum of the password that is to be set, where one is.
	Password string `json:"password,omitempty"`
	TLS      string `json:"tls,omitempty"`
	Limits   limits `json:"limits"`
	Grants   grants `json:"grants,omitempty"`
}

func (a *account) standing(g grants) *standing {
	return &standing{Plugin: a.plugin(), Auth: a.auth(), TLS: a.tls, Limits: a.limits, Grants: g}
}

// same reports whether both are one state of an account, its privileges left out.
func (s *standing) same(o *standing) bool {
	return s.Plugin == o.Plugin && s.Auth == o.Auth && s.TLS == o.TLS && s.Limits == o.Limits
}

// same reports whether both hold the same privileges.
func (g grants) same(o grants) bool {
	if len(g) != len(o) {
		return false
	}
	for object, atoms := range g {
		if !slices.Equal(atoms, o[object]) {
			return false
		}
	}
	return true
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
