package probe

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	if p.Status != wire.Pending || !strings.Contains(p.Changes[0].Impact, "503") || d.Status != wire.Failed || !strings.Contains(d.Error, "503") {
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
