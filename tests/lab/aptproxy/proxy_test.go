package aptproxy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"muster/tests/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deb = "/debian/pool/main/h/hello/hello_2.10-3_amd64.deb"

// mirror is an upstream whose answer a test chooses.
type mirror struct {
	hits   atomic.Int64
	answer atomic.Value // http.HandlerFunc
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.hits.Add(1)
	m.answer.Load().(http.HandlerFunc)(w, r)
}

func (m *mirror) serve(content string) {
	m.answer.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, content) }))
}

// fixture is a proxy over a mirror, a client that uses it, and the folder.
type fixture struct {
	*mirror
	base   string // the mirror's URL
	dir    string
	client *http.Client
	server *httptest.Server
}

func setUp(t *testing.T, opts Options) *fixture {
	t.Helper()
	m := &mirror{}
	upstream := httptest.NewServer(m)
	t.Cleanup(upstream.Close)
	opts.Dir = t.TempDir()
	if opts.Hosts == nil {
		opts.Hosts = []string{"127.0.0.1"}
	}
	opts.Via = &http.Transport{DisableCompression: true}
	p, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p)
	t.Cleanup(p.Close)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(at), DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &fixture{m, upstream.URL, opts.Dir, &http.Client{Transport: transport, Timeout: 30 * time.Second}, server}
}

// get returns what a client gets: the whole body, or an error.
func (f *fixture) get(path string, header ...string) (status int, body string, err error) {
	req, err := http.NewRequest(http.MethodGet, f.base+path, nil)
	if err != nil {
		return 0, "", err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	reply, err := f.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer reply.Body.Close()
	b, err := io.ReadAll(reply.Body)
	return reply.StatusCode, string(b), err
}

// files lists the regular files of the cache folder.
func (f *fixture) files(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(f.dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func archive(size int) string { return "!<arch>\n" + strings.Repeat("x", size) }

func TestWhatIsKeptAndWhatIsAskedForAgain(t *testing.T) {
	index := "the index\n"
	sum := sha256.Sum256([]byte(index))
	tests := []struct {
		name    string
		path    string
		content string
		fresh   time.Duration
		hits    int64 // of three requests
	}{
		{"a package is fetched once", deb, archive(1000), 0, 1},
		{"an index by its sum is fetched once", "/dists/x/by-hash/SHA256/" + hex.EncodeToString(sum[:]), index, 0, 1},
		{"a list is asked for each time", "/dists/x/InRelease", "list", 0, 3},
		{"a list just fetched isn't asked for again", "/dists/x/InRelease", "list", time.Hour, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := setUp(t, Options{Fresh: test.fresh})
			f.serve(test.content)
			for range 3 {
				status, body, err := f.get(test.path)
				if status != 200 || body != test.content || err != nil {
					t.Fatalf("got %d, %q, %v", status, body, err)
				}
				settle(t, f, 1)
			}
			if n := f.hits.Load(); n != test.hits {
				t.Errorf("the mirror was asked %d times, want %d", n, test.hits)
			}
		})
	}
}

// settle waits until the cache folder holds n files and none is unfinished: a
// client may have its last byte before the file has its name.
func settle(t *testing.T, f *fixture, n int) {
	t.Helper()
	var names []string
	settled := await.True(t.Context(), func() bool {
		names = f.files(t)
		return len(names) == n && !strings.Contains(strings.Join(names, " "), tempPrefix)
	})
	if !settled {
		t.Fatalf("the cache holds %v, want %d files", names, n)
	}
}

func TestABrokenTransferIsAnErrorAndNeverAFile(t *testing.T) {
	wrongSum := "/dists/x/by-hash/SHA256/" + strings.Repeat("0", 64)
	half := func(announced string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if announced != "" {
				w.Header().Set("Content-Length", announced)
			}
			_, _ = io.WriteString(w, archive(50))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}
	tests := []struct {
		name   string
		path   string
		answer http.HandlerFunc
	}{
		{"the connection breaks before the announced end", deb, half("1000")},
		{"the connection breaks in a body of unknown length", deb, half("")},
		{"a page that is no package", deb, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>log in first") }},
		{"an index that hasn't the sum of its name", wrongSum, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "other") }},
		{"a list that breaks", "/dists/x/InRelease", half("1000")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := setUp(t, Options{})
			f.answer.Store(test.answer)
			status, body, err := f.get(test.path)
			if status == 200 && err == nil {
				t.Errorf("the client takes %q for the whole file", body)
			}
			settle(t, f, 0)
			whole := archive(10)
			f.serve(whole)
			if strings.Contains(test.path, "by-hash") {
				return // nothing has that sum
			}
			if status, body, err = f.get(test.path); status != 200 || body != whole || err != nil {
				t.Errorf("the next try gets %d, %q, %v", status, body, err)
			}
		})
	}
}

