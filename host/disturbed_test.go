package host

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host/hosttest"
)

// What somebody does to a path between the plan and the edit.
var (
	rewritten = func(text string) func(*testing.T, string) {
		return func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte(text), 0o644)) }
	}
	loosened = func(t *testing.T, path string) { must(t, os.Chmod(path, 0o646)) }
	givenTo  = func(t *testing.T, path string) {
		needsRoot(t)
		must(t, os.Lchown(path, hosttest.Nobody, -1))
	}
	gone     = func(t *testing.T, path string) { must(t, os.RemoveAll(path)) }
	emptyDir = func(t *testing.T, path string) { gone(t, path); must(t, os.Mkdir(path, 0o755)) }
	fileThen = func(t *testing.T, path string) { gone(t, path); must(t, os.WriteFile(path, []byte("theirs"), 0o644)) }
	linkTo   = func(t *testing.T, path string) { gone(t, path); must(t, os.Symlink("/elsewhere", path)) }
)

// Whatever stands there by then that the plan hasn't seen, an edit says so and leaves it.
func TestWhatSomebodyAlteredSinceThePlanIsLeft(t *testing.T) {
	mode := Mode(0o600)
	write := func(t *testing.T, path string) Change {
		before := standing(t, path)
		if before.Type == Regular {
			before.Sum = ContentOf([]byte("file"), false).Sum
		}
		return &WriteFile{Path: path, Content: ContentOf([]byte("ours"), false), Before: &before}
	}
	unforeseen := func(_ *testing.T, path string) Change {
		return &WriteFile{Path: path, Content: ContentOf([]byte("ours"), false)}
	}
	attr := func(t *testing.T, path string) Change {
		before := standing(t, path)
		after := before
		after.Mode = mode
		return &SetAttr{Path: path, Attr: Attr{Mode: &mode}, Before: before, After: after}
	}
	link := func(t *testing.T, path string) Change {
		return &MakeLink{Path: path, Target: "/ours", Before: standing(t, path)}
	}
	linkBack := func(_ *testing.T, path string) Change { // of an undo: only the type is known
		return &MakeLink{Path: path, Target: "/ours", Before: FileInfo{Type: Regular}}
	}
	hard := func(_ *testing.T, path string) Change {
		return &MakeLink{Path: path + ".hard", Target: path, Hard: true}
	}
	remove := func(t *testing.T, path string) Change { return &Remove{Path: path, Before: standing(t, path)} }
	makeDir := func(_ *testing.T, path string) Change {
		return &MakeDir{Path: path, After: FileInfo{Type: Directory, Mode: 0o755}}
	}
	for name, c := range map[string]struct {
		path    string
		plan    func(*testing.T, string) Change
		disturb func(*testing.T, string)
	}{
		"a file is written to":                       {"file", write, rewritten("file and more")},
		"a file is written to, as many bytes":        {"file", write, rewritten("FILE")},
		"a file gets another mode":                   {"file", write, loosened},
		"a file gets another owner":                  {"file", write, givenTo},
		"a file is removed":                          {"file", write, gone},
		"a file becomes a directory":                 {"file", write, emptyDir},
		"a file becomes a link":                      {"file", write, linkTo},
		"a file appears":                             {"none", write, fileThen},
		"a link appears where a file is to be":       {"none", write, linkTo},
		"a directory appears where nobody could see": {"none", unforeseen, emptyDir},
		"a mode is set by somebody else":             {"file", attr, loosened},
		"an owner is set by somebody else":           {"file", attr, givenTo},
		"what gets a mode is removed":                {"file", attr, gone},
		"what gets a mode becomes a directory":       {"file", attr, emptyDir},
		"a link leads elsewhere":                     {"link", link, linkTo},
		"a link becomes a file":                      {"link", link, fileThen},
		"a file that a link replaces is written to":  {"file", link, rewritten("file and more")},
		"a link appears where one is to be":          {"none", link, linkTo},
		"what a link brings back is a directory":     {"file", linkBack, emptyDir},
		"the source of a hard link is a directory":   {"file", hard, emptyDir},
		"the source of a hard link is a link":        {"file", hard, linkTo},
		"the source of a hard link is removed":       {"file", hard, gone},
		"a file that goes becomes a directory":       {"file", remove, emptyDir},
		"a link that goes becomes a file":            {"link", remove, fileThen},
		"a directory that goes becomes a file":       {"dir", remove, fileThen},
		"a file appears where a directory is to be":  {"none", makeDir, fileThen},
		"a link appears where a directory is to be":  {"none", makeDir, linkTo},
	} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, "file", "dir/kept", "link -> /before")
			path := filepath.Join(root, c.path)
			change := c.plan(t, path)
			c.disturb(t, path)
			before := contents(t, root)
			if _, err := change.Apply(t.Context(), New()); err == nil {
				t.Error("it is no error")
			} else if !errors.Is(err, ErrMoved) && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("its error isn't that it moved: %v", err)
			}
			if got := contents(t, root); !maps.Equal(got, before) {
				t.Errorf("it left\n%v\nwas\n%v", got, before)
			}
		})
	}
}

// standing is what a plan sees at a path.
func standing(t *testing.T, path string) FileInfo {
	t.Helper()
	info, err := lstat(path)
	must(t, err)
	return info
}

