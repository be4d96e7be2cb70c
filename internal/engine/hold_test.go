package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/modules"
)

// Two tasks that name each other's hosts come through one after the other.
func TestTasksThatNeedEachOthersHosts(t *testing.T) {
	for n := range 6 {
		f := accompanied(t)
		f.bounded(f.runWith(func(o *engine.Options) { o.Parallel = n % 3 }, `
play "p" {
  hosts = ["all"]
  task "file" "theirs" {
    path    = "DIR/${host.name}.theirs"
    content = "of ${host.name}"
  }
  task "copied" "it" {
    path  = "DIR/${host.name}.copy"
    from  = host.name == "web1" ? "web2" : "web1"
    their = host.name == "web1" ? "DIR/web2.theirs" : "DIR/web1.theirs"
    how   = "alone"
  }
  task "command" "after" { shell = "echo >> DIR/${host.name}.made" }
}
`, "web1", "web2"), func() {})
		if f.read(t, "web1.copy") != "of web2" || f.read(t, "web2.copy") != "of web1" || len(f.errorsOf()) > 0 {
			t.Fatalf("they didn't come through: %v", f.errorsOf())
		}
	}
}

// Three that copy from one host: two at a time. While one of them does nothing is made
// there, whoever's it is.
func TestNothingIsMadeOnAHostThatSends(t *testing.T) {
	f := accompanied(t)
	hosts := []string{"db", "web1", "web2", "web3", "web4", "slow"}
	f.bounded(f.run(`
play "p" {
  hosts = ["all"]
  task "file" "theirs" {
    path    = "DIR/${host.name}.theirs"
    content = "of ${host.name}"
  }
  task "command" "some" {
    for_each = toset([for n in range(20) : tostring(n)])
    when  = host.name == "db"
    shell = "echo >> DIR/db.made"
  }
  task "copied" "it" {
    when  = !contains(["db", "slow"], host.name)
    path  = "DIR/${host.name}.copy"
    from  = "db"
    their = "DIR/db.theirs"
    how   = "alone"
  }
  task "command" "away" {
    when  = host.name == "db"
    on    = "slow"
    shell = "sleep 0.05"
  }
  task "command" "more" {
    for_each = toset([for n in range(20) : tostring(n)])
    when  = host.name == "db"
    shell = "echo >> DIR/db.made"
  }
  task "command" "others" {
    when  = host.name == "web1"
    on    = "db"
    shell = "echo >> DIR/db.made"
  }
}
`, hosts...), func() {})
	for _, h := range hosts[1:5] {
		if f.read(t, h+".copy") != "of db" {
			t.Errorf("%s didn't come through", h)
		}
	}
	if len(f.errorsOf()) > 0 || len(f.read(t, "db.made")) != 41 {
		t.Errorf("%d were made: %v", len(f.read(t, "db.made")), f.errorsOf())
	}
	most.Lock()
	defer most.Unlock()
	if n := mostOf[filepath.Join(f.dir, "db.theirs")]; n != 2 {
		t.Errorf("%d were sent at a time", n)
	}
}

// A host that acts for others, rescues, and batches come to their companions all the same.
func TestCompanionsInRescuesAndRollingPlays(t *testing.T) {
	const it = `task "copied" "it" {
      path  = "DIR/${host.name}.copy"
      from  = "db"
      their = "DIR/db.theirs"
    }`
	for name, play := range map[string]string{
		"rescue": `hosts = ["web1", "web2"]
  block "b" {
    task "command" "fails" { shell = "exit 1" }
    rescue {
      ` + it + `
    }
  }`,
		"always": `hosts = ["web1", "web2"]
  block "b" {
    task "command" "first" { shell = "true" }
    always {
      ` + it + `
    }
  }`,
		"rolling": `hosts = ["web1", "web2"]
  rolling {
    batches = [1]
  }
  ` + it,
		"late": `hosts = ["web1", "web2"]
  task "command" "first" { shell = "echo db" }
  task "copied" "it" {
    path  = "DIR/${host.name}.copy"
    from  = trimspace(task.command.first.output.stdout)
    their = "DIR/db.theirs"
  }`,
		"on": `hosts = ["web1", "web2"]
  task "copied" "it" {
    on    = host.name == "web1" ? ["web2"] : ["web1"]
    path  = "DIR/${host.name}.copy"
    from  = "db"
    their = "DIR/db.theirs"
  }`,
	} {
		t.Run(name, func(t *testing.T) {
			f := accompanied(t)
			f.bounded(f.run(fmt.Sprintf(`
play "db" {
  hosts = ["db"]
  task "file" "theirs" {
    path    = "DIR/db.theirs"
    content = "of db"
  }
}
play "web" {
  %s
}
`, play), "db", "web1", "web2"), func() {})
			if f.read(t, "web1.copy") != "of db" || f.read(t, "web2.copy") != "of db" {
				t.Errorf("they didn't come through: %v", f.errorsOf())
			}
		})
	}
}

