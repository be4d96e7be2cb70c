//go:build long

// Package dist tries what `make dist` makes.
package dist

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/tests/program"
)

const (
	version  = "1.2.3-4-gabcdef012345"
	platform = "linux-arm64" // the one that this test makes: others take minutes more
	shipped  = "muster-" + version + "-" + platform
)

// sources copies what git knows of the tree, and what it doesn't ignore, into a folder.
func sources(t *testing.T) string {
	t.Helper()
	list, err := exec.Command("git", "-C", "../..", "ls-files", "-coz", "--exclude-standard").Output()
	if err != nil {
		t.Fatal("no git, or no repository, here:", err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		from := filepath.Join("../..", name)
		info, err := os.Lstat(from)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, and not committed yet
		}
		if err == nil && !info.Mode().IsRegular() {
			continue
		}
		data, err := os.ReadFile(from)
		to := filepath.Join(dir, name)
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755)); err == nil {
			err = os.WriteFile(to, data, info.Mode().Perm())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// made runs tests/dist.sh in a copy of the tree, and returns the copy and what it has made.
func made(t *testing.T) (tree, dist string) {
	t.Helper()
	tree, dist = sources(t), filepath.Join(t.TempDir(), "made")
	cmd := exec.Command("tests/dist.sh")
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "DIST="+dist, "PLATFORMS=linux/arm64", "VERSION="+version, "SOURCE_DATE_EPOCH=1777863721")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return tree, dist
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// unpacked unpacks an archive, whose entries have to be of root and of the commit's time.
func unpacked(t *testing.T, path string) (dir string, names []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir, names
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 1777863721 || h.Mode&0o022 != 0 {
			t.Errorf("%s is of %d:%d, %o, %s", h.Name, h.Uid, h.Gid, h.Mode, h.ModTime)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		names = append(names, h.Name)
		to := filepath.Join(dir, h.Name)
		data, err := io.ReadAll(r)
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755)); err == nil {
			err = os.WriteFile(to, data, os.FileMode(h.Mode).Perm())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsShipped(t *testing.T) {
	program.Sources(t, "muster/cmd/muster", "muster/cmd/muster-remote", "muster/tests/docs/gen")
	for _, file := range []string{"../dist.sh", "../../Makefile"} {
		read(t, file) // so that go test knows
	}
	tree, dist := made(t)
	_, again := made(t)

	t.Run("two builds in two places are the same", func(t *testing.T) {
		if a, b := read(t, filepath.Join(dist, "SHA256SUMS")), read(t, filepath.Join(again, "SHA256SUMS")); a != b || len(strings.Split(a, "\n")) != 3 {
			t.Errorf("%s\n%s", a, b)
		}
	})
	t.Run("its sums are those of its files", func(t *testing.T) {
		for line := range strings.Lines(read(t, filepath.Join(dist, "SHA256SUMS"))) {
			sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
			if have := sha256.Sum256([]byte(read(t, filepath.Join(dist, name)))); hex.EncodeToString(have[:]) != sum {
				t.Errorf("%s has another sum", name)
			}
		}
		sum := sha256.Sum256([]byte(read(t, filepath.Join(dist, shipped))))
		if got, want := read(t, filepath.Join(dist, "release.sha256")), fmt.Sprintf("%x  %s\n", sum, shipped); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	})
	dir, names := unpacked(t, filepath.Join(dist, shipped+".tar.gz"))
	muster := filepath.Join(dir, shipped, "bin/muster")
	t.Run("the archive has what a packager looks for", func(t *testing.T) {
		for _, name := range []string{
			"bin/muster", "share/man/man1/muster.1", "share/man/man1/muster-secret-set.1", "share/bash-completion/completions/muster",
			"share/zsh/site-functions/_muster", "share/fish/vendor_completions.d/muster.fish",
		} {
			if !slices.Contains(names, shipped+"/"+name) {
				t.Errorf("there is no %s in %v", name, names)
			}
		}
		if page := read(t, filepath.Join(dir, shipped, "share/man/man1/muster.1")); !strings.Contains(page, "2026\\-05\\-04") && !strings.Contains(page, `"2026-05-04"`) {
			t.Error("the page isn't of the commit's day")
		}
		if read(t, muster) != read(t, filepath.Join(dist, shipped)) {
			t.Error("the program in it is another than the one beside it")
		}
	})
	t.Run("nothing of where it was made is in it", func(t *testing.T) {
		if strings.Contains(read(t, muster), tree) {
			t.Errorf("the program names %s", tree)
		}
	})

	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		t.Fatal("no qemu here to run programs for arm64: make test-long installs it")
	}
	t.Run("muster for arm64 runs", func(t *testing.T) {
		project := t.TempDir()
		run := func(args ...string) string {
			cmd := exec.Command(qemu, append([]string{muster}, args...)...)
			cmd.Dir, cmd.Env = project, []string{"HOME=" + project, "PATH=" + os.Getenv("PATH")}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("muster %v: %v\n%s", args, err, out)
			}
			return string(out)
		}
		if out := run("version"); !strings.HasPrefix(out, "muster "+version+" (linux/arm64, ") || strings.Count(out, "remote for linux/") != 2 {
			t.Errorf("%q", out)
		}
		run("init")
		run("validate")
		if out := run("doc", "file"); !strings.Contains(out, "path") {
			t.Errorf("%q", out)
		}
	})
	t.Run("the remote for arm64 plans", func(t *testing.T) {
		remote := filepath.Join(t.TempDir(), "remote")
		unzip(t, filepath.Join(tree, "cmd/muster/remotes/linux-arm64.gz"), remote)
		target := filepath.Join(t.TempDir(), "planned")
		m := plan(t, exec.Command(qemu, remote), &wire.Task{ID: "0/task.directory.d", Kind: "directory", Args: map[string]any{"path": target}})
		if m.Status != wire.Pending || len(m.Changes) != 1 || m.Changes[0].Action != host.Create || m.Changes[0].Target != target {
			t.Errorf("%+v", m)
		}
		if _, err := os.Stat(target); !errors.Is(err, os.ErrNotExist) {
			t.Error("planning has made it", err)
		}
	})
}

func unzip(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// plan starts a remote, has it plan a task, and returns what it finds.
func plan(t *testing.T, cmd *exec.Cmd, task *wire.Task) *wire.Planned {
	t.Helper()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	c := wire.NewConn(out, in)
	for _, m := range []*wire.Message{{Open: &wire.Open{Key: []byte("k"), ReadOnly: true}}, {Task: task}} {
		if err := c.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	for {
		m, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if m.Planned != nil {
			return m.Planned
		}
	}
}
