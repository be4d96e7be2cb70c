package remote

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/wire"
)

// What root is about to write is read by a task of another user's behind it where
// that user will be able to; else the plan says that they won't.
func TestUserReadsWhatRootPlansWhereTheyWillBeAllowedTo(t *testing.T) {
	for name, test := range map[string]struct {
		mode, folder, group string
		planned             bool
	}{
		"everybody may read it":                   {mode: "0644", folder: "0755", planned: true},
		"only root may":                           {mode: "0600", folder: "0755"},
		"only root's group may":                   {mode: "0640", folder: "0755"},
		"their group may":                         {mode: "0640", folder: "0755", group: "nogroup", planned: true},
		"their group alone may not":               {mode: "0604", folder: "0755", group: "nogroup"},
		"it is in a folder of root's alone":       {mode: "0644", folder: "0700"},
		"it is in a folder that they may not see": {mode: "0644", folder: "0711", planned: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := serving(t, spawnWorker)
			dir := filepath.Join(folder(t, "root"), "of-root")
			path := filepath.Join(dir, "file")
			text := strings.Repeat("a line of what root writes\n", 100)
			args := map[string]any{"path": path, "content": c.content(text), "mode": test.mode}
			if test.group != "" {
				args["group"] = test.group
			}
			c.plan(doing("directory", "d", "", map[string]any{"path": dir, "mode": test.folder}))
			if p := c.plan(doing("file", "f", "", args)); p.Status != wire.Pending {
				t.Fatalf("root's file is planned as %+v", p)
			}
			if p := c.plan(doing("file", "same", other, map[string]any{"path": path, "content": c.content(text)})); test.planned != (p.Status == wire.Unchanged) || !test.planned && !strings.Contains(p.Error, "permission denied: "+other+" may not ") {
				t.Errorf("the same content is planned as %+v", p)
			}
			// A line that is there already: the whole file has to be read to know that.
			p := c.plan(doing("line", "l", other, map[string]any{"path": path, "line": "a line of what root writes"}))
			switch {
			case test.planned && p.Status != wire.Unchanged:
				t.Errorf("it is planned as %+v", p)
			case !test.planned && (p.Status != wire.Failed || !strings.Contains(p.Error, "permission denied: "+other+" may not ")):
				t.Errorf("it is planned as %+v", p)
			}
		})
	}
}

// What one user's task makes on the host, nobody else has the content of.
func TestContentMadeByAWorkerIsKnownAfterApplyToOthers(t *testing.T) {
	c := serving(t, spawnWorker)
	path := filepath.Join(folder(t, other), "file")
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	give(t, path, other)
	if p := c.plan(doing("line", "theirs", other, map[string]any{"path": path, "line": "two"})); p.Status != wire.Pending || p.Certainty != wire.Known {
		t.Fatalf("theirs is planned as %+v", p)
	}
	p := c.plan(doing("line", "roots", "", map[string]any{"path": path, "line": "three"}))
	if p.Status != wire.Pending || p.Certainty != wire.Deferred {
		t.Fatalf("root's is planned as %+v", p)
	}
	for _, id := range []string{"0/task.line.theirs", "0/task.line.roots"} {
		if d := c.make(id); d.Status != wire.Changed {
			t.Errorf("%s is made as %+v", id, d)
		}
	}
	if text, err := os.ReadFile(path); string(text) != "one\ntwo\nthree\n" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

// What only root can do is refused to a user by name, and their other tasks are made.
func TestUserWhoPlansWhatIsRootsLosesNothingElse(t *testing.T) {
	c := serving(t, spawnWorker)
	if p := c.plan(doing("sysctl", "s", other, map[string]any{"name": "vm.swappiness", "value": "13", "file": filepath.Join(folder(t, other), "s.conf")})); p.Status != wire.Failed || !strings.Contains(p.Error, "only root can alter") {
		t.Errorf("planned as %+v", p)
	}
	theirs := doing("file", "f", other, map[string]any{"path": filepath.Join(folder(t, other), "f"), "content": "x"})
	c.plan(theirs)
	if d := c.make(theirs.ID); d.Status != wire.Changed {
		t.Errorf("made as %+v", d)
	}
}
