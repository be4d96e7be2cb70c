package probe

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"muster/host"
	"muster/internal/remote"
	"muster/internal/wire"
	"muster/modules"
)

// do plans a task and, if it is pending, makes it.
func do(t *testing.T, kind string, args map[string]any, timeout time.Duration, between func()) (wire.Planned, wire.Done) {
	t.Helper()
	s := remote.NewSession(modules.NewRegistry(Kinds()...), host.New(), nil)
	p, _ := s.Plan(t.Context(), wire.Task{ID: "0/task." + kind + ".t", Kind: kind, Args: args, Timeout: timeout})
	if p.Status != wire.Pending {
		return p, wire.Done{}
	}
	if between != nil {
		between()
	}
	return p, s.Apply(context.Background(), p.ID)
}

func TestWaitForAPortThatOpens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().(*net.TCPAddr)
	args := map[string]any{"port": int64(address.Port)}
	if p, _ := do(t, "wait", args, 0, nil); p.Status != wire.Unchanged {
		t.Errorf("an open port: %+v", p)
	}
	l.Close()
	p, d := do(t, "wait", args, 30*time.Second, func() {
		if l, err = net.Listen("tcp", address.String()); err != nil {
			t.Fatal(err)
		}
	})
	defer l.Close()
	if p.Changes[0].Action != host.Check || d.Status != wire.Unchanged {
		t.Errorf("a port that opens: planned %+v, done %+v", p, d)
	}
}

func TestWaitEndsWithTheTasksTimeout(t *testing.T) {
	start := time.Now()
	_, d := do(t, "wait", map[string]any{"path": filepath.Join(t.TempDir(), "never")}, 200*time.Millisecond, nil)
	if d.Status != wire.Failed || !strings.Contains(d.Error, "timeout of 200ms") || !strings.Contains(d.Error, "it isn't there") {
		t.Errorf("done %+v", d)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestWaitArgumentsThatContradict(t *testing.T) {
	reg := modules.NewRegistry(Kinds()...)
	for name, args := range map[string]map[string]any{
		"neither":             {},
		"both":                {"port": int64(1), "path": "/x"},
		"a port that exists":  {"port": int64(1), "state": "exists"},
		"a path that is open": {"path": "/x", "state": "open"},
		"a port too high":     {"port": int64(70000)},
		"a relative path":     {"path": "x"},
	} {
		if _, errs := reg.Decode("wait", args); len(errs) == 0 {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHTTPCheckTellsWhatIsWrong(t *testing.T) {
	status, body := 503, "busy"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	args := map[string]any{"url": server.URL, "contains": "hello"}
	p, d := do(t, "http_check", args, 0, nil)
	if p.Status != wire.Pending || !strings.Contains(p.Changes[0].Impact, "503") || strings.Contains(p.Changes[0].Impact, "busy") || d.Status != wire.Failed || !strings.Contains(d.Error, server.URL+": the answer is 503 Service Unavailable, not 200\nbusy") {
		t.Errorf("planned %+v, done %+v", p, d)
	}
	status = 200
	if _, d = do(t, "http_check", args, 0, nil); !strings.Contains(d.Error, `doesn't contain "hello"`) {
		t.Errorf("done %+v", d)
	}
	_, d = do(t, "http_check", args, 0, func() { body = "hello you" })
	if d.Status != wire.Unchanged || !strings.Contains(string(d.Output), `"status":200,"body":"hello you"`) {
		t.Errorf("done %+v %s", d, d.Output)
	}
	p, _ = do(t, "http_check", args, 0, nil)
	if p.Status != wire.Unchanged || !strings.Contains(string(p.Output), "hello you") {
		t.Errorf("planned %+v", p)
	}
}

func TestRedirectToAnotherHostLosesTheHeaders(t *testing.T) {
	got := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("X-Token") }))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer first.Close()
	do(t, "http_check", map[string]any{"url": first.URL, "headers": map[string]any{"X-Token": "secret"}}, 0, nil)
	if token := <-got; token != "" {
		t.Errorf("the other host was told %q", token)
	}
}

func TestStatuses(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"nothing is 200":       {nil, "[200]"},
		"a number":             {int64(204), "[204]"},
		"a number of HCL":      {float64(204), "[204]"},
		"a list of everything": {[]any{int64(200), "3xx", "400-404"}, "[200 300-399 400-404]"},
		"a range upside down":  {"299-200", ""},
		"no number":            {"ok", ""},
		"too high":             {int64(600), ""},
		"half a number":        {200.5, ""},
		"an empty list":        {[]any{}, ""},
	} {
		got, err := statuses(c.value)
		if err == nil && fmt.Sprint(got) != c.want || err != nil && c.want != "" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestARequestThatMayHaveAnEffectIsMadeOnce(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+string(body))
	}))
	defer server.Close()
	var planned int
	_, d := do(t, "http_check", map[string]any{"url": server.URL, "method": "POST", "body": "größe", "status": int64(200)}, 0, func() { planned = len(asked) })
	if planned != 0 || len(asked) != 1 || asked[0] != "POST größe" || d.Status != wire.Unchanged || !strings.Contains(string(d.Output), `"status":200`) {
		t.Errorf("asked %d times while planning, then %q; done %+v", planned, asked, d)
	}
}

