package engine_test

import (
	"slices"
	"strings"
	"testing"
)

// Conditions on a task go by what was judged of it, on its own host and on others. A
// plan can't tell that, and so says that their tasks may not come to anything.
func TestConditionsGoByWhatWasJudged(t *testing.T) {
	const readers = `
  task "file" "own" {
    path    = "DIR/made-own-${host.name}"
    content = "x"
    when    = task.command.judged.changed
  }
  task "file" "not" {
    path    = "DIR/made-not-${host.name}"
    content = "x"
    when    = !task.command.judged.changed
  }
  task "file" "other" {
    path    = "DIR/made-other-${host.name}"
    content = "x"
    when    = hosts["web1"].task.command.judged.changed
  }
  task "file" "computed" {
    path    = "DIR/made-computed-${host.name}"
    content = "x"
    when    = alltrue([task.command.judged.changed, hosts["web2"].task.command.judged.changed])
  }
`
	changed := []string{"computed-web1", "computed-web2", "other-web1", "other-web2", "own-web1", "own-web2"}
	unchanged := []string{"not-web1", "not-web2"}
	for name, test := range map[string]struct {
		judged string
		made   []string
		failed bool // the host stops
	}{
		"changed_when holds":          {`changed_when = strcontains(self.output.stdout, "x")`, changed, false},
		"changed_when doesn't hold":   {`changed_when = strcontains(self.output.stdout, "y")`, unchanged, false},
		"changed_when is false":       {`changed_when = false`, unchanged, false},
		"failed_when doesn't hold":    {"failed_when = self.output.exit_code == 4", changed, false},
		"failed_when holds":           {"failed_when = self.output.exit_code == 3\non_error = \"continue\"", unchanged, false},
		"failed_when holds for good":  {"failed_when = self.output.exit_code == 3", nil, true},
		"both":                        {"failed_when = false\nchanged_when = false", unchanged, false},
		"until":                       {"retry {\nattempts = 2\nuntil = self.output.stdout == \"x\"\n}\nfailed_when = false", changed, false},
		"until, and never":            {"on_error = \"continue\"\nretry {\nattempts = 2\ndelay = \"1ms\"\nuntil = false\n}\nfailed_when = false", unchanged, false},
		"until, with changed_when":    {"changed_when = false\nfailed_when = false\nretry {\nattempts = 2\nuntil = self.output.exit_code == 3\n}", unchanged, false},
		"a failure that is tolerated": {`on_error = "continue"`, unchanged, false},
		"on another host":             {"on = \"web3\"\nfailed_when = false\nchanged_when = false", unchanged, false},
		"once":                        {"once = true\nfailed_when = false\nchanged_when = false", unchanged, false},
		"once, and it holds":          {"once = true\nfailed_when = false\nchanged_when = true", changed, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shell := "echo x"
			if strings.Contains(test.judged, "failed_when") || strings.Contains(test.judged, "on_error") {
				shell += "; exit 3"
			}
			f := newFleet(t)
			r := f.run("play \"p\" {\n  hosts = [\"web1\", \"web2\"]\n  task \"command\" \"judged\" {\n    shell = \""+shell+"\"\n"+test.judged+"\n  }\n"+readers+"}", "web1", "web2", "web3")
			f.bounded(r, func() {
				constant := strings.Contains(test.judged, "changed_when = false") || strings.Contains(test.judged, "changed_when = true")
				for _, line := range f.states() {
					if !constant && strings.Contains(line, " file.") && strings.HasSuffix(line, " known") && !test.failed {
						t.Errorf("it is planned as certain: %s", line)
					}
				}
			})
			if made := f.made(); !slices.Equal(made, test.made) {
				t.Errorf("made %q, want %q\n%s", made, test.made, f.failures())
			}
		})
	}
}

// Behind a block with a rescue others come to their turn also where the block has
// failed: conditions on its tasks go by what they came to.
func TestConditionsOnABlockThatIsMadeGoodFor(t *testing.T) {
	const playbook = `
play "p" {
  hosts = ["all"]
  block "b" {
    task "file" "first" {
      path    = "DIR/first-${host.name}"
      content = "x"
    }
    task "command" "fails" { shell = "test ${host.name} != web1" }
    task "file" "inside" {
      path    = "DIR/made-inside-${host.name}"
      content = "x"
      when    = task.file.first.changed
    }
    task "file" "last" {
      path    = "DIR/last-${host.name}"
      content = "x"
    }
    rescue {
      task "command" "saves" { shell = "true" }
    }
  }
  task "file" "own" {
    path    = "DIR/made-own-${host.name}"
    content = "x"
    when    = task.file.last.changed
  }
  task "file" "not" {
    path    = "DIR/made-not-${host.name}"
    content = "x"
    when    = !task.file.last.changed
  }
  task "file" "other" {
    path    = "DIR/made-other-${host.name}"
    content = "x"
    when    = !hosts["web1"].task.file.last.changed
  }
  task "file" "failed" {
    path    = "DIR/made-failed-${host.name}"
    content = "x"
    when    = task.command.fails.failed
  }
}
`
	f := newFleet(t)
	f.bounded(f.run(playbook, "web1", "web2"), func() {})
	want(t, "made", f.made(), []string{"failed-web1", "inside-web2", "not-web1", "other-web1", "other-web2", "own-web2"})
	if t.Failed() {
		t.Log(f.failures())
	}
}
