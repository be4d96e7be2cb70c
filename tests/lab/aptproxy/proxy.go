// Package aptproxy is the lab's package cache: an HTTP proxy for apt that keeps what it has fetched.
//
// A file whose name can't come to mean other bytes (a .deb carries its version,
// a by-hash index its sum) is fetched once and served from disk for ever. A list
// is asked for again after Fresh, and served from the last complete copy where
// the mirror can't be reached, so that a lab without a network still installs
// what it has installed before.
//
// A file is under its final name only when it is whole: it is written under a
// temporary name, its length (and its sum, where the name holds one) is checked,
// then it is renamed. Several proxies may share one folder.
package aptproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mirrors returns the names of the mirrors that a proxy serves by default: Debian's and
// Ubuntu's.
func Mirrors() []string {
	return []string{"deb.debian.org", "security.debian.org", "ftp.debian.org", "archive.ubuntu.com"}
}

// Options say what a proxy serves and where it keeps it.
type Options struct {
	Dir   string            // the cache folder; made when missing
	Hosts []string          // upstream hosts served, without a port; nil means Mirrors
	Fresh time.Duration     // how long a list is served without asking again; zero means always ask
	Stall time.Duration     // a transfer without a byte for so long is given up; zero means 60 s
	Via   http.RoundTripper // the way to the mirror; nil honours HTTP_PROXY and its kin
	Log   func(line string) // told of each request's outcome; may be nil; called concurrently
}

// Proxy is an http.Handler that answers a forward proxy's GET and HEAD requests.
// It is safe for concurrent use. Close it when its server has stopped.
type Proxy struct {
	opts   Options
	client *http.Client
	ctx    context.Context // ends every transfer; only Close cancels it
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	flights map[string]*flight // by file name, while it is being fetched
}

// New makes the cache folder and returns a proxy over it.
// It removes temporary files that a killed proxy left more than a day ago.
func New(opts Options) (*Proxy, error) {
	if opts.Hosts == nil {
		opts.Hosts = Mirrors()
	}
	if opts.Stall == 0 {
		opts.Stall = time.Minute
	}
	if opts.Log == nil {
		opts.Log = func(string) {}
	}
	if opts.Via == nil {
		opts.Via = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DisableCompression:    true, // the bytes apt's sums are over
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       30 * time.Second,
			ResponseHeaderTimeout: opts.Stall,
		}
	}
	if err := os.MkdirAll(opts.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the package cache: %w", err)
	}
	sweep(opts.Dir, 24*time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	return &Proxy{
		opts: opts, client: &http.Client{Transport: opts.Via},
		ctx: ctx, cancel: cancel, flights: map[string]*flight{},
	}, nil
}

// Close ends the transfers under way and waits for them.
func (p *Proxy) Close() {
	p.cancel()
	p.wg.Wait()
	p.client.CloseIdleConnections()
}

// ServeHTTP answers one request of a client that uses p as its HTTP proxy.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "the lab's package cache serves GET alone: no "+r.Method, http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Scheme != "http" || !slices.Contains(p.opts.Hosts, r.URL.Hostname()) {
		p.opts.Log("refused " + r.URL.String())
		http.Error(w, fmt.Sprintf("the lab's package cache has no way to %q: only to %s",
			r.URL.Host, strings.Join(p.opts.Hosts, ", ")), http.StatusForbidden)
		return
	}
	name, err := fileName(r.URL.Host, r.URL.Path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name = filepath.Join(p.opts.Dir, name)
	if immutable(r.URL.Path) || p.fresh(name) {
		if serveFile(w, r, name) {
			p.opts.Log("hit " + r.URL.String())
			return
		}
	}
	f := p.join(name, r)
	<-f.started
	switch {
	case f.reply != nil && f.reply.StatusCode == http.StatusOK:
		p.opts.Log("fetched " + r.URL.String())
		f.serve(w, r)
	case f.reply != nil && f.reply.StatusCode < 500:
		// The mirror has no such file: its word stands, even over an old copy.
		p.opts.Log(fmt.Sprintf("%d %s", f.reply.StatusCode, r.URL))
		http.Error(w, f.reply.Status, f.reply.StatusCode)
	case serveFile(w, r, name):
		p.opts.Log("stale " + r.URL.String())
	default:
		p.opts.Log(fmt.Sprintf("failed %s: %v", r.URL, f.err))
		http.Error(w, fmt.Sprintf("reaching the mirror for %s: %v", r.URL, f.err), http.StatusBadGateway)
	}
}

// fresh reports whether name was fetched so lately that nobody need ask again.
func (p *Proxy) fresh(name string) bool {
	st, err := os.Stat(name)
	return err == nil && time.Since(st.ModTime()) < p.opts.Fresh
}

// join returns the transfer of name under way, or starts one.
func (p *Proxy) join(name string, r *http.Request) *flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.flights[name]; f != nil && !f.ended() {
		return f
	}
	f := &flight{name: name, url: *r.URL, started: make(chan struct{})}
	f.more = sync.NewCond(&f.mu)
	p.flights[name] = f
	p.wg.Go(func() {
		f.run(p.ctx, p.client, p.opts.Stall)
		p.mu.Lock()
		if p.flights[name] == f {
			delete(p.flights, name)
		}
		p.mu.Unlock()
	})
	return f
}

// serveFile answers from the whole file name, ranges included, and reports whether it exists.
func serveFile(w http.ResponseWriter, r *http.Request, name string) bool {
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	// No name and no time: a mirror's copy is told from another by its sum
	// alone, and a time of ours would make apt keep a list it should replace.
	http.ServeContent(w, r, "", time.Time{}, file)
	return true
}

// errStalled is a transfer given up because no byte came for Options.Stall. Trying again can help.
var errStalled = errors.New("the mirror sends nothing more")

// stallReader ends a body that stalls.
type stallReader struct {
	body  io.Reader
	timer *time.Timer
	limit time.Duration
	ctx   context.Context // the request's own, for the cause of its end
}

func (s *stallReader) Read(b []byte) (int, error) {
	s.timer.Reset(s.limit)
	n, err := s.body.Read(b)
	if err != nil && errors.Is(context.Cause(s.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}
