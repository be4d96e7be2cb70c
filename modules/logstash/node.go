package logstash

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The node's API (logstash-core/lib/logstash/api): "GET /_node/pipelines" and others.

const (
	answerTime = 10 * time.Second
	answerMost = 16 << 20
	portsMost  = 8 // of the range in which Logstash takes the first that is free
)

// api is where the node answers, by its logstash.yml.
type api struct {
	addresses      []string
	tls            bool
	user, password string
}

// apiOf reads where a node answers that has these settings.
func apiOf(f *settingsFile, env map[string]string) (*api, error) {
	setting := func(name, old, usual string) (string, error) {
		for _, n := range []string{name, old} {
			if has := f.get(n); has != "" {
				value, known := filled(has, env)
				if !known {
					return "", fmt.Errorf("%s is %s, whose value isn't in Logstash's environment, and muster has to know it to ask the node's API: write it out, or put the variable into %s", n, has, envPaths()[0])
				}
				return value, nil
			}
		}
		return usual, nil
	}
	var firsts []error
	get := func(name, old, usual string) string {
		value, err := setting(name, old, usual)
		firsts = append(firsts, err)
		return value
	}
	enabled, at, ports := get("api.enabled", "http.enabled", "true"), get("api.http.host", "http.host", "127.0.0.1"), get("api.http.port", "http.port", "9600-9700")
	a := &api{tls: get("api.ssl.enabled", "", "false") == "true"}
	if get("api.auth.type", "", "none") == "basic" {
		a.user, a.password = get("api.auth.basic.username", "", ""), get("api.auth.basic.password", "", "")
	}
	if err := errors.Join(firsts...); err != nil {
		return nil, err
	}
	if enabled == "false" {
		return nil, errors.New("its API is turned off by api.enabled, and nothing else tells whether its pipelines run: leave that setting out")
	}
	if ip := net.ParseIP(at); ip != nil && ip.IsUnspecified() {
		at = "127.0.0.1"
	}
	begin, end, _ := strings.Cut(ports, "-")
	first, err := strconv.Atoi(strings.TrimSpace(begin))
	if err != nil {
		return nil, fmt.Errorf("api.http.port is %q, which is no port and no range of ports", ports)
	}
	last, err := strconv.Atoi(strings.TrimSpace(end))
	if err != nil {
		last = first
	}
	for port := first; port <= min(last, first+portsMost-1); port++ {
		a.addresses = append(a.addresses, net.JoinHostPort(at, strconv.Itoa(port)))
	}
	return a, nil
}

type dialer func(ctx context.Context, address string) (net.Conn, error)

// reloads is what became of a pipeline's reloads.
type reloads struct {
	Successes int        `json:"successes"`
	Failures  int        `json:"failures"`
	Success   *time.Time `json:"last_success_timestamp"`
	Failure   *time.Time `json:"last_failure_timestamp"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"last_error"`
}

// live is a pipeline as the node has it.
type live struct {
	ID      string `json:"ephemeral_id"` // another one with each load
	Workers int    `json:"workers"`
	runs    bool
	reloads reloads
	state   string // "RUNNING", "TERMINATED"; "" where the node doesn't tell
}

// broken says what is wrong with a pipeline; "" where nothing is.
func (p *live) broken() string {
	if p.reloads.Failure == nil || p.reloads.Success != nil && p.reloads.Success.After(*p.reloads.Failure) {
		switch {
		case p.state != "" && !slices.Contains([]string{"RUNNING", "LOADING", "FINISHED", "UNKNOWN"}, strings.ToUpper(p.state)):
			return "it is " + strings.ToLower(p.state)
		case !p.runs:
			return "it doesn't run"
		}
		return ""
	}
	if p.reloads.Error == nil || p.reloads.Error.Message == "" {
		return "it couldn't be loaded"
	}
	text, _, _ := strings.Cut(p.reloads.Error.Message, "\n")
	return "it couldn't be loaded: " + text
}

// since reports whether a pipeline came to be as it is after it was as it is in was; nil where
// it wasn't.
func (p *live) since(was *live) bool {
	if was == nil {
		return p.reloads.Failure != nil || strings.EqualFold(p.state, "TERMINATED")
	}
	failed := p.reloads.Failure != nil && (was.reloads.Failure == nil || p.reloads.Failure.After(*was.reloads.Failure))
	return failed || strings.EqualFold(p.state, "TERMINATED") && p.ID != was.ID
}

