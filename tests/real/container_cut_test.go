package real

import (
	"context"
	"strings"
	"testing"

	"muster/tests/await"
)

// runsImage is a playbook with a container of one of two images that only the host has,
// which take their time to stop.
func runsImage(t *testing.T, tag string) string {
	return playbook(t, `
play "p" {
  hosts  = ["`+dockerHost+`"]
  become = true
  task "docker_container" "app" {
    image        = "box:`+tag+`"
    pull         = "never"
    stop_timeout = "20s"
  }
}
`)
}

// withImages has Docker on a host, with the two images and a container of the first.
func withImages(t *testing.T) {
	t.Helper()
	bare(t, dockerHost)
	on(t, dockerHost, `set -eu
		apt-get install -yqq --no-install-recommends docker.io busybox-static >/dev/null 2>&1
		systemctl start docker
		d=$(mktemp -d) && mkdir -p $d/bin && cp /bin/busybox $d/bin/ && ln -s busybox $d/bin/sh
		printf '#!/bin/sh\ntrap : TERM\nwhile :; do busybox sleep 0.2; done\n' >$d/serve && chmod +x $d/serve
		for tag in 1 2; do echo $tag >$d/release; tar -C $d -c . | docker import --change 'CMD ["/serve"]' - box:$tag >/dev/null; done; rm -r $d`)
	if r := muster(t, "apply", runsImage(t, "1"), "--yes"); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
}

// runs is the release that the container of a name runs.
func runs(t *testing.T) string {
	t.Helper()
	return on(t, dockerHost, "docker exec app /bin/busybox cat /release")
}

// A host whose power is cut while a container is made anew has one of the two when it
// is up again; the next run puts the old one back, and makes the new one.
func TestContainerThatWasCutOffIsMadeAnewByTheNextRun(t *testing.T) {
	command(t.Context(), t)
	withImages(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := command(ctx, t, "apply", runsImage(t, "2"), "--yes")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := theLab.Host(dockerHost)
	await.Until(t, "the old container is told to stop", func() bool {
		out, err := h.Exec(t.Context(), "sh", "-c", `docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' app.muster-old`)
		return err == nil && strings.TrimSpace(string(out)) == "always"
	})
	_ = cmd.Process.Kill()
	if err := h.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := h.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "one of the two runs", func() bool {
		out, err := h.Exec(t.Context(), "docker", "ps", "-q")
		return err == nil && strings.Count(string(out), "\n") == 1
	})
	r := muster(t, "plan", runsImage(t, "2"))
	if !strings.Contains(r.Out, "takes back what") {
		t.Errorf("the plan doesn't say what was left: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r := muster(t, "apply", runsImage(t, "2"), "--yes"); r.Code != 0 {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if got := runs(t); got != "2" {
		t.Errorf("it runs release %s", got)
	}
	if left := on(t, dockerHost, "docker ps -aq | wc -l"); left != "1" {
		t.Errorf("%s containers are left", left)
	}
	if r := muster(t, "plan", runsImage(t, "2"), "--detailed-exitcode"); r.Code != 0 {
		t.Errorf("something is left to do: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
}

// Whoever runs something else under a tag on another host is told, and nothing is made.
func TestTagThatStandsForTwoImagesStopsTheRun(t *testing.T) {
	command(t.Context(), t)
	withImages(t)
	bare(t, "app1")
	on(t, "app1", `apt-get install -yqq --no-install-recommends docker.io busybox-static >/dev/null 2>&1; systemctl start docker; tar -C / -c bin/busybox | docker import - box:2 >/dev/null`)
	file := playbook(t, `
play "p" {
  hosts  = ["`+dockerHost+`", "app1"]
  become = true
  task "docker_container" "app" {
    image   = "box:2"
    pull    = "never"
    command = ["/bin/busybox", "sleep", "1000"]
  }
}
`)
	r := muster(t, "apply", file, "--yes")
	if r.Code != 4 || !strings.Contains(r.Out, "the image box:2 stands for image sha256:") || !strings.Contains(r.Out, "nothing is made on any") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if got := runs(t); got != "1" {
		t.Errorf("it runs release %s", got)
	}
	on(t, "app1", "! docker inspect app >/dev/null 2>&1")
}
