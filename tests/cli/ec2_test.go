package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// ec2 is a server that answers DescribeInstances as the EC2 API reference
// documents, from files of a script: REGION.xml holds the first page of a
// region, and what stands in its nextToken is the name of the file with the
// next. The region of a request is the one that it is signed for. A region
// without a file isn't authorised. Requests are kept in the file "asked".
type ec2 struct {
	dir string
	mu  sync.Mutex
}

// cmdEC2 is the command of scripts
//
//	ec2 DIR
//
// that serves the files of a folder until the script ends or `ec2 -` stands
// in it, and tells programs where, as AWS documents it: by AWS_ENDPOINT_URL.
func cmdEC2(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ec2 DIR, or ec2 -")
	}
	if args[0] == "-" {
		ts.Value(serverKey{}).(*running).stop()
		return
	}
	url := ts.Value(serverKey{}).(*running).start(&ec2{dir: ts.MkAbs(args[0])})
	ts.Setenv("AWS_ENDPOINT_URL", url)
}

type serverKey struct{}

// running is the server of a script, if it has started one. It keeps its
// address when it is stopped, as one that is down does.
type running struct {
	server  *httptest.Server
	handler http.Handler
	mu      sync.Mutex
	down    bool
}

func (r *running) start(h http.Handler) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handler, r.down = h, false
	if r.server == nil {
		r.server = httptest.NewServer(r)
	}
	return r.server.URL
}

func (r *running) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = true
}

func (r *running) close() {
	if r.server != nil {
		r.server.Close()
	}
}

// ServeHTTP hangs up while the server is stopped.
func (r *running) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	h, down := r.handler, r.down
	r.mu.Unlock()
	if down {
		panic(http.ErrAbortHandler)
	}
	h.ServeHTTP(w, req)
}

func (e *ec2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	// Credential=KEY/DATE/REGION/ec2/aws4_request, of a signature of version 4
	region := strings.Split(r.Header.Get("Authorization")+"////", "/")[2]
	if err := e.note(region, r.Form.Encode()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	name := r.Form.Get("NextToken")
	if name == "" {
		name = region + ".xml"
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	page, err := os.ReadFile(filepath.Join(e.dir, filepath.Base(name)))
	if err != nil || r.Form.Get("Action") != "DescribeInstances" {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message></Error></Errors><RequestID>r-1</RequestID></Response>`)
		return
	}
	_, _ = w.Write(page) // a client that has gone needs no page
}

func (e *ec2) note(region, form string) error {
	f, err := os.OpenFile(filepath.Join(e.dir, "asked"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, region, form)
	return err
}
