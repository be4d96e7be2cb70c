package main

//lint:file-ignore ST1005 these texts are Logstash's own

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"crypto/rand"
)

// reloads are a pipeline's, as _node/stats/pipelines has them.
type reloads struct {
	Error     any     `json:"last_error"`
	Successes int     `json:"successes"`
	Success   *string `json:"last_success_timestamp"`
	Failure   *string `json:"last_failure_timestamp"`
	Failures  int     `json:"failures"`
}

// running is a pipeline that was made.
type running struct {
	config    config
	ephemeral string
	crashed   bool
	closers   []func() error
	plugins   []plugin
}

func (r *running) stop() {
	for _, c := range r.closers {
		_ = c()
	}
	r.closers = nil
}

// agent is what runs pipelines (agent.rb).
type agent struct {
	mu        sync.Mutex
	settings  settings
	env       *variables
	pipelines map[string]*running
	shown     map[string]*running // whose metrics _node/pipelines has
	reloads   map[string]*reloads
	begun     time.Time
}

func identity() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// serve runs until it is told to end.
func serve(s settings, env *variables) int {
	lock, err := os.OpenFile(filepath.Join(s["path.data"], ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil || syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		logged("FATAL", "logstash.runner", "Logstash could not be started because there is already another instance using the configured data directory.  If you wish to run multiple instances, you must change the \"path.data\" setting.")
		return 1
	}
	a := &agent{settings: s, env: env, pipelines: map[string]*running{}, shown: map[string]*running{}, reloads: map[string]*reloads{}, begun: time.Now()}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	if s["api.enabled"] != "false" {
		if err := a.listen(); err != nil {
			logged("FATAL", "logstash.runner", err.Error())
			return 1
		}
	}
	a.converge()
	automatic := s["config.reload.automatic"] == "true"
	if !automatic && len(a.pipelines) == 0 {
		return 1
	}
	every := time.NewTicker(500 * time.Millisecond)
	for {
		select {
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				logged("INFO", "logstash.runner", "Logstash shut down.")
				return 0
			}
			logged("WARN", "logstash.runner", "SIGHUP received.")
			a.converge()
		case <-every.C:
			if automatic {
				a.converge()
			} else if a.idle() {
				return 0
			}
		}
	}
}

func (a *agent) idle() bool {
	for _, r := range a.pipelines {
		if !r.crashed {
			return false
		}
	}
	return true
}

// converge makes, reloads and stops pipelines, so that they are as their files have them.
func (a *agent) converge() {
	a.mu.Lock()
	defer a.mu.Unlock()
	configs, err := fetch(a.settings, a.env)
	if err != nil {
		logged("ERROR", "logstash.agent", "An exception happened when converging configuration {:exception=>RuntimeError, :message=>\"Could not fetch the configuration, message: "+err.Error()+"\"}")
		return
	}
	wanted := map[string]bool{}
	for _, c := range configs {
		wanted[c.id] = true
	}
	for id, r := range a.pipelines { // in Logstash, too, those that go do so first
		if !wanted[id] {
			r.stop()
			delete(a.pipelines, id)
			delete(a.shown, id)
			delete(a.reloads, id)
		}
	}
	for _, c := range configs {
		old := a.pipelines[c.id]
		switch {
		case old == nil:
			a.reloads[c.id] = &reloads{}
			if err := a.create(c); err != nil {
				a.failed(c.id, "Create", err)
			}
		case old.config.text != c.text || !maps.Equal(old.config.settings, c.settings):
			if err := a.reload(old, c); err != nil {
				a.failed(c.id, "Reload", err)
			} else {
				a.reloads[c.id].Successes++
				a.reloads[c.id].Success = stampNow()
			}
		}
	}
}

func stampNow() *string {
	text := time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z")
	return &text
}

func (a *agent) failed(id, action string, err error) {
	logged("ERROR", "logstash.agent", fmt.Sprintf("Failed to execute action {:id=>:%s, :action_type=>LogStash::ConvergeResult::FailedAction, :message=>%q, :action=>LogStash::PipelineAction::%s/pipeline_id:%s}", id, err, action, id))
	r := a.reloads[id]
	r.Failures++
	r.Failure = stampNow()
	r.Error = map[string]any{"message": err.Error(), "backtrace": []string{"org/logstash/execution/AbstractPipelineExt.java:294:in `initialize'"}}
}

func (a *agent) create(c config) error {
	plugins, err := build(c, a.env)
	if err != nil {
		return err
	}
	r := &running{config: c, ephemeral: identity(), plugins: plugins}
	a.pipelines[c.id], a.shown[c.id] = r, r
	for _, p := range plugins {
		if err := r.open(p); err != nil {
			r.stop()
			r.crashed = true
			return fmt.Errorf("Could not execute action: PipelineAction::Create<%s>, action_result: false; %w", c.id, err) //nolint:staticcheck // Logstash's words
		}
	}
	logged("INFO", "logstash.javapipeline", fmt.Sprintf("Pipeline started {\"pipeline.id\"=>%q}", c.id))
	return nil
}

func (a *agent) reload(old *running, c config) error {
	reloadable := func(list []plugin) bool {
		for _, p := range list {
			if p.kind == "input" && p.name == "stdin" {
				return false
			}
		}
		return true
	}
	if !reloadable(old.plugins) {
		return errors.New("Cannot reload pipeline, because the existing pipeline is not reloadable") //nolint:staticcheck // Logstash's words
	}
	plugins, err := build(c, a.env)
	if err != nil {
		return err
	}
	if !reloadable(plugins) {
		return errors.New("Cannot reload pipeline, because the new pipeline is not reloadable") //nolint:staticcheck // Logstash's words
	}
	logged("INFO", "logstash.pipelineaction.reload", fmt.Sprintf("Reloading pipeline {\"pipeline.id\"=>:%s}", c.id))
	old.stop()
	return a.create(c)
}

