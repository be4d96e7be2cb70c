package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/host"
	"muster/internal/remote"
	"muster/internal/wire"
	"muster/modules"
	"muster/modules/file"
	"muster/modules/modulestest"
)

// served is what the cases' server has.
func served() map[string]string {
	return map[string]string{
		"/tool":        "#!/bin/sh\necho tool\n",
		"/SHA512SUMS":  sumOfText512("other\n") + "  other\n" + sumOfText512("#!/bin/sh\necho tool\n") + "  dist/tool\n",
		"/CHECKSUM":    "SHA256 (tool) = " + sumOfText("#!/bin/sh\necho tool\n") + "\nSHA512 (tool) = " + sumOfText512("#!/bin/sh\necho tool\n") + "\n",
		"/tool.sha512": sumOfText512("#!/bin/sh\necho tool\n") + "\n",
		"/SHA256SUMS":  sumOfText("other\n") + "  other\n" + sumOfText("#!/bin/sh\necho tool\n") + " *./tool\n",
	}
}

func sumOfText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func sumOfText512(text string) string {
	sum := sha512.Sum512([]byte(text))
	return hex.EncodeToString(sum[:])
}

var changed = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// The cases' server listens where the cases say.
func TestConformance(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.77:18077")
	if err == nil {
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, ok := served()[r.URL.Path]
			if !ok {
				http.NotFound(w, r)
				return
			}
			http.ServeContent(w, r, "", changed, strings.NewReader(text))
		})}
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
	}
	modulestest.Run(t, append(Kinds(), file.Kinds()...)...)
}

// do plans a task and, if it is pending, makes it.
func do(t *testing.T, args map[string]any) (wire.Planned, wire.Done) {
	t.Helper()
	s := remote.NewSession(modules.NewRegistry(Kinds()...), host.New(), nil)
	p, _ := s.Plan(t.Context(), wire.Task{ID: "0/task.download.t", Kind: "download", Args: args})
	if p.Status != wire.Pending {
		return p, wire.Done{}
	}
	return p, s.Apply(context.Background(), p.ID)
}

func TestTransferThatIsCutIsTakenUp(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	var gets, ranges atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			gets.Add(1)
		}
		if r.Header.Get("Range") != "" {
			ranges.Add(1)
		}
		w.Header().Set("ETag", `"one"`)
		if gets.Load() < 3 {
			http.ServeContent(&cutting{ResponseWriter: w, left: 100000}, r, "", changed, bytes.NewReader(body))
			return
		}
		http.ServeContent(w, r, "", changed, bytes.NewReader(body))
	}))
	defer s.Close()
	path := filepath.Join(t.TempDir(), "big")
	_, d := do(t, map[string]any{"path": path, "url": s.URL + "/big", "checksum": "sha256:" + sumOfText(string(body))})
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, body) || d.Status != wire.Changed {
		t.Fatalf("%d bytes, %v, %+v", len(got), err, d)
	}
	if gets.Load() != 3 || ranges.Load() != 2 {
		t.Errorf("%d requests, %d of them for a rest: want 3 and 2", gets.Load(), ranges.Load())
	}
}

// cutting ends the connection behind so many bytes.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if len(p) > c.left {
		c.ResponseWriter.Write(p[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func TestTransferThatCannotBeTakenUpIsBegunAnew(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 300000)
	var gets atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if gets.Add(1) == 1 {
			(&cutting{ResponseWriter: w, left: 100000}).Write(body)
		}
		w.Write(body)
	}))
	defer s.Close()
	path := filepath.Join(t.TempDir(), "big")
	_, d := do(t, map[string]any{"path": path, "url": s.URL, "checksum": "sha256:" + sumOfText(string(body))})
	if got, _ := os.ReadFile(path); !bytes.Equal(got, body) || d.Status != wire.Changed {
		t.Fatalf("%d bytes, %+v", len(got), d)
	}
}

