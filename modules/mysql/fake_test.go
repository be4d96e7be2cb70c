package mysql

import (
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"muster/host"
	"muster/modules"
)

// fake is a server: it speaks the protocol, and answers what it is told to.
type fake struct {
	t       *testing.T
	version string

	mu      sync.Mutex
	answers []answer
	// lets says who may log in besides root, by name.
	lets  map[string]bool
	me    map[string]string // what CURRENT_USER() answers, by name
	asked []string          // the statements, in order
	tried []string          // who has logged in, or tried to
	conns int
	// before, if not nil, is called with each statement before it is answered.
	before func(statement string)
	// wild, if not nil, has the connection in place of the server.
	wild func(conn net.Conn)
}

// answer is what is answered to statements that begin so: rows, or an error.
type answer struct {
	to   string
	rows [][]string
	err  string
	code uint16
	raw  []byte // a packet as it is
	// names are the columns', where that matters.
	names []string
}

// Versions as servers tell them.
const (
	mariadbVersion = "10.11.19-MariaDB-0+deb12u1"
	mysql80        = "8.0.43"
	mysql84        = "8.4.6"
	mysql97        = "9.7.0"
)

func newFake(t *testing.T, version string) *fake {
	t.Helper()
	if !host.IsRoot() {
		t.Skip("only root asks the server: needs root")
	}
	return &fake{t: t, version: version, lets: map[string]bool{}, me: map[string]string{}}
}

// say has the fake answer with rows, whose columns are cut at "|".
func (f *fake) say(to string, rows ...string) {
	a := answer{to: to}
	for _, r := range rows {
		a.rows = append(a.rows, strings.Split(r, "|"))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = append([]answer{a}, f.answers...)
}

// sayNamed has the fake answer with one row, whose columns have names: "Slave_IO_Running=Yes".
func (f *fake) sayNamed(to string, fields ...string) {
	a := answer{to: to, rows: [][]string{{}}}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		a.names, a.rows[0] = append(a.names, name), append(a.rows[0], value)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = append([]answer{a}, f.answers...)
}

func (f *fake) refuse(to string, code uint16, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = append([]answer{{to: to, code: code, err: text}}, f.answers...)
}

// host returns a host on which the fake listens at the usual place.
func (f *fake) host() *host.Host {
	h := host.New()
	h.Dialer = func(_ context.Context, network, address string) (net.Conn, error) {
		if network != "unix" || address != sockets[0] {
			return nil, &net.OpError{Op: "dial", Err: &os.SyscallError{Syscall: "connect", Err: fs.ErrNotExist}}
		}
		f.mu.Lock()
		f.conns++
		wild := f.wild
		f.mu.Unlock()
		here, there := net.Pipe()
		if wild != nil {
			go wild(there)
		} else {
			go f.serve(there)
		}
		return here, nil
	}
	return h
}

// plan plans a module on the host.
func (f *fake) plan(m modules.Module, h *host.Host) (modules.Plan, error) {
	return m.Plan(f.t.Context(), host.NewView(h, nil))
}

// statements are those that begin with one of these words.
func (f *fake) statements(words ...string) (list []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.asked {
		for _, w := range words {
			if strings.HasPrefix(s, w) {
				list = append(list, s)
			}
		}
	}
	return list
}

type wire struct {
	net.Conn
	seq byte
}

func (w *wire) send(data []byte) {
	head := []byte{byte(len(data)), byte(len(data) >> 8), byte(len(data) >> 16), w.seq}
	w.seq++
	_, _ = w.Write(append(head, data...))
}

func (w *wire) read() ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(w, head); err != nil {
		return nil, err
	}
	w.seq = head[3] + 1
	data := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	_, err := io.ReadFull(w, data)
	return data, err
}

func (w *wire) ok() { w.send([]byte{0, 0, 0, 2, 0, 0, 0}) }

func (w *wire) eof() { w.send([]byte{0xfe, 0, 0, 2, 0}) }

