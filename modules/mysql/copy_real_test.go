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
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"muster/host"
	"muster/modules/modulestest"
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
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if err = db.Ping(); err == nil {
			return db
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
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
rm -rf /var/lib/mysql /var/lib/mysql.muster-* /var/lib/muster/mysql/copy.json`)
	install(t, "/var/lib/mysql")
	shell(t, `
touch /var/lib/mysql/debian-10.11.flag
systemctl start `+unit)
	own := rootOf(t, "/run/mysqld/mysqld.sock")
	for _, q := range []string{"CREATE DATABASE mine", "CREATE TABLE mine.t (a INT)", "CREATE USER own@localhost"} {
		must(t, own, q)
	}
	t.Cleanup(func() { _ = os.Remove(conf) })
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
	if !left.inPlace() && (left == nil || left.State != prepared) {
		p.own = []SchemaSize{{Name: "mine", Tables: 1}}
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

// holdEqual waits until the replica has all of the donor's, and compares.
func holdEqual(t *testing.T, donor *sql.DB, method string) {
	t.Helper()
	own := rootOf(t, "/run/mysqld/mysqld.sock")
	var wait string
	status := "SHOW SLAVE STATUS\\G"
	threads, event, accountNames := "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND IN ('Slave_IO', 'Slave_SQL')", "SLAVESIDE_DISABLED", "app,readers,repl"
	if real() == mysqlOwn {
		wait, status = "SELECT WAIT_FOR_EXECUTED_GTID_SET('"+oneWord(value(t, donor, "SELECT @@GLOBAL.gtid_executed"))+"', 60)", "SHOW REPLICA STATUS\\G"
		threads = "SELECT (SELECT COUNT(*) FROM performance_schema.replication_connection_status WHERE SERVICE_STATE = 'ON') + (SELECT COUNT(*) FROM performance_schema.replication_applier_status WHERE SERVICE_STATE = 'ON')"
		event = "REPLICA_SIDE_DISABLED"
	} else {
		wait = "SELECT MASTER_GTID_WAIT('" + value(t, donor, "SELECT @@gtid_current_pos") + "', 60)"
	}
	if value(t, own, wait) != "0" {
		t.Fatalf("the replica hasn't caught up in a minute\n%s", shell(t, "mysql -e '"+status+"'"))
	}
	for _, table := range []string{"shop.orders", "shop.stock", "shop.few"} {
		query := "SELECT CONCAT(COUNT(*), ' ', BIT_XOR(CRC32(CONCAT_WS(',', id, IFNULL(n, ''))))) FROM " + table
		if table == "shop.orders" {
			query = "SELECT CONCAT(COUNT(*), ' ', BIT_XOR(CRC32(CONCAT_WS(',', id, what, HEX(bytes))))) FROM shop.orders"
		}
		if want, got := value(t, donor, query), value(t, own, query); got != want {
			t.Errorf("%s has %s on the replica, and %s on the donor", table, got, want)
		}
	}
	for query, want := range map[string]string{
		"SELECT shop.twice(4)": "8",
		"SELECT GROUP_CONCAT(SCHEMA_NAME ORDER BY 1) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN " + systemSchemas():                                       "shop",
		"SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_NAME = 'tick'":                                                                                         event,
		"SELECT GROUP_CONCAT(DISTINCT User ORDER BY User) FROM mysql.user WHERE User NOT IN ('root', 'mysql', 'PUBLIC', 'debian-sys-maint', '') AND User NOT LIKE '%.%'": accountNames,
		"SELECT @@server_id": "2",
	} {
		if got := value(t, own, query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, login := range []string{"app app-1 SELECT COUNT(*) > 0 FROM shop.stock"} {
		f := strings.SplitN(login, " ", 3)
		if out := shell(t, fmt.Sprintf("MYSQL_PWD=%s mysql -N -u %s -e '%s'", f[1], f[0], f[2])); strings.TrimSpace(out) != "1" {
			t.Errorf("%s: %s", login, out)
		}
	}
	for _, path := range []string{"/var/lib/mysql.muster-copy", "/var/lib/mysql.muster-ready", "/var/lib/mysql.muster-old", copyPath, "/var/lib/mysql/" + copyMark} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	if method == byBackup {
		if _, err := os.Stat("/var/lib/mysql/debian-10.11.flag"); err != nil {
			t.Error(err)
		}
	}
	if n := value(t, own, threads); n != "2" {
		t.Errorf("%s of the two replication threads run", n)
	}
}

// TestCopyChild copies in a process of its own, which may be killed at a step.
func TestCopyChild(t *testing.T) {
	method, at, cut := strings.Cut(os.Getenv(childEnv), " ")
	if method == "" {
		t.Skip("it is run by others")
	}
	h := host.New()
	h.Companions = beside{}
	h.Report = func(text string) { fmt.Println("…", text) }
	steps := 0
	h.Step = func(where string) error {
		if steps++; cut && strconv.Itoa(steps) == at {
			fmt.Println("killed:", where)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}
	if stop, ok := strings.CutPrefix(at, "byte "); ok {
		limit, _ := strconv.ParseInt(stop, 10, 64)
		h.Companions = beside{spoil: func(r io.ReadCloser) io.ReadCloser { return &deadly{r, limit} }}
	}
	if err := copyHere(context.Background(), h, method); err != nil {
		t.Fatal(err)
	}
}

// deadly kills the process in the middle of a stream.
type deadly struct {
	io.ReadCloser
	left int64
}

func (d *deadly) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if d.left -= int64(n); d.left <= 0 {
		fmt.Println("killed: in the middle of the stream")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return n, err
}

// child runs TestCopyChild; killed reports whether it was.
func child(t *testing.T, what string) (killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCopyChild$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		t.Logf("%s:\n%s", what, out)
		return true
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", what, err, out)
	}
	t.Logf("%s:\n%s", what, out)
	return false
}

func TestCopyUnderWrites(t *testing.T) {
	onLabHost(t)
	donor := startDonor(t)
	for _, method := range methods() {
		t.Run(method, func(t *testing.T) {
			plainRecipient(t)
			w := write(t, donor)
			begun := w.done.Load()
			child(t, method)
			if w.done.Load() == begun {
				t.Error("nothing was written meanwhile")
			}
			w.end(t)
			t.Logf("%d orders, the longest commit took %s", w.done.Load(), time.Duration(w.longest.Load()))
			holdEqual(t, donor, method)
		})
	}
}

func TestCopyKilledAtEachStep(t *testing.T) {
	onLabHost(t)
	donor := startDonor(t)
	for _, method := range methods() {
		cuts := []string{"byte 100", "byte 2000", "byte 3000000"}
		switch method {
		case byDump:
			cuts = cuts[:2]
		case byClone:
			cuts = []string{"byte 1"}
		}
		for n := 1; n <= 12; n++ {
			cuts = append(cuts, strconv.Itoa(n))
		}
		over := false
		for _, at := range cuts {
			if over {
				break
			}
			t.Run(method+" "+at, func(t *testing.T) {
				plainRecipient(t)
				w := write(t, donor)
				if killed := child(t, method+" "+at); !killed {
					over = true // it has fewer steps
				} else {
					child(t, method)
				}
				w.end(t)
				holdEqual(t, donor, method)
			})
		}
	}
}

// TestCopyOfADonorThatFails has the donor fail at the very end, when all has come.
func TestCopyOfADonorThatFails(t *testing.T) {
	onLabHost(t)
	startDonor(t)
	plainRecipient(t)
	for _, method := range methods() {
		h := host.New()
		refused := errors.New("the donor has failed")
		h.Companions = beside{spoil: func(r io.ReadCloser) io.ReadCloser { return &failing{r, refused} }}
		err := copyHere(context.Background(), h, method)
		if !errors.Is(err, refused) {
			t.Errorf("%s: %v", method, err)
		}
		if _, err := os.Lstat("/var/lib/mysql.muster-copy"); method == byBackup && err == nil {
			t.Error("what has come is left")
		}
		if left, err := leftOver(context.Background(), host.NewView(h, nil)); err != nil || method == byBackup && left != nil || method == byDump && left.State != loading {
			t.Errorf("%s: left over is %v, %v", method, left, err)
		}
		if method == byBackup && value(t, rootOf(t, "/run/mysqld/mysqld.sock"), "SELECT COUNT(*) FROM mine.t") != "0" {
			t.Error("the server's own data isn't as it was")
		}
	}
}

type failing struct {
	io.ReadCloser
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		err = f.err
	}
	return n, err
}

// TestCopyThatNobodyTakes has a receiver stall, and be given up after a while as the
// stream's end does: commits on the primary go on.
func TestCopyThatNobodyTakes(t *testing.T) {
	onLabHost(t)
	if real() != mariadb {
		t.Skip("mariadb-backup is MariaDB's")
	}
	donor := startDonor(t)
	w := write(t, donor)
	defer w.end(t)
	// The last two are copied while commits wait.
	for _, after := range []string{"ibdata1", "shop/orders.ibd", "aria_log_control", "binlog_info"} {
		errStalled := errors.New("nobody takes it")
		request, _ := json.Marshal(donorRequest{Method: byBackup})
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := (&Donor{Method: byAuto}).Send(ctx, donorHost(), request, &stalling{after: after, err: errStalled})
		cancel()
		if !errors.Is(err, errStalled) {
			t.Errorf("after %s: %v", after, err)
		}
		if out, _ := exec.Command("pgrep", "-x", "mariadb-backup").Output(); len(out) > 0 {
			t.Errorf("after %s: the tool still runs, %s", after, out)
		}
		before := w.done.Load()
		for end := time.Now().Add(10 * time.Second); w.done.Load() < before+10; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after %s: commits wait: %s", after, value(t, donor, "SELECT GROUP_CONCAT(CONCAT(STATE, ' ', IFNULL(INFO, '')) SEPARATOR '; ') FROM information_schema.PROCESSLIST"))
			}
		}
		if n := value(t, donor, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'root' AND INFO LIKE 'BACKUP%'"); n != "0" {
			t.Errorf("after %s: a backup still holds locks", after)
		}
	}
	t.Logf("the longest commit took %s", time.Duration(w.longest.Load()))
}

// stalling takes a stream up to where a text is in it, then nothing for three seconds, and
// fails.
type stalling struct {
	after string
	err   error
}

func (s *stalling) Write(p []byte) (int, error) {
	if !strings.Contains(string(p), s.after) {
		return len(p), nil
	}
	time.Sleep(3 * time.Second)
	return 0, s.err
}

// A server that doesn't start with its copy gets its own data back, and the next run begins
// anew.
func TestServerThatDoesNotStartWithItsCopyHasItsOwnDataBack(t *testing.T) {
	onLabHost(t)
	if real() != mariadb {
		t.Skip("mariadb-backup is MariaDB's")
	}
	donor := startDonor(t)
	plainRecipient(t)
	h := host.New()
	h.Companions = beside{}
	h.Step = func(where string) error {
		if where == "called the copy ready" {
			return os.Truncate("/var/lib/mysql.muster-ready/ibdata1", 100)
		}
		return nil
	}
	if err := copyHere(t.Context(), h, byBackup); err == nil || !strings.Contains(err.Error(), "It has its own data back") {
		t.Fatalf("it ended with %v", err)
	}
	if n := value(t, rootOf(t, "/run/mysqld/mysqld.sock"), "SELECT COUNT(*) FROM mine.t"); n != "0" {
		t.Error(n)
	}
	for _, path := range []string{"/var/lib/mysql.muster-copy", "/var/lib/mysql.muster-ready", "/var/lib/mysql.muster-old", copyPath, "/var/lib/mysql/" + copyMark} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	h.Step = nil
	if err := copyHere(t.Context(), h, byBackup); err != nil {
		t.Fatal(err)
	}
	holdEqual(t, donor, byBackup)
}

// Two clones at once have an account each, which goes with its stream; that of a donor that
// was killed goes with the next clone. None of it is in the binary log.
func TestCloneAccountsLastAsLongAsTheirStreams(t *testing.T) {
	onLabHost(t)
	if real() != mysqlOwn {
		t.Skip("clone is MySQL's")
	}
	donor := startDonor(t)

	for _, q := range []string{"CREATE USER muster_clone_dead@'%' IDENTIFIED BY 'dead-1'", "CREATE USER musterxclonexother@'%' IDENTIFIED BY 'other-1'"} {
		must(t, donor, q)
	}
	before := value(t, donor, "SELECT @@GLOBAL.gtid_executed")
	accounts := func() string {
		return value(t, donor, "SELECT GROUP_CONCAT(User ORDER BY User) FROM mysql.user WHERE User LIKE 'muster%clone%'")
	}
	open := func() (*cloneLogin, io.Closer) {
		r, err := beside{}.Receive(t.Context(), "donor", []byte(`{"method":"clone"}`))
		if err != nil {
			t.Fatal(err)
		}
		login, err := readLogin(r)
		if err != nil {
			t.Fatal(err)
		}
		return login, r
	}
	first, one := open()
	second, two := open()
	both := []string{first.User, second.User}
	slices.Sort(both)
	if got, want := accounts(), strings.Join(both, ",")+",musterxclonexother"; got != want {
		t.Errorf("with two clones there are %s, want %s", got, want)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := accounts(), second.User+",musterxclonexother"; got != want {
		t.Errorf("with one clone there are %s, want %s", got, want)
	}
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	if got := accounts(); got != "musterxclonexother" {
		t.Errorf("in the end there are %s", got)
	}
	if after := value(t, donor, "SELECT @@GLOBAL.gtid_executed"); after != before {
		t.Errorf("the binary log went from %s to %s", before, after)
	}
}
