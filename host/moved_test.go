package host

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host/hosttest"
)

// contents is what each file of a folder holds, with its mode.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range held(t, root) {
		info, err := lstat(filepath.Join(root, name))
		must(t, err)
		all[name] = string(info.Type) + " " + info.Mode.String() + " " + info.Owner + " " + info.Target
		if info.Type == Regular {
			data, err := os.ReadFile(filepath.Join(root, name))
			must(t, err)
			all[name] += " " + string(data)
		}
	}
	return all
}

// changesIn is a change of each type on what is in a folder.
func changesIn(t *testing.T, d string) map[string]Change {
	t.Helper()
	info := func(name string) FileInfo {
		i, err := lstat(filepath.Join(d, name))
		must(t, err)
		return i
	}
	file, none, mode := info("file"), FileInfo{}, Mode(0o666)
	after := file
	after.Mode = mode
	return map[string]Change{
		"a new file":            &WriteFile{Path: d + "/new", Content: ContentOf([]byte("x"), false), Before: &none},
		"whatever file":         &WriteFile{Path: d + "/file", Content: ContentOf([]byte("x"), false)},
		"a file":                &WriteFile{Path: d + "/file", Content: ContentOf([]byte("x"), false), Before: &file, Backup: true},
		"a mode":                &SetAttr{Path: d + "/file", Attr: Attr{Mode: &mode}, Before: file, After: after},
		"a directory":           &MakeDir{Path: d + "/new", After: FileInfo{Type: Directory, Mode: 0o755}},
		"a link":                &MakeLink{Path: d + "/new", Target: "/etc"},
		"a link for a file":     &MakeLink{Path: d + "/file", Target: "/etc", Before: file},
		"a link for a folder":   &MakeLink{Path: d + "/sub", Target: "/etc", Before: info("sub")},
		"a hard link":           &MakeLink{Path: filepath.Dir(d) + "/new", Target: d + "/file", Hard: true},
		"a file's removal":      &Remove{Path: d + "/file", Before: file},
		"a folder's removal":    &Remove{Path: d + "/sub", Before: info("sub")},
		"below a link's parent": &Remove{Path: d + "/sub/kept", Before: info("sub/kept")},
	}
}

func TestAFolderThatBecameALinkSinceThePlanIsMoved(t *testing.T) {
	for name := range changesIn(t, lay(t, "file", "sub/kept")) {
		t.Run(name, func(t *testing.T) {
			root := lay(t, "d/file", "d/sub/kept", "outside/file", "outside/sub/kept")
			d := filepath.Join(root, "d")
			c := changesIn(t, d)[name]
			must(t, os.Rename(d, d+".was"))
			must(t, os.Symlink("outside", d))
			before := contents(t, root)
			_, err := c.Apply(t.Context(), New())
			if !errors.Is(err, ErrMoved) || !strings.Contains(err.Error(), "plan again") {
				t.Errorf("got the error %v, want one that says what moved", err)
			}
			if got := contents(t, root); !maps.Equal(got, before) {
				t.Errorf("it left %v, was %v", got, before)
			}
		})
	}
}

func TestAFolderSwappedInTheMiddleOfAnEditIsEditedStill(t *testing.T) {
	for name := range changesIn(t, lay(t, "file", "sub/kept")) {
		root := lay(t, "d/file", "d/sub/kept", "outside/file", "outside/sub/kept")
		d := filepath.Join(root, "d")
		c := changesIn(t, d)[name]
		before := contents(t, filepath.Join(root, "outside"))
		h, swapped := New(), false
		swap := func() error {
			if swapped {
				return nil
			}
			swapped = true
			return errors.Join(os.Rename(d, d+".was"), os.Symlink("outside", d))
		}
		h.Step = func(string) error { return swap() }
		h.Undo = func(Undo) error { return swap() }
		if _, err := c.Apply(t.Context(), h); err != nil || !swapped {
			t.Errorf("%s: %v, swapped %t", name, err, swapped)
		}
		if got := contents(t, filepath.Join(root, "outside")); !maps.Equal(got, before) {
			t.Errorf("%s: the edit followed the link: %v, was %v", name, got, before)
		}
	}
}

func TestAttributesAreGivenToWhatWasPlanned(t *testing.T) {
	needsRoot(t)
	root := lay(t, "file", "theirs")
	file := filepath.Join(root, "file")
	must(t, os.Chown(filepath.Join(root, "theirs"), hosttest.Nobody, hosttest.Nobody))
	before, err := lstat(file)
	must(t, err)
	after := before
	after.Mode = 0o600
	must(t, os.Rename(filepath.Join(root, "theirs"), file))
	c := &SetAttr{Path: file, Attr: Attr{Mode: &after.Mode}, Before: before, After: after}
	if _, err := c.Apply(t.Context(), New()); !errors.Is(err, ErrMoved) {
		t.Errorf("another user's file gets the mode: %v", err)
	}
}

func TestAProgramValidatesTheFileThatWasWritten(t *testing.T) {
	needsRoot(t)
	root := lay(t, "home/good")
	home := filepath.Join(root, "home")
	must(t, os.Chown(home, hosttest.Nobody, hosttest.Nobody))
	h := New()
	h.Step = func(where string) error {
		if where != "written beside its place" {
			return nil
		}
		return os.Rename(filepath.Join(home, "good"), filepath.Join(home, Temporary("f")))
	}
	w := &WriteFile{Path: home + "/f", Content: ContentOf([]byte("bad"), false), Validate: []string{"sh", "-c", `echo "wrong: $0"; grep good "$0"`, "%s"}, Before: &FileInfo{}}
	if _, err := w.Apply(t.Context(), h); err == nil || !strings.Contains(err.Error(), "validation refused") {
		t.Errorf("the program was shown the user's file: %v", err)
	} else if !strings.HasSuffix(err.Error(), "wrong: "+w.Path) {
		t.Errorf("what it says isn't about the file: %v", err)
	}
	h.Step = nil
	w.Content = ContentOf([]byte("good"), false)
	if _, err := w.Apply(t.Context(), h); err != nil {
		t.Errorf("a file in a user's folder can't be validated: %v", err)
	}
}
