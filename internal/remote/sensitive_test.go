package remote

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
	"muster/modules/all"
)

// Of a sensitive task neither what it changes nor what a program said is shown, and what
// takes it back isn't kept.
func TestNothingOfASensitiveTaskIsShownOrKept(t *testing.T) {
	const value = "canary"
	dir := t.TempDir()
	s := NewSession(all.Registry(), host.New(), []byte("key"))
	var kept []*wire.Undo
	s.Undo = func(u *wire.Undo) error { kept = append(kept, u); return nil }
	if err := os.WriteFile(dir+"/f", []byte("the old "+value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := doing("file", "f", "", map[string]any{"path": dir + "/f", "content": "the new " + value + "\n"})
	fails := doing("command", "c", "", map[string]any{"shell": "cat " + dir + "/f >&2; exit 3"})
	file.Sensitive, fails.Sensitive = true, true
	for _, task := range []wire.Task{file, fails} {
		p, _ := s.Plan(t.Context(), task)
		if said := fmt.Sprintf("%+v", p); p.Status != wire.Pending || strings.Contains(said, value) {
			t.Errorf("it is planned as %s", said)
		}
		if d := s.Apply(t.Context(), task.ID); strings.Contains(fmt.Sprintf("%+v", d.Changes)+d.Error, value) || task.Kind == "command" && !strings.Contains(d.Error, "exit code 3") {
			t.Errorf("it ended as %+v", d)
		}
	}
	if len(kept) != 1 || kept[0].Missing != "the task is sensitive" || len(kept[0].Steps) > 0 {
		t.Errorf("kept is %+v", kept)
	}
}

// What a session was told to hide it shows in no diff, and in no error of a plan or of a
// task that is made.
func TestASensitiveTasksSecretIsShownByNoOtherTask(t *testing.T) {
	const value = "hunter2hunter2"
	dir := t.TempDir()
	s := NewSession(all.Registry(), host.New(), []byte("key"))
	holder := doing("file", "x", "", map[string]any{"path": dir + "/x", "content": host.ContentOf([]byte(value), true)})
	holder.Sensitive, holder.Secrets = true, []string{value}
	if p, _ := s.Plan(t.Context(), holder); p.Status != wire.Pending {
		t.Fatalf("%+v", p)
	}
	for _, task := range []wire.Task{
		doing("file", "shows", "", map[string]any{"path": dir + "/y", "content": "a line\n" + value + "\n"}),
		doing("file", "fails", "", map[string]any{"path": dir + "/" + value + "/y", "content": "x"}),
		doing("command", "says", "", map[string]any{"shell": "echo " + value + " >&2; exit 3"}),
	} {
		p, _ := s.Plan(t.Context(), task)
		d := wire.Done{}
		if p.Status == wire.Pending {
			d = s.Apply(t.Context(), task.ID)
		}
		said := fmt.Sprintf("%+v %+v %s", p, d.Changes, d.Error)
		if strings.Contains(said, value) || !strings.Contains(said, "(sensitive)") {
			t.Errorf("%s says %s", task.ID, said)
		}
	}
}

// A digest is another wherever something else would be made, and the same elsewhere: a
// saved plan is held to it.
func TestDigestOfAPlanTellsWhatWouldBeMade(t *testing.T) {
	dir := t.TempDir()
	plan := func(key, content string, mode string) wire.Planned {
		s := NewSession(all.Registry(), host.New(), []byte(key))
		p, _ := s.Plan(t.Context(), doing("file", "f", "", map[string]any{"path": dir + "/f", "content": content, "mode": mode}))
		if p.Status != wire.Pending {
			t.Fatalf("%+v", p)
		}
		return p
	}
	one := plan("key", "one", "0600")
	if same := plan("key", "one", "0600"); same.Digest != one.Digest || same.Wants != one.Wants {
		t.Error("planned twice, the digest is another")
	}
	for what, p := range map[string]wire.Planned{"content": plan("key", "two", "0600"), "mode": plan("key", "one", "0644"), "key": plan("yek", "one", "0600")} {
		if p.Digest == one.Digest || p.Wants == one.Wants {
			t.Errorf("with another %s, the digest is the same", what)
		}
	}
	if err := os.WriteFile(dir+"/f", []byte("there"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := plan("key", "one", "0600"); p.Digest == one.Digest || p.Wants != one.Wants {
		t.Error("on another state, the digest is the same, or what is wanted another")
	}
}

// Behind an unguarded command, which may bring anything, what is planned is tentative, and
// what can't be planned yet is no failure.
func TestBehindAnUnguardedCommandNothingIsCertain(t *testing.T) {
	dir := t.TempDir()
	tasks := []wire.Task{
		doing("file", "there", "", map[string]any{"path": dir + "/f", "content": "x"}),
		doing("file", "missing", "", map[string]any{"path": filepath.Join(dir, "no/such/folder/f"), "content": "x"}),
	}
	for behind, want := range map[bool][]wire.Certainty{false: {wire.Known, ""}, true: {wire.Tentative, wire.Deferred}} {
		s := NewSession(all.Registry(), host.New(), []byte("key"))
		if behind {
			if p, _ := s.Plan(t.Context(), doing("command", "c", "", map[string]any{"shell": "mkdir -p " + dir + "/no/such/folder"})); p.Status != wire.Pending {
				t.Fatalf("%+v", p)
			}
		}
		for i, task := range tasks {
			p, _ := s.Plan(t.Context(), task)
			if want[i] == "" && p.Status != wire.Failed || want[i] != "" && (p.Status != wire.Pending || p.Certainty != want[i]) {
				t.Errorf("behind a command: %t, %s is planned as %+v", behind, task.ID, p)
			}
		}
	}
}

// looking is a module that looks at its host until it is told to stop.
type looking struct{ thing }

func (m *looking) Plan(ctx context.Context, _ *host.View) (modules.Plan, error) {
	select {
	case <-ctx.Done():
		return modules.Plan{}, context.Cause(ctx)
	case <-time.After(10 * time.Second): // of patience
		return modules.Plan{}, nil
	}
}

func TestATimeoutBoundsAPlan(t *testing.T) {
	s := NewSession(modules.NewRegistry(modules.Kind{Name: "k", New: func() modules.Module { return &looking{} }}), host.New(), nil)
	p, _ := s.Plan(t.Context(), wire.Task{ID: "t", Kind: "k", Args: map[string]any{"name": "x"}, Timeout: time.Millisecond})
	if p.Status != wire.Failed || !strings.Contains(p.Error, "the task's timeout of 1ms is over") {
		t.Errorf("it is planned as %+v", p)
	}
}
