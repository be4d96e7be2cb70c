package remote

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/wire"
)

// A unit that a pending task starts may mount what its user may write to: a task of
// theirs is tentative then, wherever the place is, and shows what is in its way for now.
// It is no reason to doubt the worker, whose other tasks are planned as ever.
func TestWhatAUnitMayMountIsTentative(t *testing.T) {
	starts := &wire.Message{Lay: &wire.Lay{Effects: []host.Effect{host.Open(host.Units, "srv-mm.mount")}}}
	folderTask := func(dir string) wire.Task {
		return doing("directory", "d", "", map[string]any{"path": dir, "mode": "0755"})
	}
	for name, test := range map[string]struct {
		makes, starts, again bool // the folder is made by a task, a unit is started, the folder comes behind that
		kind, says           string
		certainty            wire.Certainty
	}{
		"a file in a folder of root's":       {starts: true, kind: "file", says: "for now: permission denied", certainty: wire.Tentative},
		"a line in a file of root's alone":   {starts: true, kind: "line", says: "for now: ", certainty: wire.Deferred},
		"in a folder that is made before":    {makes: true, starts: true, kind: "file", says: "for now: permission denied", certainty: wire.Tentative},
		"in a folder that is made behind it": {starts: true, again: true, kind: "file", says: "will belong to root"},
		"where nothing is started":           {kind: "file", says: "permission denied"},
		"where a folder is made alone":       {makes: true, kind: "file", says: "will belong to root"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serving(t, spawnWorker)
			dir := filepath.Join(folder(t, "root"), "mm")
			args := map[string]any{"path": filepath.Join(dir, "o")}
			if test.kind == "line" {
				args["line"], args["create"] = "x", true
			} else {
				args["content"] = "x"
			}
			if !test.makes && !test.again {
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if test.kind == "line" {
				if err := os.WriteFile(filepath.Join(dir, "o"), []byte("secret\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if test.makes {
				c.plan(folderTask(dir))
			}
			if test.starts {
				if err := c.Send(starts); err != nil {
					t.Fatal(err)
				}
			}
			if test.again {
				c.plan(folderTask(dir))
			}
			p := c.plan(doing(test.kind, "o", other, args))
			shown := p.Error
			for _, d := range append(p.Changes, p.Then...) {
				shown += d.Impact
			}
			if test.certainty == "" && p.Status != wire.Failed || test.certainty != "" && p.Certainty != test.certainty || !strings.Contains(shown, test.says) || strings.Contains(shown, "worker") {
				t.Errorf("it is planned as %+v", p)
			}
			innocent := c.plan(doing("file", "innocent", other, map[string]any{"path": filepath.Join(folder(t, other), "f"), "content": "x"}))
			if innocent.Status != wire.Pending || innocent.Certainty != wire.Known {
				t.Errorf("another task of theirs is planned as %+v", innocent)
			}
		})
	}
}

// A folder above that others will have for themselves is in the way of a user's task, and
// no reason to doubt the worker.
func TestAFolderAboveThatIsClosedIsInTheWay(t *testing.T) {
	c := serving(t, spawnWorker)
	above := folder(t, "root")
	dir := filepath.Join(above, "theirs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	give(t, dir, other)
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	give(t, filepath.Join(dir, "there"), other)
	c.plan(doing("directory", "d", "", map[string]any{"path": above, "mode": "0700"}))
	for name, args := range map[string]map[string]any{
		"new":      {"path": filepath.Join(dir, "new"), "content": "x"},
		"there":    {"path": filepath.Join(dir, "there"), "content": "y"},
		"in_place": {"path": filepath.Join(dir, "there"), "content": "y", "in_place": true},
		"gone":     {"path": filepath.Join(dir, "there"), "state": "absent"},
		"mode":     {"path": filepath.Join(dir, "there"), "mode": "0600"},
	} {
		if p := c.plan(doing("file", name, other, args)); p.Status != wire.Failed || !strings.Contains(p.Error, "may not enter "+above+", which will belong to root") {
			t.Errorf("%s is planned as %+v", name, p)
		}
	}
}

// What root's tasks leave, and a user can't do anything with, is known.
func TestWhatRootLeavesIsInAUsersWay(t *testing.T) {
	for name, test := range map[string]struct {
		first, then wire.Task
		says        string
	}{
		"a group that they can't keep": {
			first: doing("file", "f", "", map[string]any{"path": "f", "content": "a\n", "owner": other}),
			then:  doing("line", "l", other, map[string]any{"path": "f", "line": "b"}),
			says:  "has the group root, which nobody isn't in",
		},
		"a file that they can't read": {
			first: doing("file", "f", "", map[string]any{"path": "f", "content": "a\n", "mode": "0600"}),
			then:  doing("line", "l", other, map[string]any{"path": "f", "line": "b"}),
			says:  "may not read",
		},
		"a folder that they can't enter": {
			first: doing("directory", "f", "", map[string]any{"path": "f", "mode": "0700"}),
			then:  doing("file", "l", other, map[string]any{"path": "f/x", "content": "b"}),
			says:  "may not write in",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := serving(t, spawnWorker)
			dir := folder(t, other)
			for _, task := range []wire.Task{test.first, test.then} {
				task.Args["path"] = filepath.Join(dir, task.Args["path"].(string))
			}
			if p := c.plan(test.first); p.Status != wire.Pending {
				t.Fatalf("the first is planned as %+v", p)
			}
			if p := c.plan(test.then); p.Status != wire.Failed || !strings.Contains(p.Error, test.says) {
				t.Errorf("it is planned as %+v", p)
			}
		})
	}
}
