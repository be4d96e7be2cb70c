package real

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// application runs playbooks/docker.hcl, and says what it printed.
type application struct {
	t   *testing.T
	dir string
}

func (a application) run(code int, args ...string) string {
	a.t.Helper()
	args = append(args, "../../playbooks/docker.hcl", "--no-color", "--var", "certificate="+a.text("registry.crt"), "--var", "key="+a.text("registry.key"), "--var", "password=a-long-word", "--var", "token=a-longer-word")
	r := muster(a.t, args...)
	if os.Getenv("MUSTER_SHOW") != "" {
		a.t.Logf("muster %s\n%s%s", strings.Join(args[:len(args)-8], " "), r.Out, r.Err)
	}
	if r.Code != code {
		a.t.Fatalf("muster %s: exit code %d\n%s%s", strings.Join(args, " "), r.Code, r.Out, r.Err)
	}
	if strings.Contains(r.Out+r.Err, "a-long-word") || strings.Contains(r.Out+r.Err, "a-longer-word") {
		a.t.Errorf("it shows a secret:\n%s%s", r.Out, r.Err)
	}
	return r.Out + r.Err
}

func (a application) text(name string) string {
	a.t.Helper()
	data, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		a.t.Fatal(err)
	}
	return string(data)
}

// pushImages makes images on a host, one for each tag, and pushes them.
func pushImages(t *testing.T, host, name string, tags map[string]string) {
	t.Helper()
	for tag, serve := range tags {
		on(t, host, `set -eu
			command -v busybox >/dev/null || apt-get install -yqq busybox-static >/dev/null
			d=$(mktemp -d) && mkdir -p $d/bin $d/www && cp /bin/busybox $d/bin/ && ln -s busybox $d/bin/sh
			echo `+tag+` >$d/www/release
			printf '%s\n' '#!/bin/sh' '`+serve+`' >$d/serve && chmod +x $d/serve
			tar -C $d -c . | docker import --change 'CMD ["/serve"]' --change 'VOLUME /cache' - `+registryAt+`/`+name+`:`+tag+` >/dev/null
			docker push -q `+registryAt+`/`+name+`:`+tag+` && docker rmi -f `+registryAt+`/`+name+`:`+tag+` >/dev/null; rm -r $d`)
	}
}

// serves is an application that answers until it is told to stop; fails is one that ends.
const (
	serves = `trap "exit 0" TERM; busybox httpd -p 80 -h /www; while :; do busybox sleep 0.1; done`
	fails  = `echo "the database has no table orders" >&2; exit 7`
)

// identities are the container of each server, and when it was started.
func identities(t *testing.T) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, host := range []string{"app1", "app2"} {
		ids[host] = on(t, host, `docker inspect -f '{{.Id}} {{.State.StartedAt}} {{.Image}}' app`)
	}
	return ids
}

func imageOf(identity string) string { return strings.Fields(identity)[2] }

// bare has hosts be as they were made, before a test and after it: Docker leaves networks
// behind, which other tests would find.
func bare(t *testing.T, hosts ...string) {
	t.Helper()
	reset := func() {
		siteForRollout, shopReady = false, false
		var all sync.WaitGroup
		for _, host := range hosts {
			all.Go(func() {
				if err := theLab.Host(host).Reset(context.Background()); err != nil {
					t.Errorf("making %s anew: %v", host, err)
				}
			})
		}
		all.Wait()
	}
	reset()
	t.Cleanup(reset)
}

// From two bare servers to the same image on both, by digest, from a registry of the
// site's own; again, which changes nothing; and a bad image, which is put back.
func TestApplicationServersRunOneImage(t *testing.T) {
	command(t.Context(), t)
	bare(t, "app1", "app2", "cache1", "log1")
	a := application{t, t.TempDir()}
	certificates(t, a.dir)
	a.run(0, "apply", "--yes", "--var", "release=1", "--tags", "registry,docker")
	pushImages(t, "app1", "app", map[string]string{"1": serves, "2": serves, "bad": fails})
	a.run(0, "apply", "--yes", "--var", "release=1")
	first := identities(t)
	if imageOf(first["app1"]) != imageOf(first["app2"]) {
		t.Errorf("they run %v", first)
	}
	for _, host := range []string{"app1", "app2"} {
		on(t, host, `test "$(docker exec app busybox cat /run/secrets/token)" = a-longer-word
			test "$(docker exec app busybox wget -qO- http://127.0.0.1/release)" = 1
			docker exec app sh -c 'busybox echo kept >/cache/x'`)
	}
	if out := a.run(0, "apply", "--yes", "--var", "release=1"); !strings.Contains(out, "Nothing to change") {
		t.Errorf("the second run:\n%s", out)
	}
	if now := identities(t); now["app1"] != first["app1"] || now["app2"] != first["app2"] {
		t.Errorf("the second run left %v, not %v", now, first)
	}

	// Another release, one server after the other; what a volume without a name holds stays.
	if out := a.run(0, "apply", "--yes", "--var", "release=2"); !strings.Contains(out, "container app didn't run for ") {
		t.Errorf("it doesn't say for how long nothing ran:\n%s", out)
	}
	second := identities(t)
	on(t, "app1", `test "$(docker exec app busybox cat /cache/x)" = kept && test "$(docker ps -aq | wc -l)" = 1`)

	// A bad image is put back on the first server, and never comes to the second.
	out := a.run(4, "apply", "--yes", "--var", "release=bad")
	for _, want := range []string{"by the last time", "the database has no table orders", "exit code 7", "has been taken back"} {
		if !strings.Contains(out, want) {
			t.Errorf("it doesn't say %q:\n%s", want, out)
		}
	}
	after := identities(t)
	if imageOf(after["app1"]) != imageOf(second["app1"]) || after["app2"] != second["app2"] {
		t.Errorf("the bad image left %v, not %v", after, second)
	}
	on(t, "app1", `test "$(docker inspect -f '{{.State.Running}} {{.HostConfig.RestartPolicy.Name}}' app)" = "true unless-stopped" && test "$(docker ps -aq | wc -l)" = 1`)
	if out := a.run(0, "plan", "--var", "release=2", "--detailed-exitcode"); !strings.Contains(out, "Nothing to change") {
		t.Errorf("after it was put back:\n%s", out)
	}

	// The registry is down: what is there stays, and what would have to be asked for is
	// an error before anything is touched.
	on(t, "cache1", "systemctl stop docker-registry")
	if out := a.run(4, "apply", "--yes", "--var", "release=2", "--tags", "application"); !strings.Contains(out, "asking the registry") {
		t.Errorf("without the registry:\n%s", out)
	}
	on(t, "cache1", "systemctl start docker-registry")
	if now := identities(t); now["app1"] != after["app1"] {
		t.Error("a registry that doesn't answer changed something")
	}
}
