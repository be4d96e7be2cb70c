package real

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"muster/tests/await"
	"muster/tests/program"
)

// vegeta makes the load. Its version is pinned in tests/load/go.mod.
const vegeta = "github.com/tsenart/vegeta/v12"

// Of each kind of connections, in a second, and for how long at most.
const (
	loadRate = "100/s"
	loadMost = "3m"
)

// connections are the ways in which requests are made, side by side. Where a connection
// that was kept is closed under a GET, a client makes it again and says nothing: so what
// is sent over these is a POST, which it mustn't repeat.
var connections = []struct {
	name, request, flags string
}{
	{"new", "GET http://10.0.1.11/release", "-keepalive=false"},
	{"keep-alive", "POST http://10.0.1.11/cgi-bin/ping", "-keepalive=true"},
}

// row is what became of the requests over one kind of connections.
type row struct {
	connections               string
	requests, failed, refused int
	gap                       time.Duration // the longest between two answers
	errors                    []string
}

// bad is how many requests weren't answered as they should be.
func (r row) bad() int { return r.failed + r.refused }

// pushVegeta brings vegeta to the bastion.
func pushVegeta(t *testing.T) {
	t.Helper()
	nat := theLab.Host("nat")
	if _, err := nat.Exec(t.Context(), "test", "-e", "/root/vegeta"); err == nil {
		return
	}
	file, err := os.Open(program.BuildOf(t, "../load", vegeta))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := nat.Command(t.Context(), "sh", "-c", "cat >/root/part && chmod +x /root/part && mv /root/part /root/vegeta")
	cmd.Stdin = file
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// underLoad calls f while requests for the shop are made to lb1 from the bastion, and
// returns what became of them.
func underLoad(t *testing.T, f func()) []row {
	t.Helper()
	pushVegeta(t)
	var script strings.Builder
	script.WriteString("set -eu\ncd $(mktemp -d)\npids=\n")
	for i, c := range connections {
		fmt.Fprintf(&script, "printf '%s\\nHost: shop.example.com\\n' | /root/vegeta attack -rate %s -duration %s -timeout 5s -max-body 0 %s >%d & pids=\"$pids $!\"\n",
			c.request, loadRate, loadMost, c.flags, i)
	}
	// It is under way, until a line comes; what is broken may show a moment later.
	script.WriteString("until [ -s 0 ] && [ -s 1 ]; do sleep 0.1; done; echo under way\nread line\nsleep 2\nkill -INT $pids; wait\n")
	for i := range connections {
		fmt.Fprintf(&script, "/root/vegeta encode --to csv %d | sed 's/$/,%d/'\n", i, i)
	}
	cmd := theLab.Host("nat").Command(t.Context(), "sh", "-c", script.String())
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err = errors.Join(err, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		in.Close()
		t.Fatalf("the load didn't start: %v\n%s", err, errs.String())
	}
	func() {
		defer in.Close()
		f()
		_, _ = io.WriteString(in, "enough\n")
	}()
	rows, err := tell(lines)
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return rows
}

// tell reads what vegeta prints of each request, with the number of its kind of
// connections behind it: the time, the status, how long it took, …, the error, ….
func tell(lines io.Reader) ([]row, error) {
	r := csv.NewReader(lines)
	r.FieldsPerRecord = -1
	records, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading what vegeta says: %w", err)
	}
	rows := make([]row, len(connections))
	answers := make([][]int64, len(connections))
	for _, f := range records {
		i, err := strconv.Atoi(f[len(f)-1])
		began, err2 := strconv.ParseInt(f[0], 10, 64)
		took, err3 := strconv.ParseInt(f[2], 10, 64)
		if err := errors.Join(err, err2, err3); err != nil || i >= len(rows) {
			return nil, fmt.Errorf("vegeta says %q: %w", f, err)
		}
		rows[i].requests++
		switch status, problem := f[1], f[5]; {
		case status == "200" && problem == "":
			answers[i] = append(answers[i], began+took)
		case strings.Contains(problem, "connection refused"):
			rows[i].refused++
		default:
			rows[i].failed++
			if e := strings.TrimSpace(status + " " + problem); !slices.Contains(rows[i].errors, e) {
				rows[i].errors = append(rows[i].errors, e)
			}
		}
	}
	for i := range rows {
		rows[i].connections = connections[i].name
		slices.Sort(answers[i])
		for j := 1; j < len(answers[i]); j++ {
			rows[i].gap = max(rows[i].gap, time.Duration(answers[i][j]-answers[i][j-1]))
		}
	}
	return rows, nil
}

