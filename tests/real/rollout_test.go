package real

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const rollout = "playbooks/rollout.hcl"

// servers are the application servers of the rollout's tests, in the order in
// which they are rolled out: app1, then app2 and db1, then db2.
var servers = []string{"app1", "app2", "db1", "db2"}

// siteForRollout: the site is applied on these servers.
var siteForRollout bool

// newRollout is a project with the repository's playbooks and roles, and two more
// application servers, on which the site is applied and a release is served.
func newRollout(t *testing.T, release string) *site {
	t.Helper()
	s := newSite(t, "")
	hosts, err := os.ReadFile("../../inventory/lab.hcl")
	const vars = `vars = { app_port = 8080 }`
	more := strings.Replace(string(hosts), vars, vars+"\n  hosts = [\"db1\", \"db2\"]", 1)
	if more == string(hosts) {
		t.Fatal("inventory/lab.hcl has changed: where does the group app stand?")
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(s.dir, "hosts.hcl"), []byte(more), 0o600),
		os.CopyFS(filepath.Join(s.dir, "playbooks"), os.DirFS("../../playbooks")),
		os.CopyFS(filepath.Join(s.dir, "roles"), os.DirFS("../../roles")))
	if err != nil {
		t.Fatal(err)
	}
	if !siteForRollout {
		s.muster(0, "apply", "playbooks/site.hcl", "--yes", "--limit", "lb,app", "--skip-tags", "registry,docker,mysql", "--var-file", siteVars(t))
		siteForRollout = !t.Failed()
	}
	s.release(0, release)
	return s
}

// release rolls a release out, and checks the exit code.
func (s *site) release(code int, release string, args ...string) result {
	s.t.Helper()
	return s.muster(code, append([]string{"apply", rollout, "--yes", "--var", "release=" + release}, args...)...)
}

// inHAProxy is how HAProxy has a server: "up", "down" or "drained", whether or not
// it answers.
func inHAProxy(t *testing.T, server string) string {
	t.Helper()
	return inBackend(t, "app", server)
}

// inBackend is inHAProxy for a server of a backend.
func inBackend(t *testing.T, backend, server string) string {
	t.Helper()
	answer := askHAProxy(t, "show servers state "+backend)
	for _, row := range strings.Split(answer, "\n") {
		f := strings.Fields(row)
		if len(f) < 7 || f[3] != server {
			continue
		}
		switch running, admin := f[5], f[6]; {
		case admin == "8":
			return "drained"
		case admin == "0" && running == "2":
			return "up"
		}
		return "down"
	}
	t.Fatalf("HAProxy has no server %s/%s: %s", backend, server, answer)
	return ""
}

// askHAProxy says a command to HAProxy on lb1, and returns the answer.
func askHAProxy(t *testing.T, command string) string {
	t.Helper()
	return on(t, "lb1", `perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new("/run/haproxy/admin.sock") or die $!; print $s "$ARGV[0]\n"; print <$s>' '`+command+`'`)
}

// serve checks which release each server has, and that HAProxy has it up, but for
// those that are drained.
func serve(t *testing.T, want map[string]string, drained ...string) {
	t.Helper()
	for _, name := range servers {
		state := "up"
		if slices.Contains(drained, name) {
			state = "drained"
		}
		if got := inHAProxy(t, name); got != state {
			t.Errorf("HAProxy has %s %s, want %s", name, got, state)
		}
		if got := on(t, name, "curl -s --max-time 10 http://"+theLab.Host(name).Address()+":8080/release.txt"); got != "release "+want[name] {
			t.Errorf("%s serves %q, want release %s", name, got, want[name])
		}
	}
}

// all is the same release on every server.
func all(release string) map[string]string {
	m := map[string]string{}
	for _, name := range servers {
		m[name] = release
	}
	return m
}

