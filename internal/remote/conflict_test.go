package remote

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/modules/all"
)

// Of two tasks in each other's way, those two are named, whatever others do at the same
// thing between and behind them; a task that has come to fail is one of two, too.
func TestThoseInEachOthersWayAreNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has the files of others")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	content := func(text string) host.Content { return host.ContentOf([]byte(text), false) }
	for name, test := range map[string]struct {
		tasks     []wire.Task
		id, first string
		says      string
	}{
		"a line, before an innocent mode": {tasks: []wire.Task{
			doing("file", "first", "", map[string]any{"path": path, "content": content("token=keep\n")}),
			doing("line", "second", "", map[string]any{"path": path, "line": "secret=y"}),
			doing("file", "mode", "", map[string]any{"path": path, "mode": "0600"}),
		}},
		"a mode, before an innocent line": {tasks: []wire.Task{
			doing("line", "mine", "", map[string]any{"path": path, "line": "a", "create": true}),
			doing("file", "first", "", map[string]any{"path": path, "mode": "0600"}),
			doing("file", "second", "", map[string]any{"path": path, "mode": "0640"}),
			doing("line", "last", "", map[string]any{"path": path, "line": "b"}),
		}},
		"what fails behind it": {says: "fails in every run", tasks: []wire.Task{
			doing("link", "first", "", map[string]any{"path": path, "target": "/etc/hostname"}),
			doing("file", "second", "", map[string]any{"path": path, "content": content("none\n")}),
		}},
		"what fails behind it, as it is to be": {says: "fails in every run", tasks: []wire.Task{
			doing("directory", "d", "", map[string]any{"path": dir + "/d"}),
			doing("file", "first", "", map[string]any{"path": dir + "/d/f", "content": "a"}),
			doing("file", "innocent", "", map[string]any{"path": dir + "/d/g", "content": "a"}),
			doing("directory", "gone", "", map[string]any{"path": dir + "/d", "state": "absent"}),
			doing("file", "second", "", map[string]any{"path": dir + "/d", "content": "a"}),
		}, first: "task.directory.d", id: "0/task.directory.gone"},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSession(all.Registry(), host.New(), []byte("key"))
			for _, task := range test.tasks {
				if p, _ := s.Plan(context.Background(), task); p.Status == wire.Failed {
					t.Fatalf("%s is planned as %+v", task.ID, p)
				}
				if test.id == "" && strings.HasSuffix(task.ID, ".second") {
					test.id = task.ID
				}
				if test.first == "" && strings.HasSuffix(task.ID, ".first") {
					_, test.first, _ = strings.Cut(task.ID, "/")
				}
			}
			list := s.Conflicts(s.Review(context.Background(), false, nil), false)
			if len(list) == 0 || list[0].ID != test.id || !strings.Contains(list[0].Text, test.first) || !strings.Contains(list[0].Text, test.says) {
				t.Errorf("told is %+v", list)
			}
		})
	}
}

// What was made is held to the same, though nobody can plan back any more.
func TestThoseInEachOthersWayAreNamedOfWhatWasMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	s := NewSession(all.Registry(), host.New(), []byte("key"))
	var ids []string
	for _, task := range []wire.Task{
		doing("file", "first", "", map[string]any{"path": path, "content": "token=keep\n"}),
		doing("line", "second", "", map[string]any{"path": path, "line": "secret=y"}),
		doing("file", "mode", "", map[string]any{"path": path, "mode": "0600"}),
	} {
		s.Plan(context.Background(), task)
		ids = append(ids, task.ID)
	}
	for _, id := range ids {
		if d := s.Apply(context.Background(), id); d.Status != wire.Changed {
			t.Fatalf("%s is made as %+v", id, d)
		}
	}
	list := s.Conflicts(s.Review(context.Background(), true, ids), true)
	if len(list) != 1 || list[0].ID != ids[1] || !strings.Contains(list[0].Text, "task.file.first") {
		t.Errorf("told is %+v", list)
	}
}

// A worker tells which task is in the way of its user's.
func TestThoseInEachOthersWayAreNamedToAWorkersTask(t *testing.T) {
	c := serving(t, spawnWorker)
	path := filepath.Join(folder(t, other), "f")
	for _, task := range []wire.Task{
		doing("file", "theirs", other, map[string]any{"path": path, "content": c.content("token=keep\n")}),
		doing("line", "roots", "", map[string]any{"path": path, "line": "secret=y"}),
		doing("file", "mode", "", map[string]any{"path": path, "mode": "0604"}),
	} {
		if p := c.plan(task); p.Status != wire.Pending {
			t.Fatalf("%s is planned as %+v", task.ID, p)
		}
	}
	m := c.answer(&wire.Message{Review: &wire.Review{}})
	if m.Reviewed == nil || len(m.Reviewed.Conflicts) != 1 || m.Reviewed.Conflicts[0].ID != "0/task.line.roots" {
		t.Errorf("answered is %+v", m.Reviewed)
	}
}