func (w *wire) fail(code uint16, text string) {
	w.send(append(binary.LittleEndian.AppendUint16([]byte{0xff}, code), "#HY000"+text...))
}

func (w *wire) rows(rows [][]string, names ...string) {
	if len(rows) == 0 {
		rows = [][]string{nil}
	}
	columns := max(len(rows[0]), 1)
	w.send([]byte{byte(columns)})
	for i := range columns {
		name := "c"
		if i < len(names) {
			name = names[i]
		}
		def := append([]byte{3, 'd', 'e', 'f', 0, 0, 0, byte(len(name))}, name...)
		w.send(append(def, 0, 0x0c, 45, 0, 0, 1, 0, 0, 0xfd, 0, 0, 0, 0, 0))
	}
	w.eof()
	for _, r := range rows {
		if r == nil {
			break
		}
		var data []byte
		for _, field := range r {
			data = append(append(data, 0xfc, byte(len(field)), byte(len(field)>>8)), field...)
		}
		w.send(data)
	}
	w.eof()
}

// serve is a connection. Any password lets in whom the fake lets in.
func (f *fake) serve(conn net.Conn) {
	defer conn.Close()
	w := &wire{Conn: conn}
	hello := append([]byte{10}, f.version...)
	hello = append(hello, 0, 1, 0, 0, 0)
	hello = append(hello, "12345678"...)
	const capabilities = 0x000fa2ff &^ 0x800 // no TLS
	hello = append(hello, 0, capabilities&0xff, capabilities>>8&0xff, 45, 2, 0, capabilities>>16&0xff, 0, 21)
	hello = append(hello, make([]byte, 10)...)
	hello = append(hello, "abcdefghijkl\x00mysql_native_password\x00"...)
	w.send(hello)
	login, err := w.read()
	if err != nil || len(login) < 33 {
		return
	}
	user, _, _ := strings.Cut(string(login[32:]), "\x00")
	f.mu.Lock()
	f.tried = append(f.tried, user)
	in := user == "root" || f.lets[user]
	f.mu.Unlock()
	if !in {
		w.fail(errAccessDenied, "Access denied for user '"+user+"'@'localhost' (using password: YES)")
		return
	}
	w.ok()
	for {
		packet, err := w.read()
		switch {
		case err != nil || len(packet) == 0 || packet[0] == 1:
			return
		case packet[0] != 3:
			w.ok()
		default:
			f.answer(w, user, string(packet[1:]))
		}
	}
}

func (f *fake) answer(w *wire, user, statement string) {
	if f.before != nil {
		f.before(statement)
	}
	f.mu.Lock()
	f.asked = append(f.asked, statement)
	found := answer{}
	for _, a := range f.answers {
		if strings.HasPrefix(statement, a.to) {
			found = a
			break
		}
	}
	me := f.me[user]
	f.mu.Unlock()
	if me == "" {
		me = user + "@localhost"
	}
	switch {
	case found.raw != nil:
		w.send(found.raw)
		_, _ = w.read() // what the client has to say about it
		w.fail(1, "enough")
	case found.code != 0:
		w.fail(found.code, found.err)
	case found.rows != nil:
		w.rows(found.rows, found.names...)
	case strings.HasPrefix(statement, "SELECT VERSION()"):
		w.rows([][]string{{f.version, "", me, "0"}})
	case statement == "SELECT CURRENT_USER()":
		w.rows([][]string{{me}})
	case statement == "SELECT CONNECTION_ID(), UNIX_TIMESTAMP()":
		w.rows([][]string{{"100", "5000"}})
	case statement == "SHOW GLOBAL STATUS LIKE 'Uptime'":
		w.rows([][]string{{"Uptime", "4000"}})
	case strings.HasPrefix(statement, "SELECT"), strings.HasPrefix(statement, "SHOW"):
		w.rows(nil)
	default:
		w.ok()
	}
}