func TestABodyIsNotSentToAnotherHost(t *testing.T) {
	told := make(chan struct{}, 10)
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { told <- struct{}{} }))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer first.Close()
	_, d := do(t, "http_check", map[string]any{"url": first.URL, "method": "PUT", "body": "secret"}, 0, nil)
	if d.Status != wire.Failed || !strings.Contains(d.Error, "307") || len(told) != 0 {
		t.Errorf("done %+v, the other host was asked %d times", d, len(told))
	}
}

func TestHeadersAreKeptOnTheSameHost(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/a", http.RedirectHandler("/b", http.StatusFound))
	mux.HandleFunc("/b", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Header.Get("X-Token"))) })
	server := httptest.NewServer(mux)
	defer server.Close()
	p, _ := do(t, "http_check", map[string]any{"url": server.URL + "/a", "headers": map[string]any{"X-Token": "kept"}, "contains": "kept"}, 0, nil)
	if p.Status != wire.Unchanged {
		t.Errorf("planned %+v", p)
	}
}

func TestALargeBodyIsCut(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 3<<20))
	}))
	defer server.Close()
	p, _ := do(t, "http_check", map[string]any{"url": server.URL}, 0, nil)
	if p.Status != wire.Unchanged || len(p.Output) < bodyLimit || len(p.Output) > bodyLimit+100 {
		t.Errorf("%s, %d bytes of output", p.Status, len(p.Output))
	}
}

func TestCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte(ca), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args map[string]any
		want wire.Status
	}{
		"an unknown one is refused": {map[string]any{}, wire.Pending},
		"insecure takes any":        {map[string]any{"insecure": true}, wire.Unchanged},
		"its issuer as PEM":         {map[string]any{"ca": ca}, wire.Unchanged},
		"its issuer in a file":      {map[string]any{"ca": file}, wire.Unchanged},
		"a file that isn't there":   {map[string]any{"ca": file + "x"}, wire.Pending},
	} {
		c.args["url"] = server.URL
		if p, _ := do(t, "http_check", c.args, 0, nil); p.Status != c.want {
			t.Errorf("%s: planned %+v", name, p)
		}
	}
}

func TestAPasswordInTheAddressIsNotShown(t *testing.T) {
	p, d := do(t, "http_check", map[string]any{"url": "http://me:hunter2hunter2@127.0.0.1:1/"}, 0, nil)
	if shown := fmt.Sprintf("%+v %+v", p, d); p.Status != wire.Pending || strings.Contains(shown, "hunter2") {
		t.Errorf("shown: %s", shown)
	}
}

