package engine_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"muster/internal/engine"
	"muster/internal/wire"
)

// errorsOf are the errors of tasks that failed or ended nobody knows how, by host and label.
func (f *fleet) errorsOf() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := map[string]string{}
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && (e.Status == wire.Failed || e.Status == wire.Unknown) {
			list[e.Host+" "+e.Task] = e.Error
		}
	}
	return list
}

const onHub = `
play "hub" {
  hosts = ["hub"]
  task "file" "own" {
    path    = "DIR/own"
    content = "x"
  }
}
play "web" {
  hosts = ["web1", "web2"]
  task "file" "there" {
    on      = host.name == "web1" ? ["hub"] : ["web2"]
    path    = "DIR/there-${host.name}"
    content = "x"
  }
}
`

func TestTaskOnAHostThatIsDownFailsItsOwn(t *testing.T) {
	f := newFleet(t)
	f.down["hub"] = true
	r := f.run(onHub, "hub", "web1", "web2")
	r.Plan(t.Context())
	r.Apply(t.Context())
	if got := f.errorsOf()["web1 there"]; !strings.Contains(got, "the host hub, which it acts on, can't be used") {
		t.Errorf("it says %q", got)
	}
	if !f.exists("there-web2") {
		t.Error("web2 wasn't made")
	}
}

func TestTasksLeaveAHostAloneThatIsRefused(t *testing.T) {
	f := newFleet(t)
	r := f.run(onHub, "hub", "web1", "web2")
	r.Plan(t.Context())
	r.Refuse("hub", context.Canceled)
	r.Apply(t.Context())
	if f.exists("own") || f.exists("there-web1") {
		t.Error("something was made on the hub")
	}
	if !f.exists("there-web2") || f.errorsOf()["web1 there"] == "" {
		t.Errorf("web2 wasn't made, or web1 didn't fail: %v", f.states())
	}
}

func TestTasksLeaveAHostAloneOnWhichPlanningFailed(t *testing.T) {
	f := newFleet(t)
	r := f.run(strings.Replace(onHub, `"DIR/own"`, `"DIR/no/such/folder"`, 1), "hub", "web1", "web2")
	r.Plan(t.Context())
	r.Apply(t.Context())
	if got := f.errorsOf()["web1 there"]; f.exists("there-web1") || !strings.Contains(got, "planning failed on the host hub") {
		t.Errorf("it says %q", got)
	}
}

const onceForAll = `
play "p" {
  hosts = ["all"]
  block "migration" {
    task "command" "migrate" {
      once  = true
      shell = "EXIT"
    }
    RESCUE
  }
  task "file" "deploy" {
    path    = "DIR/${host.name}"
    content = "x"
  }
}
`

func TestFailureOfAOnceTaskIsEveryHosts(t *testing.T) {
	for name, test := range map[string]struct {
		exit, rescue string
		made         bool
	}{
		"it succeeds": {"true", "", true},
		"it fails":    {"sleep 0.2; exit 1", "", false},
		"it fails and is rescued": {"exit 1", `rescue {
      task "command" "tell" { argv = ["true"] }
    }`, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			text := strings.NewReplacer("EXIT", test.exit, "RESCUE", test.rescue).Replace(onceForAll)
			r := f.run(text, "web1", "web2", "web3")
			r.Plan(t.Context())
			s := r.Apply(t.Context())
			for _, host := range []string{"web1", "web2", "web3"} {
				if f.exists(host) != test.made || !test.made && s.Hosts[host].Failed != 1 {
					t.Errorf("%s: %+v", host, s.Hosts[host])
				}
			}
			if got := f.errorsOf()["web2 migrate"]; !test.made && got != "it failed on web1, where it is run once for all hosts" {
				t.Errorf("web2 says %q", got)
			}
		})
	}
}

