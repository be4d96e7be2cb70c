package host

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"muster/host/hosttest"
	"muster/host/linux"
)

// lay makes files, "name/" directories and "name -> target" links in a new
// folder that everybody may enter, and returns it.
func lay(t *testing.T, names ...string) string {
	t.Helper()
	root, err := os.MkdirTemp("", "host")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	must(t, os.Chmod(root, 0o755))
	for _, name := range names {
		name, target, link := strings.Cut(name, " -> ")
		path := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch {
		case link:
			must(t, os.Symlink(target, path))
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(path, 0o755))
		default:
			must(t, os.WriteFile(path, []byte(name), 0o644))
		}
	}
	return root
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// held lists all that is below a folder.
func held(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	must(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if path != root {
			names = append(names, strings.TrimPrefix(path, root+"/"))
		}
		return err
	}))
	return names
}

func needsRoot(t *testing.T) {
	t.Helper()
	if !IsRoot() {
		t.Skip("acts as root: needs root")
	}
}

func TestAPathIsOpenedWithoutLinksWithAndWithoutOpenat2(t *testing.T) {
	root := lay(t, "a/b/file", "a/link -> b", "a/filelink -> b/file", "a/dangling -> nowhere", "top -> a")
	for _, c := range []struct {
		path string
		dir  bool
		want error
	}{
		{"a/b", true, nil},
		{"a/b", false, nil},
		{"a/b/file", false, nil},
		{"a/b/file", true, unix.ENOTDIR},
		{"a/b/file/x", false, unix.ENOTDIR},
		{"a/b/none", false, unix.ENOENT},
		{"a/none/x", true, unix.ENOENT},
		{"a/link", false, nil},
		{"a/filelink", false, nil},
		{"a/dangling", false, nil},
		{"a/link", true, unix.ELOOP},
		{"a/dangling", true, unix.ELOOP},
		{"a/link/file", false, unix.ELOOP},
		{"top/b", true, unix.ELOOP},
		{"top/b/file", false, unix.ELOOP},
	} {
		flags := linux.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW
		how := 0
		if c.dir {
			flags, how = linux.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, unix.O_DIRECTORY
		}
		path := filepath.Join(root, c.path)
		fd, err := openStill(unix.AT_FDCWD, path, how)
		fd2, err2 := openSteps(unix.AT_FDCWD, path, flags)
		if !errors.Is(err, c.want) || !errors.Is(err2, c.want) {
			t.Errorf("%s (directory %t): %v and name by name %v, want %v", c.path, c.dir, err, err2, c.want)
		}
		if err == nil && err2 == nil {
			var one, two unix.Stat_t
			must(t, errors.Join(unix.Fstat(fd, &one), unix.Fstat(fd2, &two)))
			if one.Ino != two.Ino {
				t.Errorf("%s is one thing, name by name another", c.path)
			}
		}
		for _, f := range []int{fd, fd2} {
			if f >= 0 {
				_ = unix.Close(f)
			}
		}
	}
	for _, path := range []string{"/", root} {
		d, err := OpenDir(path)
		if err != nil || d.Path() != path {
			t.Errorf("opening %s: %+v, %v", path, d, err)
		}
		d.Close()
	}
	d, name, err := OpenParent("/")
	must(t, err)
	defer d.Close()
	if info, err := d.Lstat(name); err != nil || info.Type != Directory {
		t.Errorf("the root directory in itself: %+v, %v", info, err)
	}
	if _, err := d.Sub("../etc"); err == nil {
		t.Error("a path leads out of the directory")
	}
}

func TestRemovingFollowsNoLink(t *testing.T) {
	root := lay(t, "outside/kept", "tree/a/b/file", "tree/link -> ../outside", "tree/a/up -> ../../outside", "tree/a/b/abs -> /etc")
	d, err := OpenDir(root)
	must(t, err)
	defer d.Close()
	must(t, d.RemoveAll("tree"))
	must(t, d.RemoveAll("tree")) // nothing there
	if got := held(t, root); !slices.Equal(got, []string{"outside", "outside/kept"}) {
		t.Errorf("left: %q", got)
	}
}

func TestRemovingStopsAtAMountPoint(t *testing.T) {
	needsRoot(t)
	root := lay(t, "elsewhere/kept", "elsewhere/sub/kept", "tree/before", "tree/mount/", "tree/zz")
	at := filepath.Join(root, "tree/mount")
	// A bind mount of the same file system: its device is the same.
	if out, err := exec.Command("mount", "--bind", filepath.Join(root, "elsewhere"), at).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", at).Run() })
	before := held(t, root)
	r := &Remove{Path: filepath.Join(root, "tree"), Before: FileInfo{Type: Directory}}
	if _, err := r.Apply(t.Context(), New()); err == nil || !strings.Contains(err.Error(), "something is mounted at "+at) {
		t.Errorf("removing the tree: %v", err)
	}
	if got := held(t, root); !slices.Equal(got, before) {
		t.Errorf("left: %q", got)
	}
	// What is mounted after that look, on kernels with and without openat2.
	d, err := OpenDir(filepath.Join(root, "tree"))
	must(t, err)
	defer d.Close()
	if err := d.RemoveAll("mount"); err == nil || !strings.Contains(err.Error(), "mounted") {
		t.Errorf("removing the mount point: %v", err)
	}
	if f, err := d.enterSteps("mount", unix.O_RDONLY|unix.O_DIRECTORY); err == nil {
		_ = f.Close()
		t.Error("without openat2 the mount is entered")
	}
	if _, err := os.Stat(filepath.Join(root, "elsewhere/sub/kept")); err != nil {
		t.Errorf("what is mounted has been emptied: %v", err)
	}
}