// underRequests calls f while requests are made to the load balancer, one after
// the other, and returns what they were answered with.
func underRequests(t *testing.T, f func()) []string {
	t.Helper()
	var out bytes.Buffer
	// It ends once a line comes, and after two minutes in any case.
	cmd := theLab.Host("nat").Command(t.Context(), "sh", "-c", `
		end=$(($(date +%s) + 120))
		exec 3<&0
		{ read line; touch /run/enough; } <&3 &
		while [ ! -e /run/enough ] && [ $(date +%s) -lt $end ]; do
			curl -sS --max-time 5 --write-out '%{http_code}\n' http://10.0.1.11/release.txt 2>&1 | tr '\n' ' '
			echo
			sleep 0.02
		done
		rm -f /run/enough`)
	cmd.Stdout = &out
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	f()
	_, err = io.WriteString(in, "enough\n")
	if err = errors.Join(err, cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func TestRolloutFailsNoRequestAndIsThenUnchanged(t *testing.T) {
	s := newRollout(t, "1")
	answers := underRequests(t, func() {
		s.release(0, "2")
	})
	seen := map[string]int{}
	for _, a := range answers {
		seen[strings.TrimSpace(a)]++
	}
	if seen["release 1 200"] == 0 || seen["release 2 200"] == 0 || len(seen) != 2 {
		t.Errorf("during the rollout, requests were answered with %v", seen)
	}
	serve(t, all("2"))
	if got := on(t, "log1", "cat /var/log/release"); got != "2" {
		t.Errorf("the release that is written down is %q", got)
	}

	r := s.release(0, "2", "--output", "json")
	if _, sum := events(t, r); sum.Outcome != "unchanged" {
		t.Errorf("the second apply: %+v\n%s", sum, r.Out)
	}
	s.muster(0, "plan", rollout, "--var", "release=2", "--detailed-exitcode")
	s.muster(0, "plan", "playbooks/site.hcl", "--limit", "lb,app", "--skip-tags", "registry,docker,mysql", "--var-file", siteVars(t), "--detailed-exitcode")
}

func TestRolloutMakesWhatItsPlanShows(t *testing.T) {
	s := newRollout(t, "1")
	planned, made := map[string]bool{}, 0
	list, _ := events(t, s.muster(0, "plan", rollout, "--var", "release=shown", "--output", "json"))
	for _, e := range list {
		if e.Status == "pending" {
			planned[e.Place()] = true
		}
	}
	list, _ = events(t, s.release(0, "shown", "--output", "json"))
	for _, e := range list {
		if e.Status != "changed" {
			continue
		}
		if made++; !planned[e.Place()] {
			t.Errorf("%s was made, and no plan showed it", e.Place())
		}
	}
	// Of each server: its pages, out of HAProxy, the unit, its restart, and back.
	if want := len(servers) * 7; made < want {
		t.Errorf("%d tasks changed something, want %d", made, want)
	}
}

// refuse has a server's unit not start with a release, until the test is over.
func refuse(t *testing.T, server, release string) {
	t.Helper()
	const conf = "/etc/systemd/system/web.service.d/zz-refuse.conf"
	on(t, server, "printf '[Service]\\nExecStartPre=/bin/sh -c \"! grep -q releases/"+release+"$ /etc/systemd/system/web.service.d/release.conf\"\\n' > "+conf+" && systemctl daemon-reload")
	t.Cleanup(func() {
		_, _ = theLab.Host(server).Exec(context.Background(), "sh", "-c", "rm -f "+conf+" && systemctl daemon-reload && systemctl restart web")
	})
}

func TestRolloutStopsAfterTheBatchInWhichAServerFails(t *testing.T) {
	s := newRollout(t, "1")
	refuse(t, "app2", "bad")
	var r result
	answers := underRequests(t, func() {
		r = s.release(4, "bad", "--output", "json")
	})
	for _, a := range answers {
		if !strings.HasSuffix(strings.TrimSpace(a), " 200") {
			t.Errorf("a request was answered with %q", a)
		}
	}
	// app2 has what it had before, and is back; db2 is never touched.
	serve(t, map[string]string{"app1": "bad", "app2": "1", "db1": "bad", "db2": "1"})
	list, sum := events(t, r)
	for _, e := range list {
		if e.Host == "db2" && e.Play == "release" && e.Status == "changed" {
			t.Errorf("db2 was changed: %+v", e)
		}
	}
	if sum.Hosts["app2"].Failed == 0 || sum.Hosts["db1"].Failed != 0 || sum.Hosts["db2"].Failed != 0 {
		t.Errorf("%+v", sum.Hosts)
	}
	if want := "release: failed on app2, which is more than max_failures allows: db2 is left as it is"; !strings.Contains(r.Out, want) {
		t.Errorf("it isn't said that %q:\n%s", want, r.Out)
	}
	if got := on(t, "log1", "cat /var/log/release"); got != "1" {
		t.Errorf("the release that is written down is %q", got)
	}
	if h := s.muster(0, "history", "last"); !strings.Contains(h.Out, "db2: unfinished") && !strings.Contains(h.Out, "db2: stopped") {
		t.Errorf("history doesn't say that db2 wasn't come to:\n%s", h.Out)
	}

	on(t, "app2", "rm /etc/systemd/system/web.service.d/zz-refuse.conf && systemctl daemon-reload")
	s.muster(0, "apply", rollout, "--resume", "--yes", "--var", "release=bad")
	serve(t, all("bad"))
}

func TestRolloutStopsAfterTheBatchInWhichAServerIsLost(t *testing.T) {
	s := newRollout(t, "1")
	hold := newHold(t, "app2")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := s.command(ctx, "apply", rollout, "--yes", "--var", "release=lost")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hold.reached()
	if err := theLab.Host("app2").Cut(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer theLab.Host("app2").Mend(context.Background())
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 4 || !strings.Contains(out.String(), "app2") {
		t.Errorf("exit code %d\n%s", code, out.String())
	}
	hold.release()
	if err := theLab.Host("app2").Mend(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A server that nobody knows the state of stays out.
	serve(t, map[string]string{"app1": "lost", "app2": "lost", "db1": "lost", "db2": "1"}, "app2")

	s.muster(0, "apply", rollout, "--resume", "--yes", "--var", "release=lost")
	serve(t, all("lost"))
}

func TestSavedRolloutStopsAtTheServerThatHasMoved(t *testing.T) {
	s := newRollout(t, "1")
	s.muster(0, "plan", rollout, "--var", "release=saved", "--save", "saved.plan")
	on(t, "db1", "mkdir -p /srv/releases/saved && echo by hand > /srv/releases/saved/release.txt")
	r := s.muster(4, "apply", "saved.plan", "--yes")
	// As it happens, and at the end.
	const moved = "it isn't as the plan found it"
	if said := r.Out + r.Err; !strings.Contains(said, "db1: failed: "+moved) || strings.Count(said, moved) != strings.Count(said, "db1: failed: "+moved) {
		t.Errorf("it isn't said that db1 alone has moved:\n%s", said)
	}
	// The others got the pages. No server was taken out: one that is lost from the
	// beginning is more than max_failures allows.
	serve(t, all("1"))
	for server, want := range map[string]string{"app1": "release saved", "db1": "by hand", "db2": "release saved"} {
		if got := on(t, server, "cat /srv/releases/saved/release.txt"); got != want {
			t.Errorf("%s has %q, want %q", server, got, want)
		}
	}

	on(t, "db1", "rm -r /srv/releases/saved")
	s.muster(0, "apply", "saved.plan", "--yes")
	serve(t, all("saved"))
}