// open has an input listen.
func (r *running) open(p plugin) error {
	usual := map[string]string{"http": "8080", "syslog": "514", "gelf": "12201", "tcp": "", "udp": "", "beats": "", "elastic_agent": ""}
	port, listens := usual[p.name]
	if p.kind != "input" || !listens || p.options["mode"] == "client" {
		return nil
	}
	if given := p.options["port"]; given != "" {
		port = given
	}
	at := net.JoinHostPort(p.options["host"], port)
	if p.name == "udp" || p.name == "gelf" || p.name == "syslog" {
		c, err := net.ListenPacket("udp", at)
		if err != nil {
			return err
		}
		r.closers = append(r.closers, c.Close)
	}
	if p.name != "udp" && p.name != "gelf" {
		l, err := net.Listen("tcp", at)
		if err != nil && (p.name == "beats" || p.name == "elastic_agent") { // these try again and again
			logged("ERROR", "logstash.javapipeline", "A plugin had an unrecoverable error. Will restart this plugin. Error: Address already in use")
			return nil
		}
		if err != nil {
			return err
		}
		r.closers = append(r.closers, l.Close)
	}
	return nil
}

var heapOption = regexp.MustCompile(`^-(Xms|Xmx)([0-9]+)([kKmMgG])$`)

// heap is what Java would be given: the last option wins, those of LS_JAVA_OPTS after the file's.
func (a *agent) heap() (first, most int64) {
	first, most = 1<<30, 1<<30
	data, _ := os.ReadFile(filepath.Join(a.settings["path.settings"], "jvm.options"))
	for _, option := range strings.Fields(string(data) + " " + os.Getenv("LS_JAVA_OPTS")) {
		m := heapOption.FindStringSubmatch(option)
		if m == nil {
			continue
		}
		n, _ := strconv.ParseInt(m[2], 10, 64)
		n <<= map[string]int{"k": 10, "m": 20, "g": 30}[strings.ToLower(m[3])]
		if m[1] == "Xms" {
			first = n
		} else {
			most = n
		}
	}
	return first, most
}

// listen answers as the API, on the first port that is free.
func (a *agent) listen() error {
	begin, end, _ := strings.Cut(a.settings["api.http.port"], "-")
	first, err := strconv.Atoi(begin)
	if err != nil {
		return err
	}
	last, err := strconv.Atoi(end)
	if err != nil {
		last = first
	}
	for port := first; port <= last; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort(a.settings["api.http.host"], strconv.Itoa(port)))
		if err != nil {
			continue
		}
		server := &http.Server{Handler: a.handler(l.Addr().String()), ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return context.Background() }}
		go func() { _ = server.Serve(l) }()
		return nil
	}
	return errors.New("Logstash tried to bind to port range " + a.settings["api.http.port"] + ", but all the ports are already in use!")
}

func (a *agent) handler(at string) http.Handler {
	h, most := a.heap() // as it was started with
	head := func(more map[string]any) map[string]any {
		all := map[string]any{"host": "here", "version": version, "http_address": at, "id": "1", "name": "here", "ephemeral_id": "1", "status": "green", "snapshot": false,
			"pipeline": map[string]any{"workers": 2, "batch_size": 125, "batch_delay": 50}}
		maps.Copy(all, more)
		return all
	}
	mux := http.NewServeMux()
	answer := func(path string, what func() map[string]any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			if a.settings["api.auth.type"] == "basic" && (user != a.settings["api.auth.basic.username"] || password != a.settings["api.auth.basic.password"]) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(what())
		})
	}
	answer("/{$}", func() map[string]any { return head(nil) })
	answer("/_node/jvm", func() map[string]any {
		return head(map[string]any{"jvm": map[string]any{"pid": os.Getpid(), "start_time_in_millis": a.begun.UnixMilli(), "mem": map[string]any{"heap_init_in_bytes": h, "heap_max_in_bytes": most}}})
	})
	answer("/_node/pipelines", func() map[string]any {
		all := map[string]any{}
		for id, r := range a.shown {
			workers, _ := strconv.Atoi(r.config.settings["pipeline.workers"])
			size, _ := strconv.Atoi(r.config.settings["pipeline.batch.size"])
			sum := sha256.Sum256([]byte(r.config.text))
			all[id] = map[string]any{"ephemeral_id": r.ephemeral, "hash": hex.EncodeToString(sum[:]), "workers": workers, "batch_size": size, "batch_delay": 50, "dead_letter_queue_enabled": false}
		}
		return head(map[string]any{"pipelines": all})
	})
	answer("/_node/stats/pipelines", func() map[string]any {
		all := map[string]any{}
		for id, r := range a.reloads {
			all[id] = map[string]any{"reloads": r, "events": map[string]any{"in": 0, "out": 0}}
		}
		return head(map[string]any{"pipelines": all})
	})
	answer("/_health_report", func() map[string]any {
		all := map[string]any{}
		for id, r := range a.pipelines {
			state := map[bool]string{true: "TERMINATED", false: "RUNNING"}[r.crashed]
			all[id] = map[string]any{"status": map[bool]string{true: "red", false: "green"}[r.crashed], "details": map[string]any{"status": map[string]any{"state": state}}}
		}
		return head(map[string]any{"indicators": map[string]any{"pipelines": map[string]any{"indicators": all}}})
	})
	return mux
}
