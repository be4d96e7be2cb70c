package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/host"
	"muster/tests/await"
)

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

// TestMain copies, where it is told to, in a process that may be killed at a step.
func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		if err := copyAndDie(what); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func copyAndDie(what string) error {
	method, at, cut := strings.Cut(what, " ")
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
	return copyHere(context.Background(), h, method)
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

// child has a process of its own copy; killed reports whether it was.
func child(t *testing.T, what string) (killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
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
		if method == byClone { // no data comes by the stream
			continue
		}
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
		within, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if going := await.True(within, func() bool { return w.done.Load() >= before+10 }); !going {
			t.Fatalf("after %s: commits wait: %s", after, value(t, donor, "SELECT GROUP_CONCAT(CONCAT(STATE, ' ', IFNULL(INFO, '')) SEPARATOR '; ') FROM information_schema.PROCESSLIST"))
		}
		cancel()
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
	<-time.After(3 * time.Second) // the stall itself: nothing is waited for
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
	if err := copyHere(t.Context(), h, byBackup); err == nil || !strings.Contains(err.Error(), "the server has its own data back") {
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

// A clone has an account that goes with its stream, and the next one its own, after it; that
// of a donor that was killed goes with the next clone. None of it is in the binary log.
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
	type clone struct {
		login  *cloneLogin
		stream io.ReadCloser
		err    error
	}
	open := func() (c clone) {
		if c.stream, c.err = (beside{}).Receive(t.Context(), "donor", []byte(`{"method":"clone"}`)); c.err == nil {
			c.login, c.err = readLogin(c.stream)
		}
		return c
	}
	one := open()
	if one.err != nil {
		t.Fatal(one.err)
	}
	if got, want := accounts(), one.login.User+",musterxclonexother"; got != want {
		t.Errorf("with one clone there are %s, want %s", got, want)
	}
	next := make(chan clone, 1)
	go func() { next <- open() }()
	if err := one.stream.Close(); err != nil {
		t.Fatal(err)
	}
	two := <-next
	if two.err != nil {
		t.Fatal(two.err)
	}
	if got, want := accounts(), two.login.User+",musterxclonexother"; got != want {
		t.Errorf("with the next clone there are %s, want %s", got, want)
	}
	if err := two.stream.Close(); err != nil {
		t.Fatal(err)
	}
	if got := accounts(); got != "musterxclonexother" {
		t.Errorf("in the end there are %s", got)
	}
	if after := value(t, donor, "SELECT @@GLOBAL.gtid_executed"); after != before {
		t.Errorf("the binary log went from %s to %s", before, after)
	}
}

// A clone that fails before the server has thrown its own data away leaves no note of one:
// that data isn't a part of a copy, and whether it may go is asked again.
func TestACloneThatFailsBeforeDataGoesLeavesNoNote(t *testing.T) {
	onLabHost(t)
	if real() != mysqlOwn {
		t.Skip("clone is MySQL's")
	}
	startDonor(t)
	plainRecipient(t)
	h := host.New()
	h.Companions = beside{}
	const nobodysPort = 1
	clone := &CloneServer{Copy: copyNote{Donor: "donor", Method: byClone, Flavor: mysqlOwn, DataDir: "/var/lib/mysql", Unit: "mysql.service"}, Address: "127.0.0.1", Port: nobodysPort, Drops: []string{"mine"}}
	if _, err := clone.Apply(t.Context(), h); err == nil || !strings.Contains(err.Error(), "cloning donor") {
		t.Errorf("it ended with %v", err)
	}
	if left, err := leftOver(t.Context(), host.NewView(h, nil)); err != nil || left != nil {
		t.Errorf("left over is %v, %v", left, err)
	}
	if n := value(t, rootOf(t, "/run/mysqld/mysqld.sock"), "SELECT COUNT(*) FROM mine.t"); n != "0" {
		t.Error(n)
	}
}