func TestWhatIsMadeAndReplacedMeanwhileIsNotGivenAway(t *testing.T) {
	needsRoot(t)
	root := lay(t, "theirs/", "ours/", "file")
	must(t, os.Chown(filepath.Join(root, "theirs"), hosttest.Nobody, hosttest.Nobody))
	must(t, os.Chmod(filepath.Join(root, "ours"), 0o755)) // no directory of MakeDir's
	d, err := OpenDir(root)
	must(t, err)
	defer d.Close()
	for _, name := range []string{"theirs", "ours", "file"} {
		if e, err := d.made(name, Directory, 0o2700); !errors.Is(err, ErrMoved) {
			e.Close()
			t.Errorf("%s is taken for the directory that was made: %v", name, err)
		}
	}
	e, err := d.MakeDir("new")
	must(t, err)
	defer e.Close()
	if e.Mode() != 0o700 {
		t.Errorf("a new directory has the mode %s", e.Mode())
	}
}

func TestMustersOwnFilesAreWrittenThroughNoLinkOfAUsers(t *testing.T) {
	needsRoot(t)
	root := lay(t, "root/x", "home/", "home/l -> ../root", "home/f -> ../root/x", "trusted -> root")
	for _, name := range []string{"home", "home/l", "home/f"} {
		must(t, os.Lchown(filepath.Join(root, name), hosttest.Nobody, hosttest.Nobody))
	}
	if err := Put(filepath.Join(root, "home/l/new"), nil, 0o600); err == nil || !strings.Contains(err.Error(), "doesn't follow it as root") {
		t.Errorf("writing behind the user's link: %v", err)
	}
	if d, err := MakeDirs(filepath.Join(root, "home/l/dir"), 0o700); err == nil {
		d.Close()
		t.Error("a directory is made behind the user's link")
	}
	if f, err := OpenLock(filepath.Join(root, "home/f")); err == nil {
		_ = f.Close()
		t.Error("a lock is opened through a link")
	}
	if err := Overwrite(filepath.Join(root, "home/f"), nil); err == nil {
		t.Error("a file is overwritten through a link")
	}
	must(t, Put(filepath.Join(root, "home/f"), []byte("new"), 0o640)) // in the link's place
	must(t, Put(filepath.Join(root, "trusted/y"), []byte("new"), 0o600))
	d, err := MakeDirs(filepath.Join(root, "trusted/a/b"), 0o750)
	must(t, err)
	d.Close()
	must(t, Drop(filepath.Join(root, "trusted/y")))
	must(t, Drop(filepath.Join(root, "nowhere/y")))
	want := []string{"home", "home/f", "home/l", "root", "root/a", "root/a/b", "root/x", "trusted"}
	if got := held(t, root); !slices.Equal(got, want) {
		t.Errorf("there is %q, want %q", got, want)
	}
	info, err := lstat(filepath.Join(root, "home/f"))
	if err != nil || info.Type != Regular || info.Mode != 0o640 {
		t.Errorf("the file is %+v, %v", info, err)
	}
	if data, _ := os.ReadFile(filepath.Join(root, "root/x")); string(data) != "root/x" {
		t.Errorf("root's file holds %q", data)
	}
}

func TestTemporaryNamesFit(t *testing.T) {
	for _, n := range []int{1, 200, 240, 241, 255} {
		if tmp := Temporary(strings.Repeat("x", n)); len(tmp) > 255 {
			t.Errorf("the temporary name of one of %d bytes has %d", n, len(tmp))
		}
	}
	if Temporary(strings.Repeat("x", 254)+"a") == Temporary(strings.Repeat("x", 254)+"b") {
		t.Error("two names have one temporary name")
	}
}

func TestTwoDirectoriesAreExchanged(t *testing.T) {
	root := lay(t, "a/old", "b/new")
	d, err := OpenDir(root)
	must(t, err)
	defer d.Close()
	must(t, d.Exchange("a", "b"))
	if got := held(t, root); !slices.Equal(got, []string{"a", "a/new", "b", "b/old"}) {
		t.Errorf("there is %q", got)
	}
	if err := d.Exchange("a", "c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("exchanging with nothing: %v", err)
	}
}
