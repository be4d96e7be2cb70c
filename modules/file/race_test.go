package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"muster/host"
	"muster/host/hosttest"
	"muster/modules"
)

// contested is a folder of a user's, d, that the user exchanges with a link to
// a folder of root's. Both hold files of the same names.
type contested struct {
	home, d, root string
}

const contestedFiles = 100

func contest(t *testing.T) contested {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("acts as root and as another user: needs root")
	}
	base, err := os.MkdirTemp("", "contest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	c := contested{home: base + "/home", root: base + "/root"}
	c.d = c.home + "/d"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(base, 0o755))
	for _, dir := range []string{c.home, c.d, c.root} {
		must(os.Mkdir(dir, 0o755))
		for i := range contestedFiles {
			if dir == c.home {
				break
			}
			name := filepath.Join(dir, "old"+strconv.Itoa(i))
			must(os.WriteFile(name, []byte("of "+filepath.Base(dir)+"\n"), 0o644))
			must(os.Mkdir(filepath.Join(dir, "tree"+strconv.Itoa(i)), 0o755))
			must(os.WriteFile(filepath.Join(dir, "tree"+strconv.Itoa(i), "kept"), nil, 0o644))
			if dir == c.d {
				must(os.Lchown(name, hosttest.Nobody, hosttest.Nobody))
			}
		}
		if dir != c.root {
			must(os.Lchown(dir, hosttest.Nobody, hosttest.Nobody))
		}
	}
	must(os.Symlink(c.root, c.home+"/l"))
	must(os.Lchown(c.home+"/l", hosttest.Nobody, hosttest.Nobody))
	return c
}

// state describes all that a folder holds.
func state(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.Walk(dir, func(path string, info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%s %d:%d %d names", info.Mode(), st.Uid, st.Gid, st.Nlink)
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %q", data)
		}
		all[path] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRootEditsNothingThroughAFolderThatAUserSwaps(t *testing.T) {
	src := t.TempDir()
	writeTree(t, src, 1, 3)
	p := newProject(t, src)
	mode, content, line := host.ModeSpec{}, host.ContentOf([]byte("of the task\n"), false), host.ContentOf([]byte("a line"), false)
	if err := mode.UnmarshalText([]byte("0666")); err != nil {
		t.Fatal(err)
	}
	owner, cache := strconv.Itoa(hosttest.Nobody), t.TempDir()
	for name, task := range map[string]func(d, n string) modules.Module{
		"a new file": func(d, n string) modules.Module {
			return &File{Path: d + "/new" + n, Content: &content}
		},
		"a file replaced, with a backup": func(d, n string) modules.Module {
			return &File{Path: d + "/old" + n, Content: &content, Owner: owner, Backup: true}
		},
		"a line added": func(d, n string) modules.Module {
			return &Line{Path: d + "/old" + n, Line: &line}
		},
		"a mode and an owner": func(d, n string) modules.Module {
			return &File{Path: d + "/old" + n, Mode: &mode, Owner: owner}
		},
		"a file removed": func(d, n string) modules.Module {
			return &File{Path: d + "/old" + n, State: "absent"}
		},
		"a folder removed": func(d, n string) modules.Module {
			return &Directory{Path: d + "/tree" + n, State: "absent"}
		},
		"a folder made": func(d, n string) modules.Module {
			return &Directory{Path: d + "/made" + n + "/below", Parents: true, Owner: owner}
		},
		"a link": func(d, n string) modules.Module {
			return &Link{Path: d + "/link" + n, Target: "/etc"}
		},
		"a link in a file's place": func(d, n string) modules.Module {
			return &Link{Path: d + "/old" + n, Target: "/etc", Force: true}
		},
		"a hard link": func(d, n string) modules.Module {
			return &Link{Path: filepath.Dir(d) + "/hard" + n, Target: d + "/old" + n, Hard: true}
		},
		"a tree copied and purged": func(d, n string) modules.Module {
			return &Directory{Path: d + "/tree" + n, Source: &p.content, Purge: true, Owner: owner, cache: cache}
		},
		"a mode below a folder": func(d, n string) modules.Module {
			return &Directory{Path: d + "/tree" + n, Mode: &mode, Owner: owner, Recurse: true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := contest(t)
			before := state(t, c.root)
			h := p.host()
			swaps, stop := hosttest.Swap(t, c.d, c.home+"/l")
			made, refused, other := 0, 0, error(nil)
			for i := 0; i < contestedFiles || (made == 0 || refused == 0) && i < 100*contestedFiles; i++ {
				plan, err := task(c.d, strconv.Itoa(i%contestedFiles)).Plan(t.Context(), host.NewView(h, nil))
				for _, change := range plan.Changes {
					if err == nil {
						_, err = change.Apply(t.Context(), h)
					}
				}
				switch {
				case err == nil:
					made++
				case errors.Is(err, host.ErrMoved) || strings.Contains(err.Error(), "muster doesn't follow it as root"):
					refused++
				default:
					other = err
				}
			}
			stop()
			if other != nil {
				t.Errorf("neither made nor refused as moved: %v", other)
			}
			if made == 0 || refused == 0 {
				t.Errorf("%d made, %d refused in %d swaps: there was no race", made, refused, swaps.Load())
			}
			for path, text := range state(t, c.home) {
				if strings.Contains(text, "of root") {
					t.Errorf("the user's %s holds what root's file does: %s", filepath.Base(path), text)
				}
			}
			after := state(t, c.root)
			for path, text := range after {
				if was, ok := before[path]; !ok || was != text {
					t.Errorf("root's %s is %s, was %s", filepath.Base(path), text, was)
				}
			}
			for path := range before {
				if _, ok := after[path]; !ok {
					t.Errorf("root's %s is gone", filepath.Base(path))
				}
			}
		})
	}
}