func TestATransferThatStallsIsGivenUp(t *testing.T) {
	f := setUp(t, Options{Stall: 100 * time.Millisecond})
	gone := make(chan bool)
	f.answer.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, archive(1))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	}))
	if status, _, err := f.get(deb); status == 200 && err == nil {
		t.Error("the client takes a stalled transfer for the whole file")
	}
	<-gone
	settle(t, f, 0)
}

func TestOneFetchServesAllWhoAskAndStreams(t *testing.T) {
	f := setUp(t, Options{})
	content := archive(300_000)
	rest := make(chan bool)
	f.answer.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = io.WriteString(w, content[:1000])
		_ = http.NewResponseController(w).Flush()
		<-rest
		_, _ = io.WriteString(w, content[1000:])
	}))
	const clients = 8
	var wg sync.WaitGroup
	begun := make(chan bool, clients)
	for range clients {
		wg.Go(func() {
			reply, err := f.client.Get(f.base + deb)
			if err != nil {
				t.Error(err)
				begun <- false
				return
			}
			defer reply.Body.Close()
			first := make([]byte, 900)
			_, err = io.ReadFull(reply.Body, first)
			begun <- true // before the mirror has sent the rest
			b, err2 := io.ReadAll(reply.Body)
			if string(first)+string(b) != content || err != nil || err2 != nil {
				t.Errorf("a client got %d bytes, %v, %v", len(first)+len(b), err, err2)
			}
		})
	}
	for range clients {
		select {
		case <-begun:
		case <-time.After(10 * time.Second):
			t.Fatal("nothing reaches the clients before the mirror's last byte")
		}
	}
	close(rest)
	wg.Wait()
	if n := f.hits.Load(); n != 1 {
		t.Errorf("the mirror was asked %d times", n)
	}
}

func TestAListIsServedFromItsLastCopyWithoutAMirror(t *testing.T) {
	f := setUp(t, Options{})
	f.serve("the list")
	if _, body, err := f.get("/dists/x/InRelease"); body != "the list" || err != nil {
		t.Fatal(body, err)
	}
	settle(t, f, 1)
	fail := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", code) }
	}
	f.answer.Store(fail(http.StatusServiceUnavailable))
	if status, body, err := f.get("/dists/x/InRelease"); status != 200 || body != "the list" || err != nil {
		t.Errorf("with a mirror that fails: %d, %q, %v", status, body, err)
	}
	f.answer.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }))
	if status, body, err := f.get("/dists/x/InRelease"); status != 200 || body != "the list" || err != nil {
		t.Errorf("with a mirror that hangs up: %d, %q, %v", status, body, err)
	}
	if status, _, _ := f.get("/dists/y/InRelease"); status != http.StatusBadGateway {
		t.Errorf("a list that was never fetched: %d", status)
	}
	f.answer.Store(fail(http.StatusNotFound))
	if status, _, _ := f.get("/dists/x/InRelease"); status != http.StatusNotFound {
		t.Errorf("a list that the mirror has no more: %d", status)
	}
	if status, _, _ := f.get(deb); status != http.StatusNotFound {
		t.Errorf("a package that the mirror hasn't: %d", status)
	}
	settle(t, f, 1)
}

func TestAPartIsServedOfAKeptFile(t *testing.T) {
	f := setUp(t, Options{})
	f.serve(archive(100))
	if status, body, err := f.get(deb, "Range", "bytes=3-"); status != 200 || body != archive(100) || err != nil {
		t.Errorf("of a file not kept yet: %d, %d bytes, %v", status, len(body), err)
	}
	settle(t, f, 1)
	if status, body, err := f.get(deb, "Range", "bytes=3-"); status != 206 || body != archive(100)[3:] || err != nil {
		t.Errorf("of a kept one: %d, %d bytes, %v", status, len(body), err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	f := setUp(t, Options{Hosts: []string{"deb.debian.org"}})
	f.serve("x")
	if status, _, _ := f.get(deb); status != http.StatusForbidden || f.hits.Load() != 0 {
		t.Errorf("a host that isn't a mirror is asked: %d", status)
	}
	reply, err := f.client.Post("http://deb.debian.org/x", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	if reply.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %s", reply.Status)
	}
	for _, path := range []string{"/", "/debian/", "/../../etc/passwd", "/a/..", "/" + tempPrefix + "1"} {
		name, err := fileName("h", path)
		if err == nil && !strings.HasPrefix(name, "h/") {
			t.Errorf("%s is kept as %s", path, name)
		}
		if err == nil && path != "/../../etc/passwd" {
			t.Errorf("%s is kept as %s", path, name)
		}
	}
}

func TestTheLeftoversOfAKilledProxyGo(t *testing.T) {
	dir := t.TempDir()
	old, young := filepath.Join(dir, tempPrefix+"old"), filepath.Join(dir, tempPrefix+"young")
	for _, name := range []string{old, young} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(old, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Error("an old leftover stays")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("a file that another proxy may be writing is removed")
	}
}
