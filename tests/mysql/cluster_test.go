package mysql

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"muster/tests/await"
)

const playbook = "../../playbooks/mysql.hcl"

// password is the replicas'.
const password = "a-long-word-for-replicas"

// arguments are those of muster that apply the playbook.
func arguments(t *testing.T, args []string) []string {
	t.Helper()
	f, _ := chosen()
	p := certificates(t)
	return append([]string{"apply", playbook, "--yes", "--var", "flavor=" + f.name, "--var", "replication_password=" + password,
		"--var", "ca=" + p.ca, "--var", "certificate=" + p.certificate, "--var", "key=" + p.key, "--var", "method=" + cmp.Or(os.Getenv("METHOD"), "auto")}, args...)
}

// apply applies the playbook, and checks the exit code.
func apply(t *testing.T, code int, args ...string) result {
	t.Helper()
	return muster(t, code, arguments(t, args)...)
}

// applying is muster that is to apply the playbook.
func applying(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return command(ctx, t, arguments(t, args)...)
}

// size is how much is on the primary before its replicas come, in MB.
func size(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("SIZE"), "64"))
	if err != nil {
		t.Fatalf("SIZE: %v", err)
	}
	return n
}

// fill brings about so many MB to the primary: rows that don't compress well.
func fill(t *testing.T, mb int) {
	t.Helper()
	const batch = 2048 // rows of 512 bytes: 1 MB
	sql(t, "db1", "CREATE DATABASE filled; CREATE TABLE filled.data (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, text VARCHAR(600) NOT NULL) ENGINE=InnoDB;")
	row := "CONCAT(" + strings.TrimSuffix(strings.Repeat("SHA2(RAND(), 256), ", 8), ", ") + ")"
	sql(t, "db1", fmt.Sprintf("INSERT INTO filled.data (text) VALUES (%s); %s", row, strings.Repeat("INSERT INTO filled.data (text) SELECT "+row+" FROM filled.data; ", 11)))
	for n := batch; n < mb*batch; n *= 2 {
		sql(t, "db1", fmt.Sprintf("INSERT INTO filled.data (text) SELECT %s FROM filled.data LIMIT %d", row, mb*batch-n))
	}
}

// caughtUp waits until a replica has the rows that the primary has by now.
func caughtUp(t *testing.T, host string) {
	t.Helper()
	const last = "SELECT COALESCE(MAX(id), 0) FROM writes.numbered"
	want := sql(t, "db1", last)
	await.Until(t, host+" has the row "+want, func() bool {
		return sql(t, host, last+" WHERE id >= "+want) != "0"
	})
}

// sameRows compares replicas with the primary row by row, and what was acknowledged with
// what is there.
func sameRows(t *testing.T, acknowledged string, replicas ...string) {
	t.Helper()
	for _, host := range replicas {
		caughtUp(t, host)
	}
	for _, table := range []string{"writes.numbered", "filled.data"} {
		sum := "$(command -v mariadb || command -v mysql) -N -B --quick -e 'SELECT id, text FROM " + table + " ORDER BY id' | sha256sum"
		want := on(t, "db1", sum)
		for _, host := range replicas {
			if got := on(t, host, sum); got != want {
				t.Errorf("%s isn't the same on %s as on db1", table, host)
			}
		}
	}
	for _, host := range append([]string{"db1"}, replicas...) {
		cmd := theLab.Host(host).Command(t.Context(), "sh", "-c", "sort >/tmp/acknowledged; $(command -v mariadb || command -v mysql) -N -B -e 'SELECT id FROM writes.numbered' | sort >/tmp/there; comm -13 /tmp/there /tmp/acknowledged | wc -l")
		cmd.Stdin = strings.NewReader(acknowledged)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := strings.TrimSpace(string(out)); got != "0" {
			t.Errorf("%s lacks %s rows that were acknowledged", host, got)
		}
	}
}

func TestClusterFromBareHosts(t *testing.T) {
	real(t)
	if os.Getenv("KILL")+os.Getenv("TIMES") != "" {
		return // something else is asked for
	}
	_, name := chosen()
	bare(t, hosts...)
	apply(t, 0, "--limit", "db1")
	fill(t, size(t))
	w := startWriter(t)
	defer w.end()
	r := apply(t, 0)
	show("%s", r.Out)
	took := r.Took
	r = apply(t, 0)
	if !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second apply:\n%s", r.Out)
	}
	written := w.stop()
	sameRows(t, written.acknowledged, hosts[1:]...)
	show("%s, %d MB: two replicas from bare hosts in %.1f s, unchanged %.2f s; %d rows acknowledged meanwhile, the longest wait for one %s",
		name, size(t), took.Seconds(), r.Took.Seconds(), written.count, written.longest)
	if written.failed > 0 {
		t.Errorf("%d writes failed", written.failed)
	}

	renew(t)
	r = apply(t, 0)
	show("%s", r.Out)
	for _, host := range hosts[1:] {
		changed := regexp.MustCompile(`mysql_replication\.replication  on (` + host + `|db2, db3)  (2 of 2 hosts )?changed`)
		if !strings.Contains(r.Out, "connected by a certificate of db1 or a CA that isn't the one there is now") || !changed.MatchString(r.Out) {
			t.Errorf("other certificates don't reconnect %s:\n%s", host, r.Out)
		}
	}
	if r = apply(t, 0); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("after the certificates there is more to do:\n%s", r.Out)
	}
}
