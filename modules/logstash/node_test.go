package logstash

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"net"
)

// answers are a node's, by path.
type answers map[string]string

// node asks a server that gives these answers.
func (a answers) node(t *testing.T) (*node, error) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := a[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(text))
	}))
	defer s.Close()
	address := strings.TrimPrefix(s.URL, "http://")
	return (&api{addresses: []string{address}}).look(context.Background(), func(ctx context.Context, at string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", strings.TrimPrefix(at, "tcp:"))
	})
}

// usual are the answers of a node with one pipeline, whose stats are given.
func usual(t *testing.T, reloads string) answers {
	t.Helper()
	if !json.Valid([]byte(reloads)) {
		t.Fatalf("%s is no JSON", reloads)
	}
	return answers{
		"/_node/jvm":             `{"version":"8.10.0","jvm":{"start_time_in_millis":1000,"mem":{"heap_init_in_bytes":1073741824,"heap_max_in_bytes":1037959168}}}`,
		"/_node/pipelines":       `{"pipelines":{".monitoring":{"workers":1},"a":{"ephemeral_id":"x","workers":2}}}`,
		"/_node/stats/pipelines": `{"pipelines":{"a":{"reloads":` + reloads + `}}}`,
	}
}

func TestPipelinesThatFailedAreFoundWithoutAHealthReport(t *testing.T) {
	for _, c := range []struct{ name, before, now, want string }{
		{"none failed", `{"failures":0}`, `{"failures":0,"last_error":null,"last_success_timestamp":null,"last_failure_timestamp":null}`, ""},
		{"one failed", `{"failures":0}`, `{"failures":1,"last_error":{"message":"Expected one of\nmore"},"last_failure_timestamp":"2026-01-02T03:04:05.678Z"}`, "Expected one of"},
		{"one failed long ago, and was loaded since", `{"failures":0}`, `{"failures":1,"last_error":{"message":"a"},"last_failure_timestamp":"2026-01-02T03:04:05.678Z","last_success_timestamp":"2026-01-02T03:04:06.000000001Z"}`, ""},
		{"one had failed before", `{"failures":1,"last_error":{"message":"a"},"last_failure_timestamp":"2026-01-02T03:04:05.678Z"}`, `{"failures":1,"last_error":{"message":"a"},"last_failure_timestamp":"2026-01-02T03:04:05.678Z"}`, ""},
	} {
		before, err := usual(t, c.before).node(t)
		if err != nil {
			t.Fatal(err)
		}
		now, err := usual(t, c.now).node(t)
		if err != nil {
			t.Fatal(err)
		}
		missing, failed := (&Load{Runs: []string{"a"}}).missing(before, now)
		if len(missing) > 0 || (failed != nil) != (c.want != "") || failed != nil && (!strings.Contains(failed.Error(), c.want) || strings.Contains(failed.Error(), "more")) {
			t.Errorf("%s: %v, %v", c.name, missing, failed)
		}
	}
}

func TestPipelinesThatDoNotRunAreMissing(t *testing.T) {
	a := usual(t, `{"failures":0}`)
	now, err := a.node(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(now.pipelines) != 1 {
		t.Errorf("Logstash's own pipelines count: %v", now.pipelines)
	}
	if missing, _ := (&Load{Runs: []string{"a", "b"}, Gone: []string{"c"}}).missing(nil, now); len(missing) != 1 || !strings.Contains(missing[0], `"b"`) {
		t.Errorf("%q", missing)
	}
	if missing, _ := (&Load{Gone: []string{"a"}}).missing(now, now); len(missing) != 1 {
		t.Errorf("%q", missing)
	}
	if missing, _ := (&Load{Runs: []string{"a"}, Fresh: []string{"a"}}).missing(now, now); len(missing) != 1 || !onlyDoubted(missing) {
		t.Errorf("%q", missing)
	}
	a["/_health_report"] = `{"indicators":{"pipelines":{"indicators":{"a":{"details":{"status":{"state":"TERMINATED"}}}}}}}`
	if now, err = a.node(t); err != nil {
		t.Fatal(err)
	}
	if _, failed := (&Load{Runs: []string{"a"}}).missing(nil, now); failed == nil || !strings.Contains(failed.Error(), "terminated") {
		t.Errorf("one that has ended: %v", failed)
	}
}

func TestAHeapThatIsNotTheOneAskedFor(t *testing.T) {
	now, err := usual(t, `{}`).node(t)
	if err != nil {
		t.Fatal(err)
	}
	for heap, right := range map[int64]bool{1 << 30: true, 1 << 29: false, 1 << 31: false} {
		if err := (&Load{Heap: heap}).verify(now); (err == nil) != right {
			t.Errorf("%d: %v", heap, err)
		}
	}
	if err := (&Load{Workers: map[string]int{"a": 3}}).verify(now); err == nil {
		t.Error("other workers are taken for right")
	}
}

func TestAnswersThatAreNotLogstashs(t *testing.T) {
	for _, a := range []answers{{}, {"/_node/jvm": "<html>"}, {"/_node/jvm": "{}"}, {"/_node/jvm": `{"jvm":[]}`}} {
		if n, err := a.node(t); err == nil {
			t.Errorf("%v is taken for Logstash: %+v", a, n)
		}
	}
}

func TestWhatATestSaysIsTold(t *testing.T) {
	const said = "Using bundled JDK: /usr/share/logstash/jdk\n[2026][INFO ][x] fine\n[2026][FATAL][logstash.runner] The given configuration is invalid. Reason: Expected one of \"=>\" at line 1, column 9 (byte 9) after output { geheim\n[2026][FATAL][x] stopped\n"
	if got := complaint(said, false); !strings.HasPrefix(got, "Expected one of") || !strings.HasSuffix(got, "geheim") {
		t.Error(got)
	}
	if got := complaint(said, true); !strings.HasPrefix(got, "Expected one of") || strings.Contains(got, "geheim") {
		t.Error(got)
	}
	if got := complaint("Using x\nERROR: no such\n", false); got != "ERROR: no such" {
		t.Error(got)
	}
}
