package file

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"muster/host"
)

// What somebody alters in a tree between its plan and its making is seen, and left.
func TestWhatSomebodyAlteredInATreeIsLeft(t *testing.T) {
	write := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o644) }
	}
	become := func(target string) func(string) error {
		return func(path string) error {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			if target == "" {
				return os.Mkdir(path, 0o755)
			}
			return os.Symlink(target, path)
		}
	}
	for name, c := range map[string]struct {
		at      string
		recurse bool // what is planned is the mode of what is there
		disturb func(path string) error
	}{
		"a file is written to":                 {"f", false, write("old and more")},
		"a file is written to, as many bytes":  {"f", false, write("OLD")},
		"a file gets another mode":             {"f", false, func(path string) error { return os.Chmod(path, 0o646) }},
		"a file is removed":                    {"f", false, os.Remove},
		"a file becomes a link":                {"f", false, become("/elsewhere")},
		"a file becomes a directory":           {"f", false, become("")},
		"a link leads elsewhere":               {"l", false, become("/elsewhere")},
		"a file appears":                       {"n", false, write("theirs")},
		"what gets a mode gets another":        {"f", true, func(path string) error { return os.Chmod(path, 0o646) }},
		"what gets a mode becomes a link":      {"f", true, become("/elsewhere")},
		"what gets a mode becomes a directory": {"f", true, become("")},
		"what gets a mode is removed":          {"f", true, os.Remove},
	} {
		t.Run(name, func(t *testing.T) {
			src, dst := t.TempDir(), filepath.Join(t.TempDir(), "dst")
			for _, err := range []error{
				os.Mkdir(dst, 0o755), os.WriteFile(dst+"/f", []byte("old"), 0o644), os.Symlink("one", dst+"/l"),
				os.WriteFile(src+"/f", []byte("new"), 0o644), os.WriteFile(src+"/n", []byte("n"), 0o644), os.Symlink("two", src+"/l"),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			p := newProject(t, src)
			mode, err := host.ParseMode("0600")
			if err != nil {
				t.Fatal(err)
			}
			d := &Directory{Path: dst, Source: &p.content, cache: filepath.Join(t.TempDir(), "cache")}
			if c.recurse {
				d = &Directory{Path: dst, Recurse: true, Mode: &mode}
			}
			h := p.host()
			plan, err := d.Plan(t.Context(), host.NewView(h, nil))
			if err != nil || len(plan.Changes) == 0 {
				t.Fatalf("%+v, %v", plan, err)
			}
			at := filepath.Join(dst, c.at)
			if err := c.disturb(at); err != nil {
				t.Fatal(err)
			}
			was := shownAt(t, at)
			for _, change := range plan.Changes {
				if _, err = change.Apply(t.Context(), h); err != nil {
					break
				}
			}
			if !errors.Is(err, host.ErrMoved) && !(c.recurse && errors.Is(err, os.ErrNotExist)) {
				t.Errorf("it ended with %v", err)
			}
			if is := shownAt(t, at); is != was {
				t.Errorf("it left %q, was %q", is, was)
			}
		})
	}
}

func shownAt(t *testing.T, path string) string {
	t.Helper()
	st, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return "nothing"
	}
	if err != nil {
		t.Fatal(err)
	}
	text := st.Mode().String()
	switch {
	case st.Mode().IsRegular():
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text += " " + string(data)
	case st.Mode()&os.ModeSymlink != 0:
		target, _ := os.Readlink(path)
		text += " " + target
	}
	return text
}

// A tree of which the project says that it is sensitive is its owner's alone, whatever
// modes the project's files have.
func TestNewFilesOfASensitiveTreeAreTheirOwnersAlone(t *testing.T) {
	for _, sensitive := range []bool{true, false} {
		src, dst := t.TempDir(), filepath.Join(t.TempDir(), "dst")
		if err := errors.Join(os.WriteFile(src+"/new", []byte("new"), 0o644), os.WriteFile(src+"/old", []byte("new"), 0o644),
			os.Mkdir(dst, 0o755), os.WriteFile(dst+"/old", []byte("old"), 0o644)); err != nil {
			t.Fatal(err)
		}
		p := newProject(t, src)
		p.content.Sensitive = sensitive
		d := &Directory{Path: dst, Source: &p.content, cache: filepath.Join(t.TempDir(), "cache")}
		h := p.host()
		plan, err := d.Plan(t.Context(), host.NewView(h, nil))
		if err != nil {
			t.Fatal(err)
		}
		apply(t, h, plan)
		want := map[string]string{"new": "-rw-r--r-- new", "old": "-rw-r--r-- new"}
		if sensitive {
			want["new"] = "-rw------- new"
		}
		for name, want := range want {
			if is := shownAt(t, filepath.Join(dst, name)); is != want {
				t.Errorf("sensitive %t: %s is %q, want %q", sensitive, name, is, want)
			}
		}
		plan, err = d.Plan(t.Context(), host.NewView(h, nil))
		if err != nil || len(plan.Changes) > 0 {
			t.Errorf("sensitive %t: planned again, it is %+v, %v", sensitive, plan, err)
		}
	}
}