// A process that is killed right after an edit has said before what takes it back.
func TestWhatTakesAnEditBackIsToldWhileAllStandsAsBefore(t *testing.T) {
	for name := range changesIn(t, lay(t, "d/file", "d/sub/kept")+"/d") {
		t.Run(name, func(t *testing.T) {
			root := lay(t, "d/file", "d/sub/kept")
			c := changesIn(t, filepath.Join(root, "d"))[name]
			before := contents(t, root)
			h, told := New(), 0
			h.Undo = func(Undo) error {
				told++
				now := contents(t, root)
				for at, was := range before {
					if now[at] != was {
						t.Errorf("%s is %q already, was %q", at, now[at], was)
					}
				}
				for at := range now {
					if _, was := before[at]; !was && !strings.Contains(at, ".muster-") && !strings.HasSuffix(at, "~") {
						t.Errorf("%s is there already", at)
					}
				}
				return nil
			}
			_, err := c.Apply(t.Context(), h)
			must(t, err)
			if told != 1 {
				t.Errorf("it was told %d times", told)
			}
		})
	}
}

// An edit that can't be taken back, because that can't be kept, isn't made, and leaves
// nothing beside.
func TestAnEditWhoseUndoCannotBeKeptIsNotMade(t *testing.T) {
	full := errors.New("no space left on device")
	for name := range changesIn(t, lay(t, "d/file", "d/sub/kept")+"/d") {
		t.Run(name, func(t *testing.T) {
			root := lay(t, "d/file", "d/sub/kept")
			c := changesIn(t, filepath.Join(root, "d"))[name]
			before := contents(t, root)
			h := New()
			h.Undo = func(Undo) error { return full }
			if _, err := c.Apply(t.Context(), h); !errors.Is(err, full) {
				t.Errorf("it ended with %v", err)
			}
			after := contents(t, root)
			maps.DeleteFunc(after, func(at, _ string) bool { return strings.HasSuffix(at, "~") })
			if !maps.Equal(after, before) {
				t.Errorf("it left\n%v\nwas\n%v", after, before)
			}
		})
	}
}

// Only what a killed run of muster's left at a temporary name is removed.
func TestSomebodysThingAtATemporaryNameIsInTheWay(t *testing.T) {
	for what, put := range map[string]func(t *testing.T, path string){
		"a directory":                       emptyDir,
		"a link":                            linkTo,
		"a file that a killed run has left": fileThen,
		"a link that a killed run has left": linkTo,
	} {
		ours := strings.HasSuffix(what, "has left")
		for name, c := range map[string]func(path string) Change{
			"write": func(path string) Change {
				return &WriteFile{Path: path, Content: ContentOf([]byte("ours"), false), Before: &FileInfo{}}
			},
			"link": func(path string) Change { return &MakeLink{Path: path, Target: "/ours"} },
		} {
			if links := strings.HasPrefix(what, "a link"); links && ours != (name == "link") {
				continue // a link is what a killed run leaves of a link, and not of a file
			}
			t.Run(name+"/"+what, func(t *testing.T) {
				root := lay(t)
				path, tmp := filepath.Join(root, "new"), filepath.Join(root, Temporary("new"))
				put(t, tmp)
				before := standing(t, tmp)
				_, err := c(path).Apply(t.Context(), New())
				left, made := standing(t, tmp), standing(t, path)
				switch {
				case ours && (err != nil || left.Exists() || !made.Exists()):
					t.Errorf("with what a killed run left, it ended with %v; %+v is left", err, left)
				case !ours && (err == nil || !strings.Contains(err.Error(), "is in the way")):
					t.Errorf("it ended with %v", err)
				case !ours && (left.Type != before.Type || made.Exists()):
					t.Errorf("it left %+v in the place of %+v", left, before)
				}
			})
		}
	}
}

func TestANewFileWithSensitiveContentIsItsOwnersAlone(t *testing.T) {
	root := lay(t, "file")
	for name, want := range map[string]Mode{"new": 0o600, "file": 0o644} {
		c := &WriteFile{Path: filepath.Join(root, name), Content: ContentOf([]byte("secret"), true)}
		_, err := c.Apply(t.Context(), New())
		must(t, err)
		if is := standing(t, c.Path); is.Mode != want {
			t.Errorf("%s has the mode %s, want %s", name, is.Mode, want)
		}
	}
}

// While it is written, and before it has its mode, nobody else reads a file.
func TestAFileIsItsOwnersAloneUntilItIsWhole(t *testing.T) {
	root, mode := lay(t), Mode(0o644)
	c := &WriteFile{Path: filepath.Join(root, "new"), Content: ContentOf([]byte("x"), false), Attr: Attr{Mode: &mode}}
	made, err := createTemporary(mustDir(t, root), Temporary("new"))
	must(t, err)
	must(t, made.Close())
	if is := standing(t, filepath.Join(root, Temporary("new"))); is.Mode != 0o600 {
		t.Errorf("it is made with the mode %s", is.Mode)
	}
	_, err = c.Apply(t.Context(), New())
	must(t, err)
	if is := standing(t, c.Path); is.Mode != mode {
		t.Errorf("it has the mode %s in the end", is.Mode)
	}
}

func mustDir(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

// What comes over a connection is held against the sum that was planned.
func TestContentThatArrivesDamagedReplacesNothing(t *testing.T) {
	for name, sent := range map[string]string{"other bytes": "OURS", "fewer": "our", "more": "ours and more"} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, "file")
			content := ContentOf([]byte("ours"), false)
			content.Data = nil
			h := New()
			h.Bodies.Ask = func(_ context.Context, _ string) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(sent)), nil
			}
			before := contents(t, root)
			c := &WriteFile{Path: filepath.Join(root, "file"), Content: content}
			if _, err := c.Apply(t.Context(), h); err == nil {
				t.Error("it is no error")
			}
			if after := contents(t, root); !maps.Equal(after, before) {
				t.Errorf("it left %v, was %v", after, before)
			}
		})
	}
}
