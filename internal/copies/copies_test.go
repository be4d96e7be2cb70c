package copies_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"muster/host"
	"muster/internal/copies"
)

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// keep keeps text as a copy.
func keep(p copies.Place, text string) error {
	n, err := p.Create()
	if err != nil {
		return err
	}
	defer n.Drop()
	if _, err := n.Write([]byte(text)); err != nil {
		return err
	}
	return n.Keep(sumOf(text))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files lists what is below a folder, without folders.
func files(t *testing.T, dir string) string {
	t.Helper()
	var list []string
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	return strings.Join(list, " ")
}

func place(project string) copies.Place {
	return copies.Place{Project: project, To: "kept/fetched", Host: "web1", Path: "/etc/motd"}
}

func TestCopyIsKeptForItsOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	p := place(dir)
	c, err := p.Look(100)
	must(t, err)
	if c.Sum != "" || c.Path != "kept/fetched/web1/etc/motd" || files(t, dir) != "" {
		t.Errorf("before there is one, it is %+v, and there are %s", c, files(t, dir))
	}
	must(t, keep(p, "hello"))
	must(t, keep(p, "hello again"))
	at := filepath.Join(dir, p.Name())
	info, err := os.Stat(at)
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("its mode is %s", info.Mode())
	}
	if info, err = os.Stat(filepath.Dir(at)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its folder's mode is %s", info.Mode())
	}
	c, err = p.Look(11)
	must(t, err)
	if c.Sum != sumOf("hello again") || c.Size != 11 || string(c.Data) != "hello again" {
		t.Errorf("it is %+v", c)
	}
	if c, err = p.Look(10); err != nil || c.Data != nil || c.Size != 11 {
		t.Errorf("of one that is larger than may be shown there is %+v", c)
	}
	if list := files(t, dir); list != p.Name() {
		t.Errorf("there are %s", list)
	}
}

func TestCopyStaysUntilAllOfTheNewOneIsThere(t *testing.T) {
	dir := t.TempDir()
	p := place(dir)
	must(t, keep(p, "old"))
	for name, end := range map[string]func(n *copies.New) error{
		"given up": func(n *copies.New) error { return nil },
		"damaged":  func(n *copies.New) error { return n.Keep(sumOf("other")) },
	} {
		n, err := p.Create()
		must(t, err)
		_, err = n.Write([]byte("new"))
		must(t, err)
		if err := end(n); name == "damaged" && (err == nil || !strings.Contains(err.Error(), "has the SHA-256")) {
			t.Errorf("what came damaged is kept: %v", err)
		}
		n.Drop()
		if c, err := p.Look(10); err != nil || string(c.Data) != "old" || files(t, dir) != p.Name() {
			t.Errorf("%s: the copy is %+v, and there are %s", name, c, files(t, dir))
		}
	}
}

// A muster that is killed can't remove what it has begun: the next copy in that folder does,
// and leaves what another run has in hand, and what is somebody else's.
func TestWhatAKilledMusterLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	p := place(dir)
	must(t, keep(p, "old"))
	folder := filepath.Dir(filepath.Join(dir, p.Name()))
	left := folder + "/.muster-" + strings.Repeat("A", 26)
	for _, name := range []string{left, folder + "/.muster-notes", folder + "/.mustered-" + strings.Repeat("A", 26)} {
		must(t, os.WriteFile(name, []byte("half"), 0o600))
	}
	other, err := p.Create()
	must(t, err)
	defer other.Drop()
	if _, err := os.Stat(left); err == nil {
		t.Error("what was left is still there")
	}
	must(t, keep(p, "new"))
	_, err = other.Write([]byte("newer"))
	must(t, err)
	must(t, other.Keep(sumOf("newer")))
	if list := files(t, folder); list != ".muster-notes .mustered-"+strings.Repeat("A", 26)+" motd" {
		t.Errorf("there are %s", list)
	}
	if c, err := p.Look(10); err != nil || string(c.Data) != "newer" {
		t.Errorf("the copy is %+v, %v", c, err)
	}
}

func TestCopyIsBounded(t *testing.T) {
	n, err := place(t.TempDir()).Create()
	must(t, err)
	defer n.Drop()
	_, err = n.Write(make([]byte, host.CopyLimit))
	must(t, err)
	if _, err := n.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
		t.Errorf("one byte too many is taken: %v", err)
	}
}

// Links that somebody has put into the project lead nowhere else, and what is in the way stays.
func TestNothingLeadsOutOfAHostsFolder(t *testing.T) {
	for name, test := range map[string]struct {
		lay  func(dir, outside string) error
		edit func(p *copies.Place)
	}{
		"the folder is a link out of the project": {lay: func(dir, outside string) error { return os.Symlink(outside, dir+"/kept") }},
		"the host's is one to another host's": {lay: func(dir, outside string) error {
			must(t, os.MkdirAll(dir+"/kept/fetched/db1/etc", 0o700))
			return os.Symlink("db1", dir+"/kept/fetched/web1")
		}},
		"a folder below it is one": {lay: func(dir, outside string) error {
			must(t, os.MkdirAll(dir+"/kept/fetched/web1", 0o700))
			return os.Symlink(outside, dir+"/kept/fetched/web1/etc")
		}},
		"the copy is one": {lay: func(dir, outside string) error {
			must(t, os.MkdirAll(dir+"/kept/fetched/web1/etc", 0o700))
			return os.Symlink(outside+"/motd", dir+"/kept/fetched/web1/etc/motd")
		}},
		"the copy is a folder": {lay: func(dir, outside string) error { return os.MkdirAll(dir+"/kept/fetched/web1/etc/motd", 0o700) }},
		"the copy is a named pipe": {lay: func(dir, outside string) error {
			must(t, os.MkdirAll(dir+"/kept/fetched/web1/etc", 0o700))
			return syscall.Mkfifo(dir+"/kept/fetched/web1/etc/motd", 0o600)
		}},
		"the host is called ..":   {edit: func(p *copies.Place) { p.Host = ".." }},
		"the host is called a/b":  {edit: func(p *copies.Place) { p.Host = "a/b" }},
		"the folder is elsewhere": {edit: func(p *copies.Place) { p.To = "../elsewhere" }},
		"the folder is absolute":  {edit: func(p *copies.Place) { p.To = "/tmp" }},
		"the path is the root":    {edit: func(p *copies.Place) { p.Path = "/.." }},
		"there is no project":     {edit: func(p *copies.Place) { p.Project = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			dir, outside := t.TempDir(), t.TempDir()
			must(t, os.WriteFile(outside+"/motd", []byte("theirs"), 0o600))
			if test.lay != nil {
				must(t, test.lay(dir, outside))
			}
			p := place(dir)
			if test.edit != nil {
				test.edit(&p)
			}
			before := files(t, dir)
			if err := keep(p, "hello"); err == nil {
				t.Error("it is kept")
			}
			if c, err := p.Look(100); err == nil && c.Sum != "" {
				t.Errorf("it is read: %+v", c)
			}
			if data, err := os.ReadFile(outside + "/motd"); string(data) != "theirs" || files(t, outside) != "motd" {
				t.Errorf("outside there are %s with %q, %v", files(t, outside), data, err)
			}
			if now := files(t, dir); now != before {
				t.Errorf("there are %s, not %s", now, before)
			}
		})
	}
	dir := t.TempDir()
	p := place(dir)
	p.Path = "/../../../etc/motd"
	must(t, keep(p, "hello"))
	if list := files(t, dir); list != "kept/fetched/web1/etc/motd" {
		t.Errorf("a path with dots leads to %s", list)
	}
}