// MariaDB's and MySQL's privileges, as SHOW PRIVILEGES has them, the first column alone.
const (
	commonPrivileges = "Alter,Alter routine,Create,Create routine,Create temporary tables,Create view,Create user,Delete,Drop,Event,Execute,File,Grant option,Index,Insert,Lock tables,Process,Proxy,References,Reload,Replication slave,Select,Show databases,Show view,Shutdown,Super,Trigger,Create tablespace,Update,Usage"
	mariadbOnly      = ",Delete history,Binlog admin,Binlog monitor,Binlog replay,Replication master admin,Replication slave admin,Slave monitor,Set user,Federated admin,Connection admin,Read_only admin"
	// 8.4, recorded with the components that it has by itself.
	mysqlOnly = ",Create role,Drop role,Replication client,ALLOW_NONEXISTENT_DEFINER,APPLICATION_PASSWORD_ADMIN,AUDIT_ABORT_EXEMPT,AUDIT_ADMIN,AUTHENTICATION_POLICY_ADMIN,BACKUP_ADMIN,BINLOG_ADMIN,BINLOG_ENCRYPTION_ADMIN,CLONE_ADMIN,CONNECTION_ADMIN,ENCRYPTION_KEY_ADMIN,FIREWALL_EXEMPT,FLUSH_OPTIMIZER_COSTS,FLUSH_PRIVILEGES,FLUSH_STATUS,FLUSH_TABLES,FLUSH_USER_RESOURCES,GROUP_REPLICATION_ADMIN,GROUP_REPLICATION_STREAM,INNODB_REDO_LOG_ARCHIVE,INNODB_REDO_LOG_ENABLE,OPTIMIZE_LOCAL_TABLE,PASSWORDLESS_USER_ADMIN,PERSIST_RO_VARIABLES_ADMIN,REPLICATION_APPLIER,REPLICATION_SLAVE_ADMIN,RESOURCE_GROUP_ADMIN,RESOURCE_GROUP_USER,ROLE_ADMIN,SENSITIVE_VARIABLES_OBSERVER,SERVICE_CONNECTION_ADMIN,SESSION_VARIABLES_ADMIN,SET_ANY_DEFINER,SHOW_ROUTINE,SYSTEM_USER,SYSTEM_VARIABLES_ADMIN,TABLE_ENCRYPTION_ADMIN,TELEMETRY_LOG_ADMIN,TRANSACTION_GTID_TAG,XA_RECOVER_ADMIN"
)

// mariadbFake is a MariaDB with these accounts: lines of mysql.global_priv.
func mariadbFake(t *testing.T, accounts ...string) *fake {
	t.Helper()
	f := newFake(t, mariadbVersion)
	f.say("SHOW PRIVILEGES", strings.Split(commonPrivileges+mariadbOnly, ",")...)
	f.say("SELECT User, Host, Priv FROM mysql.global_priv", accounts...)
	return f
}

// mysqlFake is a MySQL with these accounts: lines of mysql.user.
func mysqlFake(t *testing.T, version string, accounts ...string) *fake {
	t.Helper()
	f := newFake(t, version)
	f.say("SHOW PRIVILEGES", strings.Split(commonPrivileges+mysqlOnly, ",")...)
	f.say("SELECT User, Host, plugin, HEX(authentication_string)", accounts...)
	return f
}

// user is a task's module, with what Decode fills in.
func user(u User) *User {
	if u.Host == "" {
		u.Host = "localhost"
	}
	if u.State == "" {
		u.State = "present"
	}
	if u.proofs == nil {
		u.proofs = &proofs{}
	}
	return &u
}

// make makes a plan's changes on the host, and returns what takes them back.
func makePlan(t *testing.T, h *host.Host, plan modules.Plan) (undo []host.Change, err error) {
	t.Helper()
	h.Undo = func(u host.Undo) error { undo = append(undo, u.Changes...); return nil }
	for _, c := range plan.Changes {
		if _, err := c.Apply(t.Context(), h); err != nil {
			return undo, err
		}
	}
	return undo, nil
}
