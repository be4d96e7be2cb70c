package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"muster/internal/engine"
	"muster/internal/wire"
)

// latin1 is a name as an old system leaves it: no UTF-8.
const latin1 = "caf\xe9"

func TestBytesThatAreNoTextFailTheirTaskAndNothingElse(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  block "b" {
    task "command" "fails" { shell = "printf 'caf\\351' >&2; exit 3" }
    rescue {
      task "file" "rescued" {
        path    = "DIR/rescued"
        content = "x"
      }
    }
    always {
      task "file" "always" {
        path    = "DIR/always"
        content = "x"
      }
    }
  }
  task "command" "long" {
    shell    = "i=0; while [ $i -lt 5000 ]; do printf '\\303\\251' >&2; i=$((i+1)); done; printf x >&2; exit 4"
    on_error = "continue"
  }
  task "command" "says" { shell = "printf 'caf\\351 \\033[31m'" }
  task "file" "heard" {
    path    = "DIR/heard"
    content = task.command.says.output.stdout
  }
}
`, "web1")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if c := s.Hosts["web1"]; s.Outcome != engine.OutcomeChanged || c.Failed != 2 || c.Tolerated != 2 || c.Changed != 4 {
		t.Errorf("outcome %s: %v", s.Outcome, f.states())
	}
	if !f.exists("rescued") || !f.exists("always") {
		t.Error("rescue or always didn't run")
	}
	if b, _ := os.ReadFile(filepath.Join(f.dir, "heard")); string(b) != "caf\ufffd \x1b[31m" {
		t.Errorf("what the command said was read as %q", b)
	}
	errs := map[string]string{}
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && e.Status == wire.Failed {
			errs[e.Task] = e.Error
		}
	}
	if !strings.HasSuffix(errs["fails"], "exit code 3\ncaf\ufffd") {
		t.Errorf("the failure is told as %q", errs["fails"])
	}
	if !strings.HasSuffix(errs["long"], "éx") || strings.Contains(errs["long"], "\ufffd") || !strings.Contains(errs["long"], "\n…é") {
		t.Errorf("last words that begin inside a character are told as %.300q", errs["long"])
	}
	f.areText()
}

// areText reports events that hold what is no text.
func (f *fleet) areText() {
	f.t.Helper()
	for _, e := range f.events {
		if e, ok := e.(*engine.HostEvent); ok {
			f.t.Errorf("%s was lost: %v", e.Host, e.Error)
		}
		if all := fmt.Sprintf("%s", e); !utf8.ValidString(all) {
			f.t.Errorf("an event isn't UTF-8: %q", all)
		}
		if e, ok := e.(*engine.TaskEvent); ok && e.Output != nil && (!json.Valid(e.Output) || !utf8.Valid(e.Output)) {
			f.t.Errorf("an output is no JSON: %q", e.Output)
		}
	}
}

func TestNamesOfFilesAreBytes(t *testing.T) {
	f := newFleet(t)
	at := func(names ...string) string { return filepath.Join(append([]string{f.dir}, names...)...) }
	for _, dir := range []string{"from", "to", "whole/" + latin1} {
		if err := os.MkdirAll(at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	plant := func(name string) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	plant("from/kept-" + latin1)
	plant("to/gone-" + latin1)
	plant("to/kept-" + latin1)
	plant("whole/" + latin1 + "/" + latin1)
	for link, target := range map[string]string{"link": latin1, "from/link": latin1, "to/link": "caf\xe8", "way": "whole/" + latin1} {
		if err := os.Symlink(target, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	const playbook = `
play "p" {
  hosts = ["all"]
  task "link" "link" {
    path   = "DIR/link"
    target = "elsewhere"
  }
  task "directory" "to" {
    path   = "DIR/to"
    source = "DIR/from"
    purge  = true
  }
  task "file" "through" {
    path    = "DIR/way/new"
    content = "x"
  }
  task "file" "again" {
    path = "DIR/way/new"
    mode = "0600"
  }
}
`
	r := f.run(playbook, "web1")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if s.Outcome != engine.OutcomeChanged {
		t.Errorf("outcome %s: %v", s.Outcome, f.states())
	}
	if f.exists("to/gone-"+latin1) || !f.exists("to/kept-"+latin1) || !f.exists("whole/"+latin1+"/new") {
		t.Error("files of such names aren't as the playbook has them")
	}
	if to, err := os.Readlink(at("to/link")); to != latin1 {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	f.areText()
	r.Close()
	f.forget()
	r = f.run(playbook, "web1")
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomeUnchanged {
		t.Errorf("planned again it is %s: %v", s.Outcome, f.states())
	}
	r.Close()
	f.forget()
	r = f.run(`
play "p" {
  hosts = ["all"]
  task "directory" "whole" {
    path  = "DIR/whole"
    state = "absent"
  }
}
`, "web1")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged || f.exists("whole") {
		t.Errorf("outcome %s: %v", s.Outcome, f.states())
	}
	f.areText()
}

func TestAnswerThatIsTooLargeFailsItsTaskAlone(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "command" "zeros" {
    shell    = "head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2"
    on_error = "continue"
  }
  task "command" "looks" {
    shell     = "head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2"
    read_only = true
    on_error  = "continue"
  }
  task "file" "behind" {
    path    = "DIR/behind"
    content = "x"
  }
}
`, "web1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // it hung
	defer cancel()
	r.Plan(ctx)
	s := r.Apply(ctx)
	if c := s.Hosts["web1"]; s.Outcome != engine.OutcomeChanged || c.Tolerated != 2 || !f.exists("behind") {
		t.Errorf("outcome %s, %+v: %v", s.Outcome, c, f.states())
	}
	if text := f.failures(); !strings.Contains(text, "too large") {
		t.Errorf("the failure is told as %q", text)
	}
	f.areText()
}
