package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// receiversKey is where a script's servers have what they answer, by name.
type receiversKey struct{}

// cmdReceiver starts a server that takes what it is sent: receiver NAME CODE. Its address is
// $NAME; the bodies are NAME.1, NAME.2 and so on. Given again it answers with another code.
func cmdReceiver(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: receiver NAME CODE")
	}
	code, err := strconv.Atoi(args[1])
	ts.Check(err)
	codes := ts.Value(receiversKey{}).(map[string]*atomic.Int64)
	if codes[args[0]] == nil {
		answer, n := &atomic.Int64{}, &atomic.Int64{}
		codes[args[0]] = answer
		dir := ts.MkAbs(".")
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_ = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s.%d", args[0], n.Add(1))), body, 0o600)
			w.WriteHeader(int(answer.Load()))
		}))
		ts.Defer(server.Close)
		ts.Setenv(args[0], server.URL)
	}
	codes[args[0]].Store(int64(code))
}
