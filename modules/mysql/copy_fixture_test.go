package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"muster/host"
	"muster/modules/modulestest"
	"muster/tests/await"
)

// These tests take a lab's host with MariaDB and mariadb-backup, as tests/real.sh makes
// one. A second server beside the host's own is the donor.
const (
	donorDir    = "/var/lib/mysql-donor"
	donorSocket = donorDir + "/donor.sock" // /run/mysqld goes with the unit, where systemd makes it
	donorPort   = 3307
	// childEnv has a run of this program be the one that copies: METHOD, or METHOD STEP to
	// be killed at that step.
	childEnv = "MUSTER_TEST_COPY"
)

func onLabHost(t *testing.T) {
	t.Helper()
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("it takes a lab's host: " + modulestest.LabHost)
	}
}

func shell(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%s: %v", script, out, err)
	}
	return string(out)
}

// real is the flavour of the host's server.
func real() flavor {
	if _, err := exec.LookPath("mariadbd"); err == nil {
		return mariadb
	}
	return mysqlOwn
}

// methods are those of the host's flavour.
func methods() []string {
	if real() == mariadb {
		return []string{byBackup, byDump}
	}
	return []string{byClone, byDump}
}

// install makes a data directory that nothing is in.
func install(t *testing.T, dir string) {
	t.Helper()
	if real() == mariadb {
		shell(t, "mariadb-install-db --no-defaults --user=mysql --datadir="+dir+" --auth-root-authentication-method=socket --skip-test-db >/tmp/install.log 2>&1")
		return
	}
	shell(t, "install -d -o mysql -g mysql -m 0700 "+dir+"; mysqld --no-defaults --initialize-insecure --user=mysql --datadir="+dir+" >/tmp/install.log 2>&1")
}

// startDonor starts a server with a database to copy.
func startDonor(t *testing.T) *sql.DB {
	t.Helper()
	shell(t, "rm -rf "+donorDir)
	install(t, donorDir)
	argv := []string{
		"--no-defaults", "--user=mysql", "--datadir=" + donorDir, "--socket=" + donorSocket, "--bind-address=127.0.0.1",
		"--port=" + strconv.Itoa(donorPort), "--pid-file=" + donorDir + "/pid", "--server-id=1", "--log-bin=donor-bin", "--innodb-flush-log-at-trx-commit=2",
	}
	program := "mariadbd"
	if real() == mariadb {
		argv = append(argv, "--gtid-strict-mode", "--log-slave-updates")
	} else {
		program, argv = "mysqld", append(argv, "--gtid-mode=ON", "--enforce-gtid-consistency", "--mysqlx=OFF")
	}
	cmd := exec.Command(program, argv...)
	log, err := os.Create("/tmp/donor.log")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
		_ = os.RemoveAll(donorDir)
	})
	db := rootOf(t, donorSocket)
	for _, s := range []string{
		"CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(200), bytes VARBINARY(100))",
		"CREATE TABLE shop.stock (id INT PRIMARY KEY, n INT NOT NULL)", "INSERT INTO shop.stock SELECT seq, seq FROM (SELECT 1 seq UNION SELECT 2 UNION SELECT 3) s",
		"CREATE VIEW shop.few AS SELECT * FROM shop.stock WHERE n < 3", "CREATE FUNCTION shop.twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2",
		"CREATE EVENT shop.tick ON SCHEDULE EVERY 1 DAY DO UPDATE shop.stock SET n = n + 1",
		"CREATE USER app@'%' IDENTIFIED BY 'app-1'", "GRANT SELECT ON shop.* TO app@'%'", "CREATE ROLE readers", "GRANT SELECT ON shop.orders TO readers", "GRANT readers TO app@'%'",
		"CREATE USER repl@'%' IDENTIFIED BY 'repl-1'", "GRANT REPLICATION SLAVE ON *.* TO repl@'%'",
		"INSERT INTO shop.orders (what, bytes) VALUES ('O''Brien \\\\ \\n', x'00ff0a27')",
	} {
		must(t, db, s)
	}
	return db
}

func rootOf(t *testing.T, socket string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", "root@unix("+socket+")/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	await.Until(t, "the server at "+socket+" answers", func() bool { return db.Ping() == nil })
	return db
}