// restarted is a daemon that has to have read a file: what it has read stands in another one, to
// which each restart adds a line.
type restarted struct {
	Log       string `arg:"log,key,path,required"`
	RestartOn string `arg:"restart_on,required"`
}

func (r *restarted) May() []host.Effect { return []host.Effect{host.Open(host.Files, r.Log)} }

func (r *restarted) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	want, err := v.ReadFile(ctx, r.RestartOn, 1<<10)
	if err != nil {
		return modules.Plan{}, err
	}
	has, err := v.ReadFile(ctx, r.Log, 1<<10)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return modules.Plan{}, err
	}
	if strings.Contains(string(has), string(want)) {
		return modules.Plan{}, nil
	}
	return modules.Plan{Changes: []host.Change{&restart{Log: r.Log, Read: string(want)}}}, nil
}

type restart struct{ Log, Read string }

func (r *restart) Type() string { return "test.restart/1" }
func (r *restart) Describe() host.Description {
	return host.Description{Action: host.Restart, Target: r.Log}
}
func (r *restart) Effects() []host.Effect { return []host.Effect{host.Open(host.Files, r.Log)} }
func (r *restart) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	f, err := os.OpenFile(r.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return host.Result{}, err
	}
	_, err = f.WriteString(r.Read)
	return host.Result{}, errors.Join(err, f.Close())
}

// A daemon that sends isn't restarted by a task behind that: what it would restart for has come
// before, and it is restarted afterwards.
func TestADaemonThatSendsIsRestartedAfterwards(t *testing.T) {
	f := accompanied(t, modules.Kind{Name: "restarted", New: func() modules.Module { return &restarted{} }})
	f.bounded(f.run(`
play "p" {
  hosts = ["all"]
  task "file" "theirs" {
    path    = "DIR/${host.name}.theirs"
    content = "of ${host.name}"
  }
  task "file" "settings" {
    for_each = toset([for n in range(20) : format("%02d", n)])
    when     = host.name == "db"
    path     = "DIR/${each.key}.settings"
    content  = "${each.key}\n"
  }
  task "copied" "it" {
    when  = !contains(["db", "slow"], host.name)
    path  = "DIR/${host.name}.copy"
    from  = "db"
    their = "DIR/db.theirs"
    how   = "alone"
  }
  task "command" "away" {
    when  = host.name == "db"
    on    = "slow"
    shell = "sleep 0.05"
  }
  task "restarted" "daemon" {
    for_each   = toset([for n in range(20) : format("%02d", n)])
    when       = host.name == "db"
    log        = "DIR/db.made"
    restart_on = "DIR/${each.key}.settings"
  }
}
`, "db", "web1", "web2", "slow"), func() {})
	if len(f.errorsOf()) > 0 || f.read(t, "web1.copy") != "of db" || f.read(t, "web2.copy") != "of db" || len(f.read(t, "db.made")) != 60 {
		t.Errorf("restarted for %q, %v", f.read(t, "db.made"), f.errorsOf())
	}
}

// A run that is gone on with has the hosts that it didn't finish, and their companions, of which
// nothing is made.
func TestARunIsGoneOnWithAndItsCompanionSends(t *testing.T) {
	f := accompanied(t)
	first := f.run(copyingWith(`how = "half"`), "web1", "web2")
	f.bounded(first, func() {})
	first.Close()
	if got := f.errorsOf()["web1 it"]; !strings.Contains(got, "the disk is gone") || f.exists("web1.copy") {
		t.Fatalf("the first run: %q", f.errorsOf())
	}
	f.forget()
	f.write(t, "web2.theirs", "of somebody else")
	r := f.runWith(func(o *engine.Options) { o.Limit = map[string]bool{"web1": true} }, copyingWith(""), "web1", "web2")
	s := f.bounded(r, func() {})
	if f.read(t, "web1.copy") != "of somebody else" || f.read(t, "web2.theirs") != "of somebody else" || len(s.Order) != 1 || len(f.errorsOf()) > 0 {
		t.Errorf("of %v, %q is copied: %v", s.Order, f.read(t, "web1.copy"), f.errorsOf())
	}
}