func TestOutputOfASensitiveTaskIsReadAndNeverShown(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "command" "token" {
    argv      = ["echo", "-n", "hush-hush"]
    sensitive = true
  }
  task "command" "made" {
    shell   = "echo -n said; touch DIR/guard"
    creates = "DIR/guard"
  }
  task "file" "f" {
    path    = "DIR/token"
    content = "${task.command.token.output.stdout} ${task.command.made.output.stdout}"
  }
  task "command" "echoes" { argv = ["cat", "DIR/token"] }
}
`, "web1")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Fatalf("%+v: %v", s, f.errorsOf())
	}
	if got := read(t, f, "token"); got != "hush-hush said" {
		t.Errorf("the file has %q", got)
	}
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && (strings.Contains(string(e.Output), "hush-hush") || strings.Contains(e.Error, "hush-hush")) {
			t.Errorf("%s shows %s %s", e.Name, e.Output, e.Error)
		}
	}
}

// One sensitive argument hides itself: what else the task changes is shown,
// unless the value may stand anywhere in it.
func TestSensitiveArgumentHidesItselfAlone(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
variable "token" {
  type      = string
  default   = "hush-hush"
  sensitive = true
}
play "p" {
  hosts = ["all"]
  task "file" "whole" {
    path    = "DIR/whole"
    content = var.token
    mode    = "0640"
  }
  task "file" "all" {
    path      = "DIR/all"
    content   = "plain"
    mode      = "0641"
    sensitive = true
  }
  task "file" "owner" {
    path    = "DIR/owner"
    content = "plain"
    mode    = var.token == "" ? "0640" : "0642"
  }
  task "line" "other" {
    path = "DIR/other"
    line   = "plain"
    match  = var.token
    create = true
  }
}
`, "web1")
	r.Plan(t.Context())
	diffs := map[string]string{}
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && len(e.Changes) > 0 {
			diffs[e.Task] = e.Changes[0].Diff
		}
	}
	for task, want := range map[string]string{"whole": "mode: 0640\n(sensitive content)", "all": "(sensitive)", "owner": "mode: (sensitive)\n@@ -0,0 +1 @@\n+plain\n\\ No newline at end of file", "other": "(sensitive)"} {
		if diffs[task] != want {
			t.Errorf("%s shows %q, want %q", task, diffs[task], want)
		}
	}
}

func TestAbortedRunSaysWhatWasInHand(t *testing.T) {
	f := newFleet(t)
	ctx, abort := context.WithCancel(t.Context())
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "command" "first" { argv = ["true"] }
  task "command" "slow" { shell = "echo > DIR/begun; sleep 1" }
  task "command" "behind" { argv = ["true"] }
}
`, "web1")
	f.when("begun", abort)
	r.Plan(t.Context())
	s := r.Apply(ctx)
	if c := s.Hosts["web1"]; c.Changed != 1 || c.Failed+c.Unknown != 1 || c.NotReached != 1 {
		t.Errorf("%+v", c)
	}
	// The host may have been quick enough to say that it ended the task itself.
	want := "whether it was made isn't known"
	if s.Hosts["web1"].Failed > 0 {
		want = "interrupted"
	}
	if got := f.errorsOf()["web1 slow"]; !strings.Contains(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// A host of a rolling play that has nothing to do but a task which another makes for all
// takes no place in a batch, and waits for that one all the same.
func TestOnceTaskOfARollingPlayIsWaitedFor(t *testing.T) {
	for _, batches := range []string{"1", `"100%"`} {
		f := newFleet(t)
		r := f.run(strings.Replace(`
play "p" {
  hosts = ["all"]
  rolling { batches = [BATCHES] }
  task "command" "migrate" {
    once = true
    argv = ["true"]
  }
  task "file" "after" {
    path    = "DIR/${host.name}"
    content = "x"
  }
}
`, "BATCHES", batches, 1), "web1", "web2", "web3")
		if err := os.WriteFile(f.dir+"/web2", []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.Plan(t.Context())
		s := r.Apply(t.Context())
		if s.Outcome != engine.OutcomeChanged || !f.exists("web3") {
			t.Errorf("batches of %s: %s: %v", batches, s.Outcome, f.states())
		}
	}
}