func must(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func value(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var v sql.NullString
	if err := db.QueryRow(query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v.String
}

// plainRecipient has the host's own server be one that nothing was copied to.
func plainRecipient(t *testing.T) {
	t.Helper()
	unit, conf, settings := "mariadb", "/etc/mysql/mariadb.conf.d/99-muster-copy.cnf", `gtid_strict_mode = 1\nlog_slave_updates = 1`
	if real() == mysqlOwn {
		unit, conf, settings = "mysql", "/etc/mysql/mysql.conf.d/99-muster-copy.cnf", `gtid_mode = ON\nenforce_gtid_consistency = ON`
	}
	shell(t, `
printf '[mysqld]\nserver_id = 2\nlog_bin = own-bin\n`+settings+`\n' >`+conf+`
systemctl stop `+unit+`
systemctl reset-failed `+unit+` 2>/dev/null || true
rm -rf /var/lib/mysql.muster-* /var/lib/muster/mysql/copy.json
mkdir -p /var/lib/mysql # a file system may be mounted there
chown mysql: /var/lib/mysql
find /var/lib/mysql -mindepth 1 -delete`)
	install(t, "/var/lib/mysql")
	shell(t, `
touch /var/lib/mysql/debian-10.11.flag
systemctl start `+unit)
	own := rootOf(t, "/run/mysqld/mysqld.sock")
	for _, q := range []string{"CREATE DATABASE mine", "CREATE TABLE mine.t (a INT)", "CREATE USER own@localhost"} {
		must(t, own, q)
	}
	t.Cleanup(func() {
		shell(t, "rm -f "+conf+"; systemctl reset-failed "+unit+" 2>/dev/null || true; systemctl restart "+unit)
	})
}

// writer writes orders until it is stopped, and counts those that were acknowledged.
type writer struct {
	done  atomic.Int64
	stop  func()
	ended chan error
	// longest is how long a commit has taken at most, in ns.
	longest atomic.Int64
}

func write(t *testing.T, db *sql.DB) *writer {
	stop := make(chan struct{})
	w := &writer{stop: sync.OnceFunc(func() { close(stop) }), ended: make(chan error, 1)}
	t.Cleanup(w.stop)
	pace := time.NewTicker(2 * time.Millisecond) // so that there isn't ever more to copy
	go func() {
		defer pace.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				w.ended <- nil
				return
			case <-pace.C:
			}
			begun := time.Now()
			if _, err := db.Exec("INSERT INTO shop.orders (what, bytes) VALUES (?, ?)", fmt.Sprintf("order %d", n), []byte{byte(n), 0, 255}); err != nil {
				w.ended <- err
				return
			}
			if took := int64(time.Since(begun)); took > w.longest.Load() {
				w.longest.Store(took)
			}
			w.done.Add(1)
		}
	}()
	return w
}

func (w *writer) end(t *testing.T) {
	t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		t.Fatal(err)
	}
}

// beside is the donor on the same host, as the task's companion. spoil, if not nil, may
// break its stream.
type beside struct {
	spoil func(io.ReadCloser) io.ReadCloser
}

func donorHost() *host.Host {
	h := host.New()
	h.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", donorSocket)
	}
	return h
}

func (b beside) Output(string) (json.RawMessage, error) {
	plan, err := (&Donor{Method: byAuto}).Plan(context.Background(), host.NewView(donorHost(), nil))
	return plan.Output, err
}

func (b beside) Receive(ctx context.Context, _ string, request json.RawMessage) (io.ReadCloser, error) {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.CloseWithError((&Donor{Method: byAuto}).Send(ctx, donorHost(), request, w)) // nil is EOF
	}()
	var s io.ReadCloser = stream{r, func() { cancel(); <-ended }}
	if b.spoil != nil {
		s = b.spoil(s)
	}
	return s, nil
}

type stream struct {
	*io.PipeReader
	over func()
}

func (s stream) Close() error { err := s.PipeReader.Close(); s.over(); return err }

// copyHere makes the host's own server the donor's replica, as a task would: it plans by
// what is there.
func copyHere(ctx context.Context, h *host.Host, method string) error {
	v := host.NewView(h, nil)
	left, err := leftOver(ctx, v)
	if err != nil {
		return err
	}
	p := &copyPlan{primary: "donor", address: "127.0.0.1", port: donorPort, method: method, left: left}
	if err := v.Companion("donor", &p.donor); err != nil {
		return err
	}
	if !left.inPlace() {
		p.own = []SchemaSize{{Name: "mine", Tables: 1}}
	}
	if !left.inPlace() && (left == nil || left.State != prepared) {
		if p.here, err = readRecipient(ctx, v); err != nil {
			if left == nil {
				return err
			}
			p.here.from(&left.copyNote) // it may be starting anew, or not run at all
		}
	}
	list, notes, err := p.changes()
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(notes, "\n"))
	for _, c := range append(list, append([]host.Change{follow{}}, p.end(list)...)...) {
		d := c.Describe()
		fmt.Println(d.Action, d.Target, "--", d.Impact)
		if _, err := c.Apply(ctx, h); err != nil {
			return fmt.Errorf("%s: %w", c.Type(), err)
		}
	}
	if left, err = leftOver(ctx, v); err == nil && left != nil {
		err = errors.New(left.String())
	}
	return err
}

// follow has the server follow the donor: what mysql_replication does.
type follow struct{ host.Change }

func (follow) Type() string               { return "test.follow/1" }
func (follow) Describe() host.Description { return host.Description{Target: "follow"} }
func (follow) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, err := acting(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	statements := []string{"STOP SLAVE", fmt.Sprintf("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %d, MASTER_USER = 'repl', MASTER_PASSWORD = 'repl-1', MASTER_USE_GTID = slave_pos", donorPort), "START SLAVE"}
	if s.flavor == mysqlOwn {
		statements = []string{"STOP REPLICA", fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %d, SOURCE_USER = 'repl', SOURCE_PASSWORD = 'repl-1', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1", donorPort), "START REPLICA"}
	}
	for _, q := range statements {
		if err := s.do(ctx, q); err != nil {
			return host.Result{}, err
		}
	}
	return host.Result{}, h.At("replicates")
}
