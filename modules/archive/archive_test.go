package archive

import (
	"bytes"
	"net"
	"net/http"
	"testing"

	"muster/modules/file"
	"muster/modules/modulestest"
)

// The cases' server listens where the cases say.
func TestConformance(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.79:18079")
	if err == nil {
		files := served(t)
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			data, ok := files[r.URL.Path]
			if !ok {
				http.NotFound(w, r)
				return
			}
			http.ServeContent(w, r, "", changed, bytes.NewReader(data))
		})}
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
	}
	modulestest.Run(t, append(Kinds(), file.Kinds()...)...)
}
