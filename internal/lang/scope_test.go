package lang

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/rogpeppe/go-internal/txtar"

	"muster/internal/lang/eval"
)

func TestScopesOfDifferentHostsCanBeUsedAtOnce(t *testing.T) {
	a, err := txtar.ParseFile("testdata/good/roles.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := unpack(t, a)
	p := must(t, filepath.Join(dir, "site.hcl"), testOptions(dir))
	var wg sync.WaitGroup
	for range 8 {
		for _, h := range []string{"app1", "app2"} {
			wg.Go(func() {
				var b strings.Builder
				for _, play := range p.Plays {
					show(t, &b, dir, p.Scope(play, h, &fakeResults{Planning: true}), play.Steps, "")
				}
			})
		}
	}
	wg.Wait()
}

func TestUntilAndFailedWhenReadTheOwnOutcome(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
play "p" {
  hosts = ["lb1"]
  task "command" "a" {
    argv         = ["x"]
    changed_when = self.output.stdout != ""
    failed_when  = task.command.a.output.exit_code > 1
    retry {
      attempts = 2
      until    = self.output.exit_code == 0 && !self.failed
    }
  }
  task "command" "b" {
    argv         = ["x"]
    changed_when = false
  }
}
`)
	p := must(t, file, testOptions(dir))
	s := p.Scope(p.Plays[0], "lb1", &fakeResults{})
	i, _, _ := s.Instances(p.Plays[0].Steps[0].Task)
	e, _, diags := s.Evaluate(i[0])
	if diags.HasErrors() || !e.ChangedWhen || !e.FailedWhen || !e.Retry.Until || e.Args["failed_when"] != false {
		t.Fatalf("%+v %v", e, diags)
	}
	o := eval.Outcome{Output: []byte(`{"stdout":"","exit_code":2}`)}
	for _, c := range []struct {
		name string
		got  func() (bool, hcl.Diagnostics)
		want bool
	}{
		{"changed_when", func() (bool, hcl.Diagnostics) { return s.ChangedWhen(i[0], o) }, false},
		{"failed_when", func() (bool, hcl.Diagnostics) { return s.FailedWhen(i[0], o) }, true},
		{"until", func() (bool, hcl.Diagnostics) { return s.Until(i[0], o) }, false},
	} {
		if got, diags := c.got(); got != c.want || diags.HasErrors() {
			t.Errorf("%s: got %v %v", c.name, got, diags)
		}
	}
	if e := evaluate(t, p, 0, 1, "lb1", &fakeResults{}); e.ChangedWhen || e.Args["changed_when"] != false {
		t.Errorf("a changed_when that reads nothing of the task is the module's: %+v", e)
	}
}

// A validation reads its own variable, and another's: neither is kept while it is unknown.
func TestInputThatIsNotKnownYetIsHeldAgainstItsValidationsOnceItIs(t *testing.T) {
	dir, file := project(t, `
-- roles/sends/role.hcl --
variable "ca" {
  type = string
  validation {
    condition = can(regex("CERTIFICATE", var.ca)) && var.name != ""
    message   = "The CA is a certificate."
  }
}
variable "name" {
  type = string
  validation {
    condition = var.name != "" && var.ca != ""
    message   = "A name isn't empty."
  }
}
task "file" "/ca" { content = "${var.ca} of ${var.name}" }
-- site.hcl --
play "p" {
  hosts = ["lb1"]
  task "command" "makes" { argv = ["x"] }
  role "sends" {
    ca   = task.command.makes.output.stdout
    name = task.command.makes.output.stderr
  }
}
`)
	p := must(t, file, testOptions(dir))
	step := p.Plays[0].Steps[1].Block
	in := func(r eval.Results) (string, hcl.Diagnostics) {
		entered, _, diags := p.Scope(p.Plays[0], "lb1", r).Enter(step)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		s := entered[0]
		i, _, diags := s.Instances(step.Steps[0].Task)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		e, _, diags := s.Evaluate(i[0])
		if diags.HasErrors() || r.(*fakeResults).Planning {
			return "", diags
		}
		return contentText(t, e), nil
	}
	if _, diags := in(&fakeResults{Planning: true}); diags.HasErrors() {
		t.Errorf("not known yet: %v", diags)
	}
	made := func(out string) *fakeResults {
		return &fakeResults{Outcomes: map[string]map[string]fakeOutcome{"lb1": {"0/task.command.makes": {Output: []byte(out)}}}}
	}
	if text, diags := in(made(`{"stdout":"CERTIFICATE","stderr":"a","exit_code":0}`)); diags.HasErrors() || text != "CERTIFICATE of a" {
		t.Errorf("known: %q %v", text, diags)
	}
	if _, diags := in(made(`{"stdout":"KEY","stderr":"a","exit_code":0}`)); !diags.HasErrors() || !strings.Contains(diags.Error(), "The CA is a certificate.") {
		t.Errorf("known, and not valid: %v", diags)
	}
}