// node is a Logstash that runs.
type node struct {
	version           string
	start             int64 // when its JVM began, in milliseconds since 1970
	heapInit, heapMax int64
	pipelines         map[string]*live
}

// runs reports whether a pipeline does.
func (n *node) runs(id string) bool { return n.pipelines[id] != nil && n.pipelines[id].runs }

// look asks a node for all that it tells of itself.
func (a *api) look(ctx context.Context, dial dialer) (*node, error) {
	var first error
	for _, address := range a.addresses {
		n, err := a.lookAt(ctx, dial, address)
		if err == nil || isNotYet(err) || ctx.Err() != nil {
			return n, err
		}
		if first == nil || nobodyListens(first) {
			first = err
		}
	}
	return nil, first
}

func (a *api) lookAt(ctx context.Context, dial dialer, address string) (*node, error) {
	ctx, stop := context.WithTimeout(ctx, answerTime)
	defer stop()
	client := &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, "tcp:"+address) },
		DisableKeepAlives: true,
		// The peer is on this host: its certificate needn't name how it is reached.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	var jvm struct {
		Version string `json:"version"`
		JVM     struct {
			Start int64 `json:"start_time_in_millis"`
			Mem   struct {
				Init int64 `json:"heap_init_in_bytes"`
				Max  int64 `json:"heap_max_in_bytes"`
			} `json:"mem"`
		} `json:"jvm"`
	}
	if err := a.get(ctx, client, address, "/_node/jvm", &jvm); err != nil {
		return nil, err
	}
	if jvm.JVM.Start == 0 {
		return nil, fmt.Errorf("what answers on %s isn't Logstash", address)
	}
	n := &node{version: jvm.Version, start: jvm.JVM.Start, heapInit: jvm.JVM.Mem.Init, heapMax: jvm.JVM.Mem.Max, pipelines: map[string]*live{}}
	var running struct {
		Pipelines map[string]*live `json:"pipelines"`
	}
	if err := a.get(ctx, client, address, "/_node/pipelines", &running); err != nil {
		return nil, err
	}
	for id, p := range running.Pipelines {
		if p != nil && !strings.HasPrefix(id, ".") { // those of Logstash's own, for monitoring
			p.runs, n.pipelines[id] = true, p
		}
	}
	var stats struct {
		Pipelines map[string]*struct {
			Reloads reloads `json:"reloads"`
		} `json:"pipelines"`
	}
	if err := a.get(ctx, client, address, "/_node/stats/pipelines", &stats); err != nil {
		return nil, err
	}
	for id, p := range stats.Pipelines {
		if p == nil || strings.HasPrefix(id, ".") {
			continue
		}
		if n.pipelines[id] == nil {
			n.pipelines[id] = &live{}
		}
		n.pipelines[id].reloads = p.Reloads
	}
	return n, a.health(ctx, client, address, n)
}

// health asks which pipelines have ended: a node tells from Logstash 8.16 on.
func (a *api) health(ctx context.Context, client *http.Client, address string, n *node) error {
	var report struct {
		Indicators struct {
			Pipelines struct {
				Indicators map[string]struct {
					Details struct {
						Status struct {
							State string `json:"state"`
						} `json:"status"`
					} `json:"details"`
				} `json:"indicators"`
			} `json:"pipelines"`
		} `json:"indicators"`
	}
	err := a.get(ctx, client, address, "/_health_report", &report)
	var status statusError
	if errors.As(err, &status) {
		return nil
	}
	for id, p := range report.Indicators.Pipelines.Indicators {
		if l := n.pipelines[id]; l != nil {
			l.state = p.Details.Status.State
			l.runs = l.runs && !strings.EqualFold(l.state, "TERMINATED")
		}
	}
	return err
}

// statusError is an answer that isn't 200.
type statusError int

func (s statusError) Error() string { return "the API answers " + strconv.Itoa(int(s)) }

// get asks the API.
func (a *api) get(ctx context.Context, client *http.Client, address, path string, into any) error {
	scheme := "http"
	if a.tls {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+path, nil)
	if err != nil {
		return err
	}
	if a.user != "" {
		r.SetBasicAuth(a.user, a.password)
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusUnauthorized {
		return errors.New("the API asks for another user or password than logstash.yml has: Logstash was started with others, restart it")
	}
	if answer.StatusCode != http.StatusOK {
		return statusError(answer.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, answerMost))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("what answers on %s isn't Logstash: %w", address, err)
	}
	return nil
}

func nobodyListens(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