// show prints the rows as a table.
func show(t *testing.T, what string, rows []row) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%-16s%-12s %9s %8s %8s %12s\n", what, "connections", "requests", "failed", "refused", "longest gap")
	for _, r := range rows {
		fmt.Fprintf(&b, "%-16s%-12s %9d %8d %8d %9d ms\n", "", r.connections, r.requests, r.failed, r.refused, r.gap.Milliseconds())
	}
	if os.Getenv("MUSTER_SHOW") != "" {
		fmt.Print(b.String())
	} else {
		t.Log("\n" + b.String())
	}
}

// noneFails checks that every request was answered as it should be.
func noneFails(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		if r.requests < 100 {
			t.Errorf("over %s connections %d requests were made: too few to tell", r.connections, r.requests)
		}
		if r.bad() > 0 {
			t.Errorf("over %s connections, of %d requests %d failed and %d were refused: %s", r.connections, r.requests, r.failed, r.refused, strings.Join(r.errors, "; "))
		}
	}
}

// worker is HAProxy's process that takes the connections at this moment.
func worker(t *testing.T) string {
	t.Helper()
	return on(t, "lb1", "pgrep -n -P $(systemctl show -P MainPID haproxy) haproxy")
}

// balancer applies HAProxy's part of the site, with more connections than last time or
// fewer: nothing can be told of that while it runs.
func (s *site) balancer(connections int) {
	s.t.Helper()
	file := filepath.Join(s.dir, "playbooks", "site.hcl")
	text, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	changed := regexp.MustCompile(`maxconn = \d+`).ReplaceAll(text, []byte("maxconn = "+strconv.Itoa(connections)))
	if bytes.Equal(changed, text) {
		s.t.Fatal("playbooks/site.hcl doesn't say maxconn in the way that is looked for")
	}
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.muster(0, "apply", "playbooks/site.hcl", "--yes", "--limit", "lb", "--var-file", siteVars(s.t))
}

func TestLoadOfTenReloadsFailsNoRequest(t *testing.T) {
	s := newShop(t, "1")
	defer s.balancer(4000)
	rows := underLoad(t, func() {
		for i := range 10 {
			before := worker(t)
			s.balancer(4001 + i)
			if worker(t) == before {
				t.Error("HAProxy wasn't reloaded")
			}
		}
	})
	show(t, "ten reloads", rows)
	noneFails(t, rows)
}

func TestLoadOfADeployFailsNoRequest(t *testing.T) {
	s := newShop(t, "1")
	rows := underLoad(t, func() { s.deploy(0, "2") })
	show(t, "one deploy", rows)
	noneFails(t, rows)
	shopRuns(t, everywhere("2"))
}

// The load is one that a restart shows in.
func TestLoadOfARestartFailsRequests(t *testing.T) {
	newShop(t, "1")
	rows := underLoad(t, func() {
		on(t, "lb1", "systemctl restart haproxy")
		await.Until(t, "HAProxy has found the servers up again", func() bool {
			return inBackend(t, "shop", "app1") == "up" && inBackend(t, "shop", "app2") == "up"
		})
	})
	show(t, "one restart", rows)
	for _, r := range rows {
		if r.bad() == 0 {
			t.Errorf("HAProxy was restarted, and over %s connections no request failed", r.connections)
		}
	}
}
