package outfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAFileIsReplacedAndALinkToItFollowed(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(Write(file, []byte("one"), 0o600), os.Symlink("file", link), Write(link, []byte("two"), 0o644)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v (%v)", info, err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "two" {
		t.Errorf("%q (%v)", text, err)
	}
	if to, err := os.Readlink(link); err != nil || to != "file" {
		t.Errorf("the link leads to %q (%v)", to, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Errorf("%v are left (%v)", list, err)
	}
}

// A report of a pipeline goes to /dev/stdout: that was replaced by a file, where root ran it.
func TestWhatIsNoFileIsWrittenToAndStays(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "stdout")
	if err := errors.Join(unix.Mkfifo(pipe, 0o600), os.Symlink("pipe", link)); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		f, err := os.Open(pipe)
		if err != nil {
			got <- err.Error()
			return
		}
		defer f.Close()
		text, _ := io.ReadAll(f)
		got <- string(text)
	}()
	if err := Write(link, []byte("report"), 0o644); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "report" {
		t.Errorf("%q came", text)
	}
	if to, err := os.Readlink(link); err != nil || to != "pipe" {
		t.Errorf("the link leads to %q (%v)", to, err)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("%v (%v)", info, err)
	}
}

// Where standard output is a file, a log say, that isn't replaced either: what was written
// before and what comes after stay in it.
func TestStandardOutputIsWrittenToWhereItIsAFile(t *testing.T) {
	for _, path := range []string{"/dev/stdout", "link", "/proc/self/fd/1", "/dev/fd/1"} {
		dir := t.TempDir()
		log, err := os.Create(filepath.Join(dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		if path == "link" {
			path = filepath.Join(dir, "link")
			if err := os.Symlink("/dev/stdout", path); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMain$")
		cmd.Env = append(os.Environ(), "OUTFILE="+path)
		cmd.Stdout = log
		if err := errors.Join(cmd.Run(), log.Close()); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(log.Name()); err != nil || string(text) != "before\nreport\nafter\n" {
			t.Errorf("%s: %q (%v)", path, text, err)
		}
	}
}

func TestMain(m *testing.M) {
	if path := os.Getenv("OUTFILE"); path != "" {
		fmt.Println("before")
		if err := Write(path, []byte("report\n"), 0o644); err != nil {
			fmt.Println(err)
		}
		fmt.Println("after")
		os.Exit(0)
	}
	os.Exit(m.Run())
}
