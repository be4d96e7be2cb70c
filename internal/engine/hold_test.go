package engine_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"muster/internal/engine"
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
