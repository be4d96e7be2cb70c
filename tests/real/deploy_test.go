package real

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/tests/await"
)

const (
	deploy  = "playbooks/deploy.hcl"
	promote = "playbooks/promote.hcl"
)

// shopReady: the site is applied, with Docker, the registry and the shop's images.
var shopReady bool

// shopImages are the shop's images by tag, each with the script that it runs.
var shopImages = map[string]string{
	"1":     answers("release 1"),
	"2":     answers("release 2"),
	"3":     answers("release 3"),
	"bad":   fails,
	"wrong": answers("release 1"), // it is healthy
	"picky": `[ "$MOTTO" = "This is staging." ] || { echo "the motto is too long" >&2; exit 7; }; ` + answers("release picky"),
}

// answers is a shop that says its release, and answers what is posted to /cgi-bin/ping,
// until it is told to stop.
func answers(release string) string {
	return `echo "` + release + `" >/www/release; echo well >/www/health; busybox mkdir -p /www/cgi-bin
printf "#!/bin/sh\necho Content-Type: text/plain\necho\necho pong\n" >/www/cgi-bin/ping; busybox chmod +x /www/cgi-bin/ping
` + serves
}

// newShop is a project on whose hosts a release of the shop runs.
func newShop(t *testing.T, release string) *site {
	t.Helper()
	s := newRollout(t, "1")
	if !shopReady {
		s.muster(0, "apply", "playbooks/site.hcl", "--yes", "--tags", "registry,docker", "--var-file", siteVars(t))
		pushImages(t, dockerHost, "shop", shopImages)
		if t.Failed() {
			t.FailNow()
		}
		shopReady = true
	}
	s.deploy(0, release)
	return s
}

// withoutShop has the hosts be without Docker and the registry that the shop's tests
// have left there.
func withoutShop(t *testing.T) {
	t.Helper()
	if !shopReady {
		return
	}
	shopReady = false
	for _, host := range []string{"cache1", dockerHost} {
		if err := theLab.Host(host).Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// deploy deploys a release, and checks the exit code.
func (s *site) deploy(code int, release string, args ...string) result {
	s.t.Helper()
	return s.muster(code, append([]string{"apply", deploy, "--yes", "--no-color", "--var", "release=" + release}, args...)...)
}

// shopAnswer is what a host's shop answers, "" if it doesn't.
func shopAnswer(t *testing.T, host string) string {
	t.Helper()
	return on(t, host, "curl -s --max-time 10 http://"+theLab.Host(host).Address()+":8081/release || true")
}

// shopRuns checks which release each host's shop answers with, and that HAProxy has
// those of production up.
func shopRuns(t *testing.T, want map[string]string) {
	t.Helper()
	for host, release := range want {
		if got := shopAnswer(t, host); got != "release "+release {
			t.Errorf("%s answers %q, want release %s", host, got, release)
		}
		if n := on(t, host, "docker ps -aq | wc -l"); n != "1" {
			t.Errorf("%s has %s containers", host, n)
		}
	}
	for _, host := range []string{"app1", "app2"} {
		if got := inBackend(t, "shop", host); got != "up" {
			t.Errorf("HAProxy has the shop on %s %s", host, got)
		}
	}
}

func everywhere(release string) map[string]string {
	return map[string]string{"log1": release, "app1": release, "app2": release}
}

// shopImage is the image of a host's shop.
func shopImage(t *testing.T, host string) string {
	t.Helper()
	return on(t, host, "docker inspect -f '{{.Image}}' shop")
}

func TestDeployComesToStagingAndThenToProduction(t *testing.T) {
	s := newShop(t, "1")
	r := s.deploy(0, "2")
	shopRuns(t, everywhere("2"))
	staging, production := strings.Index(r.Out, "on log1"), strings.Index(r.Out, "on app1")
	if staging < 0 || production < staging {
		t.Errorf("staging isn't first:\n%s", r.Out)
	}
	if r := s.deploy(0, "2"); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second apply:\n%s", r.Out)
	}
	s.muster(0, "plan", deploy, "--var", "release=2", "--detailed-exitcode")
	s.muster(0, "plan", promote, "--detailed-exitcode")
}

func TestBadImageStopsAtTheFirstHostWhichIsPutBack(t *testing.T) {
	s := newShop(t, "1")
	for _, test := range []struct {
		image, host, says string
		want              map[string]string
	}{
		{"bad", "log1", "the database has no table orders", everywhere("1")},
		{"wrong", "log1", "doesn't answer as it should", everywhere("1")},
		// Well on staging, bad on production: one of two servers answers all the time.
		{"picky", "app1", "the motto is too long", map[string]string{"log1": "picky", "app1": "1", "app2": "1"}},
	} {
		before := shopImage(t, "app2")
		r := s.deploy(4, test.image)
		if !strings.Contains(r.Out+r.Err, test.says) || !strings.Contains(r.Out+r.Err, "failed on "+test.host) {
			t.Errorf("%s: it doesn't say %q of %s:\n%s%s", test.image, test.says, test.host, r.Out, r.Err)
		}
		shopRuns(t, test.want)
		if now := shopImage(t, "app2"); now != before {
			t.Errorf("%s came to app2", test.image)
		}
	}
	s.deploy(0, "1")
	shopRuns(t, everywhere("1"))
}

func TestPromotionTakesWhatStagingRuns(t *testing.T) {
	s := newShop(t, "1")
	s.muster(0, "apply", "playbooks/staging.hcl", "--yes", "--var", "release=2")
	shopRuns(t, map[string]string{"log1": "2", "app1": "1", "app2": "1"})
	// The tag stands for something else since.
	pushImages(t, dockerHost, "shop", map[string]string{"2": answers("release 2b")})
	defer pushImages(t, dockerHost, "shop", map[string]string{"2": shopImages["2"]})
	if r := s.muster(0, "apply", promote, "--yes", "--no-color"); !strings.Contains(r.Out, "@sha256:") {
		t.Errorf("it doesn't name a digest:\n%s", r.Out)
	}
	shopRuns(t, everywhere("2"))
	if shopImage(t, "log1") != shopImage(t, "app2") {
		t.Error("production runs another image than staging")
	}
}

func TestDeployThatIsKilledLeavesAServerThatTheNextOneNamesAndPutsBack(t *testing.T) {
	s := newShop(t, "1")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := s.command(ctx, "apply", deploy, "--yes", "--no-color", "--var", "release=3")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	on(t, "app1", "for i in $(seq 1200); do docker inspect shop.muster-old >/dev/null 2>&1 && exit; sleep 0.05; done; exit 1")
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// The host finishes what it has in hand; nobody puts app1 back into HAProxy.
	await.Until(t, "app1 answers with the release", func() bool { return shopAnswer(t, "app1") == "release 3" })
	if got := inBackend(t, "shop", "app1"); got != "drained" {
		t.Fatalf("HAProxy has app1 %s: it was killed too early or too late\n%s", got, out.String())
	}
	run := strings.Fields(s.muster(0, "history", "last").Out)[0]
	r := s.muster(0, "plan", deploy, "--no-color", "--var", "release=3")
	if named := "left drained by run "; !strings.Contains(r.Out, named) {
		t.Errorf("the plan doesn't say %q, which was %s:\n%s%s", named, run, r.Out, r.Err)
	}
	s.deploy(0, "3")
	shopRuns(t, everywhere("3"))
	s.muster(0, "plan", deploy, "--var", "release=3", "--detailed-exitcode")
}