func TestTransferThatIsCutAgainAndAgainLeavesTheOldFile(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 300000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		(&cutting{ResponseWriter: w, left: 100000}).Write(body)
	}))
	defer s.Close()
	dir := t.TempDir()
	path := filepath.Join(dir, "big")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, d := do(t, map[string]any{"path": path, "url": s.URL, "checksum": "sha256:" + sumOfText(string(body))})
	if got, _ := os.ReadFile(path); string(got) != "old" || d.Status != wire.Failed || !strings.Contains(d.Error, "the transfer was cut off") {
		t.Errorf("%q, %+v", got, d)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestRedirectsToAnotherHostLoseCredentials(t *testing.T) {
	var seen atomic.Value
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization") + r.Header.Get("X-Token"))
		fmt.Fprint(w, "body")
	}))
	defer other.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer canary" || r.Header.Get("X-Token") != "canary" {
			t.Error("the first server got no credentials")
		}
		http.Redirect(w, r, other.URL, http.StatusFound)
	}))
	defer first.Close()
	path := filepath.Join(t.TempDir(), "file")
	args := map[string]any{"path": path, "url": first.URL, "checksum": "sha256:" + sumOfText("body"), "headers": map[string]any{"Authorization": "Bearer canary", "X-Token": "canary"}}
	if _, d := do(t, args); d.Status != wire.Changed || seen.Load() != "" {
		t.Errorf("the other server got %q: %+v", seen.Load(), d)
	}
	// A file of sums elsewhere gets none either.
	args["checksum"] = other.URL
	if p, _ := do(t, args); p.Status != wire.Failed || seen.Load() != "" {
		t.Errorf("the server of the sums got %q: %+v", seen.Load(), p)
	}
}

func TestWithoutAChecksumTheServerIsAsked(t *testing.T) {
	var at atomic.Value
	at.Store(changed)
	var gets atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			gets.Add(1)
		}
		if r.URL.Path == "/silent" {
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "x")
			return
		}
		http.ServeContent(w, r, "", at.Load().(time.Time), strings.NewReader("text"))
	}))
	defer s.Close()
	path := filepath.Join(t.TempDir(), "file")
	args := map[string]any{"path": path, "url": s.URL + "/file"}
	if _, d := do(t, args); d.Status != wire.Changed {
		t.Fatalf("%+v", d)
	}
	if p, _ := do(t, args); p.Status != wire.Unchanged || gets.Load() != 1 {
		t.Errorf("got %d times: %+v", gets.Load(), p)
	}
	at.Store(changed.Add(time.Hour))
	if p, d := do(t, args); d.Status != wire.Changed || !strings.Contains(p.Changes[0].Impact, "which has another: 4 bytes of 2026-01-02 04:04:05") {
		t.Errorf("the server's file has changed: %+v, %+v", p, d)
	}
	if err := os.WriteFile(path, []byte("edit"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, d := do(t, args); d.Status != wire.Changed {
		t.Errorf("the host's file has changed: %+v", d)
	}
	args["url"] = s.URL + "/silent"
	if p, _ := do(t, args); p.Status != wire.Failed || !strings.Contains(p.Error, "give its checksum") {
		t.Errorf("a server that says nothing: %+v", p)
	}
}

func TestSumsAreReadInTheirForms(t *testing.T) {
	a, b, long := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 128)
	for text, want := range map[string]string{
		a + "  x.tar.gz\n" + b + "  y\n":                   a,
		b + " *y\n" + a + " *./dist/x.tar.gz\n":            a,
		"SHA256 (x.tar.gz) = " + a + "\nSHA256 (y) = " + b: a,
		strings.ToUpper(a) + "\n":                          a,
		a + "  x.tar.gz\r\n":                               a,
		long + "  x.tar.gz\n":                              long,
		"SHA512 (x.tar.gz) = " + long:                      long,
		long:                                               long,
		"SHA256 (x.tar.gz) = " + a + "\nSHA512 (x.tar.gz) = " + long + "\n": long,
	} {
		if got, err := sumOf(text, "x.tar.gz"); err != nil || got != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		"":                                      "no SHA-256 or SHA-512 sum",
		"<html>not found</html>":                "no SHA-256 or SHA-512 sum",
		a + "  other\n":                         "no sum of \"x.tar.gz\", only of other",
		a + "  x.tar.gz\n" + b + "  x.tar.gz\n": "two sums",
		"SHA512 (x.tar.gz) = " + a:              "no SHA-256 or SHA-512 sum",
		strings.Repeat("a", 40) + "  x.tar.gz":  "no SHA-256 or SHA-512 sum",
	} {
		if _, err := sumOf(text, "x.tar.gz"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %s", text, err, says)
		}
	}
}