func TestWaitForPaths(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	make := func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, d := do(t, "wait", map[string]any{"path": path}, 30*time.Second, make); d.Status != wire.Unchanged {
		t.Errorf("a file that appears: %+v", d)
	}
	if p, _ := do(t, "wait", map[string]any{"path": path, "state": "exists"}, 0, nil); p.Status != wire.Unchanged {
		t.Errorf("a file that is there: %+v", p)
	}
	if _, d := do(t, "wait", map[string]any{"path": path, "state": "absent"}, 30*time.Second, func() { _ = os.Remove(path) }); d.Status != wire.Unchanged {
		t.Errorf("a file that goes: %+v", d)
	}
}

func TestWaitForClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	args := map[string]any{"port": int64(l.Addr().(*net.TCPAddr).Port), "state": "closed"}
	_, d := do(t, "wait", args, 3*time.Second, nil) // long enough to have looked once on a busy machine
	if d.Status != wire.Failed || !strings.Contains(d.Error, "still open") {
		t.Errorf("a port that stays open: %+v", d)
	}
	if _, d := do(t, "wait", args, 30*time.Second, func() { l.Close() }); d.Status != wire.Unchanged {
		t.Errorf("a port that closes: %+v", d)
	}
}

func TestWaitThatIsStoppedHasNotSeenTheEnd(t *testing.T) {
	port := 1
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := &Wait{Port: &port, State: "closed"}
	if err := w.look(ctx); err == nil {
		t.Error("a look that was stopped is taken for a closed port")
	}
}

// overdue is a context whose deadline has passed and which doesn't say so yet.
type overdue struct{ context.Context }

func (overdue) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

func TestWaitWhoseTimeIsUpInALookHasNotSeenTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if err := (&Wait{Port: &port, State: "closed"}).look(overdue{t.Context()}); err == nil {
		t.Error("a look that was out of time is taken for a closed port")
	}
}

// nameServer answers that there is no such name until open is called, then
// 127.0.0.1.
func nameServer(t *testing.T) (resolver *net.Resolver, open func()) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var known atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			end := 12 // the question: labels, a zero, type and class
			for end < n && buf[end] != 0 {
				end += int(buf[end]) + 1
			}
			question := buf[12 : end+5]
			answer := append([]byte{buf[0], buf[1], 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
			if known.Load() {
				answer[3] = 0x80
				if question[len(question)-3] == 1 { // A
					answer[7] = 1
					answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
				}
			}
			_, _ = conn.WriteTo(answer, from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, func() { known.Store(true) }
}

func TestANameThatStartsToResolveLater(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	resolver, open := nameServer(t)
	w := &Wait{Port: &port, Address: "later.example.", resolver: resolver}
	plan, err := w.Plan(t.Context(), host.NewView(host.New(), nil))
	if err != nil || len(plan.Changes) != 1 || !strings.Contains(plan.Changes[0].Describe().Impact, "no such host") {
		t.Fatalf("planned %+v, %v", plan, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	time.AfterFunc(200*time.Millisecond, open)
	if _, err := plan.Changes[0].Apply(ctx, host.New()); err != nil {
		t.Error(err)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAWrongStatusIsToldInASentence(t *testing.T) {
	for want, status := range map[string]any{
		`"abc" is no status code: write 200, "200-299", "2xx", or a list of these.`: "abc",
		`9999 is no status code: write 200, "200-299", "2xx", or a list of these.`:  int64(9999),
		`The list of status codes is empty: no answer would be right.`:              []any{},
		`300-200 is no range of status codes: it ends before it begins.`:            "300-200",
	} {
		errs := (&HTTPCheck{URL: "http://localhost/", Status: status}).Check(func(string) bool { return false })
		if len(errs) != 1 || errs[0].Detail != want {
			t.Errorf("of %v is said %v, want %q", status, errs, want)
		}
	}
}
