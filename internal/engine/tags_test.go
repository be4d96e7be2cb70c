package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"muster/internal/engine"
)

// A task that tags leave out counts as skipped for those that read it.
func TestTaskThatTagsLeaveOutIsSkippedForItsReaders(t *testing.T) {
	for name, choose := range map[string]func(*engine.Options){
		"--tags":      func(o *engine.Options) { o.Tags = []string{"b"} },
		"--skip-tags": func(o *engine.Options) { o.SkipTags = []string{"a"} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			r := f.runWith(choose, `
play "p" {
  hosts = ["all"]
  task "command" "first" {
    tags  = ["a"]
    shell = "echo x"
  }
  task "command" "each" {
    tags     = ["a"]
    for_each = toset(["k"])
    shell    = "echo x"
  }
  block "inside" {
    tags = ["a"]
    task "file" "in" {
      path = "DIR/in"
      content = "x"
    }
  }
  task "file" "reads" {
    tags    = ["b"]
    path    = "DIR/${host.name}"
    content = try(task.command.first.output.stdout, "none")
    when    = !task.command.first.changed
  }
  task "file" "reads_each" {
    tags    = ["b"]
    path    = "DIR/each-${host.name}"
    content = try(task.command.each["k"].output.stdout, "none")
  }
  task "file" "reads_inside" {
    tags    = ["b"]
    path    = "DIR/inside-${host.name}"
    content = "x"
    when    = !task.file.in.changed
  }
  task "file" "other" {
    tags    = ["b"]
    path    = "DIR/other-${host.name}"
    content = try(hosts["web2"].task.command.first.output.stdout, "none")
  }
}
`, "web1", "web2")
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			r.Plan(ctx)
			if s := r.Apply(ctx); s.Outcome != engine.OutcomeChanged || ctx.Err() != nil {
				t.Fatalf("%s: %v\n%s", s.Outcome, f.states(), f.failures())
			}
			for _, file := range []string{"web1", "each-web1", "inside-web1", "other-web1"} {
				if !f.exists(file) {
					t.Errorf("%s isn't there", file)
				}
			}
			if b, err := os.ReadFile(filepath.Join(f.dir, "web1")); f.exists("in") || string(b) != "none" {
				t.Errorf("what tags leave out is made: %q, %v, %v", b, err, f.states())
			}
		})
	}
}
