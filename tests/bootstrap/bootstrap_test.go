// Package bootstrap runs ./bootstrap as somebody does who has cloned the repository.
package bootstrap

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// release is a muster that says what it was started as.
const release = "#!/bin/sh\necho \"muster $*\"\n"

// clone is a folder with what ./bootstrap looks at: itself, go.mod and, unless sum is "",
// release.sha256, which pins that for this machine.
func clone(t *testing.T, url, sum string) string {
	t.Helper()
	dir := t.TempDir()
	script, err := os.ReadFile("../../bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("bootstrap", string(script), 0o755)
	write("go.mod", "module muster\n\ngo 1.26.0\n", 0o644)
	if sum != "" {
		write("release.sha256", "# "+url+"\n"+strings.Repeat("0", 64)+"  muster-plan9-mips\n"+sum+"  muster-1.2.3-4-gabcdef-linux-"+runtime.GOARCH+"\n", 0o644)
	}
	return dir
}

// run runs ./bootstrap with what a bare machine has, and the folders path before it.
func run(t *testing.T, dir string, path ...string) (code int, out, errs string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "bootstrap"), "--yes", "two words")
	cmd.Env = []string{"HOME=" + dir, "PATH=" + strings.Join(append(path, "/usr/bin", "/bin"), ":")}
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

func TestReleaseIsTakenByItsSumAndKept(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/v1/muster-1.2.3-4-gabcdef-linux-"+runtime.GOARCH {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(release))
	}))
	defer server.Close()
	dir := clone(t, server.URL+"/v1", sum(release))
	for range 2 {
		if code, out, errs := run(t, dir); code != 0 || out != "muster bootstrap --yes two words\n" {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
	}
	if asked != 1 {
		t.Errorf("it was asked for %d times", asked)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "bin/muster"), "version").Output(); err != nil || string(out) != "muster version\n" {
		t.Errorf("bin/muster isn't that release: %v\n%s", err, out)
	}
}

func TestMusterThatWasBuiltStaysWhereAReleaseIsTaken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(release)) }))
	defer server.Close()
	dir := clone(t, server.URL, sum(release))
	built := filepath.Join(dir, "bin/muster")
	if err := errors.Join(os.Mkdir(filepath.Dir(built), 0o755), os.WriteFile(built, []byte("built"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := run(t, dir); code != 0 || out != "muster bootstrap --yes two words\n" {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	if text, err := os.ReadFile(built); err != nil || string(text) != "built" {
		t.Errorf("bin/muster is %q (%v)", text, err)
	}
}

func TestReleaseOfAnotherSumIsNeverRun(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(release + "\n")) }))
	defer server.Close()
	dir := clone(t, server.URL, sum(release))
	code, out, errs := run(t, dir)
	if code != 1 || out != "" || !strings.Contains(errs, sum(release)) || !strings.Contains(errs, sum(release+"\n")) {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "bin/release/*/*"))
	if len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	if _, err := os.Stat(filepath.Join(dir, "bin")); err == nil {
		t.Error("a folder is left behind")
	}
}

func TestWithoutANetworkThereIsOneMessage(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close()
	code, out, errs := run(t, clone(t, url, sum(release)))
	if code != 1 || out != "" || strings.Count(errs, "error:") != 1 || !strings.Contains(errs, "can't be had") || !strings.Contains(errs, "copy a muster to bin/muster") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func TestItBuildsWhereAGoIsNewEnough(t *testing.T) {
	// A Go that says which one it is, and makes what stands for muster.
	fake := func(version string) string {
		dir := t.TempDir()
		text := "#!/bin/sh\n[ \"$1\" = env ] && { echo go" + version + "; exit; }\nmkdir -p bin && printf '%s' '" + release + "' >bin/muster && chmod +x bin/muster\n"
		for _, name := range []string{"go", "make"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	if code, out, errs := run(t, clone(t, "", ""), fake("1.26.1")); code != 0 || out != "muster bootstrap --yes two words\n" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if code, out, errs := run(t, clone(t, "", ""), fake("1.19.8")); code != 1 || !strings.Contains(errs, "takes Go 1.26.0 or newer, here is 1.19.8") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func TestAPinFileMayHaveCRLF(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(release)) }))
	defer server.Close()
	dir := clone(t, server.URL, sum(release))
	path := filepath.Join(dir, "release.sha256")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if code, out, errs := run(t, dir); code != 0 || out != "muster bootstrap --yes two words\n" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}
