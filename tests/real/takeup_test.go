package real

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// once are tasks of which each run can be counted on the host, in a folder that is
// made anew. The second waits until the test lets it go.
const once = `
play "once" {
  hosts  = ["app1"]
  become = true
  task "command" "first" { shell = "echo >> /srv/once/first" }
  task "command" "held" {
    shell   = "echo >> /srv/once/held; while ! test -e /srv/once/go; do sleep 0.05; done; touch /srv/once/made"
    creates = "/srv/once/made"
  }
  task "command" "unguarded" {
    shell = "echo >> /srv/once/unguarded; while ! test -e /srv/once/on; do sleep 0.05; done"
  }
  task "file" "last" {
    path    = "/srv/once/last"
    content = "last\n"
  }
}
`

// cut runs the playbook once and calls lose when its task has begun what file counts.
func cut(t *testing.T, file string, lose func()) result {
	t.Helper()
	on(t, "app1", "rm -rf /srv/once /var/lib/muster/* && mkdir /srv/once")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := command(ctx, t, "apply", playbook(t, once), "--yes")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if file == "unguarded" {
		on(t, "app1", "touch /srv/once/go")
	}
	on(t, "app1", "timeout 60 sh -c 'while ! test -e /srv/once/"+file+"; do sleep 0.02; done'")
	lose()
	on(t, "app1", "touch /srv/once/go /srv/once/on")
	_ = cmd.Wait()
	return result{Out: out.String(), Code: cmd.ProcessState.ExitCode()}
}

// counts is how often each task was made.
func counts(t *testing.T, want map[string]int) {
	t.Helper()
	for file, n := range want {
		got, err := strconv.Atoi(on(t, "app1", "cat /srv/once/"+file+" 2>/dev/null | wc -l"))
		if err != nil || got != n {
			t.Errorf("%s was made %d times, not %d (%v)", file, got, n, err)
		}
	}
}

// whole is a run in which every task was made once, and the record is gone.
func whole(t *testing.T, r result) {
	t.Helper()
	if r.Code != 0 {
		t.Errorf("exit code %d\n%s", r.Code, r.Out)
	}
	counts(t, map[string]int{"first": 1, "held": 1, "unguarded": 1, "last": 1})
	// The remote ends a moment after muster does.
	if left := on(t, "app1", `for i in $(seq 200); do test -z "$(ls -A /var/lib/muster)" && break; sleep 0.05; done; ls -A /var/lib/muster`); left != "" {
		t.Errorf("the host keeps %s", left)
	}
}

// loginsOf ends the sessions through which muster reaches a host, as a connection
// that breaks does.
func loginsOf(t *testing.T, name string) {
	t.Helper()
	on(t, name, `for p in $(ps -eo pid,args | awk '/sshd: [a-z]+(@notty)?( \[priv\])?$/ {print $1}'); do kill -9 $p 2>/dev/null; done; true`)
}

func TestHostIsTakenUpAgainAfterItsConnectionBroke(t *testing.T) {
	command(t.Context(), t)
	for _, file := range []string{"held", "unguarded"} {
		t.Run(file, func(t *testing.T) {
			r := cut(t, file, func() { loginsOf(t, "app1") })
			whole(t, r)
			if !strings.Contains(r.Out, "connecting again") {
				t.Errorf("it isn't said:\n%s", r.Out)
			}
		})
	}
}

// The new connection is lost, too, while it waits for the end of what is in hand: the
// next one is told that end.
func TestHostIsTakenUpAgainAfterItsConnectionBrokeTwice(t *testing.T) {
	command(t.Context(), t)
	for _, file := range []string{"held", "unguarded"} {
		t.Run(file, func(t *testing.T) {
			whole(t, cut(t, file, func() {
				loginsOf(t, "app1")
				fenced(t, 1)
				loginsOf(t, "app1")
				fenced(t, 2)
			}))
		})
	}
}

// fenced waits until the host is being taken up by a connection of this number.
func fenced(t *testing.T, take int) {
	t.Helper()
	on(t, "app1", fmt.Sprintf("timeout 60 sh -c 'until grep -qx %d /var/lib/muster/*.fence; do sleep 0.05; done' 2>/dev/null", take))
}

func TestAllAreTakenUpAgainThroughABastionThatBroke(t *testing.T) {
	command(t.Context(), t)
	whole(t, cut(t, "unguarded", func() { loginsOf(t, "nat") }))
}

// A remote that was killed leaves the outcome of its command unknown: one that is
// guarded is planned again, one that isn't fails.
func TestRemoteThatWasKilledIsFollowedByAnother(t *testing.T) {
	command(t.Context(), t)
	killed := func() {
		on(t, "app1", `for e in /proc/[0-9]*/exe; do case $(readlink $e) in *muster*) p=${e%/exe}; kill -9 ${p#/proc/} ;; esac; done`)
	}
	r := cut(t, "held", killed)
	if r.Code != 0 {
		t.Errorf("exit code %d\n%s", r.Code, r.Out)
	}
	// What the killed remote had started is waited for.
	counts(t, map[string]int{"first": 1, "held": 1, "unguarded": 1, "last": 1})

	r = cut(t, "unguarded", killed)
	if r.Code != 4 || !strings.Contains(r.Out, "its outcome is unknown") {
		t.Errorf("exit code %d\n%s", r.Code, r.Out)
	}
	counts(t, map[string]int{"first": 1, "held": 1, "unguarded": 1, "last": 0})
}

// reads runs its program while it is planned.
const reads = `
play "reads" {
  hosts  = ["app1"]
  become = true
  task "command" "reads" {
    shell     = "echo >> /srv/once/reads; while ! test -e /srv/once/on; do sleep 0.05; done"
    read_only = true
  }
}
`

// A remote that is stopped and never goes on, of a run that makes or only plans, keeps the
// host from nobody for ever.
func TestStoppedRemoteDoesNotKeepItsHost(t *testing.T) {
	command(t.Context(), t)
	stop := `for e in /proc/[0-9]*/exe; do case $(readlink $e) in *muster*) p=${e%/exe}; kill -STOP ${p#/proc/} ;; esac; done`
	for _, what := range []string{"apply", "plan"} {
		t.Run(what, func(t *testing.T) {
			on(t, "app1", "rm -rf /srv/once /var/lib/muster/* && mkdir /srv/once")
			text := once
			if what == "plan" {
				text = reads
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			cmd := command(ctx, t, what, playbook(t, text))
			if what == "apply" {
				cmd = command(ctx, t, what, playbook(t, text), "--yes")
			}
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			file := map[string]string{"apply": "held", "plan": "reads"}[what]
			on(t, "app1", "timeout 60 sh -c 'while ! test -e /srv/once/"+file+"; do sleep 0.02; done'")
			on(t, "app1", stop)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			on(t, "app1", "touch /srv/once/go /srv/once/on")
			r := muster(t, "apply", playbook(t, once), "--yes")
			if r.Code != 0 || !strings.Contains(r.Out+r.Err, "ended another run's remote on this host (process ") {
				t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
			}
		})
	}
}

// A host that is gone for good leaves its tasks unknown, and says so.
func TestWhatALostHostWasToldToMakeIsUnknown(t *testing.T) {
	command(t.Context(), t)
	defer func() {
		if err := theLab.Host("app1").Mend(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	r := cut(t, "unguarded", func() {
		if err := theLab.Host("app1").Cut(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if r.Code != 4 || !strings.Contains(r.Out, "2 unknown") || !strings.Contains(r.Out, "Whether 2 tasks were made isn't known") {
		t.Errorf("exit code %d\n%s", r.Code, r.Out)
	}
}
